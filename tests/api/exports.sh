#!/bin/sh
# What the public headers declare is what the library exports, and nothing else; each header compiles alone, in C and C++.
# usage: exports.sh LIBRARY CC CXX|none SOURCE-FOLDER
library=$1 cc=$2 cxx=$3 source=$4
include=$source/include
number=0 work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
verdict() { # verdict NAME RESULT [FILE with what went wrong]
    number=$((number + 1))
    if [ "$2" = 0 ]; then echo "ok $number - $1"
    else
        echo "not ok $number - $1"
        [ -z "$3" ] || sed 's/^/# /' "$3"
    fi
}
# a declaration may go over lines: join everything from COVER_API to the opening parenthesis
cat "$include"/libcover/*.h | tr '\n' ' ' | grep -o 'COVER_API [^;(]*(' | sed 's/.*[ *]\(cover_[a-z0-9_]*\) *($/\1/' | grep '^cover_' | sort -u >"$work/declared"
nm -D --defined-only "$library" | awk '$2 ~ /[A-Z]/ && $2 != "A" {print $3}' | sed 's/@.*//' | sort -u >"$work/exported"
comm -23 "$work/declared" "$work/exported" >"$work/missing"
comm -13 "$work/declared" "$work/exported" >"$work/extra"
test -s "$work/declared" && test ! -s "$work/missing"; verdict 'each declared function is exported' $? "$work/missing"
test ! -s "$work/extra"; verdict 'nothing else is exported' $? "$work/extra"
sed '/^\/\*/d' "$source/src/libcover.map" | grep -o 'cover_[a-z0-9_]*;' | tr -d ';' | sort -u >"$work/mapped"
diff "$work/declared" "$work/mapped" >"$work/said"; verdict 'src/libcover.map lists each declared function' $? "$work/said"
! nm -D --defined-only "$library" | grep ' cover_' | grep -v '@@COVER_[0-9]' >"$work/said"; verdict 'each symbol has a version' $? "$work/said"
# the fixed block at the top of each header, and those that docs/api.md calls experimental
for header in "$include"/libcover/*.h; do
    sed '/\*\//q' "$header" | grep -o '^ \* [A-Za-z]*:  ' | tr -d ' *\n' >"$work/said"
    echo >>"$work/said"
    test "$(cat "$work/said")" = 'Owner:Lifetime:Threads:Callbacks:NULL:Errors:Stability:'
    verdict "$(basename "$header") says whose, how long, which threads, what in callbacks, NULL, errors and stability" $? "$work/said"
done
grep -l '^ \* Stability:  experimental' "$include"/libcover/*.h | sed 's/.*\///' | sort >"$work/marked"
grep -o '^| `[a-z]*\.h` |' "$source/docs/api.md" | grep -o '[a-z]*\.h' | sort >"$work/told"
diff "$work/marked" "$work/told" >"$work/said"; verdict 'docs/api.md lists the experimental headers' $? "$work/said"
for header in "$include"/libcover/*.h; do
    name=$(basename "$header")
    echo "#include <libcover/$name>" >"$work/one.c"
    $cc -std=c11 -Wall -Wextra -Wpedantic -Werror -I"$include" -c "$work/one.c" -o "$work/one.o" 2>"$work/said"
    verdict "$name compiles alone as C11" $? "$work/said"
    [ "$cxx" = none ] && continue
    cp "$work/one.c" "$work/one.cc"
    $cxx -std=c++11 -Wall -Wextra -Wpedantic -Werror -I"$include" -c "$work/one.cc" -o "$work/one.o" 2>"$work/said"
    verdict "$name compiles alone as C++11" $? "$work/said"
done
# each COVER_X_INIT starts a cover_x, and takes new members without a change
{
    echo '#include <libcover/cover.h>'
    echo 'int main(void) {'
    grep -ho '^ *# *define COVER_[A-Z0-9_]*_INIT' "$include"/libcover/*.h | sed 's/.* //' | sort -u | while read -r macro; do
        echo "{ $(echo "${macro%_INIT}" | tr '[:upper:]' '[:lower:]') made = $macro; if (made.struct_size != sizeof made) return 1; }"
    done
    echo 'return 0; }'
} >"$work/init.c"
cp "$work/init.c" "$work/init.cc"
$cc -std=c11 -Wall -Wextra -Wpedantic -Werror -I"$include" -c "$work/init.c" -o "$work/init.o" 2>"$work/said"
verdict 'each _INIT macro compiles in C11 without a warning' $? "$work/said"
if [ "$cxx" != none ]; then
    $cxx -std=c++11 -Wall -Wextra -Wpedantic -Werror -I"$include" -c "$work/init.cc" -o "$work/init.o" 2>"$work/said"
    verdict 'each _INIT macro compiles in C++11 without a warning' $? "$work/said"
fi
echo "1..$number"
