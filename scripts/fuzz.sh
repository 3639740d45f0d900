#!/bin/bash
# libFuzzer on every decoder that reads a peer's bytes (Tests/Fuzzers), each for so many seconds.
#   scripts/fuzz.sh SECONDS [TARGET]          exit code 1 when something was found; the input's path is printed
#   scripts/fuzz.sh --keep [TARGET]           puts a minimised corpus into Tests/Vectors/fuzz, which `make test` replays
# Everything lives in .build-fuzz: a build of its own (with probes and the address sanitizer) and the growing corpora.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:?seconds, or --keep} only=${2:-}
work=$PWD/.build-fuzz
resources=$(swiftc -print-target-info | sed -nE 's/.*"runtimeResourcePath": *"([^"]+)".*/\1/p')
FUZZER_RUNTIME=$(ls "$resources"/clang/lib/linux/libclang_rt.fuzzer_no_main-"$(uname -m)".a)
export FUZZER_RUNTIME
# Without its own tables a crash would be symbolised for minutes; leaks are not what is looked for.
export SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0

swift build -c release -Xswiftc -enable-testing -j 2 --scratch-path "$work" --product fuzz
fuzz=$work/release/fuzz
targets=$("$fuzz" | if [ -n "$only" ]; then grep "^$only " || true; else cat; fi)
[ -n "$targets" ] || { echo "fuzz: there is no target $only; these are: $("$fuzz" | cut -d' ' -f1 | xargs)" >&2; exit 64; }

found=0
while read -r name longest; do
  export FUZZ_TARGET=$name
  corpus=$work/corpora/$name kept=$work/kept/$name
  mkdir -p "$corpus" "$work/findings/$name"
  rm -rf "$kept" && FUZZ_WRITE=$kept "$fuzz"
  if [ "$time" = --keep ]; then
    merged=$work/merged/$name
    rm -rf "$merged" && mkdir -p "$merged"
    "$fuzz" -set_cover_merge=1 -max_len="$longest" "$merged" "$corpus" "$kept" 2>/dev/null
    FUZZ_KEEP=$merged "$fuzz"
    echo "$name: $(ls "$merged" | wc -l) inputs kept"
    continue
  fi
  log=$work/findings/$name/log
  if "$fuzz" -max_total_time="$time" -max_len="$longest" -timeout=20 -rss_limit_mb=2048 -malloc_limit_mb=512 \
    -print_final_stats=1 -artifact_prefix="$work/findings/$name/" "$corpus" "$kept" >"$log" 2>&1; then
    printf '%-16s %10s executions, %s\n' "$name" "$(sed -nE 's/^stat::number_of_executed_units: //p' "$log")" \
      "$(grep -oE 'cov: [0-9]+ ft: [0-9]+' "$log" | tail -1)"
  else
    found=1
    printf '%-16s FOUND\n' "$name"
    grep -E 'Fatal|ERROR|SUMMARY|promise|Test unit written' "$log" || tail -5 "$log"
  fi
done <<<"$targets"
exit $found
