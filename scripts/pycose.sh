#!/bin/bash
# The reference implementation of COSE for the tests, in .cache/venv-pycose; prints its python's path. Does nothing when
# it is there already. pycose 1.1.0 does not work with cbor2 6.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.cache/venv-pycose
if [ ! -e "$venv/complete" ]; then
  rm -rf "$venv"
  mkdir -p .cache
  python3 -m venv "$venv" >&2
  "$venv/bin/pip" install --quiet --disable-pip-version-check 'pycose==1.1.0' 'cbor2==5.6.5' >&2
  touch "$venv/complete"
fi
echo "$PWD/$venv/bin/python"
