#!/bin/bash
# The example of docs/generation.md: two nights of a folder of documents that become summaries, JSON of a schema, with
# receipts, an audit, and the same bytes computed again. Everything runs on this machine with the parts of the demo; state
# begins anew in .demo/summaries.
#   scripts/summaries-example.sh [MODEL]     a folder of a decoder (docs/decoders.md); without one, random weights: noise
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
bin=${EPHEMERALML_BIN:-$root/.build/release}
source scripts/demo-lib.sh

rm -rf "$root/.demo/summaries"
demo_state summaries
trap stop_all EXIT
trap 'exit 130' INT TERM
schedule=nightly-summaries
documents=$state/documents results=$state/results
model_folder=${1:-$state/writer}
model_operations=generate
model_weights=$'formats: [safetensors, gguf]\ndtypes: [F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K]'
task=(--instruction jobs/summaries/instruction.txt --schema jobs/summaries/schema.json --max-tokens 400)
if [ $# -eq 0 ]; then python3 scripts/tiny-decoder.py "$model_folder"; fi

# The client's sync, as cron or a timer starts it.
sync_folder() {
  or_in_part run "$bin/ephemeral" sync "$documents" --schedule "$schedule" "${task[@]}" --fetch "$results" --format text 2>&1 |
    grep -vE '^(policy|sealing key|model|DEVELOPMENT)' | sed "s#$state#.demo/summaries#g" | tee "$state/sync.out"
  job=$(awk '$1 == "job" { print $2 }' "$state/sync.out")
}

# The host's night: its clock would run the schedule at 03:00, here an operator does; then waits for the receipt.
night() {
  run "$bin/ephemeral" schedule run-now "$schedule"
  or_in_part run "$bin/ephemeral" watch "$job" --timeout 3600 2>/dev/null
}

stage "The parts of the demo: development cloud, store, parties, worker, daemon"
{
  start_devcloud
  start_store
  prepare_parties
  start_worker
  start_daemon
} >"$log/parts.log"
run "$bin/ephemeral" schedule add jobs/summaries/nightly-summaries.yaml
cat jobs/summaries/instruction.txt

stage "Night 1: six documents, each becomes a conversation with the instruction"
mkdir -p "$documents"
cp $(ls jobs/sample/budget-*.txt | head -3) $(ls jobs/sample/health-*.txt | head -3) "$documents"
sync_folder
night
first=$job

stage "Night 2: one document is new"
cp jobs/sample/weather-storm-surge-outlook.txt "$documents"
sync_folder
night

stage "The next day: nothing is new, which an empty job proves; and a summary for each document, under its name"
sync_folder
night
(cd "$results" && ls 000001/texts && tr -d '\n' <"$(ls 000001/texts/*.json | head -1)" | head -c 200 && echo)

stage "The audit, and the first night computed again: the same bytes"
run "$bin/ephemeral" receipts audit "$state/store" --ledger --stream "$schedule" 2>/dev/null | tail -3
run "$bin/ephemeral" receipts reproduce "$first" --input "$documents" --model-folder "$model_folder" "${task[@]:0:4}" 2>/dev/null

stop_all
echo
[ $# -gt 0 ] || echo "the model has random weights: its JSON is of the schema, and says nothing"
echo "summaries: two nights in $(elapsed) s; state and logs are in .demo/summaries"
