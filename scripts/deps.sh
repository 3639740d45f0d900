#!/bin/bash
# Names the Debian packages that are missing and installs them: at once as root, after a question with sudo, and
# otherwise it prints the command and ends with 69. Arguments: what for (nothing: programs and tests; image; emulator).
set -euo pipefail

packages=(libssl-dev libsodium-dev libcurl4-openssl-dev libsqlite3-dev zlib1g-dev python3 python3-pip python3-venv unzip openssl groff-base)
for purpose in "$@"; do
  case $purpose in
    image) packages+=(gcc libc6-dev linux-libc-dev make flex bison bc libelf-dev xz-utils) ;;
    emulator) packages+=(gcc libc6-dev make ninja-build pkg-config libglib2.0-dev libgnutls28-dev libcbor-dev libfdt-dev xz-utils dpkg-dev) ;;
    *) echo "deps: image or emulator, not $purpose" >&2; exit 64 ;;
  esac
done

command -v swift >/dev/null || {
  echo "deps: no Swift here; this project needs Swift 6.3 (https://www.swift.org/install/linux/)" >&2
  exit 69
}
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

command="apt-get install -y --no-install-recommends ${missing[*]}"
echo "Debian packages missing here: ${missing[*]}"
if [ "$(id -u)" -eq 0 ]; then
  apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive $command >/dev/null
elif command -v sudo >/dev/null && [ -t 0 ]; then
  read -r -p "Run 'sudo $command'? [y/N] " answer
  [[ $answer == [yY]* ]] || { echo "deps: not installed; nothing was changed" >&2; exit 69; }
  sudo apt-get update -q >/dev/null && sudo $command
else
  echo "deps: as root, run: apt-get update && $command" >&2
  exit 69
fi
