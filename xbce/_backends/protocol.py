"""The interface of runners."""

from collections.abc import Callable
from typing import Any, Protocol

from .._call.kernel import Arguments, Function, Sums, SumSpec
from .._typing import Array, Namespace


class Runner(Protocol):
    """Runs elementwise functions, mostly kernels, and sums on the arrays of one library.

    Each of `arrays` may also be a Python scalar.
    """

    def run(self, xp: Namespace, function: Function, arrays: Arguments, sums: Sums) -> tuple[Array, ...]:
        """Return the results of `function(xp, *arrays)`, each summed where `sums` says so.

        Sums are accurate for arrays of any size.
        """

    def estimated_sum(self, kernel: Function, arrays: Arguments, sums: Sums) -> tuple[Array, ...] | None:
        """Return an estimate of a sum of high precision, the bound of its error in units, and the other results.

        None if the kernel has no estimates, or nothing may look at the values of these arrays.
        """

    def exact_sum(self, xp: Namespace, terms: tuple[Array, ...], spec: SumSpec) -> Array:
        """Return the sum over axes of terms, each the sum of one element of each array, rounded once to float64.

        A new first axis holds it and what its rounding leaves, which counts for no derivative.
        """

    def map(self, xp: Namespace, function: Callable[..., Any], arrays: Arguments) -> Any:
        """Return `function(xp, *arrays)`, an array or several, without floating-point warnings."""
