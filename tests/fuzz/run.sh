#!/bin/sh
# Run every fuzzer of a build with fuzz=true, two at a time, and tell how many inputs each has had.
# Usage: run.sh BUILD RUNS [NAME ...]      FUZZ_TIMEOUT: seconds an input may take, by the clock: more on a machine that is busy (20)
set -eu
build=$1 runs=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)

one() {
    name=$1 log=$build/fuzz-$1.log
    corpus=$here/corpus/$name work=$build/corpus-$name
    mkdir -p "$work"
    start=$(date +%s)
    if "$build/tests/fuzz/fuzz_$name" -runs="$runs" -seed=1 -max_len=300000 -timeout="${FUZZ_TIMEOUT:-20}" -rss_limit_mb=3000 \
        -artifact_prefix="$build/findings/$name-" "$work" "$corpus" >"$log" 2>&1; then
        echo "ok - $name: $runs inputs in $(($(date +%s) - start)) s, $(sed -n 's/.*DONE *cov: \([0-9]*\).*/\1/p' "$log" | tail -1) edges"
    else
        echo "not ok - $name: $(grep -m1 -E 'ERROR|SUMMARY|ALARM' "$log"); see $build/findings and $log"
        return 1
    fi
}
if [ "${FUZZ_ONE:-}" ]; then
    one "$1"
    exit
fi
[ $# -gt 0 ] || set -- $(cd "$here" && ls fuzz_*.c | sed 's/^fuzz_//;s/\.c$//')
targets=
for name in "$@"; do targets="$targets tests/fuzz/fuzz_$name"; done
# shellcheck disable=SC2086
ninja -C "$build" $targets
mkdir -p "$build/findings"
printf '%s\n' "$@" | FUZZ_ONE=1 xargs -P 2 -n 1 sh "$0" "$build" "$runs"
