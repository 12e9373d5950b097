#!/bin/sh
# Brings what the build needs: on Debian and Ubuntu by apt-get, on other systems it names what is missing and stops.
# oneDNN comes as two wheels (pinned, checked by SHA-256) into .deps/onednn where the system has none that is new enough.
# With --tests also what `make check` would skip tests without; what of that cannot be had is named, and stops nothing.
# Silent when nothing is missing.  Called by `make demo`, and by `make deps` with --tests.
set -eu
cd "$(dirname "$0")/.."
case "$*" in
'') tests=no ;;
--tests) tests=yes ;;
*) echo "usage: deps.sh [--tests]" >&2; exit 2 ;;
esac

# Where to look for oneDNN; the same folder as the option onednn_root of meson_options.txt.
ONEDNN_ROOT=.deps/onednn
ONNXRUNTIME_ROOT=.deps/onnxruntime
HIGHDICOM_ROOT=.deps/highdicom
ANONYMIZER_ROOT=.deps/dicom_anonymizer
ONEDNN_VERSION=2023.2.0
ONEDNN_WHEELS="
onednn_cpu_gomp-$ONEDNN_VERSION-py2.py3-none-manylinux1_x86_64.whl=2f22a54d6a890ed14bfa185d42a4be65d8b5b1df85dc1f0f3a9abe31620416fb
onednn_devel_cpu_gomp-$ONEDNN_VERSION-py2.py3-none-manylinux1_x86_64.whl=9763c69e8c907e119056bd52ad918ca84ac9ba939d130a99dfa95ccca3e5e284"

say() { printf 'deps: %s\n' "$*" >&2; }
stop() { say "$*"; exit 1; }

# ---- checks: each asks for what the build uses, whoever installed it
have_command() { command -v "$1" >/dev/null 2>&1; }
apt_has() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }

# compiles TEXT: does the C compiler take it (and find its headers)?
compiles() { printf '%s\n' "$1" | ${CC:-cc} -x c -c -o /dev/null - >/dev/null 2>&1; }

# A library counts by its pkg-config file; where pkg-config itself is missing, by its package.
have_library() {
    if have_command pkg-config; then pkg-config --exists "$1"; else apt_has "$2"; fi
}

meson_version() { meson --version 2>/dev/null || echo none; }
have_meson() {
    case $(meson_version) in none | 0.*) return 1 ;; esac
}

# The first python3 that can download wheels; python_with_pip prints its name.
python_with_pip() {
    for python in python3 /usr/bin/python3; do
        if $python -m pip --version >/dev/null 2>&1; then
            echo "$python"
            return 0
        fi
    done
    return 1
}

# The wheels are for 64-bit x86 and glibc; elsewhere our own kernels do the work.
wheels_fit() { [ "$(uname -s)/$(uname -m)" = Linux/x86_64 ]; }
have_onednn() {
    [ -f "$ONEDNN_ROOT/version-$ONEDNN_VERSION" ] || ! wheels_fit || compiles '#include <oneapi/dnnl/dnnl.h>
        #if DNNL_VERSION_MAJOR != 3 || DNNL_VERSION_MINOR < 1 || DNNL_CPU_RUNTIME != DNNL_RUNTIME_OMP
        #error "another oneDNN"
        #endif'
}

# ---- what is needed: Debian's package | what it is | how to see that it is there
needed() {
    cat <<'TABLE'
gcc libc6-dev|a C compiler and the C library's headers|compiles "#include <stdio.h>"
g++|a C++ compiler (the border to oneDNN; tests: the emulator of CUDA)|have_command "${CXX:-c++}"
pkg-config|pkg-config|have_command pkg-config
meson|Meson 1.0 or newer|have_meson
ninja-build|Ninja|have_command ninja
python3|Python 3|have_command python3
python3-pip|pip for Python 3 (brings oneDNN)|have_onednn || python_with_pip
libpng-dev|libpng|have_library libpng libpng-dev
libjpeg-dev|libjpeg (libjpeg-turbo)|have_library libjpeg libjpeg-dev
libtiff-dev|libtiff|have_library libtiff-4 libtiff-dev
zlib1g-dev|zlib|have_library zlib zlib1g-dev
libhdf5-dev|HDF5|have_library hdf5 libhdf5-dev
libjansson-dev|Jansson|have_library jansson libjansson-dev
check|Check, the unit test framework|have_library check check
TABLE
}

