"""The primitives: accuracy against ball arithmetic, special values, dtypes, shapes, errors, identities, derivatives."""

import itertools
import math
import re
from functools import cache

import flint
import numpy as np
import pytest
from array_api_compat import array_namespace
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import NUMPY, device_of, larger_examples, step
from xbce import special
from xbce_conformance.exact_values.exact import Exact
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.measurement.errors import measure
from xbce_conformance.subjects.backends import find_backends

BOUND = {"float16": 0.51, "bfloat16": 0.51, "float32": 4.0, "float64": 4.0}
UNARY = ("expit", "log_expit", "softplus", "logit", "log1mexp")
BINARY = ("xlogy", "xlog1py")
names = pytest.mark.parametrize("name", UNARY + BINARY)
unary = pytest.mark.parametrize("name", UNARY)
binary = pytest.mark.parametrize("name", BINARY)
formats = pytest.mark.parametrize("kind", ["float32", "float64"])


# Accuracy.


def _exp(x):
    """Enclose exp(-|x|); below every double, an interval from 0 will do and keeps exponents small."""
    return (-abs(flint.arb(x))).exp() if abs(x) < 800 else flint.arb(0, 1) * flint.arb(2) ** -1150


def _expit(x):
    return (1 if x >= 0 else _exp(x)) / (1 + _exp(x))


def _softplus(x):
    return flint.arb(max(x, 0.0)) + _exp(x).log1p()


def _log1mexp(x):
    return (-flint.arb(x).expm1()).log() if x > -1 else (-_exp(x)).log1p()


BALLS = {
    "expit": _expit,
    "log_expit": lambda x: -_softplus(-x),
    "softplus": _softplus,
    "logit": lambda p: (flint.arb(p) / (1 - flint.arb(p))).log(),
    "log1mexp": _log1mexp,
    "xlogy": lambda x, y: flint.arb(x) * flint.arb(y).log(),
    "xlog1py": lambda x, y: flint.arb(x) * flint.arb(y).log1p(),
}


def _nearest(exact):
    """Round a ball without radius to the nearest double; Python's division of integers rounds correctly everywhere."""
    mantissa, exponent = (int(part) for part in exact.man_exp())
    if mantissa == 0 or exponent + mantissa.bit_length() < -1080:
        return 0.0
    return mantissa / (1 << -exponent) if exponent < 0 else float(mantissa << exponent)


def _round_once(ball, *arguments):
    """Return the double nearest to the value, and what is left; both ends of the enclosure must round to the same."""
    for precision in (128, 256, 512, 1024, 2048):
        with flint.ctx.workprec(precision):
            value = ball(*arguments)
            lower, upper = _nearest(value.lower()), _nearest(value.upper())
            if lower == upper:
                return lower, _nearest((value - lower).mid())
    msg = f"no double is nearest at {arguments}"
    raise ArithmeticError(msg)


def _positive(fmt, count):
    """Return finite positive numbers of all magnitudes: every third one of the half types."""
    largest = int(fmt.round([fmt.max]).view(fmt.bits)[0])
    step = 3 if fmt.dtype.itemsize == 2 else largest // count
    return fmt.from_bits(np.arange(1, largest + 1, step, dtype=fmt.bits))


def _around(fmt, centres):
    """Return the numbers next to these, and farther ones in steps of doubling."""
    steps = np.array([k for e in range(fmt.p + 8) for k in (-(2.0**e), 2.0**e)] + [0.0])
    with np.errstate(over="ignore"):
        return fmt.round(np.concatenate([c + steps * fmt.ulp(c) for c in centres]))


def _kinks(fmt):
    """Return where forms change, where a term vanishes, and where exponentials leave the range."""
    tails = [math.log(fmt.max), -math.log(fmt.tiny), -math.log(fmt.smallest), fmt.p * math.log(2)]
    forms = [0.25, 0.5, math.sqrt(0.5), 0.75, 1.0, 1.4, math.sqrt(2), 2.0, 1 - math.sqrt(0.5), math.sqrt(2) - 1]
    return [*forms, math.log(2), fmt.smallest, fmt.tiny, fmt.max, *tails]


