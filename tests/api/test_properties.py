"""Identities of the loss on drawn arguments, on every backend."""

import flint
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xbce
from tests.helpers import approx, assert_ulp, larger_examples, step
from xbce_conformance import contract
from xbce_conformance.inputs.formats import FORMATS

loss = xbce.binary_cross_entropy_with_logits

# Beyond 2^-100 in both formats results of JAX are subnormal or lose subnormal terms; conformance counts those apart.
_logits = {
    name: st.floats(-limit, limit, width=width, allow_subnormal=False)
    for name, width, limit in (("float32", 32, 64.0), ("float64", 64, 640.0))
}
_labels = {
    name: st.one_of(
        st.sampled_from([0.0, 1.0]), st.floats(0, 1, width=width, allow_subnormal=False), st.floats(0.5, 1, width=width)
    )
    for name, width in (("float32", 32), ("float64", 64))
}
formats = pytest.mark.parametrize("name", ["float32", "float64"])


def _draw_pairs(data, name, size=24):
    x = data.draw(st.lists(_logits[name], min_size=size, max_size=size), label="x")
    z = data.draw(st.lists(_labels[name], min_size=size, max_size=size), label="z")
    return FORMATS[name].round(x), FORMATS[name].round(z)


@formats
@larger_examples
@given(data=st.data())
def test_mirror_of_hard_labels_is_exact(backend, name, data):
    """L(x, 1) = L(-x, 0), bit for bit; the derivatives likewise."""
    x = _draw_pairs(data, name)[0]
    plus, minus = backend.from_numpy(x), backend.from_numpy(-x)
    np.testing.assert_array_equal(backend.to_numpy(loss(plus, 1)), backend.to_numpy(loss(minus, 0)))
    np.testing.assert_array_equal(backend.to_numpy(loss.gradient(plus, 1)), -backend.to_numpy(loss.gradient(minus, 0)))
    np.testing.assert_array_equal(backend.to_numpy(loss.hessian(plus, 1)), backend.to_numpy(loss.hessian(minus, 0)))


@formats
@larger_examples
@given(data=st.data())
def test_mirror_of_soft_labels_is_exact(backend, name, data):
    """L(x, z) = L(-x, 1 - z), bit for bit, where 1 - z is exact."""
    x, _ = _draw_pairs(data, name)
    z = FORMATS[name].round(
        np.array(data.draw(st.lists(st.integers(0, 2**20), min_size=24, max_size=24), label="z")) / 2**20
    )
    left = loss(backend.from_numpy(x), backend.from_numpy(z))
    right = loss(backend.from_numpy(-x), backend.from_numpy(1 - z))
    at_zero = x == 0  # h is 1 on both sides there, so the two are computed differently
    np.testing.assert_array_equal(backend.to_numpy(left)[~at_zero], backend.to_numpy(right)[~at_zero])


@formats
@larger_examples
@given(data=st.data())
def test_value_is_positive_and_at_least_the_linear_part(backend, name, data):
    x, z = _draw_pairs(data, name)
    value = backend.to_numpy(loss(backend.from_numpy(x), backend.from_numpy(z)))
    linear = np.where(x >= 0, x * (1 - z), -x * z)
    assert (value > 0).all()
    assert (value >= linear).all()


@formats
@larger_examples
@given(data=st.data())
def test_gradient_lies_between_its_limits(backend, name, data):
    x, z = _draw_pairs(data, name)
    arrays = backend.from_numpy(x), backend.from_numpy(z)
    gradient, hessian = backend.to_numpy(loss.gradient(*arrays)), backend.to_numpy(loss.hessian(*arrays))
    assert (gradient >= -z).all()
    assert (gradient <= 1 - z + np.spacing(1 - z)).all()
    assert ((hessian > 0) & (hessian <= 0.25)).all()


@formats
@larger_examples
@given(data=st.data())
def test_gradient_is_the_slope_of_the_exact_loss(backend, name, data):
    """Against difference quotients of the definition in ball arithmetic, which shares no formula with anything."""
    x, z = _draw_pairs(data, name, size=9)
    arrays = backend.from_numpy(x), backend.from_numpy(z)
    gradient, hessian = backend.to_numpy(loss.gradient(*arrays)), backend.to_numpy(loss.hessian(*arrays))
    fmt = FORMATS[name]
    # The second difference is about 2^-1150 at the largest logits; the quotient's own error is about step^2.
    with flint.ctx.workprec(1600):
        width = flint.arb(2) ** -100
        for xi, zi, g, h in zip(x.tolist(), z.tolist(), gradient.tolist(), hessian.tolist(), strict=True):
            below, at, above = (_definition(flint.arb(xi) + k * width, flint.arb(zi)) for k in (-1, 0, 1))
            slope = float((above - below) / (2 * width))
            curvature = float((above - 2 * at + below) / width**2)
            sigmoid = 1 / (1 + (-flint.arb(xi)).exp())
            terms = float((1 - flint.arb(zi)) * sigmoid), float(flint.arb(zi) * (1 - sigmoid))
            scale = slope if zi in (0, 1) else max(terms)
            hard = zi in (0, 1)
            with step(backend, loss, xi, zi):
                bound = contract.bound("gradient", name, hard=hard, backend=backend.name)
                assert abs(g - slope) <= bound * fmt.ulp(scale)
                assert_ulp(h, curvature, contract.bound("hessian", name, hard=hard), name, context="hessian")


def _definition(x, z):
    return (1 - z) * (1 + x.exp()).log() + z * (1 + (-x).exp()).log()


@formats
@given(data=st.data())
def test_reductions_commute_with_slicing(backend, name, data):
    x, z = _draw_pairs(data, name, size=8)
    total = float(backend.to_numpy(loss(backend.from_numpy(x), backend.from_numpy(z), reduction="sum")))
    halves = [
        float(backend.to_numpy(loss(backend.from_numpy(x[s]), backend.from_numpy(z[s]), reduction="sum")))
        for s in (slice(0, 4), slice(4, 8))
    ]
    assert total == approx(sum(halves), rel=4 * float(np.finfo(name).eps))
