#!/bin/bash
# The chat templates of known models, which axolotl's wheel on PyPI carries, and what Jinja makes of them:
# .cache/chat-templates/cases.json, for a test to compare with. Nothing of the wheel is installed or run.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.19.0
out=.cache/chat-templates
[ -e "$out/complete-$version" ] && exit
scripts/venv.sh jinja 'jinja2==3.1.6' 'markupsafe==3.0.3' 'tzdata==2025.3'
rm -rf "$out" && mkdir -p "$out/templates"
python=.cache/venv-jinja/bin/python
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: -d "$out" "axolotl==$version"
"$python" - "$out" <<'P'
import pathlib, sys, zipfile
out = pathlib.Path(sys.argv[1])
with zipfile.ZipFile(next(out.glob("*.whl"))) as wheel:
    for name in wheel.namelist():
        if name.startswith("axolotl/utils/chat_templates/templates/") and name.endswith(".jinja"):
            (out / "templates" / pathlib.PurePosixPath(name).name).write_bytes(wheel.read(name))
P
PYTHONDONTWRITEBYTECODE=1 "$python" scripts/golden/chat_templates.py "$out" "$out/templates" >&2
touch "$out/complete-$version"
