"""`xbce.conventions.keras` against the installed Keras, with TensorFlow."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conventions.differential import LOGITS, PROBABILITIES, SOFT, WEIGHTS, agree, arrays, on, stated
from tests.conventions.gathered import MATRIX, VECTOR, ZEROS_AND_ONES
from tests.helpers import approx, step
from xbce.conventions import keras as ours

ERRORS = {"InvalidArgumentError": ValueError, "AttributeError": TypeError}
EPS32 = 2.0**-23
REDUCTIONS = ["sum_over_batch_size", "sum", None, "none", "mean", "mean_with_sample_weight"]
SHAPES = st.sampled_from([(1,), (3,), (2, 3), (2, 1), (1, 3, 2), (0,), (2, 0), (0, 2)])


@pytest.fixture(scope="session")
def keras(tf):  # noqa: ARG001 - it imports TensorFlow without its messages
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    keras = pytest.importorskip("keras")
    assert keras.backend.backend() == "tensorflow"
    return keras


entropy = pytest.mark.compared("keras.binary_crossentropy", "keras")
focal = pytest.mark.compared("keras.binary_focal_crossentropy", "keras")
entropy_class = pytest.mark.compared("keras.BinaryCrossentropy", "keras")
focal_class = pytest.mark.compared("keras.BinaryFocalCrossentropy", "keras")


def unit(dtype):
    return float(np.finfo(dtype).eps)


def mean_over(x, axis):
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sum(x, axis=axis) / (x.size if axis is None else x.shape[axis])


def is_clipped(p):
    """Where Keras clips, and rounds the bound of the clip."""
    return (p < 2e-7) | (p > 1 - 2e-7)


def size_of_terms(x, *, from_logits):
    """The size of what Keras's formulas round, whatever the label."""
    x = np.float64(x)
    if from_logits:
        return 3 * np.abs(x) + 2
    p = np.clip(x, 1e-7, 1 - 1e-7)
    return 5 + np.abs(np.log(p)) + np.abs(np.log1p(-p))


def draw_call(data, *, from_logits, dtypes=("float32", "float64")):
    shape = data.draw(SHAPES, label="shape")
    dtype = data.draw(st.sampled_from(dtypes), label="dtype")
    x = data.draw(arrays(LOGITS if from_logits else PROBABILITIES, shape, dtype), label="x")
    if not from_logits:
        x = np.where(is_clipped(x), x.dtype.type(0.5), x)
    z = data.draw(arrays(SOFT, shape), label="z").astype(
        data.draw(st.sampled_from(["float32", "float64", "int64", "bool"]), label="dtype")
    )
    axis = data.draw(st.sampled_from([None, *range(-len(shape), len(shape))]), label="axis")
    return (
        z,
        x,
        {
            "from_logits": from_logits,
            "axis": axis,
            "label_smoothing": data.draw(st.sampled_from([0.0, 0.1, 1.0]), label="label_smoothing"),
        },
    )


@entropy
@settings(max_examples=300)
@given(st.data(), st.booleans())
def test_entropy(keras, data, from_logits):
    z, x, options = draw_call(data, from_logits=from_logits)
    each = 8 * unit(x.dtype) * size_of_terms(x, from_logits=from_logits)
    agree(
        lambda: ours.binary_crossentropy(z, x, **options),
        lambda: keras.losses.binary_crossentropy(z, x, **options),
        tolerance=np.nan_to_num(mean_over(each, options["axis"])),
        errors=ERRORS,
    )


@focal
@settings(max_examples=300)
@given(st.data(), st.booleans())
def test_focal(keras, data, from_logits):
    z, x, options = draw_call(data, from_logits=from_logits)
    options["gamma"] = data.draw(st.sampled_from([0.0, 1.0, 2.0, 3.5]), label="gamma")
    options["apply_class_balancing"] = data.draw(st.booleans(), label="apply_class_balancing")
    options["alpha"] = data.draw(st.sampled_from([0.25, 0.0, 1.0]), label="alpha")
    # Keras takes 1 - p_t, whose digits are lost where it is small: an error of gamma times eps in the factor.
    each = 16 * unit(x.dtype) * (1 + options["gamma"]) * size_of_terms(x, from_logits=from_logits)
    agree(
        lambda: ours.binary_focal_crossentropy(z, x, **options),
        lambda: keras.losses.binary_focal_crossentropy(z, x, **options),
        tolerance=np.nan_to_num(mean_over(each, options["axis"])),
        errors=ERRORS,
    )


