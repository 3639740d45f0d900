#!/bin/bash
# What can be checked of infra/ on a machine without Terraform and without AWS: the syntax by a parser, the key policies
# by our linter, the rest by checkov and systemd. Says at its end what was not run. Downloads two Python packages once.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
failed=0
skipped=()

# $1: folder, $2: package==version. Apart from one another: checkov brings a fork of the parser under the same name.
venv() {
  if [ ! -e "$1/complete" ]; then
    rm -rf "$1"
    mkdir -p "$(dirname "$1")"
    python3 -m venv "$1"
    "$1/bin/pip" install --quiet --disable-pip-version-check "$2"
    touch "$1/complete"
  fi
}
check() { # $1: name, rest: command
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then echo "ok      $name"; else
    echo "FAILED  $name"
    printf '%s\n' "$output" | sed 's/^/        /'
    failed=1
  fi
}

venv .cache/venv-hcl2 python-hcl2==8.1.4
check "syntax of every .tf (python-hcl2 8.1.4)" .cache/venv-hcl2/bin/python - <<'PYTHON'
import glob, hcl2
files = glob.glob("infra/terraform/**/*.tf", recursive=True)
assert len(files) >= 10, files
for path in files:
    with open(path) as file:
        try:
            hcl2.load(file)
        except Exception as error:
            raise SystemExit(f"{path}: {error}")
PYTHON

check "everything referred to is there" python3 scripts/check-terraform-references.py

ephemeral=.build/release/ephemeral
if [ -x "$ephemeral" ]; then
  for policy in infra/terraform/examples/*/policies/*.json; do
    use=epoch
    [[ $policy == */model-* ]] && use=model
    check "kms-lint ${policy##*/}, use $use" "$ephemeral" policy kms-lint "$policy" --use "$use"
  done
else
  skipped+=("kms-lint of the key policies: there is no $ephemeral; run \`make build\`")
  failed=1
fi

venv .cache/venv-infra checkov==3.3.30
check "checkov 3.3.30 (skips stand inline, each with its reason)" .cache/venv-infra/bin/checkov --directory infra/terraform \
  --framework terraform --skip-download --download-external-modules false --compact --quiet

for script in infra/systemd/run-enclave infra/systemd/ephemeral-metrics; do check "bash -n ${script##*/}" bash -n "$script"; done

if command -v systemd-analyze >/dev/null; then
  # systemd looks for the programs that a unit starts and the units that it needs.
  stage=$(mktemp -d)
  trap 'rm -rf "$stage"' EXIT
  mkdir -p "$stage"/etc/systemd/system "$stage"/opt/ephemeral/bin "$stage"/bin
  cp infra/systemd/*.service infra/systemd/*.timer "$stage/etc/systemd/system/"
  # The client's units belong to a user's manager; as one instance, of the user who checks.
  for unit in infra/systemd/user/ephemeral-sync@.*; do cp "$unit" "$stage/etc/systemd/system/ephemeral-sync@check.${unit##*.}"; done
  for program in ephemeral run-enclave ephemeral-metrics; do install -m 755 /bin/true "$stage/opt/ephemeral/bin/$program"; done
  install -m 755 /bin/true "$stage/bin/kill"
  printf '[Service]\nType=oneshot\nExecStart=/opt/ephemeral/bin/ephemeral\n' \
    >"$stage/etc/systemd/system/nitro-enclaves-allocator.service"
  for target in sysinit basic multi-user timers network-online shutdown; do
    printf '[Unit]\nDescription=%s\n' "$target" >"$stage/etc/systemd/system/$target.target"
  done
  cd "$stage/etc/systemd/system"
  for unit in ephemeral-*.service ephemeral-*.timer; do
    check "systemd-analyze verify $unit" systemd-analyze verify --root="$stage" --man=no --recursive-errors=one "$unit"
  done
  for unit in ephemeral-daemon ephemeral-enclave ephemeral-sync@check; do
    # The table of a unit that passes or fails has ninety lines; its last says it.
    check "systemd-analyze security $unit.service: exposure at most 3.0" bash -o pipefail -c \
      'systemd-analyze security --offline=true --threshold=30 --root="$1" "$2" --no-pager | tail -1' _ "$stage" "$unit.service"
  done
  cd "$root"
else
  skipped+=("systemd-analyze: not on this machine")
fi

echo
echo "not run, because it needs Terraform or AWS:"
printf '  %s\n' \
  "terraform init, validate, plan, apply: types, attributes, the provider's own checks" \
  "the templates' rendering (user-data.yaml.tftpl, allocator.yaml.tftpl), cloud-init, and the first boot" \
  "AWS's reading of the key policies, endpoint policies and metric filters" "${skipped[@]}"
exit $failed
