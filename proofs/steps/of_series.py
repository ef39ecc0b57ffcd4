"""Scripts of a series whose argument is a sum of two doubles, apart from 0 and next to it."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from proofs.polynomial import name, polynomial
from proofs.recording import TRANSFORMATIONS, kept, recorded
from proofs.script import Script, at_most, within
from proofs.series import Series
from proofs.steps.step import power
from proofs.translation import UNDERFLOW, Reading, Translation


def of_series(
    function: Callable[..., Any],
    names: tuple[str, str],
    series: Series,
    most: Fraction,
    *,
    always: Sequence[str] = (),
    of_case: Callable[[Fraction], Sequence[str]] = lambda _: (),
    ordered: bool,
) -> tuple[Script, str]:
    """Return the script of the error of a function, and the low part of its result.

    Parameters
    ----------
    function
        Takes a namespace, and the high and the low part of the argument.
    names
        Names of the two parts.
    series
        The polynomial that the function computes.
    most
        The largest magnitude of the high part.
    always, of_case
        What is known besides; of a case, given the largest magnitude in it.
    ordered
        Whether magnitudes are at least 2^-24, so that the larger one of two terms comes first; otherwise they are at
        most that.
    """
    x, x_low = names
    with kept(TRANSFORMATIONS):
        read = Translation(recorded(function, 2), [x, x_low], Reading(ordered=ordered))
    if ordered:
        read.require_pair()
    whole, small, low_part = x.upper(), power(-24), read.result(1)
    script = Script([x, x_low], [*read.lines, f"{whole} = {x} + {x_low};", f"series = {series.text(whole)};"])
    script.lines.append(f"error = {read.result(0, 1)} - series;")
    script.always = [*always, *(at_most(lost, UNDERFLOW) for lost in read.lost)]
    goals = [within(f"{b} / {a}", -1, 1) for b, a in read.order]
    for low, high in [(small, most), (-most, -small)] if ordered else [(-small, small)]:
        script.cases.append(([within(x, low, high), *of_case(max(abs(low), abs(high)))], goals))
    script.hints = [
        f"error -> {read.error([0, 1], series.of(name(x) + name(x_low)))};",
        *([] if ordered else [f"{low_part} -> {read.error([1], polynomial(0))};"]),
        *read.hints,
    ]
    return script, low_part
