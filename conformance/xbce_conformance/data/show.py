"""What rich prints of results on a user's data."""

import math
from collections.abc import Iterator
from functools import singledispatch

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from xbce_conformance.data.difference import Comparison, Difference, Side
from xbce_conformance.data.measure import Element, OnData, Outcome
from xbce_conformance.data.replay import Replay
from xbce_conformance.data.verdict import GRADES, Verdict, percent, verdicts
from xbce_conformance.results.figures import ulp_text

_STYLES = dict(zip(GRADES, ("green", "yellow", "red"), strict=True))
_ULPS = ("median", "99.9 %", "max ULP")
COLUMNS = ("system", *_ULPS, "max error", "zeros", "inf", "NaN", "mean", "L1", "L2", "lost")
"""Of the errors of one quantity in one dtype."""


@singledispatch
def renderable(result: object) -> RenderableType:
    """Return what rich prints of a result."""
    raise NotImplementedError(type(result))


@renderable.register
def _(result: OnData) -> RenderableType:
    return Group(*_on_data(result))


def _on_data(result: OnData) -> Iterator[RenderableType]:
    yield Text(heading(result), style="bold")
    for note in notes(result):
        yield Text(note, style="yellow")
    for dtype, quantity, outcomes in tables(result):
        table = Table(title=f"{quantity} in {dtype}", title_justify="left", box=None, padding=(0, 0, 0, 1))
        for name in COLUMNS:
            table.add_column(name, justify="left" if name == "system" else "right", no_wrap=name != "system")
        for row, outcome in zip(rows(outcomes), outcomes, strict=True):
            table.add_row(*map(Text, row), style="bold red" if outcome.failed else "")
        yield table
    yield Text(LEGEND, style="dim")
    for text in worst_lines(result):
        yield Text(text)
    yield Text("Does it matter?", style="bold")
    for verdict in verdicts(result.outcomes):
        yield Text(sentence(verdict), style=_STYLES[verdict.grade])


LEGEND = (
    "median, 99.9 %, max: errors in ULP of the exact result. zeros: 0 where a normal number is right. mean: how far "
    "the mean of the results is off. L1, L2: all errors as a vector, as a share of the exact results as one. lost: the "
    "share of the sum of exact results that is lost where 0 came."
)


def heading(result: OnData) -> str:
    """Say what was tried."""
    return f"{result.data}: {result.size:,} elements, {result.dtype}; {result.case}"


def notes(result: OnData) -> list[str]:
    """Return what was left out, and what rounding the inputs does."""
    rounding = [
        f"rounding the inputs to {dtype} makes the mean {percent(abs(share))} {'lower' if share < 0 else 'higher'}; "
        "that is in no error below, which are of the rounded inputs"
        for dtype, share in result.rounding.items()
        if share
    ]
    return [*result.notes, *rounding]


def tables(result: OnData) -> Iterator[tuple[str, str, list[Outcome]]]:
    """Yield dtype, quantity and what is shown of them."""
    for dtype in dict.fromkeys(outcome.dtype for outcome in result.outcomes):
        for quantity in ("value", "gradient"):
            of_means = ("mean",) if quantity == "value" else ()
            rows = [o for o in result.outcomes if o.dtype == dtype and o.quantity in (quantity, *of_means)]
            if rows:
                yield dtype, quantity, rows


def rows(outcomes: list[Outcome]) -> list[list[str]]:
    """Write outcomes, each under a name that tells it from the others."""
    names = [_name(outcome) for outcome in outcomes]
    return [
        [name if names.count(name) == 1 else f"{name}, {_last(outcome.function)}", *_cells(outcome)]
        for name, outcome in zip(names, outcomes, strict=True)
    ]


def _name(outcome: Outcome) -> str:
    """Return the system, and what tells this way to call it from its plain one."""
    way = "its mean" if outcome.quantity == "mean" else outcome.function.partition(", ")[2]
    usual = way in ("", "gradient", "reverse mode")
    return f"{outcome.subject}@{outcome.backend}{'' if usual else f', {way}'}"


def _cells(outcome: Outcome) -> list[str]:
    empty = len(COLUMNS) - 1
    if outcome.failure:
        return ["failed", *[""] * (empty - 1)]
    if outcome.mean_off is not None:
        return [*[""] * 7, signed(outcome.mean_off), *[""] * (empty - 8)]
    f = outcome.figures
    assert f is not None  # noqa: S101 - one of the three is there
    counts = [f"{count:,}" for count in (f.zeros, f.infinite, f.nan)]
    ulps = [ulp_text(f.percentiles[level]) for level in ("50", "99.9", "max")]
    return [*ulps, f"{f.max_error:.1e}", *counts, signed(f.mean_off), percent(f.l1), percent(f.l2), percent(f.lost)]


def _last(function: str) -> str:
    """Return the last part of a dotted name."""
    head, comma, rest = function.partition(",")
    return head.rpartition(".")[2] + comma + rest if "(" not in head else function


def signed(share: float) -> str:
    """Write a share with its sign; a dash where there is none."""
    if math.isnan(share):
        return "–"
    return f"{'-' if share < 0 else '+'}{percent(abs(share))}"


