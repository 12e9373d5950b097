#!/bin/sh
# cover study: files that are refused, runs and their order, going on, tables.  Usage: test_study.sh COVER JSON_VALUE FOLDER_OF_PNG
. "$(dirname "$0")/lib.sh"
images=$(absolute "$3")
set -- "$images"/*.png
cd "$tmp" || exit 99
mkdir few
cp "$1" "$2" "$3" few

# study NAME: the file NAME.json from stdin
study() { cat >"$1.json"; }
# refused FILE PATTERN: nothing is touched
refused() {
    run 2 "$cover" study "$1.json" -o untouched
    err "$2"
    if test -e untouched; then wrong 'the folder was made'; fi
}
# edited NAME SED-SCRIPT: a copy of tiny.json that is wrong in one place
edited() { sed "$2" tiny.json >"$1.json"; }

study tiny <<END
{"name": "tiny <study>", "about": "Two losses & three seeds.",
 "variables": {"seed": [0, 1, 2],
               "loss": [{"name": "base", "set": ["--set", "loss_vec=off"]}, {"name": "full", "set": []}]},
 "runs": [
  {"id": "{loss}-{seed}", "for": ["loss", "seed"], "needs": ["few"],
   "command": ["pretrain", "{out}/few.h5", "-o", "{out}/{id}", "--preset", "demo", "--set", "widths=8,8,8,8,8,8,8,8,8",
     "--set", "heads=1,1,1,1,1", "--set", "radius=1", "--set", "schedule=constant", "--set", "warmup=0",
     "--crop", "32x32", "--set", "work=48x48", "--batch", 2, "--steps", 2, "--seed", "{seed}", "{loss.set}"]},
  {"id": "few", "command": ["pack", "{data}", "-o", "{out}/few.h5"]}],
 "tables": [{"title": "Ratio | all", "rows": ["loss"], "over": ["seed"], "value": {"ratio": "ratio", "steps": "steps"}, "digits": 2},
            {"title": "One seed", "where": {"seed": 1}, "columns": ["loss"], "value": "l_vec"},
            {"title": "Gain", "about": "=1+1 <script>alert(1)</script> [link](x) \`code\` *all*", "columns": ["loss"], "over": ["seed"], "against": {"loss": "base"}, "value": "l_con"}]}
END

it 'names that are not known are refused before anything runs'
refused tiny 'few: no name \{data\}; give it with --define data=VALUE'
for case in 's/{loss}-/{los}-/|did you mean \{loss\}\?' 's/"for": \["loss", /"for": [/|\{loss\}: add "loss" to "for"' \
    's/"for": \["loss"/"for": ["less"/|no variable .less' 's/\["few"\]/["fwe"]/|needs .fwe.*did you mean few' \
    's/"rows"/"rwos"/|tables\[0\]: no member .rwos.; did you mean rows\?' 's/"over": \["seed"\]/"over": ["sed"]/|over: no variable .sed' \
    's/"where": {"seed"/"where": {"sed"/|where: no variable .sed' 's/-{seed}"/"/|id .base. comes twice' \
    's/"pretrain"/"pretrian"/|.pretrian. is no verb' 's/"--steps"/"--stps"/|no option --stps; did you mean --steps' \
    's/"radius=1"/"radus=1"/|no setting .radus' 's/"needs"/"for": [], "needs"/|duplicate' 's/\[0, 1, 2\]/[0, 1, 1]/|has the value 1 twice' \
    's/{loss.set}/x{loss.set}/|is a list' 's/{out}\/few/{out\/few/|write \{NAME\}' 's/"id": "few"/"id": "a\/b"/|id .a/b.' \
    's/"over": \["seed"\], //|differs in .seed., too' 's/2, "--seed"/[], "--seed"/|neither text nor number' \
    's/\[0, 1, 2\]/["{seed}", 1, 2]/|refers to itself' 's/"value": "l_vec"/"value": 3/|neither a path' \
    's/"against": {"loss"/"against": {"seed"/|is none of the columns'; do
    edited wrong "${case%%|*}"
    run 2 "$cover" study wrong.json -o untouched --define data=few
    err "${case#*|}"
done
run 2 "$cover" study tiny.json -o untouched --define loss=few
err 'has a variable of that name'
run 2 "$cover" study tiny.json -o untouched --define 'data'
err 'NAME=VALUE'
holds test ! -e untouched

it 'needs that go round in a circle are refused'
study circle <<END
{"name": "circle", "runs": [{"id": "a", "needs": ["b"], "command": ["info"]}, {"id": "b", "needs": ["a"], "command": ["info"]}]}
END
refused circle 'needs itself'

it 'a dry run prints the command lines in order and writes nothing'
run 0 "$cover" study tiny.json -o untouched --define 'data=a folder' --dry-run --threads 2
[ "$(wc -l <"$tmp/out")" = 7 ] || wrong 'not 7 lines'
[ "$(sed -n 1p "$tmp/out")" = "$cover pack 'a folder' -o untouched/few.h5 --threads 2 --json" ] || wrong 'not the pack first'
out '/base-0 .* --seed 0 --set loss_vec=off --threads 2 --json$'
out '/full-2 .* --seed 2 --threads 2 --json$'
holds test ! -e untouched

it 'every recipe is a study, and README lists it'
recipes=$images/../../recipes
for recipe in "$recipes"/*.json; do
    run 0 "$cover" study "$recipe" -o untouched --define data=data --define chest=chest --dry-run
    holds grep -qF "| \`${recipe##*/}\` |" "$recipes/README.md"
done
holds test ! -e untouched

it 'a study runs all once, and writes its tables'
run 0 "$cover" study tiny.json --define data=few --json
[ "$(value done)" = 7 ] || wrong 'not 7 runs'
err '^\[7/7\] full-2  ETA '
[ "$("$json" state <tiny/results/full-2.json)" = done ] || wrong 'not done'
[ "$("$json" result.steps <tiny/results/full-2.json)" = 2 ] || wrong 'no result'
holds grep -qx '| base | 0\.[0-9]* ± [0-9.]* (3) | 2.00 ± 0.00 (3) |' tiny/table.md
holds grep -qF '### Ratio \| all' tiny/table.md
holds grep -qF '=1+1 &#60;script&#62;alert(1)&#60;/script&#62; \[link\](x) \`code\` \*all\*' tiny/table.md
holds grep -q '^One seed,,base,1,[0-9.]*,,,,[0-9.]*$' tiny/table.csv
holds grep -q '<title>tiny &#60;study&#62;</title>' tiny/table.html
holds grep -q '7 of 7 runs done' tiny/table.html

it 'the interval is that of Student'
# 4.302653 is t of two degrees of freedom
awk -F, '$2 == "base" && $3 == "ratio" {
    n = split($9, v, " "); for (i = 1; i <= n; i++) m += v[i] / n; for (i = 1; i <= n; i++) s += (v[i] - m) ^ 2 / (n - 1)
    h = 4.302653 * sqrt(s / n); d = ($8 - $7) / 2 - h; e = $5 - m
    exit !(n == 3 && d * d < 1e-12 * h * h && e * e < 1e-16) }' tiny/table.csv || wrong 'not the interval'

it 'a table against a value has differences run by run'
holds grep -qE '^\|  \| base \| full \| full − base \|$' tiny/table.md
holds grep -qE '^\|  \| 0\.[0-9]+ ± [0-9.]+ \(3\) \| 0\.[0-9]+ ± [0-9.]+ \(3\) \| [+-]0\.[0-9]+ ± [0-9.]+ \(3\) \|$' tiny/table.md
awk -F, '$1 == "Gain" { split($9, v, " "); for (i = 1; i <= 3; i++) x[$3, i] = v[i] }
    END { for (i = 1; i <= 3; i++) { d = x["full", i] - x["base", i] - x["full − base", i]; if (d * d > 1e-14) exit 1 } }' tiny/table.csv ||
    wrong 'not the differences'

it 'what is done is not run again, until its command line changes or what it needs'
cp tiny/results/base-1.json kept.json
run 0 "$cover" study tiny.json --define data=few
no_err '^\['
sed 's/"loss_vec=off"/"loss_vec=off", "--set", "lr=2e-4"/' tiny.json >changed.json
run 0 "$cover" study changed.json -o tiny --define data=few
err '^base-0: what an earlier command line wrote is now tiny/base-0.old$'
no_err '^\[[0-9]*/7\] (full|few)'
cp few/*.png . && mkdir more && cp ./*.png more && rm more/"$(basename "$1")"
run 0 "$cover" study changed.json -o tiny --define data=more
err '^\[1/7\] few'
err '^\[7/7\] full-2'

it 'a run that fails is said, others go on, and it is tried again'
study fails <<END
{"name": "fails", "runs": [{"id": "absent", "command": ["check", "absent.h5"]}, {"id": "after", "needs": ["absent"], "command": ["info"]},
  {"id": "info", "command": ["info"]}], "tables": [{"title": "Threads", "runs": "info", "value": "threads"}]}
END
run 1 "$cover" study fails.json
err 'absent: failed'
err 'after: not run, as absent is not done'
[ "$("$json" state <fails/results/absent.json)" = failed ] || wrong 'not failed'
[ "$("$json" state <fails/results/info.json)" = done ] || wrong 'not done'
run 1 "$cover" study fails.json --json
[ "$(value done)" = 1 ] && [ "$(value failed.1)" = after ] || wrong 'not those'
run 1 "$cover" study nowhere.json
err '^cover study: nowhere.json: cannot be opened: No such file or directory$'
cp tiny/few.h5 absent.h5
run 0 "$cover" study fails.json
holds grep -q '3 of 3 runs done' fails/table.html

for signal in INT TERM HUP; do
    it "SIG$signal lets the run in work save, and the same command line goes on"
    sed 's/"--steps", 2/"--steps", "{steps}", "--set", "log_every=1"/; s/\[0, 1, 2\]/[1]/' tiny.json >long.json
    $heard "$cover" study long.json -o "long $signal" --define data=few --define steps=4000 >out 2>err &
    process=$!
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
        test -s "long $signal/base-1/log.jsonl" && break
        sleep 0.3
    done
    kill -$signal $process
    sleep 0.002
    kill -$signal $process 2>/dev/null
    status=0
    wait $process || status=$?
    last="kill -$signal"
    [ $status = 130 ] || wrong "exit status $status"
    err 'the same command line goes on'
    [ "$("$json" state <"long $signal/results/base-1.json")" = interrupted ] || wrong 'not interrupted'
    holds test -s "long $signal/base-1/checkpoint.h5"
    run 0 "$cover" study long.json -o "long $signal" --define data=few --define steps=4000 --dry-run
    out '/base-1. .* --resume --json$'
done

it 'two studies do not work in one folder'
"$cover" study long.json -o busy --define data=few --define steps=100000 >out 2>&1 &
process=$!
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
    test -s busy/base-1/log.jsonl && break
    sleep 0.3
done
run 1 "$cover" study long.json -o busy --define data=few --define steps=100000
err 'another study works in this folder'
kill -TERM $process
wait $process

it 'a result that is damaged is named'
echo '{' >fails/results/info.json
run 1 "$cover" study fails.json
err 'fails/results/info.json.*remove the file'

finish
