"""The definitions as series: against ball arithmetic, flint's own series, closed forms and each other."""

import math

import flint
import numpy as np
import pytest

from tests.helpers import approx
from xbce_conformance.cases import PLAIN, WITH_NUMBERS
from xbce_conformance.exact_values import definitions
from xbce_conformance.exact_values.by_series import SeriesReference
from xbce_conformance.exact_values.definitions import evaluate
from xbce_conformance.exact_values.plain_loss import BallReference
from xbce_conformance.exact_values.signed_series import Series, SignedTerms
from xbce_conformance.inputs.formats import FORMATS

QUANTITIES = ("value", "gradient", "hessian", "label_gradient")
DOUBLE = FORMATS["float64"]
WEIGHTED = definitions.with_arrays(("weight",), lambda _: definitions.cross_entropy)
MASKED = definitions.with_arrays(("weight", "where"), lambda _: definitions.cross_entropy)


def exact(definition, quantity, *arrays):
    return SeriesReference(definition).exact(quantity, tuple(np.float64(a) for a in arrays))[quantity]


def number(definition, quantity, *arguments):
    return float(exact(definition, quantity, *([a] for a in arguments)).high[0])


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("name", ["bfloat16", "float64"])
def test_ball_reference_is_certified(name, quantity):
    """The reference of the plain loss is the definition: same doubles, same scale, in every regime."""
    inputs = PLAIN.inputs(FORMATS[name], "quick")
    x, z = (array[::97] for array in inputs.arrays.values())
    series = exact(definitions.cross_entropy, quantity, x, z)
    ball = BallReference().exact(quantity, (x, z))[quantity]
    np.testing.assert_array_equal(series.high, ball.high)
    assert (np.abs(series.low - ball.low) <= DOUBLE.ulp(ball.scale) * 2.0**-40).all()
    np.testing.assert_allclose(series.scale, np.abs(ball.scale), rtol=1e-15)


def test_what_is_below_every_double_stays_there_beside_a_huge_logit_and_weight():
    """log(M) is -exp(-|x|), and multiplies |x| and the weight."""
    taken = ("gamma", "weight")
    definition = definitions.with_arrays(taken, lambda given: definitions.focal(given["gamma"]))
    reference = SeriesReference(definition, ("logits", "labels", *taken))
    exact = reference.exact("gamma_gradient", tuple(np.array([n]) for n in (-(2.0**1000), 1.0, 0.3, 2.0**1000)))
    assert exact["gamma_gradient"].high[0] == 0


def test_focal_series_is_that_of_flint():
    """flint multiplies power series too: the definition once more, in x + t, without terms by sign."""
    x, z, gamma, alpha = 1.25, 0.3, 1.5, 0.25
    with flint.ctx.workprec(200):
        t = flint.arb_series([flint.arb(x), 1], prec=3)
        s = 1 / (1 + (-t).exp())
        m = flint.arb(z) * (1 - s) + (1 - flint.arb(z)) * s
        ce = -(flint.arb(z) * s.log()) - (1 - flint.arb(z)) * (1 - s).log()
        weight = flint.arb(alpha) * flint.arb(z) + (1 - flint.arb(alpha)) * (1 - flint.arb(z))
        c0, c1, c2 = weight * (m.log() * flint.arb(gamma)).exp() * ce
        c2 = 2 * c2
    focal = definitions.focal(gamma, alpha)
    for quantity, coefficient in (("value", c0), ("gradient", c1), ("hessian", c2)):
        assert number(focal, quantity, x, z) == float(coefficient)


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_special_cases_of_options_are_the_plain_loss(quantity):
    x, z = np.array([-30.0, -2.0, 0.0, 0.5, 3.0, 90.0]), np.array([0.0, 0.25, 0.5, 1.0, 0.75, 0.0])
    plain = exact(definitions.cross_entropy, quantity, x, z)
    ones = np.ones_like(x)
    same = [
        exact(definitions.focal(0.0), quantity, x, z),
        exact(definitions.asymmetric(0.0, 0.0), quantity, x, z),
        exact(definitions.smoothed(0.0, definitions.cross_entropy), quantity, x, z),
        exact(definitions.cross_entropy, quantity, x, z, ones),
        exact(WEIGHTED, quantity, x, z, ones),
        exact(MASKED, quantity, x, z, ones, ones),
    ]
    for other in same:
        np.testing.assert_array_equal(other.high, plain.high)


