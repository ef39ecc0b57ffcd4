"""Rows of invariance: what depends on the company of its numbers is reported, with an input and how far apart."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import xbce
from tests.helpers import NUMPY, leave_out_pictures
from xbce_conformance import Adapter, measure
from xbce_conformance.behaviour.company import OF_REDUCTIONS, WAYS
from xbce_conformance.cases import PLAIN
from xbce_conformance.cli import main
from xbce_conformance.judge.runner import rows_of
from xbce_conformance.subjects.backends import find_backends
from xbce_conformance.subjects.jobs import jobs
from xbce_conformance.subjects.selection import find_subjects
from xbce_conformance.subjects.user import build, of_object

ELEMENTWISE = tuple(name for name in WAYS if name not in ("one thread", "three threads", "compiled"))
"""What NumPy has for a subject of one's own."""


def right(x, z):
    return xbce.binary_cross_entropy_with_logits(x, z)


def invariance(subject, quantity="value", dtype="float32"):
    found = measure(subject, dtypes=[dtype], parts=["invariance"]).rows
    (row,) = [row for row in found if row.quantity == quantity]
    return row


def ways(row):
    """Return the ways in which bits are others."""
    return {name for name, ulp in row.regimes.items() if ulp > 0}


def check_counterexample(row, ulp):
    """See that two results are given, whose distance is that of the row."""
    assert row.worst.regime in row.regimes
    assert row.regimes[row.worst.regime] == row.figures.max_ulp == max(row.regimes.values())
    there, here = (np.float32(float.fromhex(text)) for text in (row.worst.computed, row.worst.exact))
    assert there != here
    assert ulp[0] <= row.figures.max_ulp <= ulp[1]
    distance = abs(float(there) - float(here)) / float(np.spacing(np.abs(here)))
    assert distance / 2.01 <= row.figures.max_ulp <= distance * 2.01  # next to a power of two the spacing is another


def test_the_same_everywhere():
    row = invariance(lambda x, z: np.maximum(x, 0) - x * z)
    assert row.verdict is None  # reported
    assert row.regimes == dict.fromkeys(ELEMENTWISE, 0.0)
    assert (row.figures.max_ulp, row.worst.inputs) == (0.0, {})
    assert row.figures.correctly_rounded == row.figures.count
    assert all(
        text.endswith("has no way to set its threads while it runs") or "compiles" in text for text in row.remarks
    )


def up(x, z, chosen):
    """Return the right result, and the next number above it where it is chosen."""
    value = right(x, z)
    above = np.nextafter(value, x.dtype.type(1e38))
    return np.where(chosen & (value < 1e30), above, value).astype(x.dtype)


def test_neighbours():
    def with_the_mean_of_all(x, z):
        return up(x, z, x > np.mean(np.where(np.abs(x) < 1e3, x, 0)))

    row = invariance(with_the_mean_of_all)
    assert ways(row) >= {"alone", "slices"}
    assert row.worst.inputs.keys() == {"logits", "labels"}
    check_counterexample(row, (0.9, 1.1))
    name = row.worst.regime
    assert any(
        text.startswith(f"{name}: ") and " results have other bits, up to 1 ULP apart" in text for text in row.remarks
    )


def test_places():
    """As of a loop over vectors, and another one over what is left."""
    row = invariance(lambda x, z: up(x, z, np.arange(x.size).reshape(x.shape) % 8 == 7))
    assert ways(row) == {"alone", "slices", "order"}
    check_counterexample(row, (0.9, 1.1))
    inputs = [np.float32([float.fromhex(row.worst.inputs[name])]) for name in ("logits", "labels")]
    value = right(*inputs)[0]
    both = {float.fromhex(row.worst.computed), float.fromhex(row.worst.exact)}
    assert float(value) in both


def test_lengths_and_layouts():
    row = invariance(lambda x, z: up(x, z, x.ndim == 2))
    assert ways(row) == {"C order", "F order"}
    row = invariance(lambda x, z: up(x, z, x.ndim == 2 and not x.flags.c_contiguous))
    assert ways(row) == {"F order"}
    row = invariance(lambda x, z: up(x, z, x.size == 1))
    assert {"alone"} <= ways(row) <= {"alone", "slices"}


def test_a_call_that_fails_in_company():
    def large_only(x, z):
        if x.size == 1:
            raise ValueError("one is too few")
        return np.maximum(x, 0) - x * z

    row = invariance(large_only)
    assert ways(row) == {"alone", "slices"}
    assert row.regimes["alone"] == np.inf
    assert "alone: ValueError: one is too few" in row.remarks


