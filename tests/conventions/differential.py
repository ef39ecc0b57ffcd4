"""Comparing a convention with the system that it is named after, on drawn arguments, and counting the cases."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st


@dataclass
class Tally:
    """What was compared, for the table in docs/conventions.md."""

    cases: int = 0
    errors: int = 0
    stated: Counter[str] = field(default_factory=Counter)
    """Cases in which the two differ as the documentation says, by reason."""

    def clear(self):
        self.__init__()


TALLY = Tally()


def outcome(function: Callable):
    """Return what a call returns, or the exception it raises."""
    try:
        return function()
    except Exception as error:  # noqa: BLE001 - any type is an outcome to be compared
        return error


def agree(ours: Callable, theirs: Callable, *, tolerance, to_numpy=np.asarray, errors=None, dtype=True):
    """Call both; they must raise alike, or agree in shape, dtype and value.

    `tolerance` is an array (or number) of absolute errors allowed, of the shape of the result: the stated inaccuracy of
    the original, and a few roundings. `errors` maps what the original raises to what stands for it.
    """
    TALLY.cases += 1
    got, expected = outcome(ours), outcome(theirs)
    if isinstance(expected, Exception) or isinstance(got, Exception):
        assert isinstance(expected, Exception), f"raised {got!r}, but the original returned {expected!r}"
        wanted = {**(errors or {})}.get(type(expected).__name__, type(expected))
        assert isinstance(got, Exception), f"returned {got!r}, but the original raised {expected!r}"
        assert isinstance(got, wanted), f"raised {got!r}, but the original {expected!r}"
        TALLY.errors += 1
        return
    if dtype:
        assert name_of(got) == name_of(expected)
    got, expected = to_numpy(got).astype(np.float64), to_numpy(expected).astype(np.float64)
    assert got.shape == expected.shape
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        close = same | (np.abs(got - expected) <= tolerance)
    assert np.all(close), f"{got} is not {expected} within {tolerance}"


def name_of(x) -> str:
    """Return the name of a result's dtype, 'float32' for every library, or of a Python number's type."""
    if not hasattr(x, "dtype"):
        return type(x).__name__
    return getattr(x.dtype, "name", None) or str(x.dtype).rpartition(".")[2]


def stated(reason: str):
    """Count a case in which the two differ as documented."""
    TALLY.cases += 1
    TALLY.stated[reason] += 1


def on(backend, x, dtype="float32"):
    """Return an array of a backend."""
    return backend.from_numpy(np.array(x, dtype))


LOGITS = st.one_of(
    st.floats(-120, 120, width=32),
    st.floats(-3, 3, width=32),
    st.sampled_from([0.0, -0.0, 17.0, -17.0, 88.5, -104.0, 1e-30, -1e-30]),
)
HARD = st.sampled_from([0.0, 1.0])
SOFT = st.one_of(HARD, st.floats(0, 1, width=16))
PROBABILITIES = st.one_of(
    st.floats(0, 1, width=32), st.sampled_from([0.0, 1.0, 0.5, 1e-30, 1e-12, 1e-7, 1 - 2**-24, 1 - 2**-20])
)
WEIGHTS = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 8, width=16))
SHAPES = st.sampled_from([(), (1,), (3,), (2, 3), (2, 1), (3, 2, 2), (0,), (2, 0)])


def arrays(elements, shape, dtype="float64"):
    """Draw an array."""
    size = math.prod(shape)
    return st.lists(elements, min_size=size, max_size=size).map(lambda x: np.array(x, dtype).reshape(shape))


def narrowed(shape):
    """Draw a shape that broadcasts to `shape`."""
    lengths = st.tuples(*(st.sampled_from([1, n]) for n in shape))
    return st.tuples(lengths, st.integers(0, len(shape))).map(lambda pair: pair[0][pair[1] :])
