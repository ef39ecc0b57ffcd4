"""What docstrings and pages print is the same on every processor.

NumPy and PyTorch compute exp and log1p by other instructions, and to other last digits, on a processor with AVX-512, on
one with AVX2 and on one with neither. The examples of the documentation run as doctests on the processor that is here;
these tests run them as on lesser ones, and look for digits that no bound promises.
"""

import ast
import doctest
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]["ini_options"]
DOCUMENTED = [name for name in SETTINGS["testpaths"] if name != "tests"]
TESTS = "conformance/tests"


def found():
    """Return what NumPy has found of the instructions that it has code of its own for, and may be told not to use."""
    return np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])


def pages():
    roots = [ROOT / name for name in DOCUMENTED]
    files = [file for root in roots for file in ([root] if root.is_file() else sorted(root.rglob("*")))]
    files = [file for file in files if ROOT / TESTS not in file.parents]
    return [file for file in files if file.suffix in (".py", ".md") and ">>> " in file.read_text("utf-8")]


# What keeps the other libraries from more; without AVX2, JAX's compiler has no half precision.
@pytest.mark.parametrize(
    ("instructions", "others"),
    [
        pytest.param(
            [name for name in found() if "512" in name or "V4" in name],
            {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
            id="no AVX-512",
            marks=pytest.mark.long,
        ),
        pytest.param(
            found(),
            {
                "ATEN_CPU_CAPABILITY": "default",
                "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
                "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX2,-AVX,-FMA,-FMA4",
            },
            id="the least that NumPy runs on",
        ),
    ],
)
def test_examples_print_the_same_on_lesser_processors(instructions, others):
    if not instructions:
        pytest.skip(f"this processor has nothing to leave out: NumPy has found {found()}")
    disabled = " ".join([*instructions, os.environ.get("NPY_DISABLE_CPU_FEATURES", "")]).strip()
    environment = os.environ | {"XLA_FLAGS": "--xla_cpu_max_isa=AVX2"} | others | {"NPY_DISABLE_CPU_FEATURES": disabled}
    environment.pop("TORCHINDUCTOR_CACHE_DIR", None)  # code that was generated for this process's level
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--doctest-continue-on-failure"]
    # The examples are scripts, without doctests.
    command += ["--ignore=docs/examples", f"--ignore={TESTS}", *DOCUMENTED]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert int(re.search(r"(\d+) passed", run.stdout)[1]) >= len(pages())


def examples(page):
    text = page.read_text("utf-8")
    texts = [text]
    if page.suffix == ".py":
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
        nodes = (node for node in ast.walk(ast.parse(text)) if isinstance(node, documented))
        texts = [ast.get_docstring(node) or "" for node in nodes]
    return [example for text in texts for example in doctest.DocTestParser().get_examples(text)]


CERTAIN = {"float32": 6, "float64": 15}
"""Digits that an error of a few ULP leaves alone, but next to where the rounding changes."""


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_examples_print_digits_that_are_certain(page):
    """Digits that depend on the processor are left out, as in ``2.06115...e-09``, or rounded away."""
    assert examples(page)
    for example in examples(page):
        if 'precision="high"' in example.source:  # all digits are
            continue
        certain = CERTAIN["float32" if "float32" in example.want else "float64"]
        shown = re.findall(r"\d+\.\d+(?!\d|\.\.\.)", example.want)
        digits = {number: len(number.replace(".", "").strip("0")) for number in shown}
        assert all(count <= certain for count in digits.values()), f"{example.source}{example.want}"
