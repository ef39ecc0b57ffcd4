"""Errors for a reader who does not count in ULP: decimal digits lost, absolute errors, numbers as people write them."""

import math
import re

from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.results.model import Row

_ROUNDED = 0.5
"""The largest error in ULP of a correctly rounded result."""

_NOTHING = 0.05


def digits_of(dtype: str) -> float:
    """Return how many decimal digits a format holds."""
    return FORMATS[dtype].p * math.log10(2)


def digits_lost(ulp: float, dtype: str) -> float:
    """Return how many decimal digits an error costs: none of a correctly rounded result, at most all of the format.

    Where less than a twentieth of a digit is left, which is written "0.0", all are lost.
    """
    lost, all_of_them = math.log10(max(ulp, _ROUNDED) / _ROUNDED), digits_of(dtype)
    return lost if lost < all_of_them - _NOTHING else all_of_them


def share_lost(ulp: float, dtype: str) -> float:
    """Return the digits lost as a share of those that the format holds."""
    return digits_lost(ulp, dtype) / digits_of(dtype)


def digits_text(digits: float) -> str:
    """Write a number of digits, to a tenth; never "-0.0"."""
    return f"{max(digits, 0.0):.1f}"


def absolute_error(row: Row) -> float | None:
    """Return the absolute error at the worst input; None where a result or the exact one is no finite number.

    In float64 the exact value is kept to half an ULP: there it is an upper bound.
    """
    computed, exact = _number(row.worst.computed), _number(row.worst.exact)
    if computed is None or exact is None or not (math.isfinite(computed) and math.isfinite(exact)):
        return None
    unsure = math.ulp(exact) / 2 if row.dtype == "float64" else 0.0
    return abs(computed - exact) + unsure


def cancels(row: Row) -> bool:
    """Tell whether the worst result is a difference of nearly equal numbers, in whose ULP its error is counted."""
    error = absolute_error(row)
    if error is None or not math.isfinite(row.figures.max_ulp):
        return False
    return error > 4 * row.figures.max_ulp * float(FORMATS[row.dtype].ulp(float.fromhex(row.worst.exact)))


def absolute_text(row: Row) -> str:
    """Write the absolute error; with "≤" where it is an upper bound."""
    error = absolute_error(row)
    if error is None:
        return "–"
    return f"{'≤ ' if row.dtype == 'float64' else ''}{error:.2g}"


def decimal(text: str) -> str:
    """Write a number that `float.hex` wrote in decimal, to six digits; any other text as it is."""
    number = _number(text)
    return text if number is None else f"{number:.6g}"


def beside(computed: str, exact: str) -> tuple[str, str]:
    """Write a result and the exact value in decimal, with as many digits as tell one from the other."""
    numbers = [_number(text) for text in (computed, exact)]
    for places in (6, 9, 17):
        written = [
            text if number is None else f"{number:.{places}g}"
            for text, number in zip((computed, exact), numbers, strict=True)
        ]
        if written[0] != written[1]:
            break
    return written[0], written[1]


def inputs_text(inputs: dict[str, str]) -> str:
    """Write arguments in decimal."""
    return ", ".join(f"{name} {decimal(number)}" for name, number in inputs.items())


def _number(text: str) -> float | None:
    """Return a number that `float.hex` wrote; None for an exception that was raised, or a dtype that came."""
    return float.fromhex(text) if re.fullmatch(r"-?(0x[01]\.?[0-9a-f]*p[+-]\d+|inf|nan)", text) else None
