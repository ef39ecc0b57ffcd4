"""Automatic differentiation of what has no closed derivative in high precision: primitives, and quotients of means."""

import numpy as np
import pytest

import xbce
from tests.helpers import jax_float64
from xbce import special
from xbce._backends import quick_way

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


@pytest.mark.parametrize("by", ["count", "weight"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_step_in_torch(monkeypatch, reduction, by):
    torch = pytest.importorskip("torch")
    loss, random = xbce.binary_cross_entropy_with_logits, np.random.default_rng(4)
    x, z, w = (torch.tensor(random.random(200) * a - b, dtype=torch.float32) for a, b in ((20, 10), (1, 0), (3, 0)))
    options = {"weight": w.requires_grad_(), "reduction": reduction, "precision": "high"}
    if reduction == "mean":
        options["normalize_by"] = by

    def step():
        leaf = x.clone().requires_grad_()
        value = loss(leaf, z, **options)
        return [value.detach(), *torch.autograd.grad(value * 3, (leaf, w))]

    found = step()
    with monkeypatch.context() as patch:
        patch.setattr(quick_way.QuickWay, "_results", lambda *_: None)
        by_pairs = step()
    assert found[0] == by_pairs[0]
    for a, b in zip(found[1:], by_pairs[1:], strict=True):
        np.testing.assert_array_max_ulp(a.numpy(), b.numpy(), maxulp=1)
    with torch.no_grad():
        np.testing.assert_array_max_ulp(found[1].numpy(), 3 * loss.gradient(x, z, **options).numpy(), maxulp=1)


def test_a_second_derivative_of_a_sum_in_torch():
    torch = pytest.importorskip("torch")
    loss = xbce.binary_cross_entropy_with_logits
    x, z = torch.linspace(-5, 5, 30, requires_grad=True), torch.ones(30)
    (slope,) = torch.autograd.grad(loss(x, z, reduction="sum", precision="high"), x, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), x)
    np.testing.assert_array_equal(curvature.numpy(), loss.hessian(x, z, precision="high").detach().numpy())
