"""What the tests of this folder share: the losses, their arguments, and results as NumPy's."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

import xbce
from xbce_conformance.cases import WITH_NUMBERS, Case
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.subjects.backends import Backend, find_backends

every_case = pytest.mark.parametrize("case", WITH_NUMBERS, ids=lambda case: case.name)
NUMPY = find_backends(("numpy",))[0]["numpy"]

bce = xbce.binary_cross_entropy_with_logits


def call_of(case: Case, method: str = "") -> Callable[..., tuple[Any, ...]]:
    """Return a method of a loss with its options; it returns a tuple."""
    loss = getattr(xbce, case.function)
    function = getattr(loss, method) if method else loss

    def call(*arrays: Any, **options: Any) -> tuple[Any, ...]:
        results = function(*arrays, **dict(case.options), **options)
        return results if isinstance(results, tuple) else (results,)

    return call


@cache
def numbers(dtype: str, shape: tuple[int, ...] = (6, 5), *, probabilities: bool = False) -> tuple[Any, ...]:
    """Return scores, labels (hard and soft), pos_weight, weight and a mask, in NumPy."""
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.01, 0.99, shape) if probabilities else rng.normal(0, 4, shape)
    labels = np.where(rng.uniform(size=shape) < 0.5, rng.integers(0, 2, shape), rng.uniform(0, 1, shape))
    arrays = (scores, labels, rng.uniform(0.5, 2, shape[-1:]), rng.uniform(0.5, 2, shape))
    return (*(FORMATS[dtype].round(a) for a in arrays), rng.uniform(size=shape) < 0.7)


def arguments(device: Backend, dtype: str, shape: tuple[int, ...] = (6, 5), *, probabilities: bool = False) -> Any:
    """Return the same on a device."""
    return tuple(device.from_numpy(a) for a in numbers(dtype, shape, probabilities=probabilities))


def of_probabilities(case: Case) -> bool:
    """Tell whether a loss takes probabilities."""
    return case.arguments[0] == "probabilities"


def assert_same_bits(device: Backend, got: Any, wanted: Any) -> None:
    """Compare results, arrays or tuples of them: NaN is equal to NaN, -0 is not equal to 0."""
    got, wanted = (x if isinstance(x, tuple) else (x,) for x in (got, wanted))
    for a, b in zip(got, wanted, strict=True):
        x, y = device.to_numpy(a), device.to_numpy(b)
        assert (x.dtype, x.shape) == (y.dtype, y.shape)
        np.testing.assert_array_equal(x.ravel().view(f"u{x.itemsize}"), y.ravel().view(f"u{y.itemsize}"))
