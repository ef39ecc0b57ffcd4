"""The hardest results to round in float32: high precision rounds each correctly, on every backend."""

import numpy as np
import pytest

import xbce
from tests.helpers import step
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.inputs.hard_cases import hard_cases
from xbce_conformance.subjects.backends import find_backends

SINGLE = FORMATS["float32"]
CASES = {"value": 134, "gradient": 827, "hessian": 33}


@pytest.mark.parametrize(("quantity", "count"), CASES.items(), ids=CASES)
def test_each_is_rounded_correctly(quantity, count):
    x, z, right = hard_cases(quantity)
    assert x.size == 2 * count
    loss = xbce.binary_cross_entropy_with_logits
    method = loss if quantity == "value" else getattr(loss, quantity)
    for backend in find_backends()[0].values():
        with step(backend, method):
            got = backend.to_numpy(method(backend.from_numpy(x), backend.from_numpy(z), precision="high"))
            # JAX's conversion to float32 also takes to 0 what rounds up to the smallest normal number.
            flushed = backend.flushes_subnormals(SINGLE) & (np.abs(right) <= SINGLE.tiny) & (got == 0)
            np.testing.assert_array_equal(got[~flushed], right[~flushed])


@pytest.mark.parametrize("quantity", CASES)
def test_native_precision_misses_some(quantity):
    """They are hard: the test above can fail."""
    x, z, right = hard_cases(quantity)
    loss = xbce.binary_cross_entropy_with_logits
    got = loss(x, z) if quantity == "value" else getattr(loss, quantity)(x, z)
    assert (got != right).sum() > x.size / 10
