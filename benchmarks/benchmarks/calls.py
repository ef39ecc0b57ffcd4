"""Functions, their arrays, and how to wait for results: for the asv suite, and for `device.py`, which needs no asv."""

import importlib.metadata
from collections.abc import Callable
from typing import Any

import numpy as np

from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.subjects.backend import Backend
from xbce_conformance.subjects.backends import find_backends

from .subjects import SUBJECTS, Table

TITLES = {
    "elementwise": "all losses",
    "mean": "their mean",
    "value_and_gradient": "all losses and their gradient",
    "training_step": "mean and gradient, as in a step of training",
}
"""The fields of `Subject`, and their titles."""
ARRAYS_MOVED = {"elementwise": 3, "mean": 2, "value_and_gradient": 4, "training_step": 3}
"""Least number of arrays that are moved: logits and labels are read once, results are written once."""
_DISTRIBUTIONS = (
    *("numpy", "torch", "triton", "jax", "jaxlib", "dask", "cupy", "cupy-cuda12x", "cupy-cuda13x"),
    *("scikit-learn", "optax", "xbce"),
)


class NotMeasured(Exception):  # noqa: N818
    """There is nothing to measure; the message says why."""


def versions() -> dict[str, str]:
    """Return the versions of the libraries that are installed."""
    found = {}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def find_backend(name: str) -> Backend:
    """Return a backend; raise NotMeasured if it is not available."""
    found, missing = find_backends((name,))
    if name in missing:
        raise NotMeasured(missing[name])
    return found[name]


def function_of(backend: str, subject: str, function: str, table: Table = SUBJECTS) -> Callable[..., Any]:
    """Return a function of a subject; it takes logits and labels."""
    library = backend.partition(":")[0]
    run = getattr(table[library][subject](library), function)
    if run is None:
        msg = f"{subject} has no {function}"
        raise NotMeasured(msg)
    return run


def arrays_of(backend: Backend, dtype: str, size: int, *, probabilities: bool = False) -> tuple[Any, Any]:
    """Return logits, or probabilities, and labels of 0 or 1."""
    rng = np.random.default_rng(0)
    # Writing the arrays maps their pages, and logits are small enough for the textbook to be finite.
    x = rng.normal(scale=2.0, size=size)
    x = backend.from_numpy(FORMATS[dtype].round(1 / (1 + np.exp(-x)) if probabilities else x))
    z = backend.from_numpy(FORMATS[dtype].round(rng.integers(0, 2, size)))
    return x, z


def finisher(backend: str) -> Callable[[Any], Any]:
    """Return a function that waits until arrays are computed, and returns them."""
    if backend.startswith("jax"):
        from jax import block_until_ready

        return block_until_ready
    if backend == "dask":
        from dask import persist

        # Unlike `compute`, it does not copy the chunks together afterwards.
        return persist
    if backend == "torch:cuda":
        from torch.cuda import synchronize

        return lambda arrays: (arrays, synchronize())
    if backend == "cupy":
        from cupy.cuda import get_current_stream

        return lambda arrays: (arrays, get_current_stream().synchronize())
    return lambda arrays: arrays
