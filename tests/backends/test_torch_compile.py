"""torch.compile takes the losses whole: the same dtype, values, derivatives and errors as without it."""

from functools import partial

import numpy as np
import pytest

import xbce
from tests.helpers import approx, some_long, step
from xbce_conformance.cases import WITH_NUMBERS

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.thread_unsafe(reason="torch.compile traces one function at a time")

bce = xbce.binary_cross_entropy_with_logits
FAMILY = {
    **{
        case.name: partial(getattr(xbce, case.function), **dict(case.options), reduction="mean")
        for case in WITH_NUMBERS
    },
    "with_logits, all options": partial(bce, reduction="mean", axis=1, normalize_by="weight", label_smoothing=0.1),
    "reduce": lambda x, _z: xbce.reduce(x, reduction="mean"),
    "special": lambda x, _z: xbce.special.log1mexp(-xbce.special.softplus(x)).sum(),
}


@pytest.fixture(autouse=True)
def _forget_compiled():
    torch._dynamo.reset()


USUAL_DTYPES = {"torch.float64", "torch.bfloat16"}  # tests/api/test_exact_options.py compiles float32


def compiled(function, **options):
    """Trace all of it, forward and backward; the code that the default compiler makes is tested by some."""
    return torch.compile(function, fullgraph=True, **{"backend": "aot_eager", **options})


@pytest.mark.parametrize("loss", some_long(FAMILY, {"with_logits, all options"}))
def test_forward_and_backward_with_dynamic_shapes(loss):
    traced = compiled(loss, dynamic=True)
    weights = {}
    if "label_smoothing" in getattr(loss, "keywords", {}):
        weights = {"weight": torch.rand(3), "pos_weight": torch.rand(3), "where": torch.tensor([True, True, False])}
    with torch._dynamo.config.patch(error_on_recompile=True):
        for n in (5, 11):
            with step("torch", loss, n):
                x, z = torch.rand(n, 3, dtype=torch.float64).requires_grad_(), torch.rand(n, 3, dtype=torch.float64)
                value, wanted = traced(x, z, **weights), loss(x, z, **weights)
                assert value.dtype == wanted.dtype
                torch.testing.assert_close(value, wanted, rtol=1e-15, atol=0)
                (gradient,) = torch.autograd.grad(value.sum(), x)
                torch.testing.assert_close(gradient, torch.autograd.grad(wanted.sum(), x)[0], rtol=1e-13, atol=0)


@pytest.mark.parametrize(
    "dtype", some_long({str(d): d for d in (torch.float32, torch.float64, torch.bfloat16, torch.float16)}, USUAL_DTYPES)
)
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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_compiled_losses_keep_the_bound(dtype):
    x = torch.cat([torch.linspace(-30, 30, 5001), torch.tensor([0.0, -0.0, 80.0, -80.0])]).to(dtype)
    z = (x > 0).to(dtype) * 0.75
    exact = bce(x.numpy().astype(np.float64), z.numpy().astype(np.float64), precision="high")
    got = torch.compile(bce, fullgraph=True)(x, z).numpy()
    error = np.abs(got - exact) / np.spacing(exact.astype(got.dtype)).astype(np.float64)
    assert error.max() <= 3


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
    torch.testing.assert_close(value, loss(x, torch.ones(8)), rtol=2.5e-7, atol=0)  # two ULP, for the series


def selected(function, **options):
    """Return a loss of what a mask selects, whose length no compiler knows."""

    def loss(x, z, w, mask):
        arrays = {name: w[mask] if value == "w" else value for name, value in options.items()}
        return function(x[mask], z[mask], **arrays)

    return loss


DATA_DEPENDENT = {
    **{
        f"{name} by {by}": selected(method, weight="w", reduction="mean", normalize_by=by)
        for by in ("count", "size", "weight", "nonzero", "batch")
        for name, method in {"mean": bce, "gradient": bce.gradient}.items()
    },
    "no weight": selected(bce, reduction="mean"),
    "no weight, gradient": selected(bce.gradient, reduction="mean"),
    "focal": selected(xbce.sigmoid_focal_loss, reduction="mean"),
    "reduce": lambda x, z, _, mask: xbce.reduce(bce(x[mask], z[mask])),
    "rows": lambda x, z, w, mask: bce(x[mask[:, 0]], z[mask[:, 0]], weight=w[:, :1][mask[:, 0]], reduction="mean"),
    "number as pos_weight": lambda x, z, w, mask: bce(x[mask], z[mask], pos_weight=w.sum().item(), reduction="mean"),
    "number as weight": lambda x, z, w, mask: bce(x, z, weight=w.sum().item(), where=mask, reduction="mean"),
    "count as weight": lambda x, z, _, mask: bce(x, z, weight=mask.sum().item(), reduction="mean"),
    "number as label": lambda x, z, *_: bce(x, z[0, 0].item(), reduction="mean"),
    "NumPy's number": lambda x, z, *_: bce(x, z, weight=np.float32(0.1), pos_weight=np.int64(2)),
}
USUAL = {"mean by count", "gradient by nonzero", "no weight", "reduce", "number as pos_weight", "count as weight"}
data_dependent = pytest.mark.parametrize("loss", some_long(DATA_DEPENDENT, USUAL))


