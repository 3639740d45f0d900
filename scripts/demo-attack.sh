#!/bin/bash
# After `make demo`: you are the host. You may read and change everything that a host has: store, queue, logs. Each attack
# is shown with the command and with what the analyst's client answers; then everything is put back. Exit code 0 when every
# attack was refused. Argument: the documents of the demo (default: what the last job of the ledger was made of).
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
bin=${EPHEMERALML_BIN:-$root/.build/release}
source scripts/demo-lib.sh

[ -s .demo/dir/last-job ] && [ -s .demo/dir/night-job ] || { echo "demo-attack: run \`make demo\` first" >&2; exit 64; }
demo_state dir
store=$state/store
job=$(tail -1 "$state/last-job") other=$(tail -1 "$state/night-job")
documents=${1:-$("$bin/ephemeral" status "$job" 2>/dev/null | sed -nE 's/^input +(.*), [0-9,]+ items?$/\1/p' || true)}
[ -e "$documents" ] || { echo "demo-attack: there is no ${documents:-record of the documents}; name them" >&2; exit 64; }
attacks=0 refused=0

# What a job's commit points at.
attempt() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["attempt"])' "$store/jobs/$1/commit.json"; }
mine=$store/jobs/$job/attempts/$(attempt "$job") its=$store/jobs/$other/attempts/$(attempt "$other")

