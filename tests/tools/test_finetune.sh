#!/bin/sh
# cover finetune: data layouts, run folders, what is trained, resume, interruption, misuse.
# Usage: test_finetune.sh COVER JSON_VALUE FOLDER_OF_PNG
. "$(dirname "$0")/lib.sh"
images=$(absolute "$3")
set -- "$images"/*.png
cd "$tmp" || exit 99

# An nnU-Net dataset of eight volumes with a bright slab, each a NIfTI file written byte by byte.
nifti() { # nifti FILE DEPTH FIRST-ROW: 32x32 planes with a bright slab from that row; with LABEL=1 the slab as 1, the rest as 0
    awk -v first="$3" -v label="$LABEL" -v depth="$2" 'BEGIN {
        for (z = 0; z < depth; z++) for (y = 0; y < 32; y++) for (x = 0; x < 32; x++) {
            inside = y >= first && y < first + 10 && x >= 8 && x < 24
            printf "%c", label ? (inside ? 1 : 2) : 60 + (x * 7 + y * 13 + z * 5) % 30 + (inside ? 37 : 0) } }' >pixels
    [ "$LABEL" = 1 ] && tr '\001\002' '\001\000' <pixels >labels && mv labels pixels
    {
        printf '\134\001\000\000'; head -c 36 /dev/zero
        printf '\003\000\040\000\040\000'; printf "\\$(printf %o "$2")\\000"; printf '\001\000\001\000\001\000\001\000'; head -c 14 /dev/zero
        printf '\002\000\010\000\000\000' # uint8
        for _ in 1 2 3 4 5 6 7 8; do printf '\000\000\200\077'; done
        printf '\000\000\260\103\000\000\200\077'; head -c 228 /dev/zero
        printf 'n+1\000\000\000\000\000'; cat pixels
    } >"$1"
}
mkdir -p raw/imagesTr raw/labelsTr
printf '{"channel_names": {"0": "CT"}, "labels": {"background": 0, "slab": 1}, "numTraining": 8, "file_ending": ".nii"}' >raw/dataset.json
for case in 1 2 3 4 5 6 7 8; do
    LABEL=0 nifti raw/imagesTr/case_$case"_0000.nii" 16 $((case * 2))
    LABEL=1 nifti raw/labelsTr/case_$case.nii 16 $((case * 2))
done
mkdir -p classes/train/bright classes/train/dark
cp "$1" "$2" "$3" "$4" classes/train/bright
cp "$5" "$6" "$7" "$8" classes/train/dark

narrow='--set widths=8,8,8,8,8,8,8,8,8 --set log_every=2 --set warmup=0 --set schedule=constant'
seg="$narrow --task seg --crop 16x16x16 --batch 2 --set val_every=3 --set lr=0.01 --set folds=4"
cls="$narrow --task cls --crop 32x32 --set work=32x32 --batch 4 --set val_every=2 --set folds=3"
# shellcheck disable=SC2086 # words on purpose
finetune() { # finetune STATUS WORDS...
    expected=$1
    shift
    run "$expected" "$cover" finetune "$@"
}

it 'an nnU-Net folder is packed and trained on, and the run folder has its files'
finetune 0 scratch $seg --data raw -o run --steps 6 --threads 1
out '^training cases +6$'
out '^validation cases +2$'
out '^mean Dice +0\.'
for file in dataset.h5 config.json log.jsonl checkpoint.h5 weights.safetensors result.json report.html; do holds test -s run/$file; done
holds sh -c 'ls run/events.out.tfevents.*'
cp run/config.json out
[ "$(value dims)" = 3 ] || wrong 'not 3D'
[ "$(value classes)" = 2 ] || wrong 'not two classes'

it 'the log has losses, and figures where it was validated'
tail -n 1 run/log.jsonl >out
for key in loss cross_entropy dice_loss grad_norm lr seconds samples_per_s; do value $key >/dev/null; done
[ "$("$json" 'step' <out)" = 6 ] || wrong 'not step 6'
holds grep -q '"val.mean_dice": [0-9.]*, "val.dice.slab": ' out

it 'the result comes as JSON, and nothing else on stdout'
finetune 0 scratch $seg --data run/dataset.h5 -o json --steps 2 --json --quiet
for key in run task steps seconds train_cases val_cases best.step best.mean_dice best.classes.slab best.cases.0.name; do value $key >/dev/null; done
[ "$(value task)" = seg ] || wrong 'not seg'
no_err .

it 'another number of threads makes the same weights'
finetune 0 scratch $seg --data run/dataset.h5 -o run3 --steps 6 --threads 3
holds cmp run/weights.safetensors run3/weights.safetensors
holds "$cover" check run3

it 'class folders make a classification'
finetune 0 scratch $cls --data classes -o pictures --steps 4 --json
value best.auc >/dev/null
value best.accuracy >/dev/null
value best.classes.bright >/dev/null
holds grep -q '"val.auc": [0-9.]*, "val.accuracy": ' pictures/log.jsonl

it 'a run that has no result yet has a report of its own kind'
mkdir young && cp pictures/config.json pictures/log.jsonl young
run 0 "$cover" report young -o young/report.html
holds grep -q 'fine-tuning &middot; classification' young/report.html

it 'shots, fractions and folds choose the cases'
finetune 0 scratch $cls --data pictures/dataset.h5 -o shots --steps 1 --shots 2 --json
[ "$(value train_cases)" = 4 ] || wrong 'not two of each class'
finetune 0 scratch $seg --data run/dataset.h5 -o fold --steps 1 --fold 2/2 --json
[ "$(value val_cases)" = 4 ] || wrong 'not half of them'
finetune 1 scratch $seg --data run/dataset.h5 -o never --shots 9 --steps 1
err 'shots=9.*use fewer'
holds test ! -e never/config.json

it 'a run starts from another; --linear and --last-k train a part of it'
finetune 0 run $seg --data run/dataset.h5 -o linear --steps 2 --linear
holds grep -q '"trained": "head"' linear/config.json
finetune 0 run/weights.safetensors $seg --data run/dataset.h5 -o last --steps 2 --last-k 2
holds grep -q '"trained": "last"' last/config.json
holds grep -q '"last_k": 2' last/config.json

it 'export keeps the head, or leaves it out where that is asked for'
run 0 "$cover" export run -o whole.safetensors
holds cmp whole.safetensors run/weights.safetensors
run 0 "$cover" export run -o whole.onnx
holds grep -q scores whole.onnx
run 0 "$cover" export run -o bare.safetensors --backbone-only
holds sh -c '! grep -q head.weight bare.safetensors'
run 0 "$cover" export run -o bare.onnx --backbone-only
holds grep -q level4 bare.onnx
run 0 "$cover" export pictures -o pictures.onnx # a classification, which has no decoder
run 0 "$cover" convert run/weights.safetensors -o again.safetensors
holds grep -q '"objective":"task"' again.safetensors
run 0 "$cover" predict again.safetensors -i raw/imagesTr/case_1_0000.nii -o again

it 'a run does not start from weights that were changed'
cp run/weights.safetensors changed.safetensors
holds dd if=run/dataset.h5 of=changed.safetensors bs=1 skip=100 seek=$(($(wc -c <changed.safetensors) - 4000)) count=16 conv=notrunc status=none
finetune 1 changed.safetensors $seg --data run/dataset.h5 -o never --steps 1
err 'are not those that were written'
holds test ! -e never

it 'an existing run is not touched without --resume'
cp run/weights.safetensors before
finetune 1 scratch $seg --data run/dataset.h5 -o run --steps 6
err 'run: .*--resume'
holds cmp before run/weights.safetensors

it 'a resume takes the settings of the run, and refuses others by name'
finetune 0 scratch $seg --data run/dataset.h5 -o parts --steps 3
run 0 "$cover" finetune scratch --task seg --data run/dataset.h5 -o parts --steps 6 --resume
err 'going on after step 3'
finetune 1 scratch --task seg --data run/dataset.h5 -o parts --steps 8 --resume --set lr=0.5
err 'lr=0.01, not 0.5'

it 'a run killed again and again makes the weights of an unbroken one'
finetune 0 scratch $seg --data run/dataset.h5 -o whole --steps 12 --set save_every=1
for delay in 0.3 0.6 0.9; do
    # shellcheck disable=SC2086
    "$cover" finetune scratch $seg --data run/dataset.h5 -o killed --steps 12 --set save_every=1 --resume >out 2>err &
    process=$!
    sleep $delay
    kill -9 $process 2>/dev/null
    wait $process 2>/dev/null
done
finetune 0 scratch $seg --data run/dataset.h5 -o killed --steps 12 --set save_every=1 --resume
holds cmp whole/weights.safetensors killed/weights.safetensors
holds cmp whole/checkpoint.h5 killed/checkpoint.h5

it 'the time left is that of the steps, from the first one on, even when the data were packed before'
"$cover" finetune scratch $seg --data raw -o timed --steps 100000 --set log_every=1 >out 2>err &
process=$!
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    test -s timed/log.jsonl && break
    sleep 0.3
done
kill -INT $process
wait $process
cp err "$tmp/err" 2>/dev/null
err '^8 images of 16x32x32; network unet of widths 8,.*; 100000 steps, batch 2, crop 16x16x16$'
head -n 1 timed/log.jsonl >out
sed -n 's/^finetune: 1\/100000 .*ETA //p' err | awk -v step="$(value seconds)" '{ n = split($0, part, /[: ]/)
    left = / d / ? 86400 * part[1] + 3600 * part[3] : n == 3 ? 3600 * part[1] + 60 * part[2] + part[3] : 60 * part[1] + part[2]
    want = 99999 * step; found = left > 0.9 * want - 3600 * (/ d /) && left < 1.1 * want } END { exit !found }' ||
    wrong "not that of the first step, $(value seconds) s"

it 'SIGINT saves and exits with 130, says how to go on, and --resume goes on'
# shellcheck disable=SC2086
"$cover" finetune scratch $seg --data run/dataset.h5 -o 'stopped here' --steps 100000 >out 2>err &
process=$!
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    test -s 'stopped here/log.jsonl' && break
    sleep 1
done
kill -INT $process
status=0
wait $process || status=$?
last='kill -INT' # shellcheck disable=SC2034 # for wrong()
[ $status = 130 ] || wrong "exit status $status"
err '^to go on: .* finetune scratch .* -o .stopped here. .*--resume$'
steps=$(tail -n 1 'stopped here/log.jsonl' | "$json" step)
run 0 "$cover" finetune scratch --task seg --data run/dataset.h5 -o 'stopped here' --steps $((steps + 1)) --resume
err "going on after step $steps"

it 'predictions that find nothing are a warning, and a note in the report'
finetune 0 scratch $seg --data run/dataset.h5 -o nothing --steps 2 --set lr=30
err '^warning: mean Dice is 0: no better than nothing\. .* nothing/report\.html has a note$'
holds grep -q 'class="warn"' nothing/report.html

it 'images that cannot be predicted are listed once, and in the result as JSON'
mkdir some && cp raw/imagesTr/case_1_0000.nii some/ && head -c 400 raw/imagesTr/case_2_0000.nii >some/case_2_0000.nii
run 1 "$cover" predict run -i some -o labels
err '^warning: predict: .*case_2_0000\.nii: '
err '^cover predict: 1 of 2 images could not be predicted; the others are done$'
[ "$(grep -c case_2 "$tmp/err")" = 1 ] || wrong 'listed more than once'
out '^predicted +1$'
run 1 "$cover" predict run -i some -o labels --json
[ "$(value written)" = 1 ] || wrong 'not one'
case $(value failed.0.file) in *some/case_2_0000.nii) ;; *) wrong 'not that file' ;; esac
value failed.0.reason >/dev/null
run 1 "$cover" predict run -i some/case_2_0000.nii -o no-labels
no_out .
holds test ! -e no-labels

it 'wrong use is refused before anything is written'
run 2 "$cover" finetune scratch --task seg -o never --steps 1
err '--data DATA is missing'
run 2 "$cover" finetune scratch --task segment --data raw -o never --steps 1
err 'seg.cls'
finetune 2 scratch $seg --data raw -o never --steps 1 --set los=1
err "no setting 'los'"
finetune 2 scratch $seg --data raw -o never --steps 1 --set radius=2
err 'radius'
finetune 2 scratch $seg --data raw -o never --steps 1 --fold 7/5
err '--fold 7/5: there are folds 1 to 5'
for fold in 3 /5 0/5 1/ a/b 1/1; do
    finetune 2 scratch $seg --data raw -o never --steps 1 --fold $fold
    err 'fold'
done
finetune 2 scratch $seg --data raw -o never --steps 1 --linear --last-k 2
err 'exclude each other'
run 2 "$cover" finetune --task seg --data raw -o never --steps 1
err 'operands are missing'
holds test ! -e never

it 'what does not fit is refused with its name'
echo 'no weights' >text
finetune 1 text $seg --data run/dataset.h5 -o never --steps 1
err 'text: '
finetune 1 nowhere $seg --data run/dataset.h5 -o never --steps 1
err nowhere
finetune 1 scratch --task cls --data run/dataset.h5 -o never --steps 1
err 'no classes of images'
finetune 1 scratch --task seg --data pictures/dataset.h5 -o never --steps 1
err 'no label maps'
finetune 1 pictures $seg --data run/dataset.h5 -o never --steps 1
err '2D network.*3D images'
finetune 1 scratch $seg --data nowhere.h5 -o never --steps 1
err 'nowhere\.h5'
holds test ! -e never/config.json

finish
