"""`xbce.conventions.caffe` against the layer's published definition, hand-computed cases and numerical gradients.

Caffe itself cannot be installed beside the rest: its last release needs Python 2 or 3.6 and a build from source.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conventions.differential import LOGITS, SHAPES, SOFT, agree, arrays, on
from tests.conventions.gathered import MATRIX, ZEROS_AND_ONES
from tests.helpers import approx, step
from xbce.conventions.caffe import SigmoidCrossEntropyLoss

NORMALIZATIONS = ["FULL", "VALID", "BATCH_SIZE", "NONE"]
TARGETS = st.one_of(SOFT, st.sampled_from([-1.0, -1.5, -0.9, 2.0, 255.0]))


def layer_by_definition(logits, targets, ignore_label, normalization):
    """The layer element by element, in Python floats: the loss, the gradient, and what its rounding is relative to."""
    loss, size, valid = 0.0, 0.0, 0
    gradient = np.zeros(logits.shape)
    for index, x in np.ndenumerate(logits.astype(float)):
        y = float(targets.reshape(logits.shape)[index])
        if ignore_label is not None and int(y) == ignore_label:  # int() truncates, as the cast in C++
            continue
        e = math.exp(-abs(x))
        each = x * ((x >= 0) - y) + math.log1p(e)
        loss, size, valid = loss + each, size + abs(x) * (1 + abs(y)) + 1, valid + 1
        gradient[index] = (1 / (1 + e) if x >= 0 else e / (1 + e)) - y
    divisor = {"FULL": logits.size, "VALID": valid, "BATCH_SIZE": logits.shape[0], "NONE": 1}[normalization]
    divisor = max(divisor, 1)
    return loss / divisor, gradient / divisor, size / divisor


@pytest.mark.compared("caffe.SigmoidCrossEntropyLoss", "its published definition")
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@settings(max_examples=150)
@given(data=st.data())
def test_definition(normalization, data):
    shape = data.draw(SHAPES.filter(len), label="shape")
    dtype = data.draw(st.sampled_from(["float32", "float64"]), label="dtype")
    x, y = data.draw(arrays(LOGITS, shape, dtype), label="x"), data.draw(arrays(TARGETS, shape, dtype), label="y")
    ignore_label = data.draw(st.sampled_from([None, -1, 0, 1, 255]), label="ignore_label")
    weight = data.draw(st.sampled_from([1.0, 3.7]), label="weight")
    layer = SigmoidCrossEntropyLoss(ignore_label, normalization, loss_weight=weight)
    loss, gradient, size = layer_by_definition(x, y, ignore_label, normalization)
    eps = float(np.finfo(dtype).eps)
    agree(lambda: layer.forward(x, y), lambda: x.dtype.type(loss * weight), tolerance=8 * eps * weight * size)
    agree(
        lambda: layer.backward(x, y, 0.5),
        lambda: (gradient * weight * 0.5).astype(dtype),
        tolerance=8 * eps * weight * (1 + np.abs(y)),
    )


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@settings(max_examples=30)
@given(data=st.data())
def test_backward_is_the_gradient_of_forward(normalization, data):
    """Numerically, as Caffe's own GradientChecker."""
    x = data.draw(arrays(st.floats(-3, 3, width=32), (2, 3)), label="x")
    y = data.draw(arrays(st.sampled_from([0.0, 0.25, 1.0, -1.0]), (2, 3)), label="y")
    layer = SigmoidCrossEntropyLoss(-1, normalization, loss_weight=3.7)
    numerical = np.empty_like(x)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = 1e-5
        numerical[index] = (layer.forward(x + step, y) - layer.forward(x - step, y)) / 2e-5
    np.testing.assert_allclose(layer.backward(x, y), numerical, rtol=1e-8, atol=1e-8)


X = np.array([[0.0, 2.0], [-1.0, 0.0]])
Y = np.array([[1.0, 0.0], [-1.0, 0.5]])
# By hand: log 2, log(1 + e^2), ignored, log 2.
LOSSES = [math.log(2), 2.1269280110429727, 0.0, math.log(2)]


@pytest.mark.parametrize(("normalization", "divisor"), [("FULL", 4), ("VALID", 3), ("BATCH_SIZE", 2), ("NONE", 1)])
def test_by_hand(normalization, divisor):
    layer = SigmoidCrossEntropyLoss(ignore_label=-1, normalization=normalization, loss_weight=2.0)
    assert layer.forward(X, Y) == approx(2 * sum(LOSSES) / divisor, rel=1e-15)
    gradient = np.array([[-0.5, 0.8807970779778824], [0.0, 0.0]]) * 2 / divisor
    np.testing.assert_allclose(layer.backward(X, Y), gradient, rtol=1e-15)
    np.testing.assert_allclose(layer.backward(X, Y, top_diff=-3.0), -3 * gradient, rtol=1e-15)


