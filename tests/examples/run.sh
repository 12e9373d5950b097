#!/bin/sh
# Each example does what its first comment says, on the demo's images.  TAP on stdout.
# usage: run.sh COVER EXAMPLE-PRETRAIN EXAMPLE-FEATURES EXAMPLE-MATCH EXAMPLE-EMBED|none IMAGES EXAMPLE-SEGMENT MAKE-TASK EXAMPLE-FINETUNE EXAMPLE-HOSPITAL DICOM-CASES
cover=$1 pretrain=$2 features=$3 match=$4 embed=$5 images=$6 segment=$7 make_task=$8 finetune=$9 hospital=${10} cases=${11}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
number=0
check() { # check NAME COMMAND...
    name=$1 number=$((number + 1))
    shift
    if "$@" >"$work/out" 2>&1; then echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        sed 's/^/# /' "$work/out"
    fi
}
says() { pattern=$1; shift; "$@" >"$work/said" && grep -q "$pattern" "$work/said" || { cat "$work/said"; return 1; }; }
fails() { pattern=$1; shift; ! "$@" 2>"$work/said" >/dev/null && grep -q "$pattern" "$work/said"; }

echo 1..21
mkdir "$work/images"
for image in $(ls "$images" | grep png | head -n 10); do cp "$images/$image" "$work/images"; done
check 'images are packed' "$cover" pack "$work/images" -o "$work/data.h5" --quiet
check 'pretrain.c trains and writes weights' says 'step 3: l_vec' "$pretrain" "$work/data.h5" "$work/weights.safetensors" 3
check 'pretrain.c says which file is missing' fails 'nosuch.h5' "$pretrain" "$work/nosuch.h5" "$work/w.safetensors" 3
check 'features.c prints five levels' says 'level 4: 8 channels, 100x120, stride 1' "$features" "$work/weights.safetensors"
check 'features.c says which file is missing' fails 'nosuch' "$features" "$work/nosuch"
check 'match.c finds a field' says 'at the disc the field is' "$match" "$work/weights.safetensors"
check 'match.c wants an argument' fails usage "$match"
if [ "$embed" = none ]; then
    echo "ok 8 - embed.cc # SKIP no C++ compiler"
    echo "ok 9 - embed.cc # SKIP no C++ compiler"
    number=9
else
    check 'embed.cc describes an image' says '128 numbers describe the image' "$embed" "$work/weights.safetensors"
    check 'embed.cc turns errors into exceptions' fails 'nosuch' "$embed" "$work/nosuch"
fi
mkdir -p "$work/classes/train/one" "$work/classes/train/two"
for image in $(ls "$work/images"); do cp "$work/images/$image" "$work/classes/train/$([ -e "$work/odd" ] && echo one || echo two)"; [ -e "$work/odd" ] && rm "$work/odd" || : >"$work/odd"; done
check 'finetune.c trains on folders' says '"best": {"step": 2' "$finetune" "$work/classes" cls "$work/weights.safetensors" "$work/run" 2
check 'finetune.c says what the data lack' fails 'no label maps' "$finetune" "$work/classes" seg scratch "$work/other" 2
"$make_task" "$work/task.safetensors" seg-2d crop 32x32 work 64x64
check 'segment.c counts the pixels of each class' says 'background: [0-9]* pixels' "$segment" "$work/task.safetensors"
check 'segment.c says that pretrained weights are no task' fails 'fine-tune them first' "$segment" "$work/weights.safetensors"
check 'predict writes a label an image' "$cover" predict "$work/task.safetensors" -i "$work/images" -o "$work/labels" --scores --quiet
check 'all labels are there, and their scores' test "$(ls "$work/labels" | grep -c '\.png$') $(ls "$work/labels" | grep -c '\.npy$')" = '10 10'
echo damaged >"$work/images/damaged.png"
check 'predict lists what it cannot use, and does the rest' fails 'damaged.png: .*' "$cover" predict "$work/task.safetensors" -i "$work/images" -o "$work/more"
check 'check finds the example weights sound' "$cover" check "$work/weights.safetensors"
check 'hospital.c gives a segmentation of objects in memory' says '1 objects in, one segmentation' \
    "$hospital" "$work/task.safetensors" "$work/seg.dcm" "$cases"/series/cr_monochrome2/*
check 'hospital.c gives the same bytes again' sh -c '"$1" "$2" "$3" "$4"/* && cmp "$3" "$5"' - \
    "$hospital" "$work/task.safetensors" "$work/again.dcm" "$cases/series/cr_monochrome2" "$work/seg.dcm"
check 'the result of hospital.c is a DICOM object' says '"objects": 1' "$cover" dicom ls "$work/seg.dcm" --json --quiet
check 'hospital.c says why objects are refused, and gives nothing' sh -c '! "$1" "$2" "$3" "$4" 2>"$5" && grep -q "object 1: .*" "$5" && [ ! -e "$3" ]' - \
    "$hospital" "$work/task.safetensors" "$work/none.dcm" "$cases/hostile/cut_4.dcm" "$work/said"
