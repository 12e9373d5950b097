#!/bin/sh
# What `make deps` asks for, installs and refuses, on systems that are made of small scripts.
# Usage: test_deps.sh COVER JSON_VALUE SOURCE
. "$(dirname "$0")/../tools/lib.sh"
source=$3
python=$(python3 -c 'import sys; print(sys.executable)') || { skip 'make deps' 'there is no python3'; finish; exit 0; }

# A project of scripts/ alone, and a system that has the tools named here and nothing else.
mkdir -p "$tmp/project/.deps/onnxruntime" "$tmp/project/.deps/highdicom" "$tmp/bin" # which is there already
cp -r "$source/scripts" "$tmp/project/"
for tool in sh uname dirname cat grep printf cut rm mkdir mv chmod env; do ln -s "$(command -v $tool)" "$tmp/bin/$tool"; done
stub() { # stub NAME 'what it does': each call is noted, too
    printf '#!/bin/sh\necho "%s $*" >>"%s/calls"\n%s\n' "$1" "$tmp" "$2" >"$tmp/bin/$1"
    chmod +x "$tmp/bin/$1"
}
deps() { # deps STATUS ID-OF-THE-SYSTEM [--tests]
    : >"$tmp/calls"
    echo "ID=$2" >"$tmp/os-release"
    run "$1" env -i PATH="$tmp/bin" OS_RELEASE="$tmp/os-release" POLICY_RC_D="$tmp/policy-rc.d" sh "$tmp/project/scripts/deps.sh" ${3+"$3"}
}
called() { grep -Eq -e "$1" "$tmp/calls" || wrong "was not called: $1"; }
not_called() { if grep -Eq -e "$1" "$tmp/calls"; then wrong "was called: $1"; fi; }

# everything is there: a compiler that takes all it is given (oneDNN's header, too)
stub cc 'exit 0'
stub c++ ''
stub meson 'echo 1.2.3'
stub ninja ''
stub python3 'exec '"$python"' "$@"'
stub pkg-config 'exit 0'
stub id 'echo 0'
stub apt-get 'exit 0'
stub dpkg-query 'exit 1'

it 'a system that has everything is left alone, without a word'
deps 0 debian
no_out .
no_err .
not_called apt-get

it 'with --tests, what tests would be skipped without is installed, too'
for tool in mpicc mpirun fish groff script cmake clang-format-14 dciodvfy dcentvfy dcmdump dsrdump Orthanc curl; do stub $tool ''; done
deps 0 debian --tests
called '^apt-get .*install .* zsh$'
not_called 'fish'
err 'installing by apt-get: zsh'

it 'no service starts while packages are installed, and a rule of the machine stays'
stub apt-get 'case "$*" in *install*) sh "'"$tmp"'/policy-rc.d"; echo "services: $?" >>"'"$tmp"'/calls" ;; esac'
deps 0 debian --tests
called '^services: 101$'
holds test ! -e "$tmp/policy-rc.d"
echo 'exit 7' >"$tmp/policy-rc.d"
deps 0 debian --tests
called '^services: 7$'
holds test -e "$tmp/policy-rc.d"
rm "$tmp/policy-rc.d"
stub apt-get 'exit 0'
deps 0 debian --tests

it 'what tests need and cannot be had is named, and stops nothing'
err 'missing, so that tests of these will be skipped:'
err '^  zsh '
deps 0 fedora --tests
not_called apt-get
err '^  zsh '
stub apt-get 'exit 100'
deps 0 debian --tests
err 'could not install .*zsh'
stub apt-get 'exit 0'
deps 0 debian
no_err .
deps 2 debian --test
err 'usage'

it 'onnxruntime that cannot be had is said, and stops nothing'
rmdir "$tmp/project/.deps/onnxruntime"
stub python3 'case "$*" in *onnxruntime*) exit 1 ;; esac; exec '"$python"' "$@"'
deps 0 debian --tests
err 'onnxruntime could not be installed: tests that compare with it will be skipped'
mkdir "$tmp/project/.deps/onnxruntime"
stub python3 'exec '"$python"' "$@"'

it 'highdicom that cannot be had is said, and stops nothing'
rmdir "$tmp/project/.deps/highdicom"
stub python3 'case "$*" in *highdicom*) exit 1 ;; esac; exec '"$python"' "$@"'
deps 0 debian --tests
err 'highdicom could not be installed: tests that compare with it will be skipped'
mkdir "$tmp/project/.deps/highdicom"
stub python3 'exec '"$python"' "$@"'

it 'Debian gets just the packages that are missing, and is told'
stub pkg-config 'case $2 in libtiff-4 | check) exit 1 ;; esac'
deps 1 debian
called '^apt-get .*install .* libtiff-dev check$'
err 'installing by apt-get: libtiff-dev check'

it 'what is still missing after apt-get is named'
err '^  libtiff$'
err '^  Check'

it 'Ubuntu is served as Debian is, other systems are told what is missing'
deps 1 ubuntu
called 'apt-get .*install'
deps 1 fedora
not_called apt-get
err '^  libtiff$'
err 'package manager'

it 'without root and sudo the command to run is named'
stub id 'echo 1000'
deps 1 debian
err 'apt-get install .*libtiff-dev'
not_called apt-get

it 'an ordinary user goes through sudo'
stub sudo 'exec "$@"'
deps 1 debian
called '^sudo env .*apt-get .*install .*libtiff-dev'
holds test ! -e "$tmp/policy-rc.d"
rm "$tmp/bin/sudo"
stub id 'echo 0'
stub pkg-config 'exit 0'

it 'a Meson that is too old is named with its version'
stub meson 'echo 0.61.2'
deps 1 debian
err "Meson is 0\.61\.2"
stub meson 'echo 1.0.0'

it 'a failing apt-get stops with what to install by hand'
stub apt-get 'exit 100'
stub ninja ''
rm "$tmp/bin/ninja"
deps 1 debian
err 'could not install .*ninja-build'
stub ninja ''

if [ "$(uname -s)/$(uname -m)" = Linux/x86_64 ]; then
    # a compiler without oneDNN; pip answers as these stubs say
    stub cc 'case $(cat) in *dnnl*) exit 1 ;; esac'
    it 'without a network the message says what could not be had and how to do without'
    stub python3 'case "$*" in *version) exit 0 ;; *download*) exit 1 ;; esac; exec '"$python"' "$@"'
    deps 1 debian
    err 'could not be downloaded'
    err 'onednn=disabled'
    holds test ! -e "$tmp/project/.deps/onednn"

    it 'a wheel with another SHA-256 is refused and deleted'
    stub python3 'case "$*" in *version) exit 0 ;;
        *download*) for last; do :; done; echo junk >".deps/wheels/${last%%==*}-2023.2.0-py2.py3-none-manylinux1_x86_64.whl" ;;
        *) exec '"$python"' "$@" ;; esac'
    deps 1 debian
    err 'SHA-256'
    holds test ! -e "$tmp/project/.deps/onednn"
    holds test ! -e "$tmp/project/.deps/wheels/onednn_cpu_gomp-2023.2.0-py2.py3-none-manylinux1_x86_64.whl"
fi
finish
