"""Plain calls of the library's functions: for libraries that need nothing else."""

from collections.abc import Callable
from typing import Any

from .._call.kernel import Arguments, Function, Quotient, Sums, SumSpec, summed
from .._precision import exact_sum
from .._typing import Array, Namespace
from .protocol import Run


class EagerRunner:
    """Calls functions directly."""

    def run(self, xp: Namespace, function: Function, arrays: Arguments, sums: Sums) -> tuple[Array, ...]:
        """Return the results, summed by the library's own sum."""
        return summed(xp, self.map(xp, function, arrays), sums)

    def prepared(self, otherwise: Run, xp: Namespace, function: Function, sums: Sums, quotient: Quotient | None) -> Run:  # noqa: ARG002
        """Return `otherwise`."""
        return otherwise

    def estimated_sum(self, kernel: Function, arrays: Arguments, sums: Sums) -> tuple[Array, ...] | None:  # noqa: ARG002
        """Return None: nothing looks at values, which may be lazy or traced."""
        return None

    def exact_sum(self, xp: Namespace, terms: tuple[Array, ...], spec: SumSpec) -> Array:
        """Return the sum of terms."""
        return exact_sum(xp, terms, spec.axes)

    def map(self, xp: Namespace, function: Callable[..., Any], arrays: Arguments) -> Any:
        """Return `function(xp, *arrays)`."""
        return function(xp, *arrays)
