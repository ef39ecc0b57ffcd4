"""The errors by binade of xbce's own exp and log1p, which the functions report does not have.

float32: every number. float64: draws from each binade, and a search from the worst of these.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import numpy as np

from proofs.native.numbers import index_of
from proofs.native.theorem import Steps
from proofs.native.used import Call, Floats, own, used
from xbce_conformance.functions import ELEMENTARY
from xbce_conformance.functions.measure import BINADES, CLIMB
from xbce_conformance.functions.reference import exact_values
from xbce_conformance.inputs.formats import FORMATS, Doubles, Format
from xbce_conformance.inputs.regimes import rng_of
from xbce_conformance.search.climb import Rng, ascend, step

FILE = Path(__file__).with_name("own.json")
_BLOCK = 2**21
_DRAWN = 2**22
"""Numbers of a binade in float64."""
_WORST = 128
"""Numbers of a block that seem to have the largest errors: theirs are computed, and the search starts from them."""
_BEYOND_1 = 1 + 2.0**-8
"""log1p is measured up to here: an e that is off may be larger than 1."""
_SCALE = 2.0**100
"""Exact values are times this: what is left of one beside its nearest double would be subnormal."""
_EXACT = {
    "exp": replace(ELEMENTARY["exp"], exact=lambda xp, x: xp.exp(x) * _SCALE, ball=lambda x: x.exp() * _SCALE),
    "log1p": replace(ELEMENTARY["log1p"], exact=lambda xp, x: xp.log1p(x) * _SCALE, ball=lambda x: x.log1p() * _SCALE),
}


def measured(backend: str, dtype: str, names: tuple[str, ...]) -> dict[str, list[float]]:
    """Return the largest errors of functions in each binade of their argument, from the least, rounded up."""
    fmt, functions = FORMATS[dtype], dict(zip(("exp", "log1p"), used(backend), strict=True))
    every = _every_number if dtype == "float32" else _drawn
    starts = {name: ends(name, fmt, flushes=backend == "jax") for name in names}
    return {name: [math.ceil(x * 1e4) / 1e4 for x in every(name, functions[name], fmt, starts[name])] for name in names}


def ends(name: str, fmt: Format, *, flushes: bool) -> list[float]:
    """Return where binades begin, and where the last one ends: exp(-t) is normal, and log1p's e not above 1 by much.

    A subnormal e, which JAX flushes, is left out there.
    """
    first = fmt.tiny if flushes and name == "log1p" else 0.0
    last = -math.log(fmt.tiny) if name == "exp" else _BEYOND_1
    return [first, *(2.0**k for k in BINADES[1:] if 2.0**k < last), float(fmt.round(last))]


def _every_number(name: str, function: Call, fmt: Format, starts: list[float]) -> Iterator[float]:
    for low, high in pairwise(index_of(x, fmt) for x in starts):
        blocks = (np.arange(i, min(i + _BLOCK, high), dtype=np.uint32) for i in range(low, high, _BLOCK))
        yield max(float(_errors(name, function, fmt, block.view(np.float32)).max()) for block in blocks)


def _drawn(name: str, function: Call, fmt: Format, starts: list[float]) -> Iterator[float]:
    rng = rng_of(f"own {name}", fmt)
    largest, worst = [], []
    for low, high in pairwise(index_of(x, fmt) for x in starts):
        blocks = (rng.integers(low, high, _BLOCK, np.uint64).view(np.float64) for _ in range(_DRAWN // _BLOCK))
        chosen = np.concatenate(
            [x[np.argpartition(_estimates(name, function, fmt, x), -_WORST)[-_WORST:]] for x in blocks]
        )
        largest.append(float(_errors(name, function, fmt, chosen).max()))
        worst.append(chosen)
    at, error = _searched(name, function, fmt, np.concatenate(worst), (starts[0], starts[-1]), rng)
    place = sum(start <= at for start in starts) - 1
    largest[place] = max(largest[place], error)
    yield from largest


def _searched(
    name: str, function: Call, fmt: Format, starts: Floats, span: tuple[float, float], rng: Rng
) -> tuple[float, float]:
    """Return an argument with a large error, and the error."""

    def errors(x: Floats) -> tuple[Doubles, Floats]:
        return _errors(name, function, fmt, x), x

    def move(x: Floats) -> tuple[Floats]:
        moved = step(x, fmt, rng)
        return (np.where((moved >= span[0]) & (moved < span[1]), moved, x),)

    *_, peak = islice(ascend(errors, move, (starts,), rng), CLIMB)
    return peak.inputs[0], peak.ulp


def _estimates(name: str, function: Call, fmt: Format, x: Floats) -> Doubles:
    """Return errors by NumPy's long double, which on x86 has 11 digits more than float64."""
    wide = x.astype(np.longdouble)
    near = np.exp(-wide) if name == "exp" else np.log1p(wide)
    return np.asarray(np.abs(function(x) - near) / fmt.ulp(near), np.float64)


def _errors(name: str, function: Call, fmt: Format, x: Floats) -> Doubles:
    high, low = exact_values(_EXACT[name], fmt, (-x if name == "exp" else x,))
    got = function(x).astype(np.float64) * _SCALE
    return np.asarray(np.abs((got - high) - low) / (fmt.ulp(high / _SCALE) * _SCALE))


def measure(backend: str, level: str) -> None:
    """Measure the own functions of a backend, and keep the errors in the file beside this module."""
    kept = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
    for dtype in ("float32", "float64"):
        if names := own(backend, level, dtype):
            kept[f"{backend} {level} {dtype}"] = measured(backend, dtype, names)
    lines = (f"{json.dumps(name)}: {json.dumps(errors)}" for name, errors in sorted(kept.items()))
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


def read(backend: str, level: str, dtype: str, slack: float) -> dict[str, Steps] | None:
    """Return the errors of the own functions; None if some of them were not measured."""
    kept: dict[str, dict[str, list[float]]] = json.loads(FILE.read_text("utf-8"))
    errors = kept.get(f"{backend} {level} {dtype}", {})
    if set(errors) != set(own(backend, level, dtype)):
        return None
    starts = (0.0, *(2.0**k for k in BINADES[1:]))
    return {name: Steps(starts[: len(of)], tuple(x + slack for x in of)) for name, of in errors.items()}
