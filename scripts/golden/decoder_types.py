#!/usr/bin/env python3
"""Writes Tests/Vectors/decoders/types.json: what transformers (in fp32, of the exact weights) and llama.cpp make of small
decoders whose weights are in every type of GGUF's. The files themselves are not kept: they are drawn, here and in
Tests/InferenceTests/DrawnDecoder.swift, from SplitMix64 and the tensors' names, bit for bit the same.

    python decoder_types.py ../../Tests/Vectors/decoders

One file is kept, llama-q4_k_m.gguf: of one layer, made by llama.cpp's own quantisation.
"""
import hashlib
import json
import pathlib
import sys
import tempfile

import gguf
import llama_cpp
import numpy as np
import torch
import transformers

from decoder_gguf import MAPS, vocabulary
from decoders import VOCABULARY

WIDTH, HEADS, GROUPS, HEAD, LAYERS, WINDOW, CONTEXT = 256, 8, 2, 32, 2, 24, 256
TYPES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"]
MIXES = {"Q4_K_M": ("Q4_K", "Q6_K"), "Q5_K_M": ("Q5_K", "Q6_K")}
FAMILIES = ["llama", "mistral", "qwen2", "qwen3"]
LENGTHS, NEW = [5, 70], 64
MASK = (1 << 64) - 1

# Of a block: where its binary16 numbers are, and their exponents under that of the weights' size; whether they have signs.
HALVES = {"Q4_0": [(0, 3, True)], "Q5_0": [(0, 4, True)], "Q8_0": [(0, 7, True)], "Q6_K": [(208, 11, True)],
          "Q4_1": [(0, 3, False), (2, 0, None)], "Q5_1": [(0, 4, False), (2, 0, None)],
          "Q4_K": [(0, 9, False), (2, 6, False)], "Q5_K": [(0, 10, False), (2, 6, False)]}


def words(seed, count):
    """The first numbers of SplitMix64."""
    z = np.uint64(seed) + np.uint64(0x9E3779B97F4A7C15) * np.arange(1, count + 1, dtype=np.uint64)
    z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return z ^ z >> np.uint64(31)


def seed(text):
    """FNV-1a."""
    hash = 0xCBF29CE484222325
    for byte in text.encode():
        hash = ((hash ^ byte) * 0x100000001B3) & MASK
    return hash


