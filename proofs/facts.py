"""What the scripts take as given, checked one by one: every entry of every table, in ball arithmetic."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import flint

from proofs.series import SERIES
from proofs.steps import estimates, exponential, logarithm, loss, own_functions, sums
from proofs.steps.pairs import HALF
from proofs.steps.step import power
from xbce._precision import tables

_BITS = 300
_ROWS = range(tables.ROWS + 1, 2 * tables.ROWS + 1)
"""Rows of numbers from 1 to 2, without that of 1."""


@dataclass(frozen=True)
class Fact:
    """Numbers that must be at most a bound."""

    what: str
    domain: str
    bound: Fraction
    numbers: Callable[[], Iterator[Fraction]]

    def magnitude(self) -> Fraction:
        """Return the largest of the numbers, in magnitude."""
        before, flint.ctx.prec = flint.ctx.prec, _BITS
        try:
            return max(map(abs, self.numbers()))
        finally:
            flint.ctx.prec = before


def facts() -> list[Fact]:
    """Return the facts."""
    return [
        Fact("exp: 2^(j / 1024) of the table", "all 1024", exponential.POWER_ERROR, _powers),
        Fact(
            "exp: 2^(j / 1024) - 3 / 2",
            "all 1024",
            power(-1),
            lambda: (Fraction(x) - power(-1, 3) for x in tables.POWER.numbers),
        ),
        Fact("exp: low part of 2^(j / 1024)", "all 1024", HALF, lambda: map(Fraction, tables.POWER_REST.numbers)),
        Fact("exp: log(2) / 1024, a sum of two doubles", "", exponential.STEP_ERROR, _step),
        Fact("log: |m c - 1|", "all rows from 1 to 2", logarithm.U, _reduced),
        Fact("log: log(c) of the table", "all rows from 1 to 2", logarithm.TABLE_ERROR, _logarithms),
        Fact(
            "log: 1 / log(c)",
            "all rows from 1 to 2",
            1 / logarithm.LEAST,
            lambda: (1 / Fraction(x) for _, _, x, _ in _rows()),
        ),
        Fact("log: low part of log(c)", "all rows from 1 to 2", HALF / 2, _low_parts),
        Fact("log: 1 / log(m)", "next to the row of 1", 1 / logarithm.LEAST, _least),
        Fact("log: v in the row of 1", "", SERIES["logarithm_near_1"].most, lambda: iter([_row_of_1()])),
        Fact("plain loss: formula as recorded - definition", "15 logits of each sign", power(-250), _formulas),
        Fact(
            "estimates, plain loss: formula as recorded - definition",
            "15 logits of each sign",
            power(-250),
            lambda: map(_most, estimates.differences()),
        ),
        *(
            Fact(f"own exp, {fmt.dtype}: log(2), a sum of two numbers", "", fmt.log_2_error, partial(_log_2, fmt))
            for fmt in own_functions.FORMATS
        ),
        Fact("sum: of the digits of one place, an integer", "2^29 terms", power(53), _digits),
    ]


def _ball(x: float | Fraction) -> Any:
    exact = Fraction(x)
    return flint.arb(flint.fmpq(exact.numerator, exact.denominator))


def _most(ball: Any) -> Fraction:
    """Return what the magnitude of a ball is at most."""
    mantissa, exponent = ball.abs_upper().man_exp()
    return power(int(exponent), int(mantissa))


def _powers() -> Iterator[Fraction]:
    entries = zip(tables.POWER.numbers, tables.POWER_REST.numbers, strict=True)
    for j, (high, low) in enumerate(entries):
        yield _most(_ball(Fraction(high) + Fraction(low)) - flint.arb(2) ** (flint.arb(j) / tables.STEPS))


def _step() -> Iterator[Fraction]:
    step = Fraction(tables.STEP) + Fraction(tables.STEP_REST)
    yield _most(_ball(step) - flint.arb(2).log() / tables.STEPS)


def _log_2(fmt: own_functions.Format) -> Iterator[Fraction]:
    parts = Fraction(fmt.constants.log_2) + Fraction(fmt.constants.log_2_rest)
    yield _most(_ball(parts) - flint.arb(2).log())


def _rows() -> Iterator[tuple[int, float, float, float]]:
    for row in _ROWS:
        i = row - tables.FIRST_ROW
        yield row, tables.INVERSE.numbers[i], tables.LOG.numbers[i], tables.LOG_REST.numbers[i]


def _reduced() -> Iterator[Fraction]:
    """Yield m c - 1 at both ends of a row; the low part of m adds its size to the half of a row."""
    half = Fraction(1, 2 * tables.ROWS) + 2 * HALF
    for row, inverse, _, _ in _rows():
        c = Fraction(inverse)
        if (c * 2**13).denominator != 1 or not Fraction(1, 2) <= c <= 1:
            msg = f"the inverse of row {row} has more than 13 binary digits"
            raise ValueError(msg)
        for m in (Fraction(row, tables.ROWS) - half, Fraction(row, tables.ROWS) + half):
            yield m * c - 1


def _logarithms() -> Iterator[Fraction]:
    for _, inverse, high, low in _rows():
        yield _most(_ball(Fraction(high) + Fraction(low)) + _ball(inverse).log())


def _low_parts() -> Iterator[Fraction]:
    return (Fraction(low) for _, _, _, low in _rows())


def _least() -> Iterator[Fraction]:
    yield _most(1 / _ball(_row_of_1() - 2 * HALF).log1p())


def _row_of_1() -> Fraction:
    """Return the largest v of the row: that of 1 + 2^-10, a tie, is rounded to an even row."""
    tie = Fraction(tables.ROWS) + Fraction(1, 2)
    if round(tie) != tables.ROWS:
        msg = "the row of 1 does not end at a tie"
        raise ValueError(msg)
    return tie / tables.ROWS - 1 + 2 * HALF


def _formulas() -> Iterator[Fraction]:
    return map(_most, loss.differences())


def _digits() -> Iterator[Fraction]:
    # The rest of a term is at most half of the last digit's unit: both together are at most 2^24 in each place.
    yield Fraction(sums.TERMS) * 2**24
