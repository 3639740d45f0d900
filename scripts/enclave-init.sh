#!/bin/bash
# Compiles infra/enclave/init.c, static and the same in any directory, to the file that is named.
set -euo pipefail
cd "$(dirname "$0")/../infra/enclave"
gcc -std=gnu17 -Os -Wall -Wextra -Werror -static -s -fstack-protector-strong -D_FORTIFY_SOURCE=2 -Wl,--build-id=none \
  -ffile-prefix-map="$PWD"=. -o "$1" init.c
