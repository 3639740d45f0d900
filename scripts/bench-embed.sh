#!/bin/bash
# Our engine and its peers in one run: makes their virtual environment and models when they are not there, then measures.
# Arguments: rounds, threads, 1 for a quick run, output folder. State: .cache/venv-bench and .cache/bench-embed.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-7} threads=${2:-2} quick=${3:-} out=${4:-docs/benchmarks}
bin=${EPHEMERALML_BIN:-.build/release}
venv=.cache/venv-bench work=.cache/bench-embed model=.cache/models/all-MiniLM-L6-v2
build_seconds=1200 # What a peer may take to install; llama.cpp is compiled, 5 minutes of processor time.

digest() { cat "$@" | sha256sum | cut -c1-16; }

# Other versions, another environment.
wanted=$(digest scripts/bench/requirements/*.txt)
if [ "$(cat "$venv/complete" 2>/dev/null)" != "$wanted" ]; then
  rm -rf "$venv" "$work"
  mkdir -p "$work/failed"
  python3 -m venv "$venv"
  install() {
    # The first list holds for all: no peer's wishes change it.
    timeout "$build_seconds" env CMAKE_BUILD_PARALLEL_LEVEL=2 "$venv/bin/pip" install --quiet --disable-pip-version-check \
      --constraint scripts/bench/requirements/base.txt -r "scripts/bench/requirements/$1.txt" >"$work/$1-install.log" 2>&1
  }
  echo "bench-embed: installing the peers from PyPI to $venv (ten minutes the first time)"
  install base || { tail -5 "$work/base-install.log" >&2; exit 1; }
  # PyTorch first: the reference, and what the others' models are converted from.
  for peer in pytorch onnxruntime openvino ctranslate2 llamacpp; do
    echo "  $peer"
    if ! install "$peer"; then
      { grep -E '^ *(ERROR|error)' "$work/$peer-install.log" || echo "did not install in $build_seconds s"; } | tail -1 >"$work/failed/$peer"
      echo "  $peer did not install: $(cat "$work/failed/$peer")"
    fi
  done
  echo "$wanted" >"$venv/complete"
fi

# What is kept of the peers (models, reference, accuracy) holds for one way of making it.
made=$(digest scripts/bench/{convert,documents,peers}.py "$venv/complete")
if [ "$(cat "$work/made" 2>/dev/null)" != "$made" ]; then
  find "$work" -mindepth 1 -maxdepth 1 ! -name failed -exec rm -rf {} +
  "$venv/bin/python" scripts/bench/documents.py "$model" "$work/documents"
  echo "$made" >"$work/made"
fi

PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1 "$venv/bin/python" scripts/bench/embed.py --program "$bin/bench-embed" --model "$model" \
  --work "$work" --out "$out" --rounds "$rounds" --threads "$threads" ${quick:+--quick}
sed -n '/^## Targets/,/^## Other/p' "$out/embed.md" | sed '$d'
echo "The whole table: $out/embed.md, with embed.json and embed.png"
