"""`xbce.conventions.tensorflow` against the installed TensorFlow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conventions.differential import (
    HARD,
    LOGITS,
    PROBABILITIES,
    SHAPES,
    SOFT,
    WEIGHTS,
    agree,
    arrays,
    narrowed,
    on,
    stated,
)
from tests.conventions.gathered import MATRIX, VECTOR, ZEROS_AND_ONES
from tests.helpers import approx, step
from xbce.conventions import tensorflow as ours

FLOATS = st.sampled_from(["float32", "float64", "float16"])
REDUCTIONS = st.sampled_from(sorted(set(ours.Reduction.all())))
# TensorFlow's own error class cannot be had without TensorFlow.
ERRORS = {"InvalidArgumentError": (TypeError, ValueError), "AttributeError": TypeError}
EPS32 = 2.0**-23

nn_sigmoid = pytest.mark.compared("tensorflow.sigmoid_cross_entropy_with_logits", "tensorflow-cpu")
nn_weighted = pytest.mark.compared("tensorflow.weighted_cross_entropy_with_logits", "tensorflow-cpu")
v1_sigmoid = pytest.mark.compared("tensorflow.sigmoid_cross_entropy", "tensorflow-cpu")
v1_log_loss = pytest.mark.compared("tensorflow.log_loss", "tensorflow-cpu")


def terms(x, z, q=1.0):
    """The size of the terms that TensorFlow's formulas add and subtract."""
    x, z, q = (np.asarray(a, np.float64) for a in (x, z, q))
    return (1 + z) * np.abs(x) + (1 + np.abs(q - 1) * z) * (1 + np.abs(x))


def unit(dtype):
    return float(np.finfo(dtype).eps)


@nn_sigmoid
@settings(max_examples=300)
@given(st.data())
def test_sigmoid_with_logits(tf, data):
    shape, dtype = data.draw(SHAPES, label="shape"), data.draw(FLOATS, label="dtype")
    x, z = data.draw(arrays(LOGITS, shape, dtype), label="x"), data.draw(arrays(SOFT, shape, dtype), label="z")
    agree(
        lambda: ours.sigmoid_cross_entropy_with_logits(labels=z, logits=x),
        lambda: tf.nn.sigmoid_cross_entropy_with_logits(labels=z, logits=x),
        tolerance=4 * unit(dtype) * terms(x, z),
    )


@nn_sigmoid
@settings(max_examples=200)
@given(st.data())
def test_hard_labels_to_the_last_digits(tf, data):
    """There TensorFlow is accurate, so nothing but roundings may differ."""
    shape = data.draw(SHAPES, label="shape")
    x, z = data.draw(arrays(LOGITS, shape, "float32"), label="x"), data.draw(arrays(HARD, shape, "float32"), label="z")
    expected = tf.nn.sigmoid_cross_entropy_with_logits(labels=z, logits=x)
    agree(
        lambda: ours.sigmoid_cross_entropy_with_logits(z, x),
        lambda: expected,
        # TensorFlow's exp flushes subnormal results to zero.
        tolerance=8 * EPS32 * np.abs(expected.numpy()) + np.finfo(np.float32).tiny,
    )


@nn_weighted
@settings(max_examples=300)
@given(st.data())
def test_weighted(tf, data):
    shape, dtype = data.draw(SHAPES, label="shape"), data.draw(FLOATS, label="dtype")
    x, z = data.draw(arrays(LOGITS, shape, dtype), label="x"), data.draw(arrays(SOFT, shape, dtype), label="z")
    if data.draw(st.booleans(), label="pos_weight is a number"):
        q = data.draw(st.floats(-2, 8, width=16), label="q")
    else:
        q = data.draw(
            arrays(WEIGHTS, data.draw(st.just((2, *shape)) | narrowed(shape), label="shape of q"), dtype), label="q"
        )
    agree(
        lambda: ours.weighted_cross_entropy_with_logits(z, x, q),
        lambda: tf.nn.weighted_cross_entropy_with_logits(z, x, q),
        tolerance=4 * unit(dtype) * terms(x, z, q),
    )


