"""High precision where values can be looked at: first by what is quick, then, where that has no result, by pairs."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from .._call.kernel import Arguments, Kernel, Sums
from .._compiler.cache import IdentityCache
from .._precision import UnsupportedError
from .._typing import Array

Run = Callable[[Kernel, Arguments, Sums], tuple[Array, ...]]
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
    """Runs kernels of high precision on the arrays of one library."""

    run: Run
    """Runs any kernel."""
    places: Callable[[Array], Places]
    """Returns where a condition holds."""
    broadcast: Callable[[Array, tuple[int, ...]], Array]
    """Broadcasts an array to a shape."""

    def results(self, kernel: Kernel, arrays: Arguments, sums: Sums) -> tuple[Array, ...] | None:
        """Return the results of a kernel; None if nothing is quicker than the kernel itself."""
        attempt = _ATTEMPTS(kernel)
        return None if attempt.summands else self._results(attempt, arrays, sums)

    def summed(self, kernel: Kernel, arrays: Arguments, sums: Sums) -> tuple[Array, ...] | None:
        """Return the sum of a value, the bound of its error in units, and other results; None without estimates."""
        attempt = _ATTEMPTS(kernel)
        return self._results(attempt, arrays, sums) if attempt.summands else None

    def _results(self, attempt: _Attempt, arrays: Arguments, sums: Sums) -> tuple[Array, ...] | None:
        if attempt.quick is None:
            return None
        left = len(attempt.rest.outputs)
        try:
            found = self.run(attempt.quick, arrays, (*sums, None) if left else sums)
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
            again = self.run(attempt.rest, parts, (None,) * left)
            for result, part in zip(results[attempt.summands :], again, strict=True):
                result[places] = part
        return tuple(results)


def _attempt(kernel: Kernel) -> _Attempt:
    quick = kernel.quick()
    summands = 0
    if quick is not None and quick.arithmetic == "estimates":
        summands = sum(output.dtype == output.weighing for output in kernel.outputs)
    return _Attempt(quick, replace(kernel, outputs=kernel.outputs[summands:]), summands)


_ATTEMPTS = IdentityCache(_attempt)
