#!/bin/bash
# The enclave image from this source and Debian's packages: kernel, init, static worker, roots, policy key. Ends with 69
# when something cannot be downloaded.
#
#   POLICY_KEY  the policy's public key (a file); without it the reference image, for which nobody can sign a policy
#   CLASS       production (default) or emulated
#   PIN_POLICY  yes: each boot is held to its first policy, by PCR16
#   LOCK        check (default): ends with 1 where something is not what image.lock names; warn; update
#   OUTPUT      .build/image/ephemeralml.eif
set -euo pipefail
cd "$(dirname "$0")/.."

key=${POLICY_KEY:-infra/enclave/example/policy.pub}
class=${CLASS:-production}
lock=${LOCK:-check}
output=${OUTPUT:-.build/image/ephemeralml.eif}
pin=()
[ "${PIN_POLICY:-no}" = yes ] && pin=(--pin-policy)
case $lock in
  check | warn | update) ;;
  *) echo "image: LOCK is check, warn or update" >&2; exit 64 ;;
esac
ephemeral=.build/release/ephemeral
[ -x "$ephemeral" ] || { echo "image: no $ephemeral; run make build" >&2; exit 1; }

scripts/deps.sh image
mkdir -p .build/image "$(dirname "$output")"
scripts/enclave-init.sh "$PWD/.build/image/init"
kernel=$(scripts/enclave-kernel.sh | tail -n 1)
[ "$lock" = update ] || scripts/image-lock.py pin
echo "image: building the worker (about six minutes the first time)" >&2
worker=$(scripts/image-worker.sh | tail -n 1)
case $lock in
  check) scripts/image-lock.py check || { echo "image: LOCK=warn goes on all the same, LOCK=update takes what is here" >&2; exit 1; } ;;
  warn) scripts/image-lock.py check || true ;;
  update) scripts/image-lock.py update ;;
esac

"$ephemeral" image build --kernel "$kernel" --init .build/image/init --worker "$worker" --class "$class" \
  --policy-key "$key" --kms-roots infra/enclave/kms-roots.pem "${pin[@]}" --output "$output"
"$ephemeral" image measure "$output" --json >"${output%.eif}.json"
[ -n "${POLICY_KEY:-}" ] || echo "reference image: nobody holds its policy key; a deployment's: make image POLICY_KEY=policy.pub"
