"""`xbce.conventions.numpy_reference` against the textbook's function."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conventions.differential import LOGITS, SOFT, agree, arrays, on
from tests.conventions.gathered import VECTOR
from tests.helpers import approx
from xbce.conventions.numpy_reference import binary_cross_entropy


def textbook(X, y):  # noqa: N803
    m = y.shape[0]
    y = y.reshape(m)
    fX = 1 / (1 + np.exp(-X))  # noqa: N806
    return np.sum(-y * np.log(fX) - (1 - y) * np.log(1 - fX)) / m


@pytest.mark.compared("numpy_reference.binary_cross_entropy", "its published definition")
@settings(max_examples=300)
@given(st.data())
def test_textbook(data):
    n = data.draw(st.integers(1, 6), label="n")
    # Beyond 16 the textbook's 1 - fX has no digit left.
    x = data.draw(arrays(LOGITS.filter(lambda x: -80 < x < 16), (n,)), label="x")
    y = data.draw(arrays(SOFT, (n,)), label="y").astype(
        data.draw(st.sampled_from(["float64", "float32", "bool"]), label="dtype")
    )
    if y.dtype == bool:
        y = y.astype(int)  # the textbook negates labels, which NumPy refuses for booleans
    column_x, column_y = data.draw(st.booleans(), label="column_x"), data.draw(st.booleans(), label="column_y")
    agree(
        lambda: binary_cross_entropy(x[:, None] if column_x else x, y[:, None] if column_y else y),
        lambda: textbook(x, y),
        # 1 - fX is rounded to a multiple of 2^-53, which is its relative error.
        tolerance=4 * 2.0**-53 * np.mean(np.exp(np.abs(x)).clip(max=2.0**53) + np.abs(x) + 1),
    )


def test_the_example():
    x, y = np.array([[9.7], [0]]), np.array([[0], [1]])
    exact = 5.196604231088620577
    assert abs(binary_cross_entropy(x, y) - exact) <= 4 * math.ulp(exact)
    assert textbook(x.reshape(-1), y) == approx(5.196604231088062, rel=1e-15)
    assert textbook(x, y) == approx(5.543208462176, rel=1e-12)  # every label with every logit


def test_large_logits():
    x, y = np.array([37.0]), np.array([0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert textbook(x, y) == np.inf
    assert binary_cross_entropy(x, y) == 37.0


def test_integer_logits():
    exact = 0.22009484928059767  # (log(1 + exp(-2)) + log(1 + exp(-1))) / 2
    assert abs(binary_cross_entropy(np.array([2, -1]), np.array([1, 0])) - exact) <= 4 * math.ulp(exact)


@pytest.mark.parametrize(
    ("x", "y", "match"),
    [
        (np.zeros((2, 2)), np.zeros(2), r"X must be of shape \(N, 1\) or \(N,\), got \(2, 2\)"),
        (np.zeros(2), np.zeros(()), r"y must be of shape \(N, 1\) or \(N,\), got \(\)"),
        (np.zeros((2, 1)), np.zeros(3), r"same length, got X \(2, 1\) and y \(3,\)"),
    ],
)
def test_shapes(x, y, match):
    with pytest.raises(ValueError, match=match):
        binary_cross_entropy(x, y)


def test_lists():
    with pytest.raises(TypeError, match="X must be an array"):
        binary_cross_entropy([1.0], [1])


def test_any_library(backend):
    x, y = [[9.7], [0.0]], [0, 1]
    result = binary_cross_entropy(on(backend, x), on(backend, y, "int32"))
    assert float(backend.to_numpy(result)) == approx(5.196604231088620577, rel=1e-6)


# --- what the tests of all conventions call ----------------------------------------------------------------------

ARRAYS = {"numpy_reference": (binary_cross_entropy, {"X": VECTOR, "y": VECTOR})}
TRACED = {"numpy_reference": lambda x, z, w: binary_cross_entropy(x[:, 0], (z * w)[:, 0])}
