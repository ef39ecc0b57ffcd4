"""What is measured, on which arrays, and when it is done: for the asv suite, and for `device.py`, which has no asv."""

import importlib.metadata
from collections.abc import Callable
from typing import Any

import numpy as np

from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.subjects.backends import Backend, find_backends

from .implementations import IMPLEMENTATIONS

TITLES = {
    "elementwise": "all losses",
    "mean": "their mean",
    "value_and_gradient": "all losses and their gradient",
    "training_step": "mean and gradient, as in a step of training",
}
"""The fields of `Implementation`."""
ARRAYS_MOVED = {"elementwise": 3, "mean": 2, "value_and_gradient": 4, "training_step": 3}
"""How many arrays go through memory at least: logits and labels are read once, results are written once."""
_DISTRIBUTIONS = (
    *("numpy", "torch", "triton", "jax", "jaxlib", "dask", "cupy", "cupy-cuda12x", "cupy-cuda13x"),
    *("scikit-learn", "optax", "xbce"),
)


class NotMeasured(Exception):  # noqa: N818
    """There is nothing to measure; the message says why."""


def versions() -> dict[str, str]:
    """Return the versions of the libraries that are here."""
    found = {}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def find_backend(name: str) -> Backend:
    found, missing = find_backends((name,))
    if name in missing:
        raise NotMeasured(missing[name])
    return found[name]


def function_of(backend: str, implementation: str, function: str) -> Callable[..., Any]:
    """Return a function of logits and labels."""
    library = backend.partition(":")[0]
    run = getattr(IMPLEMENTATIONS[library][implementation](library), function)
    if run is None:
        msg = f"{implementation} has no {function}"
        raise NotMeasured(msg)
    return run


def arrays_of(backend: Backend, dtype: str, size: int) -> tuple[Any, Any]:
    """Return logits, and labels of 0 or 1."""
    rng = np.random.default_rng(0)
    # Their pages are touched by being written, and small enough logits keep the textbook finite.
    x = backend.from_numpy(FORMATS[dtype].round(rng.normal(scale=2.0, size=size)))
    z = backend.from_numpy(FORMATS[dtype].round(rng.integers(0, 2, size)))
    return x, z


def finisher(backend: str) -> Callable[[Any], Any]:
    """Return a function that waits until arrays are there and returns them."""
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
