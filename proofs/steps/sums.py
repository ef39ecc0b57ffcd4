"""The exact sum: the digits of a term, their sums, and the sum of plain losses.

The unit is that of the first place: the largest term is from 1 to 2^24 of it.
"""

from fractions import Fraction
from itertools import pairwise
from typing import Any

from proofs.polynomial import Polynomial, name, polynomial
from proofs.recording import TRANSFORMATIONS, kept, recorded
from proofs.script import Claim, Script, at_most, within
from proofs.steps.loss import VALUE
from proofs.steps.step import Step, power
from proofs.translation import ZERO, Reading, Translation, known
from xbce._precision import sums

TERMS = 2**29
"""The most terms."""
CUT = power(-101, 33)
"""Bounds what is cut off one double of a term."""
IN_UNITS = power(-92)
"""Bounds the error of the sum of the digits' sums, relative to terms of one sign."""
SUM = power(-66, Fraction(17, 16))
"""Bounds the relative error of a sum of plain losses, before it is rounded."""
_WEIGHTS = [power(-sums.BITS * i) for i in range(sums.PLACES)]


def steps() -> list[Step]:
    """Return the steps."""
    return [_digits(), _in_units(), _sum()]


def _digits() -> Step:
    def digits(xp: Any, x: Any) -> Any:
        return tuple(sums._digits(xp, x))  # noqa: SLF001

    read = Translation(recorded(digits, 1), ["x"], Reading(integers=False))
    kept_part = ZERO
    for weight, digit in zip(_WEIGHTS, read.outputs, strict=True):
        kept_part = kept_part.plus(digit.times(known(polynomial(weight))))
    script = Script(["x"], [*read.lines, f"error = {kept_part.text.text()} - x;"])
    # In each binade x is a multiple of a number that makes its digits exact.
    edges = [Fraction(0), *(power(i) for i in range(-50, sums.BITS + 1))]
    script.cases = [([within("x", low, high)], []) for low, high in pairwise(edges)]
    script.hints = [f"error -> {read.causes(kept_part.plus(known(name('x')), -1))};"]
    first = read.outputs[0].text.text()
    claims = (Claim("error", CUT), Claim(first, power(sums.BITS), in_table=False))
    return Step("sum_digits", "sum: what is cut off a term", "0 <= x < 2^24 units; so for -x", script, claims)


def _in_units() -> Step:
    names = [f"digit{i}" for i in range(sums.PLACES)]
    with kept(TRANSFORMATIONS):
        graph = recorded(lambda _, *digits: sums.in_units(digits), sums.PLACES)
    read = Translation(graph, names, Reading(ordered=False))
    exact: Polynomial = polynomial(0)
    for weight, digit in zip(_WEIGHTS, names, strict=True):
        exact = exact + name(digit) * weight
    script = Script(names, [*read.lines, f"exact = {exact.text()};", f"error = ({read.result(0, 1)} - exact) / exact;"])
    most = TERMS * 2**sums.BITS
    for exponent in range(0, 54, 6):
        bounds = [min(Fraction(most), power(exponent + 6) / weight) for weight in _WEIGHTS]
        digits = [at_most(digit, bound) for digit, bound in zip(names, bounds, strict=True)]
        script.cases.append(([within("exact", power(exponent), power(exponent + 6)), *digits], []))
    script.hints = [f"{read.result(0, 1)} - exact -> {read.error([0, 1], exact)};", *read.hints]
    domain = f"{sums.PLACES} sums of digits, up to 2^53, of terms of one sign"
    return Step("sum_in_units", "sum: relative error of the last sums", domain, script, (Claim("error", IN_UNITS),))


def _sum() -> Step:
    script = Script()
    script.lines = [
        "# exact: the sum; terms: that of the losses as computed; digits: the sum of all digits; all in units.",
        "error = (result - exact) / exact;",
    ]
    script.always = [
        within("exact", 1 - power(-40), power(54)),
        at_most("(terms - exact) / exact", VALUE),
        at_most("digits - terms", 2 * TERMS * CUT),
        at_most("(result - digits) / digits", IN_UNITS),
        within("digits", Fraction(1, 2), power(55)),
    ]
    script.cases = [([], [])]
    script.hints = [
        (
            "error -> (1 + (terms - exact) / exact + (digits - terms) / exact) * (1 + (result - digits) / digits) - 1"
            " {exact <> 0, digits <> 0};"
        )
    ]
    return Step(
        "sum",
        "plain loss: relative error of a sum",
        "up to 2^29 hard labels",
        script,
        (Claim("error", SUM),),
    )
