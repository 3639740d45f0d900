#!/bin/bash
# The emulator of an enclave: QEMU with the machine `nitro-enclave` (a security module with true PCRs, an EIF loader) and
# vhost-device-vsock, in a user's cache directory. Debian's own QEMU binary lacks that machine, so it is built from
# Debian's source package; vhost-device-vsock is sid's package, unpacked. Idempotent.
#
#   scripts/emulator.sh          builds what is missing and prints the directory: qemu-system-x86_64, vhost-device-vsock,
#                                firmware/
#
# Ends with 69 when something cannot be downloaded.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
cache=${EPHEMERALML_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ephemeralml}/emulator
recipe=$(sha256sum "$0" | cut -c1-12)

say() { echo "emulator: $*" >&2; }

if [ "$(cat "$cache/recipe" 2>/dev/null)" = "$recipe" ]; then
  echo "$cache"
  exit 0
fi

"$root/scripts/deps.sh" emulator >&2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
began=$SECONDS

say "fetching QEMU's source, its firmware and vhost-device-vsock from Debian"
fetch=$root/scripts/debian-fetch.sh
"$fetch" --source trixie "$work/source" qemu
"$fetch" trixie "$work/debs" qemu-system-data
"$fetch" trixie "$work/debs" seabios
"$fetch" sid "$work/debs" vhost-device-vsock
for package in "$work"/debs/*.deb; do dpkg-deb -x "$package" "$work/tree"; done

say "building QEMU (about five minutes on two cores)"
mkdir "$work/qemu" "$work/build"
tar -xJf "$work"/source/qemu_*.orig.tar.xz -C "$work/qemu" --strip-components=1
# Debian strips the EDK2 blobs, which the machine does not need, and the bundled wheels.
sed -i '0,/^if unpack_edk2_blobs/s//if false and unpack_edk2_blobs/' "$work/qemu/pc-bios/meson.build"
wheels=$work/qemu/python/wheels
mkdir -p "$wheels"
python3 -m venv "$work/python"
"$work/python/bin/pip" -q --disable-pip-version-check download --no-deps -d "$wheels" --require-hashes \
  -r "$root/scripts/emulator-wheels.txt" >&2 || { say "PyPI gave no wheels for QEMU's build"; exit 69; }
(
  cd "$work/build"
  "$work/qemu/configure" --target-list=x86_64-softmmu --without-default-features --enable-tcg --enable-kvm \
    --enable-gnutls --enable-libcbor --enable-vhost-user --enable-fdt=system --disable-docs --disable-install-blobs \
    --disable-werror --python="$work/python/bin/python3"
  ninja qemu-system-x86_64
) >"$work/log" 2>&1 || { tail -30 "$work/log" >&2; say "QEMU did not build"; exit 1; }

mkdir -p "$cache/firmware"
install -s "$work/build/qemu-system-x86_64" "$cache/qemu-system-x86_64"
install "$work/tree/usr/bin/vhost-device-vsock" "$cache/vhost-device-vsock"
for name in qboot.rom bios-microvm.bin; do
  find "$work/tree" -name "$name" -type f -exec cp {} "$cache/firmware/" \;
done
"$cache/qemu-system-x86_64" -M help | grep -q '^nitro-enclave' || { say "this QEMU has no machine nitro-enclave"; exit 1; }
"$cache/vhost-device-vsock" --version >&2
echo "$recipe" >"$cache/recipe"
say "ready in $((SECONDS - began)) s"
echo "$cache"
