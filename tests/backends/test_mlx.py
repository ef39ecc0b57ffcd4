"""MLX: `grad`, `vjp` and `jvp` give the closed forms, also under `vmap`; `compile`; exp and sums of our own."""

import json
import math
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import xbce
from tests.helpers import approx, some_long, step
from xbce_conformance.cases import WITH_NUMBERS
from xbce_conformance.subjects.backends import find_backends

mx = pytest.importorskip("mlx.core")
MLX = find_backends(("mlx",))[0]["mlx"]
bce = xbce.binary_cross_entropy_with_logits
RANDOM = np.random.default_rng(5)
LOGITS = np.concatenate([RANDOM.normal(0, 8, 18), [0.0, -0.0, 104.0, -104.0, 1e30, -1e30]]).reshape(4, 6)
LABELS = np.concatenate([RANDOM.integers(0, 2, 12), RANDOM.random(12)]).reshape(4, 6)
each_loss = pytest.mark.parametrize("case", WITH_NUMBERS, ids=lambda case: case.name)


def arrays_of(case, dtype="float32"):
    scores = abs(LOGITS) % 1 if case.arguments[0] == "probabilities" else LOGITS
    with np.errstate(over="ignore"):  # 1e30 is infinite in float16
        return MLX.from_numpy(scores.astype(dtype)), MLX.from_numpy(LABELS.astype(dtype))


def loss_of(case):
    return getattr(xbce, case.function), dict(case.options)


def same(got, wanted, context=""):
    np.testing.assert_array_equal(MLX.to_numpy(got), MLX.to_numpy(wanted), err_msg=context)


def total(loss, *arrays, **options):
    return loss(*arrays, **options).sum()


def ones(function, x):
    """Return the derivative of an elementwise function by forward mode."""
    return mx.jvp(function, (x,), (mx.ones_like(x),))[1][0]


@each_loss
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_reverse_mode(case, dtype):
    (loss, options), (x, z) = loss_of(case), arrays_of(case, dtype)
    value, (of_x, of_z) = mx.value_and_grad(partial(total, loss, **options), argnums=(0, 1))(x, z)
    assert (of_x.dtype, value.dtype) == (x.dtype, x.dtype)
    same(of_x, loss.gradient(x, z, **options))
    same(of_z, loss.label_gradient(x, z, **options))
    cotangent = MLX.from_numpy(np.linspace(-2, 2, 24).reshape(4, 6).astype(dtype))
    (pulled,) = mx.vjp(lambda x: loss(x, z, **options), (x,), (cotangent,))[1]
    same(pulled, loss.gradient(x, z, weight=cotangent, **options))


@each_loss
def test_forward_mode(case):
    (loss, options), (x, z) = loss_of(case), arrays_of(case)
    same(ones(lambda x: loss(x, z, **options), x), loss.gradient(x, z, **options))
    same(ones(lambda z: loss(x, z, **options), z), loss.label_gradient(x, z, **options))


@each_loss
def test_second_derivatives(case):
    (loss, options), (x, z) = loss_of(case), arrays_of(case)
    slope = mx.grad(partial(total, loss, **options))
    wanted = loss.hessian(x, z, **options)
    same(mx.grad(lambda x: slope(x, z).sum())(x), wanted, "reverse over reverse")
    same(ones(lambda x: slope(x, z), x), wanted, "forward over reverse")
    same(mx.grad(lambda x: loss.gradient(x, z, **options).sum())(x), wanted, "of the gradient")
    value, gradient = mx.jvp(lambda x: loss.value_and_gradient(x, z, **options), (x,), (mx.ones_like(x),))[1]
    same(value, loss.gradient(x, z, **options), "of the value of both")
    same(gradient, wanted, "of the gradient of both")


@each_loss
def test_batches(case):
    (loss, options), (x, z) = loss_of(case), arrays_of(case)
    wanted = loss.gradient(x, z, **options)
    rows = mx.vmap(partial(loss, reduction="sum", **options))
    same(rows(x, z), loss(x, z, reduction="sum", axis=1, **options))
    same(mx.vmap(mx.grad(partial(loss, reduction="sum", **options)))(x, z), wanted, "vmap of grad")
    same(mx.grad(lambda x: rows(x, z).sum())(x), wanted, "grad of vmap")
    columns = mx.vmap(mx.grad(partial(loss, reduction="sum", **options)), in_axes=1, out_axes=1)
    same(columns(x, z), wanted, "columns")


def test_batches_of_some_arguments():
    x, z = arrays_of(WITH_NUMBERS[0])
    weights = MLX.from_numpy(RANDOM.random((5, 6)).astype("float32"))
    one = partial(bce.gradient, x, z)
    same(mx.vmap(lambda w: one(weight=w))(weights), mx.stack([one(weight=w) for w in weights]))
    of_weight = mx.grad(lambda w: bce(x, z, weight=w).sum())
    same(mx.vmap(of_weight)(weights), mx.stack([of_weight(w) for w in weights]))


