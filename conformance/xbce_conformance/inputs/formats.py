"""The floating formats that are tested, and ULP in them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[Any]
"""A NumPy array of one of the formats."""

Doubles: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]


_DOUBLE_P = 53


@dataclass(frozen=True)
class Format:
    """A binary floating format with precision p and least exponent emin (of a normal number)."""

    name: str
    dtype: np.dtype[Any]
    p: int
    emin: int

    @cached_property
    def bits(self) -> np.dtype[Any]:
        """The unsigned integer dtype of the same size."""
        return np.dtype(f"u{self.dtype.itemsize}")

    @cached_property
    def tiny(self) -> float:
        """The smallest positive normal number."""
        return float(np.ldexp(1.0, self.emin))

    @cached_property
    def smallest(self) -> float:
        """The smallest positive (subnormal) number: 1 ULP of everything below 2 `tiny`."""
        return float(np.ldexp(1.0, self.emin - self.p + 1))

    @cached_property
    def max(self) -> float:
        """The largest finite number."""
        return float(np.ldexp(2.0 - np.ldexp(1.0, 1 - self.p), 1 - self.emin))

    def round(self, x: npt.ArrayLike) -> Floats:
        """Round float64 numbers to the format once: to nearest, ties to even."""
        doubles = np.asarray(x, np.float64)
        with np.errstate(over="ignore", under="ignore"):
            wide = _singles(doubles) if self.dtype == ml_dtypes.bfloat16 else doubles
            return wide.astype(self.dtype)

    def round_pair(self, high: npt.ArrayLike, low: npt.ArrayLike) -> Floats:
        """Round exact values high + low to the format once, where `high` is the nearest double.

        To a narrower format `high` alone would round twice: where it lies in the middle of two numbers, `low` decides.
        """
        nearest, rest = np.asarray(high, np.float64), np.asarray(low, np.float64)
        if self.p == _DOUBLE_P:
            return nearest
        # Rounded to odd: inexact, the last bit is 1, so it is no middle. The sign of a zero stays.
        even = (nearest.view(np.uint64) & 1 == 0) & (nearest != 0)
        up, down = even & (rest > 0), even & (rest < 0)
        nearest = np.where(up, np.nextafter(nearest, np.inf), nearest)
        return self.round(np.where(down, np.nextafter(nearest, -np.inf), nearest))

    def ulp(self, x: npt.ArrayLike) -> Doubles:
        """Return 2^(max(floor(log2 |x|), emin) - p + 1) for exact values x."""
        x = np.asarray(x, np.float64)
        exponent = np.where((x == 0) | ~np.isfinite(x), self.emin, np.frexp(x)[1] - 1)
        return np.asarray(np.ldexp(1.0, np.maximum(exponent, self.emin) - self.p + 1))

    def from_bits(self, bits: npt.ArrayLike) -> Floats:
        """Return the numbers with these bit patterns."""
        return np.asarray(bits).astype(self.bits).view(self.dtype)

    def hex(self, x: Any) -> str:
        """Write a number of the format so that it can be read back exactly."""
        return float(x).hex()


def _singles(x: Doubles) -> npt.NDArray[np.float32]:
    """Return float32 numbers that round to bfloat16 as doubles do: ml_dtypes converts by way of float32.

    One that became the middle of two bfloat16 numbers, and was none, is moved off it, to the side that it came from.
    """
    flat = x.astype(np.float32).ravel()
    middles = np.flatnonzero(flat.view(np.uint32).astype(np.uint16) == 0x8000)
    double, single = x.ravel()[middles], flat[middles]
    side = np.where(double > single, np.float32(np.inf), np.float32(-np.inf))
    flat[middles] = np.where(double == single, single, np.nextafter(single, side))
    return flat.reshape(x.shape)


FORMATS = {
    f.name: f
    for f in (
        Format("float16", np.dtype(np.float16), 11, -14),
        Format("bfloat16", np.dtype(ml_dtypes.bfloat16), 8, -126),
        Format("float32", np.dtype(np.float32), 24, -126),
        Format("float64", np.dtype(np.float64), _DOUBLE_P, -1022),
    )
}
