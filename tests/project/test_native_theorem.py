"""The native theorem (proofs/native): its table, and arithmetic with errors that are as large as it is given."""

import math
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import array_api_compat.numpy
import flint
import numpy as np
import pytest

import xbce
from proofs.native import local, measured, own
from proofs.native.cells import Cell, cells
from proofs.native.given import UnusableError, known
from proofs.native.numbers import _exponent, index_of, number_at
from proofs.native.single import bounds_at
from proofs.native.table import every_given, lines_of
from proofs.native.theorem import Hypotheses, Steps, bounds
from proofs.native.used import used
from tests.helpers import approx
from xbce._formulas import CrossEntropy
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.subjects.backends import find_backends
from xbce_conformance.subjects.levels import level_of

TABLE = (Path(measured.__file__).with_name("table.md")).read_text("utf-8")


@lru_cache
def results():
    return measured.read()


@pytest.mark.parametrize("given", every_given(), ids=lambda given: f"{given.name}-{given.level}-{given.dtype}")
def test_the_table_is_what_the_code_gives(given):
    assert lines_of(given, results()) in TABLE


def test_the_table_has_no_other_rows():
    rows = TABLE.partition("|---|")[2].count("\n| ")
    assert rows == 5 * len(every_given())


def test_a_larger_error_is_found_nowhere():
    """The theorem holds: no measured error is larger than its bound, by binade or by cell."""
    for line in TABLE.partition("|---|")[2].splitlines()[1:]:
        *_, by_binade, by_cell, found, _promised, _proved = line.strip("| ").split(" | ")
        # The first figure is of processors of both levels, the second one of this level alone.
        first, *at_level = (0.0 if x == "–" else float(x) for x in found.split(", "))
        assert first <= float(by_binade), line
        for error in at_level:
            assert error <= float(by_binade if by_cell == "–" else by_cell), line


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_number_is_in_a_cell(dtype):
    fmt = FORMATS[dtype]
    whole = cells(fmt)
    assert whole[0].first == 0
    assert number_at(whole[-1].last, fmt) == fmt.max
    assert all(a.last + 1 == b.first for a, b in pairwise(whole))


@pytest.mark.parametrize("level", ["x86-64-v3", "x86-64-v4"])
@pytest.mark.parametrize("library", ["numpy", "torch:cpu", "jax"])
def test_local_errors_are_those_by_binade(library, level):
    """None is larger (2^-7 stands for all errors of log1p that are not larger), and the largest is there."""
    given = known(library, level, "float32")
    for name, steps in (("exp", given.hypotheses.exp), ("log1p", given.hypotheses.log1p)):
        rows = local.read(library, level)[name]
        starts = [number_at(int(row[0]), FORMATS["float32"]) for row in rows]
        pieces = pairwise(starts)
        reported_errors = [steps.over(start, math.nextafter(stop, 0)) for start, stop in pieces]
        assert all(row[1] <= max(error, 2.0**-7) + 2e-4 for row, error in zip(rows, reported_errors, strict=False))
        largest = steps.over(2.0**-12, 100.0) if name == "exp" else steps.over(0.0, 1.0)
        assert max(row[1] for row in rows[:-1]) == approx(largest, rel=0.005)


def test_own_functions_that_were_not_measured_are_not_known(monkeypatch, tmp_path):
    nothing = tmp_path / "own.json"
    nothing.write_text("{}", "utf-8")
    monkeypatch.setattr(own, "FILE", nothing)
    with pytest.raises(UnusableError, match="nobody has measured"):
        known("jax", "x86-64-v4", "float32")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("library", ["numpy", "torch:cpu", "jax"])
def test_the_given_functions_are_those_of_the_kernels(library, dtype):
    """For a label that agrees the loss is log1p(e), and the gradient e / (1 + e)."""
    found, missing = find_backends((library,))
    if missing:
        pytest.skip(missing[library])
    backend = found[library]
    exp, log1p = used(library)
    t = np.random.default_rng(0).uniform(0, 80, 40_000).astype(dtype)
    e = exp(t)
    x, z = backend.from_numpy(t), backend.from_numpy(np.ones_like(t))
    loss = xbce.binary_cross_entropy_with_logits
    for run in (loss, jitted(loss)) if library == "jax" else (loss,):
        np.testing.assert_array_equal(backend.to_numpy(run(x, z)), log1p(e))
    np.testing.assert_array_equal(backend.to_numpy(loss.gradient(x, z)), -e / (1 + e))


def jitted(function):
    return pytest.importorskip("jax").jit(function)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("library", ["numpy", "jax"])
def test_no_larger_error_of_the_series_is_found(library, dtype):
    """By a few numbers of each binade; in float64, of which not all were tried, by not much."""
    found, missing = find_backends((library,))
    level = level_of(found[library]) if found else ""
    measured = {} if missing else own.read(library, level, dtype, 0.0)
    if not measured:
        pytest.skip(missing.get(library, f"has no series at {level}, or nobody has measured them"))
    fmt, rng = FORMATS[dtype], np.random.default_rng(1)
    of = dict(zip(("exp", "log1p"), used(library), strict=True))
    for name, kept in measured.items():
        pieces = list(pairwise(own.ends(name, fmt, flushes=library == "jax")))
        assert len(pieces) == len(kept.errors)
        for (low, high), error in zip(pieces, kept.errors, strict=True):
            x = rng.uniform(low, high, 500).astype(dtype)
            error_here = own._errors(name, of[name], fmt, x).max()
            assert error_here <= (error if dtype == "float32" else error * 1.05), (name, low)


# --- against arithmetic ---------------------------------------------------------------------------------------------


