#!/usr/bin/env python3
"""Compares what builds the enclave image with infra/enclave/image.lock, and names each difference.

  image-lock.py pin      sets every locked package to its version, before the build (transitive ones float otherwise)
  image-lock.py check    compares toolchain, linked packages and Debian packages, after the build; ends with 1
  image-lock.py update   writes what is here into the lock

The kernel's source is compared by scripts/enclave-kernel.sh when it downloads it, and not updated here.
"""
import hashlib
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOCK = ROOT / "infra/enclave/image.lock"
SCRATCH = ROOT / ".build-static"
# What compiles and links init and kernel, and what the worker links of Debian's. Not linux-libc-dev: its headers are
# the kernel's constants, which never change, and it has a new version with each kernel.
DEBIAN = ["binutils", "gcc-12", "libc6-dev", "libgcc-12-dev", "libsodium-dev", "libstdc++-12-dev"]
HEAD = """\
# What the enclave image is made of. `make image` compares and names what differs; `make image LOCK=update` writes it.
# toolchain RELEASE SHA256 (of swift-frontend)
# package NAME VERSION (each that the worker links)
# debian PACKAGE VERSION SHA256 (of the .deb, from the archive's index)
# source PACKAGE VERSION SUITE SHA256
"""


def run(*command):
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def lines(kind):
    rows = [line.split() for line in LOCK.read_text().splitlines()]
    return [row[1:] for row in rows if row and row[0] == kind]


def toolchain():
    release = re.search(r"\((swift-[^ )]+)", run("swift", "--version"))
    frontend = pathlib.Path(run("bash", "-c", "command -v swift").strip()).resolve().parent / "swift-frontend"
    digest = hashlib.sha256()
    with open(frontend, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return [[release.group(1) if release else "unknown", digest.hexdigest()]]


def resolved():
    path = ROOT / "Package.resolved"
    if not path.exists():
        run("swift", "package", "--scratch-path", str(SCRATCH), "resolve")
    pins = json.loads(path.read_text())["pins"]
    return {pin["identity"]: pin["state"].get("version", "no version") for pin in pins}


def packages():
    """Each package of which the linker took an object, by the checkout that has the object's module."""
    product = "release/enclave-worker.product/Objects.LinkFileList"
    objects = next(SCRATCH.glob(f"*/{product}")).read_text()
    modules = set(re.findall(r"/release/([^/]+)\.build/", objects))
    versions, found = resolved(), set()
    for module in modules:
        owners = [folder.parent.parent.name for folder in SCRATCH.glob(f"checkouts/*/Sources/{module}")]
        if not (ROOT / "Sources" / module).exists() and not owners and module != "SealedCrypto":
            sys.exit(f"image-lock: no package has the module {module}")
        found.update(owners)
    return sorted([name.lower(), versions[name.lower()]] for name in found)


def debian():
    rows = []
    for name in DEBIAN:
        version = run("dpkg-query", "-W", "-f", "${Version}", name)
        shown = subprocess.run(["apt-cache", "show", f"{name}={version}"], capture_output=True, text=True).stdout
        digest = re.search(r"^SHA256: (\S+)$", shown, re.MULTILINE)
        rows.append([name, version, digest.group(1) if digest else "unknown"])
    return rows


def pin():
    versions = resolved()
    for name, version in lines("package"):
        if versions.get(name) != version:
            print(f"image-lock: {name} to {version}", file=sys.stderr)
            run("swift", "package", "--scratch-path", str(SCRATCH), "resolve", name, "--version", version)


def check():
    differences = []
    for kind, here in (("toolchain", toolchain()), ("package", packages()), ("debian", debian())):
        locked = lines(kind)
        # An archive index that is not here, or has moved on, says nothing of a version that is the locked one.
        known = {tuple(row[:-1]): row for row in locked}
        here = [known.get(tuple(row[:-1]), row) if row[-1] == "unknown" else row for row in here]
        differences += [f"locked, not here: {kind} {' '.join(row)}" for row in locked if row not in here]
        differences += [f"here, not locked: {kind} {' '.join(row)}" for row in here if row not in locked]
    if differences:
        print("image-lock: this image is not the one of infra/enclave/image.lock", *differences, sep="\n  ",
              file=sys.stderr)
        sys.exit(1)


def update():
    here = {"toolchain": toolchain(), "package": packages(), "debian": debian(), "source": lines("source")}
    unknown = [row[0] for row in here["debian"] if row[-1] == "unknown"]
    if unknown:
        sys.exit(f"image-lock: apt has no digest of {', '.join(unknown)}; run apt-get update")
    LOCK.write_text(HEAD + "".join(f"{kind} {' '.join(row)}\n" for kind, rows in here.items() for row in rows))


commands = {"pin": pin, "check": check, "update": update}
if len(sys.argv) != 2 or sys.argv[1] not in commands:
    sys.exit("usage: image-lock.py pin|check|update")
commands[sys.argv[1]]()
