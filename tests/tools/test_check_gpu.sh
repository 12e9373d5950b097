#!/bin/sh
# make check-gpu: what it says without a GPU, and its report, over programs that pretend.  Usage: test_check_gpu.sh COVER JSON_VALUE PROJECT BUILD
. "$(dirname "$0")/lib.sh"
project=$(absolute "$3") build=$(absolute "$4")
cd "$tmp" || exit 99
check() { run "$1" env PATH="$tmp/bin:$PATH" python3 "$project/scripts/check_gpu.py" "$tmp/build" "$tmp/results"; }
report() { grep -Eq -e "$1" "$tmp"/results/gpu-*.md || wrong "the report has no: $1"; }
program() { # program PATH: standard input is its text
    mkdir -p "$(dirname "$1")"
    { echo '#!/bin/sh'; cat; } >"$1"
    chmod +x "$1"
}

it 'without a GPU there is one clear line, exit status 1 and no report'
run 1 env CUDA_VISIBLE_DEVICES= python3 "$project/scripts/check_gpu.py" "$build" "$tmp/none"
err '^check-gpu: .*(no GPU|no NVIDIA driver|no libcover-cuda.so)'
[ "$(cat "$tmp/out" "$tmp/err" | wc -l)" = 1 ] || wrong 'more than one line'
holds test ! -e "$tmp/none"

# a GPU, and a build for it, of which each part succeeds
mkdir -p build bin
: >build/libcover-cuda.so
program build/cover <<'END'
verb=$1
case $verb in
info)
    case $3$TWO in cuda | cuda1 | cuda:11) ;; *) exit 1 ;; esac
    echo '{"version": "0.1.0", "cuda": {"name": "NVIDIA A100-SXM4-80GB", "ordinal": 0, "capability": "8.0", "processors": 108,'
    echo '"memory_bytes": 85899345920, "driver": "13.0", "runtime": "13.0", "cudnn": 91900}}' ;;
pretrain)
    mkdir -p "$4"
    for step in 1 2; do echo "{\"step\": $step, \"l_vec\": $([ "${4#*"${ASTRAY:-never}"}" = "$4" ] && echo 1.01 || echo 2)}"; done >"$4/log.jsonl" ;;
bench)
    case "$SMALL $*" in yes*'--pairs 24 '*) echo 'cover bench: the plan needs 20 GiB' >&2 && exit 1 ;; esac
    echo '{"seconds": 0.1, "seconds_min": 0.09}' ;;
esac
END
for name in kernels mov warp sevr conv module; do
    echo 'echo "100%: Checks: 3, Failures: 0, Errors: 0"' | program "build/tests/cuda/gpu_$name"
done
echo 'echo "9 quantities, 0 failed"' | program build/golden_check
echo true | program bin/ninja
echo 'while [ "${1#-}" != "$1" ]; do shift 2; done; exec "$@"' | program bin/compute-sanitizer
echo 'echo 580.65, 400 W, 1410 MHz' | program bin/nvidia-smi

it 'a report has each part, the versions, and timings beside their estimates'
check 0
report '^# NVIDIA A100-SXM4-80GB, 20'
report 'cuDNN 9\.19\.0'
for part in 'test: conv' 'test: module' 'memcheck: mov' 'racecheck: warp' 'synccheck: kernels' 'initcheck: sevr' 'golden files, bf16' \
    'pretrain: one GPU, beside the CPU'; do
    report "^\| $part \| passed \|"
done
report '^\| pretrain: two GPUs \| not run \|  \| there is one GPU'
report '^\| step 384x384, 24 pairs, bf16 \| 100\.000 \| 90\.000 \| [0-9.]+ \|'
report '^\| step 384x384, 2 pairs, tf32 \| 100'
report '^\| mov 64x64x64, 1 pair, fp32 \| 100\.000 \| 90\.000 \|  \|'

it 'two GPUs train together where there are two'
run 0 env TWO=1 PATH="$tmp/bin:$PATH" python3 "$project/scripts/check_gpu.py" --parts pretrain "$tmp/build" "$tmp/results"
report '^\| pretrain: two GPUs, beside the CPU \| passed \|'
holds test "$(grep -c '| passed |' "$tmp"/results/gpu-*.md)" = 4

it 'a part may be run alone'
run 0 env PATH="$tmp/bin:$PATH" python3 "$project/scripts/check_gpu.py" --parts 'test: mov,memcheck: warp' "$tmp/build" "$tmp/results"
holds test "$(grep -c '^| [^|]*: [^|]* | passed |' "$tmp"/results/gpu-*.md)" = 2

it 'what does not fit into the memory of the GPU is not run, with its reason'
run 0 env SMALL=yes PATH="$tmp/bin:$PATH" python3 "$project/scripts/check_gpu.py" --parts time "$tmp/build" "$tmp/results"
report '^\| time: step 384x384, 24 pairs, fp32 \| not run \|  \| cover bench: the plan needs 20 GiB'
report '^\| time: step 384x384, 2 pairs, fp32 \| passed'

it 'a part that fails is told with its output, and so is training that goes astray'
echo 'echo "mov.cu is wrong"; exit 1' | program build/tests/cuda/gpu_mov
ASTRAY=one-GPU
export ASTRAY
check 1
report '^\| test: mov \| FAILED \|.*exit status 1: mov\.cu is wrong'
report '^mov\.cu is wrong$'
report '^\| racecheck: mov \| FAILED \|'
report '^\| pretrain: one GPU, beside the CPU \| FAILED \|'
out '6 failed; the report is'

finish