def pushed(exact, ulps, sign, fmt):
    """Return the number of the format that is farthest from the exact one, to one side, within so many ULP."""
    limit = exact + sign * ulps * flint.arb(2) ** (_exponent(exact.lower(), fmt) - fmt.p + 1)
    i = index_of(max(0.0, float(limit)), fmt)
    inside = [
        number_at(j, fmt)
        for j in range(max(0, i - 2), i + 3)
        if sign * (limit - flint.arb(number_at(j, fmt))) >= 0
    ]  # fmt: skip
    return max(inside) if sign > 0 else min(inside)


class Pushed:
    """NumPy's namespace, whose exp and log1p are as wrong as allowed, in one direction each."""

    def __init__(self, fmt, a, b, of_exp, of_log1p):
        self.fmt, self.a, self.b, self.of_exp, self.of_log1p = fmt, a, b, of_exp, of_log1p

    def __getattr__(self, name):
        return getattr(array_api_compat.numpy, name)

    def exp(self, x):
        return self._each(x, lambda x: 1.0 if x == 0 else pushed(x.exp(), self.a, self.of_exp, self.fmt))

    def log1p(self, x):
        return self._each(x, lambda e: 0.0 if e == 0 else pushed(e.log1p(), self.b, self.of_log1p, self.fmt))

    def _each(self, x, function):
        with flint.ctx.workprec(4 * self.fmt.p):
            return np.array([function(flint.arb(v)) for v in x.tolist()], x.dtype)


def numbers(fmt, rng):
    """Return t of every size, half of them beside the ends of a cell, where the bounds are sharp."""
    ends = [cell.first for cell in cells(fmt) if 2.0**-12 < cell.t[0] < 800]
    near = rng.choice(ends, 120) + rng.integers(-3, 4, 120)
    spread = [
        index_of(float(fmt.round(2.0**k)), fmt) for k in rng.uniform(-20, math.log2(-math.log(fmt.smallest)), 100)
    ]
    chosen = [number_at(int(i), fmt) for i in (*near, *spread)]
    return np.array([0.0, fmt.smallest, fmt.max, *chosen], fmt.dtype)


def labels(x, rng, fmt):
    """Yield hard labels, soft ones, small ones, and those next to the root of the gradient."""
    yield "hard", np.zeros_like(x)
    yield "hard", np.ones_like(x)
    yield "soft", fmt.round(rng.uniform(0, 1, x.size))
    yield "soft", fmt.round(2.0 ** rng.uniform(-1.4 * fmt.p, 0, x.size))
    with np.errstate(over="ignore"):
        yield "soft", fmt.round(1 / (1 + np.exp(-x.astype(np.float64))))


def exact_results(x, z):
    """Return value, gradient and hessian with the scales of their errors."""
    e = (-abs(x)).exp()
    q = e / (1 + e)
    sigmoid, rest = (1 / (1 + e), q) if x >= 0 else (q, 1 / (1 + e))
    value = (1 - z) * max(x, 0) + z * max(-x, 0) + e.log1p()
    negative, positive = (1 - z) * sigmoid, z * rest
    return {
        "value": (value, value),
        "gradient": (negative - positive, max(negative, positive)),
        "hessian": (e / (1 + e) ** 2,) * 2,
    }


def worst_excess(dtype, a, b, share):
    """Return the largest difference of an error and its bound, where the bound is given a share of a and b only."""
    fmt, rng = FORMATS[dtype], np.random.default_rng(1)
    given = Hypotheses(Steps((0.0,), (a * share,)), Steps((0.0,), (b * share,)))
    t = numbers(fmt, rng)
    of_cells = [bounds_at(Cell(fmt, i, i), given) for i in (index_of(float(v), fmt) for v in t)]
    worst = -math.inf
    formula = CrossEntropy()
    for xp in (Pushed(fmt, a, b, i, j) for i in (1, -1) for j in (1, -1)):
        for x in (t, -t):
            for kind, z in labels(x, rng, fmt):
                with np.errstate(under="ignore"):
                    got = {name: getattr(formula, name)(xp, x, z).tolist() for name in ("value", "gradient", "hessian")}
                for i, (x_i, z_i) in enumerate(zip(x.tolist(), z.tolist(), strict=True)):
                    with flint.ctx.workprec(4 * fmt.p + 64):
                        exact = exact_results(flint.arb(x_i), flint.arb(z_i)) if abs(x_i) < 2000 else {}
                        for name, (y, scale) in exact.items():
                            ulp = flint.arb(2) ** (_exponent(scale.mid(), fmt) - fmt.p + 1)
                            error = float(abs(flint.arb(got[name][i]) - y) / ulp)
                            bound = getattr(of_cells[i], name if name == "hessian" else f"{name}_{kind}")
                            worst = max(worst, error - bound)
    return worst


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("a", "b"), [(2.4, 1.7), (0.5, 0.5), (1.0, 0.6)])
def test_no_error_is_beyond_its_bound(dtype, a, b):
    assert worst_excess(dtype, a, b, 1.0) <= 0


def test_a_bound_that_is_too_small_is_noticed():
    assert worst_excess("float32", 2.4, 1.7, 0.8) > 0.1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parts_of_a_cell_have_no_larger_bounds(dtype):
    given = Hypotheses(Steps((0.0,), (2.0,)), Steps((0.0,), (1.5,)))
    for cell in cells(FORMATS[dtype])[::17]:
        whole = bounds(cell, given)
        for part in (*cell.halves(), *cell.ends()) if cell.last > cell.first else ():
            assert all(small <= large * (1 + 1e-9) for small, large in zip(bounds(part, given), whole, strict=True))
