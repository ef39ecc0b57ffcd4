"""Plain calls: for every library that needs nothing else."""

from collections.abc import Callable
from typing import Any

from xbce._formulas import Formula
from xbce._typing import Array, DType, Namespace


class EagerRunner:
    """Calls everything as it stands."""

    def run(self, xp: Namespace, formula: Formula, method: str, arrays: tuple[Array, ...]) -> Any:
        """Return `formula.<method>(xp, *arrays)`."""
        return self.map(xp, getattr(formula, method), arrays)

    def map(self, xp: Namespace, function: Callable[..., Any], arrays: tuple[Array | float, ...]) -> Any:
        """Return `function(xp, *arrays)`."""
        return function(xp, *arrays)

    def sum(self, xp: Namespace, x: Array, axis: tuple[int, ...], dtype: DType) -> Array:
        """Return the library's own sum."""
        return xp.sum(x, axis=axis, dtype=dtype)
