"""NumPy: without floating-point warnings, and with sums that stay accurate along any axis."""

import math
from typing import Any

from xbce._formulas import Formula
from xbce._typing import Array, DType, Namespace


class NumpyRunner:
    """Calls the formula with floating-point warnings off: infinities and NaN have defined results here."""

    def run(self, xp: Namespace, formula: Formula, method: str, arrays: tuple[Array, ...]) -> Any:
        """Return `formula.<method>(xp, *arrays)`."""
        with xp.errstate(all="ignore"):
            return getattr(formula, method)(xp, *arrays)

    def sum(self, xp: Namespace, x: Array, axis: tuple[int, ...], dtype: DType) -> Array:
        """Return the sum.

        NumPy sums pairwise only along memory that is contiguous; along any other axis its error grows with the length
        (2e5 ULP of a float64 mean at 10^7 elements). So the summed axes are brought together at the end first.
        """
        kept = tuple(i for i in range(x.ndim) if i not in axis)
        shape = (*(x.shape[i] for i in kept), math.prod(x.shape[i] for i in axis))
        flat = xp.reshape(xp.permute_dims(x, kept + axis), shape)
        with xp.errstate(all="ignore"):
            return xp.sum(xp.ascontiguousarray(flat), axis=-1, dtype=dtype)

    def divide(self, xp: Namespace, x: Array, denominator: Array | float) -> Array:
        """Return the quotient."""
        with xp.errstate(all="ignore"):
            return x / denominator
