#!/bin/sh
# README and docs say what is so.  Usage: test_docs.sh COVER JSON_VALUE PROJECT BUILD CC
. "$(dirname "$0")/lib.sh"
project=$(absolute "$3") build=$(absolute "$4")
cc=$5
cd "$project" || exit 99
{ "$cover" pretrain -h; "$cover" finetune -h; } >"$tmp/settings"

it 'the table of verbs in README is that of the command'
sed -n 's/^| `\([a-z]*\)` |.*/\1/p' README.md | sort >"$tmp/readme"
"$cover" -h | sed -n '/^verbs:/,/^$/s/^  \([a-z][a-z]*\) .*/\1/p' | sort >"$tmp/verbs"
last='cover -h'
holds cmp "$tmp/readme" "$tmp/verbs"

it 'every file and folder that CONTRIBUTING names is there'
for name in $(grep -oE '`[a-z.A-Z_]+/[^ `]*`|`[A-Z]+\.md`' CONTRIBUTING.md | tr -d '\140'); do
    holds test -e "$name"
done

it 'every link to a file leads somewhere'
for page in README.md CONTRIBUTING.md CHANGELOG.md SECURITY.md KNOWN_ANOMALIES.md docs/*.md examples/data/README.md; do
    for link in $(grep -oE '\]\([^)#]+' "$page" | sed 's/^](//' | grep -v '^http'); do
        holds test -e "$(dirname "$page")/$link"
    done
done

it 'every setting that is named is one'
for name in $(cat README.md docs/*.md | grep -oE -e '--set [a-z_]+=' | sed 's/--set //; s/=//' | grep -vx radus | sort -u); do
    holds grep -qE "^  $name " "$tmp/settings"
done

it 'every option that is named is one'
for verb in $(cat "$tmp/verbs"); do "$cover" "$verb" -h; done >"$tmp/help"
{ cat "$tmp/help"; "$cover" -h; } | grep -oE -e '--[a-z][a-z-]+' | sort -u >"$tmp/options"
# in command lines of ours, and where one stands alone in backquotes
for name in $(grep -hE '(^|`)cover [a-z]+ ' README.md docs/*.md | grep -oE -e ' --[a-z][a-z-]+' | sort -u) \
    $(grep -ohE '`--[a-z][a-z-]+' docs/command.md docs/faq.md docs/quickstart.md | tr -d '\140' | grep -vxe --name | sort -u); do
    holds grep -qxe "$name" "$tmp/options"
done

it "the table of the model of scaling is the script's"
python3 scripts/scaling_model.py >"$tmp/table" 2>"$tmp/err" || wrong 'scaling_model.py failed'
last='scripts/scaling_model.py'
while read -r line; do
    holds grep -qxF "$line" docs/cluster.md
done <"$tmp/table"

it "the tables of estimates for GPUs are the script's"
python3 scripts/gpu_roofline.py >"$tmp/table" 2>"$tmp/err" || wrong 'gpu_roofline.py failed'
last='scripts/gpu_roofline.py'
while read -r line; do
    holds grep -qxF "$line" docs/cuda.md
done <"$tmp/table"

if [ -d "$build/meson-uninstalled" ] && command -v pkg-config >/dev/null; then
    it 'the C program in README compiles by pkg-config in the build tree, and says what is missing'
    sed -n '/^```c$/,/^```$/p' README.md | sed '1d;$d' >"$tmp/readme.c"
    PKG_CONFIG_PATH=$build/meson-uninstalled
    export PKG_CONFIG_PATH
    # shellcheck disable=SC2046 # words on purpose
    run 0 "$cc" -Wall -Wextra -Werror "$tmp/readme.c" $(pkg-config --cflags --libs cover) -Wl,-rpath,"$build" $CFLAGS -o "$tmp/readme-program"
    cd "$tmp" || exit 99
    run 1 "$tmp/readme-program"
    err 'chest\.h5'
else
    skip 'the C program in README compiles by pkg-config in the build tree, and says what is missing' 'no pkg-config'
fi

finish
