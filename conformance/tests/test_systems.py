"""Digits, absolute errors, and the sentence about a system: by the stated rules."""

import math
from dataclasses import replace

import numpy as np
import pytest

from xbce_conformance import measure
from xbce_conformance.measurement.measured import Worst
from xbce_conformance.report.digits import absolute_error, absolute_text, beside, decimal, digits_lost, digits_of
from xbce_conformance.report.systems import DOES_NOT_MATTER, MATTERS, MAY_MATTER, System, systems


def right(x, z):
    x = x.astype(np.float64)
    return (np.maximum(x, 0) - x * z + np.log1p(np.exp(-np.abs(x)))).astype(np.float32)


@pytest.fixture(scope="module")
def results():
    return measure(right, dtypes=["float32"], parts=["samples"])


@pytest.fixture
def row(results):
    """A row without faults, off by 1 ULP."""
    (row,) = results.rows
    figures = replace(row.figures, max_ulp=1.0, p999_ulp=0.5, zero_for_normal=0, wrong_nonfinite=0, count=100_000)
    special = replace(row.special, mismatches=[])
    worst = Worst("soft", {"logits": "0x1.8p+1", "labels": "0x0.0p+0"}, "0x1.000002p+0", "0x1.0p+0")
    return replace(row, figures=figures, special=special, worst=worst, regimes={"digits": 1.0}, verdict=None)


def with_figures(row, **figures):
    return replace(row, figures=replace(row.figures, **figures))


# --- numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ulp", "lost"),
    [(0.0, 0.0), (0.5, 0.0), (5.0, 1.0), (500.0, 3.0), (2.0**23, 24 * math.log10(2)), (math.inf, 24 * math.log10(2))],
)
def test_digits_lost(ulp, lost):
    assert math.isclose(digits_lost(ulp, "float32"), lost, abs_tol=1e-12)


def test_all_digits_are_lost_where_none_would_be_written():
    assert digits_lost(0.99 * 2**23, "float32") == digits_of("float32")
    assert digits_lost(0.8 * 2**23, "float32") < digits_of("float32")


@pytest.mark.parametrize(
    ("computed", "exact", "dtype", "error", "text"),
    [
        ("0x1.8p+0", "0x1.0p+0", "float32", 0.5, "0.5"),
        ("0x0.0p+0", "0x1.0p-60", "float32", 2.0**-60, "8.7e-19"),
        ("0x1.0p+0", "0x1.0p+0", "float64", 2.0**-53, "≤ 1.1e-16"),  # the exact value is kept to half an ULP
        ("nan", "0x1.0p+0", "float32", None, "–"),
        ("0x1.0p+0", "inf", "float32", None, "–"),
        ("", "", "float32", None, "–"),
        ("bad", "0x1.0p+0", "float32", None, "–"),  # a word that float.fromhex takes for a number
    ],
)
def test_absolute_error(row, computed, exact, dtype, error, text):
    changed = replace(row, dtype=dtype, worst=replace(row.worst, computed=computed, exact=exact))
    assert (absolute_error(changed), absolute_text(changed)) == (error, text)


def test_numbers_are_written_so_that_they_differ():
    assert beside("0x1.0p+0", "0x1.8p+0") == ("1", "1.5")
    assert beside("0x1.000002p+0", "0x1.0p+0") == ("1.00000012", "1")
    assert beside("0x1.0000000000001p+0", "0x1.0p+0") == ("1.0000000000000002", "1")
    assert beside("nan", "0x1.0p+0") == ("nan", "1")
    assert (decimal("0x1.0p-1"), decimal("TypeError: no")) == ("0.5", "TypeError: no")


