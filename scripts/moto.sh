#!/usr/bin/env bash
# An S3 server (moto) on loopback for the demo and the tests.
#   scripts/moto.sh install         makes .cache/venv-moto; does nothing when it is there
#   scripts/moto.sh start DIR [PID] starts a server on a free port with an empty bucket called `bucket`; writes DIR/moto.pid
#                                   and DIR/moto.env (shell and `export`-able lines), and prints the endpoint's URL.
#                                   With PID the server ends when that process does. AUTH=1 demands signed requests.
#   scripts/moto.sh stop DIR        ends it
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
venv=$here/.cache/venv-moto

install() { "$here/scripts/venv.sh" moto 'moto[server]==5.2.1'; }

start() {
  local dir=$1 watched=${2:-0}
  install
  rm -f "$dir/moto.env" "$dir/moto.pid"
  # setsid: an interrupt meant for the demo lets the demo stop the server in its own order.
  INITIAL_NO_AUTH_ACTION_COUNT=${AUTH:+4} setsid "$venv/bin/python" "$here/scripts/moto-server.py" "$dir" "$watched" \
    >"$dir/moto.log" 2>&1 </dev/null &
  local pid=$!
  for _ in $(seq 300); do
    if [ -s "$dir/moto.env" ]; then
      sed -n 's/^EPHEMERALML_S3_ENDPOINT=//p' "$dir/moto.env"
      return
    fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  echo "moto did not start; its output is in $dir/moto.log" >&2
  kill "$pid" 2>/dev/null || true
  return 1
}

stop() {
  [ -s "$1/moto.pid" ] || return 0
  kill "$(cat "$1/moto.pid")" 2>/dev/null || true
  rm -f "$1/moto.pid" "$1/moto.env"
}

case ${1:-} in
  install) install ;;
  start) start "${2:?directory}" "${3:-}" ;;
  stop) stop "${2:?directory}" ;;
  *) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 64 ;;
esac
