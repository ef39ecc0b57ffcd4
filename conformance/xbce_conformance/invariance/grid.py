"""The inputs of hashes: the same bits on every machine, made of no library's random numbers or functions.

Bits come from SHAKE-256, sigmoids from `decimal`, whose exponential is correctly rounded.
"""

import hashlib
from collections.abc import Sequence
from decimal import Context, Decimal
from functools import cache
from itertools import product

import numpy as np
import numpy.typing as npt

from xbce_conformance.inputs.formats import FORMATS, Doubles, Floats, Format

POINTS = 4096
"""Elements of each array of the elementwise functions."""
TERMS = 1021
"""Elements of each array of the sums."""
ORDERS = 100
SHARDS = 64

_CONTEXT = Context(prec=50)
_KINDS = 8
"""Labels take turns: 0, 1, 0, 1, even in [0, 1], even over binades, next to the probability, 1 minus a small number."""


def words(name: str, n: int) -> npt.NDArray[np.uint64]:
    """Return n integers of 64 bits that depend on a name only."""
    return np.frombuffer(hashlib.shake_256(name.encode()).digest(8 * n), "<u8").astype(np.uint64)


def orders() -> npt.NDArray[np.int64]:
    """Return `ORDERS` permutations of the terms; the first one leaves them in place."""
    keys = words("orders", ORDERS * TERMS).reshape(ORDERS, TERMS)
    permutations = np.argsort(keys, axis=1, kind="stable")
    permutations[0] = np.arange(TERMS)
    return permutations


@cache
def arrays(dtype: str) -> dict[str, Floats | npt.NDArray[np.bool_]]:
    """Return the arrays of a dtype by name; those whose names begin with "term" are for sums."""
    fmt = FORMATS[dtype]
    logits, logit_labels = _logits(fmt)
    probabilities, labels = _probabilities(fmt)
    even = _even(fmt, "labels of terms", TERMS)
    hard = fmt.round(np.arange(TERMS) % 2)
    return {
        "logits": logits,
        "logit_labels": logit_labels,
        "probabilities": probabilities,
        "labels": labels,
        "exponents": np.where(np.arange(POINTS) % 16 == 0, logits, -np.abs(logits)).astype(fmt.dtype),
        "weight": _even(fmt, "weight", POINTS),
        "where": words("where", POINTS) % 4 > 0,
        "terms": _terms(fmt),
        "term_logits": fmt.round(_doubles(_even(fmt, "logits of terms", TERMS)) * 60 - 30),
        "term_labels": np.where(np.arange(TERMS) % 3 == 0, even, hard).astype(fmt.dtype),
        "term_weight": _even(fmt, "weight of terms", TERMS),
        "term_where": words("where of terms", TERMS) % 4 > 0,
    }


def _even(fmt: Format, name: str, n: int) -> Floats:
    """Return numbers that are even in [0, 1]; none is subnormal."""
    return fmt.round((words(name, n) >> np.uint64(44)).astype(np.float64) * 2.0**-20)


def _over_bits(fmt: Format, name: str, n: int, stop: int) -> Floats:
    """Return numbers whose bit patterns are even below `stop`: one from each of n intervals."""
    step = stop // n
    return fmt.from_bits(np.arange(n, dtype=np.uint64) * np.uint64(step) + words(name, n) % np.uint64(step))


def _shuffled(x: Floats, name: str) -> Floats:
    return x[np.argsort(words(name, x.size), kind="stable")]


def _bits_of(fmt: Format, x: float) -> int:
    return int(fmt.round([x]).view(fmt.bits)[0])


def _logits(fmt: Format) -> tuple[Floats, Floats]:
    both = [
        0.0,
        np.inf,
        fmt.smallest,
        3 * fmt.smallest,
        fmt.tiny - fmt.smallest,
        fmt.tiny,
        fmt.max,
        0.5,
        1,
        17,
        88,
        104,
    ]
    paired, of_pairs = _pairs(fmt, [*both, *(-x for x in both), np.nan])
    n = POINTS - paired.size
    half = n // 2
    spread = _shuffled(_over_bits(fmt, "logits", half, 2 ** (8 * fmt.dtype.itemsize)), "order of logits")
    moderate = _doubles(_even(FORMATS["float64"], "moderate logits", n - half)) * 2 - 1
    width = np.where(np.arange(n - half) % 4 == 0, 800.0 if fmt.name == "float64" else 120.0, 40.0)
    x = _interleaved(spread, fmt.round(moderate * width))
    return np.concatenate([paired, x]), np.concatenate([of_pairs, _labels(fmt, x, _sigmoids(x))])


