"""What is measured of a system on a user's data: against plain fractions; what is said of it."""

import io
import json
import re
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from rich.console import Console

from tests.helpers import approx
from xbce_conformance import Adapter, assess, compare, measure, reference, verdicts
from xbce_conformance.cases import case_named
from xbce_conformance.data.arrays import BadData, Data
from xbce_conformance.data.picture import picture
from xbce_conformance.data.verdict import GRADES
from xbce_conformance.exact_values.by_series import SeriesReference
from xbce_conformance.inputs.formats import FORMATS

RNG = np.random.default_rng(20261128)
X = RNG.normal(-6, 2, 3000).astype(np.float32)
Z = (RNG.random(3000) < 0.01).astype(np.float32)


def formula(x, z):
    return np.maximum(x, 0) - x * z + np.log1p(np.exp(-np.abs(x)))


def printed(result, width=200):
    screen = Console(width=width, file=io.StringIO())
    screen.print(result)
    return screen.file.getvalue()


def only(result, quantity="value"):
    (outcome,) = [outcome for outcome in result.outcomes if outcome.quantity == quantity]
    return outcome


def test_figures_are_those_of_fractions():
    """Every figure from the exact losses, by another way."""
    weight = RNG.random(200)
    x, z = X[:200].astype(np.float64), Z[:200].astype(np.float64)

    def wrong(x, z):
        losses = formula(x, z)
        losses[3], losses[7] = 0, losses[7] * 2
        return losses

    figures = only(assess(x, z, subjects=[wrong], dtypes=["float64"], weight=weight)).figures
    pair = SeriesReference(case_named("binary_cross_entropy_with_logits").definition).exact("value", (x, z))["value"]
    exact = [Fraction(a) + Fraction(b) for a, b in zip(pair.high.tolist(), pair.low.tolist(), strict=True)]
    got = [Fraction(v) for v in wrong(x, z).tolist()]
    w = [Fraction(v) for v in weight.tolist()]
    error = [a - b for a, b in zip(got, exact, strict=True)]
    mean = sum(a * b for a, b in zip(w, exact, strict=True)) / sum(w)
    assert figures.mean == approx(float(mean), rel=1e-15)
    assert figures.mean_error == approx(float(sum(map(Fraction.__mul__, w, error)) / sum(w)), rel=1e-12)
    whole = sum(a * b for a, b in zip(w, exact, strict=True))
    assert figures.l1 == approx(float(sum(a * abs(b) for a, b in zip(w, error, strict=True)) / whole), rel=1e-12)
    squares = sum((a * b) ** 2 for a, b in zip(w, exact, strict=True))
    off = sum((a * b) ** 2 for a, b in zip(w, error, strict=True))
    assert figures.l2 == approx(float(off / squares) ** 0.5, rel=1e-12)
    assert figures.lost == approx(float(w[3] * exact[3] / whole), rel=1e-12)
    assert (figures.zeros, figures.infinite, figures.nan, figures.count) == (1, 0, 0, 200)
    assert figures.worst[0].index in (3, 7)
    assert figures.beyond_bound == 2


def test_a_mean_of_nothing_is_exact_where_nothing_came():
    """Losses below every double are 0, exactly rounded."""
    figures = only(assess(np.full(3, -800.0), np.zeros(3), subjects=[formula], dtypes=["float64"])).figures
    assert (figures.mean, figures.mean_off, figures.l1, figures.lost) == (0, 0, 0, 0)


def test_infinite_and_nan_are_counted_apart():
    def loss(x, z):
        losses = formula(x, z)
        losses[:3], losses[3] = np.inf, np.nan
        return losses

    result = assess(X, Z, subjects=[loss], dtypes=["float32"])
    figures = only(result).figures
    assert (figures.infinite, figures.nan, figures.percentiles["max"]) == (3, 1, np.inf)
    (verdict,) = verdicts(result.outcomes)
    assert verdict.grade == GRADES[2]
    assert "4 of 3,000 losses are infinite or NaN, and so is a mean over them" in verdict.text
    json.dumps(result.to_dict(), allow_nan=False)