@cache
def _arguments(name, dtype):
    """Return finite arguments inside the domain whose results are finite."""
    fmt = FORMATS[dtype]
    rng = np.random.default_rng(7)
    # All magnitudes, next to the kinks, and ordinary numbers.
    positive = np.concatenate([_positive(fmt, 3000), np.abs(_around(fmt, _kinks(fmt)))])
    if dtype in ("float32", "float64"):
        ordinary = np.concatenate(
            [rng.uniform(0, 1, 3000), rng.uniform(0, 4, 2000), rng.uniform(0, fmt.emin * -0.7, 2000)]
        )
        positive = np.concatenate([positive, fmt.round(ordinary)])
    positive = positive[np.isfinite(positive) & (positive > 0)]
    zero = fmt.round([0.0])
    if name == "logit":
        return (positive[positive < 1],)
    if name == "log1mexp":
        return (-positive,)
    if name in UNARY:
        return (np.concatenate([positive, -positive, zero, -zero]),)
    y = rng.permutation(positive)[:12000]
    if name == "xlog1py":
        y = np.concatenate([y, -y[y < 1]])
    # Products of ordinary size, products just below a power of 2 (where a ULP is smallest against the logarithm's), and
    # subnormal products.
    with np.errstate(all="ignore"):
        log = np.log(np.float64(y)) if name == "xlogy" else np.log1p(np.float64(y))
        x = np.stack(
            [rng.normal(size=y.size), (2 - 1e-3 * rng.random(y.size)) / log, fmt.tiny * rng.random(y.size) / log]
        )
        x = x[np.arange(y.size) % 3, np.arange(y.size)]
        x = np.where(np.isfinite(x), np.clip(x, -fmt.max, fmt.max), 1.0)
        finite = np.abs(x * log) < fmt.max / 2
    return fmt.round(x[finite]), y[finite]


@cache
def _exact(name, dtype):
    rows = zip(*(np.float64(x).tolist() for x in _arguments(name, dtype)), strict=True)
    high, low = np.array([_round_once(BALLS[name], *row) for row in rows]).T
    return Exact(high, low, high)


def _flushed(name, fmt, got, exact):
    """Tell where flushing explains a result: it is zero for a subnormal one, or that of arguments flushed to zero."""
    arguments, bound, got = _arguments(name, fmt.name), BOUND[fmt.name], np.float64(got)
    explained = (got == 0) & (np.abs(exact.high) < fmt.tiny + bound * fmt.smallest)
    subnormal = [(x != 0) & (np.abs(np.float64(x)) < fmt.tiny) for x in arguments]
    # Any one of two arguments may be flushed: comparisons may see a subnormal number where functions see zero.
    for chosen in itertools.product([False, True], repeat=len(arguments)):
        flush = [few & one for few, one in zip(subnormal, chosen, strict=True)]
        other = getattr(special, name)(
            *(np.where(f, np.zeros_like(x), x) for f, x in zip(flush, arguments, strict=True))
        )
        other = np.float64(other)
        with np.errstate(invalid="ignore"):
            close = (got == other) | (
                np.abs(got - other) <= 2 * bound * fmt.ulp(np.where(np.isfinite(other), other, 1))
            )
        explained |= np.any(flush, axis=0) & close
    return explained


_LENGTH = 2**15
"""Arguments are repeated up to one length for all functions: JAX compiles every operation for each new shape."""


def _check_accuracy(name, backend, fmt, function):
    arguments, exact = _arguments(name, fmt.name), _exact(name, fmt.name)
    size = arguments[0].size
    assert size <= _LENGTH
    got = backend.to_numpy(function(*(backend.from_numpy(np.resize(a, _LENGTH)) for a in arguments)))[:size]
    assert got.dtype == fmt.dtype
    errors = measure(got, exact, fmt)
    ulp, zero_for_normal = errors.ulp, errors.zero_for_normal
    if backend.flushes_subnormals(fmt):
        flushed = _flushed(name, fmt, got, exact)
        ulp, zero_for_normal = np.where(flushed, 0, ulp), zero_for_normal & ~flushed
    worst = int(np.argmax(ulp))
    assert ulp[worst] <= BOUND[fmt.name], [fmt.hex(x[worst]) for x in arguments]
    assert not zero_for_normal.any()


@names
def test_accuracy(backend, dtype, name):
    _check_accuracy(name, backend, FORMATS[dtype], getattr(special, name))


@names
@pytest.mark.parametrize("kind", FORMATS)
def test_accuracy_compiled_by_jax(kind, name):
    """XLA rewrites arithmetic: no form may depend on what it rewrites."""
    jax = pytest.importorskip("jax")
    _check_accuracy(name, find_backends(("jax",))[0]["jax"], FORMATS[kind], jax.jit(getattr(special, name)))


