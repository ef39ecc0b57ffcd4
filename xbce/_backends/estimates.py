"""High precision where values can be looked at: by estimates first, and by pairs where those do not decide."""

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

    estimated: Kernel | None
    """The kernel in estimates; None if an operation of it has none."""
    rounded: Kernel
    """The kernel of the results that are rounded: all of them but summands."""
    summands: int
    """Number of results that are not rounded."""


@dataclass(frozen=True, slots=True)
class Estimator:
    """Runs kernels of pairs on the arrays of one library."""

    run: Run
    """Runs any kernel."""
    places: Callable[[Array], Places]
    """Returns where a condition holds."""
    broadcast: Callable[[Array, tuple[int, ...]], Array]
    """Broadcasts an array to a shape."""

    def rounded(self, kernel: Kernel, arrays: Arguments, sums: Sums) -> tuple[Array, ...] | None:
        """Return the results of a kernel; None if there are no estimates, or results are not rounded."""
        attempt = _ATTEMPTS(kernel)
        return None if attempt.summands else self._results(attempt, arrays, sums)

    def summed(self, kernel: Kernel, arrays: Arguments, sums: Sums) -> tuple[Array, ...] | None:
        """Return the sum of a value, the bound of its error in units, and other results; None without estimates."""
        attempt = _ATTEMPTS(kernel)
        return self._results(attempt, arrays, sums) if attempt.summands else None

    def _results(self, attempt: _Attempt, arrays: Arguments, sums: Sums) -> tuple[Array, ...] | None:
        if attempt.estimated is None:
            return None
        rounded = len(attempt.rounded.outputs)
        try:
            found = self.run(attempt.estimated, arrays, (*sums, None) if rounded else sums)
        except UnsupportedError:
            attempt.estimated = None
            return None
        if not rounded:
            return found
        *results, uncertain = found
        places = self.places(uncertain)
        if places[0].shape[0]:
            shape = arrays[0].shape  # type: ignore[union-attr]  # the first one is an array
            parts = tuple(self.broadcast(a, shape)[places] if getattr(a, "ndim", 0) else a for a in arrays)
            again = self.run(attempt.rounded, parts, (None,) * rounded)
            for result, part in zip(results[attempt.summands :], again, strict=True):
                result[places] = part
        return tuple(results)


def _attempt(kernel: Kernel) -> _Attempt:
    rounded = tuple(output for output in kernel.outputs if output.dtype != output.weighing)
    summands = len(kernel.outputs) - len(rounded)
    estimated = kernel.estimated() if kernel.arithmetic == "pairs" else None
    return _Attempt(estimated, replace(kernel, outputs=rounded), summands)


_ATTEMPTS = IdentityCache(_attempt)