def low(share):
    return lambda x, z: (formula(x, z) * x.dtype.type(1 - share)).astype(x.dtype)


@pytest.mark.parametrize(
    ("share", "dtype", "grade", "text"),
    [
        (0, "float32", 0, "in float32 no difference for training: the mean is "),
        (5e-4, "float64", 0, "the mean is 0.05% low"),
        (5e-3, "float64", 1, "may matter for training: the mean is 0.50% low"),
        (5e-2, "float64", 2, "matters for training: the mean is 5.00% low"),
    ],
)
def test_words_follow_from_the_error_of_the_mean(share, dtype, grade, text):
    (verdict,) = verdicts(assess(X.astype(dtype), Z, subjects=[low(share)], dtypes=[dtype]).outcomes)
    assert verdict.grade == GRADES[grade]
    assert text in verdict.text


def test_one_ulp_of_a_narrow_format_is_rounding():
    """Half a percent is less than one ULP of bfloat16."""
    adapter = Adapter(low(5e-3), dtypes=("bfloat16",))
    (verdict,) = verdicts(assess(X, Z, subjects=[adapter], dtypes=["bfloat16"]).outcomes)
    assert verdict.grade == GRADES[0]


def test_a_mean_of_its_own_that_is_off_is_said():
    adapter = Adapter(formula, mean=lambda x, z: np.mean(formula(x, z)) * x.dtype.type(0.9))
    (verdict,) = verdicts(assess(X, Z, subjects=[adapter], dtypes=["float32"]).outcomes)
    assert verdict.grade == GRADES[2]
    assert "its own mean is 10.00% low" in verdict.text


def test_a_gradient_that_is_lost_matters():
    adapter = Adapter(formula, gradient=lambda x, z: np.where(x < -4, 0, 1 / (1 + np.exp(-x)) - z).astype(x.dtype))
    result = assess(X, Z, subjects=[adapter], dtypes=["float32"])
    figures = only(result, "gradient").figures
    assert figures.zeros > 2000
    assert figures.lost == approx(figures.l1, rel=1e-3)
    (verdict,) = verdicts(result.outcomes)
    assert verdict.grade == GRADES[2]
    assert re.search(r"the gradient is [\d.]+% off, 2,\d+ of 3,000 are lost", verdict.text)


def test_pytorch_in_bfloat16_is_low_and_not_in_float32():
    """What the whole is for: the same losses are 2e7 ULP off in both."""
    result = assess(X, Z, subjects=["torch"], dtypes=["float32", "bfloat16"])
    single, half = verdicts(result.outcomes)
    assert single.text.startswith("in float32 no difference for training")
    assert re.match(r"in bfloat16 matters for training: the mean is \d+\.\d+% low", half.text)
    assert result.rounding.keys() == {"bfloat16"}
    assert "rounding the inputs to bfloat16 makes the mean" in printed(result)


def test_what_cannot_be_called_says_why():
    def loss(x, z):
        raise RuntimeError(f"no {x.dtype} with {z.dtype}")

    result = assess(X, Z, subjects=[loss], dtypes=["float32"])
    (verdict,) = verdicts(result.outcomes)
    assert verdict.text == "in float32 loss cannot be called: RuntimeError: no float32 with float32"
    assert result.outcomes[0].failed


def test_hard_labels_only_functions_are_not_called_with_soft_ones():
    names = {o.function for o in assess(X, Z, subjects=["sklearn"], dtypes=["float64"]).outcomes}
    soft = {o.function for o in assess(X, Z * 0.9, subjects=["sklearn"], dtypes=["float64"]).outcomes}
    assert names - soft == {"sklearn.metrics.log_loss of sigmoid(x)"}


def test_every_case_has_certified_values():
    result = assess(
        X[:200], Z[:200], subjects=["xbce@numpy", "xbce@torch:cpu"], case="sigmoid_focal_loss(gamma=1.7, alpha=0.3)"
    )
    assert {o.dtype for o in result.outcomes} == {"float16", "bfloat16", "float32"}
    assert not [o for o in result.outcomes if o.failed]


