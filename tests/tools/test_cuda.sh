#!/bin/sh
# The command on a GPU, emulated: training, resuming on the other device, ranks, fine-tuning, prediction, matching, bench.
# Usage: test_cuda.sh COVER JSON_VALUE FOLDER_OF_PNG BUILD
. "$(dirname "$0")/lib.sh"
images=$(absolute "$3")
build=$(absolute "$4")
# a folder of its own, in which the module beside libcover.so is the emulated one
mkdir "$tmp/bin" && cp "$cover" "$tmp/bin" && cp -L "$build/libcover.so.0" "$tmp/bin" &&
    cp "$build/tests/cudasim/libcover-cuda-emulated.so" "$tmp/bin/libcover-cuda.so" || exit 99
onednn=$(ldd "$build/libcover.so.0" | sed -n 's|.* => \(.*\)/libdnnl[^/]* .*|\1|p') # is found by a path relative to the build
LD_LIBRARY_PATH=$tmp/bin:$build/tests/cudasim:$onednn:${LD_LIBRARY_PATH:-}
export LD_LIBRARY_PATH
cover=$tmp/bin/cover
set -- "$images"/*.png
cd "$tmp" || exit 99
mkdir -p few classes/train/a classes/train/b
cp "$1" "$2" "$3" few
cp "$1" "$2" "$3" "$4" classes/train/a
cp "$5" "$6" "$7" "$8" classes/train/b
"$cover" pack few -o few.h5 -q >/dev/null || exit 99
tiny='--preset demo --set widths=8,8,8,8,8,8,8,8,8 --set heads=1,1,1,1,1 --set radius=1 --set schedule=constant --set warmup=0
--crop 16x16 --set work=32x32 --batch 4 --set log_every=1 --set lr=1e-4'
# shellcheck disable=SC2086 # words on purpose
pretrain() {
    expected=$1
    shift
    run "$expected" "$cover" pretrain $tiny "$@"
}
last_loss() { sed -n '$s/.*"loss": \([0-9.e+-]*\),.*/\1/p' "$1/log.jsonl"; }
# near A B: within a thousandth
near() { awk "BEGIN { exit !(($1 - $2) ^ 2 <= (1e-3 * $1) ^ 2) }" || wrong "$1 is not near $2"; }

it 'info tells the GPU'
run 0 "$cover" info --device cuda
out 'CUDA .*emulated A100'

it 'a run on the GPU has the losses of one on the CPU'
pretrain 0 few.h5 -o cpu --steps 4
pretrain 0 few.h5 -o cuda --steps 4 --device cuda
near "$(last_loss cpu)" "$(last_loss cuda)"
holds test -s cuda/weights.safetensors
holds test -s cuda/report.html

it 'what the GPU has begun the CPU goes on with'
pretrain 0 few.h5 -o mixed --steps 2 --device cuda --set save_every=2
pretrain 0 few.h5 -o mixed --steps 4 --resume
near "$(last_loss cpu)" "$(last_loss mixed)"

it 'two ranks with a GPU each have the losses of one'
CUDASIM_DEVICES=2 pretrain 0 few.h5 -o ranks --steps 4 --device cuda --ranks 2
near "$(last_loss cpu)" "$(last_loss ranks)"

it 'bfloat16 trains, too'
pretrain 0 few.h5 -o half --steps 2 --device cuda --precision bf16 --deterministic

it 'a GPU that is not there is wrong use, and nothing is written'
pretrain 2 few.h5 -o none --steps 2 --device cuda:7
err 'cuda:7'
holds test ! -e none

it 'a memory limit of the device is kept to'
pretrain 1 few.h5 -o none --steps 2 --device cuda --memory-limit 1M
err 'on the device, the memory limit is'
holds test ! -e none

it 'a classifier is fine-tuned and predicts on the GPU as on the CPU'
run 0 "$cover" finetune cuda --task cls --data classes -o task --steps 3 --device cuda --crop 32x32 --set work=32x32 --batch 4 \
    --set val_every=2 --set folds=3
run 0 "$cover" predict task -i few -o scores-cuda --device cuda
run 0 "$cover" predict task -i few -o scores-cpu
sed -n 2p scores-cpu/scores.csv | tr ',' '\n' | sed -n '2,3p' >cpu.txt
sed -n 2p scores-cuda/scores.csv | tr ',' '\n' | sed -n '2,3p' >cuda.txt
near "$(head -n 1 cpu.txt)" "$(head -n 1 cuda.txt)"

it 'two images are matched on the GPU'
run 0 "$cover" match cuda few/"$(basename "$1")" few/"$(basename "$2")" -o field.nii.gz --device cuda
holds test -s field.nii.gz

it 'bench measures a device'
run 0 "$cover" bench --device cuda --size 32 --pairs 1 --part mov --rounds 1 --json
value seconds >/dev/null

finish