def drawn(key, kind, rows, width, size):
    """Bytes of a tensor whose numbers are about two to the power of `size`."""
    length, block = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
    count = rows * width // length
    raw = words(seed(key), (count * block + 7) // 8).astype("<u8").tobytes()[:count * block]
    if kind == "F32":
        bits = np.frombuffer(raw, "<u4")
        bits = bits & 0x807FFFFF | (127 + size - (bits >> 23 & 3)).astype(np.uint32) << 23
        return bits.astype("<u4").view(np.uint8).reshape(rows, -1)
    if kind in ["F16", "BF16"]:
        bits = np.frombuffer(raw, "<u2")
        bits = (bits & 0x83FF | (15 + size - (bits >> 10 & 3)).astype(np.uint16) << 10 if kind == "F16"
                else bits & 0x807F | (127 + size - (bits >> 7 & 3)).astype(np.uint16) << 7)
        return bits.astype("<u2").view(np.uint8).reshape(rows, -1)
    blocks = np.frombuffer(raw, np.uint8).reshape(count, block).copy()
    for place, under, signed in HALVES[kind]:
        bits = blocks[:, place:place + 2].copy().view("<u2")[:, 0]
        sign = bits & 0x8000 if signed else 0x8000 if signed is None else 0
        bits = (bits & 0x03FF | sign | max(15 + size - under, 0) << 10).astype("<u2")
        blocks[:, place:place + 2] = bits.view(np.uint8).reshape(-1, 2)
    return blocks.reshape(rows, -1)


def norm(key, width):
    """From 0.75 to 1.5."""
    bits = (np.uint32(0x3F400000) + (words(seed(key), width) & np.uint64(0x7FFFFF)).astype(np.uint32))
    return bits.astype("<u4").view(np.float32)


def table(family, layers):
    """Name, shape and size of each tensor; a size of None for norms."""
    yield "token_embd", (VOCABULARY, WIDTH), -2
    yield "output_norm", (WIDTH,), None
    yield "output", (VOCABULARY, WIDTH), -4
    for layer in range(layers):
        for name, shape in [("attn_q", (HEADS * HEAD, WIDTH)), ("attn_k", (GROUPS * HEAD, WIDTH)),
                            ("attn_v", (GROUPS * HEAD, WIDTH)), ("attn_output", (WIDTH, HEADS * HEAD)),
                            ("ffn_gate", (WIDTH, WIDTH)), ("ffn_up", (WIDTH, WIDTH)), ("ffn_down", (WIDTH, WIDTH))]:
            yield f"blk.{layer}.{name}", shape, -4
        for name in ["attn_norm", "ffn_norm"]:
            yield f"blk.{layer}.{name}", (WIDTH,), None
        if family == "qwen3":
            for name in ["attn_q_norm", "attn_k_norm"]:
                yield f"blk.{layer}.{name}", (HEAD,), None
        if family == "qwen2":
            for name, width in [("q", HEADS * HEAD), ("k", GROUPS * HEAD), ("v", GROUPS * HEAD)]:
                yield f"blk.{layer}.attn_{name}.bias", (width,), -2


def kind_of(name, mix):
    """The second type of a mix is that of the head and, in the last layer, of values and of the last map."""
    if mix not in MIXES:
        return mix
    return MIXES[mix][name in ["output", f"blk.{LAYERS - 1}.attn_v", f"blk.{LAYERS - 1}.ffn_down"]]


def write(path, family, mix, layers=LAYERS):
    """The file, and a digest of its tensors' bytes in the order of the table."""
    arch = "llama" if family == "mistral" else family
    writer = gguf.GGUFWriter(path, arch)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(WIDTH)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(GROUPS)
    writer.add_key_length(HEAD)
    writer.add_value_length(HEAD)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(HEAD)
    if family == "mistral":
        writer.add_sliding_window(WINDOW)
    vocabulary(writer, VOCABULARY)
    sha = hashlib.sha256()
    for name, shape, size in table(family, layers):
        full = name if name.endswith(".bias") else f"{name}.weight"
        key = f"{family} {mix} {full}"
        if len(shape) == 1:
            data = norm(key, shape[0]) if size is None else drawn(key, "F32", 1, shape[0], size).view("<f4")[0]
            writer.add_tensor(full, data)
        else:
            kind = kind_of(name, mix)
            data = drawn(key, kind, *shape, size)
            writer.add_tensor(full, data, raw_dtype=gguf.GGMLQuantizationType[kind])
        sha.update(data.tobytes())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return sha.hexdigest()


def floats(path):
    """The tensors of a file under transformers' names, exactly as they are."""
    reader, out = gguf.GGUFReader(path), {}
    names = {short: long for long, short in MAPS.items()}
    for tensor in reader.tensors:
        shape = [int(n) for n in tensor.shape[::-1]]
        value = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(shape).astype(np.float32)
        name, end = tensor.name.rsplit(".", 1)
        if reader.fields["general.architecture"].contents() == "llama" and name.endswith(("attn_q", "attn_k")):
            heads = HEADS if name.endswith("q") else GROUPS
            value = value.reshape(heads, -1, 2, shape[1]).swapaxes(1, 2).reshape(shape)
        if name.startswith("blk."):
            _, layer, part = name.split(".", 2)
            out[f"model.layers.{layer}.{names[part]}.{end}"] = value
        else:
            name = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}[name]
            out[f"{name}.{end}"] = value
    return out