def test_the_picture_has_a_dot_per_system_where_its_error_lies():
    shares = (5e-4, 5e-3, 5e-2)
    found = [v for s in shares for v in verdicts(assess(X, Z, subjects=[low(s)], dtypes=["float32"]).outcomes)]
    (panel,) = picture(found).panels
    assert [dot.mark for dot in panel.dots] == ["●", "◆", "✖"]
    for dot, (left, width, _) in zip(panel.dots, panel.zones, strict=True):
        assert left <= dot.x <= left + width
    for verdict, dot in zip(found, panel.dots, strict=True):
        assert dot.said.endswith(verdict.grade)
        assert verdict.off == approx(shares[found.index(verdict)], rel=1e-2)


def test_it_shows_itself_and_escapes_names():
    def loss(x, z):
        return formula(x, z)

    loss.__name__ = "<b>loss</b>"
    result = assess(X, Z, subjects=[loss], dtypes=["float32"])
    html = result._repr_html_()
    assert "&lt;b&gt;loss&lt;/b&gt;" in html
    assert "<b>loss" not in html
    assert "Does it matter?" in printed(result)
    for width in (80, 60):
        assert all(len(line) <= width for line in printed(result, width).splitlines())


# --- certified values -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", [np.asarray, torch.tensor, jnp.asarray])
def test_reference_takes_arrays_of_any_library(library):
    values = reference(library(X[:6].reshape(2, 3)), library(Z[:6].reshape(2, 3)))
    assert values.shape == (2, 3)
    assert values.dtype == np.float64
    np.testing.assert_allclose(values, formula(X[:6].astype(float), Z[:6].astype(float)).reshape(2, 3), rtol=1e-12)


def test_reference_rounds_once_to_the_dtype_that_is_asked_for():
    single = reference(X, Z, dtype="float32")
    np.testing.assert_array_equal(single, reference(X, Z).astype(np.float32))
    assert reference(X, Z, dtype="bfloat16").dtype == FORMATS["bfloat16"].dtype


def test_reference_of_a_quantity_and_a_case():
    focal = reference(X[:9], Z[:9], case="sigmoid_focal_loss(gamma=0, alpha=0.5)", quantity="gradient")
    np.testing.assert_allclose(focal, reference(X[:9], Z[:9], quantity="gradient") / 2, rtol=1e-15)
    weighted = reference(X[:9], Z[:9], case="binary_cross_entropy_with_logits(pos_weight)", pos_weight=np.float32([2]))
    np.testing.assert_allclose(weighted, reference(X[:9], Z[:9]) * np.where(Z[:9] == 1, 2, 1), rtol=1e-15)


