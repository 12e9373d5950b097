#!/bin/sh
# Everything that `make bench` measures, into a folder: run.sh BUILD RESULTS
# Each part and precision as JSON and as a page with its roofline; the same work in PyTorch where PYTHON has it; summary.txt.
# PARTS="step infer" measures some, PRECISIONS="fp32" one precision, THREADS=1 other threads than one a processor.
set -eu
[ $# = 2 ] || { echo "usage: run.sh BUILD RESULTS" >&2; exit 2; }
here=$(dirname "$0") build=$1 results=$2
python=${PYTHON:-python3}
threads=${THREADS:-$(nproc)}
mkdir -p "$results"
summary=$results/summary.txt
{
    echo "date       $(date -u +%Y-%m-%dT%H:%M:%SZ)"
    echo "revision   $(git -C "$here" describe --always --dirty 2>/dev/null || echo unknown)"
    echo "processor  $(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1), $(nproc) cores"
    echo "load       $(cut -d ' ' -f 1 /proc/loadavg) before the first part"
    "$build/cover" info
} >"$summary"

takes() { "$build/cover" bench --brief --size 16 --rounds 1 --part mov --precision "$1" >/dev/null 2>&1; }

for precision in ${PRECISIONS:-fp32 bf16}; do
    takes "$precision" || { echo "bench: this build has no precision $precision" | tee -a "$summary"; continue; }
    for part in ${PARTS:-step infer mov sevr}; do
        case $part/$precision in sevr/bf16 | mov/bf16) continue ;; esac # are the same in both
        for dims in ${DIMS:-2 3}; do
            name=$part-${dims}d-$precision
            echo "== $name"
            set -- --part "$part" --dims "$dims" --precision "$precision" --threads "$threads"
            "$build/cover" bench "$@" --json --layers --html "$results/$name.html" >"$results/.$name"
            mv "$results/.$name" "$results/$name.json"
            {
                echo
                echo "$name: $(sed -n 's/.*"seconds": \([^,]*\), "seconds_min": \([^,]*\), "peak_bytes": \([0-9]*\),.*/median \1 s, least \2 s, peak \3 bytes/p; 1q' \
                    "$results/$name.json")"
                [ "$part" = sevr ] || "$python" "$here/peer_torch.py" --cover "$build/cover" "$@" --rounds "${ROUNDS:-3}" \
                    --json "$results/peer-$name.json"
            } | tee -a "$summary"
        done
    done
done
echo "results in $results"
