# The project's commands. Everything is installed into .venv, once, and again when pyproject.toml or
# constraints.txt changes. `make PYTHON=python3.12 test` picks another interpreter for it.
# PROCESSES share the tests: `make PROCESSES=0 test` runs them one after the other, as a debugger needs.

PYTHON ?= python3
PROCESSES ?= 2
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed
PIP := $(BIN)/python -m pip install --constraint constraints.txt
# the longest tests come first by name, so that no process waits long for the other one at the end
PYTEST := -m pytest --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help quickstart test test-fast coverage check docs clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

quickstart: $(RUNTIME) ## install, then search a tiny model from start to end, without any download
	$(BIN)/layer-search quickstart

test: $(DEV) ## run all tests; TESTS=... runs some of them
	$(BIN)/python $(PYTEST) $(TESTS)

coverage: $(DEV) ## run all tests, at half the speed, and print how much of the code they cover
	$(BIN)/coverage erase
	$(BIN)/coverage run $(PYTEST)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

test-fast: $(DEV) ## run the tests that take no more than half a second each, on SQLite and without models
	$(BIN)/python $(PYTEST) -m 'not slow' --ignore tests/evaluators

check: $(DEV) ## lint, formatting, types, and who may import whom
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(DEV) ## write the generated pages and pictures of the documentation anew
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/draw_architecture.py
	$(BIN)/python docs/draw_depths.py

clean: ## remove the environment, caches, builds and the quickstart's folder; stores are kept
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage* \
	  dist layer-search-quickstart
	find search evaluators storage tests benchmarks docs -name __pycache__ -type d -prune \
	  -exec rm -rf {} +

$(RUNTIME): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed: try make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install 'pip>=25.1' # the first that knows dependency groups
	$(PIP) --editable .
	touch $@

$(DEV): $(RUNTIME)
	$(PIP) --group dev
	touch $@
