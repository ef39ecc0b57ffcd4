"""torch.compile takes the losses whole: the same dtype, values, derivatives and errors as without it."""

from functools import partial

import pytest

import xbce
from tests.helpers import approx

torch = pytest.importorskip("torch")

bce = xbce.binary_cross_entropy_with_logits
FAMILY = {
    "with_logits": partial(bce, reduction="mean"),
    "with_logits, all options": partial(bce, reduction="mean", axis=1, normalize_by="weight", label_smoothing=0.1),
    "focal": partial(xbce.sigmoid_focal_loss, gamma=0.5, alpha=0.25, reduction="mean"),
    "asymmetric": partial(xbce.asymmetric_loss, shift=0.05, reduction="mean"),
    "probabilities": partial(xbce.binary_cross_entropy, log_floor=-100, reduction="mean"),
    "reduce": lambda x, _z: xbce.reduce(x, reduction="mean"),
    "special": lambda x, _z: xbce.special.log1mexp(-xbce.special.softplus(x)).sum(),
}


@pytest.fixture(autouse=True)
def _forget_compiled():
    torch._dynamo.reset()


def compiled(function, **options):
    """Trace all of it, forward and backward; the code that the default compiler makes is tested by some."""
    return torch.compile(function, fullgraph=True, **{"backend": "aot_eager", **options})


@pytest.mark.parametrize("loss", FAMILY.values(), ids=FAMILY)
def test_forward_and_backward_with_dynamic_shapes(loss):
    traced = compiled(loss, dynamic=True)
    weights = {}
    if "label_smoothing" in getattr(loss, "keywords", {}):
        weights = {"weight": torch.rand(3), "pos_weight": torch.rand(3), "where": torch.tensor([True, True, False])}
    with torch._dynamo.config.patch(error_on_recompile=True):
        for n in (5, 11):
            x, z = torch.rand(n, 3, dtype=torch.float64).requires_grad_(), torch.rand(n, 3, dtype=torch.float64)
            value, wanted = traced(x, z, **weights), loss(x, z, **weights)
            assert value.dtype == wanted.dtype
            torch.testing.assert_close(value, wanted, rtol=1e-15, atol=0)
            (gradient,) = torch.autograd.grad(value.sum(), x)
            torch.testing.assert_close(gradient, torch.autograd.grad(wanted.sum(), x)[0], rtol=1e-13, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_default_compiler(dtype):
    """The compiler writes a kernel of its own, with its own exp and log1p: a few ULP."""
    inf = torch.tensor([torch.inf, torch.inf, -torch.inf, -torch.inf])
    x = torch.cat([torch.linspace(-30, 30, 241), inf]).to(dtype).requires_grad_()
    z = (torch.arange(245) % 3 == 0).to(dtype)
    z[241:] = torch.tensor([0, 1, 0, 1])
    value = torch.compile(bce, fullgraph=True)(x, z)
    assert value.dtype == dtype
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(value, bce(x, z), rtol=4 * eps, atol=0)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    torch.testing.assert_close(gradient, bce.gradient(x.detach(), z), rtol=8 * eps, atol=torch.finfo(dtype).tiny)


def test_gradient_in_the_tail():
    x = torch.tensor([40.0, -40.0], dtype=torch.float64, requires_grad=True)
    value = torch.compile(partial(bce, reduction="sum"), fullgraph=True)(x, torch.tensor([1.0, 0.0]))
    value.backward()
    assert x.grad.tolist() == approx([-4.248354255291589e-18, 4.248354255291589e-18], rel=1e-15)


TRANSFORMS = {
    "grad": (lambda f: torch.func.grad(lambda x, z: f(x, z).sum()), bce.gradient),
    "vmap of grad": (lambda f: torch.func.vmap(torch.func.grad(f)), bce.gradient),
    "jvp": (lambda f: lambda x, z: torch.func.jvp(lambda x: f(x, z), (x,), (torch.ones_like(x),))[1], bce.gradient),
    "jacrev twice": (lambda f: lambda x, z: hessian(torch.func.jacrev(torch.func.jacrev(total(f)))(x, z)), bce.hessian),
    "hessian": (lambda f: lambda x, z: hessian(torch.func.hessian(total(f))(x, z)), bce.hessian),
    "value_and_gradient": (lambda _f: lambda x, z: bce.value_and_gradient(x, z)[1], bce.gradient),
}


def total(function):
    return lambda x, z: function(x, z).sum()


def hessian(matrix):
    return matrix.diagonal()


@pytest.mark.parametrize(("transform", "closed"), TRANSFORMS.values(), ids=TRANSFORMS)
def test_transforms_inside(transform, closed):
    x = torch.tensor([40.0, -40.0, 0.0, 1.5, float("inf"), -700.0], dtype=torch.float64)
    z = torch.tensor([1.0, 0.0, 0.25, 0.5, 1.0, 1.0], dtype=torch.float64)
    got = compiled(transform(bce))(x, z)
    torch.testing.assert_close(got, closed(x, z), rtol=1e-15, atol=0)


def test_autocast_inside():
    x = torch.randn(8, dtype=torch.bfloat16)

    def loss(x, z):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return bce(x, z, reduction="mean")

    value = compiled(loss)(x, torch.ones(8))
    assert value.dtype == torch.float32
    assert value == loss(x, torch.ones(8))


BAD = {
    "integer logits": lambda x, z: bce(x.long(), z),
    "shapes": lambda x, z: bce(x, z[:, :1]),
    "option": lambda x, z: bce(x, z, label_smoothing=2.0),
    "weight enlarges": lambda x, z: bce(x, z, weight=torch.ones(2, 1, 1)),
}


@pytest.mark.parametrize("call", BAD.values(), ids=BAD)
def test_errors_are_the_same(call):
    x, z = torch.randn(4, 3), torch.rand(4, 3)
    with pytest.raises((TypeError, ValueError)) as eager:
        call(x, z)
    with pytest.raises(Exception) as traced:  # noqa: PT011
        torch.compile(call, backend="aot_eager")(x, z)
    assert str(eager.value) in str(traced.value)