@formats
def test_the_measure_can_fail(kind):
    """The formulas that the primitives replace break the bound on the same arguments."""
    naive = {
        "expit": lambda x: 1 / (1 + np.exp(-x)),
        "softplus": lambda x: np.log(1 + np.exp(x)),
        "logit": lambda p: np.log(p / (1 - p)),
        "log1mexp": lambda x: np.log(1 - np.exp(x)),
        "xlog1py": lambda x, y: x * np.log(1 + y),
    }
    for name, function in naive.items():
        with np.errstate(all="ignore"), pytest.raises(AssertionError):
            _check_accuracy(name, NUMPY, FORMATS[kind], function)


def test_subnormal_results_are_kept(backend, dtype):
    fmt = FORMATS[dtype]
    if backend.flushes_subnormals(fmt):
        pytest.skip("the backend flushes subnormal numbers")
    x = backend.from_numpy(fmt.round([math.log(fmt.tiny / 2)]))
    for function, sign in ((special.expit, 1), (special.softplus, 1), (special.log_expit, -1), (special.log1mexp, -1)):
        with step(backend, function, dtype):
            result = sign * function(-x if function is special.log_expit else x)
            assert 0 < float(backend.to_numpy(result)[0]) < fmt.tiny
    x, y = (backend.from_numpy(fmt.round([v])) for v in (fmt.smallest, 8.0))
    assert float(backend.to_numpy(special.xlogy(x, y))[0]) == 2 * fmt.smallest
    assert float(backend.to_numpy(special.xlog1py(y, x))[0]) == 8 * fmt.smallest


def test_overflow_is_infinite(backend, dtype):
    fmt = FORMATS[dtype]
    x, y = (backend.from_numpy(fmt.round(v)) for v in ([fmt.max, -fmt.max], [8.0, 8.0]))
    for function in (special.xlogy, special.xlog1py):
        with step(backend, function, dtype):
            np.testing.assert_array_equal(np.float64(backend.to_numpy(function(x, y))), [np.inf, -np.inf])
    np.testing.assert_array_equal(backend.to_numpy(special.softplus(x)), fmt.round([fmt.max, 0]))
    np.testing.assert_array_equal(backend.to_numpy(special.log_expit(x)), fmt.round([0, -fmt.max]))


# Special values.

INF, NAN = math.inf, math.nan
SPECIAL = {
    "expit": [(INF, 1), (-INF, 0), (0.0, 0.5), (-0.0, 0.5), (NAN, NAN)],
    "log_expit": [(INF, 0), (-INF, -INF), (NAN, NAN)],
    "softplus": [(INF, INF), (-INF, 0), (NAN, NAN)],
    "logit": [
        *((0.0, -INF), (-0.0, -INF), (0.5, 0), (1, INF), (NAN, NAN)),
        *((p, NAN) for p in (-0.25, -2, 1.25, 3, INF, -INF)),
    ],
    "log1mexp": [(0.0, -INF), (-0.0, -INF), (-INF, 0), (0.25, NAN), (3, NAN), (INF, NAN), (NAN, NAN)],
    "xlogy": [
        *((0.0, y, 0) for y in (0.0, -0.0, 0.5, 1, 2, -1, INF, -INF)),
        *((-0.0, y, 0) for y in (0.0, 2, INF)),
        *((x, NAN, NAN) for x in (0.0, 2, NAN)),
        *((NAN, y, NAN) for y in (0.0, 1, INF)),
        *((2, 0.0, -INF), (-2, 0.0, INF), (2, -0.0, -INF), (2, INF, INF), (-2, INF, -INF), (-INF, INF, -INF)),
        *((INF, 2, INF), (INF, 0.5, -INF), (INF, 1, NAN), (3, 1, 0), (2, -1, NAN), (2, -INF, NAN)),
    ],
    "xlog1py": [
        *((0.0, y, 0) for y in (-1, 0.0, -0.0, -0.5, 1, -2, INF, -INF)),
        *((-0.0, y, 0) for y in (-1, 2, INF)),
        *((x, NAN, NAN) for x in (0.0, 2, NAN)),
        *((NAN, y, NAN) for y in (-1, 0.0, INF)),
        *((2, -1, -INF), (-2, -1, INF), (2, INF, INF), (-2, INF, -INF), (-INF, INF, -INF)),
        *((INF, 1, INF), (INF, -0.5, -INF), (INF, 0.0, NAN), (3, 0.0, 0), (2, -2, NAN), (2, -INF, NAN)),
    ],
}


