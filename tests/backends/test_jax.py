"""JAX: derivatives in every mode, compiled, checkpointed and exported, with and without float64, when JAX is strict."""

import subprocess
import sys
from functools import partial

import numpy as np
import pytest

import xbce
from tests.helpers import approx, jax_float64, step
from xbce_conformance.subjects.backends import find_backends

jax = pytest.importorskip("jax")
jnp = jax.numpy
find_backends(("jax",))  # float64

bce = xbce.binary_cross_entropy_with_logits


@pytest.fixture(autouse=True)
def _strict():
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture(params=["x64", pytest.param("x32", marks=pytest.mark.long)])
def dtype(request):
    """Run with and without float64."""
    x64 = request.param == "x64"
    with jax_float64(x64):
        yield jnp.float64 if x64 else jnp.float32


def arguments(dtype, *, probabilities=False, seed=0):
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0.05, 0.95, (3, 2)) if probabilities else rng.normal(0, 3, (3, 2))
    arrays = (scores, rng.uniform(0, 1, (3, 2)), rng.uniform(0.5, 2, 2), rng.uniform(0.5, 2, (3, 1)))
    return tuple(jnp.asarray(a, dtype) for a in arrays)


def assert_close(a, b):
    a, b = np.asarray(a), np.asarray(b)
    assert a.dtype == b.dtype
    eps = np.finfo(a.dtype).eps
    np.testing.assert_allclose(a, b, rtol=32 * eps, atol=4 * eps * np.abs(b).max(initial=0))


def test_every_mode_gives_the_closed_forms(loss, options, probabilities, dtype):
    x, z, p, w = arguments(dtype, probabilities=probabilities)
    where = jnp.asarray([[True, False], [True, True], [True, True]])
    closed = {"pos_weight": p, "weight": w, "where": where, "normalize_by": "weight", "reduction": "mean", **options}
    mean = partial(loss, **closed)
    gradient, labels = loss.gradient(x, z, **closed), loss.label_gradient(x, z, **closed)

    by_grad = jax.grad(mean, (0, 1))(x, z)
    assert_close(by_grad[0], gradient)
    assert_close(by_grad[1], labels)
    assert_close(jax.jacfwd(mean)(x, z), gradient)
    assert_close(jax.jit(jax.grad(mean))(x, z), gradient)
    assert_close(jax.grad(jax.checkpoint(mean))(x, z), gradient)
    assert_close(jax.jvp(lambda x: mean(x, z), (x,), (jnp.ones_like(x),))[1], gradient.sum())

    hessian = loss.hessian(x, z, **closed).reshape(-1)
    orders = [jax.hessian]
    if loss is bce:  # the others take the same way, and long to compile
        orders += [lambda f: jax.jacrev(jax.jacrev(f)), lambda f: jax.jacfwd(jax.jacfwd(f))]
    for i, twice in enumerate(orders):
        with step("jax", loss, f"hessian {i}", **options):
            assert_close(jnp.diagonal(twice(lambda v: mean(v.reshape(x.shape), z))(x.reshape(-1))), hessian)


@pytest.mark.parametrize(
    ("loss", "name", "probabilities"),
    [
        (bce, "pos_weight", False),
        pytest.param(bce, "weight", False, marks=pytest.mark.long),
        pytest.param(xbce.sigmoid_focal_loss, "pos_weight", False, marks=pytest.mark.long),
        # PyTorch's gradcheck has every loss, of the same formulas.
        pytest.param(xbce.binary_cross_entropy, "pos_weight", True, marks=pytest.mark.long),
    ],
)
def test_weights_have_derivatives(loss, name, probabilities):
    from jax.test_util import check_grads

    x, z, p, w = arguments(jnp.float64, probabilities=probabilities)
    where = jnp.asarray([[True, False], [True, True], [True, True]])

    def mean(*arrays):
        x, z, factor = map(jnp.asarray, arrays)  # finite differences come as NumPy arrays
        return loss(x, z, where=where, **{name: factor}, reduction="mean", axis=0, normalize_by="size")

    z = jnp.clip(z, 0.05, 0.95)
    check_grads(mean, (x, z, p if name == "pos_weight" else w), order=2, rtol=1e-3, atol=1e-5)


def test_gradient_in_the_tail():
    x, one = jnp.asarray(40.0), jnp.asarray(1.0)
    exact = approx(-4.248354255291589e-18, rel=1e-15)
    assert float(jax.grad(bce)(x, one)) == exact
    assert float(jax.jit(jax.grad(bce))(x, one)) == exact
    assert float(jax.jvp(lambda x: bce(x, one), (x,), (one,))[1]) == exact
    assert float(bce.gradient(x, one)) == exact
    assert float(jax.hessian(bce)(x, one)) == approx(4.248354255291589e-18, rel=1e-15)


def test_derivatives_at_infinity(dtype):
    inf = float("inf")
    x = jnp.asarray([inf, inf, -inf, -inf, 0.0, -0.0], dtype)
    z = jnp.asarray([1.0, 0.0, 0.0, 1.0, 0.25, 1.0], dtype)
    total = partial(bce, reduction="sum")
    np.testing.assert_array_equal(jax.grad(total)(x, z), [0, 1, 0, -1, 0.25, -0.5])
    np.testing.assert_array_equal(jax.grad(total, 1)(x, z), -x)
    np.testing.assert_array_equal(jnp.diagonal(jax.hessian(total)(x, z)), [0, 0, 0, 0, 0.25, 0.25])


