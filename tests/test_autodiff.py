"""PyTorch and JAX differentiate the loss to its closed forms, also at 0, in the tails and at infinity."""

import numpy as np
import pytest

import xbce

loss = xbce.binary_cross_entropy_with_logits
LOGITS = [0.0, -0.0, 40.0, -40.0, 700.0, -700.0, 1.5, -1e-300, np.inf, -np.inf]
labels = pytest.mark.parametrize("label", [0.0, 1.0, 0.25])


@labels
def test_torch_backward(label):
    torch = pytest.importorskip("torch")
    x = torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True)
    z = torch.full_like(x.detach(), label)
    loss(x, z, reduction="sum").backward()
    np.testing.assert_allclose(x.grad, loss.gradient(x.detach(), z), rtol=1e-15, atol=0)


@labels
def test_jax_grad(label):
    jax = pytest.importorskip("jax")
    x = jax.numpy.asarray(LOGITS[:-3] + LOGITS[-2:])
    z = jax.numpy.full_like(x, label)
    gradient = jax.grad(lambda x: loss(x, z, reduction="sum"))(x)
    np.testing.assert_allclose(gradient, loss.gradient(x, z), rtol=1e-15, atol=0)


def test_right_where_torch_itself_is_zero():
    torch = pytest.importorskip("torch")
    x = torch.tensor(40.0, dtype=torch.float64, requires_grad=True)
    loss(x, 1).backward()
    assert x.grad.item() == pytest.approx(-4.248354255291589e-18, rel=1e-15)
    x.grad = None
    torch.nn.functional.binary_cross_entropy_with_logits(x, torch.ones_like(x.detach())).backward()
    assert x.grad.item() == 0


def test_labels_have_a_derivative():
    torch = pytest.importorskip("torch")
    x = torch.tensor([-3.0, 0.0, 5.0, 200.0])
    z = torch.tensor([0.0, 1.0, 1.0, 1.0], requires_grad=True)
    loss(x, z, reduction="sum").backward()
    np.testing.assert_array_equal(z.grad, -x)