def _probabilities(fmt: Format) -> tuple[Floats, Floats]:
    special = [0.0, -0.0, 1, 0.5, 0.25, fmt.smallest, fmt.tiny - fmt.smallest, fmt.tiny, 1 - 2.0**-fmt.p, -1, 2, np.nan]
    paired, of_pairs = _pairs(fmt, special)
    n = POINTS - paired.size
    half = n // 2
    spread = _shuffled(_over_bits(fmt, "probabilities", half, _bits_of(fmt, 1.0)), "order of probabilities")
    even = _even(fmt, "even probabilities", n - half)
    near_one = fmt.round(1 - _eighth_power(even))
    u = _interleaved(spread, np.where(np.arange(n - half) % 2 == 0, even, near_one).astype(fmt.dtype))
    return np.concatenate([paired, u]), np.concatenate([of_pairs, _labels(fmt, u, _doubles(u))])


def _pairs(fmt: Format, first: Sequence[float]) -> tuple[Floats, Floats]:
    """Return all pairs of a number and a special label."""
    labels = [0.0, 1.0, 0.5, 0.25, fmt.smallest, fmt.tiny, 1 - 2.0**-fmt.p, np.nan]
    a, b = zip(*product(first, labels), strict=True)
    return fmt.round(a), fmt.round(b)


def _interleaved(a: Floats, b: Floats) -> Floats:
    """Return a and b in turns of `_KINDS` elements, so that each meets every kind of label."""
    whole = np.concatenate([a, b])
    turns = np.argsort(np.concatenate([np.arange(a.size) // _KINDS, np.arange(b.size) // _KINDS]), kind="stable")
    return whole[turns]


def _labels(fmt: Format, x: Floats, near: Doubles) -> Floats:
    """Return labels beside x; `near` are those next to which gradients cancel."""
    n = x.size
    kind, turn = np.arange(n) % _KINDS, np.arange(n) // _KINDS
    near = np.where((near >= 0) & (near <= 1), near, 0.5)
    neighbours = np.clip(near + fmt.ulp(near) * (turn % 3 - 1.0), 0, 1)
    spread = _shuffled(_over_bits(fmt, "labels", n, _bits_of(fmt, 1.0)), "order of labels")
    even = _even(fmt, "even labels", n)
    choices = [np.zeros(n), np.ones(n), np.zeros(n), np.ones(n), _doubles(even), _doubles(spread), neighbours]
    return fmt.round(np.choose(kind, [*choices, 1 - _eighth_power(even)]))


def _eighth_power(x: Floats) -> Doubles:
    """Return products; a library's power may depend on the processor."""
    square = _doubles(x) * _doubles(x)
    fourth = square * square
    return fourth * fourth


def _doubles(x: Floats) -> Doubles:
    with np.errstate(invalid="ignore"):
        return x.astype(np.float64)


def _sigmoids(x: Floats) -> Doubles:
    """Return sigmoids, rounded correctly to double; 1/2 where x is not moderate."""
    return np.array([_sigmoid(number) if abs(number) < 800 else 0.5 for number in _doubles(x).tolist()])


def _sigmoid(x: float) -> float:
    e = _CONTEXT.exp(Decimal(-x))
    return float(_CONTEXT.divide(Decimal(1), _CONTEXT.add(Decimal(1), e)))


def _terms(fmt: Format) -> Floats:
    """Return terms of both signs over half of the binades; all but a few cancel exactly."""
    half = TERMS // 2
    span = (_bits_of(fmt, fmt.max) - _bits_of(fmt, fmt.tiny)) // 2
    x = fmt.from_bits(_bits_of(fmt, fmt.tiny) + np.uint64(span // 2) + words("terms", half) % np.uint64(span))
    few = fmt.round([1 / 3, -0.1, 3 * 2.0**-fmt.p])[: TERMS - 2 * half + 2]
    return np.concatenate([x, -x[: TERMS - half - few.size], few])
