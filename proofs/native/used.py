"""The exp(-t) and log(1 + e) that xbce uses in native precision: a library's own, or a series of xbce."""

import importlib
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from xbce._formulas.idioms import exp_minus_abs, log1p_unit
from xbce_conformance.subjects.levels import V4

Floats: TypeAlias = npt.NDArray[np.floating[Any]]
Call = Callable[[Floats], Floats]

_NAMESPACES = {
    "numpy": ("xbce._backends.numpy", "NAMESPACE"),
    "torch:cpu": ("torch", ""),
    "jax": ("xbce._backends.jax", "_NAMESPACE"),
}


def own(backend: str, level: str, dtype: str) -> tuple[str, ...]:
    """Return which of the two are series of xbce."""
    if backend == "jax":
        return "exp", "log1p"
    # NumPy's log1p of float32 is compiled for AVX-512; below, it computes one number at a time.
    return ("log1p",) if backend == "numpy" and dtype == "float32" and level != V4 else ()


def used(backend: str) -> tuple[Call, Call]:
    """Return both functions of NumPy arrays, as they are in the kernels of a backend."""
    path, name = _NAMESPACES[backend]
    module = importlib.import_module(path)
    xp = getattr(module, name) if name else module

    def exp(t: Any) -> Any:
        return exp_minus_abs(xp, t, t >= 0, t)

    def log1p(e: Any) -> Any:
        return log1p_unit(xp, e)

    if backend == "torch:cpu":
        return tuple(lambda x, f=f: f(xp.from_numpy(x)).numpy() for f in (exp, log1p))  # type: ignore[return-value]
    if backend == "jax":
        exp, log1p = map(importlib.import_module("jax").jit, (exp, log1p))
    return tuple(lambda x, f=f: np.asarray(f(x)) for f in (exp, log1p))  # type: ignore[return-value]
