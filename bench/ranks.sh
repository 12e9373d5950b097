#!/bin/sh
# Ranks against threads: steps of paper-2d by one process with N threads, and by N ranks with one thread each, in turn, on one machine.
# Usage: bench/ranks.sh [BUILD] [N] [ROUNDS] [OPTIONS OF cover pretrain...]      (build 2 3 --precision bf16)
# Prints the least seconds of a step of either, and their ratio: 1 is as fast, 0.95 is 5 % slower.
set -eu
build=${1:-build} count=${2:-2} rounds=${3:-3}
shift $(($# < 3 ? $# : 3))
cover=$(cd "$build" && pwd)/cover
images=$(cd "$(dirname "$0")/../examples/data/images" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$cover" pack "$images" -o "$folder/data.h5" --size 512x512 -q >/dev/null

# least FILE...: of the seconds of all steps but each run's first
least() { for log; do sed -n '2,$s/.*"seconds": \([0-9.e+-]*\),.*/\1/p' "$log"; done | sort -g | head -n 1; }

round=0
while [ $round -lt "$rounds" ]; do
    round=$((round + 1))
    "$cover" pretrain "$folder/data.h5" -o "$folder/threads$round" --batch $((2 * count)) --steps 5 --set log_every=1 \
        --threads "$count" -q "$@" >/dev/null
    "$cover" pretrain "$folder/data.h5" -o "$folder/ranks$round" --batch $((2 * count)) --steps 5 --set log_every=1 \
        --ranks "$count" --threads 1 -q "$@" >/dev/null
    cmp "$folder/threads$round/weights.safetensors" "$folder/ranks$round/weights.safetensors"
    rm -f "$folder"/*/checkpoint*.h5
done
threads=$(least "$folder"/threads*/log.jsonl) ranks=$(least "$folder"/ranks*/log.jsonl)
awk "BEGIN { printf \"%d threads %.4f s, %d ranks %.4f s: %.3f\\n\", $count, $threads, $count, $ranks, $threads / $ranks }"
