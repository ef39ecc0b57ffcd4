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
def test_special_values(backend, dtype, quantity):
    fmt = FORMATS[dtype]
    method = loss if quantity == "value" else getattr(loss, quantity)
    for row in TABLE:
        text = getattr(row, quantity)
        if text is None:  # nothing is promised
            continue
        x, z = (backend.from_numpy(fmt.round([contract.number(a, fmt)])) for a in (row.logits, row.labels))
        got = float(backend.to_numpy(method(x, z))[0])
        expected = contract.number(text, fmt)
        with step(backend, method, f"logit {row.logits}", f"label {row.labels}", dtype):
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
