#!/bin/sh
# Compare two builds by instructions instead of seconds: instructions.sh OLD_BUILD NEW_BUILD
# Each part runs one round at a small size under callgrind, which counts from where that round begins: start, preparation
# and the round that warms up are left out.  Fails when a part of the new build takes more than 2 % more.
#
# callgrind knows no AVX-512 (3.19), so both run as on a processor with AVX2 alone; oneDNN finds that out by itself.
# PARTS="mov infer" runs some, PRECISIONS="fp32" one precision, LIMIT=5 allows 5 %.
set -eu
[ $# = 2 ] || { echo "usage: instructions.sh OLD_BUILD NEW_BUILD" >&2; exit 2; }
old=$1 new=$2
for build in "$old" "$new"; do
    [ -x "$build/cover" ] || { echo "instructions.sh: $build/cover is missing: build it first" >&2; exit 2; }
    "$build/cover" bench -h | grep -q -e --brief || { echo "instructions.sh: $build/cover bench has no --brief: it is too old to compare" >&2; exit 2; }
done
command -v valgrind >/dev/null || { echo "instructions.sh: valgrind is not installed" >&2; exit 2; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

# a_round BUILD PART DIMS SIZE PRECISION
a_round() {
    rm -f "$tmp"/out*
    valgrind --tool=callgrind --zero-before=bench_round --callgrind-out-file="$tmp/out" "$1/cover" bench --brief --json --threads 1 \
        --isa avx2 --pairs 1 --rounds 1 --part "$2" --dims "$3" --size "$4" --precision "$5" >/dev/null 2>"$tmp/err" || return 1
    sed -n 's/^totals: \([0-9]*\)$/\1/p' "$tmp/out"
}

worse=0
printf '%-22s %14s %14s %8s\n' part old new ratio
for precision in ${PRECISIONS:-fp32 bf16}; do
    for row in step/2/16 infer/2/32 mov/2/32 mov/3/16 sevr/2/64 sevr/3/32; do
        part=${row%%/*} size=${row##*/} dims=${row#*/}
        dims=${dims%/*}
        case " ${PARTS:-step infer mov sevr} " in *" $part "*) ;; *) continue ;; esac
        case $part/$precision in sevr/bf16 | mov/bf16) continue ;; esac # are the same in both
        name="$part ${dims}D $size $precision"
        before=$(a_round "$old" "$part" "$dims" "$size" "$precision") || before=
        after=$(a_round "$new" "$part" "$dims" "$size" "$precision") || after=
        if [ -z "$before" ] || [ -z "$after" ]; then
            printf '%-22s %14s %14s\n' "$name" "${before:-cannot run}" "${after:-cannot run}"
            if [ -n "$before" ]; then worse=1; fi
            continue
        fi
        awk -v name="$name" -v before="$before" -v after="$after" -v limit="${LIMIT:-2}" 'BEGIN {
            worse = after > before * (1 + limit / 100)
            printf "%-22s %14d %14d %8.4f%s\n", name, before, after, after / before, worse ? "  more" : ""
            exit worse }' || worse=1
    done
done
[ $worse = 0 ] || { echo "instructions.sh: more than ${LIMIT:-2} % more instructions" >&2; exit 1; }
