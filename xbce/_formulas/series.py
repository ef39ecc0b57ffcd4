"""exp, log and log1p of our own, by polynomials above all, for libraries whose functions are slow or less accurate.

`exp_by_series` and `log1p_unit_by_series` look up no table, do not branch, and call no function that a compiler cannot
fuse: sums, products, one quotient, and one selection. The coefficients are those of proofs/series.sollya, which also
bounds what the polynomials leave out; proofs/ bounds the whole, with each product rounded or fused with the sum after
it. The logarithms after them call the library's log where it is accurate; their errors are measured, not proved.
"""

from dataclasses import dataclass
from functools import reduce

from .._typing import Array, Namespace
from .idioms import one_for_nan, quotient, zero_for_nan

_LOG2_E = 1.4426950408889634
LOG_2 = 0.6931471805599453


@dataclass(frozen=True, slots=True)
class Series:
    """What the functions take for a dtype."""

    exp: tuple[float, ...]
    """Coefficients of (exp(r) - 1) / r for |r| <= log(2) / 2, from the lowest."""
    log1p: tuple[float, ...]
    """Coefficients of (2 atanh(s) - 2 s) / s^3 in s^2, for s from -1/3 to 1/3, from the lowest."""
    log_2: float
    """log(2) in so few digits that products with exponents are exact."""
    log_2_rest: float
    lowest: float
    """A number whose exponential gets the power of two that is 0: one below the least normal number."""


DOUBLE = Series(
    exp=(
        1.0,
        0.5000000000000013,
        0.1666666666666669,
        0.04166666666651164,
        0.008333333333312083,
        0.001388888894783785,
        0.00019841269907500283,
        2.4801489208209097e-05,
        2.755722468870193e-06,
        2.76315118239086e-07,
        2.511531218752739e-08,
    ),
    log1p=(
        0.666666666666645,
        0.4000000000061223,
        0.2857142850369062,
        0.22222226211452242,
        0.18181676846825165,
        0.15387806793362532,
        0.1328640389283877,
        0.12210221237647795,
        0.07924068794567418,
        0.17730424771148237,
    ),
    log_2=0.6931471805598903,  # 42 binary digits
    log_2_rest=5.497923018708371e-14,
    lowest=-709.0,
)
SINGLE = Series(
    exp=(1.0, 0.5, 0.16666515171527863, 0.04166644439101219, 0.008369232527911663, 0.0013936797622591257),
    log1p=(0.6666669249534607, 0.39997750520706177, 0.2864260971546173, 0.2118406891822815, 0.25121405720710754),
    log_2=0.693145751953125,  # 16 binary digits
    log_2_rest=1.428606765330187e-06,
    lowest=-88.0,
)


def series_of(xp: Namespace, x: Array) -> Series:
    """Return the series for the dtype of an array, which is float32 or float64."""
    return DOUBLE if x.dtype == xp.float64 else SINGLE


def exp_by_series(xp: Namespace, x: Array) -> Array:
    """Return exp(x) for x <= 0, but possibly 0 where that is below the least normal number.

    `xp.power_of_2(k)` is 2^k, or 0 for the k of `lowest`.
    """
    lowest = series_of(xp, x).lowest
    mantissa, k = exp_parts(xp, xp.where(x < lowest, lowest, x))
    power: Array = xp.power_of_2(k)
    return mantissa * power


def exp_parts(xp: Namespace, x: Array) -> tuple[Array, Array]:
    """Return m and a whole k, so that exp(x) = m 2^k, for x whose exponential is not far beyond the dtype's range.

    x = k log(2) + r, and m = exp(r).
    """
    series = series_of(xp, x)
    k = xp.round(x * _LOG2_E)
    r = (x - k * series.log_2) - k * series.log_2_rest
    return 1 + r * _polynomial(series.exp, r), k


def log1p_unit_by_series(xp: Namespace, e: Array) -> Array:
    """Return log(1 + e) for e from -1/2 to 1.

    With s = e / (2 + e) that is 2 atanh(s) = 2 s + s y q(y), where y = s^2 and 2 s = e - e s: the main term is exact.
    """
    s = quotient(xp, e, 2 + e)
    y = s * s
    return e - s * (e - y * _polynomial(series_of(xp, e).log1p, y))


def log_by_series(xp: Namespace, y: Array) -> Array:
    """Return log(y): between 1/2 and 2 by the series in y - 1, which is exact, elsewhere as the library has it."""
    near = (y >= 0.5) & (y <= 2)
    return xp.where(near, log1p_unit_by_series(xp, y - 1), xp.log(y))


def log1p_by_series(xp: Namespace, y: Array) -> Array:
    """Return log(1 + y): by the series from -1/2 to 1; beyond as the library's log of 1 + y.

    Below -1/2 the sum is exact. Above 1 its rounding moves the logarithm by at most one ULP.
    """
    near = (y >= -0.5) & (y <= 1)
    return xp.where(near, log1p_unit_by_series(xp, y), xp.log(1 + y))


def log1m_by_log(xp: Namespace, m: Array) -> Array:
    """Return log(1 - m) for m from 0 to 1, as log(v) and what the rounding of 1 - m to v took away.

    Above 1/2 nothing is rounded, and v may be 0. Up to there 1 + m stands for 1 / v, which is off by a quarter of a ULP
    of the result at most.
    """
    v = 1 - m
    result: Array = xp.log(v) + ((1 - v) - m) * (1 + m)
    return result


def log_unit_by_log(xp: Namespace, u: Array, absent: Array | None, *_parts: Array) -> Array:
    """Return log(u) for u from 0 to 1, by the library's log; 0 where it is absent, where u is 0."""
    result: Array = xp.log(u if absent is None else one_for_nan(xp, absent, u))
    return result


def log_unit_by_log2(xp: Namespace, u: Array, absent: Array | None, *_parts: Array) -> Array:
    """Return it by the library's log2."""
    result: Array = xp.log2(u if absent is None else one_for_nan(xp, absent, u)) * LOG_2
    return result


def log1m_unit_by_log(xp: Namespace, u: Array, absent: Array | None, *_parts: Array) -> Array:
    """Return log(1 - u) for u from 0 to 1, by the library's log; 0 where it is absent, where u is 1."""
    return log1m_by_log(xp, u if absent is None else zero_for_nan(xp, absent, u))


def log1m_unit_by_log1p(xp: Namespace, u: Array, absent: Array | None, *_parts: Array) -> Array:
    """Return it by the library's log1p, which has to be accurate from -1 to 0."""
    result: Array = xp.log1p(-(u if absent is None else zero_for_nan(xp, absent, u)))
    return result


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """Return the value of a polynomial by Horner's scheme."""
    value: Array = reduce(lambda value, coefficient: coefficient + x * value, reversed(coefficients))
    return value
