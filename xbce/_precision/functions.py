"""Exponential and logarithm of numbers that are sums of two doubles, from tables and short series.

All operations are correctly rounded by IEEE 754, or exact. The errors given here are relative; they leave out cases
in which an intermediate result underflows, which the callers avoid.
"""

from typing import NamedTuple

from .._typing import Array, Namespace
from .exact import Parts, fast_two_sum, product, split, two_product, two_square, two_sum
from .tables import (
    FIRST_ROW,
    INVERSE,
    LEAST_SCALE,
    LOG,
    LOG_REST,
    POWER,
    POWER_REST,
    ROWS,
    SCALE,
    STEP,
    STEP_REST,
    STEPS,
    STEPS_PER_UNIT,
    THIRD,
    THIRD_REST,
    lookup,
)


class Exponential(NamedTuple):
    """exp(y) as (high + low) 2^k."""

    high: Array
    low: Array
    k: Array
    near: Array
    """Whether |y| is below 2^-11, so that `minus_one` is exp(y) - 1."""
    minus_one: Parts


def exponential(xp: Namespace, y: Array, rest: Array) -> Exponential:
    """Return exp(y + rest) with an error below 2^-87 for y from -1024 to 0 (proofs/), and of 2^-75 at |y| = 2^31.

    y = n log(2) / 1024 + r, so that exp(y) = 2^k 2^(j / 1024) exp(r), where n = 1024 k + j, and |r| < 2^-11.5.
    """
    n = xp.round(product(xp, y, STEPS_PER_UNIT))
    near_y, error = two_product(xp, n, STEP)
    r, r_low = two_sum(y - near_y, (rest - error) - product(xp, n, STEP_REST))
    minus_one = _exp_minus_one(xp, r, r_low)
    k = xp.floor(n * (1 / STEPS))
    j = xp.astype(n - STEPS * k, xp.int64)
    power, power_rest = lookup(xp, POWER, j), lookup(xp, POWER_REST, j)
    high, low = _enlarged(xp, (power, power_rest), minus_one)
    return Exponential(high, low, k, n == 0, minus_one)


def _exp_minus_one(xp: Namespace, r: Array, r_low: Array) -> Parts:
    """Return exp(r + r_low) - 1 for |r| < 2^-11, by its Taylor series."""
    square, square_low = two_square(xp, r)
    series = 1 / 120 + product(xp, r, 1 / 720)
    series = 1 / 24 + product(xp, r, series)
    series = 1 / 6 + product(xp, r, series)
    low = (0.5 * square_low + product(xp, product(xp, square, r), series)) + (r_low + product(xp, r, r_low))
    high, rest = fast_two_sum(r, 0.5 * square)
    return fast_two_sum(high, rest + low)


def _enlarged(xp: Namespace, x: Parts, share: Parts) -> Parts:
    """Return x + x share, where the share is small."""
    p, low = two_product(xp, x[0], share[0])
    low = low + (product(xp, x[0], share[1]) + product(xp, x[1], share[0]))
    high, rest = fast_two_sum(x[0], p)
    return fast_two_sum(high, rest + (x[1] + low))


def scale(xp: Namespace, k: Array) -> Array:
    """Return 2^k for an integer k from -1022 to 1023."""
    return lookup(xp, SCALE, xp.astype(k - LEAST_SCALE, xp.int64))


def logarithm(xp: Namespace, m: Parts, v: Parts) -> Parts:
    """Return log(m) for m from 0.7 to 2, or NaN, where v = m - 1, with an error below 2^-80.6 from 1 on (proofs/).

    log(m) = log(1 + u) - log(c), where c is a number of 13 binary digits near 1 / m, and u = m c - 1, |u| < 2^-9.4.
    """
    high, low = m
    row = xp.where(high == high, xp.round(high * ROWS), float(ROWS))  # no index is NaN
    index = xp.astype(row - FIRST_ROW, xp.int64)
    inverse = lookup(xp, INVERSE, index)
    more, less = split(xp, high)
    # The products are exact, and so is the difference.
    u, u_low = two_sum(more * inverse - 1, less * inverse)
    one = row == ROWS
    u, u_low = fast_two_sum(u, u_low + product(xp, low, inverse))
    u, u_low = xp.where(one, v[0], u), xp.where(one, v[1], u_low)
    near, near_low = _log_one_plus(xp, u, u_low)
    log, rest = two_sum(lookup(xp, LOG, index), near)
    return fast_two_sum(log, rest + (lookup(xp, LOG_REST, index) + near_low))


def _log_one_plus(xp: Namespace, u: Array, u_low: Array) -> Parts:
    """Return log(1 + u + u_low) for |u| < 2^-9, by its Taylor series."""
    square, square_low = two_square(xp, u)
    square_low = square_low + 2 * product(xp, u, u_low)
    cube, cube_low = two_product(xp, square, u)
    cube_low = cube_low + (product(xp, square_low, u) + product(xp, square, u_low))
    third, third_low = two_product(xp, cube, THIRD)
    third_low = third_low + (product(xp, cube_low, THIRD) + product(xp, cube, THIRD_REST))
    series = -1 / 10
    for n in range(9, 3, -1):
        series = (1 / n if n % 2 else -1 / n) + product(xp, u, series)
    low = ((u_low - 0.5 * square_low) + third_low) + product(xp, product(xp, square, square), series)
    high, rest = fast_two_sum(u, -0.5 * square)
    high, more_rest = fast_two_sum(high, third)
    return fast_two_sum(high, low + (rest + more_rest))


def binary_exponent(xp: Namespace, x: Array, most: int) -> Array:
    """Return k such that 2^k <= x < 2^(k + 1), for x from 1 up to, but not equal to, 2^(2 most)."""
    k: Array = 0.0 * x
    step = most
    while step >= 1:
        above = x >= 2.0**step
        x, k = xp.where(above, x * 2.0**-step, x), xp.where(above, k + step, k)
        step //= 2
    return k
