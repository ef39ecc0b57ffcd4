"""Hill climbing on ULP: inputs with larger errors than sampling finds.

For float64, and for functions of two numbers, not all inputs can be tried. The climb starts from samples, changes bits
of the inputs, and keeps what makes the error larger.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from xbce_conformance.exact_values.exact import Exact
from xbce_conformance.inputs.formats import Doubles, Floats, Format, Mask
from xbce_conformance.measurement.errors import measure

Rng = np.random.Generator
Loss = Callable[..., Floats]
"""Arguments in, results out, as NumPy arrays of the format."""
Exactly = Callable[[tuple[Floats, ...]], Exact]
"""Arguments in, exact results out."""
Span = tuple[float, float]
"""The least and the largest number that an argument may be."""

CLIMBERS = 256
"""How many inputs climb at once."""
_PATIENCE = 40
"""Steps without success after which a climber starts anew."""


@dataclass(frozen=True)
class Peak:
    """The worst input so far, and what was tried to find it."""

    inputs: tuple[float, ...] = ()
    computed: float = 0.0
    ulp: float = -1.0
    tried: int = 0


def climb(
    loss: Loss, exactly: Exactly, fmt: Format, starts: tuple[Floats, ...], rng: Rng, *, flushes: bool = False
) -> Iterator[Peak]:
    """Yield the worst arguments of a loss so far; each argument keeps to the span of those that it starts from.

    With `flushes`, inputs and results near subnormal numbers are left out: flushing explains their errors.
    """
    spans = [(float(np.min(start)), float(np.max(start))) for start in starts]

    def errors(*arrays: Floats) -> tuple[Doubles, Floats]:
        computed, exact = loss(*arrays), exactly(arrays)
        ulp = measure(computed, exact, fmt).ulp
        counts = np.isfinite(ulp)  # one that is not finite needs no search
        if flushes:
            counts &= ~explained_by_flushing(fmt, *arrays, exact.scale)
        return np.where(counts, ulp, 0.0), computed

    return ascend(errors, lambda *arrays: moved(arrays, spans, fmt, rng), starts, rng)


def explained_by_flushing(fmt: Format, *numbers: Floats) -> Mask:
    """Tell where an argument or a result is next to the subnormal numbers."""
    wide = [np.float64(number) for number in numbers]
    return np.asarray(np.any([(number != 0) & (np.abs(number) < 4 * fmt.tiny) for number in wide], axis=0))


def moved(arrays: tuple[Floats, ...], spans: Sequence[Span], fmt: Format, rng: Rng) -> tuple[Floats, ...]:
    """Return arguments that are near these, in their spans; half of all but the first stay, and so do masks."""

    def near(i: int, x: Floats) -> Floats:
        if x.dtype == np.bool_:
            return x
        new = np.where(rng.random(x.shape) < 0.5, step(x, fmt, rng), x) if i else step(x, fmt, rng)
        low, high = spans[i]
        return np.where((new >= low) & (new <= high), new, x).astype(fmt.dtype)

    return tuple(near(i, x) for i, x in enumerate(arrays))


def ascend(
    errors: Callable[..., tuple[Doubles, Floats]],
    move: Callable[..., tuple[Floats, ...]],
    starts: tuple[Floats, ...],
    rng: Rng,
) -> Iterator[Peak]:
    """Yield the worst input so far; an infinite generator, which the caller stops.

    `errors` returns errors in ULP and results for arrays of inputs, `move` inputs that are near these.
    """

    def draw(n: int) -> tuple[Floats, ...]:
        chosen = rng.integers(0, starts[0].size, n)
        return tuple(start[chosen] for start in starts)

    here = draw(CLIMBERS)
    height, computed = errors(*here)
    waited = np.zeros(CLIMBERS, np.int64)
    best = Peak()
    while True:
        i = int(np.argmax(height))
        if height[i] > best.ulp:
            best = Peak(tuple(float(x[i]) for x in here), float(computed[i]), float(height[i]), best.tried)
        best = replace(best, tried=best.tried + CLIMBERS)
        yield best
        tired = np.flatnonzero(waited > _PATIENCE)
        there = move(*here)
        for x, anew in zip(there, draw(tired.size), strict=True):
            x[tired] = anew
        height[tired] = -1.0
        new_height, new_computed = errors(*there)
        better = new_height > height
        waited = np.where(better, 0, waited + 1)
        here = tuple(np.where(better, new, x).astype(new.dtype) for x, new in zip(here, there, strict=True))
        height, computed = np.where(better, new_height, height), np.where(better, new_computed, computed)


def step(x: Floats, fmt: Format, rng: Rng) -> Floats:
    """Move each number by 2^k of its units in the last place, up or down; a third of them not at all."""
    distance = rng.choice([-1.0, 0.0, 1.0], x.shape) * np.exp2(rng.integers(0, fmt.p, x.shape))
    with np.errstate(over="ignore"):
        moved = fmt.round(np.float64(x) + distance * fmt.ulp(np.float64(x)))
    return np.where(np.isfinite(np.float64(moved)), moved, x).astype(fmt.dtype)
