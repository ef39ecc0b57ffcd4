"""Cache keys of calls: two calls with the same key pass the same checks and follow the same plan."""

import sys
from collections.abc import Callable, Hashable
from typing import Any

from .._typing import Array
from .checks import is_array_option
from .options import ARRAYS
from .promotion import autocasts


def call_key(
    methods: tuple[str, ...], args: Any, kwargs: Any, numbers: tuple[str, ...]
) -> tuple[tuple[Hashable, Hashable], tuple[Array, ...]] | None:
    """Return the cache key of a call, and its arrays in the order of `Inputs.arrays`.

    The key holds everything that the checks of a call read. Its second part holds the options named in `numbers` that
    are numbers, its first part everything else.

    Return None if a call must be validated in full: for arrays of libraries other than NumPy, PyTorch and JAX, for
    scalars in place of arrays, for options that compare equal to others (True to 1), and while torch.compile traces.
    """
    torch = sys.modules.get("torch")
    if len(args) != 2 or (torch is not None and torch.compiler.is_compiling()):
        return None
    key: list[Any] = [methods]
    of_numbers: list[Any] = []
    library = _fingerprints[type(args[0])]
    for x in args:
        fingerprint = _fingerprints[type(x)]
        if fingerprint is None or fingerprint is not library or (seen := fingerprint(x)) is None:
            return None
        key.append(seen)
    options: list[str] = []
    for name, x in kwargs.items():
        kind = type(x)
        number = name in numbers
        if number and (x is None or kind is float or kind is int):
            of_numbers.append((name, kind, x))
        elif x is not None and (number or name in ARRAYS):
            if number:
                if not is_array_option(x):  # a number of NumPy
                    return None
                options.append(name)
            fingerprint = _fingerprints[kind]
            if fingerprint is None or fingerprint is not library or (seen := fingerprint(x)) is None:
                return None
            key.append((name, seen))
        elif _is_plain(kind, x) or (name in _TOLD_APART and isinstance(x, Hashable)):
            key.append((name, kind, x))
        else:
            return None
    arrays = (*args, *(kwargs[name] for name in ARRAYS if kwargs.get(name) is not None))
    if options:
        arrays = (*arrays, *(kwargs[name] for name in numbers if name in options))
    return (tuple(key), tuple(of_numbers)), arrays


def _is_plain(kind: type, x: Any) -> bool:
    """Tell whether an option is None, text, a number, or a tuple of ints."""
    return x is None or kind in (str, int, float) or (kind is tuple and all(type(i) is int for i in x))


_TOLD_APART = ("keepdims", "dtype")
"""Options whose values, of any class, are equal to others of their class only where they mean the same."""


class _Fingerprints(dict[type, Callable[[Any], Hashable] | None]):
    """Maps an array class to its cache-key function; None if full validation is needed."""

    def __missing__(self, cls: type) -> Callable[[Any], Hashable] | None:
        numpy, torch, jax = (sys.modules.get(name) for name in ("numpy", "torch", "jax"))
        found: Callable[[Any], Hashable] | None = None
        if numpy is not None and cls is numpy.ndarray:
            found = _seen_of_numpy
        elif torch is not None and cls in (torch.Tensor, torch.nn.Parameter):
            found = _seen_of_torch
        elif jax is not None and issubclass(cls, (jax.Array, jax.core.Tracer)):
            found = _seen_of_jax
        self[cls] = found
        return found


def _seen_of_numpy(x: Any) -> Hashable:
    return x.dtype, x.shape


def _seen_of_torch(x: Any) -> Hashable:
    dtype, device = x.dtype, x.device
    half = dtype.itemsize == 2 and autocasts(sys.modules["torch"], device)
    # Sparse tensors are of the same class, and so are nested ones, which have no shape.
    return x.layout, dtype, x.is_nested or x.shape, device, half


def _seen_of_jax(x: Any) -> Hashable:
    shape = x.shape
    if not all(type(n) is int for n in shape):  # symbols, which are valid in one scope of jax.export only
        return None
    jax = sys.modules["jax"]
    # The key has the sharding of a committed array only: JAX may move other arrays, and a tracer has no place.
    placed = not isinstance(x, jax.core.Tracer) and getattr(x, "committed", False)
    # jax_enable_x64 may change from call to call.
    return x.dtype, shape, x.weak_type, x.sharding if placed else None, jax.config.jax_enable_x64


_fingerprints = _Fingerprints()
