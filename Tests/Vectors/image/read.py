#!/usr/bin/env python3
"""An independent reader of this project's images: prints measurements and ramdisk entries as JSON.

Written from the format's description with the standard library alone; it trusts its input.
"""
import hashlib
import json
import struct
import sys
import zlib


def pcr(content):
    return hashlib.sha384(bytes(48) + hashlib.sha384(content).digest()).hexdigest()


def entries(data):
    found, at = [], 0
    while at < len(data):
        assert data[at : at + 6] in (b"070701", b"070702"), at
        fields = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        ino, mode, nlink, uid, gid, mtime, size = fields[:7]
        name = data[at + 110 : at + 110 + fields[11] - 1].decode()
        at = (at + 110 + fields[11] + 3) & ~3
        content, at = data[at : at + size], (at + size + 3) & ~3
        if name == "TRAILER!!!":
            while at < len(data) and data[at] == 0:
                at += 1
            continue
        found.append(
            {
                "name": name, "ino": ino, "mode": oct(mode), "owner": [uid, gid], "mtime": mtime, "bytes": size,
                "sha256": hashlib.sha256(content).hexdigest() if mode & 0o170000 == 0o100000 else None,
            }
        )
    return found


def main(path):
    file = open(path, "rb").read()
    magic, version, flags, memory, cpus, _, count = struct.unpack(">4sHHQQHH", file[:28])
    offsets, sizes = struct.unpack(">32Q", file[28:284]), struct.unpack(">32Q", file[284:540])
    (crc,) = struct.unpack(">I", file[544:548])
    sections = []
    for offset, size in zip(offsets[:count], sizes[:count]):
        kind, _, own = struct.unpack(">HHQ", file[offset : offset + 12])
        assert own == size
        sections.append((kind, file[offset + 12 : offset + 12 + size]))
    base = b"".join(data for kind, data in sections if kind in (1, 2))
    ramdisks = [data for kind, data in sections if kind == 3]
    result = {
        "magic": magic.decode(), "version": version, "flags": flags, "kinds": [kind for kind, _ in sections],
        "crc": zlib.crc32(file[548:], zlib.crc32(file[:544])) == crc,
        "pcr0": pcr(base + b"".join(ramdisks)), "pcr1": pcr(base + ramdisks[0]), "pcr2": pcr(b"".join(ramdisks[1:])),
        "cmdline": [data for kind, data in sections if kind == 2][0].decode(),
        "metadata": [json.loads(data) for kind, data in sections if kind == 5],
        "ramdisks": [entries(data) for data in ramdisks],
    }
    print(json.dumps(result))


main(sys.argv[1])
