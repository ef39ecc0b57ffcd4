"""Inputs: regimes are what they say, deterministic, and the real data are real."""

import numpy as np
import pytest

from xbce_conformance.formats import FORMATS
from xbce_conformance.inputs import descriptions, input_set, last_normal, real_logits


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)
def test_regimes(fmt):
    inputs = input_set(fmt, "quick")
    x, z = np.float64(inputs.logits), np.float64(inputs.labels)
    assert inputs.logits.dtype == inputs.labels.dtype == fmt.dtype
    assert np.isfinite(x).all()
    assert ((z >= 0) & (z <= 1)).all()
    assert set(inputs.parts) == set(descriptions())
    assert sum(part.stop - part.start for part in inputs.parts.values()) == x.size
    for name in ("near 0", "moderate", "tail, label agrees", "tail, label disagrees", "subnormal result", "huge"):
        part = inputs.parts[name]
        assert inputs.hard[part].all()
        assert (x[part] > 0).any()
        assert (x[part] < 0).any()
        assert set(z[part]) == {0.0, 1.0}
    for name in ("soft near 0", "soft near 1"):
        assert not inputs.hard[inputs.parts[name]].any()
    assert 0 in x[inputs.parts["near 0"]]
    assert fmt.max in np.abs(x[inputs.parts["huge"]])
    assert fmt.smallest in z[inputs.parts["soft near 0"]]
    assert 1 - 2.0**-fmt.p in z[inputs.parts["soft near 1"]]
    subnormal = np.exp(-np.abs(x[inputs.parts["subnormal result"]]))
    assert (subnormal <= fmt.tiny * (1 + fmt.smallest / fmt.tiny + 0.02 * last_normal(fmt))).all()


def test_deterministic():
    first, second = (input_set(FORMATS["float32"], "quick") for _ in range(2))
    np.testing.assert_array_equal(first.logits, second.logits)
    np.testing.assert_array_equal(first.labels, second.labels)


def test_real_logits_predict_their_labels():
    for name, size in (("breast cancer", 171), ("digits", 5400)):
        logits, labels = real_logits()[name]
        assert logits.size == labels.size == size
        assert ((logits > 0) == labels).mean() > 0.9
