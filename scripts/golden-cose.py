#!/usr/bin/env python3
"""COSE_Sign1 checked against pycose, in both directions.

  .cache/venv-pycose/bin/python scripts/golden-cose.py write    writes Tests/Vectors/cose/pycose.json: statements that
        pycose signed, right ones and wrong ones, each with the outcome that it must have here
  .cache/venv-pycose/bin/python scripts/golden-cose.py verify   reads {"cose", "key", "label", "payload"} in hexadecimal,
        one JSON object a line, and lets pycose verify each; ends with 1 when one fails or when a spoilt copy passes

The keys are fixed bytes, of use for nothing but this.
"""
import hashlib
import json
import pathlib
import sys

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pycose.algorithms import EdDSA
from pycose.headers import KID, Algorithm, ContentType
from pycose.keys import OKPKey
from pycose.keys.curves import Ed25519
from pycose.messages import CoseMessage, Sign1Message

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "Tests" / "Vectors" / "cose" / "pycose.json"
SEED = bytes(range(32))
OTHER_SEED = bytes(range(32, 64))


def public(seed):
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def kid(seed):
    return hashlib.sha256(public(seed)).digest()


def label(kind):
    return f"ephemeralml/v1/{kind}".encode()


def cancel(**changes):
    claims = {"v": 1, "job": b"\x11" * 32, "issued": 1780000000000}
    claims.update(changes)
    return cbor2.dumps({key: value for key, value in claims.items() if value is not None}, canonical=True)


def sign(payload, seed=SEED, aad=None, phdr=None, uhdr=None, tag=True):
    message = Sign1Message(
        phdr={Algorithm: EdDSA, KID: kid(SEED)} if phdr is None else phdr, uhdr=uhdr or {}, payload=payload,
        external_aad=label("cancel") if aad is None else aad)
    message.key = OKPKey(crv=Ed25519, d=seed, x=public(seed))
    return message.encode(tag=tag)


def vectors():
    shuffled = b"\xa3" + b"".join(
        cbor2.dumps(key) + cbor2.dumps(value) for key, value in [("issued", 5), ("v", 1), ("job", b"\x11" * 32)])
    good = sign(cancel())
    yield "a cancel", "accepted", good
    yield "no external data", "the signature does not verify", sign(cancel(), aad=b"")
    yield "a manifest's label", "the signature does not verify", sign(cancel(), aad=label("manifest"))
    yield "signed by another key in this key's name", "the signature does not verify", sign(cancel(), seed=OTHER_SEED)
    yield "signed by another key in its own name", "signed by another key", sign(
        cancel(), seed=OTHER_SEED, phdr={Algorithm: EdDSA, KID: kid(OTHER_SEED)})
    yield "a payload changed after signing", "the signature does not verify", good.replace(b"\x11" * 32, b"\x12" * 32)
    yield "no key id", "the protected header", sign(cancel(), phdr={Algorithm: EdDSA})
    yield "a content type beside them", "the protected header", sign(
        cancel(), phdr={Algorithm: EdDSA, ContentType: 0, KID: kid(SEED)})
    yield "a key id of 16 bytes", "the protected header", sign(cancel(), phdr={Algorithm: EdDSA, KID: kid(SEED)[:16]})
    yield "headers in another order", "keys out of order", sign(cancel(), phdr={KID: kid(SEED), Algorithm: EdDSA})
    yield "the key id unprotected", "the protected header", sign(
        cancel(), phdr={Algorithm: EdDSA}, uhdr={KID: kid(SEED)})
    yield "an unprotected header beside", "the unprotected header is not empty", sign(cancel(), uhdr={ContentType: 0})
    yield "no tag", "tag 18 is missing", sign(cancel(), tag=False)
    yield "bytes after it", "trailing bytes", good + b"\x00"
    yield "version 2", "version 2 is not known", sign(cancel(v=2))
    yield "no version", "v is missing", sign(cancel(v=None))
    yield "an unknown claim", "unknown key extra", sign(cancel(extra=True))
    yield "a missing claim", "job is missing", sign(cancel(job=None))
    yield "a claim of another type", "job is not a byte string", sign(cancel(job="11"))
    yield "claims out of order", "keys out of order", sign(shuffled)
    yield "a payload that is no map", "not a map", sign(cbor2.dumps([1]))


def write():
    entries = [{"name": name, "expect": expect, "cose": cose.hex()} for name, expect, cose in vectors()]
    document = {"comment": "made by scripts/golden-cose.py", "key": public(SEED).hex(), "vectors": entries}
    VECTORS.parent.mkdir(parents=True, exist_ok=True)
    VECTORS.write_text(json.dumps(document, indent=1) + "\n")


def passes(cose, key, aad):
    message = CoseMessage.decode(cose)
    message.external_aad = aad
    message.key = OKPKey(crv=Ed25519, x=key)
    return message.verify_signature(), message


def verify():
    count = 0
    for line in sys.stdin:
        ours = {name: bytes.fromhex(value) for name, value in json.loads(line).items()}
        good, message = passes(ours["cose"], ours["key"], ours["label"])
        if not good or message.payload != ours["payload"]:
            sys.exit(f"pycose refuses statement {count}")
        if message.phdr.get(Algorithm) is not EdDSA or message.phdr.get(KID) != hashlib.sha256(ours["key"]).digest():
            sys.exit(f"statement {count} has other headers")
        if passes(ours["cose"], ours["key"], ours["label"] + b"x")[0]:
            sys.exit(f"pycose accepts statement {count} under another label")
        if cbor2.dumps(cbor2.loads(ours["payload"]), canonical=True) != ours["payload"]:
            sys.exit(f"the payload of statement {count} is not canonical to cbor2")
        count += 1
    print(count)


if __name__ == "__main__":
    {"write": write, "verify": verify}[sys.argv[1]]()
