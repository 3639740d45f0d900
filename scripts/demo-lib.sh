# What demo.sh and demo-attack.sh share: where things are, and how parts are started and stopped. Sourced, not run.
# Callers set: root (the checkout) and bin (the programs), and for another model than the demo's model_folder,
# model_operations and model_weights (the policy's formats and dtypes).

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold= plain=; fi
pids=()
start_seconds=30
began=$(date +%s%N)

# Seconds since the start, one decimal.
elapsed() {
  local tenths=$((($(date +%s%N) - began) / 100000000))
  printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}

stage() { printf '\n%s== %s%s  [%s s]\n' "$bold" "$1" "$plain" "$(elapsed)"; }

# Shows a command as a person would type it, then runs it.
run() {
  printf '%s$ %s%s\n' "$bold" "$(printf '%q ' "$@")" "$plain" | sed "s#$bin/##g; s#$root/##g"
  "$@"
}

# Runs a command for which 3 (done in part: some documents were left out, or failed) is no reason to stop.
or_in_part() {
  local code=0
  "$@" || code=$?
  [ "$code" -eq 0 ] || [ "$code" -eq 3 ] || exit "$code"
}

die() {
  echo "demo: $*" >&2
  exit 1
}

# Folders of a demo over the store kind $1. Sockets need short paths, and their names are measured, so they stay put.
demo_state() {
  kind=$1
  state=$root/.demo/$kind
  mkdir -p "$state"
  chmod 700 "$root/.demo" "$state"
  sockets=${XDG_RUNTIME_DIR:-/tmp}/ephemeralml-$(id -u)-$(printf '%s' "$state" | sha256sum | cut -c1-8)
  [ -d "$sockets" ] || mkdir -m 700 "$sockets"
  [ -O "$sockets" ] && [ ! -L "$sockets" ] || die "$sockets belongs to somebody else"
  cloud=$state/devcloud image=$state/image host=$state/host log=$state/log
  mkdir -p "$image" "$log"
  export EPHEMERAL_HOME=$state/analyst
  unset EPHEMERAL_STORE EPHEMERAL_PROFILE EPHEMERAL_MODEL
}

# Starts a part in the background: name, command.
launch() {
  local name=$1
  shift
  "$@" >"$log/$name.log" 2>&1 </dev/null &
  pids+=("$!")
  echo "$!" >"$state/$name.pid"
}

# Starts a part and waits until it is ready: name, pattern of the line that it prints then, command.
start() {
  local name=$1 ready=$2 pid
  shift 2
  launch "$name" "$@"
  pid=$(cat "$state/$name.pid")
  for _ in $(seq $((start_seconds * 20))); do
    grep -qE -- "$ready" "$log/$name.log" 2>/dev/null && return 0
    kill -0 "$pid" 2>/dev/null || { tail -5 "$log/$name.log" >&2; die "$name ended; its log is $log/$name.log"; }
    sleep 0.05
  done
  die "$name is not ready after $start_seconds s; its log is $log/$name.log"
}

# Peak memory of a part, while it runs.
peak() { awk '/VmHWM/ { printf "%d MB", $2 / 1024 }' "/proc/$(cat "$state/$1.pid")/status" 2>/dev/null || echo '?'; }

