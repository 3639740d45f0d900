#!/bin/sh
# Provides the stock `age` (1.3 or newer, the first with post-quantum recipients) for the interoperability tests.
#
#   scripts/fetch-age.sh         prints the directory that holds age and age-keygen; installs nothing system-wide
#
# An age >= 1.3 on PATH is taken as it is. Otherwise Debian sid's package is fetched (debian-fetch.sh) and unpacked into
# .cache/age, never installed: one static program.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cache=$root/.cache/age

# True for `age` in the directory $1 at version 1.3 or later.
is_recent() {
  [ -x "$1/age" ] && [ -x "$1/age-keygen" ] || return 1
  version=$("$1/age" --version 2>/dev/null | sed -n 's/^(*v*\([0-9][0-9]*\.[0-9][0-9]*\).*/\1/p')
  [ -n "$version" ] || return 1
  major=${version%%.*} minor=${version#*.}
  [ "$major" -gt 1 ] || { [ "$major" -eq 1 ] && [ "$minor" -ge 3 ]; }
}

fail() {
  echo "fetch-age: $*" >&2
  exit 1
}

if is_recent "$cache"; then
  echo "$cache"
  exit 0
fi
if on_path=$(command -v age 2>/dev/null) && is_recent "$(dirname "$on_path")"; then
  mkdir -p "$cache"
  for program in age age-keygen; do ln -sf "$(dirname "$on_path")/$program" "$cache/$program"; done
  echo "$cache"
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$root/scripts/debian-fetch.sh" sid "$work" age || fail "no age >= 1.3 on PATH, and none from Debian: install age yourself"
dpkg-deb -x "$work"/age_*.deb "$work/tree"
is_recent "$work/tree/usr/bin" || fail "sid's age is not 1.3 or newer, or does not run here"

mkdir -p "$cache"
for program in age age-keygen; do
  cp "$work/tree/usr/bin/$program" "$cache/.$program.$$"
  mv -f "$cache/.$program.$$" "$cache/$program"
done
echo "$cache"
