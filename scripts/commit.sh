#!/bin/bash
# Which commit this checkout is at: its first twelve digits, "+changes" where something differs from it, and its date.
# "unknown" outside of a checkout, or where git does not want to look at one that belongs to somebody else.
cd "$(dirname "$0")/.." || exit 1
if commit=$(git log -1 --abbrev=12 --format=%h 2>/dev/null) && top=$(git rev-parse --show-toplevel) &&
  [ "$top" -ef . ]; then
  [ -z "$(git status --porcelain 2>/dev/null)" ] || commit+=+changes
  echo "$commit $(TZ=UTC git log -1 --date=format-local:%Y-%m-%d --format=%cd)"
else
  echo unknown
fi