def worst_lines(result: OnData) -> list[str]:
    """Return the worst element of each system, in its own line."""
    lines = []
    for outcome in result.outcomes:
        if outcome.figures and outcome.figures.worst and outcome.figures.percentiles["max"] > 4:
            where = f"{outcome.subject}@{outcome.backend}, {outcome.quantity} in {outcome.dtype}"
            lines += [f"{where}: {element_text(element)}" for element in outcome.figures.worst[:1]]
    return lines


def element_text(element: Element) -> str:
    """Write an element with its result."""
    inputs = ", ".join(f"{name} {number(value)}" for name, value in element.inputs.items())
    return (
        f"worst at [{element.index}]: {inputs}: {number(element.computed)} for {number(element.exact)} "
        f"({ulp_text(element.ulp)} ULP, {element.error:.1e})"
    )


def number(text: str) -> str:
    """Write a hexadecimal number in decimal, to nine digits."""
    return f"{float.fromhex(text):.9g}"


def sentence(verdict: Verdict) -> str:
    """Return a verdict with its system."""
    return f"{verdict.subject}@{verdict.backend} {verdict.text}"


@renderable.register
def _(result: Comparison) -> RenderableType:
    parts: list[RenderableType] = [Text(comparison_heading(result), style="bold")]
    parts += [Text(note, style="yellow") for note in result.notes]
    for difference in result.differences:
        parts += _difference(difference)
    return Group(*parts)


def comparison_heading(result: Comparison) -> str:
    """Say what is compared."""
    return f"{result.data}: {' and '.join(result.systems)}; {result.case}"


def _difference(difference: Difference) -> Iterator[RenderableType]:
    yield Text(f"\n{difference.text}", style="bold")
    if not difference.differing:
        return
    yield Text(distance_text(difference))
    for side in difference.sides:
        yield Text(side_text(side))
    table = Table(*example_columns(difference), box=None)
    for row in example_rows(difference):
        table.add_row(*map(Text, row))
    yield table


def distance_text(difference: Difference) -> str:
    """Say how far the results are apart."""
    levels = difference.percentiles
    return (
        f"  apart: median {ulp_text(levels['50'])} ULP, 99.9 % {ulp_text(levels['99.9'])}, at most "
        f"{ulp_text(levels['max'])} ULP or {difference.largest:.2g}"
    )


def side_text(side: Side) -> str:
    """Say how one of the two does where they differ, and why."""
    why = "; ".join(f"{count:,} {name}" for name, count in side.causes.items())
    mean = "not finite" if math.isnan(side.mean_off) else f"{signed(side.mean_off)} off"
    return (
        f"  {side.system} {side.version}: nearer {side.nearer:,}, the exact one rounded {side.rounded:,}; its mean is "
        f"{mean}; its errors: {why or 'none'}"
    )


def example_columns(difference: Difference) -> tuple[str, ...]:
    """Return the heads of the table of elements."""
    return ("element", "input", *(side.system for side in difference.sides), "exact", "ULP", "why")


def example_rows(difference: Difference) -> Iterator[list[str]]:
    """Yield the elements that are farthest apart."""
    for example in difference.examples:
        inputs = ", ".join(f"{name} {number(value)}" for name, value in example.inputs.items())
        whys = dict.fromkeys(cause for cause in example.causes if cause)
        yield [
            f"[{example.index}]",
            inputs,
            *map(number, example.results),
            number(example.exact),
            " / ".join(map(ulp_text, example.ulp)),
            "; ".join(whys),
        ]


@renderable.register
def _(result: Replay) -> RenderableType:
    table = Table(*replay_columns(result), box=None, title="Recorded losses", title_justify="left")
    for row in replay_rows(result):
        table.add_row(*map(Text, row))
    return Group(
        table,
        *map(Text, replay_notes(result)),
        *(Text(sentence(verdict), style=_STYLES[verdict.grade]) for verdict in replay_verdicts(result)),
    )


def replay_verdicts(result: Replay) -> list[Verdict]:
    """Return what is said of the systems, each sentence once."""
    return [*dict.fromkeys(verdict for call in result.calls for verdict in verdicts(call.errors.outcomes))]


def replay_notes(result: Replay) -> list[str]:
    """Return what was left out of each call."""
    return [
        f"call {i}: {note}; what came is not compared" for i, call in enumerate(result.calls) for note in call.notes
    ]


def replay_columns(result: Replay) -> tuple[str, ...]:
    """Return the heads of the table of recorded calls."""
    values = ("recorded", result.other, "certified", "off", f"{result.other} off")
    return ("call", "at", "function", "dtype", "elements", "result", *values)


def replay_rows(result: Replay) -> Iterator[list[str]]:
    """Yield a row per call."""
    for i, call in enumerate(result.calls):
        yield [
            str(i),
            call.place,
            _last(call.function),
            call.dtype,
            f"{call.size:,}",
            call.reduction,
            *(f"{value:.9g}" for value in (call.recorded, call.other, call.certified)),
            signed(call.off),
            signed(call.other_off),
        ]
