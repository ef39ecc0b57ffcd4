"""How accurate the functions of libraries are: that errors are seen, where they are, and that nothing is lost."""

import sys
from dataclasses import replace
from types import ModuleType

import flint
import numpy as np
import pytest

from tests.helpers import NUMPY, approx
from xbce_conformance.functions import ELEMENTARY, Unmeasured, measure, measure_function
from xbce_conformance.functions.inputs import drawn, further, special
from xbce_conformance.functions.measure import BINADES, binade_edges, samples_for
from xbce_conformance.functions.reference import exact_values
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.storage import CheckpointFolder
from xbce_conformance.subjects.backends import find_backends
from xbce_conformance.sweep import device

HALF, SINGLE, DOUBLE = FORMATS["float16"], FORMATS["float32"], FORMATS["float64"]

# As the names say, with so many digits that none is lost: nothing is shared with the definitions that are tested.
DIGITS = 2400
BALLS = {
    "exp": lambda x: x.exp(),
    "expm1": lambda x: x.exp() - 1,
    "log": lambda x: x.log(),
    "log1p": lambda x: (1 + x).log(),
    "tanh": lambda x: (x.exp() - (-x).exp()) / (x.exp() + (-x).exp()),
    "sqrt": lambda x: x.sqrt(),
    "divide": lambda a, b: a / b,
    "logaddexp": lambda a, b: (a.exp() + b.exp()).log(),
    "logaddexp-by-term": lambda a, b: (a.exp() + b.exp()).log(),
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
    "log-sigmoid": lambda x: -(1 + (-x).exp()).log(),
    "softplus": lambda x: (1 + x.exp()).log(),
    "logit": lambda p: (p / (1 - p)).log(),
    "xlogy": lambda x, y: x * y.log(),
}


def ball(name, *numbers):
    """Return a function of numbers by ball arithmetic."""
    with flint.ctx.workprec(DIGITS):
        return BALLS[name](*(flint.arb(float(number)) for number in numbers))


def exactly(name, *numbers):
    """Return a function of numbers by ball arithmetic, rounded to float64."""
    return float(ball(name, *numbers).mid())


# --- the reference --------------------------------------------------------------------------------------------------


def some_inputs(function, fmt, n):
    """Return special values and n of the inputs that are hard; but for infinities and numbers whose exp has none."""
    rng = np.random.default_rng(5)
    hard = [np.concatenate(parts) for parts in zip(*further(function, fmt, 2**17), strict=True)]
    chosen = rng.integers(0, hard[0].size, n)
    arrays = [np.concatenate([a, b[chosen]]) for a, b in zip(special(function, fmt), hard, strict=True)]
    usable = np.all([np.isfinite(x) & ((np.abs(x) < 1e4) | (function.name in PLAIN)) for x in arrays], axis=0)
    return tuple(x[usable] for x in arrays)


PLAIN = ("log", "log1p", "sqrt", "divide", "logit", "xlogy")
"""Those that take no exp of their arguments."""


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", ELEMENTARY)
def test_exact_values_are_certified(name, dtype):
    """To 2^-20 ULP of float32, and 2^-24 of float64, at edges and where terms cancel."""
    function, fmt = ELEMENTARY[name], FORMATS[dtype]
    inputs = some_inputs(function, fmt, 400)
    high, low = exact_values(function, fmt, inputs)
    allowed = 2.0**-24 if fmt is DOUBLE else 2.0**-20
    compared = 0
    for *numbers, got, rest in zip(*inputs, high, low, strict=True):
        exact = ball(name, *numbers)
        if name == "xlogy" and numbers[0] == 0:
            assert got == 0
        elif not exact.is_finite():
            assert not np.isfinite(got), numbers
        elif np.isfinite(got):
            error = float(abs((exact - float(got)) - float(rest)).mid())
            assert error <= allowed * fmt.ulp(float(exact.mid())), (numbers, got)
            compared += 1
        else:
            assert abs(exact) > fmt.max, numbers
    assert compared > 100


@pytest.mark.parametrize(("name", "x"), [("logit", [0.5 + 2.0**-24, 0.49999997]), ("logaddexp", [-12.636, -0.6931])])
def test_exact_values_near_a_zero(name, x):
    """Where the plain formula of float64 would lose half of its digits."""
    first = np.float32(x)
    second = [np.float32(np.log(-np.expm1(np.float64(first))))] if name == "logaddexp" else []
    high, _ = exact_values(ELEMENTARY[name], SINGLE, (first, *second))
    exact = [exactly(name, *numbers) for numbers in zip(first, *second, strict=True)]
    assert np.abs(exact).max() < 1e-6
    np.testing.assert_allclose(high, exact, rtol=1e-14)