@pytest.mark.parametrize(("label", "kept"), [(0, [-1, 1, 1.5]), (-1, [-0.9, 0, 0.5, 1, 1.5]), (1, [-1, -0.9, 0, 0.5])])
def test_ignoring_truncates(label, kept):
    y = np.array([-1.0, -0.9, 0.0, 0.5, 1.0, 1.5])
    gradient = SigmoidCrossEntropyLoss(label, "NONE").backward(np.full(6, 0.3), y)
    assert y[gradient != 0].tolist() == kept


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_all_ignored(normalization):
    layer = SigmoidCrossEntropyLoss(0, normalization)
    assert layer.forward(np.array([1.0, np.nan]), np.zeros(2)) == 0
    assert not layer.backward(np.array([1.0, np.nan]), np.zeros(2)).any()


@pytest.mark.parametrize(
    ("options", "normalization"),
    [
        ({}, "BATCH_SIZE"),
        ({"normalize": True}, "VALID"),
        ({"normalize": False}, "BATCH_SIZE"),
        ({"normalize": True, "normalization": "FULL"}, "FULL"),
        ({"normalize": False, "normalization": "NONE"}, "NONE"),
    ],
)
def test_legacy_normalize(options, normalization):
    layer = SigmoidCrossEntropyLoss(**options)
    assert layer.normalization == normalization
    assert repr(layer) == (
        f"SigmoidCrossEntropyLoss(ignore_label=None, normalization={normalization!r}, loss_weight=1.0)"
    )


def test_shapes_need_only_agree_in_axis_0_and_count():
    layer = SigmoidCrossEntropyLoss()
    x, y = np.zeros((2, 3, 1)), np.zeros((2, 1, 3))
    assert layer.forward(x, y) == approx(3 * math.log(2), rel=1e-15)
    assert layer.backward(x, y).shape == (2, 3, 1)


@pytest.mark.parametrize(
    ("x", "y", "error", "match"),
    [
        (np.zeros((2, 3)), np.zeros((3, 2)), ValueError, r"axis 0 .* got logits \(2, 3\) and targets \(3, 2\)"),
        (np.zeros((2, 3)), np.zeros((2, 2)), ValueError, "number of elements"),
        (np.zeros(()), np.zeros(()), ValueError, "must have an axis 0"),
        (np.zeros(2, int), np.zeros(2), TypeError, "logits must be of a floating dtype, got int64"),
        ([0.0], np.zeros(1), TypeError, "logits must be an array"),
        (np.zeros(1), [0.0], TypeError, "targets must be an array"),
    ],
)
def test_errors(x, y, error, match):
    for method in (SigmoidCrossEntropyLoss().forward, SigmoidCrossEntropyLoss().backward):
        with pytest.raises(error, match=match):
            method(x, y)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"normalization": "valid"}, ValueError, "must be one of 'FULL', 'VALID', 'BATCH_SIZE', 'NONE', got 'valid'"),
        ({"ignore_label": 1.5}, TypeError, "ignore_label must be an int or None, got 1.5"),
        ({"loss_weight": "2"}, TypeError, "loss_weight must be a number, got '2'"),
    ],
)
def test_option_errors(options, error, match):
    with pytest.raises(error, match=match):
        SigmoidCrossEntropyLoss(**options)


def test_digits_that_caffe_loses():
    """log(1 + exp(-17)) is 0 in float32, and 0.5 tanh(-20) + 0.5 is 0 in float64."""
    assert np.log(1 + np.exp(np.float32(-17))) == 0
    layer = SigmoidCrossEntropyLoss()
    assert layer.forward(np.float32([-17]), np.float32([0])) == approx(4.1399376e-08, rel=1e-6)
    assert 0.5 * math.tanh(0.5 * -40) + 0.5 == 0
    assert layer.backward(np.array([-40.0]), np.array([0.0])) == approx(4.248354255291589e-18, rel=1e-15)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_any_library(normalization, backend):
    layer = SigmoidCrossEntropyLoss(-1, normalization, loss_weight=2.0)
    for dtype in ("float32", "int32"):
        with step(backend, layer.forward, dtype, normalization):
            y = np.trunc(Y)
            arguments = on(backend, X), on(backend, y, dtype)
            np.testing.assert_allclose(backend.to_numpy(layer.forward(*arguments)), layer.forward(X, y), rtol=1e-6)
            np.testing.assert_allclose(backend.to_numpy(layer.backward(*arguments)), layer.backward(X, y), rtol=1e-6)


# --- what the tests of all conventions call ----------------------------------------------------------------------

ARRAYS = {
    "caffe.forward": (SigmoidCrossEntropyLoss().forward, {"logits": MATRIX, "targets": ZEROS_AND_ONES}),
    "caffe.backward": (SigmoidCrossEntropyLoss(1).backward, {"logits": MATRIX, "targets": ZEROS_AND_ONES}),
}
TRACED = {
    "caffe": lambda x, z, w: SigmoidCrossEntropyLoss(0, "VALID").forward(x, z * w),
    "caffe backward": lambda x, z, w: SigmoidCrossEntropyLoss(0, "VALID").backward(x, z * w),
}
