#!/usr/bin/env python3
"""Writes Tests/Vectors/decoders: small random decoders as transformers writes them to disk, and what it makes of a few
token sequences in fp32.

    python decoders.py OUT_DIR

Each folder is a model without a tokenizer. golden.json beside it: {"items": [{"ids", "logits", "greedy", "margins"}]}:
the logits behind the last id, the 64 ids that greedy decoding goes on with, and by how much each of them led.
"""
import argparse
import json
import pathlib
import shutil

import torch
import transformers

VOCABULARY, NEW = 100, 64
LENGTHS = [1, 6, 33, 90]


def randomize(model, seed):
    """Weights of a size at which every part of the model tells in the result."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if name.endswith("norm.weight"):
            parameter.data = 1 + 0.1 * noise
        elif parameter.dim() == 1:
            parameter.data = 0.2 * noise
        elif "embed_tokens" in name:
            parameter.data = 0.25 * noise
        else:
            parameter.data = noise * 1.2 / parameter.shape[1] ** 0.5


def write(out, name, kind, config, seed, dtype=torch.float32, shard="1GB"):
    folder = out / name
    model = kind(config)
    randomize(model, seed)
    model.to(dtype).save_pretrained(folder, max_shard_size=shard)
    (folder / "generation_config.json").unlink(missing_ok=True)
    model = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    golden(folder, model, seed)


def golden(folder, model, seed):
    generator = torch.Generator().manual_seed(seed)
    lines = []
    for length in LENGTHS:
        ids = torch.randint(3, VOCABULARY, (length,), generator=generator).tolist()
        sequence, greedy, margins = list(ids), [], []
        for step in range(NEW):
            with torch.no_grad():  # the whole sequence each time: no cache has a part in the reference
                logits = model(torch.tensor([sequence]), use_cache=False).logits[0, -1]
            if step == 0:
                first = [round(value, 6) for value in logits.tolist()]
            best = torch.topk(logits, 2)
            greedy.append(best.indices[0].item())
            margins.append(round((best.values[0] - best.values[1]).item(), 5))
            sequence.append(greedy[-1])
        lines.append(json.dumps({"ids": ids, "logits": first, "greedy": greedy, "margins": margins}))
    (folder / "golden.json").write_text('{"items":[\n' + ",\n".join(lines) + "\n]}\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out_dir", type=pathlib.Path)
    out = parser.parse_args().out_dir
    torch.set_num_threads(1)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)

    def shape(**more):
        sizes = {"vocab_size": VOCABULARY, "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
                 "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 64, "max_position_embeddings": 256,
                 "bos_token_id": 1, "eos_token_id": 2, **more}
        return {name: size for name, size in sizes.items() if size is not None}

    def rope(kind, theta=10000.0, **more):
        return {"rope_type": kind, "rope_theta": theta, **more}

    llama, config = transformers.LlamaForCausalLM, transformers.LlamaConfig
    write(out, "llama", llama, config(**shape(tie_word_embeddings=False)), 1)
    write(out, "llama-biased", llama, config(**shape(
        hidden_size=64, head_dim=None, num_key_value_heads=4, attention_bias=True, mlp_bias=True,
        tie_word_embeddings=False, rope_parameters=rope("linear", factor=4.0))), 2, torch.float16, shard="40KB")
    write(out, "llama3", llama, config(**shape(
        num_key_value_heads=1, tie_word_embeddings=True, rms_norm_eps=1e-5, rope_parameters=rope(
            "llama3", 500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
            original_max_position_embeddings=64))), 3, torch.bfloat16)
    write(out, "llama-yarn", llama, config(**shape(tie_word_embeddings=True, rope_parameters=rope(
        "yarn", factor=4.0, original_max_position_embeddings=64))), 4, torch.float16)
    write(out, "mistral", transformers.MistralForCausalLM, transformers.MistralConfig(**shape(
        sliding_window=24, tie_word_embeddings=False)), 5, torch.float16)
    write(out, "qwen2", transformers.Qwen2ForCausalLM, transformers.Qwen2Config(**shape(
        head_dim=None, num_attention_heads=3, num_key_value_heads=1, tie_word_embeddings=True, use_sliding_window=True,
        sliding_window=40, max_window_layers=1, rope_parameters=rope("default", 1000000.0))), 6, torch.bfloat16)
    write(out, "qwen3", transformers.Qwen3ForCausalLM, transformers.Qwen3Config(**shape(
        head_dim=32, tie_word_embeddings=True)), 7, torch.float16)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{len(list(out.iterdir()))} models, {size} bytes; transformers {transformers.__version__}, torch {torch.__version__}")


if __name__ == "__main__":
    main()