WRONG = {
    "shape": lambda x, _z: (x, np.ones((*x.shape, 2), x.dtype)),
    "length": lambda x, _z: (x, np.ones(len(x) + 1, x.dtype)),
    "number": lambda x, _z: (x, 1.0),
    "integer labels": lambda x, z: (x, z.astype(np.int32)),
    "boolean labels": lambda x, z: (x, z > 0),
    "wider labels": lambda x, z: (x, z.astype(np.float64)),
    "narrower labels": lambda x, z: (x, z.astype(np.float16)),
    "integer logits": lambda x, z: (x.astype(np.int32), z),
    "integers": lambda x, z: (x.astype(np.int32), z.astype(np.int32)),
    "boolean logits": lambda x, z: (x > 0, z),
    "no labels": lambda x, _z: (x, None),
    "no logits": lambda _x, z: (None, z),
}


@pytest.mark.parametrize("wrong", WRONG)
class TestErrors:
    """Type and condition; InvalidArgumentError is TypeError for dtypes and ValueError for shapes here."""

    x = np.array([0.5, 2.0, -3.0], np.float32)
    z = np.array([0.0, 1.0, 1.0], np.float32)

    @nn_sigmoid
    def test_sigmoid_with_logits(self, tf, wrong):
        x, z = WRONG[wrong](self.x, self.z)
        agree(
            lambda: ours.sigmoid_cross_entropy_with_logits(z, x),
            lambda: tf.nn.sigmoid_cross_entropy_with_logits(z, x),
            tolerance=1e-6,
            errors=ERRORS,
        )

    @nn_weighted
    def test_weighted(self, tf, wrong):
        x, z = WRONG[wrong](self.x, self.z)
        agree(
            lambda: ours.weighted_cross_entropy_with_logits(z, x, 2.0),
            lambda: tf.nn.weighted_cross_entropy_with_logits(z, x, 2.0),
            tolerance=1e-6,
            errors=ERRORS | {"TypeError": (TypeError, ValueError)},
        )

    @v1_sigmoid
    def test_v1_sigmoid(self, tf, wrong):
        x, z = WRONG[wrong](self.x, self.z)
        agree(
            lambda: ours.sigmoid_cross_entropy(z, x),
            lambda: tf.compat.v1.losses.sigmoid_cross_entropy(z, x),
            tolerance=1e-6,
            errors=ERRORS,
        )

    @v1_log_loss
    def test_v1_log_loss(self, tf, wrong):
        p, z = WRONG[wrong](np.float32([0.25, 1.0, 0.75]), self.z)
        agree(
            lambda: ours.log_loss(z, p),
            lambda: tf.compat.v1.losses.log_loss(z, p),
            tolerance=4e-7,
            errors=ERRORS,
        )


@nn_weighted
@pytest.mark.parametrize("q", [None, "2", np.ones(2, np.float32), np.ones((2, 2), np.float32)])
def test_wrong_pos_weight(tf, q):
    x = np.zeros(3, np.float32)
    agree(
        lambda: ours.weighted_cross_entropy_with_logits(x, x, q),
        lambda: tf.nn.weighted_cross_entropy_with_logits(x, x, q),
        tolerance=0,
        errors=ERRORS,
    )


def draw_weights(data, shape):
    """Draw weights of any kind, unfitting ones too."""
    kind = data.draw(st.sampled_from(["number", "fitting", "fitting", "fitting", "wrong", "None"]), label="kind")
    if kind == "None":
        return None
    if kind == "number":
        return data.draw(WEIGHTS | st.integers(-2, 2) | st.booleans(), label="number")
    if kind == "wrong":
        wrong = data.draw(st.sampled_from([(7,), (1, *shape), shape[1:], (*shape[:-1], 5)]), label="wrong shape")
        return np.ones(wrong, np.float32)
    lengths = tuple(data.draw(st.sampled_from([1, n]), label="length") for n in shape)
    dtype = data.draw(st.sampled_from(["float32", "float64", "float16", "int32", "bool"]), label="dtype")
    return data.draw(arrays(WEIGHTS, lengths, "float64"), label="weights").astype(dtype)


def total_weight(weights, shape):
    try:
        w = np.broadcast_to(np.abs(np.asarray(weights, np.float64)), shape)
    except (TypeError, ValueError):
        return 1.0
    return w


def reduced_tolerance(each, weights, reduction):
    """What the reduction makes of an error in each loss; float32 in TensorFlow, whatever the dtype."""
    weights = total_weight(weights, each.shape)
    each = each * weights
    if reduction == ours.Reduction.NONE:
        return each
    counts = {
        ours.Reduction.SUM: 1.0,
        ours.Reduction.MEAN: np.sum(np.broadcast_to(weights, each.shape)),
        ours.Reduction.SUM_OVER_BATCH_SIZE: each.size,
        ours.Reduction.SUM_BY_NONZERO_WEIGHTS: np.count_nonzero(np.broadcast_to(weights, each.shape)),
    }
    return each.sum() / max(counts[reduction], 1e-300)


