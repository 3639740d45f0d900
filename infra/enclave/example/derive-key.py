#!/usr/bin/env python3
"""Derives the example policy key: a point of edwards25519 hashed from a sentence, so that nobody knows its secret half.

RFC 8032 §5.1.3 decodes the first SHA-256(sentence, counter) that is a point; times 8 it lies in the prime-order group.
"""
import hashlib

SENTENCE = b"EphemeralML reference image: a policy key that nobody holds"
P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


def decode(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P or x == 0:
        return None
    return (P - x if x & 1 != sign else x, y)


def double(point):
    x, y = point
    product = D * x * x * y * y % P
    return (2 * x * y * pow(1 + product, -1, P) % P, (y * y + x * x) * pow(1 - product, -1, P) % P)


for counter in range(256):
    point = decode(hashlib.sha256(SENTENCE + bytes([counter])).digest())
    if point:
        for _ in range(3):
            point = double(point)
        assert point != (0, 1)
        x, y = point
        print((y | (x & 1) << 255).to_bytes(32, "little").hex())
        break
