#!/bin/bash
# Prometheus' Python client, whose parsers judge the daemon's metrics, in .cache/venv-prometheus; prints its python's path.
# Does nothing when it is there already.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.cache/venv-prometheus
if [ ! -e "$venv/complete" ]; then
  rm -rf "$venv"
  mkdir -p .cache
  python3 -m venv "$venv" >&2
  "$venv/bin/pip" install --quiet --disable-pip-version-check 'prometheus-client==0.22.1' >&2
  touch "$venv/complete"
fi
echo "$PWD/$venv/bin/python"
