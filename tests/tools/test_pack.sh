#!/bin/sh
# cover pack on images that are there, that are not, and that are not images.
# Usage: test_pack.sh COVER JSON_VALUE FOLDER_OF_PNG
. "$(dirname "$0")/lib.sh"
images=$(absolute "$3")
set -- "$images"/*.png
mkdir "$tmp/few" "$tmp/empty" "$tmp/mixed"
cp "$1" "$2" "$3" "$tmp/few"
cd "$tmp" || exit 99

it 'a folder is packed and told as a table'
run 0 "$cover" pack few -o few.h5
out '^samples +3$'
out '^smallest +256x256$'
out '^content hash +[0-9a-f]{64}$'
holds test -s few.h5

it 'progress goes to stderr, a line at a time where it is no terminal'
err '^pack: 3/3'
no_err "$(printf '[\r\033]')"

it 'the same as JSON, and nothing else on stdout'
run 0 "$cover" pack few -o few.h5 --json --quiet
[ "$(value samples)" = 3 ] || wrong 'not three samples'
no_err .

it 'files of other kinds are ignored and counted'
cp few/*.png mixed && echo 'a,b' >mixed/labels.csv && echo text >mixed/README
run 0 "$cover" pack mixed -o mixed.h5 --json
[ "$(value skipped)" = 2 ] || wrong 'not two files of other kinds'

it 'equal images make equal files, whatever the threads'
run 0 "$cover" pack few -o one.h5 --threads 1 --json
first=$(value hash)
run 0 "$cover" pack few -o three.h5 --threads 3 --json
[ "$first" = "$(value hash)" ] || wrong 'hashes differ'

it 'a bad image is named with its reason, and nothing is written'
mkdir broken && cp few/*.png broken && echo 'no image' >broken/text.png
head -c 3000 "$1" >broken/short.png
run 1 "$cover" pack broken -o broken.h5
err 'broken/text\.png: .*PNG'
err 'broken/short\.png: .*truncated'
holds test ! -e broken.h5
no_out .

it 'as JSON every bad image of a pack that fails is in the object of the error'
run 1 "$cover" pack broken -o broken.h5 --json
[ "$(value error.status)" = COVER_ERROR_FORMAT ] || wrong 'another status'
[ "$(value bad.0.file)" = broken/short.png ] || wrong 'not the first bad image'
value bad.1.reason | grep -q PNG || wrong 'not the reason of the second'

it 'with --skip-bad the others are packed and the bad ones counted'
run 0 "$cover" pack broken -o broken.h5 --skip-bad
out '^samples +3$'
out '^unusable, left out +2$'
err 'broken/text\.png'

it 'a failed pack leaves the old file alone'
cp few.h5 old.h5
run 1 "$cover" pack broken -o old.h5
holds cmp few.h5 old.h5

it 'an empty image file and an empty folder are said'
: >broken/short.png
run 1 "$cover" pack broken -o new.h5
err 'broken/short\.png'
run 1 "$cover" pack empty -o new.h5
err 'empty: no images'
holds test ! -e new.h5

it 'a source that is not there is named'
run 1 "$cover" pack nowhere -o new.h5
err '^cover pack: nowhere: '

it 'an output that cannot be written is said before the work'
run 1 "$cover" pack few -o /nowhere/new.h5
err '/nowhere/new\.h5'
no_err '^pack: '

it 'a header of a hundred gigabytes in a small file is refused'
# PNG: width and height 500000, then the bytes of the real file
{ head -c 16 "$1" && printf '\000\007\241\040\000\007\241\040' && tail -c +25 "$1"; } >broken/short.png
run 1 "$cover" pack broken -o new.h5
err 'broken/short\.png'

it 'options that exclude each other or make no sense are wrong use'
run 2 "$cover" pack few
err '-o DATA\.h5 is missing'
run 2 "$cover" pack -o x.h5
err 'operands are missing'
run 2 "$cover" pack few -o x.h5 --size 64
err 'HxW or DxHxW'
run 2 "$cover" pack few -o x.h5 --size 64x64 --spacing 1
err 'exclude each other'
run 2 "$cover" pack few -o x.h5 --window 3,1
err 'LO below HI'
run 2 "$cover" pack few -o x.h5 --percentile 1,101
err '0\.\.100'
run 2 "$cover" pack few -o x.h5 --spacing 0,1
err 'more than 0 mm'
run 2 "$cover" pack few -o x.h5 --spacing middle
err 'numbers joined by commas'
run 2 "$cover" pack few -o x.h5 --negative none
err 'give that too'
run 2 "$cover" pack few -o x.h5 --channels 4
err 'grey.rgb'
holds test ! -e x.h5

it 'a labels file gives sets of classes'
(echo file,label && for file in few/*.png; do echo "$(basename "$file"),one|two"; done) >labels.csv
run 0 "$cover" pack few -o labelled.h5 --labels labels.csv --json
[ "$(value classes)" = 2 ] || wrong 'not two classes'
[ "$(value multilabel)" = true ] || wrong 'no sets of classes'

it 'a median of no spacings is no spacing'
run 1 "$cover" pack few -o x.h5 --spacing median
err 'no image says its spacing'

it 'a window may begin with a minus sign'
run 0 "$cover" pack few -o windowed.h5 --window -10,200

it 'sizes and channels change what is packed'
run 0 "$cover" pack few -o small.h5 --size 64x48 --channels rgb --json
[ "$(value max_size)" = '[1,64,48]' ] || wrong 'not 64x48'
[ "$(value channels)" = 3 ] || wrong 'not three channels'

finish
