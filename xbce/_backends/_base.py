"""What a runner offers to the steps around a formula."""

from collections.abc import Callable
from typing import Any, Protocol

from xbce._formulas import Formula
from xbce._typing import Array, DType, Namespace


class Runner(Protocol):
    """Runs formulas, other elementwise functions and sums on the arrays of one library."""

    def run(self, xp: Namespace, formula: Formula, method: str, arrays: tuple[Array, ...]) -> Any:
        """Return `formula.<method>(xp, *arrays)`: an array, or a tuple of arrays where the method returns one."""

    def map(self, xp: Namespace, function: Callable[..., Any], arrays: tuple[Array | float, ...]) -> Any:
        """Return `function(xp, *arrays)`, an elementwise function, without floating-point warnings."""

    def sum(self, xp: Namespace, x: Array, axis: tuple[int, ...], dtype: DType) -> Array:
        """Return the sum over `axis`, accumulated and returned in `dtype`, with little error at any size."""