@pytest.mark.parametrize(
    ("arguments", "options", "text"),
    [
        ((X,), {}, "binary_cross_entropy_with_logits takes logits, labels; got logits"),
        ((X, Z), {"gamma": X}, "takes logits, labels; got logits, labels, gamma"),
        ((X, Z), {"dtype": "int8"}, "dtype is 'int8'; one of float16, bfloat16, float32, float64 is expected"),
        ((X, Z), {"quantity": "slope"}, "quantity is 'slope'; one of value, gradient, hessian, label_gradient"),
        ((np.float32([np.inf]), np.float32([1])), {}, "the arrays: no element is left; 1 of 1 elements are not finite"),
        ((np.float32([np.inf, 1]), np.float32([1, 1])), {}, "1 of 2 elements are not finite"),
    ],
)
def test_reference_refuses(arguments, options, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        reference(*arguments, **options)


# --- assertions in tests of one's own -------------------------------------------------------------------------------


def test_assert_conforms_on_data(assert_conforms):
    assert_conforms(formula, X.astype(np.float64), Z)
    with pytest.raises(AssertionError) as error:
        assert_conforms(low(1e-3), X, Z)
    text = str(error.value)
    assert re.search(
        r"<lambda>: value in float32: 3,000 of 3,000 results are beyond the bound, [\d.e]+ ULP at worst", text
    )
    assert_conforms(low(1e-3), X, Z, bound=1e5)


def test_assert_conforms_on_the_inputs_of_the_suite(assert_conforms):
    with pytest.raises(AssertionError, match=r"(?s)lambda.*float32.*ULP for hard labels"):
        assert_conforms(low(1e-3), dtypes=["float32"])


def test_logits_and_labels_come_together(assert_conforms):
    with pytest.raises(ValueError, match="logits and labels are given together, or neither"):
        assert_conforms(formula, X)


@pytest.mark.parametrize("call", [assess, compare])
def test_what_nobody_takes_is_refused(call):
    subjects = {"subjects": [formula]} if call is assess else {"first": formula, "second": formula}
    with pytest.raises(BadData, match=r"takes logits, labels; got logits, labels, wieght"):
        call(logits=X, labels=Z, wieght=9, **subjects)
    with pytest.raises(BadData, match=r"takes logits, labels, pos_weight; got logits, labels"):
        call(logits=X, labels=Z, case="binary_cross_entropy_with_logits(pos_weight)", **subjects)
    with pytest.raises(BadData, match="dtypes has 'float23'; of float16"):
        call(logits=X, labels=Z, dtypes=["float23"], **subjects)


def test_nothing_measured_is_no_success(assert_conforms):
    wrong = low(0.5)
    with pytest.raises(BadData, match="dtypes has 'float23'"):
        assert_conforms(wrong, X, Z, dtypes=["float23"])
    with pytest.raises(BadData, match="the loss has nothing to measure in float32"):
        assert_conforms(Adapter(wrong, dtypes=("float16",)), X, Z)
    with pytest.raises(BadData, match="none of the subjects has a function"):
        assess(X, Z, subjects=[Adapter(wrong, dtypes=("float16",))], dtypes=["float32"])
    with pytest.raises(BadData, match="1 of 2 elements are not finite"):
        assert_conforms(formula, np.float64([-np.inf, 0.5]), np.zeros(2))
    with pytest.raises(AssertionError, match="value in float32: 3,000 of 3,000 results are beyond the bound"):
        assert_conforms(Adapter(wrong, case="sigmoid_focal_loss(gamma=2, alpha=0.25)"), X, Z)


def test_compare_weighs_and_masks():
    weight, where = np.arange(3000.0), np.arange(3000) < 10
    (value,) = compare(low(0.5), formula, X, Z, weight=weight, where=where, dtypes=["float32"]).differences
    assert value.count == 10
    assert value.sides[0].mean_off == approx(-0.5, rel=1e-5)


def test_an_unknown_subject_is_refused():
    with pytest.raises(BadData, match="'torhc' is neither module:callable nor one of"):
        assess(X, Z, subjects=["torhc"])
    with pytest.raises(BadData, match="none of the subjects is here: paddle"):
        assess(X, Z, subjects=["paddle"])


def test_measure_and_data_agree_on_one_input_set():
    """The same inputs, the same errors: the room of data has no measure of its own."""
    row = next(r for r in measure(formula, dtypes=["float32"], parts=["samples"]).rows if r.kind == "samples")
    inputs = case_named("binary_cross_entropy_with_logits").inputs(FORMATS["float32"], "quick")
    figures = only(assess(*inputs.arrays.values(), subjects=[formula], dtypes=["float32"])).figures
    worst = {name: float(np.float32(float.fromhex(text))) for name, text in row.worst.inputs.items()}
    assert figures.percentiles["max"] <= row.figures.max_ulp
    assert worst.keys() == figures.worst[0].inputs.keys()


def test_data_of_probabilities():
    p = np.float32([0.1, 0.9, 0.0, 1.0])
    data = Data.of({"probabilities": p, "labels": np.zeros(4)}, case=case_named("binary_cross_entropy(clip=1e-07)"))
    result = assess(p, np.zeros(4), subjects=["xbce@numpy"], case="binary_cross_entropy(clip=1e-07)")
    assert data.size == result.size == 4
    assert not [o for o in result.outcomes if o.failed]