def test_derivatives_in_what_broadcasts():
    """They are summed over what the array was repeated along, and have its shape and dtype."""
    x, z = (MLX.from_numpy(a) for a in (LOGITS[:3], LABELS[:3]))
    losses = bce(LOGITS[:3], LABELS[:3])
    for shape, wanted in {(): losses.sum(), (6,): losses.sum(0), (3, 1): losses.sum(1, keepdims=True)}.items():
        with step("mlx", bce, shape):
            found = mx.grad(lambda w: bce(x, z, weight=w).sum())(mx.ones(shape, dtype=mx.float32))
            assert (found.shape, found.dtype) == (shape, mx.float32)
            np.testing.assert_allclose(MLX.to_numpy(found), wanted, rtol=1e-6)


def test_masked_elements_count_for_nothing():
    keep = MLX.from_numpy(np.arange(24).reshape(4, 6) % 3 > 0)
    x, z = arrays_of(WITH_NUMBERS[0])
    x = mx.where(keep, x, float("nan"))
    found = mx.grad(lambda x: bce(x, z, where=keep, reduction="mean"))(x)
    same(found, bce.gradient(x, z, where=keep, reduction="mean"))
    assert not bool(mx.any(mx.isnan(found)))


def test_integer_labels_have_no_derivative():
    x = MLX.from_numpy(np.float32([-3, 0, 5]))
    z = mx.array([0, 1, 1])
    same(mx.grad(lambda x: bce(x, z).sum())(x), bce.gradient(x, z))


@pytest.mark.parametrize("precision", ["native", "high"])
def test_third_derivatives_are_those_of_mlx(precision):
    x, z = MLX.from_numpy(np.linspace(-5, 5, 11)), mx.zeros(11, dtype=mx.float64)
    hessian = partial(bce.hessian, precision=precision)
    third = mx.grad(lambda x: hessian(x, z).sum())(x)
    p = 1 / (1 + np.exp(-np.linspace(-5, 5, 11)))
    np.testing.assert_allclose(MLX.to_numpy(third), p * (1 - p) * (1 - 2 * p), rtol=1e-9, atol=1e-18)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_derivatives_of_high_precision(dtype):
    x, z = arrays_of(WITH_NUMBERS[0], dtype)
    high = {"precision": "high"}
    same(mx.grad(lambda x: bce(x, z, reduction="sum", **high))(x), bce.gradient(x, z, **high))
    of_mean = mx.grad(lambda x: bce(x, z, reduction="mean", **high))(x)
    # The cotangent of a mean is 1/24, rounded.
    np.testing.assert_array_max_ulp(
        MLX.to_numpy(of_mean), MLX.to_numpy(bce.gradient(x, z, reduction="mean", **high)), 2
    )
    same(mx.vmap(lambda x, z: bce(x, z, reduction="sum", **high))(x, z), bce(x, z, reduction="sum", axis=1, **high))
    slope = ones(lambda x: xbce.special.softplus(x, **high), x[:2])  # MLX's, of the native function
    np.testing.assert_array_max_ulp(MLX.to_numpy(slope), xbce.special.expit(LOGITS[:2].astype(dtype), **high), 4)


# g++ takes seconds for each of the pieces that MLX compiles; it keeps them in the folder of temporary files.
compiled = pytest.mark.skipif(shutil.which("g++") is None, reason="MLX compiles by g++, which is not here")
EVERY_WAY = {
    "hessian": lambda x, z: bce.hessian(x, z),
    "value and gradient": lambda x, z: bce.value_and_gradient(x, z, reduction="sum"),
    "grad": lambda x, z: mx.grad(lambda x: bce(x, z).sum())(x),
    "focal": lambda x, z: xbce.sigmoid_focal_loss.value_and_gradient(x, z, gamma=1.3),
    "high": lambda x, z: bce.value_and_gradient(x, z, precision="high", reduction="mean"),
}


@compiled
@pytest.mark.parametrize("way", some_long(EVERY_WAY, ["hessian"]))
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.long)])
def test_compiled(way, dtype):
    arrays = arrays_of(WITH_NUMBERS[0], dtype)
    for got, wanted in zip(mx.compile(way)(*arrays), way(*arrays), strict=True):
        same(got, wanted)


