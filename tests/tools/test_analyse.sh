#!/bin/sh
# cover analyse: kinds, operands, tables and files.  What the figures are is tested in tests/api/analysis/test_analysis.c.
# Usage: test_analyse.sh COVER JSON_VALUE FOLDER_OF_PNG
. "$(dirname "$0")/lib.sh"
images=$(absolute "$3")
set -- "$images"/*.png
cd "$tmp" || exit 99
mkdir -p classes/train/one classes/train/two
cp "$1" "$2" classes/train/one && cp "$3" "$4" classes/train/two
"$cover" pack classes -o classes.h5 --size 48x48 -q >/dev/null || exit 99
"$cover" pretrain classes.h5 -o run --preset demo --set widths=8,8,8,8,8,8,8,8,8 --set heads=1,1,1,1,1 --set radius=1 \
    --set schedule=constant --set warmup=0 --crop 32x32 --set work=48x48 --batch 2 --steps 2 --set log_every=1 -q >/dev/null || exit 99

it 'a kind that is not known, and operands that are too few, are wrong use'
run 2 "$cover" analyse tsen run classes.h5 -o plane.csv
err 'did you mean tsne\?'
run 2 "$cover" analyse tsne run -o plane.csv
err 'tsne takes WEIGHTS DATA, but 1 operands stand behind it'
run 2 "$cover" analyse tsne run classes.h5
err '-o FILE is missing'
run 2 "$cover" analyse dispersion run classes.h5 --level 5
err '0\.\.4'

it 't-SNE writes its points, and pixels of classes have the class of their image'
run 0 "$cover" analyse tsne run classes.h5 -o plane.csv --points 40 --perplexity 5 --json
[ "$(value classes.one) $(value classes.two)" = '20 20' ] || wrong 'not half of each class'
[ "$(wc -l <plane.csv)" = 41 ] || wrong 'not 40 points'

it 'dispersion prints a table of levels, or of the one asked for'
run 0 "$cover" analyse dispersion run classes.h5
[ "$(wc -l <"$tmp/out")" = 6 ] || wrong 'not 5 levels'
out '^ +4 +1 +[0-9.e-]+ +- +- +[0-9.e-]+$'
run 0 "$cover" analyse dispersion run classes.h5 --level 2 --json
[ "$(value levels.0.level)" = 2 ] || wrong 'not the level'

it 'flops takes settings'
run 0 "$cover" analyse flops --set radius=1 --crop 64x64 --json
[ "$(value rows.4.field)" = 63 ] || wrong 'not the field'

it 'curves draws runs'
run 0 "$cover" analyse curves run run -o curves.html --json
[ "$(value runs.1.steps)" = 2 ] || wrong 'not the steps'
holds grep -q polyline curves.html
run 1 "$cover" analyse curves run absent -o curves.html
err 'absent/log.jsonl'

finish
