#!/bin/bash
# A whole job on this machine, every part a process of its own. Arguments: dir|s3, and the documents.
# State stays in .demo/, so a second run starts where the first ended; delete it to begin anew.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD kind=${1:-dir} documents=${2:-jobs/sample}
bin=${EPHEMERALML_BIN:-$root/.build/release}
source scripts/demo-lib.sh

[ -e "$documents" ] || { echo "demo: there is no $documents" >&2; exit 64; }
case $kind in dir | s3) ;; *) echo "demo: STORE is dir or s3" >&2; exit 64 ;; esac

demo_state "$kind"
trap stop_all EXIT
trap 'exit 130' INT TERM

stage "The local cloud: a DEVELOPMENT hypervisor and KMS"
start_devcloud
stage "The object store"
start_store
stage "Once: policy key, image, model, analyst's keys, signed policy"
prepare_parties
stage "The host: enclave worker and daemon"
start_worker
start_daemon
grep -E 'worker|epoch' "$log/daemon.log" | sed 's/^[^ ]* //' | sed -n 1,4p

stage "The analyst checks the enclave's announcement, seals $documents and uploads"
job_file=$state/last-job
or_in_part run "$bin/ephemeral" submit "$documents" --skip-invalid >"$job_file"
job=$(tail -1 "$job_file")
stage "The host works; the analyst watches what it says"
or_in_part run "$bin/ephemeral" watch "$job" --timeout 3600
stage "The results: verified first, then opened and written"
rm -rf "$state/results"
or_in_part run "$bin/ephemeral" results get "$job" --output "$state/results"
stage "Nearest neighbours of three documents, by the embeddings just made"
texts=(); [ -d "$documents" ] && texts=(--texts "$documents")
run "$bin/ephemeral" results neighbours "$state/results" --count 3 "${texts[@]}"

stage "A schedule of jobs/, run once: it takes what waits in its inbox"
mkdir -p "$state/night" && cp $(ls -d "$root"/jobs/sample/*.txt | head -3) "$state/night"
run "$bin/ephemeral" submit "$state/night" --schedule nightly-embeddings >"$state/night-job"
run "$bin/ephemeral" schedule run-now nightly-embeddings
run "$bin/ephemeral" watch "$(tail -1 "$state/night-job")" --timeout 600
run "$bin/ephemeral" schedule show nightly-embeddings | sed -n 1,3p

stage "An auditor computes that night again, and compares each line with what the receipt binds"
run "$bin/ephemeral" receipts reproduce "$(tail -1 "$state/night-job")" --input "$state/night" --model-folder "$root/.cache/models/all-MiniLM-L6-v2"

printf '\npeak memory: worker %s, daemon %s, devcloud %s\n' "$(peak worker)" "$(peak daemon)" "$(peak devcloud)"
stage "The receipt, once more and alone"
or_in_part run "$bin/ephemeral" receipts verify "$job"
stop_all
echo
echo "receipt verified: job ${job:0:16}…, $(elapsed) s in all; sealed results, queue and logs are in .demo/$kind (make demo-attack)"