def test_smoothing_is_the_loss_of_smoothed_labels():
    for quantity in ("value", "gradient", "hessian"):
        assert number(definitions.smoothed(0.5, definitions.cross_entropy), quantity, 3.0, 1.0) == number(
            definitions.cross_entropy, quantity, 3.0, 0.75
        )
    assert number(definitions.smoothed(0.5, definitions.cross_entropy), "label_gradient", 3.0, 1.0) == -1.5


def test_worked_values():
    log2 = math.log(2)
    focal = definitions.focal(2.0, 0.25)
    assert number(focal, "value", 0.0, 0.0) == approx(0.75 * 0.25 * log2, rel=1e-15)
    # a (m^2 ce)' = a (2 m m' ce + m^2 ce') with m = 1/2, m' = 1/4, ce' = 1/2
    assert number(focal, "gradient", 0.0, 0.0) == approx(0.75 * (0.25 * log2 + 0.125), rel=1e-15)
    assert number(focal, "label_gradient", 0.0, 0.5) == approx(-0.5 * 0.25 * log2, rel=1e-15)
    asymmetric = definitions.asymmetric(1.0, 4.0, 0.05)
    assert number(asymmetric, "value", 0.0, 0.0) == approx(0.45**4 * -math.log(0.55), rel=1e-15)
    assert number(asymmetric, "value", 0.0, 1.0) == approx(0.5 * log2, rel=1e-15)
    assert [number(asymmetric, quantity, -3.0, 0.0) for quantity in QUANTITIES] == [0, 0, 0, 0]
    assert number(definitions.cross_entropy, "value", 0.0, 1.0, 3.0) == approx(3 * log2, rel=1e-15)


def test_label_gradient_is_the_difference_quotient():
    for definition in (
        definitions.focal(0.5),
        definitions.asymmetric(0.0, 4.0),
        definitions.asymmetric(1.0, 4.0, 0.05),
    ):
        h = 2.0**-20
        for x in (-4.0, -0.3, 2.0):
            up, down = (number(definition, "value", x, 0.4 + d) for d in (h, -h))
            assert number(definition, "label_gradient", x, 0.4) == approx((up - down) / (2 * h), rel=1e-8)


def test_probabilities():
    inf = math.inf
    loss = definitions.probability
    assert [number(loss, quantity, 0.0, 0.0) for quantity in QUANTITIES] == [0, 1, 1, inf]
    assert [number(loss, quantity, 0.0, 0.5) for quantity in QUANTITIES] == [inf, -inf, inf, inf]
    assert [number(loss, quantity, 1.0, 0.0) for quantity in QUANTITIES] == [inf, inf, inf, -inf]
    assert [number(loss, quantity, 0.25, 1.0) for quantity in QUANTITIES[:3]] == [2 * math.log(2), -4, 16]
    assert number(loss, "label_gradient", 0.25, 1.0) == math.log(3)
    clipped = definitions.clipped(1e-7)
    assert [number(clipped, q, 1.0, 0.0) for q in QUANTITIES[:3]] == [-math.log(1e-7), 0, 0]
    floored = definitions.log_floored(-100.0)
    assert [number(floored, q, 0.0, 0.5) for q in QUANTITIES] == [50, 0.5, 0.5, 100]
    offset = definitions.offset_by(1e-7)
    assert number(offset, "value", 0.0, 1.0) == -math.log(1e-7)
    assert number(offset, "value", 0.0, 0.0) == approx(-math.log1p(1e-7), rel=1e-15)
    assert number(offset, "value", 1.0, 1.0) == number(offset, "value", 0.0, 0.0)
    assert number(offset, "gradient", 0.5, 0.5) == 0


