# The targets that people and CI call. Everything that a target needs, it makes.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell scripts/find-python.sh)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TESTS ?= tests
WORKERS ?= 2
PYTEST := $(BIN)/pytest

.PHONY: help install system demo test test-slow test-faults test-unit test-examples test-pgstac test-butler test-slurm test-dachs test-compose test-helm bench lint docs format clean

help:  ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

system:  ## Install the Debian packages that the lake needs (root or sudo)
	@scripts/system-packages.sh

install: $(INSTALLED)  ## Make .venv with the command stac-rucio-sync in it

$(INSTALLED): pyproject.toml
	@scripts/system-packages.sh python
	@echo "making the environment $(VENV) (a minute the first time)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: system install  ## A lake, 200 items, sync, a rule, queries: the whole road on this machine
	@$(BIN)/python -m stac_rucio_sync.demo

test: system install  ## All tests, on real servers, in under 10 minutes
	@scripts/system-packages.sh clients
	@$(PYTEST) -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not slow and not faults" $(TESTS)

test-slow: system install  ## The tests that `make test` leaves out
	@$(PYTEST) -m slow $(TESTS)

test-faults: system install  ## Kill, restart, refuse, hang, fill up: a sync or an upload ends in the same state (under 25 minutes)
	@$(PYTEST) -s --durations=0 tests/faults tests/e2e/test_killed_sync.py tests/e2e/test_killed_upload.py

test-unit: install  ## Only the pure tests, in seconds
	@$(PYTEST) -m "not slow" tests/unit

test-examples: install  ## The tests that make up their examples, 20 times with others (5 minutes)
	@for round in {1..20}; do $(PYTEST) -q -m "hypothesis and not slow" --hypothesis-profile exploring tests/unit tests/catalog || exit; done

test-pgstac: system install  ## Opt-in: sources on a real pgstac server (installs PostGIS)
	@scripts/system-packages.sh pgstac
	@STAC_RUCIO_SYNC_PGSTAC=1 $(PYTEST) tests/pgstac

test-butler: system install  ## Opt-in: a real Data Butler takes what an upload leaves (400 MB of packages)
	@STAC_RUCIO_SYNC_BUTLER=1 $(PYTEST) tests/butler

test-dachs: system install  ## Opt-in: the same tables behind a real DaCHS and the CDS's ADQL library (installs them)
	@scripts/system-packages.sh dachs
	@STAC_RUCIO_SYNC_DACHS=1 $(PYTEST) tests/dachs

test-slurm: system install  ## Opt-in: workers in the jobs of a real SLURM (installs it)
	@scripts/system-packages.sh slurm
	@STAC_RUCIO_SYNC_SLURM=1 $(PYTEST) tests/slurm

test-compose: install  ## Opt-in: build the images, run a node of containers (needs a Docker daemon)
	@STAC_RUCIO_SYNC_COMPOSE=1 $(PYTEST) tests/compose

test-helm: install  ## Opt-in: lint and render the chart by Helm's own code (250 MB of packages)
	@STAC_RUCIO_SYNC_HELM=1 $(PYTEST) tests/helm

bench: system install  ## Speed, as ratios against the bare operations in one run
	@$(BIN)/python -m benchmarks

lint: install  ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

docs: install  ## The documentation as a site in build/docs; any warning is an error
	@$(BIN)/mkdocs build --quiet --strict

format: install  ## Put the code into the one format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:  ## Remove what make made in this checkout (a lake's data stay: stac-rucio-sync lake reset)
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis dist build