# ---- what single tests need, and are skipped without
tested() {
    cat <<'TABLE'
libopenmpi-dev openmpi-bin|Open MPI (ranks by mpirun)|have_command mpicc && have_command mpirun
libopenjp2-7-dev|OpenJPEG (JPEG 2000 of DICOM)|have_library libopenjp2 libopenjp2-7-dev
zsh|zsh (its completion)|have_command zsh
fish|fish (its completion)|have_command fish
groff-base|groff (the man page)|have_command groff
clang-format-14|clang-format 14 (the layout of the sources)|have_command clang-format-14 || clang-format --version | grep -q ' version 14[.]'
bsdutils|script (progress on a terminal)|have_command script
cmake|CMake (find_package against an install)|have_command cmake
dicom3tools|dciodvfy and dcentvfy (DICOM objects that are written)|have_command dciodvfy && have_command dcentvfy
dcmtk|DCMTK (DICOM objects that are written)|have_command dcmdump && have_command dsrdump
orthanc orthanc-dicomweb curl|Orthanc, its DICOMweb and curl (the pipeline of a hospital)|have_command Orthanc && have_command curl
TABLE
}

# Prints column $2 of each row of the table $1 that is missing.
missing() {
    "$1" | while IFS='|' read -r package what check; do
        if ! eval "$check" >/dev/null 2>&1; then
            if [ "$2" = package ]; then printf '%s ' "$package"; else printf '  %s\n' "$what"; fi
        fi
    done
}

os_release=${OS_RELEASE:-/etc/os-release}
is_debian() {
    have_command apt-get && [ -r "$os_release" ] && (
        # shellcheck disable=SC1090
        . "$os_release"
        case " ${ID:-} ${ID_LIKE:-} " in *" debian "* | *" ubuntu "*) exit 0 ;; esac
        exit 1
    )
}

# While packages are installed no service of theirs starts, unless the machine has a rule of its own (deb-systemd-invoke asks this file).
POLICY=${POLICY_RC_D:-/usr/sbin/policy-rc.d}
forbidden=no
forbid_services() {
    [ ! -e "$POLICY" ] || return 0
    trap allow_services EXIT
    # shellcheck disable=SC2016 # $0 is that of the inner sh
    if $root sh -c 'printf "#!/bin/sh\nexit 101\n" >"$0" && chmod 755 "$0"' "$POLICY"; then forbidden=yes; fi
}
allow_services() {
    if [ "$forbidden" = yes ]; then $root rm -f "$POLICY"; fi
    forbidden=no
}

# install_packages PACKAGES: says why when it fails
install_packages() {
    packages=$1
    root=
    if [ "$(id -u)" != 0 ]; then
        have_command sudo || { say "needs root to install: run  apt-get install $packages"; return 1; }
        root=sudo
    fi
    say "installing by apt-get: $packages"
    $root apt-get -qq update || say "apt-get update failed; trying with the package lists that are here"
    forbid_services
    installed=yes
    # shellcheck disable=SC2086 # words on purpose
    $root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends $packages >&2 || installed=no
    allow_services
    [ $installed = yes ] || {
        say "apt-get could not install them (no network?); install by hand and run 'make deps' again: $packages"
        return 1
    }
}

