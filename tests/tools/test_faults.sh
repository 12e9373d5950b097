#!/bin/sh
# Runs and results in the face of calls that fail: lines and checkpoints that the disk refuses, closed standard descriptors, folders that
# cannot be synced, outputs that must not be replaced.
# Usage: test_faults.sh COVER JSON_VALUE FOLDER_OF_PNG LIBFAULT
. "$(dirname "$0")/lib.sh"
images=$(absolute "$3") fault=$(absolute "$4")
set -- "$images"/*.png
cd "$tmp" || exit 99
mkdir few
cp "$1" "$2" few
"$cover" pack few -o few.h5 -q >/dev/null || exit 99
verbs='--preset demo --set widths=8,8,8,8,8,8,8,8,8 --set heads=1,1,1,1,1 --set radius=1 --crop 32x32 --set work=32x32 --batch 2
--threads 1 --steps 12 --set log_every=1 --set save_every=5'

# faulty STATUS CALL PATH REASON AT STICKY COMMAND...
faulty() {
    expected=$1
    call=$2 path=$3 reason=$4 at=$5 sticky=$6
    shift 6
    run "$expected" env FAULT_CALL="$call" FAULT_PATH="$path" FAULT_ERRNO="$reason" FAULT_AT="$at" FAULT_STICKY="$sticky" \
        LD_PRELOAD="$fault" "$@"
}
# pretrain STATUS CALL PATH REASON AT STICKY: into run
pretrain() {
    rm -rf run
    # shellcheck disable=SC2086 # words on purpose
    faulty "$@" "$cover" pretrain few.h5 -o run $verbs
}

it 'a run without faults, to compare with'
pretrain 0 write nothing EIO 0 0
cp -r run sound
[ "$(wc -l <run/log.jsonl)" = 12 ] || wrong "not 12 lines"

same_as_sound() {
    holds cmp run/weights.safetensors sound/weights.safetensors
    [ "$(sed 's/, "seconds.*//' run/log.jsonl)" = "$(sed 's/, "seconds.*//' sound/log.jsonl)" ] || wrong "not the lines of a sound run"
    [ "$(ls -A run | sed 's/tfevents.*/tfevents/')" = "$(ls -A sound | sed 's/tfevents.*/tfevents/')" ] || wrong "other files: $(ls -A run)"
}

it 'a line of the log that is refused, cut short or interrupted is in the log all the same'
for reason in SHORT EINTR EIO ENOSPC; do
    for at in 1 7 12; do
        pretrain 0 write log.jsonl $reason $at 0
        same_as_sound
    done
    case $reason in E[IN][OT]) err 'log.jsonl: cannot be written: Input/output error; what is to be written waits' ;; esac
done

it 'events that are refused wait, too'
for reason in SHORT EIO; do
    pretrain 0 write tfevents $reason 4 0
    same_as_sound
    [ "$(cat run/events* | wc -c)" = "$(cat sound/events* | wc -c)" ] || wrong "events are lost"
done

it 'a log that is refused to the end is an error at the end, with everything else done'
pretrain 1 write log.jsonl ENOSPC 7 1
err 'log.jsonl: cannot be written: No space left on device'
holds cmp run/weights.safetensors sound/weights.safetensors
holds test -s run/report.html

it 'a checkpoint that is refused is a warning, and the next one is tried'
pretrain 0 rename checkpoint.h5 ENOSPC 1 0
err 'step 5: checkpoint.h5 is not saved, the next one may be: run/checkpoint.h5: cannot be replaced: No space left'
same_as_sound

it 'the last checkpoint is an error'
pretrain 1 rename checkpoint.h5 EIO 3 0
err 'checkpoint.h5: cannot be replaced'

it 'an error in the middle ends a run with its steps saved, which goes on from there'
pretrain 1 pread few.h5 EIO 45 1
err 'run: stopped by an error; checkpoint.h5 holds step [1-9][0-9]* of 12'
err 'few.h5: cannot be read: Input/output error'
# shellcheck disable=SC2086
run 0 "$cover" pretrain few.h5 -o run $verbs --resume
holds cmp run/weights.safetensors sound/weights.safetensors

it 'a folder that cannot be synced is a warning for results that are in place'
for reason in ENOTSUP ENOSYS EBADF; do
    faulty 0 fsyncdir '' $reason 1 1 "$cover" pack few -o synced.h5
    err 'synced.h5: is in place, but its folder cannot be synced'
    run 0 "$cover" check synced.h5
    [ "$(ls -A | grep -c synced)" = 1 ] || wrong "something else is left: $(ls -A)"
done
faulty 1 fsyncdir '' EIO 1 1 "$cover" pack few -o synced.h5
err 'synced.h5: is in place, but its folder cannot be synced: Input/output error'
faulty 0 fsync '' ENOTSUP 1 1 "$cover" pack few -o synced.h5
err 'is in place, but it cannot be synced'

it 'with closed standard descriptors no message gets into a file'
rm -rf run
# shellcheck disable=SC2086
run 0 sh -c '"$@" <&- 2>&-' sh "$cover" pretrain few.h5 -o run $verbs
same_as_sound
run 0 "$cover" report run -o page.html
[ -z "$(grep -l 'pairs/s\|1/12' run/log.jsonl run/events*)" ] || wrong "progress is in a file"
run 0 sh -c '"$@" 2>&-' sh "$cover" pack few -o silent.h5
run 0 "$cover" check silent.h5

it 'a link stays a link, a mode stays a mode, a pipe is refused'
echo old >real.safetensors
chmod 640 real.safetensors
ln -s real.safetensors link.safetensors
mkfifo pipe.safetensors
run 0 "$cover" export sound/weights.safetensors -o link.safetensors
holds test -L link.safetensors
holds cmp real.safetensors sound/weights.safetensors
[ "$(stat -c %a real.safetensors)" = 640 ] || wrong "mode $(stat -c %a real.safetensors)"
run 1 "$cover" export sound/weights.safetensors -o pipe.safetensors
err 'pipe.safetensors: is a pipe'
holds test -p pipe.safetensors

it 'a result does not replace what it is made of, nor pack what is no dataset'
cp few/*.png .
image=$(ls ./*.png | head -n 1)
cp "$image" before.png
run 1 "$cover" pack few -o "$image"
err 'is there already and no dataset, so it is not replaced'
holds cmp "$image" before.png
: >empty.h5
run 0 "$cover" pack few -o empty.h5
cp sound/weights.safetensors own.safetensors
run 1 "$cover" export own.safetensors -o own.safetensors
err 'own.safetensors: is what the result is made of'
run 1 "$cover" report sound -o sound/log.jsonl
err 'sound/log.jsonl: is what the result is made of'
run 0 "$cover" report sound -o sound/report.html
run 0 "$cover" eval few few --csv /dev/null
holds test -c /dev/null

it 'what a killed one has left is removed by the next'
: >.cover-0123456789abcdef
run 0 "$cover" export sound/weights.safetensors -o again.safetensors
holds test ! -e .cover-0123456789abcdef

finish
