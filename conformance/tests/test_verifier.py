"""The verifier of the documentation: it agrees with high precision, and refutes what is one ULP off."""

import math
import runpy
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import xbce
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.inputs.hard_cases import hard_cases
from xbce_conformance.invariance.grid import arrays

FILE = Path(__file__).parents[2] / "docs" / "examples" / "verifier.py"
VERIFIER = runpy.run_path(str(FILE))
right_result, right_sum, right_mean, rounded = (
    VERIFIER[name] for name in ("right_result", "right_sum", "right_mean", "rounded")
)
quantities = pytest.mark.parametrize("quantity", ["value", "gradient", "hessian"])
dtypes = pytest.mark.parametrize("dtype", FORMATS)


def method(quantity):
    loss = xbce.binary_cross_entropy_with_logits
    return loss if quantity == "value" else getattr(loss, quantity)


@dtypes
@quantities
def test_high_precision_is_right(quantity, dtype):
    grid = arrays(dtype)
    x, z = grid["logits"], grid["logit_labels"]
    with np.errstate(invalid="ignore"):
        finite = np.flatnonzero(np.isfinite(x.astype(np.float64) + z.astype(np.float64)))[::29]
    x, z = x[finite], z[finite]
    results = method(quantity)(x, z, precision="high")
    assert x.size > 100
    for logit, label, got in zip(*(a.astype(np.float64).tolist() for a in (x, z, results)), strict=True):
        right = right_result(quantity, logit, label, dtype)
        if (quantity, dtype) == ("gradient", "float64") and abs(right) < 2.0**-30 * label:
            # Two terms cancel: of the larger one the error is a ten-thousandth of an ULP.
            assert abs(got - right) < 2.0**-66 * label, (logit.hex(), label.hex())
        else:
            assert got == right, (logit.hex(), label.hex())


@quantities
def test_hard_cases_are_right(quantity):
    for logit, label, right in zip(*(a.astype(float).tolist()[::5] for a in hard_cases(quantity)), strict=True):
        assert right_result(quantity, logit, label, "float32") == right


@dtypes
@quantities
def test_one_ulp_off_is_refuted(quantity, dtype):
    fmt = FORMATS[dtype]
    right = right_result(quantity, 1.5, 0.25, dtype)
    assert float(fmt.round([right])[0]) == right
    for off in (right - fmt.ulp(right), right + fmt.ulp(right)):
        run = subprocess.run(
            [sys.executable, FILE, quantity, "0x1.8p+0", "0x1p-2", dtype, float(off).hex()],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (run.returncode, run.stdout) == (1, f"wrong: {right.hex()} is right\n")


def test_the_command_of_its_docstring():
    (command,) = [line for line in FILE.read_text("utf-8").splitlines() if line.startswith("``python verifier.py")]
    arguments = command.split("``")[1].split()[2:]
    run = subprocess.run([sys.executable, FILE, *arguments], capture_output=True, text=True, check=True)
    assert run.stdout == "right\n"


def test_nothing_to_verify_is_not_right():
    for arguments in ([], ["value", "0x0p+0", "0x0p+0", "float32"]):
        run = subprocess.run([sys.executable, FILE, *arguments], capture_output=True, text=True, check=False)
        assert (run.returncode, run.stdout, run.stderr.split(":")[0]) == (2, "", "usage")
    with pytest.raises(ValueError, match="'loss' is none of value, gradient and hessian"):
        right_result("loss", 0.0, 0.0, "float32")


@dtypes
def test_rounded_once_ties_to_even(dtype):
    fmt = FORMATS[dtype]
    one, ulp = Fraction(1), Fraction(float(fmt.ulp(1.0)))
    assert rounded(one + ulp / 2, dtype) == 1
    assert rounded(one + 3 * ulp / 2, dtype) == 1 + 2 * ulp
    assert rounded(one + ulp / 2 + ulp**9, dtype) == 1 + ulp
    smallest = Fraction(fmt.smallest)
    assert rounded(-smallest / 2, dtype) == 0
    assert rounded(-smallest * 3 / 4, dtype) == -fmt.smallest
    limit = Fraction(fmt.max) + Fraction(float(fmt.ulp(fmt.max))) / 2
    assert rounded(limit - smallest, dtype) == fmt.max
    assert rounded(-limit, dtype) == -math.inf


@dtypes
def test_sums_and_means_are_right(dtype):
    """Of terms over 2^126 at most: of much smaller ones than the largest, sums have no digits."""
    grid = arrays(dtype)
    wide = grid["terms"] if dtype != "float64" else arrays("float32")["terms"].astype(np.float64)
    for terms in (wide, grid["term_logits"]):
        numbers, weight = terms.astype(float).tolist(), grid["term_weight"]
        weights = weight.astype(float).tolist()
        got = float(xbce.reduce(terms, reduction="sum", precision="high"))
        assert got == right_sum(numbers, dtype)
        assert got == right_sum(numbers[::-1], dtype)
        assert right_sum([*numbers, float(FORMATS[dtype].ulp(got))], dtype) != got
        assert float(xbce.reduce(terms, precision="high")) == right_mean(numbers, dtype)
        by_weight = xbce.reduce(terms, weight=weight, normalize_by="weight", precision="high")
        assert float(by_weight) == right_mean(numbers, dtype, weights)
