# `make` alone lists what there is. Everything runs from .venv, which is built once and anew when its lock changes.

LOCK := requirements/$(shell nvidia-smi -L >/dev/null 2>&1 && echo cuda || echo cpu).txt
PYTHON ?= python3.11
BIN := .venv/bin
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
# Engines take two threads and 2 GB each: more than four at once are no faster. `JOBS=0` runs all in one process.
JOBS ?= $(shell n=$$(nproc); echo $$((n > 4 ? 4 : n)))
# Where it is set, each of some hundred processes compiles the same sources anew.
unexport PYTHONDONTWRITEBYTECODE
PARALLEL = -n $(JOBS) --dist loadgroup --no-loadscope-reorder

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# The stamp's name holds the lock's digest: another lock, or an edited one, is another stamp, so the environment is rebuilt.
STAMP := .venv/$(notdir $(LOCK))-$(shell cat $(LOCK) pyproject.toml | sha256sum | cut -c1-12)

$(STAMP):
	@echo "installing $(LOCK) into .venv (about 3 minutes, 5 GB)"
	@rm -rf .venv
	@$(or $(shell command -v $(PYTHON)),python3) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check hatchling==1.28.0 editables==0.5
	@# --no-deps: the lock is the whole list, and some packages ask for builds that must not come along (see the overrides)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r $(LOCK)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@# The general index has torch for CUDA, which without CUDA's own packages does not even import; PyTorch's has one for CPUs.
	@$(BIN)/python -c "import torch" 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  --force-reinstall --index-url $(TORCH_INDEX) $$(grep '^torch==' $(LOCK))
	@touch $@

setup: $(STAMP)  ## install the pinned packages into .venv

run: setup  ## run the tiny recipe through all six stages
	@$(BIN)/synclr run tiny

test: setup tools  ## test every law and every real part once: engines, a whole run, Prefect's server and pages (10 minutes)
	@$(BIN)/python -m pytest $(PARALLEL) -m "not long"

test-all: setup tools  ## the long ones too: every model family, kills and restarts, schedules, start commands (30 minutes)
	@$(BIN)/python -m pytest $(PARALLEL)

tools:  ## install Debian's Chromium and PostgreSQL, which the tests of Prefect's pages use, where they are missing
	@command -v chromium >/dev/null && ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || { \
	  root=$$([ "$$(id -u)" = 0 ] || echo "sudo -n"); \
	  $$root apt-get update -qq && $$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    chromium postgresql >/dev/null; } \
	  || echo "Chromium or PostgreSQL could not be installed: the tests that need them will say so and be skipped"

fast: setup  ## run the tests that start no engine
	@$(BIN)/python -m pytest $(PARALLEL) -m "not slow and not long"

check: setup  ## lint, format and types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

bench: setup  ## measure what this machine does against the bare engines
	@$(BIN)/python -m benchmarks

ui: setup  ## open the Prefect UI on loopback
	@$(BIN)/synclr ui

lock:  ## resolve requirements/*.txt anew (needs uv)
	uv pip compile pyproject.toml --extra cpu --extra kubernetes --extra dev --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
	  --override requirements/overrides.txt --override requirements/cpu-overrides.txt --no-header --no-annotate \
	  --quiet --output-file requirements/cpu.txt
	uv pip compile pyproject.toml --extra cuda --extra kubernetes --extra dev --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
	  --override requirements/overrides.txt --no-header --no-annotate --quiet --output-file requirements/cuda.txt

clean:  ## remove .venv and caches; workspace/ with your runs stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache

.PHONY: help setup run test test-all tools fast check bench ui lock clean
.DEFAULT_GOAL := help
