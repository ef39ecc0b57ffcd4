"""Planted faults: losses that are wrong in one way each, and the level at which the suite must catch them.

`FAULTS` names them. Each is the right loss of xbce but for its fault, so that nothing else can fail it.
"""

import itertools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import xbce
from xbce_conformance import Adapter, measure

Array = Any
right = xbce.binary_cross_entropy_with_logits
RIGHT = Adapter(
    lambda x, z: right(x, z),
    gradient=right.gradient,
    hessian=right.hessian,
    mean=lambda x, z: right(x, z, reduction="mean"),
    sum=lambda x, z: right(x, z, reduction="sum"),
)


@dataclass(frozen=True)
class Fault:
    """One way of being wrong."""

    subject: Callable[..., Any] | Adapter
    caught: tuple[str, ...]
    """Beginnings of the names of violations, of which one at least must be found."""
    level: str = "quick"
    """The first level at which it must be caught."""


FAULTS: dict[str, Fault] = {}


def caught(name: str, level: str) -> list[str]:
    """Return the names of the violations of its kind that a fault is caught by; none if it passes.

    The limit of a call is short: what waits for ever need not be waited for. A grid of a million elements takes less.
    """
    planted = FAULTS[name]
    failed = measure(planted.subject, dtypes=["float32"], level=level, call_limit=2).failed
    names = dict.fromkeys(violation.name for row in failed for violation in row.verdict.violations)
    return [found for found in names if found.startswith(planted.caught)]


def fault(*caught: str, level: str = "quick") -> Callable[[Any], Any]:
    """Enter a function under its name."""

    def enter(function: Any) -> Any:
        FAULTS[function.__name__] = Fault(function, caught, level)
        return function

    return enter


