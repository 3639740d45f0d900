#!/usr/bin/env python3
"""Writes the vectors of this directory: the KMS stanza of EphemeralML, and the limits of its age reader.

They have the form of C2SP's age vectors (`expect`, `payload`, `file key`, `comment`, an empty line, an age file) and
two fields more: `key arn` (the key that the policy names) and `data key` (what KMS would answer).

This is a second implementation, on the standard library alone, written from age.md, RFC 8439, RFC 5869 and the
project's docs/formats.md; it shares nothing with the Swift one, so that agreement means something.

    python3 Tests/Vectors/age/make.py
"""
import base64, hashlib, hmac, pathlib, struct

HERE = pathlib.Path(__file__).parent
FILE_KEY = b"YELLOW SUBMARINE"
DATA_KEY = bytes(range(32))
BLOB = bytes((7 * i + 1) % 256 for i in range(184))
ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
TYPE = "ephemeralml-kms-v1"
NONCE = bytes(range(16))
CHUNK = 65536


def hkdf(key, info, salt=b""):
    extracted = hmac.new(salt or bytes(32), key, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def chacha20_block(key, counter, nonce):
    state = list(struct.unpack("<16I", b"expand 32-byte k" + key + struct.pack("<I", counter) + nonce))
    x = state[:]

    def quarter(a, b, c, d):
        for first, second, third, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[first] = (x[first] + x[second]) & 0xFFFFFFFF
            mixed = x[third] ^ x[first]
            x[third] = (mixed << bits | mixed >> (32 - bits)) & 0xFFFFFFFF

    for _ in range(10):
        for a, b, c, d in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)):
            quarter(a, b, c, d)
        for a, b, c, d in ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            quarter(a, b, c, d)
    return struct.pack("<16I", *((u + v) & 0xFFFFFFFF for u, v in zip(x, state)))