@names
def test_special_values(backend, dtype, name):
    fmt = FORMATS[dtype]
    rows = SPECIAL[name]
    rows = [*rows, *rows[-1:] * (32 - len(rows))]  # to one length, too
    *arguments, expected = (fmt.round(column) for column in zip(*rows, strict=True))
    together = backend.to_numpy(getattr(special, name)(*map(backend.from_numpy, arguments)))
    np.testing.assert_array_equal(np.float64(together), np.float64(expected))


@names
@formats
def test_special_values_of_arrays_without_axes(backend, kind, name):
    """They take other paths in some libraries."""
    for *arguments, expected in SPECIAL[name]:
        with step(backend, getattr(special, name), kind, *arguments):
            got = getattr(special, name)(*(backend.from_numpy(np.array(FORMATS[kind].round(x))) for x in arguments))
            np.testing.assert_array_equal(np.float64(backend.to_numpy(got)), expected)


def test_special_values_that_are_rounded(backend, dtype):
    fmt = FORMATS[dtype]
    zero = backend.from_numpy(fmt.round([0.0, -0.0]))
    for function, exact in ((special.softplus, math.log(2)), (special.log_expit, -math.log(2))):
        with step(backend, function, dtype):
            result = np.float64(backend.to_numpy(function(zero)))
            assert (np.abs(result - exact) <= BOUND[dtype] * fmt.ulp(exact)).all()


@binary
def test_zero_is_positive(backend, name):
    """As SciPy's is, though 0 times a negative logarithm is -0."""
    x, y = (backend.from_numpy(np.array([v])) for v in (0.0, -0.5 if name == "xlog1py" else 0.5))
    assert not np.signbit(backend.to_numpy(getattr(special, name)(x, y)))[0]


@names
def test_special_values_are_those_of_scipy(name):
    scipy_special = pytest.importorskip("scipy.special")
    if name in ("softplus", "log1mexp"):
        pytest.skip("SciPy has no such function")
    *arguments, expected = (np.float64(column) for column in zip(*SPECIAL[name], strict=True))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(getattr(scipy_special, name)(*arguments), expected)


# Dtypes, shapes, devices.


@names
def test_namespace_dtype_shape_device(backend, dtype, name):
    x = backend.from_numpy(FORMATS[dtype].round(np.linspace(0.125, 0.875, 6).reshape(2, 3)))
    arguments = (x,) if name in UNARY else (x, x)
    result = getattr(special, name)(*arguments)
    assert array_namespace(result) is array_namespace(x)
    assert result.dtype == x.dtype
    assert result.shape == (2, 3)
    assert device_of(result) == device_of(x)


@unary
def test_shape(backend, name):
    function = getattr(special, name)
    for shape in ((), (0,), (2, 0, 3), (1, 1)):
        with step(backend, function, shape):
            result = function(backend.from_numpy(np.full(shape, 0.25)))
            assert result.shape == shape
            assert backend.to_numpy(result).shape == shape


@binary
@pytest.mark.parametrize(
    ("x", "y", "shape"),
    [((2, 1), (3,), (2, 3)), ((), (3,), (3,)), ((3,), (2, 3), (2, 3)), ((2, 1), (0,), (2, 0)), ((), (), ())],
)
def test_shapes_broadcast(backend, name, x, y, shape):
    rng = np.random.default_rng(2)
    a, b = rng.random(x), rng.random(y)
    result = getattr(special, name)(backend.from_numpy(np.asarray(a)), backend.from_numpy(np.asarray(b)))
    assert result.shape == shape
    log = np.log1p if name == "xlog1py" else np.log
    np.testing.assert_allclose(backend.to_numpy(result), a * log(b), rtol=1e-14)


@binary
@pytest.mark.parametrize(
    ("x", "y", "result"),
    [
        ("float32", "float64", "float64"),
        ("float64", "float32", "float64"),
        ("float16", "float32", "float32"),
        ("float32", "bfloat16", "float32"),
        ("float16", "bfloat16", "float32"),
        ("bfloat16", "float64", "float64"),
    ],
)
def test_dtypes_promote(backend, name, x, y, result):
    if not {x, y} <= set(backend.dtypes):
        pytest.skip(f"{backend.name} lacks one of the dtypes")
    a, b = (backend.from_numpy(FORMATS[dtype].round([0.5, 0.75])) for dtype in (x, y))
    assert getattr(special, name)(a, b).dtype == backend.dtype_of(result)