def test_special_values_of_the_reference():
    inf, nan = np.inf, np.nan
    cases = {
        "exp": ([inf, -inf, nan, 1e6, -1e6], [inf, 0, nan, inf, 0]),
        "log": ([0, -0.0, -1, inf, -inf, nan], [-inf, -inf, nan, inf, nan, nan]),
        "log1p": ([-1, -2, inf, nan], [-inf, nan, inf, nan]),
        "tanh": ([inf, -inf, nan], [1, -1, nan]),
        "sqrt": ([-1, inf, nan], [nan, inf, nan]),
        "sigmoid": ([inf, -inf, nan], [1, 0, nan]),
        "log-sigmoid": ([inf, -inf, nan], [0, -inf, nan]),
        "softplus": ([inf, -inf, nan], [inf, 0, nan]),
        "logit": ([0, 1, 2, -1, inf, nan], [-inf, inf, nan, nan, nan, nan]),
        "divide": ([1, -1, 0, inf, 1], [inf, -inf, nan, nan, 0], [0, 0, 0, inf, inf]),
        "logaddexp": ([inf, -inf, -inf, inf, nan, -inf], [inf, -inf, 2, inf, nan, nan], [inf, -inf, 2, -inf, 1, nan]),
        "xlogy": ([0, 0, 0, 2, 2, 0, inf], [0, 0, nan, -inf, nan, 0, inf], [0, inf, nan, 0, -1, -1, 2]),
    }
    for name, (first, expected, *second) in cases.items():
        for fmt in (SINGLE, DOUBLE):
            inputs = tuple(np.array(x, fmt.dtype) for x in (first, *second))
            np.testing.assert_array_equal(exact_values(ELEMENTARY[name], fmt, inputs)[0], expected, err_msg=name)


# --- the inputs -----------------------------------------------------------------------------------------------------


def test_draws_are_even_over_binades():
    first, *blocks = drawn(ELEMENTARY["exp"], SINGLE, 2**15, 2**12)
    x = np.concatenate([block for (block,) in blocks])
    assert x.size == 2**15
    assert {block.size for (block,) in blocks} == {2**12}
    assert np.isnan(x).sum() == 128
    counts = np.bincount(x.view(np.uint32) >> 23)  # sign and exponent
    assert (counts == 64).all()
    assert {0.0, np.inf, -np.inf, SINGLE.max, SINGLE.tiny, SINGLE.smallest, 1.0} <= set(first[0].tolist())
    again = np.concatenate([block for (block,) in list(drawn(ELEMENTARY["exp"], SINGLE, 2**15, 2**12))[1:]])
    np.testing.assert_array_equal(x.view(np.uint32), again.view(np.uint32))


def test_pairs_are_apart_near_equal_and_opposite():
    _, (a, b) = drawn(ELEMENTARY["divide"], DOUBLE, 4000, 4000)
    with np.errstate(all="ignore"):
        ratio = b / a
    assert ((np.abs(ratio[:1000]) > 1e20) | (np.abs(ratio[:1000]) < 1e-20)).mean() > 0.9
    usual = np.abs(np.log2(np.abs(ratio[1000:2000]))) <= 8.01
    assert usual.mean() > 0.98
    assert 0.4 < (ratio[1000:2000] < 0).mean() < 0.6
    assert (np.abs(ratio[2000:3000] - 1) < 0.6).mean() > 0.98
    assert (np.abs(ratio[2000:3000] - 1) < 1e-9).mean() > 0.4
    assert np.isin(ratio[3000:], [1, -1]).mean() > 0.98
    assert special(ELEMENTARY["divide"], DOUBLE)[0].size == 21**2


@pytest.mark.parametrize(
    ("name", "point"),
    [("log", 1.0), ("log1p", -1.0), ("exp", -np.log(2) / 2), ("exp", 88.72284), ("logit", 0.5), ("softplus", 20.0)],
)
def test_neighbourhoods_of_branches(name, point):
    (x,) = next(further(ELEMENTARY[name], SINGLE, 2**20))
    steps = np.round((np.float64(x) - np.float32(point)) / SINGLE.ulp(np.float32(point)))
    assert set(range(-40, 41)) <= set(steps[np.abs(steps) <= 40].astype(int).tolist())


