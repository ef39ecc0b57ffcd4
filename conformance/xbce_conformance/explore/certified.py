"""Exact results as decimal text, with proven digits."""

import math
from decimal import ROUND_05UP, Context, Decimal
from fractions import Fraction
from typing import Any

import flint
import numpy as np

from xbce_conformance.exact_values.definitions import Definition, evaluate
from xbce_conformance.exact_values.rounding import nearest, rounded
from xbce_conformance.exact_values.signed_series import PRECISION_LIMIT, Ball, more_precise

DIGITS = 21
"""Digits of a text, where no format needs more to be rounded to."""
_BOTH = ("value", "gradient")
_SMALLEST = math.ulp(0.0)
_MOST_EXPONENT = 1024
LEAST_EXPONENT = -1100
"""Stands for the exponent of 0, and of what is as good as that."""


def certified(definition: Definition, numbers: tuple[float, float]) -> tuple[tuple[str, int], ...]:
    """Return value and gradient at a logit and a label: each as text, and the binary exponent of its scale.

    All digits of a text are those of the exact number, but the last: where more digits follow, it is neither 0 nor 5.
    So no text lies in the middle of two numbers of a format unless the exact number does. Rounding a text gives what
    rounding the exact number gives, in every format: both lie on the same side of the same double. What no precision
    tells from 0 is written as 0: no number of a format is as small.
    """
    found: dict[int, tuple[str, int]] = {}
    precision = 192
    while len(found) < len(_BOTH):
        last = precision > PRECISION_LIMIT
        with flint.ctx.workprec(precision):
            for i, (ball, scale) in enumerate(evaluate(definition, 0, numbers)[:2]):
                text = "0" if last and abs(4 * ball) < _SMALLEST else _text(ball)
                if i not in found and text is not None:
                    found[i] = text, _exponent(max(abs(nearest(ball.mid())), nearest(scale.mid())))
        if last and len(found) < len(_BOTH):
            msg = f"the definition has no digits at {numbers}"
            raise ArithmeticError(msg)
        precision = more_precise(precision)
    return found[0], found[1]


def pair(text: str) -> tuple[float, float]:
    """Return the double nearest to a text, and the rest; 0 beside an infinity."""
    exact = Fraction(text)
    try:
        high = float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf, 0.0
    return high, float(exact - Fraction(high))


def _text(ball: Ball) -> str | None:
    """Return the text of a ball; None where it is too wide."""
    right = rounded(ball)
    if right is None:
        return None
    high, low = right
    is_double = bool(ball == high)
    lower, upper = _fraction(ball.lower()), _fraction(ball.upper())
    for digits in range(DIGITS, 64, 6):
        text = _decimal(lower, digits)
        if text != _decimal(upper, digits):
            return None
        written_high, written_low = pair(text)
        # A rest of 0 beside a ball that is not the double: no format asks for its side, or it would have one.
        if written_high == high and ((low == 0 and not is_double) or np.sign(written_low) == np.sign(low)):
            return text
    return None


def _decimal(number: Fraction, digits: int) -> str:
    context: Any = Context(prec=digits, rounding=ROUND_05UP)
    quotient = context.divide(Decimal(number.numerator), Decimal(number.denominator))
    sign, figures, exponent = quotient.as_tuple()
    written = "".join(map(str, figures))
    exponent += len(written) - 1
    written = written.rstrip("0") or "0"
    point = f".{written[1:]}" if written[1:] else ""
    return f"{'-' * sign}{written[0]}{point}e{exponent}" if written != "0" else "0"


def _fraction(end: Ball) -> Fraction:
    mantissa, exponent = (int(part) for part in end.man_exp())
    return Fraction(mantissa) * Fraction(2) ** exponent


def _exponent(magnitude: float) -> int:
    if math.isinf(magnitude):
        return _MOST_EXPONENT
    return int(magnitude.hex().partition("p")[2]) if magnitude >= 2.0**-1022 else LEAST_EXPONENT