def quiet(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that neither warns nor returns another dtype."""

    def called(x: Array, z: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(function(x, z)).astype(x.dtype)

    called.__name__ = function.__name__
    return called


def where(chosen: Array, wrong: Array, x: Array, z: Array) -> Array:
    """Return the right losses, and wrong ones where they are chosen."""
    with np.errstate(all="ignore"):
        return np.where(chosen, wrong, right(x, z)).astype(x.dtype)


def a_little_off(x: Array, z: Array) -> Array:
    """Return losses that are 10^-5 too large."""
    return right(x, z) * x.dtype.type(1.00001)


# --- formulas -------------------------------------------------------------------------------------------------------


@fault("nonfinite", "accuracy")
@quiet
def logarithm_of_sigmoid(x, z):
    p = 1 / (1 + np.exp(-x))
    return -(z * np.log(p) + (1 - z) * np.log(1 - p))


@fault("nonfinite", "accuracy")
@quiet
def softplus_without_its_maximum(x, z):
    return np.log1p(np.exp(x)) - x * z


@fault("zero-for-normal")
@quiet
def log_in_place_of_log1p(x, z):
    return (1 - z) * np.maximum(x, 0) + z * np.maximum(-x, 0) + np.log(1 + np.exp(-np.abs(x)))


@fault("accuracy:soft-labels")
@quiet
def difference_for_labels_near_1(x, z):
    return where((z > 0) & (z < 1), np.maximum(x, 0) - x * z + np.log1p(np.exp(-np.abs(x))), x, z)


@fault("accuracy")
def clamp_at_30(x, z):
    return where(np.abs(x) > 30, right(np.clip(x, -30, 30), z), x, z)


@fault("accuracy")
def loss_of_at_most_100(x, z):
    return np.minimum(right(x, z), x.dtype.type(100))


@fault("accuracy")
@quiet
def epsilon_in_the_logarithm(x, z):
    p = 1 / (1 + np.exp(-np.float64(x)))
    return -(z * np.log(p + 1e-7) + (1 - z) * np.log(1 - p + 1e-7))


@fault("zero-for-normal", "accuracy")
def threshold_at_20(x, z):
    return where((x > 20) & (z == 1), 0, x, z)


@fault("accuracy")
def exponential_that_is_5_ulp_off(x, z):
    value = right(x, z)
    return where((np.abs(x) > 16) & (value > 0) & (value < 1), value + 5 * np.spacing(value), x, z)


@fault("accuracy")
def absolute_error_of_a_ten_millionth(x, z):
    return where(np.isfinite(x), right(x, z) + x.dtype.type(1e-7), x, z)


@fault("accuracy")
def computed_in_float16(x, z):
    with np.errstate(over="ignore"):
        return right(x.astype(np.float16), z.astype(np.float16)).astype(x.dtype)


@fault("accuracy")
def labels_reversed(x, z):
    return right(x, 1 - z)


@fault("accuracy", "nonfinite")
@quiet
def arguments_swapped(x, z):
    return (1 - x) * np.maximum(z, 0) + x * np.maximum(-z, 0) + np.log1p(np.exp(-np.abs(z)))


@fault("accuracy:soft-labels")
def labels_rounded(x, z):
    return right(x, np.round(z))


@fault("accuracy")
def labels_kept_from_0_and_1(x, z):
    return where(np.isnan(z), np.nan, x, np.where(np.isnan(z), z, np.clip(z, 1e-6, 1 - 1e-6)).astype(z.dtype))


@fault("accuracy:soft-labels")
def soft_labels_in_float16(x, z):
    return right(x, z.astype(np.float16).astype(z.dtype))


@fault("accuracy:soft-labels")
def smallest_labels_taken_for_0(x, z):
    return right(x, np.where(z < 1e-10, z * 0, z))


# --- in few places --------------------------------------------------------------------------------------------------


@fault("accuracy")
def a_band_of_a_thousandth(x, z):
    return where((x > 3.0001) & (x < 3.0011), a_little_off(x, z), x, z)


@fault("accuracy")
def a_band_in_the_tail(x, z):
    return where((x > 87.3) & (x < 87.301), a_little_off(x, z), x, z)


@fault("accuracy")
def a_band_for_one_label(x, z):
    return where((x > -15.031) & (x < -15.03) & (z == 1), a_little_off(x, z), x, z)


@fault("accuracy:soft-labels")
def a_band_for_soft_labels(x, z):
    return where((x > 1.5) & (x < 1.501) & (z > 0) & (z < 1), a_little_off(x, z), x, z)


@fault("accuracy", level="full")
def a_band_of_a_four_thousandth(x, z):
    return where((x > -7.3401) & (x < -7.33985), a_little_off(x, z), x, z)


@fault("accuracy")
def one_binade(x, z):
    return where((np.abs(x) >= 2.0**-40) & (np.abs(x) < 2.0**-39), a_little_off(x, z), x, z)


@fault("accuracy")
def the_number_1(x, z):
    return where(x == 1, a_little_off(x, z), x, z)


@fault("accuracy")
def whole_numbers(x, z):
    return where((x == np.round(x)) & (np.abs(x) > 2) & (np.abs(x) < 100), a_little_off(x, z), x, z)


@fault("nonfinite")
def infinite_beyond_1e30(x, z):
    return where(x > 1e30, np.inf, x, z)


@fault("accuracy")
def subnormal_logits(x, z):
    return where((x != 0) & (np.abs(x) < np.finfo(x.dtype).tiny), a_little_off(x, z), x, z)


@fault("accuracy")
def subnormal_results_lost(x, z):
    value = right(x, z)
    return where(value < np.finfo(x.dtype).tiny, 0, x, z)


@fault("nonfinite")
def the_largest_logit(x, z):
    return where(np.abs(x) == np.finfo(x.dtype).max, np.nan, x, z)


# --- special values -------------------------------------------------------------------------------------------------


@fault("special-values:infinite-logits")
def infinite_logits_are_nan(x, z):
    return where(np.isinf(x), np.nan, x, z)


@fault("special-values:nan-logits")
def nan_is_lost(x, z):
    return where(np.isnan(x), 0, x, z)


@fault("special-values:nan-labels")
def nan_label_taken_for_0(x, z):
    return right(x, np.where(np.isnan(z), z.dtype.type(0), z))


@fault("special-values:negative-zero-logits", "accuracy")
def negative_zero_logit(x, z):
    return where((x == 0) & np.signbit(x), 0, x, z)


@fault("behaviour:zeros")
def results_of_negative_zero(x, z):
    value = right(x, z)
    return where(value == 0, -0.0, x, z)


# --- forms of arrays ------------------------------------------------------------------------------------------------


def in_form(chosen: Callable[[Array], bool]) -> Callable[..., Array]:
    """Return a loss that is a little off in arrays that are chosen."""
    return lambda x, z: a_little_off(x, z) if chosen(x) else right(x, z)


FAULTS["wrong_in_0_d"] = Fault(in_form(lambda x: x.ndim == 0), ("behaviour:0-d",))
FAULTS["wrong_in_2_d"] = Fault(in_form(lambda x: x.ndim == 2), ("behaviour:2-d",))
FAULTS["wrong_in_3_d"] = Fault(in_form(lambda x: x.ndim == 3), ("behaviour:3-d",))
FAULTS["wrong_for_one_element"] = Fault(in_form(lambda x: x.shape == (1,)), ("behaviour:few-elements",))
FAULTS["wrong_below_17_elements"] = Fault(in_form(lambda x: 0 < x.size < 17), ("behaviour:few-elements",))
FAULTS["wrong_beyond_2^20_elements"] = Fault(in_form(lambda x: x.size > 2**20), ("behaviour:large",))
FAULTS["wrong_if_strided"] = Fault(
    in_form(lambda x: x.ndim == 1 and x.strides[0] == 2 * x.itemsize), ("behaviour:strided",)
)
FAULTS["wrong_if_reversed"] = Fault(in_form(lambda x: x.ndim == 1 and x.strides[0] < 0), ("behaviour:reversed",))


@fault("behaviour:strided", "behaviour:reversed")
def reads_its_memory_in_order(x, z):
    """Take the buffer of a view from its first element on, as code in C does that forgets strides."""
    if x.ndim != 1 or x.strides[0] == x.itemsize or not x.size:
        return right(x, z)
    step = abs(x.strides[0]) // x.itemsize
    base = x if x.base is None else x.base
    flat = np.asarray(base).reshape(-1)[: x.size * step]
    return right(flat[: x.size], z)


@fault("behaviour:transposed")
def ravels_in_the_order_of_memory(x, z):
    return right(x.ravel("K"), z.ravel("K")).reshape(x.shape)


@fault("behaviour:0-d")
def at_least_one_dimension(x, z):
    return np.atleast_1d(right(x, z))


@fault("behaviour:2-d", "behaviour:3-d")
def squeezes(x, z):
    return np.squeeze(right(x, z)) if x.ndim > 1 else right(x, z)


@fault("behaviour:empty")
def largest_of_no_elements(x, z):
    x.max()
    return right(x, z)


@fault("behaviour:few-elements")
def last_elements_left_out(x, z):
    """Forget what is left after whole vectors of eight, but for lengths that are tried in one call with all inputs."""
    value = right(x, z)
    if value.ndim == 1 and value.size < 64:
        value[value.size - value.size % 8 :] *= 2
    return value


# --- what a call must not do ----------------------------------------------------------------------------------------


@fault("behaviour:arguments")
def changes_its_logits(x, z):
    value = right(x, z)
    if x.flags.writeable:
        x *= 0
    return value


@fault("behaviour:arguments")
def changes_its_labels(x, z):
    value = right(x, z)
    if z.flags.writeable:
        np.clip(z, 1e-7, 1 - 1e-7, out=z)
    return value


@fault("behaviour:read-only")
def works_in_its_argument(x, z):
    before, value = x.copy(), right(x, z)
    x[...] = 0
    x[...] = before
    return value


_BUFFERS: dict[tuple[Any, ...], Array] = {}


@fault("behaviour:repeated")
def returns_one_buffer(x, z):
    buffer = _BUFFERS.setdefault((x.shape, x.dtype), np.empty_like(x))
    before = buffer.copy()
    buffer[...] = right(x, z)
    if x.size == 999:  # the first call leaves something that the second one changes
        buffer[...] = np.where(before == buffer, np.nextafter(buffer, x.dtype.type(np.inf)), buffer)
    return buffer


@fault("behaviour:repeated")
def another_result_each_time(x, z):
    value = right(x, z)
    noise = np.random.default_rng().integers(0, 2, value.shape)
    return where(np.isfinite(value) & (value > 0) & (noise == 1), np.nextafter(value, x.dtype.type(0)), x, z)


_CALLS = itertools.count()


@fault("behaviour:repeated", "accuracy", "behaviour")
def wrong_every_second_time(x, z):
    return a_little_off(x, z) if next(_CALLS) % 2 else right(x, z)


# --- dtypes ---------------------------------------------------------------------------------------------------------


@fault("failure:dtype")
def float64_for_float32(x, z):
    return np.float64(right(x, z))


@fault("failure:dtype")
def float16_for_float32(x, z):
    with np.errstate(over="ignore"):
        return right(x, z).astype(np.float16)


@fault("failure:dtype")
def a_list(x, z):
    return right(x, z).tolist()


@fault("behaviour:labels-of-bool")
def labels_of_bool_inverted(x, z):
    return right(x, ~z if z.dtype == np.bool_ else z)


@fault("behaviour:labels-of-uint8")
def labels_of_uint8_wrap_around(x, z):
    return right(x, np.asarray(-z if z.dtype == np.uint8 else z, x.dtype))


@fault("behaviour:labels-of-int64")
def labels_of_int64_divided(x, z):
    return right(x, np.asarray(z // 2 if z.dtype == np.int64 else z, x.dtype))


# --- reductions -----------------------------------------------------------------------------------------------------


def reductions(**given: Callable[..., Any]) -> Adapter:
    """Return the right loss with reductions of one's own."""
    return Adapter(lambda x, z: right(x, z), **given)


FAULTS["mean_in_float16"] = Fault(
    reductions(mean=quiet(lambda x, z: right(x, z).astype(np.float16).mean())), ("accuracy", "nonfinite")
)
FAULTS["mean_one_after_the_other"] = Fault(
    reductions(mean=lambda x, z: np.add.accumulate(right(x, z))[-1] / x.dtype.type(x.size)), ("accuracy",)
)
FAULTS["mean_of_one_less"] = Fault(
    reductions(mean=lambda x, z: right(x, z, reduction="sum") / x.dtype.type(x.size - 1)), ("accuracy",)
)
FAULTS["sum_without_the_last"] = Fault(
    reductions(sum=lambda x, z: right(x[:-1], z[:-1], reduction="sum")), ("accuracy",)
)
FAULTS["mean_of_shape_1"] = Fault(
    reductions(mean=lambda x, z: right(x, z, reduction="mean").reshape(1)), ("failure:shape",)
)
FAULTS["mean_in_float64"] = Fault(
    reductions(mean=lambda x, z: np.float64(right(x, z, reduction="mean"))), ("failure:dtype",)
)
FAULTS["mean_that_raises"] = Fault(reductions(mean=lambda x, _: x.nothing), ("failure:raised",))


# --- derivatives ----------------------------------------------------------------------------------------------------


def derivatives(**given: Callable[..., Any]) -> Adapter:
    """Return the right loss with derivatives of one's own."""
    return Adapter(lambda x, z: right(x, z), **given)


@quiet
def _sigmoid_less_label(x, z):
    return np.where(np.isfinite(x), 1 / (1 + np.exp(-x)) - z, right.gradient(x, z))


def _wrong_at(place: float) -> Callable[..., Array]:
    return lambda x, z: np.where(x == place, x.dtype.type(0), right.gradient(x, z))


FAULTS["gradient_that_cancels"] = Fault(derivatives(gradient=_sigmoid_less_label), ("zero-for-normal", "accuracy"))
FAULTS["gradient_0_at_0"] = Fault(derivatives(gradient=_wrong_at(0.0)), ("accuracy", "zero-for-normal"))
FAULTS["gradient_of_a_half"] = Fault(
    derivatives(gradient=lambda x, z: right.gradient(x, z) * x.dtype.type(0.5)), ("accuracy",)
)
FAULTS["gradient_with_the_other_sign"] = Fault(derivatives(gradient=lambda x, z: -right.gradient(x, z)), ("accuracy",))
FAULTS["gradient_that_raises"] = Fault(derivatives(gradient=lambda x, _: x.nothing), ("failure:raised",))
FAULTS["hessian_lost_in_the_tail"] = Fault(
    derivatives(hessian=quiet(lambda x, _: (lambda p: p * (1 - p))(1 / (1 + np.exp(-x))))),
    ("zero-for-normal", "accuracy", "nonfinite"),
)
FAULTS["hessian_of_negative_zero"] = Fault(
    derivatives(hessian=lambda x, z: np.where(right.hessian(x, z) == 0, x.dtype.type(-0.0), right.hessian(x, z))),
    ("behaviour:zeros",),
)


# --- nothing that can be measured -----------------------------------------------------------------------------------


@fault("failure:raised")
def raises(_x, _z):
    raise RuntimeError("it does not work")


@fault("failure:raised")
def raises_beyond_1e30(x, z):
    if np.any(np.abs(x[np.isfinite(x)]) > 1e30):
        raise OverflowError("a logit is too large")
    return right(x, z)


@fault("failure:raised")
def leaves_the_interpreter(_x, _z):
    sys.exit(0)


@fault("failure:time-limit")
def hangs(_x, _z):
    while True:
        time.sleep(0.01)


@fault("failure:nothing")
def returns_nothing(x, z):
    right(x, z)


@fault("failure:shape")
def a_column(x, z):
    return right(x, z).reshape(-1, 1) if x.size > 2 else right(x, z)


@fault("failure:shape")
def all_with_all(x, z):
    return right(x, z) + 0 * x.reshape(-1, 1) if x.size > 2 else right(x, z)


@fault("failure:shape")
def the_mean_by_default(x, z):
    return right(x, z, reduction="mean")
