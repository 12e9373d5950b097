#!/bin/sh
# The command's own words: help, usage errors, man page, completions, streams.  Usage: test_usage.sh COVER JSON_VALUE
. "$(dirname "$0")/lib.sh"

"$cover" -h >"$tmp/overview"
verbs=$(sed -n '/^verbs:/,/^$/s/^  \([a-z][a-z]*\) .*/\1/p' "$tmp/overview")

it 'without a verb the overview goes to stderr'
run 2 "$cover"
err '^verbs:'
no_out .

it 'help goes to stdout'
for word in -h --help help; do
    run 0 "$cover" $word
    out '^verbs:'
    no_err .
done

it 'the version is printed'
run 0 "$cover" --version
out '^cover [0-9]+\.[0-9]+\.[0-9]+$'

for verb in $verbs; do
    it "$verb has help, from the verb and from help"
    run 0 "$cover" "$verb" -h
    out "^usage: cover $verb"
    out '^common options:'
    out '^examples:'
    no_err .
    cp "$tmp/out" "$tmp/first"
    run 0 "$cover" help "$verb"
    holds cmp "$tmp/first" "$tmp/out"
done

it 'the help of no verb breaks the line length'
for verb in $verbs; do
    "$cover" "$verb" -h >"$tmp/help"
    holds awk 'length > 80 { exit 1 }' "$tmp/help"
done
if command -v script >/dev/null; then
    for columns in 50 100; do
        # shellcheck disable=SC2016
        TERM=xterm COVER="$cover" script -qec "stty cols $columns"' && "$COVER" pretrain -h' /dev/null | tr -d '\r' >"$tmp/help"
        holds awk -v columns="$columns" 'length > columns { exit 1 }' "$tmp/help"
    done
    holds awk 'length > 80 { wide = 1 } END { exit !wide }' "$tmp/help"
fi

it 'an example that is broken to fit is still one command for the shell'
"$cover" pretrain -h | sed -n '/^examples:/,$p' | sed 1d >"$tmp/examples"
sed 's/^  cover pretrain/echo; printf "%s "/' "$tmp/examples" >"$tmp/examples.sh"
run 0 sh "$tmp/examples.sh"
out '^brain\.h5 -o run3d --preset paper-3d --crop 96x96x96 --set lr=2e-4 -t 8 $'

it 'a mistyped verb is answered with the nearest one'
run 2 "$cover" ifno
err "no verb 'ifno'; did you mean info\?"
run 2 "$cover" help ifno
err 'did you mean info'

it 'words of other tools are answered with ours'
run 2 "$cover" train
err "no verb 'train'; did you mean pretrain .* or finetune"
run 2 "$cover" infer
err 'did you mean predict\?'
run 0 "$cover" -V
out '^cover [0-9]'
run 0 "$cover" version
out '^cover [0-9]'
for pair in '--epochs|--steps N' '--gpu|--device cuda' '--learning-rate|--set lr=VALUE' '--num-workers|--threads N' '--batch_size|--batch N'; do
    run 2 "$cover" pretrain x.h5 -o x "${pair%|*}" 5
    err "no option ${pair%|*}; did you mean ${pair#*|}\?"
done
run 2 "$cover" pretrain x.h5 -o x --set learning_rate=1
err "no setting 'learning_rate'; did you mean lr\?"
run 2 "$cover" pretrain x.h5 -o x --set batchsize=1
err 'did you mean batch\?'
run 2 "$cover" pretrain x.h5 -o x --set num_workers=1
err 'did you mean --threads N\?'

it 'a long option with one dash is said'
run 2 "$cover" pretrain x.h5 -o x -steps 5
err '-steps: write --steps$'

it 'a preset of the other kind is refused, and those of the verb are listed'
run 2 "$cover" plan --preset seg-2d
err "preset 'seg-2d' is one of fine-tuning.*; there are paper-2d, .*demo, and NAME-2d, NAME-3d of each of 'cover objectives'$"
run 2 "$cover" plan --preset xyzzy
err "no preset 'xyzzy'; there are paper-2d"

it 'objectives are listed, told one by one, and completed'
run 0 "$cover" objectives
out '^cover +whole +finds the displacement field'
out '^simclr +encoder +finds the other view'
holds awk 'length > 80 { exit 1 }' "$tmp/out"
for name in $(sed -n '2,/^$/s/^\([a-z_][a-z_]*\) .*/\1/p' "$tmp/out"); do
    run 0 "$cover" objectives "$name"
    for said in "$name \\(" 'learns ' 'use ' 'cost ' 'trains ' 'paper '; do out "^$said"; done
    holds awk 'length > 80 { exit 1 }' "$tmp/out"
    for dims in 2 3; do
        run 0 "$cover" plan --preset "$name-${dims}d" -h
        out "^  objective +$name"
        out "^  dims +$dims"
    done
