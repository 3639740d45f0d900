#!/bin/bash
# The load of `make load`, small and with nothing left out: real bundles, sealed for an attested development enclave, real
# workers and inference, and at the end every receipt verified. Arguments: bundles, workers. State is in .demo/load.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD bundles=${1:-66} workers=${2:-4}
bin=${EPHEMERALML_BIN:-$root/.build/release}
# shellcheck source=scripts/demo-lib.sh
source scripts/demo-lib.sh

rm -rf "$root/.demo/load"
demo_state load
trap stop_all EXIT
trap 'exit 130' INT TERM
stage "The local cloud, store, keys, model, policy"
{ start_devcloud && start_store && prepare_parties; } >"$log/prepare.log" 2>&1 || { tail "$log/prepare.log" >&2; exit 1; }

stage "$workers enclave workers; one makes the sealing key"
start_worker
sockets_of=()
for number in $(seq 2 "$workers"); do
  start "worker-$number" 'enclave-worker ready' "$bin/enclave-worker" --image "$image" --listen "unix:$sockets/worker$number.sock"
  sockets_of+=(--worker "unix:$sockets/worker$number.sock")
done
start_daemon "${sockets_of[@]}"
kill "$(cat "$state/daemon.pid")" && wait "$(cat "$state/daemon.pid")" || true

stage "$bundles bundles are sealed while the daemon is away: flood sends ten times as many as each of three teams"
share=$((bundles / 13))
submit() { # $1: submitter, $2: number
  local text=$state/documents/$1-$2
  mkdir -p "$text"
  for document in 1 2 3; do echo "Document $document of bundle $2 by $1: the harbour closed at dusk." >"$text/$document.txt"; done
  "$bin/ephemeral" submit "$text" --tenant "$1" --stream "$1" 2>/dev/null >/dev/null
}
for number in $(seq $((bundles - 3 * share))); do submit flood "$number"; done
for team in team-1 team-2 team-3; do for number in $(seq "$share"); do submit "$team" "$number"; done; done

stage "The daemon comes back"
start_daemon "${sockets_of[@]}"
start_ns=$(date +%s%N)
finished() { "$bin/ephemeral" queue stats --json | python3 -c 'import json,sys; print(sum(q["finished"] for q in json.load(sys.stdin)["queues"]))'; }
until [ "$(finished)" -eq "$bundles" ]; do sleep 0.5; done
ended=$(date +%s%N)
cpu=$(awk -v tick="$(getconf CLK_TCK)" '{ print 1000 * ($14 + $15) / tick }' "/proc/$(cat "$state/daemon.pid")/stat")
python3 - "$bin/ephemeral" "$start_ns" "$ended" "$bundles" "$workers" "$cpu" <<'PYTHON'
import json
import statistics
import subprocess
import sys

program, began, ended, bundles, workers, cpu = sys.argv[1], int(sys.argv[2]) / 1e6, int(sys.argv[3]) / 1e6, *sys.argv[4:7]


def ask(*words):
    return json.loads(subprocess.run([program, "queue", *words, "--json"], check=True, capture_output=True).stdout)


print("%s jobs, %s workers: %.2f jobs/s, %.1f ms of the daemon's CPU for a job" % (
    bundles, workers, int(bundles) / ((ended - began) / 1000), float(cpu) / int(bundles)))
print("%-12s %5s %9s %8s %8s   seconds" % ("SUBMITTER", "JOBS", "WAIT P50", "P95", "MAX"))
jobs = ask("list", "--limit", "10000")["jobs"]
for tenant in sorted({row["tenant"] for row in jobs}):
    waits = sorted(
        (ask("inspect", row["job"])["attempts"][0]["started_ms"] - began) / 1000 for row in jobs if row["tenant"] == tenant)
    print("%-12s %5d %9.1f %8.1f %8.1f" % (
        tenant, len(waits), statistics.median(waits), waits[int(len(waits) * 0.95)], waits[-1]))
PYTHON
printf 'peak memory: daemon %s, worker %s\n' "$(peak daemon)" "$(peak worker)"
stage "Every receipt, verified, and none missing"
"$bin/ephemeral" receipts audit "$store" --ledger | tail -12