# --- what matters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figures", "real", "matter"),
    [
        ({}, 1.0, DOES_NOT_MATTER),
        ({"max_ulp": 4.9}, 1.0, DOES_NOT_MATTER),
        ({"max_ulp": 5.1}, 1.0, MAY_MATTER),
        ({"max_ulp": 2.0**24}, 1.0, MAY_MATTER),
        ({"max_ulp": 2.0**24}, 2.0**11, MAY_MATTER),
        ({"max_ulp": 2.0**24}, 2.0**11 + 1, MATTERS),
        ({"zero_for_normal": 9}, 1.0, MAY_MATTER),
        ({"zero_for_normal": 10}, 1.0, MATTERS),
        ({"wrong_nonfinite": 9, "max_ulp": math.inf}, 1.0, MAY_MATTER),
        ({"wrong_nonfinite": 10, "max_ulp": math.inf}, 1.0, MATTERS),
    ],
)
def test_whether_it_matters(row, figures, real, matter):
    row = with_figures(replace(row, regimes={"digits": real}), **figures)
    system = System("a", [row])
    assert system.matter == matter
    assert f" It {matter}: " in system.sentence


def test_a_wrong_special_value_may_matter(row, results):
    wrong = replace(results.rows[0].special, count=4)
    assert wrong.mismatches
    assert System("a", [replace(row, special=wrong)]).matter == MAY_MATTER


def test_sentences(row):
    assert System("a", [row]).sentence == (
        "Loses at most 0.3 of the 7.2 digits of float32: its float32 value at logits 3, labels 0 (regime “soft”) came "
        "as 1.00000012, right is 1. It does not matter: no result loses more, and none is wrongly 0, NaN or infinite."
    )
    lost = with_figures(row, max_ulp=2.0**24, zero_for_normal=100)
    lost = replace(lost, worst=replace(row.worst, computed="0x0.0p+0"), regimes={"digits": 2.0**24})
    other = replace(lost, function="other", dtype="float16")
    assert System("a", [row, lost, other]).sentence == (
        "Loses all digits in float32 and float16: its float32 value of right at logits 3, labels 0 (regime “soft”) "
        "came as 0, right is 1. It matters: on logits of real models it loses up to 7.2 of 7.2 digits (float32 value); "
        "0.1% (100 of 100,000) of its float32 values are 0 where a normal number is right."
    )
    failed = replace(row, failure="TypeError: no")
    assert System("a", [lost, failed]).sentence == "Its float32 value could not be measured: TypeError: no"
    assert System("a", [failed]).matter == MATTERS


def test_the_most_ordinary_of_the_worst_is_told(row):
    far = with_figures(row, max_ulp=2.0**24)
    far = replace(far, worst=replace(far.worst, inputs={"logits": "-0x1.0p+99", "labels": "0x0.0p+0"}))
    near = replace(far, worst=replace(far.worst, inputs={"logits": "0x1.0p+4", "labels": "0x1.0p+0"}))
    half = replace(near, dtype="float16", worst=replace(far.worst, inputs={"logits": "0x1.0p+0", "labels": "0x0.0p+0"}))
    assert System("a", [far, half, near]).worst is near


def test_a_difference_of_equal_numbers_is_named(row):
    cancelling = replace(row, worst=replace(row.worst, computed="0x1.8p-30", exact="0x1.0p-30"))
    assert (
        "(the difference of nearly equal numbers; its digits count as those of these)"
        in System("a", [cancelling]).sentence
    )


def test_systems(results, row):
    """What is judged is one system on all its backends, also with its rows that are not judged; the best come first."""
    judged = replace(results.rows[0], subject="own")
    rows = [
        with_figures(replace(row, subject="bad"), max_ulp=2.0**24),
        replace(row, subject="good"),
        judged,
        replace(judged, backend="jax"),
        replace(judged, backend="jax", verdict=None, kind="invariance"),
        replace(row, subject="GOOD"),
    ]
    found = systems(replace(results, rows=rows))
    assert [(system.name, len(system.rows)) for system in found] == [
        ("own, all backends", 3),
        ("GOOD on numpy", 1),
        ("good on numpy", 1),
        ("bad on numpy", 1),
    ]
    pages = [system.page for system in found]
    assert pages[0] == "own-all-backends.html"
    assert len(set(pages)) == 4
