# A thin front of Meson: each target is one or two commands that work alone, too.
#   make            release build into build/ (cover and golden_check at its top)
#   make demo       from a fresh machine to a pretrained network and its report, in a few minutes
#   make bench      what this machine does, into bench/results/
#   make check-gpu  everything of the CUDA module on this machine's GPU, and a report in bench/results/
#   make deps       installs what the build and the tests need
#   make check-quick  the tests that are over in seconds
#   make format     lays out the sources as .clang-format says
#   make check-faults  failing calls, refused memory, kills and a soak over the whole command; FAULT_FLAGS="--every 50" for a slice
#   make fuzz       a million changed inputs for each parser (clang); FUZZ_RUNS=10000 for a slice
#   make coverage   which lines and branches the tests reach (gcov)
#   make check      every test, and build/test-report.md; the last line is "N passed, N failed, N skipped"
MESON ?= meson
PYTHON ?= python3
PREFIX ?= /usr/local
# more for `meson setup`, for example MESON_FLAGS=-Donednn=disabled
MESON_FLAGS ?=
TEST_FLAGS ?=

.PHONY: all demo check check-quick check-faults check-gpu fuzz coverage install bench bench-compare deps format asan tsan clean

all: build/build.ninja
	@ninja -C build

# oneDNN from a wheel and Open MPI are found when Meson configures: look again when `make deps` has brought them.
build/build.ninja: $(wildcard .deps/onednn .deps/tests)
	@command -v $(MESON) >/dev/null && command -v ninja >/dev/null || \
	    { echo "meson or ninja is missing: run 'make deps', which says what it installs" >&2; exit 1; }
	@if [ -f $@ ]; then $(MESON) setup --reconfigure build $(MESON_FLAGS); else $(MESON) setup build $(MESON_FLAGS); fi
	@touch $@

deps:
	@sh scripts/deps.sh --tests

format:
	@sh scripts/format.sh

check: all
	@rm -f build/meson-logs/testlog.json
	@$(MESON) test -C build --no-rebuild --print-errorlogs $(TEST_FLAGS) || true
	@$(PYTHON) tests/summary.py build

# The inner loop, under 20 seconds on two processors: all tests but those of the suite slow.
check-quick: all
	@rm -f build/meson-logs/testlog.json
	@$(MESON) test -C build --no-rebuild --print-errorlogs --no-suite slow $(TEST_FLAGS) || true
	@$(PYTHON) tests/summary.py build

FAULT_FLAGS ?=
check-faults: all
	@ninja -C build tests/faults/cycle tests/faults/libfault.so tests/faults/libshort_memory.so
	@$(PYTHON) tests/faults/all.py build --report build/faults.md $(FAULT_FLAGS)

# A finding is left in build-fuzz/findings.  AddressSanitizer and UndefinedBehaviorSanitizer watch.
FUZZ_RUNS ?= 1000000
fuzz:
	@[ -f build-fuzz/build.ninja ] || CC=clang CXX=clang++ $(MESON) setup build-fuzz -Dfuzz=true -Dbuildtype=debugoptimized \
	    -Db_sanitize=address,undefined -Db_lundef=false -Donednn=disabled -Dcuda=disabled -Dmpi=disabled $(MESON_FLAGS)
	@sh tests/fuzz/run.sh build-fuzz $(FUZZ_RUNS)

coverage:
	@[ -f build-coverage/build.ninja ] || $(MESON) setup build-coverage -Ddebug=true -Doptimization=1 -Dwerror=false \
	    -Db_coverage=true -Dcuda=disabled $(MESON_FLAGS)
	@ninja -C build-coverage
	@$(MESON) test -C build-coverage --no-rebuild $(TEST_FLAGS) >build-coverage/tests.log || true
	@$(PYTHON) scripts/coverage.py build-coverage

# On a machine with a GPU; CHECK_FLAGS="--parts test,golden" runs some parts alone.
check-gpu: all
	@$(PYTHON) scripts/check_gpu.py $(CHECK_FLAGS) build bench/results

install: all
	@$(MESON) configure build -Dprefix=$(abspath $(PREFIX))
	@$(MESON) install -C build

# PYTHON: with PyTorch, the same work there beside ours.
bench: all
	@PYTHON="$(PYTHON)" sh bench/run.sh build bench/results

# Instructions of this build against another's: make bench-compare BASE=../before/build
bench-compare: all
	@[ -n "$(BASE)" ] || { echo "make bench-compare BASE=FOLDER: a build to compare with" >&2; exit 2; }
	@sh bench/instructions.sh "$(BASE)" build

# Sanitizers, each in its own folder.  OpenMP's runtime is reported falsely by tsan, so that build leaves oneDNN out.
asan:
	@[ -f build-asan/build.ninja ] || $(MESON) setup build-asan -Dbuildtype=debugoptimized \
	    -Db_sanitize=address,undefined -Db_lundef=false $(MESON_FLAGS)
	@ninja -C build-asan
	@rm -f build-asan/meson-logs/testlog.json
	@$(MESON) test -C build-asan --no-rebuild --print-errorlogs --timeout-multiplier 6 $(TEST_FLAGS) || true
	@$(PYTHON) tests/summary.py build-asan

tsan:
	@[ -f build-tsan/build.ninja ] || $(MESON) setup build-tsan -Dbuildtype=debugoptimized \
	    -Db_sanitize=thread -Db_lundef=false -Donednn=disabled $(MESON_FLAGS)
	@ninja -C build-tsan
	@rm -f build-tsan/meson-logs/testlog.json
	@TSAN_OPTIONS="die_after_fork=0 $$TSAN_OPTIONS" $(MESON) test -C build-tsan --no-rebuild --print-errorlogs --timeout-multiplier 10 $(TEST_FLAGS) || true
	@$(PYTHON) tests/summary.py build-tsan

# An interrupted demo goes on where it stopped; a finished one starts anew.  It needs the command alone.
demo:
	@sh scripts/deps.sh
	@$(MAKE) --no-print-directory build/build.ninja
	@ninja -C build cover
	@$(MAKE) --no-print-directory demo.h5
	@[ ! -f demo-run/weights.safetensors ] || rm -r demo-run
	@build/cover pretrain demo.h5 -o demo-run --preset demo --resume

demo.h5: $(wildcard examples/data/images/*.png)
	@build/cover pack examples/data/images -o $@

clean:
	@rm -rf build build-asan build-tsan build-fuzz build-coverage demo.h5 demo-run
