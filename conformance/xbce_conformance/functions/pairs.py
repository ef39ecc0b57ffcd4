"""Pairs of numbers for functions of two: what suits all of them, and what is hard for one."""

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from xbce_conformance.inputs.formats import Doubles, Floats, Format
from xbce_conformance.search.climb import Rng

Pairs: TypeAlias = Callable[[Format, int, Rng], tuple[Floats, Floats]]


def patterns(fmt: Format, n: int, rng: Rng) -> Floats:
    """Return n numbers evenly over the bit patterns: as many in each binade; NaN among them."""
    return fmt.from_bits(rng.integers(0, 2 ** (8 * fmt.dtype.itemsize), n, np.uint64))


def drawn_pairs(fmt: Format, n: int, rng: Rng) -> tuple[Floats, Floats]:
    """Return n pairs whose first number is drawn evenly over binades.

    Of the second ones a quarter is drawn so, too; a quarter is within a factor of 2^8, of either sign; a quarter is 2^k
    units in the last place away; the rest is equal or opposite.
    """
    first = patterns(fmt, n, rng)
    second = patterns(fmt, n, rng)
    a, b, c = (n * k // 4 for k in (1, 2, 3))
    with np.errstate(over="ignore", invalid="ignore"):
        second[a:b] = fmt.round(np.float64(first[a:b]) * _signs(rng, b - a) * np.exp2(rng.uniform(-8, 8, b - a)))
    second[b:c] = near(fmt, first[b:c], rng)
    second[c:] = np.where(rng.random(n - c) < 0.5, first[c:], -first[c:])
    return first, second


def _signs(rng: Rng, n: int) -> Doubles:
    return rng.choice(np.array([-1.0, 1.0]), n)


def near(fmt: Format, x: Floats, rng: Rng) -> Floats:
    """Return numbers near these: 2^k units in the last place away, with k evenly between 0 and nearly all digits."""
    doubles = np.float64(x)
    distance = np.floor(np.exp2(rng.uniform(0, fmt.p - 1, x.size))) * _signs(rng, x.size)
    with np.errstate(over="ignore", invalid="ignore"):
        return fmt.round(doubles + distance * fmt.ulp(doubles))


def log_uniform(rng: Rng, low: float, high: float, n: int) -> Doubles:
    """Return positive numbers, evenly over binades."""
    return np.exp2(rng.uniform(math.log2(low), math.log2(high), n))


def of_quotients(fmt: Format, n: int, rng: Rng) -> tuple[Floats, Floats]:
    """Return pairs with quotients of moderate size, or at the ends of the range."""
    half = n // 2
    a, b = rng.uniform(1, 2, n), rng.uniform(1, 2, n)
    b[:half] *= rng.choice([fmt.tiny, 2 / fmt.max], half)  # a quotient beyond the largest number, or near it
    b[:half] *= np.exp2(np.floor(rng.uniform(0, 4, half)))
    a[: half // 2] *= fmt.tiny  # and with a small numerator below the smallest, or near it
    b[: half // 2] = rng.uniform(1, 2, half // 2) * np.exp2(np.floor(rng.uniform(0, fmt.p + 2, half // 2)))
    return fmt.round(a * _signs(rng, n)), fmt.round(b)


def of_logarithms(fmt: Format, n: int, rng: Rng) -> tuple[Floats, Floats]:
    """Return pairs of comparable size; a quarter of them where the sum of the powers is nearly 1."""
    limit = (fmt.p + 2) * math.log(2)
    a = rng.uniform(-limit, limit, n)
    b = a - rng.uniform(-limit, limit, n)
    half, quarter = n // 2, n // 4
    b[:half] = a[:half] + log_uniform(rng, 2.0**-fmt.p, limit, half) * _signs(rng, half)
    a[:quarter] = -log_uniform(rng, 2.0**-fmt.p, limit, quarter)
    first = fmt.round(a)
    exact = np.float64(first[:quarter])
    second = fmt.round(b)
    second[:quarter] = near(fmt, fmt.round(np.log(-np.expm1(exact))), rng)
    return first, second


def of_products_with_logarithms(fmt: Format, n: int, rng: Rng) -> tuple[Floats, Floats]:
    """Return pairs whose second number is near 1, moderate, or anything positive."""
    x = log_uniform(rng, fmt.tiny, fmt.max, n) * _signs(rng, n)
    half, quarter = n // 2, n // 4
    x[:half] = rng.uniform(-2, 2, half)
    y = log_uniform(rng, fmt.smallest, fmt.max, n)
    y[:half] = rng.uniform(0, 4, half)
    second = fmt.round(y)
    second[:quarter] = near(fmt, np.ones(quarter, fmt.dtype), rng)
    return fmt.round(x), second
