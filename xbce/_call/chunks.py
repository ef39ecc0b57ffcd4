"""Dask: checks that need the chunks run in the task that computes a chunk, with the same error texts.

During the call lengths may be unknown, and a chunk may be of another class than the meta array says.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .._typing import Namespace
from .array_kinds import plain_chunk
from .checks import Role, require_role
from .inputs import Inputs
from .lengths import is_unknown
from .promotion import is_dask


@dataclass(frozen=True, slots=True)
class Checked:
    """A function of chunks, which are checked first; `names` are those of its first arguments."""

    function: Callable[..., Any]
    names: tuple[str, ...]
    roles: tuple[Role, ...]
    first: int
    """Index of the argument that the others are checked against."""
    matched: tuple[tuple[int, ...], ...]
    """Of each argument, the axes along which chunks of unknown length must match those of the first one by one."""

    def __call__(self, xp: Namespace, /, *chunks: Any) -> Any:
        """Check the chunks, and return the result of the function."""
        return self.function(xp, *self.taken(chunks))

    def taken(self, chunks: tuple[Any, ...]) -> tuple[Any, ...]:
        """Check the chunks, and return them as plain arrays."""
        n = len(self.names)
        arrays = tuple(plain_chunk(name, chunk) for name, chunk in zip(self.names, chunks, strict=False))
        first_name, first = self.names[self.first], arrays[self.first]
        for name, x, role, axes in zip(self.names, arrays, self.roles, self.matched, strict=True):
            require_role(name, x, role, first_name, first)
            for axis in axes:
                if x.shape[axis] != first.shape[axis]:
                    msg = (
                        f"{name} must have the chunks of {first_name} along axis {axis}, "
                        f"got one of length {x.shape[axis]} and one of length {first.shape[axis]}"
                    )
                    raise ValueError(msg)
        return (*arrays, *chunks[n:])


def checked(inputs: Inputs, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of the arrays of a call; for Dask, one that checks their chunks first."""
    if not is_dask(inputs.xp):
        return function
    first = inputs.roles.index("first")
    matched = tuple(
        _matched(name, x, inputs.names[first], inputs.arrays[first])
        for name, x in zip(inputs.names, inputs.arrays, strict=True)
    )
    return Checked(function, inputs.names, inputs.roles, first, matched)


def unchecked(function: Callable[..., Any], chunks: tuple[Any, ...]) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Return the function inside `Checked`, and the chunks after its checks."""
    return (function.function, function.taken(chunks)) if isinstance(function, Checked) else (function, chunks)


def _matched(name: str, x: Any, first_name: str, first: Any) -> tuple[int, ...]:
    """Return the axes along which chunks must match one by one; refuse numbers of chunks that cannot."""
    axes = []
    for axis in range(-min(x.ndim, first.ndim), 0):
        a, b = x.shape[axis], first.shape[axis]
        if not (is_unknown(a) or is_unknown(b)) or a == 1 or b == 1:
            continue
        ours, theirs = x.chunks[axis], first.chunks[axis]
        if is_unknown(a) != is_unknown(b) or len(ours) != len(theirs):
            msg = (
                f"{name} must have the chunks of {first_name} along axis {axis}, where a length is not known yet, "
                f"got {ours} and {theirs}; call the method compute_chunk_sizes of both first"
            )
            raise ValueError(msg)
        if len(ours) > 1:
            axes.append(axis)
    return tuple(axes)