@pytest.mark.parametrize(
    ("name", "arguments", "value"),
    [
        ("expit", (-40.0,), 4.248354255291589e-18),
        ("log_expit", (40.0,), -4.248354255291589e-18),
        ("softplus", (-745.0,), 5e-324),
        ("logit", (0.25,), -math.log(3)),
        ("logit", (0.0,), -math.inf),
        ("log1mexp", (-1e-300,), -300 * math.log(10)),
        ("log1mexp", (-700.0,), -math.exp(-700.0)),
        ("log1mexp", (0.0,), -math.inf),
        ("xlogy", (0.0, 0.0), 0.0),
        ("xlogy", (-2.0, 8.0), -6 * math.log(2)),
        ("xlog1py", (3.0, 1e-20), 3e-20),
    ],
)
def test_primitives(name, arguments, value):
    assert number(definitions.PRIMITIVES[name], "value", *arguments) == approx(value, rel=1e-15)


def test_scale_is_the_larger_of_the_terms_of_each_sign():
    x, z, p = 1.5, 0.75, 3.0
    s = 1 / (1 + math.exp(-x))
    gradient = exact(definitions.cross_entropy, "gradient", [x], [z], [p])
    up, down = (1 - z) * s, p * z * (1 - s)
    assert gradient.high[0] == approx(up - down, rel=1e-14)
    assert gradient.scale[0] == approx(max(up, down), rel=1e-14)
    hard = exact(definitions.focal(2.0), "gradient", [x], [0.0])
    assert hard.scale[0] == hard.high[0]
    # What is one function is one term: -x and tanh(x / 2), although both are differences of two others.
    one = exact(definitions.focal(2.0), "label_gradient", [1e-9], [1.0])
    assert one.scale[0] == abs(one.high[0])
    # p - shift is a difference.
    beside = exact(definitions.asymmetric(0.0, 4.0, 0.05), "value", [-2.9443], [0.0])
    assert beside.scale[0] > 1000 * beside.high[0] > 0


@pytest.mark.parametrize(
    ("definition", "arguments", "exact_value"),
    [
        pytest.param(definitions.cross_entropy, (1e-9, 0.25), -1e-9, id="cross entropy, logit next to 0"),
        pytest.param(definitions.focal(2.0), (1e-9, 1.0), -5.965735896066859e-10, id="focal, logit next to 0"),
        pytest.param(
            definitions.focal(2.0, 0.5 + 2.0**-40), (0.0, 0.25), 3.1520684413405674e-13, id="focal, alpha next to 1/2"
        ),
        pytest.param(definitions.asymmetric(2.0, 2.0), (1e-9, 1.0), -5.965735896066859e-10, id="asymmetric, next to 0"),
        pytest.param(
            definitions.asymmetric(2.0, 2.0 + 2.0**-20),
            (0.0, 0.25),
            1.1454886811267554e-07,
            id="exponents nearly equal",
        ),
        # -logit(1/2 + d) is -2 atanh(2 d), which is -4 d to the last bit.
        pytest.param(definitions.probability, (0.5 + 2.0**-40, 0.25), -(2.0**-38), id="probability next to 1/2"),
        pytest.param(definitions.clipped(1e-7), (0.5 + 2.0**-40, 1.0), -(2.0**-38), id="clipped, next to 1/2"),
        pytest.param(definitions.log_floored(-100.0), (0.5 - 2.0**-40, 0.0), 2.0**-38, id="floored, next to 1/2"),
    ],
)
def test_the_slope_in_the_labels_is_one_term(definition, arguments, exact_value):
    """Were it the difference of two, the scale would be near 1, and no error of a tiny label gradient would count."""
    slope = exact(definition, "label_gradient", *([number] for number in arguments))
    assert slope.high[0] == approx(exact_value, rel=1e-15)
    assert slope.scale[0] == approx(abs(exact_value), rel=1e-14)


def test_a_result_beyond_the_doubles_is_infinite():
    assert number(definitions.probability, "hessian", 1e-300, 1.0) == math.inf
    assert number(WEIGHTED, "value", 1e308, 0.0, 100.0) == math.inf


def test_a_definition_without_a_value_is_an_error():
    with pytest.raises(ArithmeticError, match=r"the definition has no value at \(-1\.0, 0\.5\)"):
        number(definitions.probability, "value", -1.0, 0.5)