def draw_factor(data, losses_shape, *, mask):
    """Draw a sample_weight or mask that fits the losses in one of Keras's ways, or does not."""
    n = losses_shape
    shapes = [n, (*n, 1), (1,) * len(n), n[:-1] if len(n) > 1 else n, (), (5,), (*n[:-1], 1) if n else (1,)]
    shape = data.draw(st.sampled_from(shapes), label="shape")
    if mask:
        return data.draw(arrays(st.booleans(), shape, "bool"), label="mask")
    weight = data.draw(
        arrays(WEIGHTS, shape, data.draw(st.sampled_from(["float32", "float64", "int32"]), label="dtype")),
        label="weight",
    )
    return data.draw(st.sampled_from([weight, weight.tolist()]), label="weight or list")


@settings(max_examples=250)
@given(st.data())
def compare_classes(keras, tf, name, data):
    from_logits = data.draw(st.booleans(), label="from_logits")
    z, x, options = draw_call(data, from_logits=from_logits)
    if x.size and data.draw(st.integers(0, 9), label="one in ten") == 0:
        z = z[..., 0]  # of another rank
    options["axis"] = data.draw(st.sampled_from([-1, -1, -1, 0, None]), label="axis")
    reduction = data.draw(st.sampled_from(REDUCTIONS), label="reduction")
    options |= {"reduction": reduction, "dtype": data.draw(st.sampled_from([None, None, "float64"]), label="dtype")}
    losses_shape = () if options["axis"] is None else x.shape[1:] if options["axis"] == 0 else x.shape[:-1]
    weight = draw_factor(data, losses_shape, mask=False) if data.draw(st.booleans(), label="with weight") else None
    mask = (
        draw_factor(data, losses_shape, mask=True)
        if data.draw(st.integers(0, 2), label="one in three: mask") == 0
        else None
    )
    theirs = tf.constant(x)
    if mask is not None and not x.size:
        stated("the mean of no elements is NaN; a mask drops it, where Keras multiplies it by 0")
        return
    if mask is not None:
        theirs._keras_mask = tf.constant(mask)
    largest = np.max(size_of_terms(x, from_logits=from_logits), initial=0)
    heaviest = max(1.0, float(np.max(np.abs(np.float64(weight)), initial=0))) if weight is not None else 1.0
    agree(
        lambda: getattr(ours, name)(**options)(z, x, weight, mask=mask),
        lambda: getattr(keras.losses, name)(**options)(z, theirs, weight),
        # All of it is added in float32; means with small weights in the denominator are checked by their numerators.
        tolerance=32 * EPS32 * largest * heaviest * max(x.size, 1),
        errors=ERRORS,
    )


@entropy_class
def test_class(keras, tf):
    compare_classes(keras, tf, "BinaryCrossentropy")


@focal_class
def test_focal_class(keras, tf):
    compare_classes(keras, tf, "BinaryFocalCrossentropy")


FACTORS = [None, (), (2,), (2, 1), (1, 3), (3,), (1, 1), (2, 3), (2, 3, 1), (5,)]


@entropy_class
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weight_shape", FACTORS)
def test_ways_to_weigh_and_mask(keras, tf, reduction, weight_shape):
    """Losses of shape (2, 3): which weights and masks fit, and what they count for."""
    x = np.linspace(0.125, 0.875, 12, dtype=np.float32).reshape(2, 3, 2)
    z = np.float32(x * 8 % 2 > 1)
    weight = None if weight_shape is None else 0.5 + np.arange(np.prod(weight_shape)).reshape(weight_shape) % 3
    for mask_shape in FACTORS:
        theirs, mask = tf.constant(x), None
        if mask_shape is not None:
            mask = np.arange(np.prod(mask_shape)).reshape(mask_shape) % 3 > 0
            theirs._keras_mask = tf.constant(mask)
        agree(
            lambda mask=mask: ours.BinaryCrossentropy(reduction=reduction)(z, x, weight, mask=mask),
            lambda theirs=theirs: keras.losses.BinaryCrossentropy(reduction=reduction)(z, theirs, weight),
            tolerance=2e-5,
            errors=ERRORS,
        )


Z, P = np.float32([[0, 1, 1]]), np.float32([[0.25, 0.5, 0.75]])
WRONG = {
    "a wider y_true": ((np.ones((1, 3, 2)), P), {}),
    "a longer y_true": ((np.ones((1, 4)), P), {}),
    "a column": ((np.ones((1, 1)), P), {}),
    "a number": ((1.0, P), {}),
    "integer predictions": ((Z, P.astype(int)), {}),
    "boolean predictions": ((Z, P > 0.3), {}),
    "an axis too many": ((Z, P), {"axis": 2}),
    "no axis": ((np.float32(1), np.float32(0.5)), {}),
    "no y_pred": ((Z, None), {}),
}


