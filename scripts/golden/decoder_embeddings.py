#!/usr/bin/env python3
"""Writes Tests/Vectors/decoder-embeddings: small random decoders that give embeddings, as sentence-transformers writes
them, and what it makes of a few texts. Each folder is as those of encoders.py.

    python decoder_embeddings.py OUT_DIR
"""
import pathlib
import shutil
import sys

import tokenizers
import torch
import transformers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from decoder_tokens import LLAMA3
from encoders import TEXTS, embedder


def byte_level(single):
    tokenizer = tokenizers.Tokenizer(models.BPE(ignore_merges=False))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(tokenizers.Regex(LLAMA3 % r"\p{N}"), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(TEXTS, trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<s>", "</s>", "<pad>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=single, special_tokens=[("<s>", 0), ("</s>", 1)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", model_max_length=1000)


def main():
    out = pathlib.Path(sys.argv[1])
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    torch.set_num_threads(1)
    shape = dict(vocab_size=320, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                 head_dim=16, intermediate_size=96, max_position_embeddings=256, bos_token_id=0, eos_token_id=1,
                 pad_token_id=2, attn_implementation="eager")
    # As Qwen3-Embedding: the last token is the one that ends a text, and a prompt stands before queries.
    embedder(out, "qwen3", transformers.Qwen3Model, transformers.Qwen3Config(**shape, tie_word_embeddings=True),
             byte_level("$A </s>"), 31, "lasttoken", limit=120, dtype=torch.bfloat16,
             prompts={"query": "Instruct: find what answers it\nQuery:", "document": ""})
    # As e5-mistral: a window, a first token, a head that no file has; in shards.
    embedder(out, "mistral", transformers.MistralModel,
             transformers.MistralConfig(**shape, sliding_window=24, tie_word_embeddings=False),
             byte_level("<s> $A </s>"), 32, "lasttoken", dtype=torch.float16, shard="60KB")
    embedder(out, "llama", transformers.LlamaModel, transformers.LlamaConfig(**shape, tie_word_embeddings=False),
             byte_level("<s> $A"), 33, "lasttoken", normalize=False)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{len(list(out.iterdir()))} models, {size} bytes")


if __name__ == "__main__":
    main()
