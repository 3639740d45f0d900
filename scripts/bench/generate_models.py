"""Makes a random Llama as GGUF, quantised by llama.cpp's own quantiser.

    python generate_models.py MODEL QUANTISATION FOLDER

MODEL is a key of SHAPES, QUANTISATION one of QUANTISATIONS; the file is FOLDER/MODEL-QUANTISATION.gguf. Every other one is
made of the bf16 file, which is made first.
"""
import os
import pathlib
import sys

import gguf
import numpy

SHAPES = {
    # 100 million numbers, of which a quarter is the table of tokens.
    "100m": {"hidden": 768, "layers": 12, "heads": 12, "kv_heads": 4, "inner": 2048, "vocabulary": 32000},
    # Llama 3.2 1B's.
    "1b": {"hidden": 2048, "layers": 16, "heads": 32, "kv_heads": 8, "inner": 8192, "vocabulary": 128256},
}
QUANTISATIONS = {"q4_0": "Q4_0", "q4_k_m": "Q4_K_M", "q8_0": "Q8_0", "bf16": "BF16"}
CONTEXT = 8192


def path_of(folder, model, quantisation):
    return pathlib.Path(folder) / f"{model}-{quantisation}.gguf"


def tensors(shape):
    """Names and shapes (outputs, inputs) in the order of a file of llama.cpp's converter."""
    hidden, inner = shape["hidden"], shape["inner"]
    keys = hidden // shape["heads"] * shape["kv_heads"]
    yield "token_embd.weight", (shape["vocabulary"], hidden)
    for layer in range(shape["layers"]):
        for name, size in [
            ("attn_norm", (hidden,)), ("attn_q", (hidden, hidden)), ("attn_k", (keys, hidden)),
            ("attn_v", (keys, hidden)), ("attn_output", (hidden, hidden)), ("ffn_norm", (hidden,)),
            ("ffn_gate", (inner, hidden)), ("ffn_up", (inner, hidden)), ("ffn_down", (hidden, inner)),
        ]:
            yield f"blk.{layer}.{name}.weight", size
    yield "output_norm.weight", (hidden,)


def bfloat16(values):
    """The nearest bfloat16 of finite floats, as bytes."""
    bits = values.view(numpy.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(numpy.uint16)


def write(model, path):
    shape = SHAPES[model]
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name(f"random-{model}")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(shape["hidden"])
    writer.add_block_count(shape["layers"])
    writer.add_feed_forward_length(shape["inner"])
    writer.add_head_count(shape["heads"])
    writer.add_head_count_kv(shape["kv_heads"])
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(shape["hidden"] // shape["heads"])
    writer.add_rope_freq_base(500000.0)
    writer.add_vocab_size(shape["vocabulary"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    # A vocabulary of the right size: three special tokens, the bytes, and words of nothing.
    count, types = shape["vocabulary"], gguf.TokenType
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    words = [f"w{number}" for number in range(count - 259)]
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(["<unk>", "<s>", "</s>"] + bytes_ + words)
    writer.add_token_scores([0.0] * 259 + [-float(number) for number in range(len(words))])
    writer.add_token_types(
        [types.UNKNOWN, types.CONTROL, types.CONTROL] + [types.BYTE] * 256 + [types.NORMAL] * len(words))
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    for name, size in tensors(shape):
        if len(size) == 1:
            writer.add_tensor_info(name, size, numpy.dtype(numpy.float32), 4 * size[0])
        else:
            writer.add_tensor_info(
                name, (size[0], 2 * size[1]), numpy.dtype(numpy.uint8), 2 * size[0] * size[1],
                raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    rng = numpy.random.default_rng(7)
    for _, size in tensors(shape):
        if len(size) == 1:
            writer.write_tensor_data(numpy.ones(size, numpy.float32))
            continue
        values = rng.standard_normal(size, numpy.float32)
        values *= 0.02
        writer.write_tensor_data(bfloat16(values).view(numpy.uint8))
    writer.close()


def quantise(source, path, quantisation):
    import ctypes

    import llama_cpp

    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{QUANTISATIONS[quantisation]}")
    parameters.nthread = 2
    status = llama_cpp.llama_model_quantize(str(source).encode(), str(path).encode(), ctypes.byref(parameters))
    if status != 0:
        raise RuntimeError(f"llama.cpp did not quantise {source}")


def make(model, quantisation, folder):
    path = path_of(folder, model, quantisation)
    if path.exists():
        return path
    part = path.with_suffix(".part")
    if quantisation == "bf16":
        write(model, part)
    else:
        quantise(make(model, "bf16", folder), part, quantisation)
    os.rename(part, path)
    return path


def read_each_token(path):
    """Bytes of weights that a generated token reads, by the file: all but the table of tokens, where that is no head."""
    reader = gguf.GGUFReader(str(path))
    names = {tensor.name for tensor in reader.tensors}
    return sum(
        int(tensor.n_bytes) for tensor in reader.tensors if tensor.name != "token_embd.weight" or "output.weight" not in names)


if __name__ == "__main__":
    print(make(sys.argv[1], sys.argv[2], sys.argv[3]))