def reference(family, path):
    weights = floats(path)
    layers = 1 + max(int(name.split(".")[2]) for name in weights if ".layers." in name)
    sizes = dict(vocab_size=VOCABULARY, hidden_size=WIDTH, num_hidden_layers=layers, num_attention_heads=HEADS,
                 num_key_value_heads=GROUPS, head_dim=HEAD, intermediate_size=WIDTH, max_position_embeddings=CONTEXT,
                 rms_norm_eps=1e-6, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2,
                 attn_implementation="eager", rope_parameters={"rope_type": "default", "rope_theta": 10000.0})
    name = {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3"}[family]
    if family == "mistral":
        sizes["sliding_window"] = WINDOW
    model = getattr(transformers, f"{name}ForCausalLM")(getattr(transformers, f"{name}Config")(**sizes)).eval()
    model.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    return model


class Peer:
    """llama.cpp, keys and values in F32, so that it rounds nothing but what its products take."""

    def __init__(self, path):
        self.llm = llama_cpp.Llama(
            str(path), n_ctx=CONTEXT, n_batch=CONTEXT, n_ubatch=CONTEXT, n_threads=1, n_threads_batch=1, logits_all=True,
            verbose=False, type_k=0, type_v=0, flash_attn=False)

    def row(self, ids):
        """The logits behind the last id. Of a longer sequence than the last one was only the end is computed."""
        if self.llm.n_tokens == 0 or list(self.llm.input_ids[:self.llm.n_tokens]) != ids[:self.llm.n_tokens]:
            self.llm.reset()
        self.llm.eval(ids[self.llm.n_tokens:])
        return np.array(self.llm.scores[len(ids) - 1])


def row(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids]), use_cache=False).logits[0, -1].numpy()


def items(family, path):
    """What both make of the file, and a line on how far apart they are."""
    model, peer, out, worst = reference(family, path), Peer(path), [], 0
    random = np.random.default_rng(11)
    for length in LENGTHS:
        ids = [int(i) for i in random.integers(3, VOCABULARY, length)]
        exact = row(model, ids)
        # llama.cpp knows of no window in a file of the architecture `llama`: there transformers alone is the reference.
        other = (lambda s: row(model, s)) if family == "mistral" else peer.row
        logits = other(ids)
        worst = max(worst, np.abs(logits - exact).max())
        sequence, margins = list(ids), []
        for _ in range(NEW):
            now = other(sequence)
            first, second = np.argsort(now)[::-1][:2]
            margins.append(round(float(now[first] - now[second]), 4))
            sequence.append(int(first))
        out.append({"ids": ids, "exact": [round(float(x), 5) for x in exact],
                    "peer": [] if family == "mistral" else [round(float(x), 5) for x in logits],
                    "greedy": sequence[length:], "margins": margins})
    return out, f"llama.cpp is within {worst:.2g} of transformers, whose logits vary by {np.std(exact):.2g}"


def quantized(source, path):
    """llama.cpp's own Q4_K_M of a file."""
    settings = llama_cpp.llama_model_quantize_default_params()
    settings.ftype, settings.nthread = llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_M, 1
    assert llama_cpp.llama_model_quantize(str(source).encode(), str(path).encode(), settings) == 0


def main():
    out = pathlib.Path(sys.argv[1])
    torch.set_num_threads(1)
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.gguf"
        for family in FAMILIES:
            for mix in [*TYPES, *MIXES]:
                digest = write(path, family, mix)
                made, said = items(family, path)
                lines.append(json.dumps({"family": family, "mix": mix, "sha256": digest, "items": made}))
                print(f"{family} {mix}: {said}", flush=True)
        write(path, "llama", "F32", layers=1)
        file = out / "llama-q4_k_m.gguf"
        quantized(path, file)
        made, said = items("llama", file)
        lines.append(json.dumps({"file": file.name, "items": made}))
        print(f"{file.name}: {said}")
    (out / "types.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main()
