#!/bin/sh
# Training and prediction never enter libhdf5, which can end its process: a shim in front of it would end ours.
# Usage: test_without_hdf5.sh COVER JSON_VALUE FOLDER SHIM   (tests/data/VERSION; the shared library of no_hdf5.c)
. "$(dirname "$0")/lib.sh"
folder=$(absolute "$3") shim=$(absolute "$4")
cd "$tmp" || exit 99
cp -r "$folder" files && chmod -R u+w files
small='--crop 32x32 --steps 1 --threads 2'
without() { run "$1" env LD_PRELOAD="$shim" "$cover" $2; }

it "the shim sees who enters it"
without 134 "pack files/fixed.png -o packed.h5"
err 'libhdf5 was entered'

it "pretraining, saving, going on, and the report"
without 0 "pretrain files/images.h5 -o run --preset demo --batch 2 $small --set widths=8,8,8,8,8,8,8,8,8 --set work=32x32"
without 0 "pretrain files/images.h5 -o files/run --steps 4 --resume"
without 0 "report files/run -o report.html"

it "weights of checkpoints and safetensors: export, conversion, another run"
without 0 "export files/run/checkpoint.h5 -o out.safetensors"
without 0 "export files/run -o out.onnx"
without 0 "check files/run/checkpoint.h5"
without 0 "match files/run/checkpoint.h5 files/moving.png files/fixed.png -o field.nii"

it "fine-tuning on packed data, and going on"
without 0 "finetune files/run/checkpoint.h5 --task seg --data files/labels.h5 -o seg $small"
without 0 "finetune files/run --task seg --data files/labels.h5 -o files/seg --steps 4 --resume"
without 0 "finetune files/run --task cls --data files/classes.h5 -o cls $small --set folds=3"

it "prediction, by a run, a checkpoint and safetensors"
for weights in files/seg files/seg/checkpoint.h5 files/seg/weights.safetensors files/cls.safetensors; do
    without 0 "predict $weights -i files/fixed.png -o out-$(basename "$weights")"
done
finish
