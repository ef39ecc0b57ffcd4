"""Results are on the device of the logits, of the right dtype and shape, and within the promised bounds."""

from functools import cache

import numpy as np
import pytest
from array_api_compat import array_namespace
from array_api_compat import device as device_of

from tests.device.family import arguments, bce, call_of, numbers, of_probabilities
from tests.helpers import NUMPY
from xbce_conformance import contract
from xbce_conformance.cases import METHODS, WITH_NUMBERS
from xbce_conformance.inputs.formats import FORMATS

DTYPES = ("float16", "bfloat16", "float32", "float64")
_PLAIN = WITH_NUMBERS[0]
# Each case, dtype and reduction costs a compilation: some cases have all, and the others what differs between them.
_IN_EVERY_DTYPE = (_PLAIN, *(case for case in WITH_NUMBERS if case.name.endswith(("(clip=1e-07)", "(gamma=0.5)"))))
CASES = [(case, dtype) for case in WITH_NUMBERS for dtype in DTYPES if dtype == "float32" or case in _IN_EVERY_DTYPE]
REDUCTIONS = {
    "none": {},
    "sum": {"reduction": "sum"},
    "mean": {"reduction": "mean"},
    "mean over an axis": {"reduction": "mean", "axis": 0},
    "mean by weight": {"reduction": "mean", "axis": 1, "normalize_by": "weight"},
}
REDUCED = [(case, r) for case in WITH_NUMBERS for r in REDUCTIONS if case is _PLAIN or r in ("mean", "mean by weight")]
SHAPES = {"sum": (), "mean": (), "mean over an axis": (5,), "mean by weight": (6,)}


@cache
def exact(case, dtype):
    arrays = numbers(dtype, probabilities=of_probabilities(case))[:2]
    flat = tuple(a.ravel() for a in arrays)
    reference = case.reference(FORMATS[dtype])
    return {quantity: reference.exact(quantity, flat)[quantity] for quantity in case.quantities}


def skip_absent(device, dtype):
    if dtype not in device.dtypes:
        pytest.skip(f"{device.name} has no {dtype}")


@pytest.mark.parametrize(("case", "dtype"), CASES, ids=lambda p: getattr(p, "name", p))
def test_elementwise_results_are_within_the_bounds(device, case, dtype):
    skip_absent(device, dtype)
    x, z, *_ = arguments(device, dtype, probabilities=of_probabilities(case))
    hard = np.isin(np.float64(numbers(dtype, probabilities=of_probabilities(case))[1]), (0, 1)).ravel()
    fmt = FORMATS[dtype]
    for method, quantities in METHODS.items():
        for quantity, result in zip(quantities, call_of(case, method)(x, z), strict=True):
            assert array_namespace(result) is array_namespace(x)
            assert device_of(result) == device_of(x)
            assert (result.dtype, result.shape) == (x.dtype, x.shape)
            wanted = exact(case, dtype)[quantity]
            error = np.abs(np.float64(device.to_numpy(result)).ravel() - wanted.high - wanted.low)
            promised = {"case": case, "backend": device.name}
            hard_bound, soft_bound = (contract.bound(quantity, dtype, hard=h, **promised) for h in (True, False))
            assert (error / fmt.ulp(wanted.scale) <= np.where(hard, hard_bound, soft_bound)).all(), (method, quantity)


@pytest.mark.parametrize(("case", "reduction"), REDUCED, ids=lambda p: getattr(p, "name", p))
def test_reductions_are_those_of_numpy(device, case, reduction):
    probabilities, fmt = of_probabilities(case), FORMATS["float32"]
    x, z, _, w, kept = arguments(device, "float32", probabilities=probabilities)
    doubles = [np.float64(a) for a in numbers("float32", probabilities=probabilities)[:4]]
    mask = numbers("float32", probabilities=probabilities)[4]
    for method in METHODS:
        got = call_of(case, method)(x, z, weight=w, where=kept, **REDUCTIONS[reduction])
        wanted = call_of(case, method)(*doubles[:2], weight=doubles[3], where=mask, **REDUCTIONS[reduction])
        for quantity, a, b in zip(METHODS[method], got, wanted, strict=True):
            assert device_of(a) == device_of(x)
            assert a.dtype == x.dtype
            reduced = quantity == "value" and reduction != "none"
            assert a.shape == (SHAPES[reduction] if reduced else (6, 5))
            # A derivative of soft labels may be a small difference: its ULP are those of a whole slope.
            scale = np.abs(b) if quantity == "value" else np.maximum(np.abs(b), np.max(np.abs(b)))
            ulp = np.abs(np.float64(device.to_numpy(a)) - b) / fmt.ulp(scale)
            promised = {"hard": False, "case": case}
            # A product with a weight, a quotient: half a ULP each, up to a whole one of a larger leading digit.
            bound = contract.bound(quantity, "float32", **promised) + 2
            if reduced and case is _PLAIN and "axis" not in REDUCTIONS[reduction]:
                bound = contract.bound("mean", "float32", **promised)
            elif reduced:  # a few terms, each within its bound, of a sum that may have the larger leading digit
                bound = 2 * bound
            assert (ulp <= bound).all(), (method, quantity)


@pytest.mark.parametrize("dtype", DTYPES)
def test_reductions_of_every_dtype(device, dtype):
    skip_absent(device, dtype)
    x, z, p, w, kept = arguments(device, dtype)
    doubles = [np.float64(a) for a in numbers(dtype)[:4]]
    mask = numbers(dtype)[4]
    for reduced in ({"reduction": "sum"}, {"reduction": "mean"}, {"reduction": "mean", "normalize_by": "weight"}):
        got = bce(x, z, pos_weight=p, weight=w, where=kept, **reduced)
        assert (got.dtype, got.shape) == (x.dtype, ())
        wanted = bce(*doubles[:2], pos_weight=doubles[2], weight=doubles[3], where=mask, **reduced)
        error = abs(float(device.to_numpy(got)) - wanted) / FORMATS[dtype].ulp(wanted)
        # In float64 NumPy's own result has as much of an error.
        times = 2 if dtype == "float64" else 1
        assert error <= times * contract.bound("mean", dtype, hard=False)


def test_subnormal_results_are_right_or_flushed(device):
    fmt = FORMATS["float32"]
    numbers_ = fmt.round([-87.0, -90.0, -95.0, -100.0, -103.0])
    wanted = np.float64(NUMPY.to_numpy(bce(np.float64(numbers_), 0.0)))
    assert (wanted[1:] < fmt.tiny).all()
    for method in (bce, bce.gradient, bce.hessian):
        got = np.float64(device.to_numpy(method(device.from_numpy(numbers_), 0.0)))
        right = np.abs(got - wanted) <= contract.bound("value", "float32", hard=True) * fmt.ulp(wanted)
        flushes = device.flushes_subnormals(fmt)
        assert (right | (flushes & (got == 0) & (wanted < fmt.tiny))).all()
        assert right[0]