@binary
def test_python_scalars_never_widen(backend, dtype, name):
    fmt = FORMATS[dtype]
    x = fmt.round([0.25, 0.5, 3.0])
    function = getattr(special, name)
    scalars = (0.75, 2, True, 0.1)
    calls = [pair for s in scalars for pair in ((backend.from_numpy(x), s), (s, backend.from_numpy(x)))]
    for arguments in calls:
        with step(backend, function, *arguments):
            result = function(*arguments)
            assert result.dtype == backend.dtype_of(dtype)
            assert result.shape == (3,)
    same = fmt.round([0.75] * 3)
    got = backend.to_numpy(function(0.75, backend.from_numpy(x)))
    np.testing.assert_array_equal(got, backend.to_numpy(function(*map(backend.from_numpy, (same, x)))))


def test_numpy_scalars():
    assert special.expit(np.float32(0)) == np.float32(0.5)
    assert special.xlogy(np.ones(2, np.float32), np.float32(3)).dtype == np.float32


# Errors.


def raises(error, text):
    """Expect exactly this text."""
    return pytest.raises(error, match=f"^{re.escape(text)}$")


FIRST = {name: "p" if name == "logit" else "x" for name in UNARY + BINARY}


@names
@pytest.mark.parametrize("kind", ["int64", "bool", "complex64"])
def test_dtype_that_is_not_floating(backend, name, kind):
    good, bad = backend.from_numpy(np.ones(3)), backend.from_numpy(np.ones(3, kind))
    function = getattr(special, name)

    def text(argument):
        return f"{argument} must have one of the dtypes float16, bfloat16, float32, float64, got {kind}"

    if name in UNARY:
        with raises(TypeError, text(FIRST[name])):
            function(bad)
        return
    for arguments, argument in (((bad, good), "x"), ((bad, 1.0), "x"), ((1.0, bad), "y"), ((good, bad), "y")):
        with raises(TypeError, text(argument)):
            function(*arguments)


@names
@pytest.mark.parametrize("bad", [[0.0, 1.0], 0.5, None, "x", 1j], ids=["list", "float", "None", "str", "complex"])
def test_argument_that_is_no_array(name, bad):
    text = (
        "{} must be an array of a library that follows the array API standard "
        f"(NumPy, CuPy, PyTorch, JAX, Dask, ...), got {type(bad).__name__}"
    )
    function = getattr(special, name)
    with raises(TypeError, text.format(FIRST[name])):
        function(*([bad] if name in UNARY else [bad, bad]))
    if name in BINARY and not isinstance(bad, float):
        with raises(TypeError, text.format("y")):
            function(np.ones(2), bad)


@binary
def test_mixed_libraries_and_devices(backend, name):
    x = backend.from_numpy(np.ones(2))
    for other in find_backends()[0].values():
        names = {other.name.partition(":")[0], backend.name.partition(":")[0]}
        if len(names) == 2 and names != {"numpy", "jax"}:  # those are taken, as JAX itself takes them
            with pytest.raises(TypeError, match=r"^y must be an array of the same library as x .* got an array of "):
                getattr(special, name)(x, other.from_numpy(np.ones(2)))
    torch = pytest.importorskip("torch")
    with raises(ValueError, "y must be on the device of x (cpu), got meta; nothing is transferred silently"):
        getattr(special, name)(torch.ones(2), torch.ones(2, device="meta"))


def test_masked_array():
    masked = np.ma.masked_array([0.0, 1.0], mask=[True, False])
    with raises(TypeError, "p must not be a masked array: its mask would be ignored"):
        special.logit(masked)
    with raises(TypeError, "y must not be a masked array: its mask would be ignored"):
        special.xlogy(np.zeros(2), masked)


@names
def test_arrays_are_positional_only(name):
    with pytest.raises(TypeError, match="positional-only"):
        getattr(special, name)(
            **dict.fromkeys(["x", "y"][: 1 + (name in BINARY)] if name != "logit" else ["p"], np.ones(2))
        )


def test_public_names():
    assert sorted(special.__all__) == sorted(UNARY + BINARY)


# Identities, on drawn arguments.

