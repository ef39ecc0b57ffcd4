"""Two systems on the same arrays: planted deviations are found, and named."""

import io
import math
import re

import ml_dtypes
import numpy as np
import pytest
from rich.console import Console

from tests.helpers import approx
from xbce_conformance import Adapter, compare, reference
from xbce_conformance.data.arrays import BadData
from xbce_conformance.subjects.failure import Failure

RNG = np.random.default_rng(7)
X = np.concatenate([RNG.normal(0, 3, 2000), RNG.normal(0, 15, 2000)])
Z = (RNG.random(4000) < 0.5).astype(np.float64)


def right(x, z):
    agreeing = np.where(z == 1, x, -x)
    return np.log1p(np.exp(-np.abs(agreeing))) + np.maximum(-agreeing, 0)


def sigmoid(x):
    return np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x)))).astype(x.dtype)


def clipped(limit):
    def loss(x, z):
        p = np.clip(sigmoid(x), limit, 1 - limit)
        return -z * np.log(p) - (1 - z) * np.log1p(-p)

    return loss


def textbook(x, z):
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 1 / (1 + np.exp(-x))
        return -z * np.log(p) - (1 - z) * np.log(1 - p)


def pytorchs(x, z):
    """(1 - z) x - log(sigmoid(x)): terms as large as the logit."""
    return (1 - z) * x - (np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))))


def halved(x, z):
    return right(x, z) / 2


def in_bits(x, z):
    return right(x, z) / np.log(x.dtype.type(2))


def in_half(x, z):
    narrow = right(x.astype(np.float32), z.astype(np.float32))
    return narrow.astype(x.dtype)


def flushing(x, z):
    losses = right(x, z)
    return np.where(losses < np.finfo(x.dtype).tiny, 0, losses).astype(x.dtype)


def value_of(wrong, x=X, z=Z, dtype="float64"):
    return compare(wrong, right, x, z, dtypes=[dtype]).differences[0]


@pytest.mark.parametrize(
    ("wrong", "dtype", "cause"),
    [
        (clipped(1e-7), "float64", r"clip: as if probabilities were kept in \[c, 1 - c\], c = 1e-07 \(\|x\| < 16\.1\)"),
        (clipped(3e-4), "float64", r"clip: .* c = 0\.0003 "),
        (textbook, "float64", "cancellation: "),
        (pytorchs, "float32", "cancellation: terms as large as the logit, or as 1, are subtracted"),
        (halved, "float64", r"convention: 0\.5 times the result \(half the loss\)"),
        (in_bits, "float64", r"convention: 1\.4427 times the result \(logarithm to base 2\)"),
        (in_half, "float64", "precision: computed in float32"),
    ],
)
def test_the_cause_of_a_planted_deviation_is_named(wrong, dtype, cause):
    difference = value_of(wrong, dtype=dtype)
    first, second = difference.sides
    name, count = next(iter(first.causes.items()))
    assert re.match(cause, name)
    deviating = sum(count for name, count in first.causes.items() if not name.startswith("rounding"))
    assert count > 500
    assert first.causes.get("unexplained", 0) <= 0.02 * deviating
    assert second.nearer > 10 * first.nearer
    assert set(second.causes) <= {"rounding: at most 4 ULP"}


def test_results_that_are_flushed_are_named():
    x = np.linspace(-103, -88, 500)
    difference = value_of(flushing, x, np.zeros(500), "float32")
    assert difference.sides[0].causes["flush: subnormal numbers are 0"] > 400


def test_what_nothing_predicts_is_unexplained():
    def noisy(x, z):
        return right(x, z) * (1 + 0.01 * np.sin(1000 * x)).astype(x.dtype)

    assert next(iter(value_of(noisy).sides[0].causes)) == "unexplained"


def test_infinite_results_come_of_a_logarithm_of_zero():
    difference = value_of(textbook, np.float64([40, 50, 60]), np.zeros(3))
    assert math.isinf(difference.largest)
    (cause,) = difference.sides[0].causes
    assert cause == "cancellation: sigmoid(x) rounds to 0 or 1, and its logarithm is not finite"
    assert math.isnan(difference.sides[0].mean_off)


def overflowing(x, z):
    with np.errstate(over="ignore", invalid="ignore"):
        return np.log(1 + np.exp(x)) - x * z


def nan_in_the_middle(x, z):
    return np.where(x == 0.5, np.nan, right(x, z))


