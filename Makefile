# Two commands do all of their own set-up: `make conformance` measures, `make test` tests.

PYTHON ?= python3
VENV := .venv
PEERS := .venv-peers
VISION := .venv-vision
OLDEST := .venv-oldest
OUT := conformance-report
MINUTES := 5
BIN := $(VENV)/bin
# Where there is a GPU, its libraries are those of the machine.
GPU_PYTHON := $(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON))
# The backends that a development machine has: a run without one of them fails, it does not skip.
BACKENDS := numpy torch:cpu jax dask array-api-strict mlx ndonnx
# No older versions of these two were tried than those of constraints.txt, which want newer versions of other packages.
OLDEST_BACKENDS := $(filter-out mlx ndonnx,$(BACKENDS))

comma := ,
empty :=
space := $(empty) $(empty)
# A process has half of the tests and takes over from the other at the end: what a module shares is computed once.
required = XBCE_REQUIRED_BACKENDS=$(subst $(space),$(comma),$(1))
PYTEST := $(call required,$(BACKENDS)) $(BIN)/python -m pytest -n 2 --dist worksteal

.PHONY: help conformance conventions peers peer-tests test check-long fuzz mutants lint bench bench-asv bench-full bench-compare gpu gpu-wheels gpu-exact-values clean oldest platforms proofs release-check threads release-rehearsal docs

help:  ## Show the commands.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/'

conformance: $(VENV)/installed  ## Measure xbce and its peers; write conformance-report/report.html.
	$(BIN)/xbce-conformance run $(addprefix --require ,$(BACKENDS)) $(ARGS)