def test_compiled_for_any_length():
    """`mx.compile` compiles once more for each shape; `shapeless=True` is refused by MLX, never a wrong number."""
    slope = mx.compile(partial(bce.value_and_gradient, reduction="mean"))
    for size in (3, 24, 7):
        with step("mlx", bce, size):
            x, z = (MLX.from_numpy(np.resize(a, size).astype("float32")) for a in (LOGITS, LABELS))
            for got, wanted in zip(slope(x, z), bce.value_and_gradient(x, z, reduction="mean"), strict=True):
                same(got, wanted)
    for way in (bce, bce.gradient, xbce.binary_cross_entropy, partial(bce, precision="high"), partial(total, bce)):
        with pytest.raises(ValueError, match=r"(View float32|CustomTransforms) cannot infer output shapes"):
            mx.compile(way, shapeless=True)(x, z)
    of_mlx_alone = mx.custom_function(mx.exp)
    of_mlx_alone.vjp(lambda _x, cotangent, result: cotangent * result)
    with pytest.raises(ValueError, match="CustomTransforms cannot infer output shapes"):
        mx.compile(of_mlx_alone, shapeless=True)(x)


@pytest.mark.parametrize(("dtype", "edges"), [("float32", (-104, 89)), ("float64", (-746, 710))])
def test_own_exp(dtype, edges):
    """Within 1.5 ULP, subnormal results included; exact at its ends."""
    from xbce._backends.mlx import NAMESPACE

    low, high = edges
    x = np.concatenate([RANDOM.uniform(low, high, 4000), RANDOM.uniform(-1, 1, 1000), [0, low - 1, high + 1]]).astype(
        dtype
    )
    x = np.concatenate([x, np.array([math.inf, -math.inf, math.nan], dtype)])
    got = MLX.to_numpy(NAMESPACE.exp(MLX.from_numpy(x)))
    with np.errstate(all="ignore"):
        exact = np.exp(x.astype(np.longdouble))
        ulp = np.maximum(np.spacing(exact.astype(dtype)), np.finfo(dtype).smallest_subnormal)
        error = np.abs(got - exact) / ulp
        finite = exact <= np.finfo(dtype).max
    assert error[finite].max() <= 1.5
    assert np.isinf(got[(exact > np.finfo(dtype).max)]).all()
    assert np.isnan(got[-1])
    assert got[-2] == 0
    same(mx.vmap(mx.grad(NAMESPACE.exp))(MLX.from_numpy(x[:9])), NAMESPACE.exp(MLX.from_numpy(x[:9])))
    same(ones(NAMESPACE.exp, MLX.from_numpy(x[:9])), NAMESPACE.exp(MLX.from_numpy(x[:9])))


@pytest.mark.parametrize("size", [0, 1, 3, 4, 7, 8, 9, 1000, 65537])
def test_sums(size):
    x = 0.69 + RANDOM.random(size) * 1e-3
    got = xbce.reduce(MLX.from_numpy(x), reduction="sum")
    assert float(got) == approx(math.fsum(x), rel=4 * 2**-52)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
@pytest.mark.parametrize("precision", ["native", "high"])
def test_sums_of_nothing(shape, precision):
    """MLX does not always return from such a sum: it is never asked for one."""
    x = mx.zeros(shape)
    for axis in range(len(shape)):
        with step("mlx", bce, shape, axis=axis):
            got = bce(x, 0, reduction="sum", axis=axis, precision=precision)
            wanted = bce(np.zeros(shape), 0, reduction="sum", axis=axis)
            np.testing.assert_array_equal(MLX.to_numpy(got), wanted)


def test_without_float64(monkeypatch):
    """As on a GPU."""
    from xbce._backends import mlx

    monkeypatch.setattr(mlx._Info, "default_device", lambda _: mx.Device(mx.gpu))
    x = mx.zeros(3)
    with pytest.raises(ValueError, match=r"^precision='high' needs float64, which mlx has not on Device\(gpu, 0\)$"):
        bce(x, 0, precision="high")
    text = r"^weight must be 0 or of a magnitude that float32 can hold where there is no float64, got 1e\+39$"
    with pytest.raises(ValueError, match=text):
        bce(x, 0, weight=1e39)
    assert bce(x, 1, reduction="mean").dtype == mx.float32


def test_values_are_not_looked_at_while_mlx_traces():
    with pytest.raises(TypeError, match=r"^labels must have values that can be looked at, got a lazy or traced array$"):
        mx.vmap(lambda z: (xbce.check_labels(z), z)[1])(mx.zeros((2, 3)))


def test_other_libraries_are_not_mixed_with_it():
    text = r"^labels must be an array of the same library as logits \(mlx\), got an array of numpy; convert it first"
    with pytest.raises(TypeError, match=text):
        bce(mx.zeros(3), np.zeros(3))


SHOWN = {
    "values": test_sums,
    "compiled": test_compiled,
    "reverse mode": test_reverse_mode,
    "forward mode": test_forward_mode,
    "second derivatives": test_second_derivatives,
    "batches": test_batches,
    'precision="high"': test_derivatives_of_high_precision,
}


def test_what_is_claimed_is_shown():
    claims = json.loads((Path(__file__).parents[2] / "docs" / "capabilities.json").read_text("utf-8"))["mlx"]
    assert {name for name, how in claims.items() if how} == {*SHOWN}
