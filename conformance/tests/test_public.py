"""`measure`, from Python: a callable or an adapter is judged as the command judges it, and errors say what is wrong."""

import numpy as np
import pytest

import xbce
from xbce_conformance import Adapter, measure


def right(x, z):
    return xbce.binary_cross_entropy_with_logits(x, z)


def flat(x, z):
    """No loss at all where the label agrees."""
    value = right(x, z)
    return np.where(value < 1e-3, 0, value).astype(x.dtype)


def test_a_right_loss_passes():
    results = measure(right, dtypes=["float32"], parts=["samples"])
    (row,) = results.rows
    assert (row.title, row.quantity, row.dtype, row.violations) == ("right", "value", "float32", [])
    assert results.failed == []
    assert row.reproducer == ""  # nobody else has the object
    assert results.environment["xbce"] == xbce.__version__


def test_a_wrong_one_fails_and_says_where():
    (row,) = measure(flat, dtypes=["float32"], parts=["samples"]).failed
    assert any("results are zero where a normal number is right" in text for text in row.violations)
    assert row.figures.zero_for_normal > 1000
    assert np.abs(float.fromhex(row.worst.inputs["logits"])) > 6


def test_an_adapter_says_how_it_is_called():
    theirs = Adapter(lambda y, x: right(x, y), order=("labels", "logits"), gradient=lambda y, x: np.tanh(x) - y)
    value, gradient = measure(theirs, dtypes=["float32"], parts=["samples"]).rows
    assert (value.title, value.violations) == ("subject", [])
    assert (gradient.title, bool(gradient.violations)) == ("subject, gradient", True)


def test_derivatives_are_those_of_the_callable_or_of_the_backend():
    found = measure(xbce.binary_cross_entropy_with_logits, dtypes=["float64"], parts=["samples"])
    assert [row.quantity for row in found.rows] == ["value", "gradient", "hessian"]
    assert found.failed == []
    of_torch = Adapter(lambda x, z: xbce.binary_cross_entropy_with_logits(x, z), backend="torch:cpu")
    found = measure(of_torch, dtypes=["float32"], parts=["samples"])
    assert [row.quantity for row in found.rows] == ["value", "gradient"]


def test_a_bound_of_ones_own():
    assert measure(right, dtypes=["float32"], parts=["samples"], bound=0.5).failed
    assert measure(right, dtypes=["float32"], parts=["samples"], bound=3).rows[0].verdict.bound == {
        "hard": 3,
        "soft": 3,
    }


def raising(x, z):
    if np.abs(x).max() > 1e30:
        msg = "too large"
        raise OverflowError(msg)
    return right(x, z)


def test_a_loss_that_raises_on_some_inputs_fails_without_a_figure():
    (row,) = measure(raising, dtypes=["float32"], parts=["samples"]).failed
    assert row.failure == "OverflowError: too large"
    assert abs(float.fromhex(row.worst.inputs["logits"])) > 1e30
    assert row.figures.count == 0


def test_what_returns_another_shape_fails():
    """A loss that reduces by default is told how it is measured."""
    results = measure(lambda x, z: right(x, z).sum(), parts=["samples"])
    assert len(results.failed) == len(results.rows) == 4
    for row in results.failed:
        assert row.failure.startswith("it returned the shape (); ("), row.dtype
        if row.dtype != "bfloat16":  # in which a sum of 1,000 is far off
            assert "this is the sum of all elements" in row.failure, row.dtype


@pytest.mark.parametrize(
    ("subject", "options", "says"),
    [
        (
            Adapter(right, case="nothing"),
            {},
            "case 'nothing' of subject: 'nothing' is no function of xbce that is ",
        ),
        (Adapter(right, order=("x",)), {}, "order names 'x'; the arguments of "),
        (Adapter(right, backend="cuda"), {}, "backend 'cuda' of subject is unknown; one of these is expected: numpy, "),
        (Adapter(right, dtypes=("half",)), {}, "dtype 'half' of subject is unknown; one of these is expected: float16"),
        (right, {"dtypes": ["half"]}, "dtypes has 'half'; of float16, bfloat16, float32, float64 are expected"),
        (
            Adapter(right, dtypes=("float32",)),
            {"dtypes": ["float64"]},
            r"nothing to measure \(the subject has none of the dtypes\)",
        ),
    ],
)
def test_errors(subject, options, says):
    with pytest.raises(ValueError, match=says):
        measure(subject, **options)