@entropy
@pytest.mark.parametrize("wrong", WRONG)
def test_errors(keras, wrong):
    arguments, options = WRONG[wrong]
    agree(
        lambda: ours.binary_crossentropy(*arguments, **options),
        lambda: keras.losses.binary_crossentropy(*arguments, **options),
        tolerance=0,
        errors=ERRORS | {"ValueError": (ValueError, TypeError)},  # what is no array is a TypeError here
    )


@entropy_class
def test_options(keras):
    agree(
        lambda: ours.BinaryCrossentropy(reduction="average"),
        lambda: keras.losses.BinaryCrossentropy(reduction="average"),
        tolerance=0,
    )
    for name in ("BinaryCrossentropy", "BinaryFocalCrossentropy"):
        with step("keras", getattr(ours, name)):
            mine, theirs = getattr(ours, name)(), getattr(keras.losses, name)()
            assert mine.get_config() == theirs.get_config()
            assert mine.name == theirs.name
            assert mine.dtype == theirs.dtype == "float32"
            again = type(mine).from_config({**mine.get_config(), "axis": 0})
            assert (type(again), again.axis) == (type(mine), 0)
    with pytest.raises(ValueError, match=r"dtype must be None or one of 'float16', .* got 'int32'"):
        ours.BinaryCrossentropy(dtype="int32")


LOSSES = ["BinaryCrossentropy", "BinaryFocalCrossentropy"]


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("name", LOSSES)
def test_dtypes_on_numpy(name, dtype, reduction, from_logits):
    """Each is what the loss computes and returns: the float64 loss of the arrays in that dtype, rounded."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    of_numpy = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    x, z, w = np.float32([[0.9, 0.2], [0.4, 0.7]]), np.array([[1, 0], [0, 0]]), [2.0, 0.5]
    m = np.array([True, True])
    options = {"from_logits": from_logits, "reduction": reduction}
    result = getattr(ours, name)(**options, dtype=dtype)(z, x, w, mask=m)
    exact = getattr(ours, name)(**options, dtype="float64")(z, x.astype(of_numpy).astype(np.float64), w, mask=m)
    assert result.dtype == of_numpy
    # Losses of samples are rounded, and so are their mean and what the mean is multiplied by.
    tolerance = 4 * float(ml_dtypes.finfo(of_numpy).eps)
    np.testing.assert_allclose(np.asarray(result, np.float64), exact, rtol=tolerance, atol=0)


@pytest.mark.parametrize("chosen", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", LOSSES)
def test_dtypes_of_any_library(name, chosen, backend):
    """The dtype, or an error that names the argument."""
    x, z = on(backend, [[0.9, 0.2]]), on(backend, [[1, 0]], "int32")
    loss = getattr(ours, name)(dtype=chosen, reduction="none")
    if backend.name == "array-api-strict":
        text = f"^dtype must be a dtype of the arrays' library, got '{chosen}', which array_api_strict does not have$"
        with pytest.raises(ValueError, match=text):
            loss(z, x)
        return
    result = loss(z, x)
    assert chosen in str(result.dtype)
    expected = getattr(ours, name)(dtype="float32", reduction="none")(np.array([[1, 0]]), np.float32([[0.9, 0.2]]))
    np.testing.assert_allclose(np.float32(backend.to_numpy(result)), expected, rtol=2e-2, atol=0)


def test_bfloat16_on_numpy_without_ml_dtypes(monkeypatch):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    text = "^dtype='bfloat16' needs the package ml_dtypes for NumPy's arrays, and it is not installed$"
    with pytest.raises(ValueError, match=text):
        ours.BinaryCrossentropy(dtype="bfloat16")(Z, P)


def test_bfloat16_as_keras_on_numpy():
    """Keras's own test of the argument, on its NumPy backend, which takes a process of its own."""
    pytest.importorskip("keras")
    code = """
import keras, numpy as np
z, p = np.float32([[1, 0]]), np.float32([[.9, .2]])
for name in ("BinaryCrossentropy", "BinaryFocalCrossentropy"):
    loss = getattr(keras.losses, name)(dtype="bfloat16")(z, p)
    print(loss.dtype, float(loss))
"""
    command = [sys.executable, "-W", "ignore", "-c", code]
    environment = os.environ | {"KERAS_BACKEND": "numpy"}
    printed = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.splitlines()
    for name, line in zip(LOSSES, printed, strict=True):
        with step("numpy", getattr(ours, name), dtype="bfloat16"):
            dtype, value = line.split()
            loss = getattr(ours, name)(dtype="bfloat16")(np.float32([[1, 0]]), np.float32([[0.9, 0.2]]))
            assert str(loss.dtype) == dtype == "bfloat16"
            # Keras rounds every step to bfloat16.
            assert float(loss) == approx(float(value), rel=0.1)


