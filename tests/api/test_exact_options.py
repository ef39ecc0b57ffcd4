"""Options are exact numbers: nothing is lost of what the dtype of the logits cannot hold, or a compiler would round."""

import re

import numpy as np
import pytest

import xbce
from tests.helpers import approx, jax_float64, step
from xbce_conformance import contract
from xbce_conformance.cases import FAMILY, Tried
from xbce_conformance.exact_values import definitions
from xbce_conformance.exact_values.by_series import SeriesReference
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.measurement.errors import measure
from xbce_conformance.subjects.backends import find_backends

FOUND = find_backends()[0]
MODES = {"numpy": ["eager"], "torch:cpu": ["eager", "compiled"], "jax": ["eager", "compiled"]}
LIBRARIES = [(name, mode) for name in MODES if name in FOUND for mode in MODES[name]]
each_library = pytest.mark.parametrize(("library", "mode"), LIBRARIES, ids=[" ".join(pair) for pair in LIBRARIES])


def call(library, mode, function, *arrays):
    """Return the results of a function of arrays of a library in NumPy."""
    backend = FOUND[library]
    if mode == "compiled" and library == "jax":
        function = __import__("jax").jit(function)
    elif mode == "compiled":
        torch = __import__("torch")
        torch._dynamo.reset()
        function = torch.compile(function, fullgraph=True)
    results = function(*map(backend.from_numpy, arrays))
    return tuple(map(backend.to_numpy, results)) if isinstance(results, tuple) else backend.to_numpy(results)


def errors(computed, definition, quantity, arrays, dtype):
    """Return the errors in ULP of the exact scale."""
    exact = SeriesReference(definition).exact(quantity, arrays)[quantity]
    return measure(computed, exact, FORMATS[dtype]).ulp


@each_library
@pytest.mark.parametrize(
    ("eps", "dtype"),
    [
        (1e-7, "float32"),
        pytest.param(1e-30, "float32", marks=pytest.mark.long),
        pytest.param(1e-15, "float64", marks=pytest.mark.long),
    ],
)
def test_a_compiler_merges_no_constants_and_no_quotients(library, mode, eps, dtype):
    """XLA takes (1 - u) + eps for (1 + eps) - u, if it may: 8.4e6 for a gradient of 1e7. So it does (a / b) / c."""
    arrays = tuple(FORMATS[dtype].round(a) for a in ([1.0, 0.0, 1.0, 0.0, 0.75], [0.0, 1.0, 1.0, 0.0, 0.5]))
    loss, options = xbce.binary_cross_entropy, {"log_offset": eps}
    quantities = ("value", "gradient", "hessian", "label_gradient")

    def all_of_them(u, z):
        return tuple(getattr(loss, q, loss)(u, z, **options) for q in quantities)

    for quantity, computed in zip(quantities, call(library, mode, all_of_them, *arrays), strict=True):
        bound = contract.bound(quantity, dtype, hard=True, case=FAMILY["binary_cross_entropy"].case(Tried(options)))
        assert errors(computed, definitions.offset_by(eps), quantity, arrays, dtype).max() <= bound, quantity


@each_library
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("eps", [0.3, 0.45, 0.4999999, 0.7])
@pytest.mark.parametrize("array", [False, True], ids=["number", "array"])
def test_an_offset_keeps_the_digits_that_are_left_where_the_sum_is_nearly_one(library, mode, eps, dtype, array):
    """log(u + eps) next to its zero: eps - 1, rounded, was off by up to 1e7 ULP for u below 1/2."""
    fmt = FORMATS[dtype]
    nearest = min(1 - eps, 0.5)
    u = fmt.round(np.concatenate([nearest - 2.0 ** -np.arange(2.0, 25), [nearest]]))
    arrays = (u, np.ones_like(u), *([fmt.round(np.full(u.size, eps))] if array else []))
    if array:
        eps = float(arrays[2][0])

    def loss(u, z, offset=eps):
        return xbce.binary_cross_entropy(u, z, log_offset=offset)

    computed = call(library, mode, loss, *arrays)
    assert errors(computed, definitions.offset_by(eps), "value", arrays[:2], dtype).max() <= 4


LOGITS = np.float32([-36.491142, *np.linspace(-60, 60, 241), *np.linspace(-3, 3, 61)])
LABELS = np.float32([0, 1, 0.1, 0.4, 0.6])
GRID = tuple(a.ravel() for a in np.meshgrid(LOGITS, LABELS))


def assert_within_bounds(computed, definition, quantity, case, library):
    """Subnormal results are left out: the dtype cannot hold their digits, and JAX none of them."""
    exact = SeriesReference(definition).exact(quantity, GRID)[quantity]
    normal = np.abs(exact.high) >= FORMATS["float32"].tiny
    ulp = measure(computed, exact, FORMATS["float32"]).ulp
    for hard in (True, False):
        bound = contract.bound(quantity, "float32", hard=hard, case=case, backend=library)
        assert ulp[normal & (np.isin(GRID[1], (0, 1)) == hard)].max() <= bound