peers: $(VENV)/installed $(PEERS)/installed  ## Measure every peer, each in an environment that it works in; merge the reports.
	failed=0; $(BIN)/xbce-conformance run --out $(OUT)/parts/here $(ARGS) || failed=$$?; \
	for backend in jax torch numpy; do \
	  KERAS_BACKEND=$$backend $(BIN)/xbce-conformance run --subject keras --out $(OUT)/parts/keras-$$backend $(ARGS) || exit 1; \
	done; \
	$(PEERS)/bin/xbce-conformance run --subject paddle --out $(OUT)/parts/apart $(ARGS) || exit 1; \
	$(BIN)/xbce-conformance report $(OUT)/parts/*/results.json --out $(OUT) && exit $$failed

test: lint  ## Lint, type-check and test: all but what takes long.
	$(PYTEST) -m "not long" $(ARGS)

# What needs peers or asv, which are not among the oldest, or the namespace of NumPy 2.1 (a walk's library is made of it);
# scikit-learn's log_loss, compared with 1.9 only, and fits, which do not take the class from where 1.6 has it; CuPy's runtime,
# of which tests/cuda_host plays that of 14.2; and JAX at x86-64-v2: without F16C the compiler of JAX 0.6 ends the process
# at half precision.
LEFT_OUT := --ignore=docs/porting.md --ignore=docs/examples --ignore=tests/project/test_benchmarks.py \
  --ignore=xbce/_backends/mlx.py --ignore=xbce/_backends/ndonnx.py --ignore=conformance/tests/test_recording.py \
  --ignore=tests/conventions/test_sklearn.py --ignore=tests/cuda_host \
  --deselect=tests/conventions/test_sklearn_half_binomial.py::test_logistic_regression \
  --deselect=tests/conventions/test_docs.py::test_nothing_is_unexplained \
  --deselect=tests/conventions/test_one_library.py::test_every_array_is_here \
  --deselect=tests/project/test_walks.py::test_what_is_added_is_found_and_right \
  --deselect=tests/api/test_doctests.py::test_examples_print_the_same_on_lesser_processors \
  --deselect="tests/project/test_platforms.py::test_a_probe_finds_the_level_or_says_why_not[jax-x86-64-v2]"

oldest: $(OLDEST)/installed  ## Test and measure with the oldest version of every dependency.
	$(call required,$(OLDEST_BACKENDS)) $(OLDEST)/bin/python -m pytest -n 2 --dist worksteal -m "not long" $(LEFT_OUT) $(ARGS)
	$(OLDEST)/bin/xbce-conformance run --subject xbce $(addprefix --require ,$(OLDEST_BACKENDS)) --out $(OUT)/oldest

platforms: $(VENV)/installed  ## Measure at every level that this processor can play; AVX-512 by Bochs, aarch64 by QEMU; ARGS=--plan shows which.
	$(BIN)/python -m platforms $(ARGS)

proofs: $(VENV)/installed  ## Prove the error bounds of the plain loss; needs gappa and sollya. ARGS=--renew writes the scripts anew.
	$(BIN)/python -m proofs $(ARGS)
	$(BIN)/python -m proofs.native

check-long: mutants  ## What `make test` leaves out: long tests, the mutants, tests on threads, ten minutes of the fuzzer.
	$(PYTEST) -m long $(ARGS)
	$(MAKE) threads
	$(MAKE) fuzz MINUTES=10

threads: $(VENV)/installed  ## Run each test of the library's own on four threads at once, but those that change what all share.
	$(BIN)/python -m pytest -p pytest_run_parallel.plugin --parallel-threads 4 --mark-hypothesis-as-unsafe --timeout 900 -m "not long" \
	  tests/api tests/special tests/compiler tests/backends $(ARGS)

docs: $(VENV)/installed  ## Make the documentation as a site, build/docs/index.html; a warning or a broken link is an error.
	$(BIN)/python -m website $(ARGS)

fuzz: $(VENV)/installed  ## Search for calls that go wrong, for MINUTES=5; print each, made small.
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES) $(ARGS)

conventions: $(VENV)/installed  ## Compare the conventions with the real systems; write the table in docs/conventions.md.
	XBCE_CONVENTIONS_TABLE=1 $(BIN)/python -m pytest -n 2 tests/conventions $(ARGS)

peer-tests: $(VENV)/installed $(if $(TORCHVISION_SOURCE),$(VISION)/installed)  ## Run the peers' own tests with xbce in the peer's place; write docs/peer-tests.md.
	$(BIN)/python -m peer_tests.run $(if $(KORNIA_SOURCE),--kornia $(KORNIA_SOURCE)) \
	  $(if $(TORCHVISION_SOURCE),--torchvision $(TORCHVISION_SOURCE) --torchvision-python $(VISION)/bin/python) $(ARGS)

mutants: $(VENV)/installed  ## See that the tests kill the faults that they once let pass.
	$(BIN)/python tests/mutants/run.py $(ARGS)

lint: $(VENV)/installed  ## Lint and type-check.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/installed  ## Time xbce beside its peers, and say which targets are met: less than four minutes.
	$(BIN)/python benchmarks/targets.py $(ARGS)

bench-asv: $(VENV)/installed  ## Time more functions and peers by asv, quickly, and track their memory and errors.
	XBCE_BENCH_QUICK=1 $(BIN)/python benchmarks/run.py $(ARGS)

bench-full: $(VENV)/installed  ## Both with more sizes, dtypes and samples; write docs/benchmarks.md.
	$(BIN)/python benchmarks/run.py --publish $(ARGS)
	$(BIN)/python benchmarks/targets.py --full

bench-compare: $(VENV)/installed  ## Say what became slower, larger or less accurate since REV=HEAD~1.
	XBCE_BENCH_QUICK=1 $(BIN)/python benchmarks/compare.py $(or $(REV),HEAD~1) $(ARGS)

release-check: $(VENV)/installed  ## What a machine can check of a release: build, contents, installs; ARGS=--rehearse before one.
	$(BIN)/python -m release $(ARGS)

release-rehearsal: override ARGS += --rehearse
release-rehearsal: release-check  ## The same at any time: what only a release sets is named, and passes.

gpu:  ## Measure on this machine's GPU, in five minutes; ARGS=--plan shows what, ARGS=--rehearse does without one.
	$(GPU_PYTHON) -m gpu $(ARGS)

gpu-wheels:  ## Fetch what a machine with a GPU and no network may lack, into .gpu/wheels.
	$(PYTHON) -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
	  $(foreach n,5 12 17 24 27 28 31 34,--platform manylinux_2_$(n)_x86_64) --platform manylinux2014_x86_64 \
	  --constraint constraints.txt --requirement gpu/wheels.txt --dest .gpu/wheels

gpu-exact-values: $(VENV)/installed  ## Compute beforehand what the suite compares with, into .gpu/exact-values.
	$(BIN)/xbce-conformance run --subject xbce --part samples --backend numpy --exact-values .gpu/exact-values --out .gpu/exact-report $(ARGS)

clean:  ## Remove the environment and everything that was generated.
	rm -rf $(VENV) $(PEERS) $(VISION) $(OLDEST) .gpu conformance-report conformance-sweep conformance-search build dist benchmarks/.asv .mypy_cache .pytest_cache .ruff_cache .hypothesis

# PyTorch is the largest part by far; the constraints choose every version, so that two machines get the same.
$(VENV)/installed: pyproject.toml conformance/pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --editable ".[dev]" --editable ./conformance
	touch $@

# PaddlePaddle wants another opt_einsum than the rest of the constraints.
$(PEERS)/installed: pyproject.toml conformance/pyproject.toml constraints.txt
	$(PYTHON) -m venv $(PEERS)
	grep -v opt_einsum constraints.txt > $(PEERS)/constraints.txt
	PIP_CONSTRAINT=$(PEERS)/constraints.txt $(PEERS)/bin/python -m pip install --quiet \
	  --editable ".[peers-apart]" --editable ./conformance
	touch $@

# torchvision wants another PyTorch than the rest, which wants another CUDA; its testing helpers import expecttest.
$(VISION)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VISION)
	grep -vE '^(torch==|nvidia-|cuda-)' constraints.txt > $(VISION)/constraints.txt
	PIP_CONSTRAINT=$(VISION)/constraints.txt $(VISION)/bin/python -m pip install --quiet --editable . \
	  torch==2.14.1 torchvision==0.29.1 expecttest pytest
	touch $@

# Without benchmarks and tools of development: only what users install, and what the tests need.
$(OLDEST)/installed: pyproject.toml conformance/pyproject.toml constraints-oldest.txt
	$(PYTHON) -m venv $(OLDEST)
	PIP_CONSTRAINT=constraints-oldest.txt $(OLDEST)/bin/python -m pip install --quiet \
	  --editable ".[torch,jax,dask,cuda-source,test]" --editable ./conformance
	touch $@
