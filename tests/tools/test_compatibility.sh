#!/bin/sh
# Files of older versions: each is loaded, gone on from, and gives the numbers that the version that wrote it got.
# Usage: test_compatibility.sh COVER JSON_VALUE FOLDER...   (tests/data/VERSION each; see the README there)
. "$(dirname "$0")/lib.sh"
shift 2
folders=
for folder; do folders="$folders $(absolute "$folder")"; done
cd "$tmp" || exit 99

# near FILE FILE BOUND: as many numbers in both, each within BOUND (of the larger of 1 and its size); text is compared as it is
near() {
    paste -d '\n' "$1" "$2" | awk -v bound="$3" '
        NR % 2 { before = $0; next }
        { if (split(before, a, /[ ,]+/) != split($0, b, /[ ,]+/)) exit 1
          for (i in a) {
              size = a[i] * a[i] > 1 ? a[i] * a[i] : 1
              if (a[i] == a[i] + 0 ? (a[i] - b[i]) ^ 2 > bound * bound * size : a[i] != b[i]) exit 1
          }
          rows++ }
        END { if (!rows || NR % 2) exit 1 }' || wrong "$1 and $2 differ by more than $3"
}
# floats FILE OFFSET: the float32 numbers behind OFFSET bytes, one a line
floats() { tail -c +$(($2 + 1)) "$1" | od -An -v -t f4 -w4; }
# steps LOG FIRST: loss and norm of the gradient of each step from FIRST on
steps() {
    sed -n "/\"step\": $2,/,\$p" "$1" | while read -r line; do
        for key in step loss grad_norm; do printf '%s ' "$(printf '%s' "$line" | "$json" $key)"; done
        echo
    done
}

for folder in $folders; do
    version=$(basename "$folder")
    rm -rf files && cp -r "$folder" files && chmod -R u+w files

    it "$version: every file is whole"
    for file in images.h5 volumes.h5 labels.h5 classes.h5 run seg run/checkpoint.h5 run/weights.safetensors seg/checkpoint.h5 \
        seg/weights.safetensors cls.safetensors; do
        run 0 "$cover" check files/$file
    done

    it "$version: datasets are trained on, 2D and 3D"
    narrow='--set widths=8,8,8,8,8,8,8,8,8 --set heads=1,1,1,1,1 --set head_dim=4 --set radius=1 --batch 1 --steps 1'
    # shellcheck disable=SC2086 # words on purpose
    run 0 "$cover" pretrain files/volumes.h5 -o volumes-run --preset paper-3d --crop 16x16x16 $narrow
    run 0 "$cover" finetune files/run --task cls --data files/classes.h5 -o classes-run --crop 32x32 --steps 1 --set folds=3

    it "$version: a pretraining run is resumed and makes the same steps"
    run 0 "$cover" pretrain files/images.h5 -o files/run --steps 6 --resume
    err 'going on after step 3'
    steps files/run/log.jsonl 4 >now
    steps files/run-resumed.jsonl 4 >then
    near then now 1e-3

    it "$version: a fine-tuning run is resumed and makes the same steps"
    run 0 "$cover" finetune files/run --task seg --data files/labels.h5 -o files/seg --steps 6 --resume
    err 'going on after step 3'
    steps files/seg/log.jsonl 4 >now
    steps files/seg-resumed.jsonl 4 >then
    near then now 1e-3

    cp -r "$folder"/run "$folder"/seg . && chmod -R u+w run seg
    it "$version: a network gives the same field"
    for weights in run run/checkpoint.h5 run/weights.safetensors; do
        run 0 "$cover" match $weights files/moving.png files/fixed.png -o field.nii
        floats files/field.nii 352 >then
        floats field.nii 352 >now
        near then now 1e-4
    done

    it "$version: a segmentation gives the same probabilities"
    for weights in seg seg/weights.safetensors; do
        run 0 "$cover" predict $weights -i files/fixed.png -o masks --scores
        floats files/seg-fixed.npy 128 >then
        floats masks/fixed.npy 128 >now
        near then now 1e-4
    done

    it "$version: a classification gives the same scores"
    run 0 "$cover" predict files/cls.safetensors -i files/fixed.png -o classes
    near files/cls-scores.csv classes/scores.csv 1e-4

    it "$version: weights start another run, are exported and reported on"
    # shellcheck disable=SC2086
    run 0 "$cover" pretrain files/images.h5 -o init --init run/weights.safetensors --crop 32x32 --set work=32x32 $narrow
    run 0 "$cover" export run/checkpoint.h5 -o exported.safetensors
    run 0 "$cover" export run/weights.safetensors -o again.safetensors
    holds cmp exported.safetensors again.safetensors
    tensors=$(($(wc -c <run/weights.safetensors) - 8 - $(od -An -t u8 -N 8 run/weights.safetensors)))
    tail -c "$tensors" run/weights.safetensors >was
    tail -c "$tensors" exported.safetensors >is
    holds cmp was is # behind the header, which has a hash since
    run 0 "$cover" export run -o exported.onnx
    run 0 "$cover" report run -o report.html
done
finish
