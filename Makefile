# Targets for people. `make` builds build/sluice; every target installs what it needs (Debian
# packages, as root or through sudo) or prints the command that does.

BUILD ?= build
RUN_FLAGS ?=
BENCH_FLAGS ?=
FUZZ_SECONDS ?= 600
PREFIX ?= /usr/local

BUILD_NEEDS = cc:gcc meson ninja:ninja-build pkg-config:pkgconf libuv1-dev libssl-dev libsqlite3-dev
TEST_NEEDS = $(BUILD_NEEDS) libcmocka-dev clang libclang-rt-14-dev clang-format cppcheck \
	node:nodejs npm openssl python3 sqlite3 g++ groff:groff-base script:bsdutils
BENCH_NEEDS = $(BUILD_NEEDS) node:nodejs npm openssl sqlite3 strace taskset:util-linux setpriv:util-linux
LINT_NEEDS = $(BUILD_NEEDS) clang-format clang-tidy cppcheck python3

.PHONY: all run test bench bench-full demo fuzz lint format install clean

all:
	@tools/need $(BUILD_NEEDS)
	@[ -f $(BUILD)/build.ninja ] || meson setup $(BUILD)
	@ninja -C $(BUILD) sluice

run: all            ## build, then serve ./data on 127.0.0.1:8787
	$(BUILD)/sluice serve $(RUN_FLAGS)

test:               ## everything: unit, sanitizers, fuzz, wire, fault, real clients
	@tools/need $(TEST_NEEDS)
	@tests/run

bench:              ## a table of measurements, next to the reference backend and this machine's limits
	@tools/need $(BENCH_NEEDS)
	@bench/run $(BENCH_FLAGS)

bench-full:         ## the same with a log of ten million events
	@tools/need $(BENCH_NEEDS)
	@bench/run --full $(BENCH_FLAGS)

demo: all           ## a server and two real LiveStore clients that converge through it
	@tools/need node:nodejs npm
	@examples/demo

fuzz:               ## each fuzz target for FUZZ_SECONDS
	@tools/need $(TEST_NEEDS)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run

lint:               ## formatting, include directions, style, cppcheck, clang-tidy
	@tools/need $(LINT_NEEDS)
	@tools/lint

format:             ## clang-format in place
	@tools/need clang-format
	@git ls-files '*.c' '*.h' | xargs clang-format -i

install: all        ## into PREFIX, /usr/local by default
	@meson configure $(BUILD) --prefix $(PREFIX) >/dev/null
	@ninja -C $(BUILD) sluice libsluice >/dev/null
	@meson install -C $(BUILD) --no-rebuild

clean:
	rm -rf build build-asan build-tsan build-bench
