"""High precision where values can be looked at: first by what is quick, then, where that has no result, by pairs."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from .._call.kernel import Arguments, Function, Kernel, Sums
from .._compiler.cache import IdentityCache
from .._precision import UnsupportedError
from .._typing import Array

Run = Callable[[Function, Arguments, Sums], Any]
Places = tuple[Array, ...]
"""Indices along each axis."""


@dataclass(slots=True)
class _Attempt:
    """What is known of a kernel."""

    quick: Kernel | None
    """The kernel that has most results; None if there is none, or an operation of it has no estimate."""
    rest: Kernel
    """The kernel of the results that the quick one leaves."""
    summands: int
    """Number of outputs, the first ones, of which there are estimates: a value, and what its rounding leaves."""


@dataclass(frozen=True, slots=True)
class QuickWay:
    """Runs functions on the arrays of one library, kernels of high precision by the quick way."""

    plainly: Run
    """Runs any function, for all elements in the same way."""
    places: Callable[[Array], Places]
    """Returns where a condition holds."""
    broadcast: Callable[[Array, tuple[int, ...]], Array]
    """Broadcasts an array to a shape."""

    def run(self, function: Function, arrays: Arguments, sums: Sums) -> Any:
        """Return the results of a function of high precision."""
        attempt = _attempt_of(function, arrays)
        results = None if attempt is None or attempt.summands else self._results(attempt, arrays, sums)
        return self.plainly(function, arrays, sums) if results is None else results

    def estimated_sum(self, kernel: Function, arrays: Arguments, sums: Sums) -> tuple[Array, ...] | None:
        """Return the sum of a value, the bound of its error in units, and other results; None without estimates."""
        attempt = _attempt_of(kernel, arrays)
        return None if attempt is None or not attempt.summands else self._results(attempt, arrays, sums)

    def _results(self, attempt: _Attempt, arrays: Arguments, sums: Sums) -> tuple[Array, ...] | None:
        if attempt.quick is None:
            return None
        left = len(attempt.rest.outputs)
        try:
            found: tuple[Array, ...] = self.plainly(attempt.quick, arrays, (*sums, None) if left else sums)
        except UnsupportedError:
            attempt.quick = None
            return None
        if not left:
            return found
        *results, uncertain = found
        places = self.places(uncertain)
        if places[0].shape[0]:
            shape = arrays[0].shape  # type: ignore[union-attr]  # the first one is an array
            parts = tuple(self.broadcast(a, shape)[places] if getattr(a, "ndim", 0) else a for a in arrays)
            again = self.plainly(attempt.rest, parts, (None,) * left)
            for result, part in zip(results[attempt.summands :], again, strict=True):
                result[places] = part
        return tuple(results)


def _attempt_of(function: Function, arrays: Arguments) -> _Attempt | None:
    """Return what is known of a kernel; None of other functions, and of arrays without elements or axes.

    A scalar has no memory to write into.
    """
    if type(function) is not Kernel:
        return None
    shape: tuple[int, ...] = arrays[0].shape  # type: ignore[union-attr]
    if not shape or 0 in shape:
        return None
    attempt: _Attempt = _ATTEMPTS(function)
    return attempt


def _attempt(kernel: Kernel) -> _Attempt:
    quick = kernel.quick()
    summands = 0
    if quick is not None and quick.arithmetic == "estimates":
        summands = sum(output.dtype == output.weighing for output in kernel.outputs)
    return _Attempt(quick, replace(kernel, outputs=kernel.outputs[summands:]), summands)


_ATTEMPTS = IdentityCache(_attempt)
