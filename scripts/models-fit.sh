#!/bin/bash
# Prints which well-known decoders fit which enclaves, as docs/decoders.md has it: computed from their shapes, which are
# those of their published config.json files. No weights are needed.
#
#   scripts/models-fit.sh [OPTIONS OF `ephemeral models fit`]
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# name model_type hidden inner layers heads key-heads head-width vocabulary positions tied
shape() {
  mkdir "$folder/$1"
  cat > "$folder/$1/config.json" <<JSON
{"model_type": "$2", "hidden_size": $3, "intermediate_size": $4, "num_hidden_layers": $5, "num_attention_heads": $6,
 "num_key_value_heads": $7, "head_dim": $8, "vocab_size": $9, "max_position_embeddings": ${10},
 "tie_word_embeddings": ${11}}
JSON
}
shape SmolLM2-360M llama 960 2560 32 15 5 64 49152 8192 true
shape TinyLlama-1.1B llama 2048 5632 22 32 4 64 32000 2048 false
shape Llama-3.2-1B llama 2048 8192 16 32 8 64 128256 131072 true
shape Llama-3.2-3B llama 3072 8192 28 24 8 128 128256 131072 true
shape Qwen3-4B qwen3 2560 9728 36 32 8 128 151936 40960 true
shape Mistral-7B-v0.3 mistral 4096 14336 32 32 8 128 32768 32768 false
shape Qwen2.5-7B qwen2 3584 18944 28 28 4 128 152064 32768 false
shape Llama-3.1-8B llama 4096 14336 32 32 8 128 128256 131072 false

cd "$folder"
exec "${EPHEMERAL:-$OLDPWD/.build/release/ephemeral}" models fit \
  SmolLM2-360M TinyLlama-1.1B Llama-3.2-1B Llama-3.2-3B Qwen3-4B Mistral-7B-v0.3 Qwen2.5-7B Llama-3.1-8B "$@"
