#!/bin/bash
# The enclave's kernel, from Debian's source package and infra/enclave/kernel.config: the same bytes in any directory.
# Prints the path of bzImage. Kept in the user's cache under the digest of what it is made of.
#
# Ends with 69 when the source cannot be downloaded.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
config=$root/infra/enclave/kernel.config
lock=$root/infra/enclave/image.lock

say() { echo "kernel: $*" >&2; }
# `source linux-source-6.12 VERSION SUITE SHA256` in the lock.
read -r package version suite digest < <(awk '$1 == "source" && $2 ~ /^linux-source/ { print $2, $3, $4, $5 }' "$lock")
[ -n "${digest:-}" ] || { say "infra/enclave/image.lock names no linux-source"; exit 1; }

"$root/scripts/deps.sh" image >&2
compiler=$(gcc -dumpfullversion)
key=$(cat "$config" "$0" <(echo "$version $digest $compiler") | sha256sum | cut -c1-16)
cache=${EPHEMERALML_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ephemeralml}/kernel/$key
if [ -f "$cache/bzImage" ]; then
  echo "$cache/bzImage"
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
began=$SECONDS
say "fetching $package $version from Debian $suite (150 MB)"
"$root/scripts/debian-fetch.sh" "$suite" "$work/deb" "$package=$version"
echo "$digest  $(ls "$work"/deb/*.deb)" | sha256sum -c --quiet >&2 || { say "$package $version is not the locked file"; exit 1; }
dpkg-deb -x "$work"/deb/*.deb "$work/tree"
mkdir "$work/linux" "$work/out"
tar -xJf "$work"/tree/usr/src/linux-source-*.tar.xz -C "$work/linux" --strip-components=1

# Nothing of this machine, its user or the hour: kernel.org/doc/html/latest/kbuild/reproducible-builds.html
export KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970' KBUILD_BUILD_USER=ephemeralml KBUILD_BUILD_HOST=enclave
export KBUILD_BUILD_VERSION=1 LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=0
build() {
  make -s -C "$work/linux" O="$work/out" KCFLAGS="-ffile-prefix-map=$work/linux=/linux -ffile-prefix-map=$work/out=/out" "$@"
}
build KCONFIG_ALLCONFIG="$config" allnoconfig >&2
# A name that this kernel does not know, or that depends on something else, would be dropped without a word.
missing=$(grep '^CONFIG_' "$config" | grep -vxFf "$work/out/.config" || true)
[ -z "$missing" ] || { say "these settings were not taken: $missing"; exit 1; }
say "building (a few minutes on two cores)"
build -j "$(nproc)" bzImage >"$work/log" 2>&1 || { tail -30 "$work/log" >&2; say "did not build"; exit 1; }

mkdir -p "$cache"
cp "$work/out/arch/x86/boot/bzImage" "$cache/.bzImage.$$"
mv "$cache/.bzImage.$$" "$cache/bzImage"
say "$(stat -c %s "$cache/bzImage") bytes in $((SECONDS - began)) s"
echo "$cache/bzImage"