def test_how_many_are_drawn():
    exp, divide = ELEMENTARY["exp"], ELEMENTARY["divide"]
    assert [samples_for(exp, FORMATS[name], 0) for name in FORMATS] == [0, 0, 0, measure.DOUBLE_SAMPLES]
    assert [samples_for(exp, FORMATS[name], 2**24) for name in FORMATS] == [0, 0, 2**24, measure.DOUBLE_SAMPLES]
    assert [samples_for(divide, FORMATS[name], 0) for name in FORMATS] == [2**24] * 3 + [measure.DOUBLE_SAMPLES]
    assert [samples_for(divide, FORMATS[name], 99) for name in FORMATS] == [99] * 4


# --- the measure ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["exp", "log1p", "tanh"])
def test_figures_of_half_precision(name):
    """The worst of all float16 numbers, the mean, and the share of right ones, by ball arithmetic."""
    found = measure_function(ELEMENTARY[name], NUMPY, HALF)
    tally = found.tally
    assert (tally.count, found.further) == (2**16, 0)
    call = getattr(np, name)
    x = np.float16([float.fromhex(tally.worst_logit)])
    assert float(call(x)[0]).hex() == tally.worst_computed
    exact = exactly(name, x[0])
    assert float.fromhex(tally.worst_exact) == approx(exact, rel=1e-14)
    assert tally.max_ulp == approx(float(abs(float(call(x)[0]) - exact) / HALF.ulp(exact)), rel=1e-9)

    few = HALF.from_bits(np.arange(0, 2**16, 97))
    with np.errstate(all="ignore"):
        few = few[np.isfinite(few) & np.isfinite(call(few))]
        exact = np.array([exactly(name, number) for number in few])
        errors = np.abs(np.float64(call(few)) - exact) / HALF.ulp(exact)
    assert len(few) > 200
    assert errors.max() <= tally.max_ulp
    assert tally.mean_ulp == approx(errors.mean(), rel=0.15)
    assert (call(few) == HALF.round(exact)).mean() > 0.99
    assert tally.correctly_rounded / tally.count > 0.99


def test_worst_sigmoid_is_that_of_ball_arithmetic():
    backend = find_backends(("torch:cpu",))[0].get("torch:cpu")
    if backend is None:
        pytest.skip("PyTorch is not installed")
    import torch

    found = measure_function(ELEMENTARY["sigmoid"], backend, SINGLE, samples=2**14)
    x = float.fromhex(found.tally.worst_logit)
    computed, exact = float(torch.sigmoid(torch.full((64,), x))[0]), exactly("sigmoid", x)
    assert found.tally.max_ulp > 2
    assert found.tally.max_ulp == approx(float(abs(computed - exact) / SINGLE.ulp(exact)), rel=1e-6)


def wrong_exp(x):
    """Return exp, with one fault of each kind."""
    result = np.exp(np.float64(x)).astype(x.dtype)
    result[x == 1] += x.dtype.type(3 * HALF.ulp(np.e))
    result[x == 2] = np.nan  # not finite where it should be
    result[x == np.inf] = 1  # finite where it should not be
    result[x == -np.inf] = 0.25  # both are finite, and it is wrong
    result[x == -3] = 0  # zero for a normal number
    result[(result < HALF.tiny) & (result > 0)] = 0
    return result


@pytest.fixture
def wrong(monkeypatch):
    """A library with a wrong function."""
    module = ModuleType("wrong_library")
    module.exp, module.wide, module.__version__ = wrong_exp, lambda x: np.float64(x), "0.1"
    monkeypatch.setitem(sys.modules, "wrong_library", module)
    return replace(ELEMENTARY["exp"], paths={"numpy": "wrong_library:exp"})


def planted(monkeypatch, name, call):
    """Return the function of a name, with a call of its own on NumPy."""
    module = ModuleType("planted_library")
    module.call = call
    monkeypatch.setitem(sys.modules, "planted_library", module)
    return replace(ELEMENTARY[name], paths={"numpy": "planted_library:call"})


