#!/bin/bash
# A whole job in an enclave's machine, without AWS: the real image on the real kernel in QEMU's `nitro-enclave`, through
# real AF_VSOCK and the real /dev/nsm; the daemon and devcloud (EMULATED) outside. Then the same once more with the
# machine stopped in the middle of a job. Everything stands in a directory of its own and ends with this script.
#
# EPHEMERALML_ACCEL=kvm lets the processor run the machine, where /dev/kvm can do that; by default it is emulated in
# software. --record writes the exchanges with /dev/nsm to Tests/Vectors.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
bin=${EPHEMERALML_BIN:-$root/.build/release}
source scripts/demo-lib.sh

start_seconds=120
state=$(mktemp -d /tmp/enclave-XXXXXX) kind=enclave
log=$state/log
mkdir "$log"
unset EPHEMERAL_HOME EPHEMERAL_STORE EPHEMERAL_PROFILE EPHEMERAL_MODEL EPHEMERAL_DAEMON_SOCKET

finish() {
  local code=$? pid
  # A stopped machine would never hear that it shall end.
  for pid in ${pids[@]+"${pids[@]}"}; do kill -CONT "$pid" 2>/dev/null || true; done
  stop_all
  if [ "$code" -ne 0 ]; then
    for name in "$log"/*.log; do
      printf '\n== the end of %s\n' "$name"
      tail -25 "$name" | tr -d '\r'
    done >&2
    echo "test-enclave: FAILED after $(elapsed) s" >&2
  fi
  rm -rf "$state"
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

record=()
[ "${1:-}" != --record ] || record=(--record "$root/Tests/Vectors")

json() { python3 -c 'import json,sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

die() {
  echo "test-enclave: $*" >&2
  exit 1
}

# Waits until a file holds a line of this pattern: seconds, pattern, file.
await_line() {
  for _ in $(seq $(($1 * 50))); do
    grep -qE -- "$2" "$3" 2>/dev/null && return 0
    sleep 0.02
  done
  die "no \"$2\" in $3 within $1 s"
}

# Ends one part that was started here, by its process id, which may be another's afterwards.
end() {
  local pid each left=()
  pid=$(cat "$state/$1.pid")
  for each in "${pids[@]}"; do [ "$each" = "$pid" ] || left+=("$each"); done
  pids=(${left[@]+"${left[@]}"})
  kill -"${2:-TERM}" "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}

# --- The parties of one class of evidence, in a folder of its own.

cloud() {
  class=$1 folder=$state/$1
  store=file://$folder/store
  export EPHEMERAL_HOME=$folder/analyst
  mkdir -m 700 "$folder" "$folder/store" "$folder/owner"
  local flag=()
  [ "$class" = development ] || flag=(--emulated)
  "$bin/devcloud" init --state "$folder/cloud" "${flag[@]}" >"$folder/init.log"
  epoch_key=$(json epoch_key <"$folder/cloud/keys.json")
  model_key=$(json model_key <"$folder/cloud/keys.json")
  "$bin/ephemeral" policy keygen --output "$folder/policy" >>"$log/parties.log" 2>&1
  local module=()
  [ "$class" = emulated ] || module=(--nsm-socket "$folder/nsm")
  start "devcloud-$class" 'devcloud ready' "$bin/devcloud" run --state "$folder/cloud" --kms-socket "$folder/kms" "${module[@]}"
}

# Model, analyst and policy; the measurements are the arguments.
parties() {
  local flag=()
  [ "$class" = emulated ] || flag=(--root "$folder/cloud/attestation-root.pem")
  "$bin/devcloud" allow --state "$folder/cloud" --pcr0 "$1" --pcr1 "$2" --pcr2 "$3" >/dev/null
  "$bin/ephemeral" setup --store "$store" --profile "$class" --class "$class" "${flag[@]}" \
    --policy-key "$folder/policy.pub" --name analyst >>"$log/parties.log" 2>&1
  model=$("$bin/ephemeral" models publish .cache/models/all-MiniLM-L6-v2 --home "$folder/owner" --store "$store" \
    --kms-key "$model_key" --aws-profile "$folder/cloud/credentials:publisher" --kms-endpoint "unix:$folder/kms" \
    --kms-roots "$folder/cloud/kms-roots.pem" 2>>"$log/parties.log")
  cat >"$folder/policy.yaml" <<POLICY
version: 1
valid_for_days: 1
measurements:
  - {name: enclave, pcr0: "$1", pcr1: "$2", pcr2: "$3"}
epoch_key: $epoch_key
minimum_epoch: 1
epoch_validity_hours: 24
submitters:
$("$bin/ephemeral" keys export --name analyst --model "$model" 2>>"$log/parties.log" | sed 's/^/  /')
publishers:
$("$bin/ephemeral" keys export --publisher --name models-team --model-key "$model_key" --home "$folder/owner" 2>>"$log/parties.log" | sed 's/^/  /')
POLICY
  "$bin/ephemeral" policy sign "$folder/policy.yaml" --key "$folder/policy.key" --output "$folder/policy.cose" >>"$log/parties.log" 2>&1
  "$bin/ephemeral" policy install "$folder/policy.cose" --profile "$class" >>"$log/parties.log" 2>&1
}

daemon() {
  start "daemon-$class" 'worker is ready' "$bin/ephemeral" daemon run --store "$store" --state "$folder/host" \
    --relay-target "unix:$folder/kms" --policy-key "$folder/policy.pub" --aws-profile "$folder/cloud/credentials:host" \
    --poll 0.2 "$@"
}

# --- The machine.

vsock=$state/vsock
# Boots an image and waits for its line on the console: the worker's, unless others are named.
boot() {
  local image=${1:-$state/enclave.eif} ready=${2:-enclave-worker ready EMULATED}
  launch vsock-device "$emulator/vhost-device-vsock" --guest-cid 4 \
    --socket "$state/vhost" --uds-path "$vsock"
  for _ in $(seq 100); do [ -S "$state/vhost" ] && break; sleep 0.02; done
  start machine "$ready" "$emulator/qemu-system-x86_64" -M nitro-enclave,vsock=c,id=test-enclave \
    -L "$emulator/firmware" -kernel "$image" -nographic -m 1024 \
    -accel "${EPHEMERALML_ACCEL:-tcg}" -cpu max -chardev "socket,id=c,path=$state/vhost" -no-reboot
}
unplug() {
  end machine "${1:-TERM}"
  end vsock-device
  rm -f "$state/vhost" "$vsock"
}

stage "The parts: emulator, kernel, init, static worker"
emulator=$(scripts/emulator.sh)
kernel=$(scripts/enclave-kernel.sh)
scripts/enclave-init.sh "$state/init"
worker=$(scripts/image-worker.sh | tail -1)

# The images' own command line, and one word more: on a busy machine an emulated kernel can miss its timer's first ticks,
# and would then give up.
build() {
  "$bin/ephemeral" image build --kernel "$kernel" --init "$state/init" --worker "$1" --class emulated \
    --cmdline 'reboot=k panic=-1 pci=off nomodules console=ttyS0 no_timer_check' \
    --policy-key "$folder/policy.pub" --kms-roots "$folder/cloud/kms-roots.pem" --output "$2"
}

stage "devcloud (EMULATED), and an image with a fresh policy key and that cloud's root"
cloud emulated
build "$worker" "$state/enclave.eif"
"$bin/ephemeral" image measure "$state/enclave.eif" --json >"$state/measured"
pcr0=$(json pcr0 <"$state/measured")
parties "$pcr0" "$(json pcr1 <"$state/measured")" "$(json pcr2 <"$state/measured")"

stage "Everything that /dev/nsm can be asked, by a probe in the worker's place"
gcc -O2 -static -s -o "$state/probe" Tests/EnclaveTests/Probe/probe.c
build "$state/probe" "$state/probe.eif" >/dev/null
boot "$state/probe.eif" 'probe ready'
scripts/nsm-exchanges.py "$vsock" "$("$bin/ephemeral" image measure "$state/probe.eif" --json | json pcr0)" ${record[@]+"${record[@]}"}
unplug

stage "Boot, and the daemon outside"
boot
daemon --worker "vsock-mux:$vsock:5000" --relay-listen "unix:${vsock}_8000" --relay-address vsock:2:8000 --worker-silence 15

stage "A job: three documents of under 32 tokens, MiniLM"
mkdir "$state/documents"
echo "Routine inspection of the harbour crane found no cracks in the jib." >"$state/documents/a.txt"
echo "The auditor asks for receipts of all fuel cards used in March." >"$state/documents/b.txt"
echo "Two sorties were cancelled because of fog over the northern airfield." >"$state/documents/c.txt"

# Submits the documents under the class at hand; sets job.
submit() {
  "$bin/ephemeral" submit "$state/documents" >"$folder/submitted"
  job=$(tail -1 "$folder/submitted")
}
# Waits for the job, fetches results and receipt to the folder $1, and judges the receipt once more.
fetch() {
  run "$bin/ephemeral" watch "$job" --timeout 200
  run "$bin/ephemeral" results get "$job" --output "$1"
  run "$bin/ephemeral" receipts verify "$job" 2>&1 | tee "$1/verdict"
}
submit
fetch "$state/first"
grep -q '^EMULATED' "$state/first/verdict" || die "the verdict does not say EMULATED"

stage "PCR0: what the machine's security module attested, and what was computed from the file"
"$bin/ephemeral" attest verify "$state/first/receipt.cose" --profile emulated --json >"$state/attested"
attested=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["pcrs"]["0"])' "$state/attested")
printf 'attested  %s\ncomputed  %s\n' "$attested" "$pcr0"
[ "$attested" = "$pcr0" ] || die "they differ"
# Nobody else takes it: not production (the default), not a development root.
refused() {
  if "$bin/ephemeral" attest verify "$state/first/receipt.cose" "$@" 2>"$state/refusal"; then
    die "an emulated receipt passed for evidence of another class"
  fi
  grep error: "$state/refusal"
}
refused
refused --root "$folder/cloud/attestation-root.pem"

stage "The machine stops in the middle of a job: the host notices, and the job ends after a restart"
unplug
boot
submit
await_line 60 "claimed.*job=$job" "$log/daemon-emulated.log"
# The new machine has no model yet: for the next seconds it pulls 90 MB.
kill -STOP "$(cat "$state/machine.pid")"
stopped=$(elapsed)
# A line of the log is a message, and then what it is about, by name.
lost="worker_(lost|unavailable).*job=$job|job=$job.*worker_(lost|unavailable)"
await_line 60 "$lost" "$log/daemon-emulated.log"
printf 'stopped at %s s; the daemon at %s s:\n' "$stopped" "$(elapsed)"
grep -E "$lost" "$log/daemon-emulated.log" | sed 's/^[^ ]* //'
unplug KILL
boot
fetch "$state/second"
attempt=$(json attempt <"$folder/store/jobs/$job/commit.json")
echo "committed by attempt $attempt"
[ "$attempt" -gt 1 ] || die "the job was not interrupted"
unplug
end daemon-emulated

stage "The same documents by a development worker on this machine"
cloud development
mkdir "$folder/image"
echo development >"$folder/image/evidence-class"
echo "unix:$folder/nsm" >"$folder/image/security-module"
cp "$folder/policy.pub" "$folder/cloud/kms-roots.pem" "$folder/image"
measured=$("$bin/devcloud" measure --worker "$bin/enclave-worker" --image "$folder/image" --json)
parties "$(json pcr0 <<<"$measured")" "$(json pcr1 <<<"$measured")" "$(json pcr2 <<<"$measured")"
start worker 'enclave-worker ready' "$bin/enclave-worker" --image "$folder/image" --listen "unix:$folder/worker"
daemon --worker "unix:$folder/worker"
submit
fetch "$state/reference" >/dev/null
python3 scripts/compare-embeddings.py "$state/reference" "$state/first" "$state/second"

echo
echo "test-enclave: passed in $(elapsed) s"
