#!/bin/bash
# Our decoder and llama.cpp's in one run: makes the virtual environment and the models when they are not there, then measures.
# Arguments: models, quantisations, threads (lists), rounds, output folder, 1 to add to the tables that are there. State: .cache/venv-generate and
# .cache/bench-generate (10 GB with all models).
set -euo pipefail
cd "$(dirname "$0")/.."
models=${1:-100m,1b} quantisations=${2:-q4_0,q4_k_m,q8_0,bf16} threads=${3:-2,1} rounds=${4:-5} out=${5:-docs/benchmarks} append=${6:-}
program=${EPHEMERALML_BIN:-.build/release}/bench-generate
venv=.cache/venv-generate work=.cache/bench-generate

digest() { cat "$@" | sha256sum | cut -c1-16; }

wanted=$(digest scripts/bench/requirements/{base,llamacpp}.txt)
if [ "$(cat "$venv/complete" 2>/dev/null)" != "$wanted" ]; then
  rm -rf "$venv"
  mkdir -p "$work"
  python3 -m venv "$venv"
  echo "bench-generate: installing llama.cpp from PyPI to $venv (it is compiled: five minutes of processor time the first time)"
  # Compiled for this machine, from the source package: PyPI has no wheel of it, and one would know this processor less well.
  CMAKE_BUILD_PARALLEL_LEVEL=2 CMAKE_ARGS="-DGGML_NATIVE=ON" "$venv/bin/pip" install --quiet --disable-pip-version-check \
    --constraint scripts/bench/requirements/base.txt -r scripts/bench/requirements/llamacpp.txt numpy matplotlib \
    >"$work/install.log" 2>&1 || { tail -5 "$work/install.log" >&2; exit 1; }
  echo "$wanted" >"$venv/complete"
fi

made=$(digest scripts/bench/generate_models.py "$venv/complete")
if [ "$(cat "$work/made" 2>/dev/null)" != "$made" ]; then
  rm -f "$work"/*.gguf "$work"/*.part
  echo "$made" >"$work/made"
fi
export PYTHONDONTWRITEBYTECODE=1
for model in ${models//,/ }; do
  for quantisation in ${quantisations//,/ }; do
    [ -e "$work/$model-$quantisation.gguf" ] && continue
    echo "bench-generate: making $model-$quantisation.gguf"
    "$venv/bin/python" scripts/bench/generate_models.py "$model" "$quantisation" "$work" >"$work/models.log" 2>&1 ||
      { tail -5 "$work/models.log" >&2; exit 1; }
  done
done

"$venv/bin/python" scripts/bench/generate.py --program "$program" --work "$work" --out "$out" --models "$models" \
  --quantisations "$quantisations" --threads "$threads" --rounds "$rounds" ${append:+--append}
grep -E '^(\| model|\|---|\| [0-9]+[mb])' "$out/generate.md"
echo "The whole table: $out/generate.md, with generate.json and generate.png"