def test_a_wrong_function_is_seen(wrong):
    tally = measure_function(wrong, NUMPY, HALF).tally
    x = np.float64(HALF.from_bits(np.arange(2**16)))
    with np.errstate(invalid="ignore", over="ignore"):
        subnormal = HALF.round(np.exp(x))
    expected = ((subnormal > 0) & (subnormal < HALF.tiny)).sum()
    assert expected > 100
    # A result that rounds up to the least normal number is none of them, and is right.
    assert tally.flushed == expected
    assert tally.zero_for_normal == 1
    assert tally.wrong_nonfinite == 3
    assert tally.max_ulp == np.inf
    assert float.fromhex(tally.worst_logit) == 2
    # What is wrong: at 1, 2, -3, both infinities, and what is flushed.
    assert tally.correctly_rounded == 2**16 - 5 - tally.flushed


def test_a_right_function_is_right(monkeypatch, wrong):
    monkeypatch.setattr(sys.modules["wrong_library"], "exp", lambda x: np.exp(np.float64(x)).astype(x.dtype))
    tally = measure_function(wrong, NUMPY, HALF).tally
    assert (tally.flushed, tally.zero_for_normal, tally.wrong_nonfinite, tally.correctly_rounded) == (0, 0, 0, 2**16)
    assert 0.499 < tally.max_ulp <= 0.5


def test_only_the_error_at_one(monkeypatch, wrong):
    def exp(x):
        result = np.exp(np.float64(x)).astype(x.dtype)
        result[x == 1] += x.dtype.type(3 * HALF.ulp(np.e))
        return result

    monkeypatch.setattr(sys.modules["wrong_library"], "exp", exp)
    tally = measure_function(wrong, NUMPY, HALF).tally
    assert float.fromhex(tally.worst_logit) == 1
    assert 2.5 < tally.max_ulp < 3.5
    assert tally.correctly_rounded == 2**16 - 1


def test_what_cannot_be_measured_says_why(wrong):
    with pytest.raises(Unmeasured, match="it returned float64 for float16"):
        measure_function(replace(wrong, paths={"numpy": "wrong_library:wide"}), NUMPY, HALF)
    with pytest.raises(Unmeasured, match=r"wrong_library:cosh cannot be imported: .*'cosh'"):
        measure_function(replace(wrong, paths={"numpy": "wrong_library:cosh"}), NUMPY, HALF)
    with pytest.raises(Unmeasured, match="no_such_library:exp cannot be imported: No module named 'no_such_library'"):
        measure_function(replace(wrong, paths={"numpy": "no_such_library:exp"}), NUMPY, HALF)
    with pytest.raises(Unmeasured, match="numpy has no exp here; those of torch are known"):
        measure_function(replace(wrong, paths={"torch": "torch:exp"}), NUMPY, HALF)


@pytest.mark.parametrize(
    ("name", "dtype"),
    # XLA takes subnormal numbers of float32 for 0 on a CPU, also where it widens them: not on a GPU.
    [
        ("torch:cpu", "float16"),
        pytest.param("torch:cpu", "bfloat16", marks=pytest.mark.long),
        ("torch:cpu", "float32"),
        pytest.param("jax", "float16", marks=pytest.mark.long),
    ],
)
@pytest.mark.parametrize("function", [f for f in ELEMENTARY.values() if f.arguments == 1], ids=lambda f: f.name)
def test_measured_on_the_device(monkeypatch, name, dtype, function):
    """In the namespace of the library, as on a GPU: the same figures as in NumPy."""
    backend = find_backends((name,))[0].get(name)
    if backend is None:
        pytest.skip(f"{name} is not installed")
    if dtype == "float32":
        few = [range(first, first + 2**14) for first in (0, 0x3EFFE000, 0x41B00000, 0x7F7FF000, 0xBF7FF000, 0xC2AE0000)]
        monkeypatch.setattr(measure, "chunks", lambda _: few)
    in_numpy = measure_function(function, backend, FORMATS[dtype]).tally
    monkeypatch.setattr(device, "ON_DEVICE", (name,))
    monkeypatch.setattr(measure, "place", device.place)
    monkeypatch.setattr(device, "DEVICE_BLOCK", 2**14 + 1)
    on_device = measure_function(function, backend, FORMATS[dtype]).tally
    for figure in ("count", "correctly_rounded", "zero_for_normal", "flushed", "wrong_nonfinite"):
        assert getattr(on_device, figure) == getattr(in_numpy, figure), figure
    assert on_device.max_ulp == approx(in_numpy.max_ulp, rel=1e-6)
    assert on_device.mean_ulp == approx(in_numpy.mean_ulp, rel=1e-6)
    assert on_device.profile.keys() == in_numpy.profile.keys()
    for interval, error in in_numpy.profile.items():
        np.testing.assert_allclose(on_device.profile[interval], error, rtol=1e-6, atol=2.0**-20)


