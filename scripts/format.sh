#!/bin/sh
# Lays out the C, C++ and CUDA sources by .clang-format; with --check changes nothing, names those that differ and fails.  Versions of
# clang-format differ in their layout, so it must be 14 (Debian 12's; elsewhere: pip install clang-format==14.0.6).  Without it 77, which
# is Meson's word for a skipped test.  Called by `make format` and the test `layout of the sources`.
set -eu
cd "$(dirname "$0")/.."
case "$*" in
'') mode=-i ;;
--check) mode='--dry-run --Werror -ferror-limit=1' ;;
*) echo "usage: format.sh [--check]" >&2; exit 2 ;;
esac
formatter=
for name in clang-format-14 clang-format; do
    if $name --version 2>/dev/null | grep -q ' version 14\.'; then formatter=$name; break; fi
done
[ "$formatter" ] || { echo "skipped: clang-format 14 is not installed (make deps)" >&2; exit 77; }
# shellcheck disable=SC2086 # words on purpose
find bench examples include pkgconfig src tests tools -name '*.[ch]' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' | sort |
    xargs -P "$(nproc)" -n 16 $formatter $mode --style=file || { echo "run 'make format'" >&2; exit 1; }
