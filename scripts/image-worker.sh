#!/bin/bash
# Builds the worker as it stands in the image: one static, stripped executable, the same bytes in any directory. Prints
# its path on the last line. A build of its own in .build-static, since its flags are not those of the tests.
set -euo pipefail
cd "$(dirname "$0")/.."

flags=(
  -c release --product enclave-worker --scratch-path .build-static -debug-info-format none
  -Xswiftc -static-executable
  # Nothing of this directory, of the order in which objects were made, or of the hour.
  -Xswiftc -file-prefix-map -Xswiftc "$PWD=/src" -Xcc "-ffile-prefix-map=$PWD=/src"
  -Xswiftc -Xfrontend -Xswiftc -disable-incremental-llvm-codegen
  -Xlinker --build-id=none -Xlinker -s
)
# The linker warns of getaddrinfo and the like in libraries; the worker asks no name service. It is heard on failure.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
swift build "${flags[@]}" "$@" >"$log" 2>&1 || { tail -40 "$log" >&2; echo "worker: did not build" >&2; exit 1; }
worker=$(swift build "${flags[@]}" --show-bin-path)/enclave-worker

# It must start with nothing around it, and say what it wants.
code=0
env -i "$worker" >/dev/null 2>&1 || code=$?
[ "$code" -eq 64 ] || { echo "worker: built, but it ends with $code instead of its usage (64)" >&2; exit 1; }
echo "$worker"