# --- samples --------------------------------------------------------------------------------------------------------


def right_log(x):
    with np.errstate(all="ignore"):
        return np.log(np.float64(x)).astype(x.dtype)


def right_divide(a, b):
    with np.errstate(all="ignore"):
        return (np.float64(a) / np.float64(b)).astype(a.dtype)


def test_what_is_right_is_right(monkeypatch):
    """Of samples, too: no fault, and half a ULP."""
    found = measure_function(planted(monkeypatch, "log", right_log), NUMPY, SINGLE, samples=2**14)
    tally = found.tally
    assert (tally.flushed, tally.zero_for_normal, tally.wrong_nonfinite) == (0, 0, 0)
    assert tally.correctly_rounded == tally.count == 2**14 + 21
    assert found.further > 2**17
    assert 0.499 < tally.max_ulp <= 0.5
    assert tally.mean_ulp == approx(0.25, rel=0.02)
    assert tally.with_error < 0.51 * tally.count  # negative numbers have no logarithm
    divided = measure_function(planted(monkeypatch, "divide", right_divide), NUMPY, SINGLE, samples=2**14).tally
    assert (divided.flushed, divided.zero_for_normal, divided.wrong_nonfinite) == (0, 0, 0)
    assert divided.correctly_rounded == divided.count == 2**14 + 21**2
    assert divided.max_ulp <= 0.5


@pytest.mark.parametrize("at", [1 + 2.0**-23, 2.0**-0.5, 2.0**-126])
def test_one_wrong_result_beside_a_branch(monkeypatch, at):
    wrong_at = np.float32(at)

    def log(x):
        result = right_log(x)
        return np.where(x == wrong_at, result * np.float32(1 + 2.0**-20), result)

    found = measure_function(planted(monkeypatch, "log", log), NUMPY, SINGLE, samples=2**10)
    assert float.fromhex(found.tally.worst_logit) == wrong_at
    assert found.tally.max_ulp > 3
    # The mean is that of the draws: one error among hard inputs is none of them.
    assert found.tally.mean_ulp < 0.3


def test_the_search_climbs_to_what_samples_miss(monkeypatch):
    """In float64, an error that grows towards 2.3456 as the steps there become small."""

    def log(x):
        exact = np.log(x)
        distance = np.abs(x - 2.3456)
        with np.errstate(all="ignore"):
            return exact + np.where(distance < 2, np.clip(-np.log2(distance), 0, 40), 0) * DOUBLE.ulp(exact)

    function = planted(monkeypatch, "log", log)
    searched = measure_function(function, NUMPY, DOUBLE, samples=2**10)
    monkeypatch.setattr(measure, "CLIMB", 1)
    sampled = measure_function(function, NUMPY, DOUBLE, samples=2**10)
    assert abs(float.fromhex(searched.tally.worst_logit) - 2.3456) < 2.0**-24
    assert searched.tally.max_ulp > sampled.tally.max_ulp + 3
    exact = ball("log", float.fromhex(searched.tally.worst_logit))
    error = abs(exact - float.fromhex(searched.tally.worst_computed)) / float(DOUBLE.ulp(float(exact.mid())))
    assert searched.tally.max_ulp == approx(float(error.mid()), rel=1e-6)


def test_faults_of_pairs(monkeypatch):
    def divide(a, b):
        result = right_divide(a, b)
        result[(a == 1) & (b == -2)] = 0.25  # wrong, and finite: two special values
        result[(a == 2) & (b == 0)] = 7  # finite where it should not be
        result[(a == np.inf) & (b == 1)] = np.nan
        result[(a == 0.5) & (b == 0.5)] = 0
        return result

    tally = measure_function(planted(monkeypatch, "divide", divide), NUMPY, SINGLE, samples=2**10).tally
    assert tally.wrong_nonfinite == 3  # two of them at zeros, of both signs
    assert tally.zero_for_normal == 1


