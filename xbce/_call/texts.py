"""Types and numbers in error messages."""

import math
from typing import Any

_BITS = {"float16": (11, -24), "bfloat16": (8, -133), "float32": (24, -149)}
"""Bits of the significand, and the exponent of the smallest number."""
_MOST_BITS = 256
"""Bits of an int that is shown in full. Python refuses to print an int of more than 4300 digits."""


def type_name(x: Any) -> str:
    """Return the full name of the type of `x`."""
    cls = type(x)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def shown(x: Any) -> str:
    """Return the representation of an argument, or the size of a huge int."""
    if isinstance(x, int) and x.bit_length() > _MOST_BITS:
        return f"an int of {x.bit_length()} bits"
    return repr(x)


def digits_of(x: float, dtype: str) -> str:
    """Return the fewest digits that identify a number in its dtype."""
    if dtype not in _BITS or x == 0 or not math.isfinite(x):
        return repr(x).removesuffix(".0")
    bits, smallest = _BITS[dtype]
    mantissa, exponent = math.frexp(x)
    # A decimal nearer than half of the spacing rounds to x. Below a power of two the spacing is half of that above.
    nearer = 2.0 ** (max(exponent - bits, smallest) - (2 if abs(mantissa) == 0.5 else 1))
    candidates = (float(f"{x:.{n}g}") for n in range(1, 17))
    return repr(next((c for c in candidates if abs(c - x) < nearer), x)).removesuffix(".0")
