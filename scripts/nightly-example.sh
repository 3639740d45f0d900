#!/bin/bash
# The example of docs/nightly.md: three nights of a folder of documents, and an audit before and after the host has lost
# one of them. Everything runs on this machine with the parts of the demo; state begins anew in .demo/nightly.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
bin=${EPHEMERALML_BIN:-$root/.build/release}
source scripts/demo-lib.sh

rm -rf "$root/.demo/nightly"
demo_state nightly
trap stop_all EXIT
trap 'exit 130' INT TERM
schedule=nightly-embeddings
documents=$state/documents results=$state/results

jobs=()

# The host's night: its clock would run the schedule at 02:30, here an operator does; then waits for the receipt.
night() {
  run "$bin/ephemeral" schedule run-now "$schedule"
  run "$bin/ephemeral" watch "${jobs[-1]}" --timeout 600 2>/dev/null
}

# The client's sync, as cron or a timer starts it.
sync_folder() {
  run "$bin/ephemeral" sync "$documents" --schedule "$schedule" --fetch "$results" 2>&1 |
    grep -vE '^(policy|sealing key|model|DEVELOPMENT)' | sed "s#$state#.demo/nightly#g" | tee "$state/sync.out"
  jobs+=("$(awk '$1 == "job" { print $2 }' "$state/sync.out")")
}

# Shows how a command ended, whatever it was.
ending() {
  local code=0
  "$@" || code=$?
  echo "exit $code"
}

stage "The parts of the demo: development cloud, store, parties, worker, daemon"
{
  start_devcloud
  start_store
  prepare_parties
  start_worker
  start_daemon
} >"$log/parts.log"
run "$bin/ephemeral" schedule list
run "$bin/ephemeral" schedule next "$schedule" -n 3

stage "Night 1: a folder of six documents, all of them new"
mkdir -p "$documents"
cp $(ls jobs/sample/budget-*.txt | head -3) $(ls jobs/sample/health-*.txt | head -3) "$documents"
sync_folder
night

stage "Night 2: one document is changed, one is new, one is gone; only the first two are sealed"
changed=$(ls "$documents" | head -1) gone=$(ls "$documents" | tail -1)
echo "Corrected: the figures of the second quarter were counted twice." >>"$documents/$changed"
cp jobs/sample/weather-storm-surge-outlook.txt "$documents"
rm "$documents/$gone"
sync_folder
night

stage "Night 3: nothing happened, and an empty job proves it"
sync_folder
night

stage "What the operator sees: runs and what became of them, no names and no text"
run "$bin/ephemeral" schedule show "$schedule"

stage "The next day: results of all nights are there"
sync_folder
night
run ls "$results"

stage "The audit: every number of the stream has its receipt"
run "$bin/ephemeral" receipts head --stream "$schedule" --output "$state/nightly.head" 2>/dev/null
ending run "$bin/ephemeral" receipts audit "$state/store" --head "$state/nightly.head" --open 2>/dev/null

stage "A host that lost the second night: the audit names it"
cp -r "$state/store" "$state/store-without"
rm -r "$state/store-without/jobs/${jobs[1]}"
ending run "$bin/ephemeral" receipts audit "$state/store-without" --head "$state/nightly.head" --open 2>/dev/null

stop_all
echo
echo "nightly example: three nights and a day in $(elapsed) s; state and logs are in .demo/nightly"
