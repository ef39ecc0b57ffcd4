"""What a runner offers to the steps around a formula."""

from typing import Any, Protocol

from xbce._formulas import Formula
from xbce._typing import Array, DType, Namespace


class Runner(Protocol):
    """Runs formulas and sums on the arrays of one library."""

    def run(self, xp: Namespace, formula: Formula, method: str, arrays: tuple[Array, ...]) -> Any:
        """Return `formula.<method>(xp, *arrays)`: an array, or a tuple of arrays where the method returns one."""

    def sum(self, xp: Namespace, x: Array, axis: tuple[int, ...], dtype: DType) -> Array:
        """Return the sum over `axis`, accumulated and returned in `dtype`, with little error at any size."""

    def divide(self, xp: Namespace, x: Array, denominator: Array | float) -> Array:
        """Return `x / denominator`; a zero denominator gives what IEEE 754 says, without a warning."""
