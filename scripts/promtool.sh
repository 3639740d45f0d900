#!/bin/bash
# Prometheus' checker of metrics and alert rules, from Debian's package `prometheus`, in .cache/promtool; prints its path.
# Nothing is installed: of the package one static program is unpacked. Does nothing when it is there already.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cache=$root/.cache/promtool

if [ ! -x "$cache/promtool" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  "$root/scripts/debian-fetch.sh" bookworm "$work" prometheus >&2
  dpkg-deb -x "$work"/prometheus_*.deb "$work/tree"
  mkdir -p "$cache"
  cp "$work/tree/usr/bin/promtool" "$cache/.promtool.$$"
  mv -f "$cache/.promtool.$$" "$cache/promtool"
fi
echo "$cache/promtool"