@pytest.mark.parametrize(
    ("wrong", "logit", "cause"),
    [(overflowing, 800, "overflow: exp(|x|) is infinite"), (nan_in_the_middle, 0.5, "unexplained")],
)
def test_results_that_are_not_finite_have_the_cause_that_predicts_them(wrong, logit, cause):
    assert [*value_of(wrong, np.float64([logit]), np.zeros(1)).sides[0].causes] == [cause]


def test_figures_are_those_of_the_pairs():
    a, b = right(X, Z), pytorchs(X, Z)
    difference = value_of(pytorchs)
    assert difference.differing == np.count_nonzero(a != b)
    assert difference.largest == np.abs(a - b).max()
    assert difference.count == 4000
    example = difference.examples[0]
    i = example.index
    assert [float.fromhex(text) for text in example.inputs.values()] == [X[i], Z[i]]
    assert [float.fromhex(text) for text in example.results] == [b[i], a[i]]


def test_the_error_of_a_mean_is_that_of_certified_values():
    x = X.astype(np.float32)
    exact = reference(x, Z)
    off = np.mean(pytorchs(x, Z.astype(np.float32)) - exact) / np.mean(exact)
    assert value_of(pytorchs, x, Z, "float32").sides[0].mean_off == approx(off, rel=1e-6)


def test_rounding_alone_is_said():
    difference = compare("xbce@numpy", "xbce@torch:cpu", X.astype(np.float32), Z, dtypes=["float32"]).differences[0]
    said = r"value in float32: [\d,]+ of 4,000 results differ, by rounding alone: xbce@numpy \d\.\d\d and xbce@torch"
    assert re.match(said, difference.text)


def test_the_same_is_said_to_be_the_same():
    difference = value_of(right)
    assert difference.text == "value in float64: all 4,000 results are the same, bit for bit"


def test_a_zero_of_either_sign_is_no_other_result_than_its_bits():
    """-0.0 has other bits, and no distance."""

    def zero(x, z):
        return 0 * x * z

    def negative(x, z):
        return -np.zeros_like(x) * z

    difference = compare(negative, zero, np.float64([1.0]), [1.0], dtypes=["float64"]).differences[-1]
    assert (difference.differing, difference.largest) == (1, 0)


def test_gradients_are_compared_where_both_have_one():
    adapter = Adapter(right, gradient=lambda x, z: sigmoid(x) - z)
    quantities = [d.quantity for d in compare(adapter, "xbce@numpy", X, Z, dtypes=["float64"]).differences]
    assert quantities == ["value", "gradient"]


def test_named_systems_on_other_backends():
    comparison = compare("torch", "xbce@numpy", X.astype(np.float32), Z, dtypes=["float32"])
    assert comparison.systems == ("torch@torch:cpu", "xbce@numpy")
    value = comparison.differences[0]
    assert value.sides[1].nearer > 2 * value.sides[0].nearer
    assert not [name for name in value.sides[0].causes if name.startswith("clip")]


def test_labels_of_bfloat16_logits():
    comparison = compare("torch", "xbce@torch:cpu", X.astype(ml_dtypes.bfloat16), Z, dtypes=["bfloat16"])
    assert comparison.differences[0].differing > 900


def test_nothing_in_common_is_refused():
    with pytest.raises(
        BadData, match="torch@torch:cpu and subject@numpy have no function of binary_cross_entropy_with_lo"
    ):
        compare("torch", Adapter(half, dtypes=("float16",)), X, Z, dtypes=["float64"])
    with pytest.raises(BadData, match="paddle is not here"):
        compare("paddle", right, X, Z)


def half(x, z):
    return right(x, z)


def test_a_call_that_fails_names_the_system():
    def broken(x, z):
        msg = f"{x.size} and {z.size}"
        raise ValueError(msg)

    with pytest.raises(Failure, match="broken@numpy: broken in float64: ValueError: 4000 and 4000"):
        value_of(broken)


def test_it_shows_itself():
    comparison = compare(clipped(1e-3), right, X, Z, dtypes=["float64"])
    screen = Console(width=160, file=io.StringIO())
    screen.print(comparison)
    text = screen.file.getvalue()
    assert "nearer to the exact one is loss@numpy in" in text.replace("\n", " ")
    assert "clip: as if probabilities were kept" in text
    html = comparison._repr_html_()
    assert html.count("<table>") == html.count("<caption>") == 1
    assert comparison.to_dict()["differences"][0]["sides"][0]["system"] == "loss@numpy"
