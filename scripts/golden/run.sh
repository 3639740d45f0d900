#!/bin/sh
# Makes the reference data of Tests/Vectors/inference, encoders, decoders, decoder-embeddings and tokenizers and the
# tokenizer's Unicode tables again, from the Python originals. PyTorch comes with gigabytes of wheels, and llama.cpp is
# compiled: this is never part of `make test`.
set -eu
cd "$(dirname "$0")/../.."

model=${EPHEMERALML_MODEL_DIR:-.cache/models/all-MiniLM-L6-v2}
if [ ! -f "$model/model.safetensors" ]; then
  echo "golden: the model is not in $model; \`make model\` fetches it" >&2
  exit 1
fi

venv=.cache/venv-golden
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r scripts/golden/requirements.txt

export PYTHONDONTWRITEBYTECODE=1
"$venv/bin/python" scripts/golden/reference.py "$model" Tests/Vectors/inference
"$venv/bin/python" scripts/golden/encoders.py Tests/Vectors/encoders
"$venv/bin/python" scripts/golden/gguf_files.py Tests/Vectors/gguf
"$venv/bin/python" scripts/golden/decoders.py Tests/Vectors/decoders
tables=Sources/Inference/Tokenizer/UnicodeTables.swift
"$venv/bin/python" scripts/golden/unicode_tables.py > "$tables.new"
mv "$tables.new" "$tables"
classes=Sources/Inference/Tokenizer/TextClassTables.swift
"$venv/bin/python" scripts/golden/text_classes.py > "$classes.new"
mv "$classes.new" "$classes"
"$venv/bin/python" scripts/golden/token_ids.py Tests/Vectors/tokenizers
"$venv/bin/python" scripts/golden/chat_templates.py Tests/Vectors/chat-templates
"$venv/bin/python" scripts/golden/decoder_tokens.py Tests/Vectors/tokenizers
"$venv/bin/python" scripts/golden/decoder_gguf.py Tests/Vectors
"$venv/bin/python" scripts/golden/decoder_types.py Tests/Vectors/decoders
"$venv/bin/python" scripts/golden/gguf_tokens.py Tests/Vectors/tokenizers
"$venv/bin/python" scripts/golden/decoder_embeddings.py Tests/Vectors/decoder-embeddings
git --no-pager diff --stat -- Tests/Vectors/inference Tests/Vectors/encoders Tests/Vectors/gguf Tests/Vectors/decoders \
  Tests/Vectors/decoder-embeddings Tests/Vectors/tokenizers Tests/Vectors/chat-templates "$tables" "$classes"
