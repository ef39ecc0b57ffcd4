"""Cache keys of calls: two calls with the same key pass the same checks and follow the same plan."""

import sys
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeAlias

from .._typing import Array
from .checks import is_array_option
from .options import ARRAYS
from .promotion import autocasts

Shape: TypeAlias = Sequence[int]
Key: TypeAlias = tuple[Hashable, tuple[Shape | None, ...], Hashable]
"""Everything that the checks of a call read: options that are numbers last, shapes of arrays second, all else first.

A shape is None where the first part holds it.
"""


def call_key(
    methods: tuple[str, ...], args: Any, kwargs: Any, numbers: tuple[str, ...]
) -> tuple[Key, tuple[Array, ...]] | None:
    """Return the cache key of a call, and its arrays in the order of `Inputs.arrays`.

    The options named in `numbers` may be numbers, or arrays of them. Return None if a call must be validated in full:
    for arrays of libraries other than NumPy, PyTorch and JAX, for scalars in place of arrays, for an array that is
    several options, for options that compare equal to others (True to 1), and while torch.compile traces.
    """
    torch = sys.modules.get("torch")
    if len(args) != 2 or (torch is not None and torch.compiler.is_compiling()):
        return None
    rest: list[Any] = [methods]
    shapes: list[Shape | None] = []
    of_numbers: list[Any] = []
    library = _fingerprints[type(args[0])]
    for x in args:
        fingerprint = _fingerprints[type(x)]
        if fingerprint is None or fingerprint is not library or (seen := fingerprint(x)) is None:
            return None
        shapes.append(seen[0])
        rest.append(seen[1])
    if not kwargs:
        return (tuple(rest), tuple(shapes), ()), args
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
            shapes.append(seen[0])
            rest.append((name, seen[1]))
        elif _is_plain(kind, x) or (name in _TOLD_APART and isinstance(x, Hashable)):
            rest.append((name, kind, x))
        else:
            return None
    arrays = (*args, *(kwargs[name] for name in ARRAYS if kwargs.get(name) is not None))
    if options:
        if len({id(kwargs[name]) for name in options}) < len(options):  # a plan takes it from one of its places
            return None
        arrays = (*arrays, *(kwargs[name] for name in numbers if name in options))
    return (tuple(rest), tuple(shapes), tuple(of_numbers)), arrays


def key_of_any_lengths(key: Key) -> Hashable | None:
    """Return the same key for other lengths in the same relations, on which all checks depend; None without shapes."""
    rest, (first, *others), numbers = key
    if first is None or None in others:
        return None
    relations: list[Hashable] = [len(first)]
    relations += [len(x) if x == first else _relation(x, first) for x in others if x is not None]
    return rest, tuple(relations), numbers


def _relation(x: Shape, first: Shape) -> Hashable:
    """Tell of each axis whether its length is that of the first array's, and whether it is 1, from the last axis on."""
    return len(x), tuple([(a == b, a == 1) for a, b in zip(reversed(x), reversed(first), strict=False)])


def _is_plain(kind: type, x: Any) -> bool:
    """Tell whether an option is None, text, a number, or a tuple of ints."""
    return x is None or kind in (str, int, float) or (kind is tuple and all(type(i) is int for i in x))


_TOLD_APART = ("keepdims", "dtype")
"""Options whose values, of any class, are equal to others of their class only where they mean the same."""


_Fingerprint: TypeAlias = Callable[[Any], tuple[Shape | None, Hashable] | None]
"""Returns the parts of a cache key; None if full validation is needed."""


class _Fingerprints(dict[type, _Fingerprint | None]):
    """Maps an array class to its cache-key function; None if full validation is needed."""

    def __missing__(self, cls: type) -> _Fingerprint | None:
        numpy, torch, jax = (sys.modules.get(name) for name in ("numpy", "torch", "jax"))
        found: _Fingerprint | None = None
        if numpy is not None and cls is numpy.ndarray:
            found = _seen_of_numpy
        elif torch is not None and cls in (torch.Tensor, torch.nn.Parameter):
            found = _seen_of_torch
        elif jax is not None and issubclass(cls, (jax.Array, jax.core.Tracer)):
            found = _seen_of_jax
        self[cls] = found
        return found


def _seen_of_numpy(x: Any) -> tuple[Shape, Hashable]:
    return x.shape, x.dtype


def _seen_of_torch(x: Any) -> tuple[Shape | None, Hashable]:
    dtype, device = x.dtype, x.device
    half = dtype.itemsize == 2 and autocasts(sys.modules["torch"], device)
    # Sparse tensors are of the same class, and so are nested ones, which have no shape.
    return None if x.is_nested else x.shape, (x.layout, dtype, device, half)


def _seen_of_jax(x: Any) -> tuple[None, Hashable] | None:
    shape = x.shape
    if not all(type(n) is int for n in shape):  # symbols, which are valid in one scope of jax.export only
        return None
    jax = sys.modules["jax"]
    # The key has the sharding of a committed array only: JAX may move other arrays, and a tracer has no place.
    placed = not isinstance(x, jax.core.Tracer) and getattr(x, "committed", False)
    # jax_enable_x64 may change from call to call. JAX compiles for each shape, and a plan is the least of it.
    return None, (x.dtype, shape, x.weak_type, x.sharding if placed else None, jax.config.jax_enable_x64)


_fingerprints = _Fingerprints()
