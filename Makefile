# `make help` says what there is to do. Everything happens in the active venv, or in .venv, which make
# creates if none is active. Each venv has a build directory of its own, so that a second build takes
# seconds, and interpreters do not disturb each other.

PYTHON ?= python3
VENV ?= $(or $(VIRTUAL_ENV),.venv)
export PATH := $(abspath $(VENV))/bin:$(PATH)

PIP = python -m pip --disable-pip-version-check -qq install
INSTALL = $(PIP) --no-build-isolation $(SETUP) \
  --config-settings=build-dir=$(abspath $(VENV))/zcloop.build
SOURCES := meson.build pyproject.toml $(shell find zcloop _native \
  -name '*.py' -o -name '*.py[ix]' -o -name '*.pxd' -o -name '*.h' \
  -o -name '*.build')
# The dotted names of the native modules that have a stub, and of the modules and packages of zcloop/.
# stubtest looks into a package by itself.
TYPED = $(shell { find _native -name '*.pyi' | sed 's|^|zcloop/|'; \
  ls zcloop/[a-z]*.py zcloop/[a-z]*/__init__.py | grep -v '/doctor/'; } \
  | sed 's|\.pyi*$$||; s|/__init__$$||; s|/|.|g')
# For each version the first interpreter that runs. (make drops the output of a command whose status
# is 127, so the status has to be that of `true`.)
PYTHONS ?= $(shell for v in 3.11 3.12 3.13 3.14 3.15; do \
  for p in python$$v ~/.pyenv/versions/$$v.*/bin/python$$v; do \
  $$p -c '' 2>/dev/null && { echo $$p; break; }; done; done; true)
DEBIAN_PYTHONS ?= 3.14 3.15
SANITIZED ?= tests/unit tests/conformance tests/stress/test_leases.py tests/stress/test_collector.py
SANITIZE = b_sanitize=address,undefined b_lundef=false buildtype=debugoptimized

REFUSED = $(abspath $(VENV))/bin/python tests/refuse_uring.py --errno EPERM --

.PHONY: help build demo test refused check docs debug-test sanitize sanitized bench bench-aims \
  bench-zero-copy conformance conformance-debian suites stress collector kernels wheel \
  wheel-aarch64 headers clean

# Tests run without python-liburing, as most programs do; their venv has it where it can be had.
test refused debug-test sanitized stress: export ZCLOOP_LIBURING ?= direct

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

build: $(VENV)/zcloop.built  ## compile, and install with what tests need (1 minute at first)

demo: $(VENV)/zcloop.bench  ## one HTTP server on three loops, every answer checked (15 seconds)
	@python -m bench.demo

test: $(VENV)/zcloop.tests  ## the whole suite, CPython's own asyncio tests included
	pytest

# EPERM is what containers answer. The tests of conformance run by `make conformance`.
refused: $(VENV)/zcloop.tests  ## the suite and conformance where io_uring is refused: on epoll
	$(REFUSED) pytest tests/unit tests/fault tests/property tests/examples tests/integration
	$(MAKE) conformance LAUNCH='$(REFUSED)'

check: $(VENV)/zcloop.check  ## formatting, lint, types, stubs against modules, layers
	ruff format --check
	ruff check
	cython-lint _native
	@rm -rf build/types && mkdir -p build/types/zcloop
	@ln -s $(CURDIR)/zcloop/* $(CURDIR)/_native build/types/zcloop
	mypy
	@echo stubtest
	@MYPYPATH=build/types python -P -m mypy.stubtest \
	  --allowlist tests/architecture/stubtest.txt $(TYPED)
	pytest -q tests/architecture

docs: $(VENV)/zcloop.docs  ## the documentation as a site; build/docs/index.html (20 seconds)
	python -P -m sphinx -W --keep-going -q -b html -d build/docs.cache docs build/docs

debug-test: $(VENV)/zcloop.tests  ## the suite with Python's checks of memory, loops and warnings
	PYTHONMALLOC=debug python -P -X dev -W error -m pytest

sanitize:  ## unit tests and CPython's own with ASan and UBSan, in a venv and build of their own
	$(MAKE) VENV=build/sanitize SETUP='$(SANITIZE:%=--config-settings=setup-args=-D%)' sanitized

# Leak detection is off, since Python keeps memory to its end. Failed allocations are MemoryErrors.
# pytest captures the descriptors that a sanitizer writes to, so tests run with -s.
sanitized: $(VENV)/zcloop.tests
	@export ASAN_OPTIONS=detect_leaks=0:handle_segv=0:allocator_may_return_null=1 \
	  UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
	  PYTHONMALLOC=malloc ZCLOOP_LEASES=10000000 \
	  LD_PRELOAD="$$(cc -print-file-name=libasan.so) $$(cc -print-file-name=libubsan.so)"; \
	pytest -s $(SANITIZED)

bench: $(VENV)/zcloop.bench  ## measure against uvloop; bench/README.md says how to ask for more
	python -m bench

bench-zero-copy: $(VENV)/zcloop.bench  ## ZeroCopyProtocol against uvloop; build/zero-copy.md (12 min)
	python -m bench zero-copy --loop zcloop/zero-copy --seconds 1 --windows 4 \
	  --against uvloop,uvloop/buffered,zcloop --markdown build/zero-copy.md

bench-aims: $(VENV)/zcloop.bench  ## every promise against uvloop and C; build/aims.md (35 min)
	python -m bench aims --against uvloop,c-uring --rounds 3 --seconds 1 --windows 4 --with-fresh \
	  --json build/aims.json --markdown build/aims.md

conformance:  ## CPython's own asyncio tests on each of Python 3.11 to 3.15 that is there
	@[ -n '$(PYTHONS)' ] || { echo 'no Python that runs: make PYTHONS=...'; exit 1; }
	@status=0; for python in $(PYTHONS); do name=$${python##*/}; \
	  venv=build/$$name; [ ! -e $(VENV)/bin/$$name ] || venv=$(VENV); \
	  $(MAKE) VENV=$$venv PYTHON=$$python build || exit 1; \
	  $(LAUNCH) $$venv/bin/python tests/conformance/run.py || status=1; done; exit $$status

