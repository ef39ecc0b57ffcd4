"""Follows relative errors through a formula: variables of Gappa, and what each operation makes of them.

Of a product the error is (1 + e) (1 + f) (1 + d) - 1, where d is the error of the operation itself; of a sum a + b the
mean of the errors of a and b, weighted by a / (a + b). log(1 + v) is concave and 0 at 0, so that a relative error of v
is at most as large in it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import flint

from proofs.script import within
from proofs.translation import UntranslatedError

_GRID = 2**20


@dataclass(frozen=True)
class Real:
    """A number of the formula."""

    sign: int
    least: Fraction
    most: Fraction
    """The ends of its magnitude, but for errors; equal for a constant."""
    exact: Callable[..., Any]
    """What it is without errors, in balls: a function of the arguments."""
    error: str = "0"
    """Its relative error, as Gappa reads it."""
    unit: Fraction = Fraction(0)
    """A power of two of which it is a multiple, as computed; 0 if none is known."""

    def __neg__(self) -> "Real":
        return replace(self, sign=-self.sign, exact=lambda *at: -self.exact(*at))


def constant(x: Fraction) -> Real:
    """Return a constant."""
    ball, last_digit = flint.fmpq(x.numerator, x.denominator), Fraction(x.numerator & -x.numerator, x.denominator)
    return Real((x > 0) - (x < 0), abs(x), abs(x), lambda *_: flint.arb(ball), unit=last_digit)


class Errors:
    """The definitions and hypotheses of one case, whose names end in `side`."""

    def __init__(self, side: str) -> None:
        self.lines: list[str] = []
        self.hypotheses: list[str] = []
        self.side = side

    def sum(self, a: Real, b: Real, own: Fraction) -> Real:
        """Return a + b; `own` bounds the error of the operation itself, here and below."""
        if not a.sign or not b.sign:
            return b if not a.sign else a  # exact
        if a.least == a.most and b.least == b.most:
            exact = a.sign * a.least + b.sign * b.least
            if exact not in (-1, 0, 1):
                msg = "a sum of constants that are no labels"
                raise UntranslatedError(msg)
            return constant(exact)
        unit = min(a.unit, b.unit)
        if a.sign == b.sign:
            weight = self.variable("w", a.least / (a.least + b.most), a.most / (a.most + b.least))
            least, most = a.least + b.least, a.most + b.most
        elif a.least == a.most == 1 and b.most <= Fraction(1, 2):
            weight = self.variable("w", 1 / (1 - b.least), 1 / (1 - b.most))
            least, most = 1 - b.most, 1 - b.least
        elif a.error == b.error == "0" and a.least >= b.most:  # nothing is lost before it
            least, most = a.least - b.most, a.most - b.least
            return Real(a.sign, least, most, lambda *at: a.exact(*at) + b.exact(*at), self.error("1", own), unit)
        else:
            msg = "a difference that may cancel"
            raise UntranslatedError(msg)
        error = self.error(f"(1 + {weight} * {a.error} + (1 - {weight}) * {b.error})", own)
        return Real(a.sign, least, most, lambda *at: a.exact(*at) + b.exact(*at), error, unit)

    def product(self, a: Real, b: Real, own: Fraction) -> Real:
        """Return a b."""
        error = self.error(f"(1 + {a.error}) * (1 + {b.error})", own)
        sign, least, most, unit = a.sign * b.sign, a.least * b.least, a.most * b.most, a.unit * b.unit
        return Real(sign, least, most, lambda *at: a.exact(*at) * b.exact(*at), error, unit)

    def share_of(self, a: Real, b: Real, own: Fraction) -> Real:
        """Return a / b, where b is 1 + a as computed."""
        error = self.error(f"(1 + {a.error}) / (1 + {b.error})", own)
        least, most = (end / (1 + end) for end in (a.least, a.most))  # it increases with a
        return Real(a.sign, least, most, lambda *at: a.exact(*at) / b.exact(*at), error)

    def log_one_plus(self, v: Real, own: Fraction) -> Real:
        """Return log(1 + v), v from 0 to 1."""
        weight = self.variable("w", Fraction(0), Fraction(1))
        error = self.error(f"(1 + {weight} * {v.error})", own)
        return Real(1, v.least / 2, Fraction(1), lambda *at: v.exact(*at).log1p(), error)

    def error(self, factor: str, own: Fraction) -> str:
        """Define the error of a number that is this factor too large before the operation rounds it."""
        d, e = self.variable("d", -own, own), self.name("e", self.lines)
        self.lines.append(f"{e} = {factor} * (1 + {d}) - 1;")
        return e

    def variable(self, letter: str, low: Fraction, high: Fraction) -> str:
        """Return a new variable within these ends."""
        variable = self.name(letter, self.hypotheses)
        if letter == "w":
            low, high = Fraction(math.floor(low * _GRID), _GRID), Fraction(math.ceil(high * _GRID), _GRID)
        self.hypotheses.append(within(variable, low, high))
        return variable

    def name(self, letter: str, of: list[str]) -> str:
        """Return a name that no other of these has."""
        return f"{letter}{len(of)}_{self.side}"
