"""The interface of runners."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from .._call.kernel import Arguments, Function, Quotient, Sums, SumSpec
from .._typing import Array, Namespace

Run: TypeAlias = Callable[[Arguments], tuple[Array, ...]]
"""Takes arrays, and returns results."""


class Runner(Protocol):
    """Runs elementwise functions, mostly kernels, and sums on the arrays of one library.

    Each of `arrays` may also be a Python scalar.
    """

    def run(self, xp: Namespace, function: Function, arrays: Arguments, sums: Sums) -> tuple[Array, ...]:
        """Return the results of `function(xp, *arrays)`, each summed where `sums` says so.

        Sums are accurate for arrays of any size.
        """

    def prepared(self, otherwise: Run, xp: Namespace, function: Function, sums: Sums, quotient: Quotient | None) -> Run:
        """Return what does the same as `otherwise`, for arrays of the same dtypes, shapes and devices in every call.

        That is to `run` the function, of whose results no other than the first one is summed, and to replace the first
        one by its quotient if there is one.
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
