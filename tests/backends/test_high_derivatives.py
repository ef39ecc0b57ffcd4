"""Automatic differentiation of what has no closed derivative in high precision: primitives, and quotients of means."""

import numpy as np
import pytest

import xbce
from tests.helpers import jax_float64
from xbce import special

POINTS = {"expit": 0.7, "softplus": 0.7, "log_expit": -800.0, "logit": 0.3, "log1mexp": -0.5}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", POINTS)
def test_a_primitive_in_jax(name, dtype):
    jax = pytest.importorskip("jax")
    function, x = getattr(special, name), np.asarray(POINTS[name], dtype)
    with jax_float64(True):
        native, high = (
            jax.grad(lambda x, p=p: function(x, precision=p))(jax.numpy.asarray(x)) for p in ("native", "high")
        )
        np.testing.assert_allclose(high, native, rtol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("by", ["count", "weight"])
def test_a_mean_in_jax(by):
    jax = pytest.importorskip("jax")
    loss = xbce.binary_cross_entropy_with_logits
    with jax_float64(True):
        x, z, w = (jax.numpy.asarray(a) for a in ([0.3, -2.0, 1.0], [1.0, 0.0, 1.0], [1.0, 2.0, 0.3]))
        options = {"weight": w, "reduction": "mean", "normalize_by": by, "precision": "high"}
        found = jax.grad(lambda x: loss(x, z, **options))(x)
        np.testing.assert_allclose(found, loss.gradient(x, z, **options), rtol=1e-15)
