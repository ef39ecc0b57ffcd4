"""A small array library, for the walk through a new backend: arrays that hold NumPy's, and functions of those.

Nothing of NumPy's own arrays is to be had from it, as from any library that xbce has never seen.
"""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

__version__ = "1.0"


class Array:
    """An array of the standard."""

    def __init__(self, held: Any) -> None:
        self.held = np.asarray(held)

    dtype = property(lambda self: self.held.dtype)
    shape = property(lambda self: self.held.shape)
    ndim = property(lambda self: self.held.ndim)
    size = property(lambda self: self.held.size)
    device = property(lambda self: self.held.device)

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        """Return this module."""
        import thinarray

        return thinarray

    def __getitem__(self, key: Any) -> "Array":
        return Array(self.held[key])

    def __bool__(self) -> bool:
        return bool(self.held)

    def __int__(self) -> int:
        return int(self.held)

    def __index__(self) -> int:
        return operator.index(self.held)

    def __float__(self) -> float:
        return float(self.held)


def _taken(x: Any) -> Any:
    return x.held if isinstance(x, Array) else type(x)(map(_taken, x)) if isinstance(x, (list, tuple)) else x


def _given(x: Any) -> Any:
    return Array(x) if isinstance(x, (np.ndarray, np.generic)) else [*map(_given, x)] if isinstance(x, list) else x


def _of_arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of NumPy's arrays as one of ours."""

    def call(*args: Any, **options: Any) -> Any:
        return _given(function(*map(_taken, args), **{name: _taken(x) for name, x in options.items()}))

    return call


_BINARY = ("add", "sub", "mul", "truediv", "pow", "and_", "or_", "xor")
for _name in (*_BINARY, "eq", "ne", "lt", "le", "gt", "ge", "neg", "pos", "abs", "invert"):
    setattr(Array, f"__{_name.rstrip('_')}__", _of_arrays(getattr(operator, _name)))
for _name in _BINARY:
    _operation = getattr(operator, _name)
    setattr(Array, f"__r{_name.rstrip('_')}__", _of_arrays(lambda a, b, _operation=_operation: _operation(b, a)))


def asarray(x: Any, **options: Any) -> Array:
    """Return an array of what may become one."""
    return Array(np.asarray(_taken(x), **options))


def __getattr__(name: str) -> Any:
    found = getattr(np, name)
    if isinstance(found, type):
        return np.dtype(found) if issubclass(found, np.generic) else found
    return _of_arrays(found) if callable(found) and name != "__array_namespace_info__" else found