@v1_sigmoid
@settings(max_examples=400)
@given(st.data())
def test_v1_sigmoid(tf, data):
    shape, dtype = data.draw(SHAPES, label="shape"), data.draw(FLOATS, label="dtype")
    x = data.draw(arrays(LOGITS, shape, dtype), label="x")
    z = data.draw(arrays(SOFT, shape), label="z").astype(
        data.draw(st.sampled_from(["float32", "float64", "int64", "bool"]), label="dtype")
    )
    weights, reduction = draw_weights(data, shape), data.draw(REDUCTIONS, label="reduction")
    smoothing = data.draw(st.sampled_from([0, 0.1, 1.0, -0.5]), label="smoothing")
    agree(
        lambda: ours.sigmoid_cross_entropy(z, x, weights, smoothing, reduction=reduction),
        lambda: tf.compat.v1.losses.sigmoid_cross_entropy(z, x, weights, smoothing, reduction=reduction),
        tolerance=reduced_tolerance(8 * max(unit(dtype), EPS32) * terms(x, 1.0), weights, reduction),
        errors=ERRORS,
    )


@v1_log_loss
@settings(max_examples=400)
@given(st.data())
def test_v1_log_loss(tf, data):
    shape = data.draw(SHAPES, label="shape")
    p = data.draw(arrays(PROBABILITIES, shape, data.draw(FLOATS, label="dtype")), label="p")
    z = data.draw(arrays(SOFT, shape), label="z").astype(
        data.draw(st.sampled_from(["float32", "float64", "int64", "bool"]), label="dtype")
    )
    weights, reduction = draw_weights(data, shape), data.draw(REDUCTIONS, label="reduction")
    epsilon = data.draw(st.sampled_from([1e-7, 1e-3, 0.0]), label="epsilon")
    theirs = tf.compat.v1.losses.log_loss
    if epsilon == 0 and np.any((p == 0) | (p == 1)):
        stated("0 log 0 is NaN in TensorFlow, and absent in xbce")
        return
    # TensorFlow rounds p + epsilon and 1 - p + epsilon, of which the logarithm makes a relative error.
    low, high = np.float32(p).astype(np.float64) + epsilon, 1 - np.float32(p).astype(np.float64) + epsilon
    rounding = EPS32 * (1 / low + 1 / high + 4 * (1 + np.abs(np.log(low)) + np.abs(np.log(high))))
    agree(
        lambda: ours.log_loss(z, p, weights, epsilon, reduction=reduction),
        lambda: theirs(z, p, weights, epsilon, reduction=reduction),
        tolerance=reduced_tolerance(rounding, weights, reduction),
        errors=ERRORS,
    )


@v1_sigmoid
@pytest.mark.parametrize("reduction", [None, "mean", "none"])
def test_reduction_names(tf, reduction):
    x = np.zeros(3, np.float32)
    agree(
        lambda: ours.sigmoid_cross_entropy(x, x, reduction=reduction),
        lambda: tf.compat.v1.losses.sigmoid_cross_entropy(x, x, reduction=reduction),
        tolerance=1e-6,
    )


def test_reduction_class(tf):
    theirs = tf.compat.v1.losses.Reduction
    names = [name for name in vars(theirs) if name.isupper()]
    assert len(names) == 6
    assert {name: getattr(ours.Reduction, name) for name in names} == {name: getattr(theirs, name) for name in names}
    assert ours.Reduction.all() == theirs.all()
    with pytest.raises(ValueError, match=r"reduction must be one of 'none', 'weighted_sum', .* got 'mean'"):
        ours.Reduction.validate("mean")


def gradient(tf, function, x, z):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = function(z, x)
    return tape.gradient(loss, x).numpy()


