"""Inputs: regimes are what they say, deterministic, and the real data are real."""

import numpy as np
import pytest

from tests.helpers import approx
from xbce_conformance.cases import PLAIN
from xbce_conformance.inputs.datasets import BREAST_CANCER, DIGITS, detector_like_logits, real_logits
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.inputs.input_set import SEARCHED, descriptions, drawn_set
from xbce_conformance.inputs.regimes import (
    LOGIT_REGIMES,
    PROBABILITY_REGIMES,
    REGIMES,
    STRATIFIED,
    draw,
    last_normal,
)
from xbce_conformance.inputs.worst_cases import known


@pytest.mark.parametrize("regime", REGIMES)
def test_a_regime_draws_finite_arguments_of_the_format(regime):
    for fmt in FORMATS.values():
        arrays = draw(regime, fmt, 200)
        assert {array.dtype for array in arrays} == {fmt.dtype}, fmt.name
        assert {array.shape for array in arrays} == {(200,)}, fmt.name
        assert all(np.isfinite(np.float64(array)).all() for array in arrays), fmt.name
        again = draw(regime, fmt, 200)
        assert all((a == b).all() for a, b in zip(arrays, again, strict=True)), fmt.name
        assert regime in descriptions()


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)
def test_regimes(fmt):
    inputs = PLAIN.inputs(fmt, "quick")
    assert {array.dtype for array in inputs.arrays.values()} == {fmt.dtype}
    x, z = (np.float64(inputs.arrays[name]) for name in ("logits", "labels"))
    assert np.isfinite(x).all()
    assert ((z >= 0) & (z <= 1)).all()
    assert set(inputs.regimes) == {
        *LOGIT_REGIMES,
        STRATIFIED,
        *([SEARCHED] if known(fmt, PLAIN.name, PLAIN.arguments)[0].size else []),
        BREAST_CANCER,
        DIGITS,
    }
    assert set(inputs.regimes) < set(descriptions())
    assert sum(regime.stop - regime.start for regime in inputs.regimes.values()) == x.size
    for name in ("near 0", "moderate", "tail, label agrees", "tail, label disagrees", "subnormal result", "huge"):
        regime = inputs.regimes[name]
        assert inputs.hard[regime].all()
        assert (x[regime] > 0).any()
        assert (x[regime] < 0).any()
        assert set(z[regime]) == {0.0, 1.0}
    for name in ("soft near 0", "soft near 1"):
        assert not inputs.hard[inputs.regimes[name]].any()
    assert 0 in x[inputs.regimes["near 0"]]
    assert fmt.max in np.abs(x[inputs.regimes["huge"]])
    assert fmt.smallest in z[inputs.regimes["soft near 0"]]
    assert 1 - 2.0**-fmt.p in z[inputs.regimes["soft near 1"]]
    subnormal = np.exp(-np.abs(x[inputs.regimes["subnormal result"]]))
    assert (subnormal <= fmt.tiny * (1 + fmt.smallest / fmt.tiny + 0.02 * last_normal(fmt))).all()


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)
def test_probabilities(fmt):
    inputs = drawn_set(fmt, 64, PROBABILITY_REGIMES, ("probabilities", "labels", "weight", "where"))
    p, z, w, where = inputs.arrays.values()
    assert p.dtype == z.dtype == w.dtype == fmt.dtype
    assert where.dtype == np.bool_
    p, z = np.float64(p), np.float64(z)
    for array in (p, z):
        assert ((array >= 0) & (array <= 1)).all()
    for name, regime in inputs.regimes.items():
        assert regime.stop - regime.start == 64
        assert inputs.hard[regime].any() or name == "p at the label"
        assert not inputs.hard[regime].all()
    ends = inputs.regimes["p = 0, p = 1"]
    assert set(p[ends]) == {0.0, 1.0}
    assert (p[inputs.regimes["p subnormal"]] <= fmt.tiny).all()
    assert (1 - p[inputs.regimes["p near 1"]]).min() == 2.0**-fmt.p


def test_a_function_of_one_argument_has_no_labels():
    inputs = drawn_set(FORMATS["float32"], 8, LOGIT_REGIMES, ("x",))
    assert list(inputs.arrays) == ["x"]
    assert inputs.hard.all()


def test_deterministic():
    first, second = (PLAIN.inputs(FORMATS["float32"], "quick") for _ in range(2))
    for name in ("logits", "labels"):
        np.testing.assert_array_equal(first.arrays[name], second.arrays[name])


def test_real_logits_predict_their_labels():
    for name, size in (("breast cancer", 171), ("digits", 5400)):
        logits, labels = real_logits()[name]
        assert logits.size == labels.size == size
        assert ((logits > 0) == labels).mean() > 0.9


def test_detector_like_logits_are_those_described():
    logits, labels = detector_like_logits()
    assert logits.size == labels.size == 80 * 4096
    np.testing.assert_array_equal(logits, np.float32(logits))
    assert labels.mean() == approx(0.003, rel=0.1)
    for label, mean in ((0, -6), (1, 1)):
        assert abs(logits[labels == label].mean() - mean) < 0.2
        assert logits[labels == label].std() == approx(2, rel=0.1)


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)
def test_stratified(fmt):
    """Every exponent of both signs, subnormal numbers and 0 included, each with both labels."""
    inputs = PLAIN.inputs(fmt, "quick")
    x, z = (inputs.arrays[name][inputs.regimes[STRATIFIED]] for name in ("logits", "labels"))
    bits = x.view(fmt.bits)
    heads = {(int(b) >> (fmt.p - 1), float(label)) for b, label in zip(bits, z, strict=True)}
    signs_and_exponents = 2 ** (8 * fmt.dtype.itemsize - fmt.p + 1)
    assert len(heads) == 2 * (signs_and_exponents - 2)  # all but those of infinity and NaN
    assert inputs.hard[inputs.regimes[STRATIFIED]].all()
    last = float(fmt.round(last_normal(fmt)))
    for k in (-2, -1, 0, 1, 2):
        assert last + k * float(fmt.ulp(last)) in np.float64(x)
