#!/usr/bin/env python3
"""Writes Tests/Vectors/gguf: small GGUF files of the `gguf` package, and what it reads from them.

    python gguf_files.py OUT_DIR

types.gguf      a tensor of each type that is supported, (3, 512), and metadata of every value type
types.f32       the same tensors in the file's order as `gguf.quants` dequantises them, little-endian binary32
types.json      metadata and tensors as `gguf.GGUFReader` has them
"""
import argparse
import json
import pathlib

import gguf
import numpy as np

FLOATS = ["F32", "F16", "BF16"]
LEGACY = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"]
LONG = {"Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}  # where a block's binary16 numbers are


def tensors(random):
    for name in FLOATS + LEGACY:
        kind = gguf.GGMLQuantizationType[name]
        yield name, kind, gguf.quants.quantize(random.standard_normal((3, 512)).astype(np.float32), kind)
    for name, halves in LONG.items():  # the package does not make these: any bytes do, with finite scales
        kind = gguf.GGMLQuantizationType[name]
        length, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = random.integers(0, 256, (3, 512 // length, size), dtype=np.uint8)
        for place in halves:
            scale = random.standard_normal((3, 512 // length, 1)).astype(np.float16) / np.float16(64)
            blocks[:, :, place : place + 2] = scale.view(np.uint8)
        yield name, kind, blocks.reshape(3, -1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out_dir", type=pathlib.Path)
    out = parser.parse_args().out_dir
    out.mkdir(parents=True, exist_ok=True)

    writer = gguf.GGUFWriter(out / "types.gguf", "llama")
    writer.add_custom_alignment(64)
    for name, value in [("uint8", 255), ("int8", -128), ("uint16", 65535), ("int16", -32768), ("uint32", 2**32 - 1),
                        ("int32", -(2**31)), ("uint64", 2**64 - 1), ("int64", -(2**63)), ("float32", 0.1),
                        ("float64", 0.1), ("bool", True), ("string", "zwölf ▁tokens")]:
        getattr(writer, f"add_{name}")(f"a.{name}", value)
    writer.add_token_list(["<unk>", "▁a", "<0x0A>", ""])
    writer.add_token_scores([0.0, -1.5, -2.25, -1000.0])
    writer.add_token_types([2, 1, 6, 1])
    writer.add_array("a.bools", [True, False])
    for name, kind, data in tensors(np.random.default_rng(6)):
        writer.add_tensor(f"t.{name}", data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    reader = gguf.GGUFReader(out / "types.gguf")
    fields = {key: field.contents() for key, field in reader.fields.items() if not key.startswith("GGUF.")}
    table = [{"name": t.name, "type": t.tensor_type.name, "shape": [int(n) for n in t.shape[::-1]],
              "offset": int(t.data_offset - reader.data_offset), "bytes": int(t.n_bytes)} for t in reader.tensors]
    (out / "types.json").write_text(json.dumps({"metadata": fields, "tensors": table}, ensure_ascii=False, indent=1) + "\n")
    with open(out / "types.f32", "wb") as file:
        for t in reader.tensors:
            file.write(gguf.quants.dequantize(t.data, t.tensor_type).astype("<f4").tobytes())


main()
