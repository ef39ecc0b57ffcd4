"""Plain calls: for every library that needs nothing else."""

from typing import Any

from xbce._formulas import Formula
from xbce._typing import Array, DType, Namespace


class EagerRunner:
    """Calls the formula as it stands."""

    def run(self, xp: Namespace, formula: Formula, method: str, arrays: tuple[Array, ...]) -> Any:
        """Return `formula.<method>(xp, *arrays)`."""
        return getattr(formula, method)(xp, *arrays)

    def sum(self, xp: Namespace, x: Array, axis: tuple[int, ...], dtype: DType) -> Array:
        """Return the library's own sum."""
        return xp.sum(x, axis=axis, dtype=dtype)

    def divide(self, xp: Namespace, x: Array, denominator: Array | float) -> Array:  # noqa: ARG002
        """Return the library's own quotient."""
        return x / denominator