@pytest.mark.parametrize("gamma", [0.3, 0.7, 1.3, 1.7, 49.9])
@pytest.mark.parametrize("library", [name for name in MODES if name in FOUND])
def test_an_exponent_that_float32_cannot_hold(library, gamma):
    """Rounded to float32, 1.3 costs 29 ULP at logit -36.49: its error counts |log M| times."""
    computed = call(library, "eager", lambda x, z: xbce.sigmoid_focal_loss(x, z, gamma=gamma), *GRID)
    case = FAMILY["sigmoid_focal_loss"].case(Tried({"gamma": gamma}))
    assert_within_bounds(computed, definitions.focal(gamma), "value", case, library)


@each_library
@pytest.mark.parametrize("quantity", ["value", "gradient"])
def test_two_exponents_that_float32_cannot_hold(library, mode, quantity):
    options = {"gamma_pos": 0.7, "gamma_neg": 1.3}
    method = xbce.asymmetric_loss if quantity == "value" else xbce.asymmetric_loss.gradient
    computed = call(library, mode, lambda x, z: method(x, z, **options), *GRID)
    case = FAMILY["asymmetric_loss"].case(Tried(options))
    assert_within_bounds(computed, definitions.asymmetric(**options), quantity, case, library)


@pytest.mark.parametrize("library", [name for name in MODES if name in FOUND])
def test_the_derivative_in_a_label_where_the_power_outlasts_its_base(library):
    """exp(-95) ** 0.3 is a normal number of float32, exp(-95) is not."""
    x = np.float32([95, 100, 103])
    computed = call(
        library, "eager", lambda x, z: xbce.sigmoid_focal_loss.label_gradient(x, z, gamma=0.3), x, x * 0 + 1
    )
    exact = [-3.99668726244e-11, -9.38569583775e-12, -3.93007493077e-12]  # mpmath, 60 digits
    np.testing.assert_allclose(computed, exact, rtol=1e-6)


@pytest.mark.parametrize("library", [name for name in MODES if name in FOUND])
def test_a_clip_between_two_numbers_of_float32(library):
    """float32(1e-7) is below 1.00000001e-7, but a clip rounded to float32 is not above it."""
    u = np.float32([1e-7, 2e-7])
    gradient = call(
        library, "eager", lambda u, z: xbce.binary_cross_entropy.gradient(u, z, clip=1.000000012e-7), u, u * 0 + 1
    )
    assert gradient[0] == 0
    assert gradient[1] == approx(-5e6, rel=1e-6)


ANY = [name for name in ("numpy", "torch:cpu", "jax", "dask", "array-api-strict") if name in FOUND]
with_logits, of_probabilities = xbce.binary_cross_entropy_with_logits, xbce.binary_cross_entropy
BEYOND = {  # function, score, label, options, exact value of these in float32 (mpmath, 50 digits)
    "a weight of an absent term": (with_logits, 1.0, 0.0, {"pos_weight": 1e39}, 1.3132616875182228),
    "a weight of a small loss": (with_logits, 40.0, 1.0, {"pos_weight": 1e39}, 4.248354255291589e21),
    "a weight of a large loss": (with_logits, -3e38, 1.0, {"pos_weight": 1e-50}, 3.0000000054977558e-12),
    "a weight of all": (with_logits, -20.0, 0.0, {"weight": 1e39}, 2.061153620314381e30),
    "smoothing of a large loss": (with_logits, -3e38, 0.0, {"label_smoothing": 1e-50}, 1.5000000027488779e-12),
    "a clip": (of_probabilities, 0.0, 1.0, {"clip": 1e-50}, 115.12925464970229),
    "a clip beside it": (of_probabilities, 1e-45, 1.0, {"clip": 1e-50}, 103.27892990343184),
    "an offset": (of_probabilities, 0.0, 1.0, {"log_offset": 1e-50}, 115.12925464970229),
    "a floor": (of_probabilities, 0.0, 1e-5, {"log_floor": -1e39}, 9.999999747378752e33),
    "alpha": (xbce.sigmoid_focal_loss, -3e38, 1.0, {"alpha": 1e-50}, 3.0000000054977558e-12),
    "an exponent": (xbce.sigmoid_focal_loss, 2.0, 0.0, {"gamma": 1e-50}, 2.1269280110429725),
    "a shift": (xbce.asymmetric_loss, 1.0, 0.0, {"gamma_neg": 1.0, "shift": 1e-50}, 0.9600712226463136),
}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("case", BEYOND)
@pytest.mark.parametrize("library", ANY)
def test_numbers_beyond_float32(library, case, dtype):
    """They are computed with in float64, and the result is rounded once."""
    loss, score, label, options, exact = BEYOND[case]
    fmt = FORMATS[dtype]
    if dtype not in FOUND[library].dtypes:
        pytest.skip(f"{library} has no {dtype}")
    if not fmt.smallest <= abs(exact) <= fmt.max or abs(score) > fmt.max or 0 < abs(score) < fmt.smallest:
        pytest.skip(f"{dtype} does not hold the arguments and the result")
    value = call(library, "eager", lambda x, z: loss(x, z, **options), fmt.round([score]), fmt.round([label]))
    assert value.dtype == fmt.dtype
    np.testing.assert_array_equal(value, fmt.round([exact]))


