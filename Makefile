# Two commands do all of their own set-up: `make conformance` measures, `make test` tests.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The backends that a development machine has: a run without one of them fails, it does not skip.
BACKENDS := numpy torch:cpu jax dask array-api-strict

comma := ,
empty :=
space := $(empty) $(empty)

.PHONY: help conformance conventions test lint bench bench-full clean

help:  ## Show the commands.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/'

conformance: $(VENV)/installed  ## Measure xbce and its peers; write conformance-report/report.html.
	$(BIN)/xbce-conformance run $(addprefix --require ,$(BACKENDS)) $(ARGS)

test: lint  ## Lint, type-check and test.
	XBCE_REQUIRED_BACKENDS=$(subst $(space),$(comma),$(BACKENDS)) $(BIN)/python -m pytest -n 2 $(ARGS)

conventions: $(VENV)/installed  ## Compare the conventions with the real systems; write the table in docs/conventions.md.
	XBCE_CONVENTIONS_TABLE=1 $(BIN)/python -m pytest -n 2 tests/conventions $(ARGS)

lint: $(VENV)/installed  ## Lint and type-check.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/installed  ## Time xbce beside the alternatives, quickly.
	XBCE_BENCH_QUICK=1 $(BIN)/python benchmarks/run.py $(ARGS)

bench-full: $(VENV)/installed  ## The same with more sizes, dtypes and samples; write docs/benchmarks.md.
	$(BIN)/python benchmarks/run.py --publish $(ARGS)

clean:  ## Remove the environment and everything that was generated.
	rm -rf $(VENV) conformance-report build dist benchmarks/.asv .mypy_cache .pytest_cache .ruff_cache .hypothesis

# PyTorch is the largest part by far; the constraints choose every version, so that two machines get the same.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@
