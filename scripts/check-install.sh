#!/bin/bash
# Installs into a Debian of its own that has no Swift, as the page docs/operations/install.md says, and uses the client
# there: keys, trust, refusals, manual, completions; then takes it off again. Needs root (for debootstrap and chroot) and
# Debian's archive. Ends with 69 where debootstrap is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${BIN:-.build-install/release}
command -v debootstrap >/dev/null || { echo "check-install: needs debootstrap: apt-get install debootstrap" >&2; exit 69; }
[ "$(id -u)" -eq 0 ] || { echo "check-install: needs root" >&2; exit 69; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
target=$work/debian
# The packages are the page's, so that the page is what is tried.
packages=$(sed -n 's/^apt-get install --no-install-recommends //p' docs/operations/install.md | head -1)
echo "a Debian 12 with $packages"
debootstrap --variant=minbase --include="${packages// /,}" bookworm "$target" >"$work/debootstrap.log" 2>&1 ||
  { tail -5 "$work/debootstrap.log" >&2; exit 1; }
mkdir -p "$work/before" && (cd "$target" && find usr/local -type f | sort) >"$work/before/files"

BIN=$bin DESTDIR=$target PREFIX=/usr/local COMPONENTS=host scripts/install.sh
# With /proc, as every machine has it: Swift reads its arguments there.
inside() { unshare --mount --pid --fork --mount-proc="$target/proc" chroot "$target" /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/root LANG=C.UTF-8 "$@"; }
expect() { # $1: exit code, rest: command
  local wanted=$1 code=0
  shift
  inside "$@" >"$work/said" 2>&1 || code=$?
  [ "$code" -eq "$wanted" ] || { cat "$work/said" >&2; echo "check-install: $* ended with $code, not $wanted" >&2; exit 1; }
  printf 'ok  %-60s %s\n' "$*" "$(head -1 "$work/said")"
}
inside ldd /usr/local/bin/ephemeral >"$work/libraries"
if grep -E 'libswift|libFoundation|libdispatch|not found' "$work/libraries"; then
  echo "check-install: the program needs what this Debian does not have" >&2
  exit 1
fi
[ -z "$(find "$target" -name 'libswift*' -print -quit)" ]
expect 0 ephemeral --version
expect 0 ephemeral keys generate
expect 0 ephemeral trust add prod --class production --policy-key d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a
expect 0 ephemeral trust show
expect 10 ephemeral watch 3fa9b2 --store file:///nowhere
expect 64 ephemeral submit --no-such-option
expect 0 bash -n /usr/local/share/bash-completion/completions/ephemeral
# The daemon starts, opens its database and ends when it is told.
inside mkdir -p /srv/store /var/lib/state && inside chmod 700 /var/lib/state
expect 124 timeout 3 ephemeral daemon run --store file:///srv/store --state /var/lib/state --worker unix:/tmp/none --relay-target unix:/tmp/none
grep -q 'daemon is ready' "$work/said" || { cat "$work/said" >&2; exit 1; }

DESTDIR=$target PREFIX=/usr/local scripts/uninstall.sh
(cd "$target" && find usr/local -type f | sort) | diff "$work/before/files" - || { echo "check-install: files are left" >&2; exit 1; }
echo "the client runs on a Debian 12 without Swift, and leaves nothing behind"
