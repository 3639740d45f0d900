#!/usr/bin/env python3
"""Adds GGUF files to Tests/Vectors/decoders and Tests/Vectors/tokenizers: the small decoders as llama.cpp's converter
writes such, and the small tokenizers as metadata alone.

    python decoder_gguf.py ../../Tests/Vectors

Where `llama_cpp` can be imported, it says how far its own logits of each file are from transformers' in golden.json: a
file that it would read otherwise shows.
"""
import json
import pathlib
import sys

import gguf
import numpy as np
import transformers
from safetensors import safe_open
from tokenizers import Tokenizer

import decoders
from decoder_tokens import FEW, decoded
from token_ids import Random, digests, text

MAPS = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
        "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm"}


def renamed(name):
    if name.startswith("model.layers."):
        layer, rest = name[len("model.layers."):].split(".", 1)
        part, kind = rest.rsplit(".", 1)
        return f"blk.{layer}.{MAPS[part]}.{kind}"
    return {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
            "lm_head.weight": "output.weight"}[name]


def neighbours(weight, heads):
    """The two halves of each head's rows side by side, as llama.cpp's converter puts them for Llama."""
    return weight.reshape(heads, 2, -1, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def vocabulary(writer, count):
    """Any vocabulary, so that llama.cpp takes the file."""
    letters = ["a", "1", "a1"] + [chr(ord("a") + i % 26) + str(i) for i in range(3, count - 3)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(["<unk>", "<s>", "</s>"] + letters)
    writer.add_token_types([3, 3, 3] + [1] * len(letters))
    writer.add_token_merges(["a 1"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)


def saved(folder):
    """The tensors of a folder's safetensors files, by name."""
    tensors = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            tensors |= {name: file.get_tensor(name).float().numpy() for name in file.keys()}
    return tensors


def model(folder, kind, tensors):
    config = json.loads((folder / "config.json").read_text())
    arch, heads, groups = config["model_type"], config["num_attention_heads"], config["num_key_value_heads"]
    width = config.get("head_dim") or config["hidden_size"] // heads
    rope = config["rope_parameters"]
    writer = gguf.GGUFWriter(folder / "model.gguf", arch)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(groups)
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_rope_dimension_count(width)
    writer.add_vocab_size(config["vocab_size"])
    vocabulary(writer, config["vocab_size"])
    if rope["rope_type"] in ["linear", "yarn"]:
        writer.add_rope_scaling_type(gguf.RopeScalingType(rope["rope_type"]))
        writer.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "yarn":
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    if rope["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_factors(rope, width))
    for name, tensor in tensors.items():
        if arch == "llama" and ".q_proj." in name:
            tensor = neighbours(tensor, heads)
        if arch == "llama" and ".k_proj." in name:
            tensor = neighbours(tensor, groups)
        if tensor.ndim == 1 or kind == gguf.GGMLQuantizationType.F32:
            writer.add_tensor(renamed(name), tensor)
        else:
            writer.add_tensor(renamed(name), gguf.quants.quantize(tensor, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def llama3_factors(rope, width):
    base = rope["rope_theta"] ** (np.arange(0, width, 2) / width)
    wave, context = 2 * np.pi * base, rope["original_max_position_embeddings"]
    low, high, factor = rope["low_freq_factor"], rope["high_freq_factor"], rope["factor"]
    kept = (context / wave - low) / (high - low)
    middle = 1 / ((1 - kept) / factor + kept)
    return np.where(wave < context / high, 1, np.where(wave > context / low, factor, middle)).astype(np.float32)


def check(folder):
    """llama.cpp's logits of the file against transformers' of the model."""
    import llama_cpp

    llm = llama_cpp.Llama(str(folder / "model.gguf"), n_ctx=256, n_threads=1, logits_all=True, verbose=False)
    worst = 0
    for item in json.loads((folder / "golden.json").read_text())["items"]:
        llm.reset()
        llm.eval(item["ids"])
        ours = np.array(llm.scores[len(item["ids"]) - 1])
        worst = max(worst, np.abs(ours - np.array(item["logits"])).max())
    print(f"{folder.name}: llama.cpp is within {worst:.2g} of transformers")


def quantized(folder, name):
    """A model whose weights are what Q8_0 makes of random ones; transformers computes them in fp32."""
    kind = gguf.GGMLQuantizationType.Q8_0
    config = transformers.LlamaConfig(
        vocab_size=decoders.VOCABULARY, hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, intermediate_size=96, max_position_embeddings=256, tie_word_embeddings=False,
        bos_token_id=1, eos_token_id=2, attn_implementation="eager")
    made = transformers.LlamaForCausalLM(config).eval()
    decoders.randomize(made, 8)
    for parameter in made.parameters():
        if parameter.dim() == 2:
            values = gguf.quants.dequantize(gguf.quants.quantize(parameter.detach().numpy(), kind), kind)
            parameter.data = parameter.data.new_tensor(values)
    (folder / name).mkdir(exist_ok=True)
    config.save_pretrained(folder / name)
    decoders.golden(folder / name, made, 8)
    model(folder / name, kind, {key: value.detach().numpy() for key, value in made.named_parameters()})


def metadata(path, name, file, pre):
    """A GGUF file of nothing but a tokenizer. `pre`: llama.cpp's name of how words are parted; None for SentencePiece's."""
    kinds = {token["content"]: 3 if token["special"] else 4 for token in file["added_tokens"]}
    tokens = dict(file["model"]["vocab"]) | {token["content"]: token["id"] for token in file["added_tokens"]}
    tokens = sorted(tokens, key=tokens.get)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_token_list(tokens)
    first = "<s>" if name == "llama2" else "<|begin_of_text|>"
    writer.add_bos_token_id(tokens.index(first))
    writer.add_add_bos_token(True)
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in file["model"]["merges"]]
    if pre is None:
        scores = {}
        for merge in merges:
            scores.setdefault(merge.replace(" ", ""), -float(len(scores)))
        writer.add_tokenizer_model("llama")
        writer.add_token_scores([scores.get(token, -1e6) for token in tokens])
        writer.add_token_types([2 if token == "<unk>" else kinds.get(token, 6 if token.startswith("<0x") else 1)
                                for token in tokens])
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(pre)
        writer.add_token_types([kinds.get(token, 1) for token in tokens])
        writer.add_token_merges(merges)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def sayable(path):
    """A tokenizer.json whose added tokens ask for nothing that GGUF cannot say."""
    file = json.loads(path.read_text("utf-8"))
    for token in file["added_tokens"]:
        token |= {name: False for name in ["single_word", "lstrip", "rstrip", "normalized"]}
    return file


def with_special(texts, name):
    """Some of the texts with a special token inside."""
    return [text.replace("<l>", "</s>" if name == "llama2" else "<|eot_id|>") for text in texts]


def tokenizer(folder, name):
    """The tokenizer of a tokenizer.json as metadata, and what `tokenizers` makes of it."""
    file = sayable(folder / f"{name}.json")
    metadata(folder / f"{name}.gguf", name, file, None if name == "llama2" else "llama-bpe")
    random = Random(20260402)
    texts = with_special([text(random) for _ in range(FEW)], name)
    made = Tokenizer.from_str(json.dumps(file))
    return [f"{name}-gguf " + " ".join(digests(made, texts)), f"{name}-gguf-decoded " + " ".join(decoded(made, texts))]


def main():
    vectors = pathlib.Path(sys.argv[1])
    kinds = {"llama": "F32", "llama-biased": "F16", "llama3": "BF16", "llama-yarn": "F16", "qwen3": "F16"}
    for name, kind in kinds.items():
        folder = vectors / "decoders" / name
        model(folder, gguf.GGMLQuantizationType[kind], saved(folder))
    quantized(vectors / "decoders", "llama-q8_0")
    lines = [line for name in ["llama2", "llama3"] for line in tokenizer(vectors / "tokenizers", name)]
    (vectors / "tokenizers" / "gguf-digests.txt").write_text("\n".join(lines) + "\n")
    try:
        import llama_cpp  # noqa: F401
    except ImportError:
        return
    for name in [*kinds, "llama-q8_0"]:
        check(vectors / "decoders" / name)


if __name__ == "__main__":
    main()