done
run 0 "$cover" objectives simsiam --json
out '"name": "projection", "default": "0", "own_2d": "2048", "own_3d": "2048"'

it 'a mistyped objective is answered with the nearest one'
run 2 "$cover" objectives simcrl
err "no objective 'simcrl'; did you mean simclr\?"
run 2 "$cover" pretrain x.h5 -o x --objective simcrl
err 'did you mean simclr\?'
run 2 "$cover" plan --set precision=bf61
err 'did you mean bf16\?'
no_err 'seg-2d'

it 'a word that is near to nothing gets no suggestion'
run 2 "$cover" xyzzyxyzzy
err "no verb 'xyzzyxyzzy'$"

it 'an option before the verb is said'
run 2 "$cover" --threads 2 info
err 'the verb comes first'

it 'a mistyped option is answered with the nearest one'
run 2 "$cover" info --thraeds 2
err 'did you mean --threads\?'
run 2 "$cover" info --memory 2G
err 'did you mean --memory-limit\?'

it 'a letter that is no option is said'
run 2 "$cover" info -Z
err 'no option -Z'

it 'an option without its value is said'
run 2 "$cover" info --threads
err '--threads needs a value: N'

it 'a flag with a value is said'
run 2 "$cover" info --json=yes
err '--json takes no value'

it 'values of the wrong kind are said'
for bad in 0 -1 5000 2x '' 1.5 99999999999999999999; do
    run 2 "$cover" info --threads "$bad"
    err '^cover info: --threads '
done
for bad in 4X G -1 0 '' 1e999 nan 9999999T; do
    run 2 "$cover" info --memory-limit "$bad"
    err '^cover info: --memory-limit .*512M'
done

it 'bytes come with and without units'
for good in 1000000 512M 512MB 1.5GiB 4g; do run 0 "$cover" info --memory-limit "$good"; done

it 'an unknown device is wrong use'
run 2 "$cover" info --device toaster
err "device is 'toaster'; use cpu, cuda"

it 'an unknown instruction set is wrong use'
run 2 "$cover" info --isa sse9
err 'plain.avx2.avx512'

it 'operands too many are said'
run 2 "$cover" info extra
err "'extra' is one operand too many"

it 'what follows -- is an operand'
run 2 "$cover" info -- --json
err "'--json' is one operand too many"

it 'options are read as --name=value, -xvalue and in bundles'
run 0 "$cover" info --threads=1 --json
[ "$(value threads)" = 1 ] || wrong 'not one thread'
run 0 "$cover" info -t1 --json
[ "$(value threads)" = 1 ] || wrong 'not one thread'
run 0 "$cover" info -qt 1 --json
[ "$(value threads)" = 1 ] || wrong 'not one thread'

it 'info is JSON with its keys'
run 0 "$cover" info --json
for key in version backends.0 cpu_features.0 threads libraries.hdf5 dicom.syntaxes.4 dicom.codecs.rle; do value $key >/dev/null; done

it 'a cap on the instruction set shows in info'
run 0 "$cover" info --json --isa plain
[ "$(value cpu_features.0)" = plain ] || wrong 'not plain'

it 'info starts in less than 50 ms'
# processor time of twenty starts, so that a busy machine does not matter: the second line of `times` is the children's
run 0 sh -c 'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do "$0" info >/dev/null || exit 1; done; times' "$cover"
holds awk -v limit="${LIMIT_MS:-50}" 'NR == 2 { split($1, user, /[ms]/); split($2, kernel, /[ms]/)
    exit (60 * user[1] + user[2] + 60 * kernel[1] + kernel[2]) * 1000 / 20 > limit }' "$tmp/out"

it 'without a GPU asked for, no module and none of its libraries is opened'
# glibc tells each file that it loads
run 0 env LD_DEBUG=files LD_DEBUG_OUTPUT="$tmp/loaded" "$cover" info
run 0 env LD_DEBUG=files LD_DEBUG_OUTPUT="$tmp/loaded" "$cover" info --device cpu
cat "$tmp"/loaded.* >"$tmp/out"
out 'libcover\.so'
no_out 'libcover-|libcuda|libcudnn|libnccl|libnvidia|libmpi'

it 'a standard output that cannot be written is a failure'
if [ -w /dev/full ]; then
    run 1 sh -c '"$0" info >/dev/full' "$cover"
    err 'standard output'
fi

