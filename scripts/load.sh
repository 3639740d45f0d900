#!/bin/bash
# Runs the program `load` over a directory or over S3 (moto). Arguments: backlog|soak, dir|s3, and what `load` takes.
# Report, samples and the daemon's log go to .load/KIND.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD kind=$1 store=$2
shift 2
bin=${EPHEMERALML_BIN:-$root/.build/release}
folder=$root/.load/$kind-$store
mkdir -p "$folder"
arguments=(--folder "$folder")
# A job that takes a moment, so that a cancel may come in time.
[ "$kind" != soak ] || arguments+=(--job 150)
case $store in
  dir) ;;
  s3)
    trap 'scripts/moto.sh stop "$folder" || true' EXIT
    scripts/moto.sh start "$folder" $$ >/dev/null
    set -a
    # shellcheck disable=SC1091
    source "$folder/moto.env"
    set +a
    arguments+=(--store "s3://bucket/load?endpoint=$EPHEMERALML_S3_ENDPOINT&region=us-east-1")
    [ "$kind" != soak ] || arguments+=(--pause-pid "$(cat "$folder/moto.pid")")
    ;;
  *) echo "load: STORE is dir or s3" >&2; exit 64 ;;
esac
"$bin/load" "$kind" "${arguments[@]}" "$@" | tee "$folder/report.txt"