_reals = {
    "float32": st.floats(-80, 80, width=32, allow_subnormal=False),
    "float64": st.floats(-700, 700, allow_subnormal=False),
}
_factors = {
    "float32": st.floats(-(2.0**60), 2.0**60, width=32, allow_subnormal=False),
    "float64": st.floats(-(2.0**500), 2.0**500, allow_subnormal=False),
}


def _call(backend, name, *arguments):
    return backend.to_numpy(getattr(special, name)(*map(backend.from_numpy, arguments)))


def _draw(data, dtype, strategy, size=24):
    return FORMATS[dtype].round(data.draw(st.lists(strategy, min_size=size, max_size=size), label="elements"))


@formats
@larger_examples
@given(data=st.data())
def test_expit_of_both_signs_sums_to_1(backend, kind, data):
    x = _draw(data, kind, _reals[kind])
    total = _call(backend, "expit", x) + _call(backend, "expit", -x)
    assert (np.abs(total - 1) <= FORMATS[kind].ulp(1.0)).all()


@formats
@larger_examples
@given(data=st.data())
def test_log_expit_is_softplus_mirrored_bit_for_bit(backend, kind, data):
    x = _draw(data, kind, _reals[kind])
    np.testing.assert_array_equal(_call(backend, "log_expit", x), -_call(backend, "softplus", -x))


@formats
@larger_examples
@given(data=st.data())
def test_softplus_differs_from_its_mirror_by_x(backend, kind, data):
    x = _draw(data, kind, _reals[kind])
    fmt = FORMATS[kind]
    plus, minus = _call(backend, "softplus", x), _call(backend, "softplus", -x)
    assert (plus >= np.maximum(x, 0)).all()
    assert (np.abs((plus - minus) - x) <= 5 * fmt.ulp(plus) + 5 * fmt.ulp(minus)).all()


@formats
@larger_examples
@given(data=st.data())
def test_logit_is_the_inverse_of_expit(backend, kind, data):
    """For x <= 0, where expit has all digits: d logit = dp / (p (1 - p)) with dp at most 4 ULP."""
    x = -np.abs(_draw(data, kind, _reals[kind]))
    fmt = FORMATS[kind]
    p = _call(backend, "expit", x)
    tolerance = 4 * fmt.ulp(p) / (np.float64(p) * (1 - p)) + 4 * fmt.ulp(x)
    assert (np.abs(_call(backend, "logit", p) - x) <= tolerance).all()


@formats
@larger_examples
@given(data=st.data())
def test_logit_is_odd_about_one_half_bit_for_bit(backend, kind, data):
    p = FORMATS[kind].round(
        np.array(data.draw(st.lists(st.integers(0, 2**20), min_size=24, max_size=24), label="p")) / 2**20
    )
    np.testing.assert_array_equal(_call(backend, "logit", p), -_call(backend, "logit", 1 - p))


@formats
@larger_examples
@given(data=st.data())
def test_log1mexp_takes_log_expit_to_its_mirror(backend, kind, data):
    """For x <= 0, where log_expit(x) does not cancel: d log1mexp(u) = -du exp(u) / (1 - exp(u)) = -du exp(x)."""
    x = -np.abs(_draw(data, kind, _reals[kind]))
    fmt = FORMATS[kind]
    u, expected = _call(backend, "log_expit", x), _call(backend, "log_expit", -x)
    tolerance = 4 * fmt.ulp(u) * np.exp(np.float64(x)) + 8 * fmt.ulp(expected)
    assert (np.abs(_call(backend, "log1mexp", u) - expected) <= tolerance).all()


@binary
@formats
@larger_examples
@given(data=st.data())
def test_powers_of_2_and_signs_pass_through(backend, kind, name, data):
    x, y = _draw(data, kind, _factors[kind]), np.abs(_draw(data, kind, _factors[kind]))
    # No subnormal products.
    x = np.where(np.abs(x) < 2.0**-60, 1, x).astype(x.dtype)
    y = np.where((y > 0) & (y < FORMATS[kind].tiny * 2.0**60), 1, y).astype(y.dtype)
    once, twice, negative = _call(backend, name, np.stack([x, 2 * x, -x]), np.stack([y, y, y]))
    np.testing.assert_array_equal(twice, 2 * once)
    np.testing.assert_array_equal(negative, -once)