# --- threads and compilers ------------------------------------------------------------------------------------------


def test_threads():
    torch = pytest.importorskip("torch")

    def of_threads(x, z):
        value = right(x, z)
        return torch.where(value < 1e30, value * (1 + 2**-20 * (torch.get_num_threads() == 3)), value)

    before = torch.get_num_threads()
    row = invariance(Adapter(of_threads, backend="torch:cpu"))
    assert torch.get_num_threads() == before
    assert "three threads" in ways(row) or before == 3
    check_counterexample(row, (4, 20))


def test_jit():
    jax = pytest.importorskip("jax")
    import jax.numpy as jnp

    def of_tracers(x, z):
        value = right(x, z)
        return jnp.where(value < 1e30, value * (1 + 2**-20), value) if isinstance(x, jax.core.Tracer) else value

    # Without its gradient, which JAX would trace the function for.
    row = invariance(Adapter(of_tracers, gradient=lambda x, _: x, backend="jax"))
    assert ways(row) == {"compiled"}
    assert row.worst.regime == "compiled"
    check_counterexample(row, (4, 20))


# --- reductions -----------------------------------------------------------------------------------------------------


def test_a_sum_that_depends_on_the_order():
    def one_after_the_other(x, z):
        return np.add.accumulate(right(x, z).reshape(-1))[-1]

    row = invariance(Adapter(right, sum=one_after_the_other), "sum")
    assert "order" in ways(row)
    assert row.regimes.keys() <= set(OF_REDUCTIONS)
    assert row.worst.inputs == {}
    check_counterexample(row, (1, 1e6))


def test_a_sum_that_does_not():
    """Exact in float64: every term has 24 bits, and the sum is rounded once."""
    row = invariance(Adapter(right, sum=lambda x, z: x.dtype.type(sum_exactly(right(x, z)))), "sum")
    assert ways(row) == set()


def sum_exactly(values):
    from math import fsum

    return fsum(values.reshape(-1).tolist())


# --- what is judged -------------------------------------------------------------------------------------------------


def test_high_precision_is_judged_and_native_is_not():
    (native, high), _ = find_subjects(("xbce", "xbce (high)"), {"numpy": NUMPY})
    for subject, judged in ((native, False), (high, True)):
        job = next(iter(jobs([subject], ("float32",), (PLAIN.function,), parts=("invariance",))))
        (row,) = rows_of(job, "quick")
        assert (row.kind, row.judged, row.violations) == ("invariance", judged, [])
        assert not judged or ways(row) == set()


def test_same_bits_in_python():
    """`jobs` is what the options of the command reach."""
    loaded = of_object(lambda x, z: up(x, z, x.ndim == 2), "theirs")
    subject, _ = build(loaded, find_backends(("numpy",))[0]["numpy"], judged=True, dtypes=("float32",))
    (job,) = jobs([subject], ("float32",), parts=("invariance",), same_bits=True)
    (row,) = rows_of(job, "quick")
    assert {violation.name for violation in row.verdict.violations} == {"invariance:c-order", "invariance:f-order"}
    # Where NumPy rounds a loss among the inputs up to a power of two, the next number above is two of its ULP away.
    assert all(re.search("results have other bits, up to [12] ULP apart", text) for text in row.violations)


def test_same_bits_of_the_command(tmp_path, monkeypatch):
    leave_out_pictures(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "of_layout", raising=False)
    code = "import numpy as np\ndef f(x, z):\n    return np.float32(np.maximum(x, 0) - x * z + (x.ndim == 2))\n"
    Path("of_layout.py").write_text(code, "utf-8")
    options = ["run", "--subject", "./of_layout.py:f", "--dtype", "float32", "--part", "invariance", "--out", "out"]
    result = CliRunner().invoke(main, options, catch_exceptions=False)
    assert result.exit_code == 0
    (row,) = json.loads(Path("out/results.json").read_text("utf-8"))["rows"]
    assert row["verdict"] is None
    assert any(text.startswith("C order: ") for text in row["remarks"])
    result = CliRunner().invoke(main, [*options, "--same-bits"], catch_exceptions=False)
    assert result.exit_code == 1
    assert "[invariance:c-order]" in result.output
    assert "[invariance:f-order]" in result.output
