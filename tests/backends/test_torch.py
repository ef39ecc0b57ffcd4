"""PyTorch: derivatives in every mode, under transforms, compiled, under autocast; and what is kept for them."""

import math
import subprocess
import sys

import pytest

import xbce
import xbce._backends.torch_prepared as torch_prepared
from tests.helpers import approx, forget_plans, saved_for_backward, some_long, step

torch = pytest.importorskip("torch")

bce = xbce.binary_cross_entropy_with_logits
one_level = pytest.mark.thread_unsafe(reason="PyTorch has one level of forward mode in a process")


def arguments(*, probabilities=False, requires_grad=True, seed=0):
    """Return scores, labels, pos_weight and weight that broadcast, in float64."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(low, high, *shape):
        return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)

    scores = uniform(0.05, 0.95, 3, 2) if probabilities else uniform(-4, 4, 3, 2)
    arrays = (scores, uniform(0.05, 0.95, 3, 2), uniform(0.5, 2, 2), uniform(0.5, 2, 3, 1))
    return tuple(a.requires_grad_(requires_grad) for a in arrays)


KEPT = [[True, False], [True, True], [True, True]]
REDUCTIONS = {
    "elementwise": {},
    "mean": {"reduction": "mean"},
    "sum over an axis": {"reduction": "sum", "axis": 0},
    "weighted mean over an axis": {"reduction": "mean", "normalize_by": "weight", "axis": 1},
}


@one_level
@pytest.mark.parametrize("reduced", some_long(REDUCTIONS, {"mean"}))
def test_gradcheck_of_all_arguments_in_all_modes(loss, options, probabilities, reduced):
    def function(x, z, p, w):
        return loss(x, z, pos_weight=p, weight=w, where=torch.tensor(KEPT), **options, **reduced)

    arrays = arguments(probabilities=probabilities)
    # One reduction is enough for what is slow.
    batched = {"check_batched_grad": True} if reduced.get("axis") == 1 else {}
    assert torch.autograd.gradcheck(function, arrays, check_forward_ad=True, **batched)
    assert torch.autograd.gradgradcheck(function, arrays, check_fwd_over_rev=True, **batched)


@one_level
@pytest.mark.parametrize("method", ["gradient", "label_gradient", "value_and_gradient"])
def test_methods_differentiate_too(method):
    def function(x, z, p, w):
        return getattr(bce, method)(x, z, pos_weight=p, weight=w, reduction="mean", axis=0)

    assert torch.autograd.gradcheck(function, arguments(), check_forward_ad=True)


@one_level
def test_reduce_differentiates():
    def function(losses, weight):
        return xbce.reduce(losses, weight=weight, where=torch.tensor(KEPT), normalize_by="weight", axis=0)

    losses, _, _, weight = arguments()
    assert torch.autograd.gradcheck(function, (losses, weight), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(function, (losses, weight))


@one_level
def test_gradient_in_the_tail_is_the_same_in_every_mode():
    x, one = torch.tensor(40.0, dtype=torch.float64, requires_grad=True), torch.tensor(1.0, dtype=torch.float64)

    def loss(x):
        return bce(x, one)

    exact = approx(-4.248354255291589e-18, rel=1e-15)
    loss(x).backward()
    assert x.grad.item() == exact
    x = x.detach()
    assert bce.gradient(x, one).item() == exact
    assert torch.func.grad(loss)(x).item() == exact
    assert torch.func.jvp(loss, (x,), (one,))[1].item() == exact
    assert torch.func.jacrev(loss)(x).item() == exact
    assert torch.func.jacfwd(loss)(x).item() == exact
    curvature = approx(4.248354255291589e-18, rel=1e-15)
    assert bce.hessian(x, one).item() == curvature
    assert torch.func.hessian(loss)(x).item() == curvature
    assert torch.func.jacrev(torch.func.jacrev(loss))(x).item() == curvature
    assert torch.func.jacfwd(torch.func.jacfwd(loss))(x).item() == curvature
    assert torch.autograd.functional.hessian(loss, x).item() == curvature


def test_right_where_the_native_loss_is_zero():
    x, one = torch.tensor(40.0, dtype=torch.float64, requires_grad=True), torch.tensor(1.0, dtype=torch.float64)
    torch.nn.functional.binary_cross_entropy_with_logits(x, one).backward()
    assert x.grad.item() == 0
    x.grad = None
    bce(x, one).backward()
    assert x.grad.item() < 0


def test_transforms_give_the_closed_forms(loss, options, probabilities):
    x, z, p, w = arguments(probabilities=probabilities, requires_grad=False)

    def mean(x, z, w):
        return loss(x, z, pos_weight=p, weight=w, reduction="mean", **options)

    closed = {"pos_weight": p, "weight": w, "reduction": "mean", **options}
    torch.testing.assert_close(
        torch.func.grad(mean, (0, 1))(x, z, w),
        (loss.gradient(x, z, **closed), loss.label_gradient(x, z, **closed)),
        rtol=1e-13,
        atol=1e-15,
    )
    # Per sample: each row is a batch of its own.
    rows = torch.func.vmap(torch.func.grad(mean))(x, z, w)
    for i in range(3):
        with step("torch", loss, i, **options):
            torch.testing.assert_close(rows[i], torch.func.grad(mean)(x[i], z[i], w[i]), rtol=1e-13, atol=1e-15)
    columns = torch.func.vmap(lambda x, z: loss(x, z, **options), in_dims=1, out_dims=1)(x, z)
    torch.testing.assert_close(columns, loss(x, z, **options), rtol=0, atol=0)
    # What is not batched is shared, the logits too.
    shared = torch.func.vmap(lambda z: loss.label_gradient(x, z, **options))(torch.stack([z, z]))
    torch.testing.assert_close(shared[1], loss.label_gradient(x, z, **options), rtol=0, atol=0)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_derivatives_at_infinity(reduction):
    inf = float("inf")
    x = torch.tensor([inf, inf, -inf, -inf, 0.0, -0.0], dtype=torch.float64, requires_grad=True)
    z = torch.tensor([1.0, 0.0, 0.0, 1.0, 0.25, 1.0], dtype=torch.float64, requires_grad=True)
    scale = 6 if reduction == "mean" else 1
    (gradient,) = torch.autograd.grad(bce(x, z, reduction=reduction).sum(), x, create_graph=True)
    wanted = torch.tensor([0, 1, 0, -1, 0.25, -0.5], dtype=torch.float64)
    torch.testing.assert_close(gradient * scale, wanted, rtol=1e-15, atol=0)
    (hessian,) = torch.autograd.grad(gradient.sum(), x)
    wanted = torch.tensor([0, 0, 0, 0, 0.25, 0.25], dtype=torch.float64)
    torch.testing.assert_close(hessian * scale, wanted, rtol=1e-15, atol=0)
    (labels,) = torch.autograd.grad(bce(x, z, reduction=reduction).sum(), z)
    torch.testing.assert_close(labels * scale, -x.detach(), rtol=0, atol=0)


@pytest.mark.parametrize("gamma", [0.25, 0.5, 1.0, 2.0])
def test_focal_loss_has_finite_derivatives_far_in_the_tail(gamma):
    x = torch.tensor([-700.0, -50.0, 0.0, 50.0, 700.0, 1e5], dtype=torch.float64, requires_grad=True)
    z = torch.ones_like(x.detach())
    (gradient,) = torch.autograd.grad(xbce.sigmoid_focal_loss(x, z, gamma=gamma).sum(), x, create_graph=True)
    (hessian,) = torch.autograd.grad(gradient.sum(), x)
    closed = xbce.sigmoid_focal_loss.gradient_and_hessian(x.detach(), z, gamma=gamma)
    torch.testing.assert_close((gradient.detach(), hessian), closed, rtol=1e-13, atol=0)
    assert torch.isfinite(gradient).all()


def test_a_masked_element_has_no_part_in_any_derivative():
    x = torch.tensor([float("nan"), float("inf"), 1.0], requires_grad=True)
    z = torch.tensor([0.0, float("nan"), 1.0], requires_grad=True)
    w = torch.tensor([float("inf"), 1.0, 2.0], requires_grad=True)
    loss = bce(x, z, weight=w, where=torch.tensor([False, False, True]), reduction="mean", normalize_by="weight")
    gradients = torch.autograd.grad(loss, (x, z, w), create_graph=True)
    for argument, gradient in zip("xz", gradients[:2], strict=True):
        with step("torch", bce, argument):
            assert gradient[:2].eq(0).all()
            assert gradient[2] != 0
    second = torch.autograd.grad(sum(g.sum() for g in gradients), (x, z, w))
    assert all(torch.isfinite(g).all() for g in second)


LAYOUTS = {
    "0-d": lambda a: a[0, 0],
    "empty": lambda a: a[:0],
    "transposed": lambda a: a.T,
    "strided": lambda a: a[::2, ::2],
    "expanded": lambda a: a[:, :1].expand(-1, 5),
    "channels last": lambda a: a.reshape(1, 6, 2, 3).to(memory_format=torch.channels_last),
}


@pytest.mark.parametrize("view", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts(view):
    base = torch.randn(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x, z = view(base).detach().requires_grad_(), view(base.abs() / 10)
    value = bce(x, z, reduction="sum")
    value.backward()
    copies = x.detach().clone(memory_format=torch.contiguous_format), z.clone(memory_format=torch.contiguous_format)
    torch.testing.assert_close(value.detach(), bce(*copies, reduction="sum"), rtol=1e-14, atol=0)
    torch.testing.assert_close(x.grad, bce.gradient(*copies), rtol=0, atol=0)


LARGE_LAYOUTS = {
    "1-d": lambda a: a,
    "contiguous": lambda a: a.reshape(600, -1),
    "transposed": lambda a: a.reshape(600, -1).T,
    "strided": lambda a: a[::2],
    "one row": lambda a: a.reshape(1, -1),
}


@pytest.mark.parametrize("view", some_long(LARGE_LAYOUTS, {"1-d", "contiguous", "transposed"}))
@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.bfloat16, marks=pytest.mark.long)])
def test_large_tensors_are_worked_on_in_blocks_with_the_same_bits(view, dtype):
    generator = torch.Generator().manual_seed(0)
    x = view(torch.randn(600_000, generator=generator).to(dtype) * 8)
    z = view(torch.rand(600_000, generator=generator).to(dtype))
    p = torch.rand(x.shape[-1:] if x.ndim > 1 else (), generator=generator)
    kept = x < 12
    options = {"pos_weight": p, "where": kept}
    whole = bce.value_and_gradient(x, z, **options)
    rows = slice(0, 1000 // max(1, x[0].numel()) + 1)
    part = bce.value_and_gradient(x[rows], z[rows], pos_weight=p, where=kept[rows])
    for i, (a, b) in enumerate(zip(whole, part, strict=True)):
        with step("torch", bce, i, dtype):
            assert a.shape == x.shape
            torch.testing.assert_close(a[rows], b, rtol=0, atol=0)
    for axis in range(x.ndim):
        with step("torch", bce, dtype, axis):
            reduced = {"reduction": "mean", "axis": axis, **options}
            mean, gradient = bce.value_and_gradient(x, z, **reduced)
            losses = bce(x.double(), z.double(), **options)
            # A mean over nothing but dropped elements is NaN.
            tolerance = {"rtol": 2 * torch.finfo(mean.dtype).eps, "atol": 1e-30, "equal_nan": True}
            torch.testing.assert_close(mean.double(), losses.sum(axis) / kept.sum(axis), **tolerance)
            leaf = x.detach().clone().requires_grad_()
            bce(leaf, z, **reduced).sum().backward()
            tolerance["rtol"] = 2 * torch.finfo(dtype).eps
            torch.testing.assert_close(leaf.grad, gradient.to(dtype), **tolerance)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_grad(mode):
    x, z, p, w = arguments()
    with mode():
        value = bce(x, z, pos_weight=p, weight=w, reduction="mean")
    assert not value.requires_grad
    assert value == bce(x, z, pos_weight=p, weight=w, reduction="mean")


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_first_call_without_grad_leaves_later_ones_differentiable_twice(mode):
    """What the first call keeps for later ones must not be a tensor that inference alone may use."""
    forget_plans(bce)
    x, z, p, _ = arguments()
    with mode():
        bce(x, z, pos_weight=p, reduction="mean")
    leaf = x.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(bce(leaf, z, pos_weight=p, reduction="mean") ** 2, leaf, create_graph=True)
    gradient.square().sum().backward()
    assert torch.isfinite(leaf.grad).all()
    assert leaf.grad.any()


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_types_are_rounded_once_in_backward(half):
    x = torch.linspace(-12, 12, 97, dtype=half).requires_grad_()
    z = (x.detach() > 1).to(half)
    bce(x, z, reduction="sum").backward()
    assert x.grad.dtype == half
    exact = bce.gradient(x.detach().double(), z.double())
    # By way of float32: a double rounding is not half a ULP.
    torch.testing.assert_close(x.grad, exact.float().to(half), rtol=0, atol=0)


def test_mixed_dtypes_have_gradients_of_their_own_dtypes():
    x = torch.randn(4, 3, dtype=torch.bfloat16, requires_grad=True)
    z = torch.rand(4, 3, dtype=torch.float64, requires_grad=True)
    w = torch.rand(3, dtype=torch.float16, requires_grad=True)
    value = bce(x, z, weight=w, reduction="mean")
    assert value.dtype == torch.float64
    value.backward()
    assert [a.grad.dtype for a in (x, z, w)] == [torch.bfloat16, torch.float64, torch.float16]
    assert w.grad.shape == (3,)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_autocast_computes_and_returns_float32(half):
    x = torch.randn(64, 8, requires_grad=True, generator=torch.Generator().manual_seed(0))
    layer = torch.nn.Linear(8, 8)
    z = torch.ones(64, 8)
    with torch.autocast("cpu", dtype=half):
        logits = layer(x)
        value = bce(logits, z.to(half), reduction="mean")
        native = torch.nn.functional.binary_cross_entropy_with_logits(logits, z)
    assert logits.dtype == half
    assert value.dtype == native.dtype == torch.float32
    wide = bce(logits.detach().float(), z, reduction="mean")
    assert value.detach() == wide
    value.backward()
    assert layer.weight.grad.dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_backward_keeps_nothing_but_the_arguments(loss, options, probabilities, dtype):
    n = 1000
    x = (torch.rand(n) if probabilities else torch.randn(n)).to(dtype).requires_grad_()
    z, p, w = (torch.rand(n).to(dtype) for _ in range(3))

    kept = torch.arange(n) % 3 != 0

    def function(x, z, p, w, kept):
        return loss(x, z, pos_weight=p, weight=w, where=kept, reduction="mean", **options)

    # One number more: what the mean divides by.
    assert saved_for_backward(function, x, z, p, w, kept) <= 8


def test_backward_of_a_large_array_keeps_no_more_than_the_native_loss(monkeypatch):
    monkeypatch.setattr(torch_prepared, "_KEPT", 1000)
    native = torch.nn.functional.binary_cross_entropy_with_logits
    for n, kept in ((997, 997), (1001, 0)):
        x, z, w = torch.randn(n, requires_grad=True), torch.rand(n), torch.rand(n)
        for reduction, size in (("none", 4), ("mean", 8)):  # a mean weighs in float64
            slope = kept * size
            with step("torch", bce, reduction=reduction):
                ours = saved_for_backward(lambda x, z, w, r=reduction: bce(x, z, weight=w, reduction=r), x, z, w)
                theirs = saved_for_backward(lambda x, z, w, r=reduction: native(x, z, weight=w, reduction=r), x, z, w)
                assert ours == slope
                assert ours <= theirs + slope


@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "mean over an axis", "mean of one"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_slope_that_is_kept_has_the_bits_of_one_that_is_computed(
    loss, options, probabilities, dtype, reduction, monkeypatch
):
    # An infinite logit meets the label that makes its product 0 times infinity.
    x = torch.cat([torch.randn(96), torch.tensor([0.0, -0.0, math.inf, -math.inf])]).to(dtype)
    z = torch.cat([torch.rand(96), torch.tensor([1.0, 0.0, 1.0, 0.0])]).to(dtype)
    if probabilities:
        x = torch.sigmoid(x)
    reduced = {"reduction": reduction.partition(" ")[0]}
    if "axis" in reduction:
        x, z, reduced = x.reshape(20, 5), z.reshape(20, 5), {**reduced, "axis": 0}
    elif reduction == "mean of one":
        x, z = x[0], z[0]
    cotangent = torch.rand(100 if reduction == "none" else 5 if "axis" in reduction else ()).to(dtype)
    found = []
    for most in (2**20, 0):
        monkeypatch.setattr(torch_prepared, "_KEPT", most)
        forget_plans(loss)
        logits = x.clone().requires_grad_()
        value = loss(logits, z, **reduced, **options)
        (gradient,) = torch.autograd.grad(value, logits, cotangent, create_graph=most == 0)
        found.append((value.detach(), gradient.detach()))
    forget_plans(loss)
    for kept, computed in zip(*found, strict=True):
        assert kept.dtype == computed.dtype == dtype
        assert torch.equal(kept.nan_to_num(7.5), computed.nan_to_num(7.5))


def test_a_slope_that_is_kept_serves_several_backward_passes():
    x, z = torch.randn(50, requires_grad=True), torch.rand(50)
    value = bce(x, z, reduction="mean")
    first = torch.autograd.grad(value, x, retain_graph=True)[0]
    (second,) = torch.autograd.grad(value, x, create_graph=True)
    assert torch.equal(first, second)
    third = torch.autograd.grad(second.sum(), x)[0]
    torch.testing.assert_close(third, bce.hessian(x.detach(), z, reduction="mean"))


def test_labels_and_logits_both_get_their_gradients():
    x, z = torch.randn(50, requires_grad=True), torch.rand(50, requires_grad=True)
    of_logits, of_labels = torch.autograd.grad(bce(x, z, reduction="mean"), (x, z))
    torch.testing.assert_close(of_logits, bce.gradient(x.detach(), z.detach(), reduction="mean"))
    torch.testing.assert_close(of_labels, -x.detach() / 50)


@one_level
@pytest.mark.filterwarnings("ignore:.torch.jit.trace:DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_a_known_call_asks_anew_what_may_change():
    x, z = torch.randn(50), torch.rand(50)
    plain = bce(x, z, reduction="mean")
    assert not plain.requires_grad
    logits = x.clone().requires_grad_()
    assert bce(logits, z, reduction="mean").requires_grad
    with torch.no_grad():
        assert not bce(logits, z, reduction="mean").requires_grad
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, torch.ones(50))
        tangent = torch.autograd.forward_ad.unpack_dual(bce(dual, z, reduction="mean")).tangent
    torch.testing.assert_close(tangent, bce.gradient(x, z, reduction="mean").sum())
    # Of the functions of torch.func the shape is that of the whole array.
    grad = torch.func.grad(lambda x: bce(x, z, reduction="mean"))(x)
    torch.testing.assert_close(grad, bce.gradient(x, z, reduction="mean"))
    traced = torch.jit.trace(lambda x: bce(x, z, reduction="mean"), x)
    torch.testing.assert_close(traced(2 * x), bce(2 * x, z, reduction="mean"))
    assert torch.equal(bce(x, z, reduction="mean"), plain)


def ragged(*, requires_grad=False):
    """Return rows of two lengths, and as one nested tensor: its second length is a symbol, and no number."""
    rows = [torch.tensor(a, dtype=torch.float64, requires_grad=requires_grad) for a in ([1.0, 2, 3], [-1.0, 0])]
    return rows, torch.nested.as_nested_tensor(rows, layout=torch.jagged)


def test_mean_of_a_nested_tensor():
    rows, x = ragged()
    mean, gradient = bce.value_and_gradient(x, 1.0, reduction="mean")
    # Of softplus(-x) in ball arithmetic: 0.49903718364262110654.
    assert abs(mean.item() - 0.4990371836426211) <= 4 * 2**-54
    torch.testing.assert_close(
        gradient.values(), bce.gradient(torch.cat(rows), 1, reduction="mean"), rtol=1e-15, atol=0
    )
    by_batch = bce(x, 1.0, reduction="mean", normalize_by="batch")
    assert abs(by_batch.item() - 2.4951859182131053 / 2) <= 4 * 2**-52
    assert abs(xbce.reduce(bce(x, 1.0)).item() - 0.4990371836426211) <= 4 * 2**-54


OPTIONS_OF_RAGGED = {
    "size": {"normalize_by": "size"},
    "count": {"where": True},
    "mask and size": {"where": True, "normalize_by": "size"},
    "weight": {"weight": True, "normalize_by": "weight"},
    "nonzero": {"weight": True, "where": True, "normalize_by": "nonzero"},
    "batch": {"weight": True, "normalize_by": "batch"},
}


@pytest.mark.parametrize("options", OPTIONS_OF_RAGGED.values(), ids=OPTIONS_OF_RAGGED)
def test_means_of_nested_tensors_are_those_of_their_elements(options):
    rows, x = ragged(requires_grad=True)
    values = torch.cat(rows)

    def filled(x):
        made = {"weight": lambda: x.detach().exp() - 1, "where": lambda: x.detach() > -0.5}
        return {name: made[name]() if name in made else option for name, option in options.items()}

    scale = 5 / 2 if options.get("normalize_by") == "batch" else 1.0  # a vector is a batch of 5, and x one of 2
    mean = bce(x, 1.0, reduction="mean", **filled(x))
    wanted = bce(values, 1.0, reduction="mean", **filled(values)) * scale
    torch.testing.assert_close(mean, wanted, rtol=1e-15, atol=0)
    slopes = torch.cat(torch.autograd.grad(wanted, rows))
    torch.testing.assert_close(torch.cat(torch.autograd.grad(mean, rows)), slopes, rtol=1e-15, atol=0)
    closed = bce.gradient(x, 1.0, reduction="mean", **filled(x))
    torch.testing.assert_close(closed.values(), slopes, rtol=1e-15, atol=0)


def test_mean_of_the_rows_of_a_nested_tensor():
    rows, x = ragged()
    means = bce(x, 1.0, reduction="mean", axis=1)
    torch.testing.assert_close(means, torch.stack([bce(row, 1, reduction="mean") for row in rows]), rtol=1e-15, atol=0)
    gradient = bce.gradient(x, 1.0, reduction="mean", axis=1).values()
    wanted = torch.cat([bce.gradient(row, 1, reduction="mean") for row in rows])
    torch.testing.assert_close(gradient, wanted, rtol=1e-15, atol=0)


def test_no_warning_when_the_first_call_is_compiled():
    """In a process of its own: what an earlier call has imported and cached is not there yet."""
    code = """
import warnings
warnings.simplefilter("error")
# Of PyTorch's own, about itself.
warnings.filterwarnings("ignore", message=".*should not be instantiated", category=DeprecationWarning)
warnings.filterwarnings("ignore", message=".*torch.jit.script.*", category=DeprecationWarning)
import torch, xbce
loss = torch.compile(
    lambda x, z: xbce.binary_cross_entropy_with_logits(x, z, reduction="mean"), fullgraph=True, backend="aot_eager"
)
x = torch.tensor([40.0], dtype=torch.float64, requires_grad=True)
loss(x, torch.ones_like(x)).backward()
print(x.grad.item())
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=240)
    assert run.stderr == ""
    assert float(run.stdout) == approx(-4.248354255291589e-18, rel=1e-15)
