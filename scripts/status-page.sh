#!/bin/bash
# The status page of a real daemon, looked at through headless Chromium (Debian's package `chromium`): light and dark, wide
# and narrow. Screenshots go to .demo/status/pages; `status-page.sh keep` puts the wide light one into docs/images.
# A daemon, a worker and devcloud run on this machine meanwhile, as in the demo.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
bin=${EPHEMERALML_BIN:-$root/.build/release}
chromium=$(command -v chromium || command -v chromium-browser || true)
[ -n "$chromium" ] || { echo "test-status-page: needs Debian's package chromium: apt-get install chromium" >&2; exit 69; }
source scripts/demo-lib.sh

demo_state status
kind=s3 # the store: moto, so that there are requests to count
trap stop_all EXIT
trap 'exit 130' INT TERM

stage "A daemon with something to show"
start_devcloud >/dev/null
start_store >/dev/null
prepare_parties >/dev/null
start_worker
start_daemon --metrics-listen 127.0.0.1:0
port=$(sed -n 's/.*status endpoint is ready.*127\.0\.0\.1:\([0-9]*\).*/\1/p' "$log/daemon.log" | head -1)
[ -n "$port" ] || die "the daemon does not say where its status endpoint is"
url=http://127.0.0.1:$port

documents=$(mktemp -d)
seal() { # folder name, texts
  local folder=$documents/$1
  mkdir -p "$folder"
  shift
  local number=0 text
  for text in "$@"; do number=$((number + 1)); echo "$text" >"$folder/$number.txt"; done
  echo "$folder"
}
submit() { "$bin/ephemeral" submit "$@" 2>/dev/null | tail -1; }
for name in invoices minutes letters; do
  last=$(submit "$(seal "$name" "About $name." "More about $name." "The last of $name.")")
done
"$bin/ephemeral" watch "$last" --timeout 600 >/dev/null
submit "$(seal tonight "What came today." "And this.")" --schedule nightly-embeddings >"$state/night-job"
"$bin/ephemeral" schedule run-now nightly-embeddings >/dev/null
"$bin/ephemeral" watch "$(cat "$state/night-job")" --timeout 600 >/dev/null
submit "$(seal tomorrow "For tomorrow night.")" --schedule nightly-embeddings >/dev/null
# No bundle at all: it ends in a refusal.
garbage=$documents/garbage
head -c 3000 /dev/zero >"$garbage"
curl -sS -o /dev/null -T "$garbage" \
  "$EPHEMERALML_S3_ENDPOINT/bucket/demo/inbox/default/$(sha256sum "$garbage" | cut -d' ' -f1).age"
for _ in $(seq 100); do
  curl -sS "$url/status.json" | grep -q '"outcome" : "refused"' && break
  sleep 0.2
done
# What waits: a paused queue.
"$bin/ephemeral" queue pause default >/dev/null
for name in drafts notes; do submit "$(seal "$name" "About $name.")" >/dev/null; done
rm -rf "$documents"

stage "What it answers"
for _ in $(seq 60); do
  [ "$(curl -sS -o /dev/null -w '%{http_code}' "$url/readyz")" = 200 ] && break
  sleep 0.5
done
for path in healthz readyz status.json metrics status; do
  code=$(curl -sS -o "$state/$path.answer" -w '%{http_code}' "$url/$path")
  echo "/$path $code"
  [ "$code" = 200 ] || { cat "$state/$path.answer"; die "/$path answered $code"; }
done
if [ -x .cache/promtool/promtool ]; then .cache/promtool/promtool check metrics <"$state/metrics.answer" && echo "promtool: nothing to say"; fi
# The figures are gathered every five seconds.
for _ in $(seq 60); do
  curl -sS "$url/metrics" | grep -q 'ephemeral_queue_jobs{queue="default",state="ready"} 2' && break
  sleep 0.5
done

stage "The page in Chromium"
python3 scripts/status-page.py "$chromium" "$url/status" "$state/pages"
if [ "${1:-}" = keep ]; then
  mkdir -p docs/images
  cp "$state/pages/light-1280.png" docs/images/status.png
  ls -l docs/images/status.png
fi
echo "screenshots: $state/pages"