@pytest.mark.parametrize("gamma", [0.25, 0.5, 1.0, 2.0])
def test_focal_loss_has_finite_derivatives_far_in_the_tail(gamma):
    x = jnp.asarray([-700.0, -50.0, 0.0, 50.0, 690.0, 1e5])
    total = partial(xbce.sigmoid_focal_loss, gamma=gamma, reduction="sum")
    z = jnp.ones_like(x)
    gradient, hessian = xbce.sigmoid_focal_loss.gradient_and_hessian(x, z, gamma=gamma)
    np.testing.assert_allclose(jax.grad(total)(x, z), gradient, rtol=1e-13)
    np.testing.assert_allclose(jnp.diagonal(jax.hessian(total)(x, z)), hessian, rtol=1e-13)


def test_a_masked_element_has_no_part_in_any_derivative():
    x, z, w = (jnp.asarray(a) for a in ([np.nan, np.inf, 1.0], [0.0, np.nan, 1.0], [np.inf, 1.0, 2.0]))
    where = jnp.asarray([False, False, True])

    def mean(x, z, w):
        return bce(x, z, weight=w, where=where, reduction="mean", normalize_by="weight")

    for argument, gradient in zip("xz", jax.grad(mean, (0, 1))(x, z, w), strict=True):
        with step("jax", mean, argument):
            assert (gradient[:2] == 0).all()
            assert gradient[2] != 0
    assert np.isfinite(jax.hessian(mean, (0, 1, 2))(x, z, w)[2][2]).all()


def test_vmap(dtype):
    x, z, p, _ = arguments(dtype)
    for axes in ((0, 0), (1, 1), (0, None), (None, 1)):
        with step("jax", bce, axes):
            arguments_of = (
                x if axes[0] is not None else x[:, 0] if axes[1] else x[0],
                z if axes[1] is not None else z[0],
            )
            rows = jax.vmap(partial(bce, pos_weight=0.5, reduction="sum"), in_axes=axes)(*arguments_of)
            one_by_one = [
                bce(*(a if axis is None else jnp.take(a, i, axis) for a, axis in zip(arguments_of, axes, strict=True)),
                    pos_weight=0.5, reduction="sum")
                for i in range(3 if axes[0] == 0 else 2)
            ]  # fmt: skip
            assert_close(rows, jnp.stack(one_by_one))
    weights = jax.vmap(lambda p: bce(x, z, pos_weight=p, reduction="mean"))(jnp.stack([p, 2 * p]))
    assert_close(weights[1], bce(x, z, pos_weight=2 * p, reduction="mean"))
    per_row = jax.vmap(jax.grad(partial(bce, reduction="mean")))(x, z)
    assert_close(per_row[1], bce.gradient(x[1], z[1], reduction="mean"))


def test_export(dtype):
    from jax import export

    x, z, *_ = arguments(dtype)
    function = jax.jit(partial(bce.value_and_gradient, reduction="mean"))
    (batch,) = export.symbolic_shape("batch")
    shape = jax.ShapeDtypeStruct((batch, 2), dtype)
    blob = export.export(function)(shape, shape).serialize()
    for quantity, a, b in zip(("value", "gradient"), export.deserialize(blob).call(x, z), function(x, z), strict=True):
        with step("jax", bce, quantity):
            np.testing.assert_array_equal(a, b)
    mean = jax.jit(partial(bce, reduction="mean"))
    blob = export.export(mean)(shape, shape).serialize(vjp_order=1)
    differentiable = export.deserialize(blob)
    assert_close(jax.grad(differentiable.call)(x, z), bce.gradient(x, z, reduction="mean"))


def test_export_of_lengths_that_may_be_zero(dtype):
    from jax import export

    (batch,) = export.symbolic_shape("batch")
    function = jax.jit(lambda x: bce.value_and_gradient(x[1:], 1, weight=2.0, reduction="mean"))
    exported = export.export(function)(jax.ShapeDtypeStruct((batch, 2), dtype))
    for rows in (3, 1):
        x = arguments(dtype)[0][:rows]
        for quantity, a, b in zip(("value", "gradient"), exported.call(x), function(x), strict=True):
            with step("jax", bce, quantity, rows):
                np.testing.assert_array_equal(a, b)


def test_labels_of_any_dtype():
    x = jnp.asarray([40.0, -1.0], jnp.bfloat16)
    for z in (jnp.asarray([True, False]), jnp.asarray([1, 0], jnp.int8), jnp.asarray([1, 0], jnp.bfloat16)):
        with step("jax", bce, z.dtype):
            gradient = jax.grad(partial(bce, reduction="sum"))(x, z)
            assert gradient.dtype == jnp.bfloat16
            np.testing.assert_array_equal(gradient, bce.gradient(x, z))


def test_float32_needs_no_float64_in_a_fresh_process():
    """As most of JAX's users run it: nothing is configured, warnings are errors."""
    code = """
import jax, xbce
x, z = jax.numpy.asarray([40.0, -3.0]), jax.numpy.asarray([1, 0])
value, gradient = jax.value_and_grad(xbce.binary_cross_entropy_with_logits)(x[0], z[0])
print(value.dtype, gradient, xbce.binary_cross_entropy_with_logits(x, z, weight=2.0, reduction="mean"))
"""
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    dtype, gradient, mean = run.stdout.split()
    assert dtype == "float32"
    assert float(gradient) == approx(-4.248354e-18, rel=1e-6)
    assert float(mean) == approx(0.04858735, rel=1e-6)
