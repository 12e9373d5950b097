#!/bin/sh
# cover plan, pretrain and what comes after it: run folders, resume, interruption, misuse.
# Usage: test_run.sh COVER JSON_VALUE FOLDER_OF_PNG
. "$(dirname "$0")/lib.sh"
images=$(absolute "$3")
set -- "$images"/*.png
cd "$tmp" || exit 99
mkdir few other
cp "$1" "$2" "$3" few
cp "$4" "$5" other
"$cover" pack few -o few.h5 -q >/dev/null && "$cover" pack other -o other.h5 -q >/dev/null || exit 99

# a network that takes a step in no time
tiny='--preset demo --set widths=8,8,8,8,8,8,8,8,8 --set heads=1,1,1,1,1 --set radius=1 --set schedule=constant --set warmup=0
--crop 32x32 --set work=48x48 --batch 2 --set log_every=2'

# shellcheck disable=SC2086 # words on purpose
pretrain() {
    expected=$1
    shift
    run "$expected" "$cover" pretrain $tiny "$@"
}

it 'a plan tells parameters, work and bytes'
run 0 "$cover" plan --json
[ "$(value parameters)" = 7881712 ] || wrong "not the paper's number of parameters"
for key in flops_per_step bytes.weights bytes.gradients bytes.optimiser bytes.arena_per_lane bytes.lanes bytes.total; do
    value $key >/dev/null
done
run 0 "$cover" plan
out '^parameters +7,881,712$'

it 'a plan above the memory limit is refused'
run 1 "$cover" plan --memory-limit 20M
err 'memory limit is 20 MiB'
run 1 "$cover" plan --memory-limit 5
err 'memory limit is 5 bytes'

it 'settings that do not fit are wrong use'
run 2 "$cover" plan --crop 100x100
err 'not a multiple of 16; use 96'
run 2 "$cover" plan --set radus=2
err "no setting 'radus'; did you mean radius\?"
run 2 "$cover" plan --set radius=x
err 'radius=x: give a whole number'
run 2 "$cover" plan --set radius
err 'KEY=VALUE'
run 2 "$cover" plan --preset papr-2d
err 'did you mean paper-2d\?'
run 2 "$cover" plan --batch 0
err 'batch=0: out of range'
run 2 "$cover" plan --radius 2
err 'a setting of that name: --set radius=VALUE'

it 'the help of pretrain shows presets, and settings with the values of the preset given'
run 0 "$cover" pretrain -h
out '^  paper-3d .*dims=3'
out '^  batch +24 '
run 0 "$cover" pretrain --preset demo -h
out '^  batch +8 '

it 'a run leaves its folder and prints its result'
pretrain 0 few.h5 -o run --steps 6 --threads 1
for file in config.json log.jsonl checkpoint.h5 weights.safetensors report.html; do holds test -s run/$file; done
holds sh -c 'ls run/events.out.tfevents.*'
out '^steps +6$'
out '^l_vec / l_zero +[0-9.]+$'
out '^report +run/report\.html$'

it 'the last line of the log is the last step and has every key'
tail -n 1 run/log.jsonl >out
for key in loss l_vec l_con l_zero grad_norm lr seconds pairs_per_s; do value $key >/dev/null; done
[ "$(value step)" = 6 ] || wrong 'not step 6'

it 'config.json holds every resolved value'
cp run/config.json out
[ "$(value crop)" = 32x32 ] || wrong 'not the crop'
[ "$(value batch)" = 2 ] || wrong 'not the batch'
value inpaint_probability >/dev/null

it 'the report opens nothing outside itself'
holds grep -q '</html>' run/report.html
if grep -Eq 'https?:|<script|<link' run/report.html; then wrong 'it does'; fi

it 'the result comes as JSON, and nothing else on stdout'
pretrain 0 few.h5 -o run-json --steps 1 --json --quiet
[ "$(value steps)" = 1 ] || wrong 'not one step'
value ratio >/dev/null
no_err '^[^w]' # a warning of what one step has learnt

it 'a run on the CPU opens no module and none of its libraries'
LD_DEBUG=files LD_DEBUG_OUTPUT=$tmp/loaded
export LD_DEBUG LD_DEBUG_OUTPUT
pretrain 0 few.h5 -o run-cpu --steps 1 --device cpu
unset LD_DEBUG LD_DEBUG_OUTPUT
cat "$tmp"/loaded.* >"$tmp/out"
out 'libcover\.so'
no_out 'libcover-|libcuda|libcudnn|libnccl|libnvidia|libmpi'

it 'another number of threads makes the same weights'
pretrain 0 few.h5 -o run3 --steps 6 --threads 3
holds cmp run/weights.safetensors run3/weights.safetensors

it 'another seed makes other weights'
pretrain 0 few.h5 -o run-seed --steps 6 --seed 1
if cmp -s run/weights.safetensors run-seed/weights.safetensors; then wrong 'the same'; fi

it 'a run in two parts makes the weights of an unbroken one'
pretrain 0 few.h5 -o parts --steps 3
pretrain 0 few.h5 -o parts --steps 6 --resume
err 'going on after step 3'
holds cmp run/weights.safetensors parts/weights.safetensors

it 'resume takes the settings of the run where none are given'
run 0 "$cover" pretrain few.h5 -o parts --steps 7 --resume
tail -n 1 parts/log.jsonl >out
[ "$(value step)" = 7 ] || wrong 'not step 7'

it 'resume without a checkpoint starts anew'
pretrain 0 few.h5 -o fresh --steps 1 --resume
err '^warning: fresh: there is no checkpoint to resume from; starting anew$'

it 'an existing run is not touched without --resume'
cp run/weights.safetensors before
pretrain 1 few.h5 -o run --steps 6
err 'run: holds a run already .*; give --resume to go on'
holds cmp before run/weights.safetensors

it 'a resume with another setting or another dataset is refused by name'
pretrain 1 few.h5 -o run --steps 8 --resume --set radius=2
err 'radius'
pretrain 1 other.h5 -o run --steps 8 --resume
err 'dataset'
holds cmp before run/weights.safetensors

it 'a run whose schedule ends cannot be made longer, and that is said'
pretrain 0 few.h5 -o ended --steps 3 --set schedule=cosine
pretrain 1 few.h5 -o ended --steps 4 --set schedule=cosine --resume
err 'the run was made with steps=3, not 4: its schedule ends there; start a new run from its weights'

it 'a result that is worse than nothing is a warning, and a note in the report'
pretrain 0 few.h5 -o worse --steps 12 --set lr=100
err '^warning: l_vec / l_zero is [0-9.]+: an answer that knows nothing is nearer'
holds grep -q 'class="warn"' worse/report.html
pretrain 0 few.h5 -o better --steps 200 --set lr=1e-3 --quiet
no_err warning

for signal in INT TERM HUP XCPU USR1; do
    it "SIG$signal saves and exits with 130, even when it arrives twice, and resume goes on"
    # shellcheck disable=SC2086
    $heard "$cover" pretrain $tiny few.h5 -o "stopped $signal" --steps 100000 >out 2>err &
    process=$!
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
        test -s "stopped $signal/log.jsonl" && break
        sleep 1
    done
    kill -$signal $process
    sleep 0.002
    kill -$signal $process 2>/dev/null
    status=0
    wait $process || status=$?
    last="kill -$signal" # shellcheck disable=SC2034 # for wrong()
    [ $status = 130 ] || wrong "exit status $status"
    err '^cover pretrain: interrupted; stopped .*: stopped after step [0-9]+ of 100000; checkpoint\.h5 is saved$'
    err '^to go on: .* -o .stopped .* --resume$'
    holds test -s "stopped $signal/checkpoint.h5"
    steps=$(tail -n 1 "stopped $signal/log.jsonl" | "$json" step)
    run 0 "$cover" pretrain few.h5 -o "stopped $signal" --steps $((steps + 1)) --resume
    err "going on after step $steps"
done

it 'a figure that is measured against nothing has no quotient, and images in one cluster are a warning, once'
mkdir alike && for copy in 1 2 3 4; do cp "$1" "alike/$copy.png"; done
run 0 "$cover" pack alike -o alike.h5
# shellcheck disable=SC2086
run 0 "$cover" pretrain alike.h5 -o alike.run --preset demo --set objective=deepcluster --set widths=8,8,8,8,8,8,8,8,8 \
    --set schedule=constant --set warmup=0 --crop 32x32 --set work=48x48 --batch 2 --steps 4 --set reassign_least=2
err '100 % of the images are in one cluster'
[ "$(grep -c 'in one cluster' "$tmp/err")" = 1 ] || wrong 'the warning came more than once'
no_err '(inf|nan)$'
out '^zero +0$'
no_out 'cross_entropy / zero'

it 'a hang-up that is ignored, as nohup does it, stays ignored'
# shellcheck disable=SC2086
(trap '' HUP && exec "$cover" pretrain $tiny few.h5 -o deaf --steps 100000 >out 2>err) &
process=$!
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
    test -s deaf/log.jsonl && break
    sleep 0.2
done
kill -HUP $process
sleep 0.3
no_err 'stopping'
kill -TERM $process
status=0
wait $process || status=$?
[ $status = 130 ] || wrong "exit status $status"

it 'a reader of the progress that has gone does not end the run'
# shellcheck disable=SC2086
{
    sleep 0.2
    "$cover" pretrain $tiny few.h5 -o unheard --steps 4 2>&1 >/dev/null
    echo $? >status
} | true
[ "$(cat status)" = 0 ] || wrong "exit status $(cat status)"
holds test -s unheard/weights.safetensors

it 'a result that nobody reads is a failure, said at the end'
# shellcheck disable=SC2086
{
    sleep 0.2
    "$cover" pretrain $tiny few.h5 -o unread --steps 4 2>err
    echo $? >status
} | true
cp err "$tmp/err" 2>/dev/null
[ "$(cat status)" = 1 ] || wrong "exit status $(cat status)"
err 'cover: standard output: '
holds test -s unread/weights.safetensors

it 'a second signal some time after the first stops at once, says what is lost, and is no 130'
# a command that cannot end by itself: its standard output is full, and nobody reads it
mkfifo full
sleep 60 <full &
reader=$!
exec 3>full
timeout 1 head -c 65536 /dev/zero >&3
"$cover" info >&3 2>err &
process=$!
sleep 0.5
kill -INT $process
sleep 1.2
kill -INT $process
status=0
wait $process || status=$?
exec 3>&-
kill $reader
cp err "$tmp/err" 2>/dev/null
[ $status = 3 ] || wrong "exit status $status"
err '^stopping after what is in work'
err '^stopped at once: what was not written yet is lost$'

it 'check finds runs, weights, checkpoints and datasets whole'
for file in run run/weights.safetensors run/checkpoint.h5 few.h5; do
    run 0 "$cover" check $file
    out "^$file: ok"
    run 0 "$cover" check $file --json
    [ "$(value ok)" = true ] || wrong 'not ok'
done

it 'check finds damage, and says so in JSON too'
for file in few.h5 run/weights.safetensors run/checkpoint.h5; do
    size=$(wc -c <$file)
    head -c $((size / 2)) $file >half
    run 1 "$cover" check half
    run 1 "$cover" check half --json
    [ "$(value ok)" = false ] || wrong 'ok?'
    value errors.0 >/dev/null
done
run 1 "$cover" check nowhere --json
[ "$(value ok)" = false ] || wrong 'ok?'

it 'a changed value of weights is found and named, by who trains on from them, too'
cp run/weights.safetensors changed.safetensors
holds dd if=few.h5 of=changed.safetensors bs=1 skip=100 seek=$(($(wc -c <changed.safetensors) - 2000)) count=16 conv=notrunc status=none
run 1 "$cover" check changed.safetensors
out 'the values of [12] of [0-9]+ tensors are not those that were written, first '
pretrain 1 few.h5 -o never --steps 1 --init changed.safetensors
err 'are not those that were written'
holds test ! -e never

it 'what is no dataset is refused by name'
: >empty.h5
head -c 5000 few.h5 >half.h5
for file in nowhere.h5 empty.h5 half.h5 "$1" few; do
    pretrain 1 "$file" -o never --steps 1
    err "$(basename "$file")"
    holds test ! -e never
done

pretrain 1 few/ -o never --steps 1
err '^cover pretrain: few/ is a folder; pack it first: cover pack few -o few\.h5$'

it 'a crop larger than the images is refused before the work'
run 1 "$cover" pretrain few.h5 -o never --preset demo --set work=0x0 --crop 512x512 --steps 1
err '[0-9_]+\.png: 256x256 is smaller than crop=512x512; give --set work=512x512 to enlarge the images, or a crop within 256x256$'
holds test ! -e never

it 'a dataset of other dimensions is refused'
run 1 "$cover" pretrain few.h5 -o never --preset paper-3d --steps 1
err '2D images, but dims=3; use --preset paper-2d'
holds test ! -e never

it 'a run folder that cannot be made is said'
: >file
pretrain 1 few.h5 -o file/run --steps 1
err 'file/run'

it 'a run above the memory limit is refused before the work'
run 1 "$cover" pretrain few.h5 -o never --memory-limit 20M --steps 1
holds test ! -e never

it 'match writes field and warped image'
run 0 "$cover" match run "$1" "$2" -o field.nii.gz --warped warped.nii --json
for key in size spacing_mm mean_mm max_mm seconds; do value $key >/dev/null; done
holds test -s field.nii.gz
holds test -s warped.nii

it 'match makes images of as many channels as are asked for, if the network takes them, and two results two files'
run 0 "$cover" match run "$1" "$2" -o grey.nii --channels grey
run 1 "$cover" match run "$1" "$2" -o colours.nii --channels rgb
err '--channels makes images of 3 channels, but the network takes 1'
run 1 "$cover" match run "$1" "$2" -o one.nii --warped one.nii
err 'one\.nii: two results would be written there'
holds test ! -e colours.nii -a ! -e one.nii

it 'match of images of two sizes, and without weights, is refused'
"$cover" pack few -o small.h5 --size 64x64 -q >/dev/null
run 1 "$cover" match nowhere "$1" "$2" -o field2.nii
err nowhere
run 1 "$cover" match run "$1" few.h5 -o field2.nii
err 'few\.h5'
run 1 "$cover" match run "$1" "$2" -o /nowhere/field.nii
err '/nowhere/field\.nii'
run 2 "$cover" match run "$1" -o field2.nii
err 'an operand is missing'
holds test ! -e field2.nii

it 'export writes safetensors, the backbone alone, and ONNX'
run 0 "$cover" export run -o all.safetensors
run 0 "$cover" export run -o backbone.safetensors --backbone-only
run 0 "$cover" export run -o net.onnx
holds grep -q 'backbone.inc.double_conv.0.weight' all.safetensors
holds grep -q 'proj' all.safetensors
if grep -q '"proj' backbone.safetensors; then wrong 'the head is in it'; fi
holds test -s net.onnx
run 1 "$cover" export run -o net.txt
run 1 "$cover" export nowhere -o net.onnx

it 'a run from weights takes their network, unless another is asked for'
run 0 "$cover" pretrain few.h5 -o taken --init run --steps 1 --crop 32x32 --set work=48x48 --batch 2
for setting in '"widths": "8,8,8,8,8,8,8,8,8"' '"heads": "1,1,1,1,1"' '"radius": 1'; do
    holds grep -q "$setting" taken/config.json
done
run 1 "$cover" pretrain few.h5 -o never --init run --steps 1 --preset demo
err 'weights of a network of widths=8,8,8,8,8,8,8,8,8, but the settings say 8,16,32,64,128,64,32,16,8 '
err 'double_conv.1.weight \(8 in the file, 16 in the network\) and 67 more$'
[ "$(wc -c <"$tmp/err")" -lt 1000 ] || wrong 'a long text'
run 1 "$cover" pretrain few.h5 -o never --init run --steps 1 --crop 32x32 --set work=48x48 --batch 2 --set heads=2,1,1,1,1
err 'heads=1,1,1,1,1, but the settings say 2,1,1,1,1 '
holds test ! -e never

it 'a run can start from the weights of another'
pretrain 0 few.h5 -o second --steps 1 --init run
pretrain 1 few.h5 -o third --steps 1 --init run --set radius=1 --set head_dim=4
err 'proj'
err 'does not fit the network \(--allow-partial takes what fits\)'

it 'a value to set is told as the option, or the --set, that sets it'
pretrain 1 few.h5 -o third --steps 1 --set channels=3
err 'give --set channels=1, or'
run 1 "$cover" predict run -i few -o never
err "without a task; fine-tune them first \('cover finetune'\)"

it 'convert takes safetensors and refuses what is no weight file'
run 0 "$cover" convert all.safetensors -o again.safetensors
run 1 "$cover" convert few.h5 -o never.safetensors
err 'few\.h5'
run 1 "$cover" convert "$1" -o never.safetensors
holds test ! -e never.safetensors

it 'report writes the page again, and refuses what is no run'
run 0 "$cover" report run -o again.html
out '^report +again\.html$'
holds grep -q '</html>' again.html
cp again.html first.html && rm run/report.html
run 0 "$cover" report run/
out '^report +run/report\.html$'
holds cmp first.html run/report.html
run 1 "$cover" report few -o never.html
err '^cover report: few: not a run folder: there is no few/config\.json$'
holds test ! -e never.html

it 'report of a run that has saved nothing yet has curves alone, and damage is named'
mkdir young && cp run/config.json run/log.jsonl run/preview.safetensors young
run 0 "$cover" report young -o young.html
err 'nothing is saved yet'
holds grep -q '<svg' young.html
if grep -q '<img' young.html; then wrong 'pictures of what?'; fi
echo '{"step": "seven"}' >>young/log.jsonl
run 1 "$cover" report young -o never.html
err 'young/log\.jsonl: line [0-9]+: '
echo '{"radus": 3}' >young/config.json
run 1 "$cover" pretrain few.h5 -o young --resume
err 'young/config\.json: .*radus'


if command -v script >/dev/null; then
    it 'on a terminal progress is a bar, redrawn in place'
    # shellcheck disable=SC2016
    TERM=xterm COVER="$cover" TINY="$tiny" script -qec '"$COVER" pretrain $TINY few.h5 -o shown --steps 6' /dev/null >out
    holds grep -q "$(printf '\r\033\[2K')pretrain " out
    holds grep -q '6/6' out
    for columns in 100 80 40; do
        it "with $columns columns the bar shows what is left to learn and the time left, and no line is longer"
        # shellcheck disable=SC2016
        TERM=xterm COVER="$cover" TINY="$tiny" script -qec "stty cols $columns"' && "$COVER" pretrain $TINY few.h5 -o shown'"$columns"' --steps 60' /dev/null | tr '\r' '\n' | grep -a '1/60' | head -n 1 |
            sed 's/^.\[2K//' >out
        holds grep -q '1/60.* l_vec/l_zero [0-9.]*  ETA [0-9]*:[0-9][0-9]$' out
        [ "$(wc -m <out)" -le "$columns" ] || wrong "more than $columns columns: $(cat out)"
    done
else
    skip 'on a terminal progress is a bar, redrawn in place' 'no script'
fi

it 'before the first step a line says what there is to do'
pretrain 0 few.h5 -o told --steps 1
err '^3 images of 256x256, resized to 48x48; network unet of widths 8,8.*; 1 steps, batch 2, crop 32x32; [0-9.]+ MiB of memory$'

finish