# Ends what was started here, in the reverse order, by process id.
stop_all() {
  local i
  for ((i = ${#pids[@]} - 1; i >= 0; i--)); do kill "${pids[i]}" 2>/dev/null || true; done
  for ((i = ${#pids[@]} - 1; i >= 0; i--)); do wait "${pids[i]}" 2>/dev/null || true; done
  pids=()
  if [ "${kind:-}" = s3 ]; then "$root/scripts/moto.sh" stop "$state" 2>/dev/null || true; fi
}

start_devcloud() {
  [ -d "$cloud" ] || run "$bin/devcloud" init --state "$cloud"
  epoch_key=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["epoch_key"])' "$cloud/keys.json")
  model_key=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["model_key"])' "$cloud/keys.json")
  start devcloud 'devcloud ready' "$bin/devcloud" run --state "$cloud" \
    --nsm-socket "$sockets/nsm.sock" --kms-socket "$sockets/kms.sock"
}

start_store() {
  if [ "$kind" = s3 ]; then
    # moto keeps nothing across a restart, so what hangs on the store's content begins anew.
    rm -rf "$state/analyst" "$state/officer/policy.yaml" "$host"
    "$root/scripts/moto.sh" start "$state" $$ >/dev/null
    set -a
    # shellcheck disable=SC1091
    source "$state/moto.env"
    set +a
    store="s3://bucket/demo?endpoint=$EPHEMERALML_S3_ENDPOINT&region=us-east-1"
  else
    mkdir -p "$state/store"
    store=file://$state/store
  fi
  echo "$store"
}

# Security officer: policy key and image. Model owner: the model. Analyst: keys and trust. All once; the policy is signed
# again whenever the programs, and so the measurements, changed.
prepare_parties() {
  local officer=$state/officer owner=$state/owner
  mkdir -p -m 700 "$officer" "$owner"
  [ -f "$officer/policy.key" ] || run "$bin/ephemeral" policy keygen --output "$officer/policy"
  echo development >"$image/evidence-class"
  echo "unix:$sockets/nsm.sock" >"$image/security-module"
  cp "$officer/policy.pub" "$image/policy.pub"
  cp "$cloud/kms-roots.pem" "$image/kms-roots.pem"

  if [ ! -f "$EPHEMERAL_HOME/config.yaml" ]; then
    run "$bin/ephemeral" setup --store "$store" --profile demo --class development \
      --root "$cloud/attestation-root.pem" --policy-key "$officer/policy.pub" --name analyst
  fi
  model=$("$bin/ephemeral" models publish "${model_folder:-$root/.cache/models/all-MiniLM-L6-v2}" --home "$owner" --store "$store" \
    --kms-key "$model_key" --aws-profile "$cloud/credentials:publisher" --kms-endpoint "unix:$sockets/kms.sock" \
    --kms-roots "$cloud/kms-roots.pem")
  echo "model $model"
  sign_policy "$officer" "$owner"
}

# Writes and signs the policy when what it names has changed.
sign_policy() {
  local officer=$1 owner=$2 measured version=1
  measured=$("$bin/devcloud" measure --worker "$bin/enclave-worker" --image "$image" --json)
  pcr() { python3 -c 'import json,sys; print(json.loads(sys.argv[1])[sys.argv[2]])' "$measured" "$1"; }
  local wanted="$measured $model $epoch_key $model_key $store"
  if [ -f "$officer/policy.cose" ] && [ "$(cat "$officer/covers" 2>/dev/null)" = "$wanted" ] && [ -f "$officer/policy.yaml" ]; then
    echo "policy: signed before, and it covers these programs"
    return
  fi
  # The sealing keys so far were announced by an image that this policy no longer lists: the new image makes its own.
  local minimum=1 last
  last=$({ ls "$state/store/epochs" 2>/dev/null || true; } | sort -n | tail -1)
  if [ -n "$last" ]; then minimum=$((last + 1)); fi
  if [ -f "$officer/version" ]; then version=$(($(cat "$officer/version") + 1)); fi
  run "$bin/devcloud" allow --state "$cloud" --pcr0 "$(pcr pcr0)" --pcr1 "$(pcr pcr1)" --pcr2 "$(pcr pcr2)"
  cat >"$officer/policy.yaml" <<POLICY
version: $version
valid_for_days: 30
measurements:
  - {name: demo-worker, pcr0: "$(pcr pcr0)", pcr1: "$(pcr pcr1)", pcr2: "$(pcr pcr2)"}
epoch_key: $epoch_key
minimum_epoch: $minimum
epoch_validity_hours: 168
${model_weights:-}
submitters:
$("$bin/ephemeral" keys export --name analyst --operation "${model_operations:-embed}" --model "$model" 2>/dev/null | sed 's/^/  /')
publishers:
$("$bin/ephemeral" keys export --publisher --name models-team --model-key "$model_key" --home "$owner" 2>/dev/null | sed 's/^/  /')
POLICY
  run "$bin/ephemeral" policy sign "$officer/policy.yaml" --key "$officer/policy.key" --output "$officer/policy.cose"
  run "$bin/ephemeral" policy install "$officer/policy.cose" --profile demo
  echo "$version" >"$officer/version"
  echo "$wanted" >"$officer/covers"
}

start_worker() {
  start worker 'enclave-worker ready' "$bin/enclave-worker" --image "$image" --listen "unix:$sockets/worker.sock"
}

# Further arguments are the daemon's.
start_daemon() {
  start daemon 'worker is ready' "$bin/ephemeral" daemon run --store "$store" --state "$host" \
    --worker "unix:$sockets/worker.sock" --relay-target "unix:$sockets/kms.sock" \
    --relay-listen "unix:$sockets/relay.sock" --socket "$sockets/daemon.sock" --policy-key "$image/policy.pub" \
    --schedules "$root/jobs" --aws-profile "$cloud/credentials:host" --poll 0.2 "$@"
  export EPHEMERAL_DAEMON_SOCKET=$sockets/daemon.sock
}