def aead(key, nonce, plaintext):
    stream = b"".join(chacha20_block(key, 1 + i, nonce) for i in range((len(plaintext) + 63) // 64))
    sealed = bytes(p ^ s for p, s in zip(plaintext, stream))
    one_time = chacha20_block(key, 0, nonce)
    r = int.from_bytes(one_time[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    s = int.from_bytes(one_time[16:32], "little")
    authenticated = sealed + bytes(-len(sealed) % 16) + struct.pack("<QQ", 0, len(sealed))
    tag = 0
    for start in range(0, len(authenticated), 16):
        tag = (tag + int.from_bytes(authenticated[start:start + 16] + b"\x01", "little")) * r % ((1 << 130) - 5)
    return sealed + ((tag + s) & ((1 << 128) - 1)).to_bytes(16, "little")


def b64(data):
    return base64.b64encode(data).rstrip(b"=")


def wrap(data_key=DATA_KEY, file_key=FILE_KEY, info=TYPE.encode()):
    return aead(hkdf(data_key, info), bytes(12), file_key)


def stanza(arguments, body):
    text = b64(body)
    lines = [text[i:i + 64] for i in range(0, len(text), 64)]
    if len(text) % 64 == 0:
        lines.append(b"")
    return b"-> " + b" ".join(arguments) + b"\n" + b"".join(line + b"\n" for line in lines)


def kms(arn=ARN, blob=BLOB, body=None, encoded=None, extra=()):
    arguments = [TYPE.encode(), arn.encode(), encoded if encoded is not None else b64(blob), *extra]
    return stanza(arguments, wrap() if body is None else body)


def age_file(stanzas, plaintext, mac_key=FILE_KEY):
    header = b"age-encryption.org/v1\n" + b"".join(stanzas) + b"---"
    mac = hmac.new(hkdf(mac_key, b"header"), header, hashlib.sha256).digest()
    key = hkdf(FILE_KEY, b"payload", NONCE)
    pieces = [plaintext[i:i + CHUNK] for i in range(0, len(plaintext), CHUNK)] or [b""]
    chunks = [
        aead(key, i.to_bytes(11, "big") + bytes([i == len(pieces) - 1]), piece) for i, piece in enumerate(pieces)
    ]
    return header + b" " + b64(mac) + b"\n" + NONCE + b"".join(chunks)


def write(name, expect, file, plaintext=None, comment=None, arn=ARN):
    lines = [f"expect: {expect}"]
    if plaintext is not None:
        lines.append(f"payload: {hashlib.sha256(plaintext).hexdigest()}")
    lines += [f"file key: {FILE_KEY.hex()}", f"key arn: {arn}", f"data key: {DATA_KEY.hex()}"]
    if comment:
        lines.append(f"comment: {comment}")
    (HERE / name).write_bytes(("\n".join(lines) + "\n\n").encode() + file)


def main():
    text = b"The seed of an epoch would stand here.\n"
    grease = stanza([b"grease", b"for", b"everyone"], b"ignored")
    success = dict(expect="success", plaintext=text)
    write("kms", file=age_file([kms()], text), **success)
    write("kms_empty_payload", "success", age_file([kms()], b""), b"")
    write("kms_two_chunks", "success", age_file([kms()], text * 1800), text * 1800)
    write("kms_other_stanza", file=age_file([grease, kms()], text), comment="legal for the reader, not for a role", **success)
    write("kms_largest_blob", file=age_file([kms(blob=bytes(6144))], text), **success)
    write("kms_twenty_stanzas", file=age_file([grease] * 19 + [kms()], text), **success)
    write("kms_other_partition", file=age_file([kms(arn=ARN.replace("aws", "aws-us-gov", 1))], text),
          arn=ARN.replace("aws", "aws-us-gov", 1), **success)

    def failing(name, expect, stanzas, comment, **more):
        write(name, expect, age_file(stanzas, text, **more), comment=comment)

    failing("kms_other_key", "no match", [kms(arn=ARN[:-1] + "c")], "the stanza names another key than the policy")
    failing("kms_bad_tag", "no match", [kms(body=wrap()[:-1] + bytes([wrap()[-1] ^ 1]))], "one bit of the body's tag")
    failing("kms_other_data_key", "no match", [kms(body=wrap(bytes(32)))], "wrapped under another data key")
    failing("kms_no_label", "no match", [kms(body=wrap(info=b""))], "HKDF without its label")
    failing("kms_uppercase", "no match", [kms().replace(b"kms-v1", b"KMS-v1", 1)], "the type is case-sensitive")
    failing("kms_wrong_mac", "HMAC failure", [kms()], "the MAC is made with another file key", mac_key=bytes(16))
    header = "header failure"
    failing("kms_long_file_key", header, [kms(body=wrap(file_key=FILE_KEY + b"!"))], "a file key of 17 bytes")
    failing("kms_short_body", header, [kms(body=wrap()[:-1])], "31 bytes")
    failing("kms_empty_body", header, [kms(body=b"")], "no body")
    failing("kms_extra_argument", header, [kms(extra=[b"more"])], "three arguments after the type")
    failing("kms_missing_argument", header, [stanza([TYPE.encode(), ARN.encode()], wrap())], "no blob")
    failing("kms_padded_blob", header, [kms(encoded=base64.b64encode(BLOB))], "base64 with padding")
    failing("kms_not_canonical_blob", header, [kms(encoded=b64(BLOB)[:-1] + b"B")], "leftover bits are not zero")
    failing("kms_long_blob", header, [kms(blob=bytes(6145))], "a blob over KMS's limit")
    failing("kms_alias", header, [kms(arn="arn:aws:kms:eu-central-1:111122223333:alias/epoch")], "an alias is no key ARN")
    failing("kms_long_arn", header, [kms(arn=ARN + "0" * 2048)], "an ARN over the limit")
    failing("kms_malformed_second", header, [kms(), kms(body=b"short")], "every stanza of the type must be well-formed")
    failing("header_no_stanza", header, [], "a header without a stanza")
    failing("header_too_many_stanzas", header, [grease] * 20 + [kms()], "21 stanzas")
    failing("header_too_long", header, [kms(), stanza([b"grease"], bytes(49152))], "more than 64 KiB")


if __name__ == "__main__":
    main()
