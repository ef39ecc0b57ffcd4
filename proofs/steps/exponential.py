"""exp(y), y from -1024 to 0: the reduction of y, the series, the product with a power from the table."""

from fractions import Fraction
from itertools import pairwise
from typing import Any

from proofs.polynomial import name, number, polynomial
from proofs.recording import TRANSFORMATIONS, kept, recorded, results_of_step
from proofs.script import Claim, Script, at_most, within
from proofs.series import SERIES
from proofs.steps.of_series import of_series
from proofs.steps.step import Step, power
from proofs.translation import UNDERFLOW, Reading, Translation
from xbce._compiler.recording import Graph
from xbce._precision import functions, tables

_SERIES = SERIES["exponential"]
R = _SERIES.most
"""Bounds |r + r_low|, and so |r|."""
REDUCTION = power(-93)
"""Bounds |(r + r_low) - (y - n (STEP + STEP_REST))|."""
STEP_ERROR = power(-118)
"""Bounds |STEP + STEP_REST - log(2) / 1024|."""
SUM = power(-88, Fraction(27, 16))
"""Bounds the error of exp(r) - 1, without what the series leaves out."""
SHARE_LOW = power(-64)
"""Bounds the low part of exp(r) - 1."""
ENLARGED = power(-104)
"""Bounds the error of the product with the power."""
POWER_ERROR = power(-106)
"""Bounds the error of a power from the table, which is from 1 to 2."""
EXPONENTIAL = power(-87)
"""Bounds the relative error of exp(y)."""
_MOST_N = 2**21
_STEP = Fraction(tables.STEP) + Fraction(tables.STEP_REST)


def steps() -> list[Step]:
    """Return the steps."""
    return [_rows(), _reduction(), _series(ordered=True), _series(ordered=False), _enlarged(), _whole()]


def _graph() -> Graph:
    """Return the graph of r and r_low."""
    own = {"_exp_minus_one": results_of_step("series"), "_enlarged": results_of_step("enlarged")}
    with kept(TRANSFORMATIONS | own):
        graph = recorded(lambda xp, y, rest: functions.exponential(xp, y, rest).minus_one, 2, ["series", "enlarged"])
    return Graph(graph.outputs[0].operands, single=False)


def _integer(read: Translation) -> str:
    """Return the name of n."""
    return next(line.split()[0] for line in read.lines if "int<ne>(" in line)


def _half_step() -> tuple[Fraction, Fraction]:
    """Return two numbers next to half of log(2) / 1024: below the one n is 0, beyond the other it is not."""
    return power(-39, int(_STEP * 2**39 * Fraction(499, 1000))), power(-39, int(_STEP * 2**39 * Fraction(501, 1000)))


def _rows() -> Step:
    rounded = next(node for node in _graph().nodes() if node.operation == "round")
    read = Translation(Graph((rounded,), single=True), ["y", "rest"])
    n = read.result(0)
    script = Script(["y"], read.lines)
    below, beyond = _half_step()
    script.cases = [
        ([within("y", -below, 0)], [within(n, 0, 0)]),
        ([within("y", -1024, -beyond)], [f"{n} <= -1"]),
        ([within("y", -beyond, -below)], []),
    ]
    return Step("exp_rows", "exp: |n|; and where it is 0", "-1024 <= y <= 0", script, (Claim(n, Fraction(_MOST_N)),))


