"""Infinite, NaN, zero and largest logits: the table of special values, on every backend and dtype."""

import math

import numpy as np
import pytest

import xbce
from tests.helpers import step
from xbce_conformance import contract
from xbce_conformance.inputs.formats import FORMATS

loss = xbce.binary_cross_entropy_with_logits
TABLE = contract.special_values()


@pytest.mark.parametrize("quantity", ["value", "gradient", "hessian"])
@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"logit {row.logits}, label {row.labels}")
def test_special_value(backend, dtype, row, quantity):
    text = getattr(row, quantity)
    if text is None:
        pytest.skip("nothing is promised")
    fmt = FORMATS[dtype]
    x, z = (backend.from_numpy(fmt.round([contract.number(a, fmt)])) for a in (row.logits, row.labels))
    method = loss if quantity == "value" else getattr(loss, quantity)
    got = float(backend.to_numpy(method(x, z))[0])
    expected = contract.number(text, fmt)
    if math.isnan(expected):
        assert math.isnan(got)
    elif text == "log 2":
        assert abs(got - expected) <= fmt.ulp(expected)
    else:
        assert got == expected


def test_special_values_do_not_spread(backend, dtype):
    fmt = FORMATS[dtype]
    x = backend.from_numpy(fmt.round([np.nan, 1.0, np.inf, 2.0]))
    for method in (loss, loss.gradient, loss.hessian):
        got = backend.to_numpy(method(x, 1))
        alone = backend.to_numpy(method(backend.from_numpy(fmt.round([1.0, 2.0])), 1))
        with step(backend, method):
            np.testing.assert_array_equal(got[[1, 3]], alone)
