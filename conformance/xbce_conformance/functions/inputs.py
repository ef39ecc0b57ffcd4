"""What a function is tried with where not every input can be: draws, special values, where implementations branch."""

from collections.abc import Iterator

import numpy as np

from xbce_conformance.functions.pairs import drawn_pairs, log_uniform, near
from xbce_conformance.functions.table import Elementary
from xbce_conformance.inputs.formats import Floats, Format
from xbce_conformance.inputs.regimes import rng_of
from xbce_conformance.search.climb import Rng

Inputs = tuple[Floats, ...]

FURTHER = 2**17
"""Inputs that are tried besides those that are drawn, neighbourhoods of points apart."""
_STEPS = 64
"""Consecutive numbers on each side of a point."""


def drawn(function: Elementary, fmt: Format, samples: int, block: int) -> Iterator[Inputs]:
    """Yield the inputs that mean and shares are of, in blocks: first special values, then `samples` draws.

    Those of one number are drawn evenly over bit patterns, one from each of `samples` strata: so there are as many in
    each binade of either sign, subnormal numbers being one.
    """
    rng = rng_of(function.name, fmt)
    yield special(function, fmt)
    for first in range(0, samples, block):
        n = min(block, samples - first)
        if function.arguments == 2:
            yield drawn_pairs(fmt, n, rng)
            continue
        width = 2 ** (8 * fmt.dtype.itemsize) // samples
        strata = np.arange(first, first + n, dtype=np.uint64) * np.uint64(width)
        yield (fmt.from_bits(strata + rng.integers(0, width, n, np.uint64)),)


def special(function: Elementary, fmt: Format) -> Inputs:
    """Return zeros, infinities, NaN, and the ends of the range; of two numbers all pairs of these."""
    positive = [0.0, fmt.smallest, 3 * fmt.smallest, fmt.tiny - fmt.smallest, fmt.tiny, 0.5, 1.0, 2.0, fmt.max, np.inf]
    numbers = fmt.round([sign * x for x in positive for sign in (1.0, -1.0)] + [np.nan])
    if function.arguments == 1:
        return (numbers,)
    first, second = np.meshgrid(numbers, numbers)
    return first.ravel(), second.ravel()


def further(function: Elementary, fmt: Format, block: int) -> Iterator[Inputs]:
    """Yield inputs that are chosen to have large errors, in blocks."""
    rng = rng_of(f"{function.name} further", fmt)
    n = FURTHER
    arrays = function.pairs(fmt, n, rng) if function.pairs else (_chosen(function, fmt, n, rng),)
    for first in range(0, arrays[0].size, block):
        yield tuple(array[first : first + block] for array in arrays)


def _chosen(function: Elementary, fmt: Format, n: int, rng: Rng) -> Floats:
    """Return neighbourhoods of the points, subnormal numbers, and numbers of the span: even, and even over binades."""
    points = fmt.round(np.array(function.points(fmt)))
    steps = np.arange(-_STEPS, _STEPS + 1)
    doubles = points.astype(np.float64)[:, np.newaxis]
    low, high = function.span(fmt)
    magnitudes = log_uniform(rng, 2.0 ** -(2 * fmt.p), max(-low, high), n // 2)
    signs = rng.choice([sign for sign, end in ((-1.0, low), (1.0, high)) if sign * end > 0], n // 2)
    around_0 = magnitudes * signs
    beyond = (around_0 < low) | (around_0 > high)
    around_0[beyond] = rng.uniform(low, high, int(beyond.sum()))
    with np.errstate(over="ignore", invalid="ignore"):
        return np.concatenate(
            [
                fmt.round(doubles + steps * fmt.ulp(doubles)).ravel(),
                near(fmt, np.repeat(points, 1024), rng),
                fmt.from_bits(rng.integers(0, 2 ** (fmt.p - 1), 1024, np.uint64)),
                fmt.round(around_0),
                fmt.round(rng.uniform(low, high, n // 2)),
            ]
        )