def data_of(seed):
    """Return logits, labels, weights and a mask; for None a mask that selects nothing."""
    generator = torch.Generator().manual_seed(seed or 0)
    x, z, w = (torch.rand(6, 4, generator=generator, dtype=torch.float64) for _ in range(3))
    return 8 * x - 4, z, w, (x > 0.4) & (seed is not None)


def assert_alike(got, wanted):
    torch.testing.assert_close(got, wanted, rtol=1e-15, atol=0, equal_nan=True)


@data_dependent
def test_sizes_and_numbers_that_depend_on_data(loss):
    traced = compiled(loss)
    with torch._dynamo.config.patch(
        capture_dynamic_output_shape_ops=True, capture_scalar_outputs=True, error_on_recompile=True
    ):
        for seed in (0, 1, None):
            x, *rest = data_of(seed)
            x.requires_grad_()
            got, wanted = traced(x, *rest), loss(x, *rest)
            assert_alike(got, wanted)
            assert_alike(*(torch.autograd.grad(value.sum(), x) for value in (got, wanted)))


@data_dependent
def test_export_of_sizes_and_numbers_that_depend_on_data(loss):
    class Model(torch.nn.Module):
        def forward(self, x, z, w, mask):
            return loss(x, z, w, mask)

    exported = torch.export.export(Model(), data_of(0)).module()
    for seed in (0, 1, None):
        assert_alike(exported(*data_of(seed)), loss(*data_of(seed)))


@pytest.mark.parametrize("loss", [bce, partial(xbce.sigmoid_focal_loss, gamma=2.0)], ids=["with_logits", "focal"])
def test_derivatives_of_an_exported_loss(loss):
    """PyTorch differentiates the operations: also where a factor is 0."""

    class Model(torch.nn.Module):
        def forward(self, x, z):
            return loss(x, z)

    x, z = torch.tensor([2.0, -3.0, 0.0, 1.5]), torch.tensor([1.0, 0.0, 1.0, 0.25])
    exported = torch.export.export(Model(), (x, z)).module()
    arrays = x.requires_grad_(), z.requires_grad_()
    for got, wanted in zip(*(torch.autograd.grad(f(*arrays).sum(), arrays) for f in (exported, loss)), strict=True):
        torch.testing.assert_close(got, wanted)


def test_mean_of_nothing_that_was_selected():
    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
        assert compiled(DATA_DEPENDENT["no weight"])(*data_of(None)).isnan()


def test_shapes_that_differ_whatever_the_data():
    x, z, _, mask = data_of(0)
    traced = torch.compile(lambda x, z, mask: bce(x[mask], z), backend="aot_eager")
    error = pytest.raises(Exception, match="labels must have the shape of logits")
    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True), error:
        traced(x, z, mask)


def test_negative_number_is_refused_in_compiled_code():
    with pytest.raises(Exception, match="pos_weight must not be negative or NaN, got -1"):
        torch.compile(lambda x: bce(x, x, pos_weight=-1.0), backend="aot_eager")(torch.zeros(3))


def test_mean_of_a_nested_tensor():
    x = torch.nested.nested_tensor([torch.tensor([1.0, 2, 3]), torch.tensor([-1.0, 0])], layout=torch.jagged)
    loss = partial(bce, reduction="mean")
    traced = compiled(loss)
    assert_alike(traced(x.to(torch.float64), 1.0), loss(x.to(torch.float64), 1.0))


BAD = {
    "integer logits": lambda x, z: bce(x.long(), z),
    "shapes": lambda x, z: bce(x, z[:, :1]),
    "option": lambda x, z: bce(x, z, label_smoothing=2.0),
    "weight enlarges": lambda x, z: bce(x, z, weight=torch.ones(2, 1, 1)),
}


@pytest.mark.parametrize("call", some_long(BAD, {"shapes"}))
def test_errors_are_the_same(call):
    x, z = torch.randn(4, 3), torch.rand(4, 3)
    with pytest.raises((TypeError, ValueError)) as eager:
        call(x, z)
    with pytest.raises(Exception) as traced:  # noqa: PT011
        torch.compile(call, backend="aot_eager")(x, z)
    assert str(eager.value) in str(traced.value)