@formats
@larger_examples
@given(data=st.data())
def test_xlogy_and_xlog1py_agree(backend, kind, data):
    """Where 1 + y is exact."""
    fmt = FORMATS[kind]
    x = _draw(data, kind, st.floats(-8, 8, width=16))
    y = fmt.round(
        np.array(data.draw(st.lists(st.integers(-(2**20), 2**21), min_size=24, max_size=24), label="y")) / 2**20
    )
    left, right = _call(backend, "xlogy", x, 1 + y), _call(backend, "xlog1py", x, y)
    with np.errstate(invalid="ignore"):
        assert ((left == right) | (np.abs(left - right) <= 8 * fmt.ulp(np.where(np.isinf(left), 1, left)))).all()


# Derivatives by PyTorch and JAX, also where forms change and at the ends.

TAIL = 4.248354255291589e-18  # exp(-40), and the derivatives that are next to it
SLOPES = {
    "expit": [(0.0, 0.25), (-0.0, 0.25), (INF, 0), (-INF, 0), (40.0, TAIL)],
    "softplus": [(0.0, 0.5), (-0.0, 0.5), (INF, 1), (-INF, 0), (-40.0, TAIL)],
    "log_expit": [(0.0, 0.5), (-0.0, 0.5), (INF, 0), (-INF, 1), (40.0, TAIL)],
    "logit": [(0.0, INF), (0.125, 64 / 7), (0.25, 16 / 3), (0.5, 4), (0.75, 16 / 3), (0.875, 64 / 7), (1.0, INF)],
    "log1mexp": [
        *((0.0, -INF), (-0.0, -INF), (-INF, 0), (-40.0, -TAIL)),
        *((x, -1 / math.expm1(-x)) for x in (-1e-3, -1.0, -1.4, -1.5)),
    ],
}
# x, y, the derivative in x and that in y.
PARTIALS = {
    "xlogy": [
        *((0.0, y, 0, 0) for y in (0.0, INF, -1.0)),
        *((x, y, math.log(y), x / y) for x in (0.0, 3.0) for y in (0.3, 0.5, 0.7, 1.0, 1.3, 1.7, 2.0, 8.0)),
        (2.0, 0.0, -INF, INF),
    ],
    "xlog1py": [
        *((0.0, y, 0, 0) for y in (-1.0, INF, -2.0)),
        *(
            (x, y, math.log1p(y), x / (1 + y))
            for x in (0.0, 3.0)
            for y in (-0.7, -0.5, -0.3, 0.0, 1e-20, 0.7, 1.0, 8.0)
        ),
        (2.0, -1.0, -INF, INF),
    ],
}


@names
def test_torch_derivatives(name):
    torch = pytest.importorskip("torch")
    columns = [torch.tensor(c, dtype=torch.float64) for c in zip(*(SLOPES | PARTIALS)[name], strict=True)]
    count = len(columns) // 2
    arguments = [c.clone().requires_grad_() for c in columns[:count]]
    slopes = torch.autograd.grad(getattr(special, name)(*arguments).sum(), arguments)
    for i, (slope, expected) in enumerate(zip(slopes, columns[count:], strict=True)):
        with step("torch", getattr(special, name), f"derivative {i}"):
            np.testing.assert_allclose(slope, expected, rtol=4e-15)


@names
def test_jax_derivatives(name):
    jax = pytest.importorskip("jax")
    find_backends(("jax",))  # float64
    columns = [np.float64(c) for c in zip(*(SLOPES | PARTIALS)[name], strict=True)]
    count = len(columns) // 2
    function = getattr(special, name)
    for derivative in (jax.grad, jax.jacfwd):
        for i in range(count):
            with step("jax", function, derivative, i):
                slope = jax.jit(jax.vmap(derivative(function, argnums=i)))(*columns[:count])
                np.testing.assert_allclose(slope, columns[count + i], rtol=4e-15)


@names
@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a .functools.lru_cache:UserWarning")
def test_torch_compiles_without_graph_breaks(name):
    torch = pytest.importorskip("torch")
    x = torch.tensor([0.0, 0.3, 0.6, 1.0])
    arguments = (x,) if name in UNARY else (x, x.flip(0))
    if name == "log1mexp":
        arguments = (-x,)
    function = getattr(special, name)
    compiled = torch.compile(function, fullgraph=True, backend="eager")
    # Compiled for CPUs, log(1 + exp(-|x|)) is a series.
    most = 1 if name in ("softplus", "log_expit") else 0
    np.testing.assert_array_max_ulp(compiled(*arguments).numpy(), function(*arguments).numpy(), most)
