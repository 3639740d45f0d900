#!/usr/bin/env python3
"""Writes Tests/Vectors/inference: what Hugging Face's tokenizers and PyTorch make of the corpus.

    python reference.py MODEL_DIR OUT_DIR

corpus.jsonl    one JSON string a line
ids.bin         for each text: u16 count (bit 15: truncated), then that many u16 ids; little-endian
embeddings.f16  the reference embedding of every fifth text (0, 5, 10, …), binary16, little-endian
"""
import argparse
import json
import pathlib

import numpy as np
import tokenizers
import torch
import transformers

from corpus import texts


def embeddings(model_dir, encodings):
    model = transformers.BertModel.from_pretrained(model_dir, add_pooling_layer=False, attn_implementation="eager")
    model = model.float().eval()
    out = []
    with torch.no_grad():
        for ids in encodings:  # one by one: no padding, no mask
            hidden = model(input_ids=torch.tensor([ids])).last_hidden_state[0]
            out.append(torch.nn.functional.normalize(hidden.mean(dim=0), dim=0).numpy())
    return np.stack(out)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model_dir", type=pathlib.Path)
    parser.add_argument("out_dir", type=pathlib.Path)
    args = parser.parse_args()
    torch.set_num_threads(1)

    corpus = texts()
    limit = json.loads((args.model_dir / "sentence_bert_config.json").read_text())["max_seq_length"]
    tokenizer = tokenizers.Tokenizer.from_file(str(args.model_dir / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    whole = [tokenizer.encode(text).ids for text in corpus]
    tokenizer.enable_truncation(limit)
    cut = [tokenizer.encode(text).ids for text in corpus]

    args.out_dir.mkdir(parents=True, exist_ok=True)
    with open(args.out_dir / "corpus.jsonl", "w", encoding="utf-8") as file:
        for text in corpus:
            file.write(json.dumps(text, ensure_ascii=False) + "\n")
    with open(args.out_dir / "ids.bin", "wb") as file:
        for full, ids in zip(whole, cut):
            head = len(ids) | (0x8000 if len(full) > limit else 0)
            file.write(np.array([head, *ids], "<u2").tobytes())
    vectors = embeddings(args.model_dir, cut[::5])
    vectors.astype("<f2").tofile(args.out_dir / "embeddings.f16")
    print(f"{len(corpus)} texts, {sum(map(len, cut))} tokens; tokenizers {tokenizers.__version__}, torch {torch.__version__}")


main()