it 'the man page holds every verb, option and setting'
run 0 "$cover" --manual
cp "$tmp/out" "$tmp/cover.1"
sed 's/\\-/-/g; s/\\f[BIR]//g' "$tmp/cover.1" >"$tmp/plain"
for verb in $verbs; do
    holds grep -q "^.SS \"cover $verb" "$tmp/plain"
    for option in $("$cover" "$verb" -h | grep -oE '^  (-., |    )--[a-z0-9-]+' | grep -oE -e '--[a-z0-9-]+'); do
        holds grep -q -e "^\(-., \)\{0,1\}$option" "$tmp/plain"
    done
done
for section in ENVIRONMENT FILES '"EXIT STATUS'; do holds grep -q "^.SH $section" "$tmp/plain"; done
for setting in dims widths radius crop batch lr seed inpaint_probability; do holds grep -q "^.B $setting$" "$tmp/plain"; done

if command -v groff >/dev/null; then
    it 'the man page renders without a warning'
    run 0 groff -man -Tutf8 -ww -z "$tmp/cover.1"
    no_err .
else
    skip 'the man page renders without a warning' 'no groff'
fi

for shell in bash zsh fish; do
    it "the completion for $shell holds every verb and option"
    run 0 "$cover" --completion $shell
    for verb in $verbs; do
        out "$verb"
        for option in $("$cover" "$verb" -h | grep -oE '^  (-., |    )--[a-z0-9-]+' | grep -oE -e '--[a-z0-9-]+'); do
            case $shell in fish) out "seen_subcommand_from $verb' -l ${option#--}( |$)" ;; *) out "$option" ;; esac
        done
    done
    if command -v $shell >/dev/null; then
        it "$shell takes its completion"
        "$cover" --completion $shell >"$tmp/completion"
        run 0 $shell -n "$tmp/completion"
        no_err .
    else
        skip "$shell takes its completion" "no $shell"
    fi
done

if command -v bash >/dev/null; then
    it 'bash completes verbs and options'
    cat >"$tmp/complete.bash" <<'EOF'
compopt() { :; }
source "$1"
COMP_WORDS=(cover in) COMP_CWORD=1; _cover; echo "${COMPREPLY[@]}"
COMP_WORDS=(cover info --thr) COMP_CWORD=2; _cover; echo "${COMPREPLY[@]}"
COMP_WORDS=(cover info --isa a) COMP_CWORD=3; _cover; echo "${COMPREPLY[@]}"
COMP_WORDS=(cover help ana) COMP_CWORD=2; _cover; echo "${COMPREPLY[@]}"
COMP_WORDS=(cover analyse ts) COMP_CWORD=2; _cover; echo "${COMPREPLY[@]}"
COMP_WORDS=(cover plan --preset '') COMP_CWORD=3; _cover; echo "${COMPREPLY[@]}"
EOF
    "$cover" --completion bash >"$tmp/completion"
    run 0 bash "$tmp/complete.bash" "$tmp/completion"
    out '^info$'
    out '^--threads$'
    out '^avx2 avx512 avx512_bf16$'
    out '^analyse$'
    out '^tsne$'
    out '^paper-2d .*demo'
    no_out 'seg-2d'
else
    skip 'bash completes verbs and options' 'no bash'
fi

it 'with --json wrong use is an object on stdout, too'
for verb in $verbs; do
    run 2 "$cover" "$verb" --json --no-such-option
    [ "$(value error.status)" = COVER_ERROR_ARGUMENT ] || wrong "$verb: not that status"
    value error.message >/dev/null
done
run 2 "$cover" ifno --json
[ "$(value error.message)" = "no verb 'ifno'; did you mean info?" ] || wrong 'not that message'

it 'with --json every verb that fails prints one object on stdout'
cd "$tmp" || exit 99
for words in 'pack nowhere -o x.h5' 'pretrain nowhere.h5 -o x' 'finetune scratch --data nowhere -o x' 'predict nowhere -i nowhere -o x' \
    'eval nowhere nowhere' 'match nowhere nowhere nowhere -o x.nii' 'export nowhere -o x.onnx' 'convert nowhere -o x.safetensors' \
    'report nowhere -o x.html' 'analyse dispersion nowhere nowhere' 'analyse curves nowhere -o x.html' 'study nowhere.json'; do
    # shellcheck disable=SC2086
    run 1 "$cover" $words --json
    case $(value error.status) in COVER_ERROR_IO | COVER_ERROR_FORMAT) ;; *) wrong "$words: $(cat "$tmp/out")" ;; esac
    case $(value error.message) in *nowhere*) ;; *) wrong "$words: $(cat "$tmp/out")" ;; esac
    [ "$(wc -l <"$tmp/out")" = 1 ] || wrong "$words: not one line"
done

it 'an unknown shell is wrong use'
run 2 "$cover" --completion tcsh

finish