# ---- oneDNN: download beside the target, check, unpack, and only then move into place
fetch_onednn() {
    python=$(python_with_pip) || stop "no python3 with pip was found, which brings oneDNN"
    wheels=.deps/wheels
    mkdir -p "$wheels"
    for entry in $ONEDNN_WHEELS; do
        file=${entry%%=*}
        [ -f "$wheels/$file" ] && continue
        name=${file%%-*}
        say "downloading $name $ONEDNN_VERSION into $wheels"
        $python -m pip --quiet --disable-pip-version-check download --no-deps --only-binary=:all: --no-cache-dir \
            --dest "$wheels" "$name==$ONEDNN_VERSION" ||
            stop "$name $ONEDNN_VERSION could not be downloaded (no network, or no package index within reach); put" \
                "$file into $wheels by hand, or build without oneDNN:  make MESON_FLAGS=-Donednn=disabled"
    done
    rm -rf "$ONEDNN_ROOT.new"
    # shellcheck disable=SC2086
    $python scripts/unpack_wheels.py "$wheels" "$ONEDNN_ROOT.new" $ONEDNN_WHEELS ||
        stop "oneDNN could not be unpacked; nothing was changed"
    : >"$ONEDNN_ROOT.new/version-$ONEDNN_VERSION"
    rm -rf "$ONEDNN_ROOT"
    mv "$ONEDNN_ROOT.new" "$ONEDNN_ROOT"
    rm -rf "$wheels"
    say "oneDNN is in $ONEDNN_ROOT"
}

# ---- onnxruntime, which reads the networks that are exported: for tests, so what is not to be had is no failure
fetch_onnxruntime() {
    python=$(python_with_pip) || return 1
    say "installing onnxruntime and NumPy into $ONNXRUNTIME_ROOT, for tests"
    rm -rf "$ONNXRUNTIME_ROOT.new"
    $python -m pip --quiet --disable-pip-version-check install --only-binary=:all: --no-cache-dir --target "$ONNXRUNTIME_ROOT.new" \
        onnxruntime numpy >&2 || return 1
    mv "$ONNXRUNTIME_ROOT.new" "$ONNXRUNTIME_ROOT"
}

# ---- highdicom, which reads the DICOM objects that are written: for tests, too
fetch_highdicom() {
    python=$(python_with_pip) || return 1
    say "installing highdicom and what it needs into $HIGHDICOM_ROOT, for tests"
    rm -rf "$HIGHDICOM_ROOT.new"
    $python -m pip --quiet --disable-pip-version-check install --only-binary=:all: --no-cache-dir --target "$HIGHDICOM_ROOT.new" \
        highdicom >&2 || return 1
    mv "$HIGHDICOM_ROOT.new" "$HIGHDICOM_ROOT"
}

# ---- dicom-anonymizer, whose table of PS3.15 ours is compared with
fetch_anonymizer() {
    python=$(python_with_pip) || return 1
    say "installing dicom-anonymizer into $ANONYMIZER_ROOT, for tests"
    rm -rf "$ANONYMIZER_ROOT.new"
    $python -m pip --quiet --disable-pip-version-check install --no-deps --only-binary=:all: --no-cache-dir --target "$ANONYMIZER_ROOT.new" \
        'dicom-anonymizer>=2.1' >&2 || return 1
    mv "$ANONYMIZER_ROOT.new" "$ANONYMIZER_ROOT"
}

packages=$(missing needed package)
if [ -n "$packages" ]; then
    if is_debian; then
        install_packages "$packages" || exit 1
    fi
    if [ -n "$(missing needed what)" ]; then
        say "missing:"
        missing needed what >&2
        case $(meson_version) in 0.*) say "this system's Meson is $(meson_version): get a newer one, for example by pipx" ;; esac
        stop "install these with your system's package manager, then run 'make deps' again"
    fi
fi
have_onednn || fetch_onednn

if [ "$tests" = yes ]; then
    [ -d "$ONNXRUNTIME_ROOT" ] || python3 -c 'import numpy, onnxruntime' 2>/dev/null || fetch_onnxruntime ||
        say "onnxruntime could not be installed: tests that compare with it will be skipped"
    [ -d "$HIGHDICOM_ROOT" ] || python3 -c 'import highdicom' 2>/dev/null || fetch_highdicom ||
        say "highdicom could not be installed: tests that compare with it will be skipped"
    [ -d "$ANONYMIZER_ROOT" ] || fetch_anonymizer ||
        say "dicom-anonymizer could not be installed: tests that compare with it will be skipped"
    packages=$(missing tested package)
    if [ -n "$packages" ]; then
        if is_debian && install_packages "$packages"; then
            mkdir -p .deps && : >.deps/tests # what Meson looked for may be there now
        fi
        if [ -n "$(missing tested what)" ]; then
            say "missing, so that tests of these will be skipped:"
            missing tested what >&2
        fi
    fi
fi
