#!/bin/bash
# A Python environment of its own for something that the tests compare with: .cache/venv-NAME. Does nothing when it is there
# already. Arguments: name, then what pip installs, each with its version.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.cache/venv-$1
shift
[ -e "$venv/complete" ] && exit
rm -rf "$venv"
mkdir -p .cache
python3 -m venv "$venv" >&2
"$venv/bin/pip" install --quiet --disable-pip-version-check "$@" >&2
touch "$venv/complete"
