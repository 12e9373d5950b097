#!/bin/sh
# cover pretrain --ranks: the same bits, interruption and resume, ranks that are killed, stopped or different.
# Usage: test_ranks.sh COVER JSON_VALUE FOLDER_OF_PNG
. "$(dirname "$0")/lib.sh"
images=$(absolute "$3")
set -- "$images"/*.png
cd "$tmp" || exit 99
mkdir few other
cp "$1" "$2" "$3" few
cp "$4" "$5" other
"$cover" pack few -o few.h5 -q >/dev/null && "$cover" pack other -o other.h5 -q >/dev/null || exit 99

tiny='--preset demo --set widths=8,8,8,8,8,8,8,8,8 --set heads=1,1,1,1,1 --set radius=1 --set schedule=constant --set warmup=0
--crop 32x32 --set work=48x48 --batch 5 --set log_every=2'
# shellcheck disable=SC2086 # words on purpose
pretrain() {
    expected=$1
    shift
    run "$expected" "$cover" pretrain $tiny "$@"
}

# begin FOLDER OPTIONS...: a long run in the background, $job its process, that has made a few steps
# shellcheck disable=SC2086
begin() {
    folder=$1
    shift
    last="pretrain $*"
    "$cover" pretrain $tiny few.h5 -o "$folder" --steps 1000000 --set save_every=4 "$@" >"$tmp/out" 2>"$tmp/err" </dev/null &
    job=$!
    tries=0
    until [ -s "$folder/checkpoint.h5" ] || [ $tries -ge 600 ]; do
        sleep 0.05
        tries=$((tries + 1))
    done
}
# rank_process RANK: of the run in the background
rank_process() {
    for process in $(cat "/proc/$job/task/$job/children"); do
        tr '\0' '\n' <"/proc/$process/environ" | grep -qx "COVER_RANK=$1" && echo "$process"
    done
}
# ended STATUS SECONDS: the run in the background ends so, within that time
ended() {
    tries=0
    while kill -0 "$job" 2>/dev/null && [ $tries -lt $(($2 * 20)) ]; do
        sleep 0.05
        tries=$((tries + 1))
    done
    if kill -0 "$job" 2>/dev/null; then
        wrong "still running after $2 seconds"
        kill -KILL $(cat "/proc/$job/task/$job/children" 2>/dev/null) "$job" 2>/dev/null
    fi
    status=0
    wait "$job" || status=$?
    [ "$status" = "$1" ] || wrong "exit status $status, expected $1"
}

it 'one, two and four ranks leave the same weights and checkpoint, byte for byte'
pretrain 0 few.h5 -o one --steps 6 --threads 2
for ranks in 2 4; do
    pretrain 0 few.h5 -o "run$ranks" --steps 6 --ranks $ranks
    out '^steps +6$'
    holds cmp one/weights.safetensors "run$ranks/weights.safetensors"
    holds cmp one/checkpoint.h5 "run$ranks/checkpoint.h5"
done

it 'there is one progress, that of rank 0'
[ "$(grep -c '6/6' "$tmp/err")" = 1 ] || wrong "not one last line of progress"

it 'what is said of the weights that ranks start from is said once'
run 0 "$cover" pretrain few.h5 -o begun --init one/weights.safetensors --steps 1 --batch 5 --crop 32x32 --set work=48x48 --ranks 2
[ "$(grep -c 'settings of its network' "$tmp/err")" = 1 ] || wrong 'not once'

it 'three ranks train, and say once that their bits are their own'
pretrain 0 few.h5 -o run3 --steps 2 --ranks 3
[ "$(grep -c 'not the same bits' "$tmp/err")" = 1 ] || wrong "not said once"

it 'an interrupted run saves, and goes on with another number of ranks as if nothing had happened'
begin stopped --ranks 2
kill -INT "$job"
sleep 0.05
kill -INT "$job" 2>/dev/null
ended 130 20
err 'to go on: .* --resume'
[ "$(grep -c 'stopping after' "$tmp/err")" = 1 ] || wrong "not said once"
tail -n 1 stopped/log.jsonl >"$tmp/out"
step=$("$json" step <"$tmp/out")
pretrain 0 few.h5 -o stopped --resume --steps $((step + 4)) --set save_every=4 --ranks 4
pretrain 0 few.h5 -o straight --steps $((step + 4)) --set save_every=4 --threads 1
holds cmp straight/weights.safetensors stopped/weights.safetensors

for victim in 1 0; do
    it "when rank $victim is killed the others end with an error that names it, and a checkpoint is left"
    begin "killed$victim" --ranks 2
    kill -KILL "$(rank_process $victim)"
    ended 1 5
    err "rank $victim \(process [0-9]+ on .*\) has ended unexpectedly"
    err "rank $victim \(process [0-9]+\) was killed by signal 9"
    [ $victim = 0 ] || err 'to go on: .* --resume'
    run 0 "$cover" check "killed$victim/checkpoint.h5"
done

it 'when a rank is stopped the others end after the deadline with an error that names it'
begin halted --ranks 2 --deadline 2
tr '\0' '\n' <"/proc/$(rank_process 1)/environ" | grep -Eqx 'COVER_TOKEN=[0-9a-f]{64}' || wrong 'its ranks have no token'
kill -STOP "$(rank_process 1)"
ended 1 4
err 'rank 1 \(process [0-9]+ on .*\) has given no sign of life for 2 seconds'
run 0 "$cover" check halted/checkpoint.h5

# by_hand RANK OPTIONS...: a rank as another launcher starts it
# shellcheck disable=SC2086
by_hand() {
    COVER_RANK=$1 COVER_RANKS=2 COVER_ADDRESS=$tmp/meet
    export COVER_RANK COVER_RANKS COVER_ADDRESS
    shift
    "$cover" pretrain $tiny "$@"
}
# differs PATTERN OPTIONS...: rank 1 with these options is refused, on both ranks
differs() {
    pattern=$1
    shift
    rm -rf both
    (by_hand 1 "${data:-few.h5}" -o both --steps 2 "$@") >/dev/null 2>"$tmp/err1" &
    second=$!
    run 1 by_hand 0 few.h5 -o both --steps 2
    unset COVER_RANK COVER_RANKS COVER_ADDRESS
    err "$pattern"
    wait "$second" && wrong 'rank 1 went on'
    holds test ! -e both
}
it 'a rank with other settings is refused, and both values are named'
differs 'rank 1 has lr=0.25, but rank 0 has 0.001' --set lr=0.25
differs 'rank 1 has precision=bf16, but rank 0 has fp32' --precision bf16

it 'a rank with other instruction sets is refused'
case $("$cover" info --json) in
*avx2*) differs 'rank 1 has instruction sets=plain, but rank 0 has avx2.*--isa' --isa plain ;;
esac

it 'a rank with another dataset is refused'
data=other.h5
differs 'rank 1 has dataset=content [0-9a-f]+, but rank 0 has content [0-9a-f]+'

it 'a rank with another token is refused, both sides say what to set, and the true rank joins'
data='' last='by hand with tokens'
rm -rf both
(COVER_TOKEN=ours && export COVER_TOKEN && by_hand 0 few.h5 -o both --steps 2) >/dev/null 2>"$tmp/err0" &
first=$!
(COVER_TOKEN=theirs && export COVER_TOKEN && by_hand 1 few.h5 -o both --steps 2) >"$tmp/out" 2>"$tmp/err" &&
    wrong 'a rank with another token went on'
err 'rank 1 \(process [0-9]+ on .*\) has another token than rank 0; .*COVER_TOKEN'
(COVER_TOKEN=ours && export COVER_TOKEN && by_hand 1 few.h5 -o both --steps 2) >"$tmp/out" 2>"$tmp/err" ||
    wrong 'the true rank was refused'
wait "$first" || wrong 'rank 0 has failed'
holds grep -Eq 'another token than rank 0; .*COVER_TOKEN' "$tmp/err0"
holds test -f both/weights.safetensors

it 'an empty token is refused'
COVER_TOKEN=
export COVER_TOKEN
run 1 by_hand 0 few.h5 -o empty --steps 2
unset COVER_TOKEN COVER_RANK COVER_RANKS COVER_ADDRESS
err 'the token is an empty text'

it 'with --ranks 1 a process trains alone, whatever has started it'
COVER_RANK=1 COVER_RANKS=2 COVER_ADDRESS=$tmp/meet
export COVER_RANK COVER_RANKS COVER_ADDRESS
pretrain 0 few.h5 -o alone --steps 6 --ranks 1
unset COVER_RANK COVER_RANKS COVER_ADDRESS
out '^steps +6$'
holds cmp one/weights.safetensors alone/weights.safetensors

it 'more ranks than pairs are refused'
pretrain 1 few.h5 -o many --steps 2 --ranks 6
err '6 ranks cannot share a batch of 5'

it 'what cannot be read ends all ranks with one message'
pretrain 1 none.h5 -o none --ranks 2
[ "$(grep -c 'none.h5' "$tmp/err")" = 1 ] || wrong 'not said once'

it 'a plan tells what one of several ranks takes and sends'
run 0 "$cover" plan --ranks 8 --json
[ "$(value ranks)" = 8 ] && [ "$(value pairs_per_rank)" = 3 ] || wrong 'not 3 of 24 pairs'
value reduction_bytes >/dev/null
run 0 "$cover" plan --ranks 3
out '^same bits as with one +no$'

mpi_words="mpirun's ranks leave the same weights as one process, byte for byte"
if ! command -v mpirun >/dev/null || [ ! -f "$(dirname "$cover")/libcover-mpi.so" ]; then
    skip "$mpi_words" 'no Open MPI, or libcover-mpi.so was not built'
elif ! mpirun --allow-run-as-root --oversubscribe -n 2 true >/dev/null 2>&1; then
    skip "$mpi_words" 'mpirun does not work here'
else
    # as root, and with more ranks than processors; "$@" is the command
    mpirun_of() {
        count=$1
        shift
        # shellcheck disable=SC2086
        OMPI_MCA_btl_vader_single_copy_mechanism=none mpirun --allow-run-as-root --oversubscribe -n "$count" "$@"
    }
    it "$mpi_words"
    # shellcheck disable=SC2086
    run 0 mpirun_of 2 "$cover" pretrain $tiny few.h5 -o mpi --steps 6
    holds cmp one/weights.safetensors mpi/weights.safetensors
    [ "$(grep -c '6/6' "$tmp/err")" = 1 ] || wrong "not one last line of progress"

    it "what mpirun's ranks cannot read ends them with one message"
    # shellcheck disable=SC2086
    run 1 mpirun_of 2 "$cover" pretrain $tiny none.h5 -o none
    [ "$(grep -c 'none.h5' "$tmp/err")" = 1 ] || wrong 'not said once'

    it "when a rank of mpirun's is stopped the others end after the deadline with an error that names it"
    # shellcheck disable=SC2086
    mpirun_of 2 "$cover" pretrain $tiny few.h5 -o mpi-halted --steps 1000000 --set save_every=4 --deadline 2 \
        >"$tmp/out" 2>"$tmp/err" </dev/null &
    job=$! tries=0 last='mpirun -n 2'
    until [ -s mpi-halted/checkpoint.h5 ] || [ $tries -ge 600 ]; do
        sleep 0.05
        tries=$((tries + 1))
    done
    for process in $(pgrep -x cover); do
        tr '\0' '\n' <"/proc/$process/cmdline" | grep -qx mpi-halted || continue
        tr '\0' '\n' <"/proc/$process/environ" | grep -qx OMPI_COMM_WORLD_RANK=1 && kill -STOP "$process"
    done
    ended 1 8 # mpirun takes its time
    err 'rank 1 \(process [0-9]+ on .*\) has given no sign of life for 2 seconds'
    run 0 "$cover" check mpi-halted/checkpoint.h5
fi

it 'wrong numbers are wrong use'
pretrain 2 few.h5 -o use --ranks 0
pretrain 2 few.h5 -o use --ranks 2 --deadline 0
err '^cover pretrain: --deadline 0'

finish
