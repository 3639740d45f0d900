#!/usr/bin/env python3
"""Asks a real /dev/nsm everything that its API has, through the probe image (Tests/EnclaveTests/Probe) in an emulator.

    nsm-exchanges.py VSOCK PCR0 [--record FOLDER]

The requests are encoded here, by other hands than the product's; what comes back is judged here as well. With --record
the exchanges are written to FOLDER/nsm/exchanges.txt and one document to FOLDER/attestation/emulated.cose, where the
product's own tests read them. At the end it moves bytes in both directions, a chunk at a time, as jobs do.
"""
import hashlib
import pathlib
import socket
import struct
import sys
import time

SECONDS = 10
CHUNK, CHUNKS = 64 << 10, 400


def head(major, value):
    if value < 24:
        return bytes([major << 5 | value])
    for code, form in ((24, ">B"), (25, ">H"), (26, ">I"), (27, ">Q")):
        if value < 1 << (8 * struct.calcsize(form)):
            return bytes([major << 5 | code]) + struct.pack(form, value)


def encode(item):
    if item is None:
        return b"\xf6"
    if isinstance(item, int):
        return head(0, item)
    if isinstance(item, bytes):
        return head(2, len(item)) + item
    if isinstance(item, str):
        return head(3, len(item.encode())) + item.encode()
    pairs = sorted((encode(key), encode(value)) for key, value in item.items())
    return head(5, len(pairs)) + b"".join(key + value for key, value in pairs)


def decode(data):
    """One item and the rest."""
    major, value, at = data[0] >> 5, data[0] & 31, 1
    if major == 7:
        return {20: False, 21: True, 22: None}[value], data[1:]
    if value >= 24:
        size = 1 << (value - 24)
        value, at = int.from_bytes(data[1 : 1 + size], "big"), 1 + size
    if major == 0:
        return value, data[at:]
    if major == 1:
        return -1 - value, data[at:]
    if major in (2, 3):
        text = data[at : at + value]
        return (text if major == 2 else text.decode()), data[at + value :]
    rest, items = data[at:], []
    for _ in range(value * (2 if major == 5 else 1)):
        item, rest = decode(rest)
        items.append(item)
    return (dict(zip(items[::2], items[1::2])) if major == 5 else items), rest


def connect(path, port):
    """A guest's port behind vhost-device-vsock."""
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(SECONDS)
    peer.connect(path)
    peer.sendall(f"CONNECT {port}\n".encode())
    line = b""
    while not line.endswith(b"\n"):
        byte = peer.recv(1)
        if not byte:
            sys.exit(f"nobody listens on the guest's port {port}")
        line += byte
    return peer


def exactly(peer, count):
    data = bytearray()
    while len(data) < count:
        piece = peer.recv(count - len(data))
        if not piece:
            sys.exit("the guest hung up")
        data += piece
    return bytes(data)


class Module:
    def __init__(self, path):
        self.peer, self.exchanges = connect(path, 5001), []

    def raw(self, request):
        """The response, or the errno by which the driver refused."""
        self.peer.sendall(struct.pack(">I", len(request)) + request)
        (length,) = struct.unpack(">I", exactly(self.peer, 4))
        if length == 0xFFFFFFFF:
            return struct.unpack(">I", exactly(self.peer, 4))[0]
        return exactly(self.peer, length)

    def ask(self, name, request):
        data = encode(request)
        response = self.raw(data)
        self.exchanges.append((name, data, response))
        item, rest = decode(response)
        assert not rest, f"{name}: trailing bytes"
        return item


def expect(name, found, wanted):
    if found != wanted:
        sys.exit(f"{name}: {found!r}, not {wanted!r}")
    print(f"  {name}")


def sha384(*parts):
    return hashlib.sha384(b"".join(parts)).digest()