@pytest.mark.parametrize("case", BEYOND)
def test_numbers_beyond_float32_where_there_is_no_float64(case):
    jax = pytest.importorskip("jax")
    loss, score, label, options, _ = BEYOND[case]
    ((name, number),) = ((name, x) for name, x in options.items() if x not in (0, 1))
    what = "half of label_smoothing" if name == "label_smoothing" else name
    number = number / 2 if name == "label_smoothing" else number
    text = f"{what} must be 0 or of a magnitude that float32 can hold where there is no float64, got {number!r}"
    with jax_float64(False):
        x, z = jax.numpy.float32([score]), jax.numpy.float32([label])
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            loss(x, z, **options)


INFINITE = [
    (with_logits, "pos_weight", "pos_weight must be finite, got inf"),
    (with_logits, "weight", "weight must be finite, got inf"),
    (xbce.sigmoid_focal_loss, "gamma", "gamma must be at least 0 and finite, got inf"),
    (xbce.asymmetric_loss, "gamma_pos", "gamma_pos must be at least 0 and finite, got inf"),
    (xbce.asymmetric_loss, "gamma_neg", "gamma_neg must be at least 0 and finite, got inf"),
    (of_probabilities, "log_offset", "log_offset must be at least 0 and finite, got inf"),
]


@pytest.mark.parametrize("infinity", [np.inf, np.float32(np.inf)], ids=["Python", "NumPy"])
@pytest.mark.parametrize(("loss", "name", "text"), INFINITE, ids=[name for _, name, _ in INFINITE])
@pytest.mark.parametrize("library", ANY)
def test_infinite_options_are_refused(library, loss, name, text, infinity):
    x = FOUND[library].from_numpy(np.float32([0.5]))
    for method in (loss, loss.gradient):
        with pytest.raises(ValueError, match=f"^{re.escape(text.replace('inf', repr(infinity), 1))}$"):
            method(x, x, **{name: infinity})


def test_an_infinite_floor_or_factor_is_refused():
    x = np.float32([0.5])
    with pytest.raises(ValueError, match=r"^log_floor must be at most 0 and finite, got -inf$"):
        of_probabilities.gradient(x, x, log_floor=-np.inf)
    with pytest.raises(ValueError, match=r"^weight must be finite, got nan$"):
        xbce.reduce(x, weight=np.nan)


def test_a_label_that_float32_cannot_hold_is_infinite_in_jax():
    jax = pytest.importorskip("jax")
    with jax_float64(False):
        assert with_logits.gradient(jax.numpy.float32([1.0]), 1e300) == -np.inf


def test_a_label_gradient_is_finite_where_a_huge_logit_times_pos_weight_is_not():
    x, z, p = (np.float32([float.fromhex(n)]) for n in ("-0x1.520cdap+126", "0x1.b66e3ap-49", "0x1.f2e636p+8"))
    slope = xbce.sigmoid_focal_loss.label_gradient(x, z, pos_weight=p, gamma=1.7)
    assert float(slope[0]) == approx(float.fromhex("0x1.c2c1c188a17fdp+54"), rel=10.8 * 2.0**-23)


def test_what_float32_does_not_hold_of_an_exponent_is_not_flushed():
    """On JAX it was, where a power is small: 43 ULP."""
    jax = pytest.importorskip("jax")
    x, z, p = (np.full(8, float.fromhex(n), np.float32) for n in ("-0x1.f9e1bap+126", "0x1.eaebf6p-82", "0x1.8892p-9"))
    options = {"gamma_pos": 0.3, "gamma_neg": 2.7, "shift": 0.05}
    for run in (lambda f: f, jax.jit):
        with step("jax", xbce.asymmetric_loss.label_gradient, run, **options):
            slope = run(lambda x, z, p: xbce.asymmetric_loss.label_gradient(x, z, pos_weight=p, **options))
            found = np.asarray(slope(*map(jax.numpy.asarray, (x, z, p))), np.float64)
            assert found == approx(np.full(8, float.fromhex("0x1.8a528684db969p-99")), rel=14.8 * 2.0**-23)
