"""A focal loss with one gamma: the same in each step of training, or another; a number, or an array."""

from functools import partial
from itertools import count
from typing import Any

import numpy as np

import xbce

from .calls import arrays_of, find_backend, finisher
from .common import PARAMETERS, QUICK
from .subjects import AUTODIFF

_STEPS = count()


def _step(backend: str, *, changes: bool, x: Any, z: Any) -> None:
    gamma = 1.5 + 1e-6 * next(_STEPS) if changes else 1.5
    mean = partial(xbce.sigmoid_focal_loss, gamma=gamma, reduction="mean")
    if backend in AUTODIFF:
        AUTODIFF[backend](mean)(x, z)
    else:
        xbce.sigmoid_focal_loss.value_and_gradient(x, z, gamma=gamma, reduction="mean")


class ChangingGamma:
    """A schedule of gamma should cost little more than none: the subject "changing-gamma" against "xbce"."""

    param_names = PARAMETERS
    params = (
        tuple(f"{backend} float32 {name}" for backend in ("numpy", "torch:cpu") for name in ("xbce", "changing-gamma")),
        (10**3, 10**5) if QUICK else (10**3, 10**5, 10**7),
    )
    repeat = (3, 100, 0.4)
    timeout = 180.0

    def setup(self, measured: str, size: int) -> None:
        name, dtype, subject = measured.split()
        x, z = arrays_of(find_backend(name), dtype, size)
        self._call = partial(_step, name.partition(":")[0], changes=subject != "xbce", x=x, z=z)
        self._call()

    def time_call(self, *_params: object) -> None:
        self._call()


class ArrayGamma:
    """A gamma for each element should cost little more than a number: the subject "array-gamma" against "xbce"."""

    param_names = PARAMETERS
    params = (
        tuple(
            f"{backend} float32 {name}" for backend in ("numpy", "torch:cpu", "jax") for name in ("xbce", "array-gamma")
        ),
        (10**5,) if QUICK else (10**5, 10**6),
    )
    repeat = (3, 100, 0.4)
    timeout = 180.0

    def setup(self, measured: str, size: int) -> None:
        name, dtype, subject = measured.split()
        backend = find_backend(name)
        x, z = arrays_of(backend, dtype, size)
        # Not a whole number, nor one of which float32 holds half: what a number costs at most.
        gamma = 1.3 if subject == "xbce" else backend.from_numpy(np.full(size, 1.3, dtype))
        finish = finisher(name)
        call = xbce.sigmoid_focal_loss
        if name == "jax":
            from jax import jit

            call = jit(call, static_argnames="gamma") if subject == "xbce" else jit(call)
        self._call = lambda: finish(call(x, z, gamma=gamma))
        self._call()

    def time_call(self, *_params: object) -> None:
        self._call()