wheel:  ## a wheel as released, audited, proved in an empty venv; build/wheel/dist (needs PyPI)
	$(PYTHON) tests/packaging/wheel.py build/wheel

wheel-aarch64:  ## the same for aarch64: cross-compiled, run by qemu-user (needs Debian and PyPI)
	$(PYTHON) tests/packaging/aarch64.py build/aarch64

headers: $(VENV)/zcloop.built  ## whether it compiles with headers of other kernels, and musl's
	python tests/packaging/headers.py build/headers $(VENV)/zcloop.build

conformance-debian:  ## Python 3.14 and 3.15 of Debian: conformance, unit tests (root; half an hour)
	DEBIAN_PYTHONS='$(DEBIAN_PYTHONS)' nice tests/conformance/debian.sh

suites:  ## the tests of anyio and aiohttp, on asyncio and on zcloop (half an hour; needs PyPI)
	$(MAKE) VENV=build/suites/venv build
	build/suites/venv/bin/python -m pip --disable-pip-version-check -qq install \
	  -r tests/suites/requirements.txt
	build/suites/venv/bin/python tests/suites/run.py

stress: $(VENV)/zcloop.tests  ## seeded load, for minutes
	ZCLOOP_WAKEUPS=1000000 pytest tests/stress

collector:  ## finalizers at every allocation, under ASan, for 30 minutes on Python 3.11
	ZCLOOP_COLLECTOR_SECONDS=20 ZCLOOP_COLLECTOR_SEEDS=60 \
	  $(MAKE) PYTHON=python3.11 SANITIZED=tests/stress/test_collector.py sanitize

kernels: $(VENV)/zcloop.tests  ## unit and fault tests under Debian's kernels (root; an hour each)
	python tests/kernels/run.py $(if $(KERNELS),--kernels $(KERNELS)) $(TESTS)

clean:  ## remove what was made here, .venv included
	rm -rf build .venv $(VENV)/zcloop.*
	find . -name __pycache__ -o -name '.*_cache' -o -name .hypothesis | xargs rm -rf

# ---- the venv: what is in it, as files whose dates make can compare ------------------------------

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'Python 3.11 or newer is needed: apt-get install python3, or make PYTHON=...'; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo 'no module venv: apt-get install python3-venv'; exit 1; }
	@$(PIP) --upgrade pip

$(VENV)/zcloop.built: $(SOURCES) | $(VENV)/bin/python
	@echo 'building zcloop in $(VENV)'
	@python -c 'import tomllib; \
	  print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
	  | $(PIP) -r /dev/stdin
	@$(INSTALL) '.[test]'
	@$(PIP) --only-binary=:all: liburing \
	  || echo 'no liburing for this Python: what needs it is skipped'
	@touch $@

$(VENV)/zcloop.tests: $(VENV)/zcloop.built tests/integration/requirements.txt
	@$(PIP) -r tests/integration/requirements.txt
	@touch $@

$(VENV)/zcloop.check: $(VENV)/zcloop.built
	@$(INSTALL) '.[check]'
	@touch $@

$(VENV)/zcloop.docs: $(VENV)/zcloop.built
	@$(INSTALL) '.[docs]'
	@touch $@

$(VENV)/zcloop.bench: $(VENV)/zcloop.built
	@$(INSTALL) '.[bench]' || echo 'no uvloop to compare with: it cannot be installed here'
	@touch $@
