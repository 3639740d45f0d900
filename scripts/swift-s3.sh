#!/usr/bin/env bash
# A second S3 server for the conformance suite: Debian's OpenStack Swift with its S3 API, on loopback. Its packages are
# unpacked below .cache and run from there; nothing is installed, no service of the system is started or changed.
#   scripts/swift-s3.sh install         fetches the packages into .cache/swift-s3; does nothing when they are there
#   scripts/swift-s3.sh start DIR [PID] starts it on free ports with an empty bucket called `bucket` and its files in DIR;
#                                       writes DIR/swift-s3.pid and DIR/swift-s3.env (shell lines). With PID it ends when
#                                       that process does.
#   scripts/swift-s3.sh stop DIR        ends it
#   scripts/swift-s3.sh test            builds nothing, starts it, runs the suite against it, ends it
# Ends with 69 where the packages cannot be had.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
cache=$here/.cache/swift-s3
packages=(python3-swift memcached)

unavailable() {
  echo "swift-s3: $*" >&2
  exit 69
}

install() {
  [ -e "$cache/complete" ] && return
  command -v apt-get >/dev/null || unavailable "no apt-get here: Swift comes from Debian's packages"
  [ -x /usr/bin/python3 ] || unavailable "no /usr/bin/python3, for which Debian's modules are built: make deps"
  local work missing
  work=$(mktemp -d)
  trap 'rm -rf "$work"' RETURN
  # What of their dependencies is not on this machine already. (Not their servers' own packages: these would start services.)
  missing=$(apt-get install --simulate --no-install-recommends "${packages[@]}" 2>"$work/why" |
    sed -n 's/^Inst \([^ ]*\) .*/\1/p') || unavailable "$(tail -n 1 "$work/why") (apt-get update, as root, reads the lists)"
  [ -n "$missing" ] || missing="${packages[*]}"
  # shellcheck disable=SC2086
  (cd "$work" && apt-get -qq download $missing) >&2 || unavailable "the mirror does not serve them (apt-get update, as root)"
  rm -rf "$cache"
  mkdir -p "$cache/root"
  for package in "$work"/*.deb; do dpkg-deb -x "$package" "$cache/root"; done
  touch "$cache/complete"
}

start() {
  local dir=$1 watched=${2:-0} pid
  install
  rm -f "$dir/swift-s3.env" "$dir/swift-s3.pid"
  # Objects' metadata are extended attributes.
  python3 - "$dir" <<'PYTHON' || unavailable "$dir is on a file system without extended attributes: set TMPDIR to another"
import os, sys
os.setxattr(sys.argv[1], "user.ephemeralml", b"1")
PYTHON
  PATH=$cache/root/usr/bin:$PATH PYTHONPATH=$cache/root/usr/lib/python3/dist-packages \
    LD_LIBRARY_PATH=$cache/root/usr/lib/$(uname -m)-linux-gnu setsid /usr/bin/python3 "$here/scripts/swift-s3-server.py" \
    "$dir" "$watched" >"$dir/swift-s3.log" 2>&1 </dev/null &
  pid=$!
  for _ in $(seq 600); do
    [ -s "$dir/swift-s3.env" ] && return
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill "$pid" 2>/dev/null || true
  tail -n 5 "$dir"/*.log >&2
  unavailable "Swift did not start; its logs are above"
}

stop() {
  [ -s "$1/swift-s3.pid" ] || return 0
  kill "$(cat "$1/swift-s3.pid")" 2>/dev/null || true
  rm -f "$1/swift-s3.pid" "$1/swift-s3.env"
}

run_tests() {
  local dir
  dir=$(mktemp -d)
  # shellcheck disable=SC2064
  trap "'$here/scripts/swift-s3.sh' stop '$dir'; rm -rf '$dir'" EXIT
  start "$dir" $$
  set -a
  # shellcheck disable=SC1091
  . "$dir/swift-s3.env"
  set +a
  cd "$here"
  swift test --skip-build ${SWIFT_FLAGS:-} --filter SecondServerTests
}

case ${1:-} in
  install) install ;;
  start) start "${2:?directory}" "${3:-}" ;;
  stop) stop "${2:?directory}" ;;
  test) run_tests ;;
  *) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 64 ;;
esac