# Every object that an attack touches is kept aside and put back, also when this script is interrupted.
kept=$(mktemp -d "$state/kept.XXXXXX")
keep() {
  local path
  for path in "$@"; do
    mkdir -p "$kept/$(dirname "${path#"$store"/}")"
    cp -p "$path" "$kept/${path#"$store"/}"
  done
}
put_back() {
  cp -pr "$kept/." "$store/"
  rm -rf "$kept"
  mkdir -p "$kept"
}
trap 'put_back; rm -rf "$kept" "$state/stolen"' EXIT
trap 'exit 130' INT TERM

show() { printf '%s$ %s%s\n' "$bold" "$1" "$plain" | sed "s#$root/##g; s#$bin/##g"; }

# Flips the lowest bit of the byte in the middle of a file.
flip() {
  show "flip a bit in the middle of $1"
  python3 -c '
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[len(data) // 2] ^= 1
open(sys.argv[1], "wb").write(data)' "$1"
}

# Names a forged receipt in commit.json, as a host would.
point_at() {
  show "point commit.json of job ${1:0:12} at the receipt that lies there now"
  python3 -c '
import hashlib, json, sys
commit = json.load(open(sys.argv[1]))
commit["receipt_sha256"] = hashlib.sha256(open(sys.argv[2], "rb").read()).hexdigest()
json.dump(commit, open(sys.argv[1], "w"))' "$store/jobs/$1/commit.json" "$2"
}

# The analyst's command after an attack: it must end with one of the codes $1 and write nothing.
expect_refusal() {
  local codes=$1 code=0
  shift
  attacks=$((attacks + 1))
  rm -rf "$state/stolen"
  show "$*"
  "$@" >"$state/answer" 2>&1 || code=$?
  grep -E 'FAILED|error:|mend it' "$state/answer" | sed 's/^/    /' || true
  if [[ " $codes " == *" $code "* ]] && [ ! -e "$state/stolen" ]; then
    refused=$((refused + 1))
    echo "    refused (exit code $code)"
  else
    sed 's/^/    /' "$state/answer"
    echo "    NOT REFUSED (exit code $code)"
  fi
  rm -f "$state/answer"
  put_back
}
results_of() { expect_refusal "20 21" "$bin/ephemeral" results get "$1" --output "$state/stolen"; }

# Lines and names of $1 that are long enough to be its own, at most some 500, spread over all of it.
distinctive() {
  {
    [ ! -d "$1" ] || find "$1" -type f -printf '%P\n' | grep -E '.{16}' || true
    LC_ALL=C grep -rhoIE '[[:alnum:]].{24,200}' "$1" || true
  } | LC_ALL=C sort -u | awk '{ line[NR] = $0 } END { step = int(NR / 500) + 1; for (i = 1; i <= NR; i += step) print line[i] }'
}

stage "Read: search store, queue and logs for lines and names of the documents"
patterns=$(mktemp)
distinctive "$documents" >"$patterns"
[ -s "$patterns" ] || die "$documents holds no text that could be searched for"
attacks=$((attacks + 1))
show "grep -rF ($(wc -l <"$patterns") lines and names of $documents) .demo/dir/store .demo/dir/host .demo/dir/log"
echo "    in the documents themselves: $(LC_ALL=C grep -rIhFf "$patterns" "$documents" | wc -l) lines found"
if found=$(LC_ALL=C grep -raFlf "$patterns" "$store" "$host" "$log"); then
  echo "$found" | sed 's/^/    FOUND IN /'
else
  refused=$((refused + 1))
  echo "    in what the host has: nothing"
fi
rm -f "$patterns"

stage "Swap the results of two jobs"
keep "$mine/output.jsonl.age" "$its/output.jsonl.age"
show "swap $mine/output.jsonl.age $its/output.jsonl.age"
cp "$kept/${its#"$store"/}/output.jsonl.age" "$mine/output.jsonl.age"
cp "$kept/${mine#"$store"/}/output.jsonl.age" "$its/output.jsonl.age"
results_of "$job"

stage "Offer one job's valid results and receipt for another job"
keep "$mine"/* "$store/jobs/$job/commit.json"
show "cp $its/* $mine/"
cp "$its"/* "$mine/"
point_at "$job" "$mine/receipt.cose"
results_of "$job"

stage "Flip a bit of a result"
keep "$mine/output.jsonl.age"
flip "$mine/output.jsonl.age"
results_of "$job"

stage "Cut the end off a result"
keep "$mine/items.cbor.age"
show "truncate --size=-1 $mine/items.cbor.age"
truncate --size=-1 "$mine/items.cbor.age"
results_of "$job"

stage "Flip a bit of the receipt, and let the commit name the forgery"
keep "$mine/receipt.cose" "$store/jobs/$job/commit.json"
flip "$mine/receipt.cose"
point_at "$job" "$mine/receipt.cose"
expect_refusal "20 21" "$bin/ephemeral" receipts verify "$job"

stage "Flip a bit of the sealing key's announcement"
announcement=$(ls -d "$store"/epochs/*/announcement.cose | sort -t/ -k"$(($(tr -dc / <<<"$store" | wc -c) + 3))" -n | tail -1)
keep "$store"/epochs/*/announcement.cose
flip "$announcement"
expect_refusal 20 "$bin/ephemeral" submit "$documents" --skip-invalid --dry-run

stage "Roll the policy back to one that the security officer signed before"
keep "$store/policy/current.cose"
older=$(($(cat "$state/officer/version") - 1))
sed "s/^version: .*/version: $older/" "$state/officer/policy.yaml" >"$state/officer/older.yaml"
"$bin/ephemeral" policy sign "$state/officer/older.yaml" --key "$state/officer/policy.key" \
  --output "$state/officer/older.cose" >/dev/null
show "cp (the policy of version $older) $store/policy/current.cose"
cp "$state/officer/older.cose" "$store/policy/current.cose"
rm -f "$state/officer/older.yaml" "$state/officer/older.cose"
expect_refusal 20 "$bin/ephemeral" submit "$documents" --skip-invalid --dry-run

stage "Put everything back"
show "ephemeral receipts verify ${job:0:12}"
"$bin/ephemeral" receipts verify "$job" 2>/dev/null | tail -1
echo
if [ "$refused" -ne "$attacks" ]; then
  echo "$((attacks - refused)) of $attacks attacks were NOT refused" >&2
  exit 1
fi
echo "$attacks attacks, $refused refused"