def test_numbers_in_the_docstrings(keras):
    p, z = np.float32([[1]]), np.float32([[0]])
    assert float(keras.losses.binary_crossentropy(z, p)[0]) == approx(15.942385, rel=1e-6)
    assert ours.binary_crossentropy(z, p)[0] == approx(16.118096, rel=1e-6)
    half = np.float16([[1]])
    assert not np.isfinite(float(keras.losses.binary_crossentropy(half, half)[0]))
    assert ours.binary_crossentropy(half, half)[0] == np.float16(1e-7)
    for logit, theirs, right in ((-30, 30, 30), (20, 0, 8.757e-27)):
        with step("keras", ours.binary_focal_crossentropy, logit):
            x, z = np.float32([logit]), np.float32([1])
            assert float(keras.losses.binary_focal_crossentropy(z, x, from_logits=True)) == theirs
            assert ours.binary_focal_crossentropy(z, x, from_logits=True) == approx(right, rel=1e-3)


def test_clipped_logits_on_numpy():
    """Keras with NumPy, which takes a process of its own: what the docstrings say of it."""
    pytest.importorskip("keras")
    code = """
import keras, numpy as np
one, x, half = np.float32([[1]]), np.float32([[-30]]), np.float16([[1]])
for loss in (
    keras.losses.binary_crossentropy(one, x, from_logits=True),
    keras.losses.binary_focal_crossentropy(one, x, from_logits=True),
    keras.losses.binary_crossentropy(half, half),
):
    print(float(loss[0]))
"""
    command = [sys.executable, "-W", "ignore", "-c", code]
    environment = os.environ | {"KERAS_BACKEND": "numpy"}
    run = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    clipped, focal, half = map(float, run.stdout.split())
    assert clipped == focal == approx(16.118096, rel=1e-6)
    assert np.isnan(half)
    one, x = np.float32([[1]]), np.float32([[-30]])
    assert ours.binary_crossentropy(one, x, from_logits=True) == [30]


def test_masked_nan_does_not_leak(keras, tf):
    x = np.float32([[0.5], [np.nan]])
    z = np.float32([[1], [1]])
    masked = tf.constant(x)
    masked._keras_mask = tf.constant([True, False])
    assert np.isnan(float(keras.losses.BinaryCrossentropy()(z, masked)))
    assert ours.BinaryCrossentropy()(z, x, mask=np.array([True, False])) == approx(np.log(2), rel=1e-6)


def test_mask_as_keras_carries_it():
    torch = pytest.importorskip("torch")
    x, z = torch.tensor([[0.5], [0.25]]), torch.ones(2, 1)
    x._keras_mask = torch.tensor([True, False])
    assert ours.BinaryCrossentropy()(z, x).item() == approx(np.log(2), rel=1e-6)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["BinaryCrossentropy", "BinaryFocalCrossentropy"])
def test_any_library(name, reduction, backend):
    z, x, w, m = [[0, 1], [1, 1]], [[0.25, 0.5], [1.0, 0.0]], [2.0, 0.5], [True, False]
    for from_logits in (True, False):
        with step(backend, getattr(ours, name), from_logits=from_logits, reduction=reduction):
            loss = getattr(ours, name)(from_logits=from_logits, reduction=reduction)
            expected = loss(np.array(z), np.float32(x), np.float32(w), mask=np.array(m))
            result = loss(on(backend, z, "int32"), on(backend, x), on(backend, w), mask=on(backend, m, "bool"))
            np.testing.assert_allclose(backend.to_numpy(result), expected, rtol=2e-6)


# --- what the tests of all conventions call ----------------------------------------------------------------------

_SAMPLES = {"y_pred": MATRIX, "y_true": ZEROS_AND_ONES, "sample_weight": VECTOR, "mask": VECTOR}
ARRAYS = {
    "keras.binary_crossentropy": (ours.binary_crossentropy, {"y_pred": MATRIX, "y_true": ZEROS_AND_ONES}),
    "keras.binary_focal_crossentropy": (ours.binary_focal_crossentropy, {"y_pred": MATRIX, "y_true": ZEROS_AND_ONES}),
    "keras.BinaryCrossentropy": (ours.BinaryCrossentropy(), _SAMPLES),
    "keras.BinaryFocalCrossentropy": (ours.BinaryFocalCrossentropy(), _SAMPLES),
}
TRACED = {
    "keras": lambda x, z, w: ours.BinaryCrossentropy()(z, x, w),
    "keras mask": lambda x, z, w: ours.BinaryCrossentropy(from_logits=True)(z, x, mask=w[:, 0] != 0),
    "keras focal": lambda x, z, w: ours.BinaryFocalCrossentropy(True, reduction="mean_with_sample_weight")(z, x, w),
}