@pytest.mark.parametrize(
    ("plain", "weighted", "first"),
    [
        (definitions.cross_entropy, definitions.cross_entropy, -3.0),
        (definitions.focal(1.5, 0.25), definitions.focal(1.5, 0.25), 2.0),
        (definitions.asymmetric(0.5, 4.0), definitions.asymmetric(0.5, 4.0), -0.25),
        (definitions.asymmetric(0.5, 4.0, 0.05), definitions.asymmetric(0.5, 4.0, 0.05), 1.0),
        (definitions.probability, definitions.probability, 0.125),
        (definitions.offset_by(1e-7), definitions.offset_by(1e-7), 0.75),
    ],
    ids=["with logits", "focal", "asymmetric", "shifted", "probabilities", "log_offset"],
)
@pytest.mark.parametrize("label", [0.0, 0.25, 1.0])
def test_every_loss_is_linear_in_pos_weight(plain, weighted, first, label):
    """So its slope is the difference of two values, and a weight of 1 is none."""
    once, thrice = (number(weighted, "value", first, label, weight) for weight in (1.0, 3.0))
    assert number(plain, "value", first, label) == once
    slope = number(weighted, "pos_weight_gradient", first, label, 2.0)
    assert abs(slope - (thrice - once) / 2) <= 2.0**-52 * thrice
    assert (slope == 0) == (label == 0)


def test_options_are_exact_numbers():
    """Those that a double holds, however few of the other formats do."""
    heavy = definitions.with_pos_weight(1e39, definitions.cross_entropy)
    assert number(heavy, "value", 1.0, 0.0) == number(definitions.cross_entropy, "value", 1.0, 0.0)
    assert number(heavy, "value", 100.0, 1.0) == number(definitions.cross_entropy, "value", 100.0, 1.0, 1e39)
    scaled = definitions.scaled(1e39, definitions.cross_entropy)
    assert number(scaled, "gradient", 100.0, 1.0) == number(WEIGHTED, "gradient", 100.0, 1.0, 1e39)
    clipped = definitions.clipped(1e-50)
    assert [number(clipped, "value", *at) for at in ((0.0, 1.0), (1.0, 0.0))] == [-math.log(1e-50)] * 2
    assert [number(clipped, "gradient", *at) for at in ((0.0, 1.0), (1.0, 0.0))] == [0, 0]


def test_zero_to_a_small_power_has_no_series():
    with pytest.raises(ValueError, match="has infinite derivatives"):
        number(definitions.asymmetric(0.0, 0.5, 0.05), "value", -5.0, 0.0)


def test_zero_annihilates_infinity():
    infinite = SignedTerms.of(flint.arb.pos_inf())
    assert (Series.constant(0.0) * Series(infinite)).at_0 == 0
    assert (SignedTerms.of(flint.arb(-2)) * infinite).ball == -flint.arb.pos_inf()


def test_products_keep_their_terms_apart():
    a = SignedTerms(flint.arb(5), flint.arb(2))
    b = SignedTerms(flint.arb(1), flint.arb(3))
    product = a * b
    assert (product.positive, product.negative) == (11, 17)
    assert product.ball == -6
    assert (-product).scale == 17
    assert (a * SignedTerms.of(flint.arb(-2))).scale == 10


# --- what is below every double -------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [case for case in WITH_NUMBERS if case.arguments[0] == "logits"], ids=lambda c: c.name)
@pytest.mark.parametrize("quantity", QUANTITIES)
def test_an_exponential_in_the_place_of_a_smaller_one_leaves_a_sum_on_its_side(case, quantity):
    """exp(-1300) is in reach of a precision that the reference does not use, and of balls without such a place."""
    x = np.array([1300.0, -1300, 1301, -1301, 1302, 1303] * 4)
    z = np.repeat([0.0, 1.0, 0.25, 0.75], 6)
    found = exact(case.definition, quantity, x, z)
    place, which = (1, 1) if quantity == "label_gradient" else (0, QUANTITIES.index(quantity))
    decided = 0
    for i, numbers in enumerate(zip(x.tolist(), z.tolist(), strict=True)):
        with flint.ctx.workprec(2200):
            ball, _ = evaluate(case.definition, place, numbers)[which]
            rest = ball - flint.arb(found.high[i])
        if found.high[i] != 0 and (rest > 0 or rest < 0):
            decided += 1
            assert (found.low[i] > 0) == (rest > 0)
            assert (found.low[i] < 0) == (rest < 0)
    assert decided or quantity in ("hessian", "label_gradient")
