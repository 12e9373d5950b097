#!/bin/sh
# An install works wherever it stands, from its own files, and pkg-config and CMake lead to it; pkg-config to the build tree, too.
# Usage: test_install.sh COVER JSON_VALUE SOURCE BUILD, with MESON and CC in the environment
. "$(dirname "$0")/../tools/lib.sh"
source=$3 build=$4
unset LD_LIBRARY_PATH LD_PRELOAD PKG_CONFIG_PATH

cat >"$tmp/program.c" <<'PROGRAM'
#include <libcover/cover.h>
#include <stdio.h>
int main(void) {
    cover_context *context;
    if (cover_context_create(&context, NULL) != COVER_OK) return 1;
    puts(cover_context_info(context));
    cover_context_destroy(context);
    return 0;
}
PROGRAM

it 'as a subproject of another it is found by its name, without its tests'
mkdir -p "$tmp/host/subprojects" && ln -s "$source" "$tmp/host/subprojects/libcover"
printf "project('program', 'c')\nexecutable('program', 'program.c', dependencies: dependency('cover', fallback: 'libcover'))\n" \
    >"$tmp/host/meson.build"
cp "$tmp/program.c" "$tmp/host"
run 0 "$MESON" setup "$tmp/host/build" "$tmp/host" -Dlibcover:cuda=disabled -Dlibcover:mpi=disabled
run 0 "$MESON" introspect "$tmp/host/build" --tests
out '^\[\]$'

it 'an install goes under DESTDIR'
run 0 env DESTDIR="$tmp/root" "$MESON" install -C "$build" --no-rebuild
command=$(find "$tmp/root" -type f -name cover -path '*bin/cover')
library=$(find "$tmp/root" -name 'libcover.so.?*' -type f)
package=$(find "$tmp/root" -name cover.pc)
holds test -x "$command"
holds test -f "$library"
holds test -f "$package"

# Once moved, nothing of it can come from where it was installed or built.
mv "$tmp/root" "$tmp/moved"
command=$tmp/moved${command#"$tmp/root"} library=$tmp/moved${library#"$tmp/root"} package=$tmp/moved${package#"$tmp/root"}
libraries=$(dirname "$library")

it 'installed files do not know the build tree'
for file in "$command" "$library"; do
    run 0 readelf -d "$file"
    no_out "$build"
    no_out "$source"
done
run 0 cat "$package"
no_out "$build"
no_out "$source"

it 'the installed command runs by its own libraries'
run 0 "$command" info
run 0 ldd "$command"
no_out 'not found'
out "$libraries/libcover\.so|bin/\.\./.*/libcover\.so"
no_out "$build/"

for module in cuda mpi codecs; do
    if [ -f "$build/libcover-$module.so" ]; then
        it "the module for $module stands beside the library that opens it, and does not know the build tree"
        holds test -f "$libraries/libcover-$module.so"
        run 0 readelf -d "$libraries/libcover-$module.so"
        no_out "$build"
        run 0 "$command" info --json
        [ $module != cuda ] || out '"backends": \["cpu", "cuda"\]'
    else
        skip "the module for $module stands beside the library" 'it was not built'
    fi
done

if [ -f "$libraries/libdnnl.so.3" ]; then
    it "oneDNN's library from a wheel stands beside ours and is the one that is taken"
    run 0 ldd "$library"
    out "libdnnl\.so\.3 => $libraries/libdnnl\.so\.3"
    it "oneDNN's licence is installed with it"
    holds test -s "$(find "$tmp/moved" -path '*libcover/onednn/LICENSE')"
fi

it 'the bill of materials is installed in both its forms'
for form in spdx cdx; do holds test -s "$(find "$tmp/moved" -path "*doc/libcover/sbom.$form.json")"; done

# built PACKAGE-FOLDER RUNTIME-FOLDER: compile the program by pkg-config alone and run it
built() {
    flags=$(PKG_CONFIG_PATH=$1 PKG_CONFIG_SYSROOT_DIR=$3 pkg-config --cflags --libs cover) || wrong 'pkg-config failed'
    # shellcheck disable=SC2086 # words on purpose
    run 0 $CC "$tmp/program.c" -o "$tmp/program" $flags -Wl,-rpath,"$2"
    run 0 "$tmp/program"
    out '"version"'
}
if command -v pkg-config >/dev/null; then
    it 'a program compiles against the install by pkg-config and runs'
    built "$(dirname "$package")" "$libraries" "$tmp/moved"
    it 'a program compiles against the build tree by pkg-config and runs'
    built "$build/meson-uninstalled" "$build" ''
else
    skip 'programs compile by pkg-config' 'there is no pkg-config'
fi

# configure STATUS REQUEST: a project that asks CMake for the library
configure() {
    rm -rf "$tmp/project"
    mkdir "$tmp/project"
    cp "$tmp/program.c" "$tmp/project/"
    cat >"$tmp/project/CMakeLists.txt" <<PROJECT
cmake_minimum_required(VERSION 3.16)
project(program C)
find_package(cover $2 REQUIRED)
add_executable(program program.c)
target_link_libraries(program PRIVATE cover::cover)
PROJECT
    run "$1" cmake -S "$tmp/project" -B "$tmp/project/build" -DCMAKE_PREFIX_PATH="$(dirname "$(dirname "$command")")"
}
if command -v cmake >/dev/null; then
    it "a program compiles against the install by CMake's find_package and runs"
    configure 0 0.1
    run 0 cmake --build "$tmp/project/build"
    run 0 "$tmp/project/build/program"
    out '"version"'
    it 'CMake refuses a version that is not there'
    configure 1 99.0
else
    skip 'a program compiles by CMake' 'there is no cmake'
fi
finish
