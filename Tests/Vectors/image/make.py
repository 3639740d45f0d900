#!/usr/bin/env python3
"""Makes foreign.eif and foreign.json: an image as other builders write them, and what a reader must find in it.

Written with the standard library alone, apart from `openssl` for the certificate: gzip ramdisks, one of two members,
names with ./ and a slash at the end, links, a device, a signature. Made once; the certificate differs each time.
"""
import gzip
import hashlib
import json
import pathlib
import struct
import subprocess
import tempfile
import zlib

HERE = pathlib.Path(__file__).parent


def entry(name, mode, data=b"", ino=7, magic=b"070701"):
    raw = name.encode() + b"\0"
    fields = [ino, mode, 1, 1000, 1000, 1700000000, len(data), 8, 1, 5, 1, len(raw), 0]
    head = magic + b"".join(b"%08x" % f for f in fields) + raw
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def archive(*entries):
    data = b"".join(entries) + entry("TRAILER!!!", 0, ino=0)
    return data + bytes(-len(data) % 512)


def cbor_head(major, value):
    for low, width in ((24, 1), (25, 2), (26, 4)):
        if value < 24:
            return bytes([major << 5 | value])
        if value < 1 << (8 * width):
            return bytes([major << 5 | low]) + value.to_bytes(width, "big")


def cbor_numbers(data):
    return cbor_head(4, len(data)) + b"".join(cbor_head(0, byte) for byte in data)


def cbor_text(text):
    return cbor_head(3, len(text)) + text.encode()


def pcr(content):
    return hashlib.sha384(bytes(48) + hashlib.sha384(content).digest()).hexdigest()


with tempfile.TemporaryDirectory() as folder:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-keyout",
         f"{folder}/key", "-out", f"{folder}/cert", "-days", "30", "-subj", "/CN=image signer"],
        check=True, capture_output=True)
    pem = pathlib.Path(f"{folder}/cert").read_bytes()
    der = subprocess.run(["openssl", "x509", "-in", f"{folder}/cert", "-outform", "DER"], check=True,
                         capture_output=True).stdout

init, shell, library = b"#!/bin/sh\n" * 9, b"shell" * 3001, bytes(range(256)) * 300
first = gzip.compress(archive(entry(".", 0o40755), entry("./bin/", 0o40755), entry("init", 0o100755, init)), mtime=0)
second = gzip.compress(archive(entry("rootfs", 0o40755), entry("rootfs/bin/sh", 0o120777, b"busybox")), mtime=0)
second += bytes(5) + gzip.compress(
    archive(entry("rootfs/lib/libc.so", 0o100644, library, magic=b"070702"), entry("rootfs/empty", 0o100600),
            entry("dev/console", 0o20600)), mtime=0)
third = archive(entry("cmd", 0o100644, shell)) + bytes(1024) + archive(entry("env", 0o100644, b"A=1"))
fourth = bytes([0x28, 0xB5, 0x2F, 0xFD]) + b"zstd, which is measured but not opened"

kernel, cmdline = b"kernel" * 1000, b"reboot=k panic=30 pci=off console=ttyS0"
metadata = b'{"ImageName":"foreign"}'
signature = (cbor_head(4, 1) + cbor_head(5, 2) + cbor_text("signing_certificate") + cbor_numbers(pem)
             + cbor_text("signature") + cbor_numbers(bytes(range(200))))
sections = [(1, kernel), (2, cmdline), (5, metadata), (3, first), (3, second), (3, third), (3, fourth), (4, signature)]
body, offsets = b"", []
for kind, data in sections:
    offsets.append(548 + len(body))
    body += struct.pack(">HHQ", kind, 0, len(data)) + data
pad = [0] * (32 - len(sections))
head = struct.pack(">4sHHQQHH", b".eif", 4, 0, 1 << 30, 2, 0, len(sections))
head += struct.pack(">32Q", *offsets, *pad) + struct.pack(">32Q", *[len(d) for _, d in sections], *pad) + bytes(4)
(HERE / "foreign.eif").write_bytes(head + struct.pack(">I", zlib.crc32(head + body)) + body)


def file(name, data):
    return {"name": name, "kind": "file", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


ramdisks = [
    [{"name": ".", "kind": "directory"}, {"name": "bin", "kind": "directory"}, file("init", init)],
    [{"name": "rootfs", "kind": "directory"}, {"name": "rootfs/bin/sh", "kind": "link", "target": "busybox", "bytes": 7},
     file("rootfs/lib/libc.so", library), file("rootfs/empty", b""),
     {"name": "dev/console", "kind": "character device"}],
    [file("cmd", shell), file("env", b"A=1")],
    None,
]
base = kernel + cmdline
(HERE / "foreign.json").write_text(json.dumps({
    "pcr0": pcr(base + first + second + third + fourth), "pcr1": pcr(base + first),
    "pcr2": pcr(second + third + fourth), "pcr8": pcr(der), "ramdisks": ramdisks}, indent=1) + "\n")
