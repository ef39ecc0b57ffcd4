"""What the tests of this folder share: the losses, their arguments, and results as NumPy's."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

import xbce
from xbce_conformance.cases import WITH_NUMBERS, Case
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.subjects.backend import Backend

every_case = pytest.mark.parametrize("case", WITH_NUMBERS, ids=lambda case: case.name)

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
