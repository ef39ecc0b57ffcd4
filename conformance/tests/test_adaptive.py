"""The search in a subject of one's own: every cell has a logit, and what is found is in the row, the same each time."""

import numpy as np
import pytest

import xbce
from xbce_conformance import Adapter, measure
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.inputs.input_set import FOUND
from xbce_conformance.search.adaptive import CELLS, grid


def right(x, z):
    return xbce.binary_cross_entropy_with_logits(x, z)


def logits(name, cell=CELLS["quick"], seed=3):
    return np.sort(np.unique(np.float64(grid(FORMATS[name], np.random.default_rng(seed), cell)[0])))


def samples(subject, dtype="float32"):
    return measure(subject, dtypes=[dtype], parts=["samples"]).rows[0]


@pytest.mark.parametrize("level", CELLS)
@pytest.mark.parametrize("name", ["float32", "float64"])
def test_every_cell_has_a_logit(name, level):
    """So a band of two cells, wherever it begins, holds one."""
    cell = CELLS[level]
    x = logits(name, cell)
    between = x[(x >= -110) & (x < 110)]
    assert np.diff(between).max() <= 2 * cell
    if name == "float64":  # a draw that is rounded to float32 may move into the next cell
        assert np.unique(np.floor(between / cell)).size == 220 / cell


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_of_16_bits_all_are_tried(name):
    fmt = FORMATS[name]
    with np.errstate(invalid="ignore"):
        every = np.float64(fmt.from_bits(np.arange(2**15)))
    x, z = grid(fmt, np.random.default_rng(3), CELLS["quick"])
    assert {*np.abs(np.float64(x)).tolist()} == {*every[np.isfinite(every)].tolist()}
    assert x.size == z.size


def test_each_logit_has_both_hard_labels_and_a_soft_one():
    x, z = grid(FORMATS["float32"], np.random.default_rng(3), CELLS["quick"])
    of_zero, of_one, of_soft = np.split(np.float64(x), 3)
    np.testing.assert_array_equal(of_zero, of_one)
    np.testing.assert_array_equal(of_zero, of_soft)
    zero, one, soft = np.split(np.float64(z), 3)
    assert ({*zero}, {*one}) == ({0.0}, {1.0})
    assert ((soft > 0) & (soft < 1)).mean() > 0.99


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_every_binade_has_logits_of_both_signs(name):
    """Of normal numbers, up to the largest."""
    x, fmt = logits(name), FORMATS[name]
    for sign in (-1, 1):
        binades = np.unique(np.frexp(x[x * sign > 0])[1])
        wanted = np.arange(fmt.emin + 1, 3 - fmt.emin)  # those of frexp, whose fractions are below 1
        assert {*wanted.tolist()} <= {*binades.tolist()}


def test_numbers_that_people_write():
    assert {*np.arange(-100, 100, 0.25).tolist()} <= {*logits("float32").tolist()}


# --- what it finds --------------------------------------------------------------------------------------------------


def banded(low, high, factor=1.0001):
    def loss(x, z):
        value = right(x, z)
        return np.where((x > low) & (x < high), value * x.dtype.type(factor), value).astype(x.dtype)

    return loss


@pytest.mark.parametrize("low", [7.34, -41.1234, 0.3333])
def test_a_band_of_two_cells(low):
    row = samples(banded(low, low + 2 * CELLS["quick"]))
    assert any(violation.name.startswith("accuracy:") for violation in row.verdict.violations)
    assert row.regimes[FOUND] == row.figures.max_ulp > 400
    assert row.worst.regime == FOUND
    assert low < float.fromhex(row.worst.inputs["logits"]) < low + 2 * CELLS["quick"]


def test_the_climb_goes_on_from_the_grid():
    """Towards a peak that is far narrower than a cell, but for its slopes."""

    def peaked(x, z):
        value = np.float64(right(x, z))
        with np.errstate(divide="ignore"):
            ulps = np.clip(16 - np.log2(np.abs(np.float64(x) - 5.4321) * 2**16), 0, 24)
        spacing = np.spacing(np.where(value < 1e30, value, 0).astype(x.dtype))
        return (value + ulps * spacing).astype(x.dtype)

    row = samples(peaked)
    assert row.worst.regime == FOUND
    assert abs(float.fromhex(row.worst.inputs["logits"]) - 5.4321) < CELLS["quick"] / 32


def test_a_right_loss_has_the_regime_and_passes():
    row = samples(right)
    assert row.violations == []
    assert 0 < row.regimes[FOUND] <= row.figures.max_ulp <= 4


def test_two_runs_find_the_same():
    subject = banded(7.34, 7.3415)
    assert samples(subject) == samples(subject)


FOCAL = "sigmoid_focal_loss(gamma=1.7, alpha=0.3)"


def focal(x, z):
    return xbce.sigmoid_focal_loss(x, z, gamma=1.7, alpha=0.3)


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.long)])
def test_a_band_in_a_loss_with_numbers_as_options(dtype):
    def with_band(x, z):
        value = focal(x, z)
        return np.where((x > 7.34) & (x < 7.341), value * x.dtype.type(1.0001), value).astype(x.dtype)

    (row,) = measure(with_band, case=FOCAL, dtypes=[dtype], parts=["samples"]).rows
    assert row.regimes[FOUND] == row.figures.max_ulp > 400
    assert 7.34 < float.fromhex(row.worst.inputs["logits"]) < 7.341
    (row,) = measure(focal, case=FOCAL, dtypes=[dtype], parts=["samples"]).rows
    assert row.violations == []
    assert row.regimes[FOUND] > 0


def test_other_cases_and_derivatives():
    """Derivatives of the plain loss are searched, too; other functions are not."""
    theirs = Adapter(right, gradient=xbce.binary_cross_entropy_with_logits.gradient)
    found = measure(theirs, dtypes=["float32"], parts=["samples"])
    assert [FOUND in row.regimes for row in found.rows] == [True, True]
    assert FOUND not in samples(Adapter(xbce.special.expit, case="special.expit")).regimes


def test_what_raises_in_the_grid_alone_fails_with_its_input():
    def raising(x, z):
        if ((x > 7.34) & (x < 7.341)).any():
            raise ValueError("a band is missing")
        return right(x, z)

    row = samples(raising)
    assert row.failure == "ValueError: a band is missing"
    assert 7.34 < float.fromhex(row.worst.inputs["logits"]) < 7.341