def questions(module, pcr0):
    zero, data = bytes(48), hashlib.sha256(b"policy").digest()
    extended = sha384(zero, data)

    def register(index):
        return {"DescribePCR": {"index": index}}

    def extend(index, data):
        return {"ExtendPCR": {"index": index, "data": data}}

    def error(name):
        return {"Error": name}

    about = module.ask("describe-nsm", "DescribeNSM")["DescribeNSM"]
    expect("DescribeNSM", (about["digest"], about["max_pcrs"], about["locked_pcrs"]), ("SHA384", 32, list(range(16))))
    expect("PCR0 is the image's, and locked", module.ask("describe-pcr-0", register(0)),
           {"DescribePCR": {"lock": True, "data": pcr0}})
    expect("PCR16 is zero, and the program's", module.ask("describe-pcr-16", register(16)),
           {"DescribePCR": {"lock": False, "data": zero}})
    expect("PCR32 is none", module.ask("describe-pcr-32", register(32)), error("InvalidIndex"))
    expect("a boot register does not change", module.ask("extend-pcr-0", extend(0, data)), error("ReadOnlyIndex"))
    expect("ExtendPCR is SHA-384(old, data)", module.ask("extend-pcr-16", extend(16, data)),
           {"ExtendPCR": {"data": extended}})
    expect("LockPCR", module.ask("lock-pcr-16", {"LockPCR": {"index": 16}}), "LockPCR")
    expect("a locked register does not change", module.ask("extend-pcr-16-locked", extend(16, data)),
           error("ReadOnlyIndex"))
    expect("nor is it locked twice", module.ask("lock-pcr-16-again", {"LockPCR": {"index": 16}}),
           error("ReadOnlyIndex"))
    expect("LockPCRs", module.ask("lock-pcrs-18", {"LockPCRs": {"range": 18}}), "LockPCRs")
    expect("locks all below", module.ask("extend-pcr-17-locked", extend(17, data)), error("ReadOnlyIndex"))
    expect("LockPCRs beyond the last", module.ask("lock-pcrs-33", {"LockPCRs": {"range": 33}}), error("InvalidIndex"))
    expect("an unknown request", module.ask("unknown", "Unknown"), error("InvalidOperation"))
    entropy = {module.ask("get-random", "GetRandom")["GetRandom"]["random"] for _ in range(4)}
    expect("GetRandom: 256 bytes, never the same", (len(entropy), {len(each) for each in entropy}), (4, {256}))
    expect("more than 4 KiB is the driver's refusal (EMSGSIZE)", module.raw(bytes(0x1001)), 90)
    return extended


def document(module, pcr0, extended):
    bound = hashlib.sha256(b"emulated").digest()
    request = {"Attestation": {"user_data": bound, "nonce": None, "public_key": None}}
    before = int(time.time()) * 1000
    made = module.ask("attestation", request)["Attestation"]["document"]
    (protected, unprotected, payload, signature), rest = decode(made)
    assert not rest
    payload, rest = decode(payload)
    assert not rest
    expect("the document's header is alg -1", (protected, unprotected), (b"\xa1\x01\x20", {}))
    expect("zeros stand for certificate, bundle and signature",
           (payload["certificate"], payload["cabundle"], signature), (bytes(64), [bytes(64)], bytes(64)))
    expect("user_data is what was asked for", (payload["user_data"], payload["nonce"], payload["public_key"]),
           (bound, None, None))
    expect("the locked registers are in it", (sorted(payload["pcrs"]), payload["pcrs"][0], payload["pcrs"][16]),
           (list(range(18)), pcr0, extended))
    expect("its time is the machine's", 0 <= payload["timestamp"] - before <= 60_000, True)
    full = {"Attestation": {"user_data": bytes(512), "nonce": bytes(512), "public_key": bytes(1024)}}
    made_full, _ = decode(decode(module.ask("attestation-full", full)["Attestation"]["document"])[0][2])
    expect("the largest fields fit", [len(made_full[name]) for name in ("user_data", "nonce", "public_key")],
           [512, 512, 1024])
    return made


def echo(path):
    """Never more than a chunk under way, which is how pieces of a job are pulled."""
    peer, chunk, began = connect(path, 5002), bytes(range(256)) * (CHUNK // 256), time.monotonic()
    for _ in range(CHUNKS):
        peer.sendall(chunk)
        if exactly(peer, CHUNK) != chunk:
            sys.exit("echo: other bytes came back")
    seconds = time.monotonic() - began
    print(f"  {CHUNK * CHUNKS >> 20} MiB through vsock and back, 64 KiB at a time: {seconds:.1f} s")


def main():
    path, pcr0 = sys.argv[1], bytes.fromhex(sys.argv[2])
    module = Module(path)
    extended = questions(module, pcr0)
    made = document(module, pcr0, extended)
    echo(path)
    if len(sys.argv) == 5 and sys.argv[3] == "--record":
        folder = pathlib.Path(sys.argv[4])
        (folder / "nsm").mkdir(exist_ok=True)
        lines = ["# A real /dev/nsm in QEMU: name, request, response (scripts/nsm-exchanges.py)."]
        lines += [f"{name} {request.hex()} {response.hex()}" for name, request, response in module.exchanges]
        (folder / "nsm" / "exchanges.txt").write_text("\n".join(lines) + "\n")
        (folder / "attestation" / "emulated.cose").write_bytes(made)


main()
