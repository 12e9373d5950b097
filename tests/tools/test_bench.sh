#!/bin/sh
# cover bench: its figures, its page, its refusals.  Usage: test_bench.sh COVER JSON_VALUE
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 99

# is EXPRESSION: awk's, over the numbers a, b, c of the keys that follow
is() {
    expression=$1
    a=$(value "$2") b=$(value "${3:-$2}") c=$(value "${4:-$2}")
    awk -v a="$a" -v b="$b" -v c="$c" "BEGIN { exit !($expression) }" || wrong "$expression does not hold: $* are $a $b $c"
}

it 'a step has every figure'
run 0 "$cover" bench --size 16 --rounds 2 --threads 2 --json --layers
[ "$(value part)" = step ] || wrong 'not step'
[ "$(value precision)" = fp32 ] || wrong 'not fp32'
is 'a == 2 && b == 2 && c == 2' threads lanes rounds
is 'a == 16 && b == 2 && c == 2' size dims pairs
is 'a > 0 && a <= b && c > 0' seconds_min seconds floor_seconds
is 'a > 0 && b > 1e6 && c > 1e6' update_seconds flops peak_bytes
is 'a > 0.99 * b / c && a < 1.01 * b / c' ratio seconds floor_seconds
is 'a > 1e6 && b > 1e6 && c >= 0' peak.one_thread.fp32_flops_per_s peak.one_thread.bytes_per_s peak.one_thread.bf16_flops_per_s
is 'a > 1e6 && b > 1e6 && c >= 0' peak.all_threads.fp32_flops_per_s peak.all_threads.bytes_per_s peak.all_threads.bf16_flops_per_s
is 'a >= b && b > 0' ops_seconds ops.conv

it 'an operation has its rates, its floor and what bounds it'
is 'a > 0 && b > 0 && c > 0' operations.0.count operations.0.seconds operations.0.bytes
is 'a > 0.99 * b / c && a < 1.01 * b / c' operations.0.bytes_per_s operations.0.bytes operations.0.seconds
is 'a > 0.99 * b / c && a < 1.01 * b / c' operations.0.distance operations.0.seconds operations.0.floor_seconds
is 'a >= b && b > 0 && c <= 1' operations.0.seconds operations.1.seconds operations.0.share
out '"op": "conv", .*"bound": "(memory|arithmetic)", "products": "fp32"'
out '"op": "norm_act", .*"flops": 0, .*"bound": "memory", "products": "none"'

it 'a layer has its name and its size, and the layers of an operation add up to it'
out '"op": "conv", "layer": "backbone.inc.double_conv.0.weight", "size": "16x16, 32"'
out '"op": "conv_grad_weights", "layer": "backbone.inc.double_conv.0.weight"'
holds awk '
    /"op": "conv", / { match($0, /"seconds": [0-9.e+-]+/); seconds = substr($0, RSTART + 11, RLENGTH - 11)
        if (/"layer"/) sum += seconds; else whole = seconds }
    END { exit !(whole > 0 && sum > 0.999 * whole && sum < 1.001 * whole) }' out

it 'bytes are every input read once and every output written once'
# 16 x 16 pixels of 8 channels: query, key and field forward; backward the field, query, key and their gradients
run 0 "$cover" bench --part mov --size 16 --rounds 1 --json
out '"op": "mov", .*"bytes": 18432,'
out '"op": "mov_grad", .*"bytes": 34816,'

it 'volumes and views have figures, too'
for part in 'mov --dims 3' 'infer --dims 3' 'sevr --dims 2'; do # the others come elsewhere
    # shellcheck disable=SC2086 # words on purpose
    run 0 "$cover" bench --part $part --size 16 --rounds 1 --json
    is 'a > 0 && b > 0 && c > 0' seconds operations.0.bytes operations.0.floor_seconds
done

it 'brief is the time alone'
run 0 "$cover" bench --part infer --size 16 --rounds 1 --brief --json
is 'a > 0 && b == 0 && c == 1' seconds floor_seconds rounds
no_out 'operations|peak":'
run 0 "$cover" bench --part mov --size 16 --rounds 1 --brief
out '^time, median +'
no_out 'floor'

it 'for people there is a table'
run 0 "$cover" bench --part infer --size 16 --rounds 1 --layers
out '^peak, one thread: +fp32 [0-9]+ GFLOP/s'
out '^  operation +n +ms +% +GFLOP/s +GB/s +floor ms x floor  bound by$'
out '^  conv +18 '
out '^  sum '
out 'backbone\.up4\.conv\.double_conv\.3\.weight'

it 'the page is one file, with a roofline and the table'
run 0 "$cover" bench --part infer --size 16 --rounds 1 --html page.html --json
value operations >/dev/null
for word in '<svg' 'memory, [0-9]* GB/s' 'fp32, [0-9]* GFLOP/s' 'counted as direct convolution' '<td>memory</td>' '</html>'; do
    holds grep -q "$word" page.html
done
if grep -Eq 'src=|href=|url\(|@import' page.html; then wrong 'it asks for something from outside'; fi

it 'what cannot be is refused'
run 2 "$cover" bench --part everything
err 'step.mov.infer.sevr'
run 2 "$cover" bench --rounds 0
run 2 "$cover" bench --rounds 65
run 2 "$cover" bench --size 16x16
err 'one number'
run 2 "$cover" bench --layer
err 'did you mean --layers\?'
run 1 "$cover" bench --size 20
err 'multiple of 16'
run 1 "$cover" bench --part mov --size 16 --brief --html page.html
err 'brief'
run 1 "$cover" bench --part mov --size 16 --rounds 1 --html nowhere/page.html
err 'nowhere/page\.html'

finish
