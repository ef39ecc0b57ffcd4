"""`xbce.conventions.optax` against the installed optax."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conventions.differential import LOGITS, SOFT, agree, arrays, on
from tests.conventions.gathered import MATRIX, VECTOR, ZEROS_AND_ONES
from tests.helpers import step
from xbce.conventions import optax as ours

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")
jnp = jax.numpy

entropy = pytest.mark.compared("optax.sigmoid_binary_cross_entropy", "optax")
focal = pytest.mark.compared("optax.sigmoid_focal_loss", "optax")

# JAX compiles each operation anew for each shape and dtype: few of them, so that there can be many cases.
FLOATS = st.sampled_from(["float32", "float32", "bfloat16"])
SHAPES = st.sampled_from([(), (2, 3)])
TINY = 2.0**-126
FOCAL = (ours.sigmoid_focal_loss, optax.sigmoid_focal_loss)
ERRORS = {"AttributeError": TypeError}


def to_numpy(x):
    return np.asarray(jnp.asarray(x, jnp.float32))


def draw_call(data):
    """Draw logits and labels that broadcast against each other, or (seldom) do not."""
    shape = data.draw(SHAPES, label="shape")
    dtype = data.draw(FLOATS, label="dtype")
    other = data.draw(st.sampled_from(["same", "same", "narrowed", "wider", "number", "wrong"]), label="other")
    x = jnp.asarray(data.draw(arrays(LOGITS, shape), label="x"), dtype)
    if other == "number":
        return x, data.draw(SOFT | st.booleans() | st.integers(0, 1), label="label")
    label_shape = {
        "same": st.just(shape),
        "narrowed": st.just((1,) * len(shape)),
        "wider": st.just((2, *shape)),
        "wrong": st.just((*shape[:-1], 7)),
    }[other]
    labels = data.draw(arrays(SOFT, data.draw(label_shape, label="shape of labels")), label="labels")
    return x, jnp.asarray(labels, data.draw(st.sampled_from(["int32", dtype]), label="dtype of labels"))


GAMMAS = [0, 0.5, 1.0, 2.0, 3.5]


def as_option(name, option, shape):
    """An option as it is, as an array without dimensions, and as one that broadcasts in either direction."""
    others = {"alpha": [0.0, 0.75], "gamma": GAMMAS}[name]
    whole = st.lists(st.sampled_from(others), min_size=2, max_size=2).map(lambda pair: [option, *pair])
    dtypes = st.sampled_from(["float32", "bfloat16"])
    row = [option] * shape[-1] if shape else [option]
    return st.one_of(
        st.just(option),
        dtypes.map(lambda dtype: jnp.asarray(option, dtype)),
        st.tuples(whole, dtypes).map(lambda drawn: jnp.asarray(drawn[0], drawn[1]).reshape(3, 1, 1)),
        dtypes.map(lambda dtype: jnp.asarray(row, dtype)),
    )


def tolerance(call, unit):
    """A few roundings of the result, which optax makes; JAX flushes subnormal numbers."""
    try:
        expected = np.abs(to_numpy(call()).astype(np.float64))
    except (TypeError, ValueError, AttributeError):
        return 0
    return unit * expected + TINY


@entropy
@settings(max_examples=150)
@given(st.data())
def test_entropy(data):
    x, z = draw_call(data)
    agree(
        lambda: ours.sigmoid_binary_cross_entropy(x, z),
        lambda: optax.sigmoid_binary_cross_entropy(x, z),
        tolerance=tolerance(lambda: ours.sigmoid_binary_cross_entropy(x, z), 8 * float(jnp.finfo(x.dtype).eps)),
        to_numpy=to_numpy,
    )


@entropy
@settings(max_examples=100)
@given(st.data())
def test_entropy_derivatives(data):
    """First and second, by JAX."""
    shape = (3,)
    x, z = (
        jnp.asarray(data.draw(arrays(elements, shape), label=name), jnp.float32)
        for name, elements in (("x", LOGITS), ("z", SOFT))
    )

    def second(function):
        return jax.grad(lambda x: jnp.sum(jax.grad(lambda x: jnp.sum(function(x, z)))(x)))(x)

    # optax differentiates through sigmoids, whose product with 1 - sigmoid cancels.
    agree(
        lambda: second(ours.sigmoid_binary_cross_entropy),
        lambda: second(optax.sigmoid_binary_cross_entropy),
        tolerance=8 * 2.0**-23,
    )
    agree(
        lambda: jax.grad(lambda x: jnp.sum(ours.sigmoid_binary_cross_entropy(x, z)))(x),
        lambda: jax.grad(lambda x: jnp.sum(optax.sigmoid_binary_cross_entropy(x, z)))(x),
        tolerance=8 * 2.0**-23,
    )


@pytest.mark.long
@focal
@settings(max_examples=120)
@given(st.data())
def test_focal(data):
    x, z = draw_call(data)
    gamma = data.draw(st.sampled_from(GAMMAS), label="gamma")
    alpha = data.draw(st.none() | st.floats(0, 1, width=16) | st.sampled_from([0.25, 1, 2.0]), label="alpha")
    options = {
        name: option if option is None else data.draw(as_option(name, option, x.shape), label=name)
        for name, option in (("alpha", alpha), ("gamma", gamma))
    }
    # optax rounds 1 - alpha to the dtype of alpha.
    unit = max(float(jnp.finfo(a.dtype).eps) for a in (x, options["alpha"]) if hasattr(a, "dtype"))
    # optax multiplies the logarithm of the probability of being wrong by gamma, so its error by the logarithm.
    largest = max(gamma, *GAMMAS) if jnp.ndim(options["gamma"]) else gamma
    logs = 2 + float(jnp.max(jnp.abs(x.astype(jnp.float32)), initial=0)) * (1 + largest)
    agree(
        lambda: ours.sigmoid_focal_loss(x, z, **options),
        lambda: optax.sigmoid_focal_loss(x, z, **options),
        tolerance=tolerance(lambda: ours.sigmoid_focal_loss(x, z, **options), 16 * unit * logs),
        to_numpy=to_numpy,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        (jnp.array([1, 2]), jnp.array([0.0, 1.0])),
        (jnp.array([True, False]), jnp.array([0.0, 1.0])),
        (1.0, jnp.array([0.0, 1.0])),
        (jnp.array([1.0, 2.0]), None),
        (jnp.array([1.0, 2.0]), [0, 1]),
        (jnp.array([1.0, 2.0]), jnp.array([0, 1, 1])),
        (jnp.array([[1.0, 2.0]]), jnp.array([[0, 1], [0, 1]])),
    ],
)
class TestErrors:
    @entropy
    def test_entropy(self, arguments):
        agree(
            lambda: ours.sigmoid_binary_cross_entropy(*arguments),
            lambda: optax.sigmoid_binary_cross_entropy(*arguments),
            tolerance=1e-6,
            errors=ERRORS,
        )

    @focal
    def test_focal(self, arguments):
        agree(
            lambda: ours.sigmoid_focal_loss(*arguments),
            lambda: optax.sigmoid_focal_loss(*arguments),
            tolerance=1e-6,
            errors=ERRORS,
        )


def test_infinite_logits():
    x, z = jnp.array([jnp.inf, -jnp.inf]), jnp.array([1.0, 0.0])
    assert not np.any(ours.sigmoid_binary_cross_entropy(x, z))
    assert np.all(np.isnan(optax.sigmoid_binary_cross_entropy(x, z)))


def test_traced():
    x, z = jnp.array([[1.0, -2.0]]), jnp.array([[0.0], [1.0]])
    for name in ("sigmoid_binary_cross_entropy", "sigmoid_focal_loss"):
        with step("jax", getattr(ours, name)):
            traced = jax.jit(getattr(ours, name))(x, z)
            np.testing.assert_allclose(traced, getattr(optax, name)(x, z), rtol=1e-6)


@focal
@pytest.mark.parametrize("gamma", [0, 2, 1.5, jnp.float32(0.5), jnp.array([[0.0], [3.0]])])
@pytest.mark.parametrize("alpha", [None, 0, 1, 0.25, jnp.array([0.25, 0.5])])
def test_focal_with_traced_options(gamma, alpha):
    """As optax is called in a jitted step: gamma and alpha are traced. Values, and the gradients in all of them."""
    x, z = jnp.array([[1.0, -2.0]]), jnp.array([[0.3], [1.0]])
    options = {"gamma": jnp.asarray(gamma, jnp.float32)}
    if alpha is not None:
        options["alpha"] = jnp.asarray(alpha, jnp.float32)

    def gradients(function):
        return jax.grad(lambda x, options: jnp.sum(function(x, z, **options)), (0, 1))(x, options)

    agree(
        lambda: jax.jit(ours.sigmoid_focal_loss)(x, z, gamma=gamma, alpha=alpha),
        lambda: jax.jit(optax.sigmoid_focal_loss)(x, z, gamma=gamma, alpha=alpha),
        tolerance=4e-6,
    )
    for got, expected in zip(*map(jax.tree.leaves, map(gradients, FOCAL)), strict=True):
        agree(lambda got=got: got, lambda expected=expected: expected, tolerance=1e-5)


def test_negative_gamma():
    """A number is refused, which optax takes; in an array it follows the formula."""
    x, z = jnp.array([1.0, -2.0]), jnp.array([0.0, 1.0])
    with pytest.raises(ValueError, match="gamma must be at least 0, got -1"):
        ours.sigmoid_focal_loss(x, z, gamma=-1)
    got, expected = (jax.jit(function)(x, z, gamma=-1) for function in FOCAL)
    np.testing.assert_allclose(got, expected, rtol=4e-6)


def test_any_library(backend):
    x, z = [[1.0, -2.0, 20.0]], [[0.0], [1.0]]
    for name, options in (("sigmoid_binary_cross_entropy", {}), ("sigmoid_focal_loss", {"alpha": 0.25})):
        with step(backend, getattr(ours, name), **options):
            result = getattr(ours, name)(on(backend, x), on(backend, z), **options)
            expected = getattr(optax, name)(jnp.array(x), jnp.array(z), **options)
            np.testing.assert_allclose(backend.to_numpy(result), expected, rtol=4e-6)
    options = {"alpha": on(backend, [0.25]), "gamma": on(backend, [[2.0]])}
    weighted = ours.sigmoid_focal_loss(on(backend, x), on(backend, z), **options)
    np.testing.assert_allclose(backend.to_numpy(weighted), expected, rtol=4e-6)


# --- what the tests of all conventions call ----------------------------------------------------------------------

ARRAYS = {
    "optax.sigmoid_binary_cross_entropy": (
        ours.sigmoid_binary_cross_entropy,
        {"logits": MATRIX, "labels": ZEROS_AND_ONES},
    ),
    "optax.sigmoid_focal_loss": (
        ours.sigmoid_focal_loss,
        {"logits": MATRIX, "labels": ZEROS_AND_ONES, "alpha": VECTOR, "gamma": VECTOR},
    ),
}
TRACED = {
    "optax": lambda x, z, w: ours.sigmoid_binary_cross_entropy(x, z * w),
    "optax focal": lambda x, z, w: ours.sigmoid_focal_loss(x, z, alpha=w, gamma=w),
}
