# Every target sets up what it needs in .venv by itself; a second run is quick.
# Another Python than the first one found: make test PYTHON=/path/to/python3.12

VENV := .venv
BIN := $(VENV)/bin
OUT ?= runs/demo
PYTEST_ARGS ?=
MUTANTS_ARGS ?=
JOBS ?= 2

PYTHONS := python3.13 python3.12 python3.11 python3 python
PYTHON ?=
# The command must run (a shim may be there without its Python), be new enough, and bring venv and pip.
USABLE := 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'

export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export NO_MKDOCS_2_WARNING := 1

.PHONY: help demo test test-slow bench mutants house check lint types docs format clean
.DEFAULT_GOAL := help

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.* ## /\1\t/p' Makefile | expand -t 12

demo: $(VENV)/.experiments ## train lifted and by back-propagation, write a report (OUT=runs/demo)
	@$(BIN)/liftax reproduce demo --out $(OUT)

test: $(VENV)/.test ## the tests, without the slow ones (JOBS=2 PYTEST_ARGS="-k prox")
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal $(PYTEST_ARGS)

test-slow: $(VENV)/.test ## the slow tests, some of them timings: one at a time
	@$(BIN)/python -m pytest -q -m slow $(PYTEST_ARGS)

BENCH ?= runs/bench
bench: $(VENV)/.experiments ## the quick benchmarks, side by side with peers, less than ten minutes (BENCH=runs/bench)
	@$(BIN)/python benchmarks/inference.py $(BENCH)/inference.json --rounds 5
	@$(BIN)/python benchmarks/step_cost.py $(BENCH)/step_cost.json --rounds 5
	@$(BIN)/python benchmarks/limits.py $(BENCH)/limits.json --rounds 3
	@$(BIN)/python benchmarks/depth.py $(BENCH)/depth.json --rounds 3 --blocks 4 16 --layers 8 64 --widths 64
	@$(BIN)/python benchmarks/products.py $(BENCH)/products.json --rounds 3 --seeds 1
	@$(BIN)/python benchmarks/pdhg.py $(BENCH)/pdhg.json --rounds 3

mutants: $(VENV)/.test ## mistakes put into a copy of the code, one at a time: the tests must catch each (JOBS=2)
	@$(BIN)/python tests/mutants.py --jobs $(JOBS) $(MUTANTS_ARGS)

house: $(VENV)/.test ## the house rules only
	@$(BIN)/python -m pytest -q tests/house $(PYTEST_ARGS)

check: lint types test docs ## everything: format, lint, types, house rules, tests, docs

lint: $(VENV)/.dev ## format and lint, nothing changed
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --check .; exit 1; }
	@$(BIN)/ruff check --quiet .

types: $(VENV)/.dev ## types of src and tests
	@$(BIN)/pyright --pythonpath $(BIN)/python

docs: $(VENV)/.docs ## the documentation, into site/
	@$(BIN)/mkdocs build --strict --quiet

format: $(VENV)/.dev ## format, and mend what ruff can
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

clean: ## remove the environment, caches and builds; keep runs/
	rm -rf $(VENV) build dist site .pytest_cache .ruff_cache
	find src tests -name __pycache__ -prune -exec rm -rf {} +

# One stamp for each extra of pyproject.toml: the extra is installed, at the pinned versions.
$(VENV)/.%: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing liftax[$*] into $(VENV)"
	@$(BIN)/python -m pip install -qq -e '.[$*]'
	@touch $@

$(BIN)/python:
	@for python in $(or $(PYTHON),$(PYTHONS)); do \
	    if "$$python" -c $(USABLE) 2>/dev/null; then \
	        echo "Creating $(VENV) with $$("$$python" --version)"; \
	        exec "$$python" -m venv $(VENV); \
	    fi; \
	done; \
	echo "No Python 3.11 or newer with venv and pip among: $(or $(PYTHON),$(PYTHONS)). Install one, or name it: make PYTHON=/path/to/python3" >&2; \
	exit 1