def _reduction() -> Step:
    graph = _graph()
    read, of_y = Translation(graph, ["y", "rest"]), Translation(graph, ["y", "rest"], Reading(integers=False))
    read.require_pair()
    n, (below, beyond) = _integer(read), _half_step()
    goal = name("y") + name("rest") - name(n) * _STEP
    r, r_low = read.result(0), read.result(1)
    script = Script(["y", "rest"], read.lines)
    script.lines.append(f"error = {r} + {r_low} - (y + rest - {n} * ({number(_STEP)}));")
    script.always = [within("rest", 0, 0), *(at_most(x, UNDERFLOW) for x in read.lost)]
    # In each binade y is a multiple of a number that makes y - n STEP exact.
    edges = [below, *(power(i) for i in range(-11, 11))]
    for low, high in pairwise(edges):
        script.cases.append(([within("y", -high, -low), within(n, -_MOST_N, -1)], []))
    edges = [Fraction(0), *(power(i) for i in range(-40, -11)), beyond]
    for low, high in pairwise(edges):
        script.cases.append(([within("y", -high, -low), within(n, 0, 0)], []))
    script.hints = [
        f"error -> {read.error([0, 1], goal)};",
        f"{r} -> {of_y.error([0], polynomial(0))};",
        *read.hints,
    ]
    return Step(
        "exp_reduction",
        "exp: error of r + r_low; and |r|",
        "-1024 <= y <= 0",
        script,
        (Claim("error", REDUCTION), Claim(r, R - power(-40), in_table=False)),
    )


def _series(*, ordered: bool) -> Step:
    function = functions._exp_minus_one  # noqa: SLF001

    def of_case(most: Fraction) -> list[str]:
        return [at_most("r_low", most * power(-53))]

    script, low_part = of_series(function, ("r", "r_low"), _SERIES, R, of_case=of_case, ordered=ordered)
    return Step(
        f"exp_series{'' if ordered else '_near_0'}",
        "exp: error of the series; and its low part",
        "2^-24 <= |r| <= 89 2^-18" if ordered else "|r| <= 2^-24",
        script,
        (Claim("error", SUM), Claim(low_part, SHARE_LOW, in_table=False)),
    )


def _enlarged() -> Step:
    def enlarged(xp: Any, *parts: Any) -> Any:
        return functions._enlarged(xp, parts[:2], parts[2:])  # noqa: SLF001

    names = ["power", "power_rest", "share", "share_low"]
    with kept(TRANSFORMATIONS):
        read = Translation(recorded(enlarged, 4), names)
    read.require_pair()
    p, rest, share, low = map(name, names)
    goal = (p + rest) * (polynomial(1) + share + low)
    script = Script(names, [*read.lines, "exact = (power + power_rest) * (1 + share + share_low);"])
    script.lines.append(f"error = {read.result(0, 1)} - exact;")
    script.always = [
        within("power", 1, 2),
        at_most("power_rest", power(-53)),
        at_most("share", power(-11)),
        at_most("share_low", SHARE_LOW),
        *(at_most(x, UNDERFLOW) for x in read.lost),
    ]
    script.cases = [([], [within(f"({b}) / ({a})", -1, 1) for b, a in read.order])]
    script.hints = [f"error -> {read.error([0, 1], goal)};"]
    return Step(
        "exp_enlarged", "exp: error of the product with 2^(j / 1024)", "all j", script, (Claim("error", ENLARGED),)
    )


def _whole() -> Step:
    script = Script()
    script.lines = [
        "# power: 2^(j / 1024); x: exp(y - n log(2) / 1024); z: exp(r + r_low); share: exp(r) - 1 as computed.",
        "exact = power * x;",
        "error = (result - exact) / exact;",
    ]
    reduced = REDUCTION + _MOST_N * STEP_ERROR
    script.always = [
        within("power", 1, 2),
        at_most("table - power", POWER_ERROR),
        within("x", 1 - power(-11), 1 + power(-11)),
        # The derivative of exp is at most 1 + 2^-11 there.
        at_most("z - x", reduced * (1 + power(-11))),
        at_most("share - (z - 1)", SUM + _SERIES.error),
        at_most("result - table * (1 + share)", ENLARGED),
    ]
    script.cases = [([], [])]
    script.hints = [
        (
            "error -> (result - table * (1 + share)) / exact + (table - power) / power * ((1 + share) / x)"
            " + ((share - (z - 1)) + (z - x)) / x {power <> 0, x <> 0};"
        ),
        "share -> (share - (z - 1)) + (z - x) + (x - 1);",
    ]
    return Step("exp", "exp: relative error", "-1024 <= y <= 0", script, (Claim("error", EXPONENTIAL),))
