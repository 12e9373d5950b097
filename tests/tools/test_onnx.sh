#!/bin/sh
# cover export of fine-tuned tasks: onnxruntime gives the scores of cover predict.  Usage: test_onnx.sh COVER JSON_VALUE PROJECT
. "$(dirname "$0")/lib.sh"
project=$(absolute "$3")
python=${PYTHON:-python3}
wheels=$(absolute "$3")/.deps/onnxruntime # where make deps puts it
[ ! -d "$wheels" ] || export PYTHONPATH="$wheels${PYTHONPATH:+:$PYTHONPATH}"
cd "$tmp" || exit 99

seg_page='the Python program of docs/weights.md gives the scores of predict'
seg_3d='a segmentation of volumes has the scores of predict in onnxruntime'
cls_one='a classification has the scores of predict in onnxruntime'
cls_several='a classification of several labels an image has the scores of predict in onnxruntime'
if ! "$python" -c 'import numpy, onnxruntime' 2>why; then
    for name in "$seg_page" "$seg_3d" "$cls_one" "$cls_several"; do skip "$name" "no Python with numpy and onnxruntime"; done
    finish
    exit 0
fi
check="$project/tests/tools/onnx_task.py"
"$python" "$check" make data || exit 99
task='--set widths=8,8,16,16,24,16,16,8,8 --steps 4 --set val_every=2 --set folds=2 --set warmup=0'

# shellcheck disable=SC2086 # words on purpose
train() { # train FOLDER WORDS...: a task, its model, and predictions of an image by predict
    run 0 "$cover" finetune scratch $task -o "$@"
    run 0 "$cover" export "$1" -o "$1.onnx"
}

it "$seg_page"
train lungs --task seg --data data/seg2
image=data/seg2/imagesTr/c0_0000.png
run 0 "$cover" predict lungs -i $image -o maps --scores
sed -n '/^```python onnx$/,/^```$/p' "$project/docs/weights.md" | sed '1d;$d' >page.py
holds "$python" -c "import sys; sys.path.insert(0, '$project/tests/tools'); import numpy, onnx_task; numpy.save('image.npy', onnx_task.read_png('$image'))"
run 0 "$python" page.py
out '^background: [0-9]+ pixels$'
out '^block: [0-9]+ pixels$'
run 0 "$python" -c "import numpy; e = abs(numpy.load('scores.npy') - numpy.load('$(echo maps/*.npy)')).max(); print(e); assert e < 1e-5"
run 0 "$python" "$check" compare lungs.onnx $image "$(echo maps/*.npy)"

it "$seg_3d"
train volumes --task seg --data data/seg3
run 0 "$cover" predict volumes -i data/seg3/imagesTr/c0_0000.nii -o maps3 --scores
run 0 "$python" "$check" compare volumes.onnx data/seg3/imagesTr/c0_0000.nii "$(echo maps3/*.npy)"

it "$cls_one"
train pictures --task cls --data data/cls
run 0 "$cover" predict pictures -i data/cls/train/bright/0.png -o outc
run 0 "$python" "$check" compare pictures.onnx data/cls/train/bright/0.png outc/scores.csv

it "$cls_several"
run 0 "$cover" pack data/several -o several.h5 --labels data/several.csv
train labels --task cls --data several.h5
run 0 "$cover" predict labels -i data/several/2.png -o outs
run 0 "$python" "$check" compare labels.onnx data/several/2.png outs/scores.csv

finish
