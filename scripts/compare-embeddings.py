#!/usr/bin/env python3
"""Compares the embeddings of folders that `ephemeral results get` wrote with those of the first one.

They are expected to be the same bits, on AVX-512 and on AVX2 alike. Should another instruction set round otherwise, the
angle between two must stay far below what any use of them would notice.
"""
import base64
import json
import math
import struct
import sys

SMALLEST_COSINE = 1 - 1e-7


def embeddings(folder):
    found = {}
    with open(f"{folder}/output.jsonl") as lines:
        for line in lines:
            if not line.strip():
                continue
            item = json.loads(line)
            data = base64.b64decode(item["response"]["body"]["data"][0]["embedding"])
            found[item["custom_id"]] = struct.unpack(f"<{len(data) // 4}f", data)
    return found


def dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b))


def cosine(a, b):
    return dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))


reference = embeddings(sys.argv[1])
for folder in sys.argv[2:]:
    other = embeddings(folder)
    if reference.keys() != other.keys() or not reference:
        sys.exit(f"{folder}: other items than {sys.argv[1]}")
    least = min(cosine(reference[name], other[name]) for name in reference)
    same = all(reference[name] == other[name] for name in reference)
    print(f"{len(other)} embeddings: " + ("the same bits" if same else f"least cosine {least:.9f}"))
    if least < SMALLEST_COSINE:
        sys.exit(f"{folder}: the embeddings differ")
