#!/bin/bash
# The sealed way (download, open, infer, seal, receipt) beside the bare engine: a whole job of thousands of documents through
# daemon and enclave worker, in turns with the engine alone on the same documents. Arguments: the bench's Python, program,
# model, work folder, rounds, threads. Writes WORK/sealed.json. State: .demo/bench.
set -euo pipefail
python=$1 program=$2 model_folder=$3 work=$4 rounds=$5 threads=$6
cd "$(dirname "$0")/../.."
root=$PWD
bin=${EPHEMERALML_BIN:-$root/.build/release}
# shellcheck source=scripts/demo-lib.sh
source scripts/demo-lib.sh

for part in ephemeral enclave-worker devcloud; do
  [ -x "$bin/$part" ] || { echo "needs $part in .build/release (make build)" >&2; exit 1; }
done
rm -rf "$root/.demo/bench"
demo_state bench
trap stop_all EXIT
trap 'exit 130' INT TERM
start_devcloud
start_store
prepare_parties
start_worker
start_daemon
"$python" scripts/bench/sealed.py --ephemeral "$bin/ephemeral" --program "$program" --model "$model_folder" --work "$work" \
  --rounds "$rounds" --threads "$threads"
