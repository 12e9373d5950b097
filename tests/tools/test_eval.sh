#!/bin/sh
# cover eval: label maps, scores, two evaluations, and what they say.  Usage: test_eval.sh COVER JSON_VALUE FOLDER_OF_DATA
. "$(dirname "$0")/lib.sh"
data=$(absolute "$3")
cd "$tmp" || exit 99
mkdir pred labels
for name in a b c; do cp "$data/hippocampus_label.nii.gz" pred/$name.nii.gz && cp "$data/hippocampus_label.nii.gz" labels/$name.nii.gz; done

it 'maps that are equal have a Dice of one'
run 0 "$cover" eval pred labels
out '^mean +1\.0000  1\.0000\.\.1\.0000'
run 0 "$cover" eval pred labels --json
holds test "$(value mean_dice)" = 1

it 'a case without a prediction is named, and passed over where that is asked for'
rm pred/a.nii.gz
run 1 "$cover" eval pred labels
err '1 of 3 labels have no prediction of their name in pred: a'
run 0 "$cover" eval pred labels --subset --json
holds test "$(value count)" = 2

it 'scores give AUC, accuracy and a row a case'
printf 'file,cat,dog\n1,0.9,0.1\n2,0.4,0.6\n3,0.3,0.7\n' >scores.csv
printf 'file,label\n1,cat\n2,cat\n3,dog\n' >labels.csv
run 0 "$cover" eval scores.csv labels.csv --csv rows.csv
out '^AUC +1\.0000'
out '^accuracy +0\.6667'
out '^cat +1\.0000 +1 +1'
holds grep -q '^2,cat,0,0.4' rows.csv
run 0 "$cover" eval scores.csv labels.csv --json
holds test "$(value auc)" = 1

it 'a truth of one class is an error that says which is missing'
printf 'file,label\n1,cat\n2,cat\n3,cat\n' >labels.csv
run 1 "$cover" eval scores.csv labels.csv
err "labels.csv: AUC of class 'cat': all of the 3 cases have it"

it 'two evaluations are correlated'
for name in one other; do
    printf '{"kind": "segmentation", "classes": {}, "cases": [' >$name.json
    for dice in 0.7 0.8 0.75; do printf '{"case": "%s", "mean_dice": %s},' $dice $dice; done | sed 's/,$//' >>$name.json
    printf ']}' >>$name.json
done
run 0 "$cover" eval --correlate one.json other.json
out '^Pearson r +1'

it 'a label map that is no image is refused with its name'
echo hello >pred/a.nii.gz
run 1 "$cover" eval pred labels
err 'pred/a.nii.gz'

finish
