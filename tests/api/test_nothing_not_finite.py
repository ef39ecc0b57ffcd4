"""Nothing non-finite is made on the way to a finite result, and nothing comes of what `where` drops."""

import math

import numpy as np
import pytest

import xbce
from tests.helpers import approx, some_long, step
from xbce_conformance.subjects.backends import find_backends

find_backends(("jax",))  # float64
bce = xbce.binary_cross_entropy_with_logits

# Logits of every kind with the label that agrees, so that losses are finite; probabilities likewise.
LOGITS = ([math.inf, -math.inf, 800.0, -800.0, 40.0, 0.0, -0.0, 3.0], [1, 0, 1, 0, 1, 1, 0, 0.25])
PROBABILITIES = ([1.0, 0.0, 1e-310, 1e-30, 0.5, 0.25], [1, 0, 0, 0, 1, 0.25])


def finite_results(loss, options, probabilities):
    """Return scores and labels, and the derivatives in the scores there."""
    scores, labels = (np.array(a) for a in (PROBABILITIES if probabilities else LOGITS))
    if "label_smoothing" in options:  # the label of an infinite logit agrees no more
        scores, labels = scores[2:], labels[2:]
    gradient, hessian = loss.gradient_and_hessian(scores, labels, **options)
    assert np.isfinite(loss(scores, labels, **options)).all()
    assert np.isfinite(gradient).all()
    assert np.isfinite(hessian).all()
    return scores, labels, gradient, hessian


@pytest.mark.parametrize("jitted", some_long({"eager": False, "jitted": True}, {"eager"}))
def test_jax_debug_nans_is_silent(loss, options, probabilities, jitted):
    jax = pytest.importorskip("jax")
    x, z, gradient, hessian = finite_results(loss, options, probabilities)

    def all_of_them(x, z):
        total = lambda x: loss(x, z, **options).sum()  # noqa: E731
        slope = jax.grad(total)
        return (
            *loss.value_and_gradient(x, z, **options),
            slope(x),
            jax.jvp(slope, (x,), (jax.numpy.ones_like(x),))[1],
            loss.label_gradient(x[4:], z[4:], **options),  # infinite where the logit is
        )

    with jax.debug_nans(True):
        results = (jax.jit(all_of_them) if jitted else all_of_them)(jax.numpy.asarray(x), jax.numpy.asarray(z))
    np.testing.assert_allclose(results[2], gradient, rtol=1e-13, atol=1e-300)
    np.testing.assert_allclose(results[3], hessian, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("zero", ["pos_weight", "weight"])
def test_jax_debug_nans_is_silent_where_a_weight_is_zero(zero):
    jax = pytest.importorskip("jax")
    x, z = (jax.numpy.asarray(a) for a in ([-math.inf, 5.0, -3.0], [1.0, 1.0, 1.0]))
    weights = {zero: jax.numpy.asarray(0.0)}
    if zero == "weight":
        x = x[1:]
        z = z[1:]
    with jax.debug_nans(True):
        value, gradient = bce.value_and_gradient(x, z, **weights)
    assert (value == 0).all()
    assert (gradient == 0).all()


def test_exported_losses_have_their_gradients(loss, options, probabilities):
    """An exported program is differentiated operation by operation: no closed form helps."""
    torch = pytest.importorskip("torch")
    x, z, gradient, _ = finite_results(loss, options, probabilities)

    class Module(torch.nn.Module):
        def forward(self, x, z):
            return loss(x, z, **options)

    x, z = torch.asarray(x).requires_grad_(), torch.asarray(z)
    exported = torch.export.export(Module(), (x, z)).module()
    exported(x, z).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), gradient, rtol=1e-10, atol=1e-290)


X, Z = [[1.0, 2], [3, 4]], [[1.0, 0], [1, 0]]
KEPT = [[True, True], [False, False]]


def test_a_row_that_is_dropped_whole_and_a_parameter_that_all_share():
    """The mean of that row is NaN, and `nanmean` leaves it out; 0 times its cotangent is NaN."""
    exact = approx(0.7463263673, rel=1e-9)  # mpmath
    jax, torch = pytest.importorskip("jax"), pytest.importorskip("torch")
    options = {"reduction": "mean", "axis": -1}
    x, z, kept = (jax.numpy.asarray(a) for a in (X, Z, KEPT))
    for derivative in (jax.grad, jax.jacfwd):
        with step("jax", derivative, bce):
            assert derivative(lambda w: jax.numpy.nanmean(bce(w * x, z, where=kept, **options)))(1.0) == exact

    x, z, kept = (torch.asarray(a) for a in (X, Z, KEPT))
    w = torch.tensor(1.0, requires_grad=True)
    bce(w * x, z, where=kept, **options).nanmean().backward()
    assert w.grad.item() == approx(0.7463263673, rel=1e-6)


def test_what_is_dropped_has_derivatives_that_are_nan(loss, options, probabilities):
    """log(0) - log(0) is NaN where it is dropped, and so is its derivative, in all parameters."""
    jax = pytest.importorskip("jax")
    kept = jax.numpy.asarray(KEPT)
    z = jax.numpy.asarray(Z)
    scale = 0.1 if probabilities else 1.0

    def mean(p):
        return loss(scale * (p + (jax.numpy.log(p) - jax.numpy.log(p))), z, where=kept, reduction="mean", **options)

    p = jax.numpy.asarray([[1.0, 2], [0, 0]])
    got = jax.jacfwd(mean)(p)
    wanted = scale * loss.gradient(scale * p, z, where=kept, reduction="mean", **options)
    np.testing.assert_allclose(got, wanted, rtol=1e-14)


@pytest.mark.parametrize("library", ["jax", "torch"])
def test_mixed_derivatives_of_what_is_dropped(library):
    """These have no closed form: the library differentiates operation by operation."""
    loss = xbce.sigmoid_focal_loss
    if library == "torch":
        torch = pytest.importorskip("torch")
        x = torch.tensor(X, requires_grad=True)
        z = torch.tensor(Z, requires_grad=True)
        kept = torch.asarray(KEPT)
        slope = torch.autograd.grad(loss(x, z, where=kept, reduction="sum"), x, create_graph=True)[0]
        factor = torch.tensor([[1.0, 2.0], [math.nan, math.inf]])
        mixed = torch.autograd.grad(slope, z, factor)[0].numpy()
    else:
        jax = pytest.importorskip("jax")
        x, z, kept = (jax.numpy.asarray(a) for a in (X, Z, KEPT))
        slope = jax.grad(lambda x, z: loss(x, z, where=kept, reduction="sum"))
        tangent = jax.numpy.asarray([[1.0, 2.0], [math.nan, math.inf]])
        mixed = np.asarray(jax.jvp(lambda z: slope(x, z), (z,), (tangent,))[1])
    assert (mixed[1] == 0).all()
    step = 1e-6
    x, z = np.array(X), np.array(Z)
    numeric = (loss.gradient(x, z + step) - loss.gradient(x, z - step)) / (2 * step) * [[1, 2], [0, 0]]
    np.testing.assert_allclose(mixed, numeric, rtol=1e-5)
