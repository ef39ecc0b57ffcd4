"""High precision against native precision, on one thread: for hard labels, soft ones, and those of a teacher.

Where a teacher's probability is the label, the gradient nearly vanishes, and takes all digits that there are.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import xbce
from xbce_conformance.subjects.backend import Backend

from .calls import find_backend, finisher
from .common import DTYPES, PARAMETERS, QUICK

_LABELS = ("hard", "soft", "distilled")
_loss = xbce.binary_cross_entropy_with_logits


def _arrays(backend: Backend, dtype: str, size: int, labels: str) -> tuple[Any, Any]:
    random = np.random.default_rng(size)
    x = random.normal(0, 3, size).astype(dtype)
    z = {
        "hard": lambda: random.integers(0, 2, size),
        "soft": lambda: random.random(size),
        "distilled": lambda: 1 / (1 + np.exp(-x.astype(np.float64))),
    }[labels]()
    return backend.from_numpy(x), backend.from_numpy(z.astype(dtype))


class _High:
    """The subject "xbce", native and with hard labels, and "high-" with the kind of the labels."""

    param_names = PARAMETERS
    params = (
        tuple(
            f"{backend} {dtype} {subject}"
            for backend in ("numpy", "torch:cpu", "jax")
            for dtype in DTYPES
            for subject in ("xbce", *(f"high-{labels}" for labels in _LABELS))
        ),
        (10**6,) if QUICK else (10**3, 10**6),
    )
    repeat = (3, 100, 0.4)
    timeout = 180.0
    function: Callable[..., Any]

    def setup(self, measured: str, size: int) -> None:
        name, dtype, subject = measured.split()
        precision, _, labels = subject.partition("-")
        backend = find_backend(name)
        x, z = _arrays(backend, dtype, size, labels or "hard")
        call = partial(type(self).function, precision="native" if precision == "xbce" else precision)
        xbce.set_num_threads(1)
        if name == "jax":
            from jax import jit

            call = jit(call)
        elif name == "torch:cpu":
            import torch

            torch.set_num_threads(1)
        finish = finisher(name)
        self._call = lambda: finish(call(x, z))
        self._call()

    def time_call(self, *_params: object) -> None:
        self._call()


class HighElementwise(_High):
    """All losses."""

    function = staticmethod(_loss)


class HighGradient(_High):
    """All gradients."""

    function = staticmethod(_loss.gradient)


class HighMean(_High):
    """The mean of the losses."""

    function = staticmethod(partial(_loss, reduction="mean"))