def test_numbers_in_the_docstrings(tf):
    z, x = np.float32([0.999999]), np.float32([20])
    assert tf.nn.sigmoid_cross_entropy_with_logits(z, x).numpy() == approx([2.0982896e-05], rel=1e-7)
    assert ours.sigmoid_cross_entropy_with_logits(z, x) == approx([2.0267640377253128e-05], rel=4 * 2**-23)
    z, x = np.float32([0]), np.float32([-10])
    assert tf.nn.weighted_cross_entropy_with_logits(z, x, 1.5).numpy() == approx([4.5776367e-05], rel=1e-7)
    assert ours.weighted_cross_entropy_with_logits(z, x, 1.5) == approx([4.5398899216870535e-05], rel=4 * 2**-23)
    one = np.float32([1])
    assert tf.compat.v1.losses.log_loss(one, one).numpy() == np.float32(-1.1920928e-07)
    assert ours.log_loss(one, one) == np.float32(-np.log1p(1e-7))
    for label, theirs, right in ((0, 1, 0.5), (1, 0, -1.5)):
        with step("tensorflow", ours.weighted_cross_entropy_with_logits, label):
            x, z = np.float32([0]), np.float32([label])
            weighted = gradient(tf, lambda z, x: tf.nn.weighted_cross_entropy_with_logits(z, x, 3.0), x, z)
            assert weighted == [theirs]
            torch = pytest.importorskip("torch")
            leaf = torch.zeros(1, requires_grad=True)
            ours.weighted_cross_entropy_with_logits(torch.as_tensor(z), leaf, 3.0).backward()
            assert leaf.grad == right


@pytest.mark.parametrize(("logit", "label", "loss"), [(np.inf, 1, 0), (np.inf, 0, np.inf), (-np.inf, 0, 0)])
def test_infinite_logits(tf, logit, label, loss):
    x, z = np.float32([logit]), np.float32([label])
    assert ours.sigmoid_cross_entropy_with_logits(z, x) == [loss]
    assert np.isnan(tf.nn.sigmoid_cross_entropy_with_logits(z, x))


def test_float64_keeps_its_digits(tf):
    z, x = np.array([0.0]), np.array([0.3])
    exact = np.log1p(np.exp(0.3))
    assert ours.sigmoid_cross_entropy(z, x) == approx(exact, rel=1e-15)
    assert float(tf.compat.v1.losses.sigmoid_cross_entropy(z, x)) != approx(exact, rel=1e-9)


@pytest.mark.parametrize("reduction", sorted(set(ours.Reduction.all())))
def test_any_library(reduction, backend):
    z, x, w = [[0, 1], [1, 1]], [[0.25, 0.5], [1.0, 0.0]], [[2.0], [0.0]]
    for function in (ours.sigmoid_cross_entropy, ours.log_loss):
        with step(backend, function, reduction=reduction):
            expected = function(np.array(z), np.float32(x), np.float32(w), reduction=reduction)
            result = function(on(backend, z, "int32"), on(backend, x), on(backend, w), reduction=reduction)
            np.testing.assert_allclose(backend.to_numpy(result), expected, rtol=1e-6)
    nothing = ours.sigmoid_cross_entropy(on(backend, z), on(backend, x), 0.0, reduction=reduction)
    assert not np.any(backend.to_numpy(nothing))
    weighted = ours.weighted_cross_entropy_with_logits(on(backend, z), on(backend, x), on(backend, [[[2.0]], [[3.0]]]))
    assert backend.to_numpy(weighted).shape == (2, 2, 2)


# --- what the tests of all conventions call ----------------------------------------------------------------------

ARRAYS = {
    "tensorflow.sigmoid_cross_entropy_with_logits": (
        ours.sigmoid_cross_entropy_with_logits,
        {"logits": MATRIX, "labels": ZEROS_AND_ONES},
    ),
    "tensorflow.weighted_cross_entropy_with_logits": (
        ours.weighted_cross_entropy_with_logits,
        {"logits": MATRIX, "labels": ZEROS_AND_ONES, "pos_weight": VECTOR},
    ),
    "tensorflow.sigmoid_cross_entropy": (
        ours.sigmoid_cross_entropy,
        {"logits": MATRIX, "multi_class_labels": ZEROS_AND_ONES, "weights": MATRIX},
    ),
    "tensorflow.log_loss": (
        ours.log_loss,
        {"predictions": MATRIX, "labels": ZEROS_AND_ONES, "weights": MATRIX},
    ),
}
TRACED = {
    "tensorflow": lambda x, z, w: ours.sigmoid_cross_entropy_with_logits(z * w, x),
    "tensorflow weighted": lambda x, z, w: ours.weighted_cross_entropy_with_logits(z, x, w),
    "tensorflow v1": lambda x, z, w: ours.sigmoid_cross_entropy(z, x, w, 0.1),
    "tensorflow log_loss": lambda x, z, w: ours.log_loss(z, x, w, reduction="weighted_mean"),
}
