"""Denominators of means that must be computed from arrays."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from .._backends import Runner
from .._typing import Array, DType, Namespace
from .kernel import Arguments, Sums, SumSpec


@dataclass(frozen=True, slots=True)
class Denominator:
    """A denominator that depends on weights, on a mask, or on unknown lengths."""

    summed: SumSpec
    counts: Callable[..., tuple[Array]]
    """How elements are counted: usually `Counts`."""

    def of(self, xp: Namespace, runner: Runner, arrays: tuple[Array, ...]) -> tuple[Array, ...]:
        """Return an array of the shape of the result, with NaN in place of 0; of an exact sum also its rest."""
        run = partial(exactly_summed, xp, runner) if self.summed.exact else partial(runner.run, xp)
        total, *rest = run(self.counts, arrays, (self.summed,))
        return (runner.map(xp, _zero_as_nan, (total,)), *rest)

    def spread(self, xp: Namespace, parts: tuple[Array, ...]) -> tuple[Array, ...]:
        """Return a denominator that broadcasts against the losses."""
        return tuple(x if x.ndim == 0 else self.summed.spread(xp, x) for x in parts)


@dataclass(frozen=True, slots=True)
class Counts:
    """How elements are counted: each as 1, as its weight, or as 1 if its weight is not 0; a masked element as 0."""

    dtype: DType
    weight: int | None
    where: int | None
    nonzero: bool

    def __call__(self, xp: Namespace, /, *arrays: Array) -> tuple[Array]:
        """Return the count of each element."""
        counts = xp.ones_like(arrays[0], dtype=self.dtype)
        if self.weight is not None:
            weight = xp.astype(arrays[self.weight], self.dtype)  # a weight may be boolean
            counts = xp.where(weight == 0, 0.0, counts) if self.nonzero else counts * weight
        return (counts if self.where is None else xp.where(arrays[self.where], counts, 0.0),)


def exactly_summed(
    xp: Namespace, runner: Runner, function: Callable[..., tuple[Array, ...]], arrays: Arguments, sums: Sums
) -> tuple[Array, ...]:
    """Return the exact sum of those results of a function that are summed, its rest, and the other results."""
    results = runner.run(xp, function, arrays, (None,) * len(sums))
    specs = [spec for spec in sums if spec is not None]
    both = runner.exact_sum(xp, results[: len(specs)], specs[0])
    return both[0, ...], both[1, ...], *results[len(specs) :]


def _zero_as_nan(xp: Namespace, x: Array) -> Array:
    return xp.where(x == 0, math.nan, x)
