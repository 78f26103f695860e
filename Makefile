# A thin front door: CMakeLists.txt and CMakePresets.json are the build. `make help` lists what can be made.
.DEFAULT_GOAL := all
.PHONY: all help demo test bench docs asan tsan fuzz clang format check-format check deps install package clean
SHELL := /bin/bash

JOBS ?= $(shell nproc 2>/dev/null || echo 2)
FUZZ_SECONDS ?= 60
PREFIX ?= /usr/local
CLANG_FORMAT ?= clang-format-14

# $(call build,PRESET): configure where that was not done yet, then build.
folder = build$(if $(filter-out release,$(1)),/$(1))
build = { [ -f $(call folder,$(1))/build.ninja ] || cmake --preset $(1) >/dev/null; } && \
	cmake --build --preset $(1) -j $(JOBS)

all: ## the program build/foretell and the library build/libforetell.so
	@packaging/deps.sh --check build
	@$(call build,release)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

deps: ## install the Debian packages that building and testing need
	@packaging/deps.sh build

demo: deps ## build, forecast the data in examples/, write CSV and pictures into demo/
	@$(call build,release)
	@examples/demo.sh build/foretell demo

test: deps ## build and run all tests
	@$(call build,release)
	@tests/run.sh build

asan: ## all tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@packaging/deps.sh build
	@$(call build,asan)
	@tests/run.sh build/asan

tsan: ## all tests under ThreadSanitizer
	@packaging/deps.sh build
	@$(call build,tsan)
	@tests/run.sh build/tsan

fuzz: ## every fuzzer for FUZZ_SECONDS=60
	@packaging/deps.sh build check
	@$(call build,fuzz)
	@tests/fuzz.sh build/fuzz $(FUZZ_SECONDS)

clang: ## build with clang 14, warnings being errors
	@packaging/deps.sh build check
	@$(call build,clang)

bench: all ## measure speed and memory, write docs/benchmarks.md (PROPHET_PYTHON=python with prophet: also the peer)
	@bench/run

docs: all ## run the commands of README.md anew: their output, their pictures
	@tools/readme.py --update build/foretell

format: ## lay out the C code
	@packaging/deps.sh check
	@git ls-files '*.c' '*.h' | xargs $(CLANG_FORMAT) -i

check-format: ## is the C code laid out as .clang-format says?
	@git ls-files '*.c' '*.h' | xargs $(CLANG_FORMAT) --dry-run -Werror

check: check-format ## format and include arrows
	@python3 tools/check_includes.py

install: all ## install under PREFIX=/usr/local (DESTDIR is honoured)
	@cmake --install build --prefix $(PREFIX)

package: all ## Debian packages into build/
	@cd build && cpack -G DEB

clean: ## remove all that was built
	@rm -rf build demo