def test_worst_pair(monkeypatch):
    def divide(a, b):
        result = right_divide(a, b)
        result[(a == 1) & (b == -2)] = 0.25
        return result

    tally = measure_function(planted(monkeypatch, "divide", divide), NUMPY, SINGLE, samples=2**10).tally
    assert (float.fromhex(tally.worst_logit), float.fromhex(tally.worst_label)) == (1, -2)
    assert (float.fromhex(tally.worst_computed), float.fromhex(tally.worst_exact)) == (0.25, -0.5)


@pytest.mark.parametrize("samples", [0, 2**12])
def test_flushed_inputs_are_counted_apart(monkeypatch, samples):
    """A logarithm of 0 for subnormal numbers: infinite where it should not be, and explained."""
    flushed = []

    def log(x):
        small = (np.abs(x) < HALF.tiny) & (x != 0)
        flushed.append(int((small & (x > 0)).sum()))
        return right_log(np.where(small, 0, x).astype(x.dtype))

    function, fmt = planted(monkeypatch, "log", log), HALF
    if samples:
        monkeypatch.setattr(measure, "samples_for", lambda *_: samples)
        monkeypatch.setattr(measure, "CLIMB", 1)
    tally = measure_function(function, NUMPY, fmt, samples=samples).tally
    assert tally.wrong_nonfinite == 0
    assert tally.max_ulp <= 0.5
    # Negative ones come to the logarithm of -0, which is not NaN: flushed, too.
    assert tally.flushed > 100 if samples else tally.flushed == 2 * (2**10 - 1)

    def other(x):
        return np.where((np.abs(x) < HALF.tiny) & (x > 0), 3, right_log(x)).astype(x.dtype)

    tally = measure_function(planted(monkeypatch, "log", other), NUMPY, fmt, samples=samples).tally
    assert tally.flushed == 0
    assert tally.max_ulp > 100


def test_a_flushed_divisor_has_its_sign(monkeypatch):
    def divide(a, b):
        return right_divide(*(np.where(np.abs(x) < SINGLE.tiny, 0 * x, x) for x in (a, b)))

    tally = measure_function(planted(monkeypatch, "divide", divide), NUMPY, SINGLE, samples=2**12).tally
    assert tally.flushed > 10
    assert tally.wrong_nonfinite == 0


@pytest.mark.parametrize("samples", [0, 2**16])
def test_errors_by_binade(monkeypatch, samples):
    def log(x):
        result = right_log(x)
        result[(x > 3) & (x < 3.5)] *= x.dtype.type(1.5)
        return result

    if samples:
        monkeypatch.setattr(measure, "samples_for", lambda *_: samples)
        monkeypatch.setattr(measure, "CLIMB", 1)
    profile = measure_function(planted(monkeypatch, "log", log), NUMPY, HALF, samples=samples).tally.profile
    edges = binade_edges()
    assert len(edges) == 2 * len(BINADES) + 1
    hit = [(edges[i], edges[i + 1]) for i, error in profile.items() if error > 1]
    assert hit == [(2.0, 4.0)]
    x = np.float64(HALF.from_bits(np.arange(2**16)))
    inside = np.isfinite(x)
    interval = np.where(np.signbit(x), 2 * len(BINADES), 0) + np.digitize(np.abs(x), edges[len(BINADES) :])
    assert len(profile) == len(set(interval[inside].tolist()))


# --- chunks ---------------------------------------------------------------------------------------------------------


def test_chunks_that_are_done_are_not_measured_again(tmp_path, monkeypatch):
    calls, whole = [], measure_function(ELEMENTARY["exp"], NUMPY, HALF).tally
    monkeypatch.setattr(measure, "CHUNK", 2**13)

    def exp(x):
        calls.append(x.size)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return np.exp(x)

    function = planted(monkeypatch, "exp", exp)
    folder = CheckpointFolder(tmp_path / "exp", {"what": "exp"}, kind="measurement", part="chunk")
    with pytest.raises(KeyboardInterrupt):
        measure_function(function, NUMPY, HALF, checkpoint=folder)
    assert folder.done() == {0, 1, 2}
    told = []
    again = measure_function(function, NUMPY, HALF, checkpoint=folder, progress=told.append).tally
    assert sum(calls) == 2 * 64 + 9 * 2**13  # two probes; one chunk twice
    assert sum(told) == 2**16
    assert folder.done() == set(range(8))
    assert again.to_json() | {"total_ulp": 0} == whole.to_json() | {"total_ulp": 0}
    assert again.total_ulp == approx(whole.total_ulp, rel=1e-12)
