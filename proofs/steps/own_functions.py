"""exp(x) for x <= 0 and log(1 + e) for e from -1/2 to 1 of native arithmetic, by series, in both formats.

Errors are in ULP of the exact result. Compilers may fuse a product with the sum after it, and then do not round it:
each product of a series is off by anything up to the error of a rounding.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Any
from unittest import mock

import flint
import numpy as np

from proofs.polynomial import name, number, polynomial
from proofs.recording import recorded, step
from proofs.script import Claim, Script, at_most, within
from proofs.series import SERIES, Series
from proofs.steps.step import Step, power
from proofs.translation import Reading, Translation, UntranslatedError
from xbce._compiler.recording import Graph, Node
from xbce._formulas import series as code


@dataclass(frozen=True)
class Format:
    """A format, and what is proved in it."""

    dtype: str
    gappa: str
    digits: int
    """Binary digits of a number."""
    least: int
    """The least normal number is 2 to this power."""
    constants: code.Series
    log_2_error: Fraction
    """Bounds |log_2 + log_2_rest - log(2)|."""
    tiny: int
    """log(1 + e) is nearly e for |e| below 2 to this power."""

    @property
    def unit(self) -> Fraction:
        """Bounds the relative error of an operation."""
        return power(-self.digits)

    @property
    def moved(self) -> Fraction:
        """Bounds the error of r, as the code computes it, from x - k (log_2 + log_2_rest)."""
        return self.unit / 4 * Fraction(1025, 1024)

    @property
    def reduction(self) -> Fraction:
        """Bounds the error of r from x - k log(2)."""
        return self.moved + 1024 * self.log_2_error

    def series(self, function: str) -> Series:
        """Return what Sollya knows of a series."""
        return SERIES[f"own_{function}_{'double' if self.digits == 53 else 'single'}"]


FORMATS = (
    Format("float64", "ieee_64", 53, -1022, code.DOUBLE, power(-95), -60),
    Format("float32", "ieee_32", 24, -126, code.SINGLE, power(-44), -26),
)
EXP, LOG1P = Fraction(3, 2), Fraction(17, 8)
"""Bound the errors of exp, where the result is a normal number, and of log(1 + e), in ULP."""
_BELOW_1, _ABOVE_1 = Fraction(9, 8), Fraction(1)
"""Bound the error of the series of exp, in ULP of its results from 1/2 to 1 and from 1 to 2."""


def steps() -> list[Step]:
    """Return the steps."""
    return [made(fmt) for made in (_reduction, _series, _exp, _log1p) for fmt in FORMATS]


class _WithPowers:
    """A namespace with the function of a backend that gives powers of two."""

    def __init__(self, xp: Any) -> None:
        self._xp = xp

    def __getattr__(self, name: str) -> Any:
        return getattr(self._xp, name)

    def power_of_2(self, k: Any) -> Any:
        return step("power_of_2", k)


def _graph(fmt: Format, function: Callable[..., Any]) -> Node:
    def called(xp: Any, x: Any) -> Any:
        return function(_WithPowers(xp), x)

    (result,) = recorded(called, 1, ["power_of_2", "polynomial"], dtype=fmt.dtype).outputs
    return result


def _in_format(fmt: Format, node: Node) -> float | None:
    """Return a constant as the format has it."""
    return float(np.dtype(fmt.dtype).type(node.value)) if node.operation == "constant" else None


def _scaled(fmt: Format) -> tuple[Node, Node, Node]:
    """Return the nodes of what is multiplied by 2^k, of r, and of k."""
    with mock.patch.object(code, "_polynomial", lambda _, x: step("polynomial", x)):
        of_r = _graph(fmt, code.exp_by_series)
    (r,) = next(node for node in Graph((of_r,), single=True).nodes() if node.operation == "polynomial").operands
    scaled, scale = _graph(fmt, code.exp_by_series).operands
    (k,) = scale.operands
    if scale.operation != "power_of_2" or k.operation != "round":
        msg = "the exponential is not scaled by a power of two"
        raise UntranslatedError(msg)
    return scaled, r, k


def _reduction(fmt: Format) -> Step:
    _, r_node, _ = _scaled(fmt)
    holds = {("lt", fmt.constants.lowest): False}
    graph, named = Graph((r_node,), single=True), partial(_in_format, fmt)
    read = Translation(graph, ["x"], Reading(named, holds=holds))
    of_x = Translation(graph, ["x"], Reading(named, holds=holds, integers=False))
    r, k = read.result(0), next(line.split()[0] for line in read.lines if "int<ne>(" in line)
    log_2 = Fraction(fmt.constants.log_2) + Fraction(fmt.constants.log_2_rest)
    script = Script(["x"], read.lines, form=fmt.gappa)
    script.lines.append(f"error = {r} - (x - {k} * {number(log_2)});")
    # In each binade x is a multiple of a number that makes x - k log_2 exact.
    edges = [
        Fraction(0),
        Fraction(11, 32),
        *(power(i) for i in (-6, -5, -4, -3, -2, *range(-1, 10))),
        -Fraction(fmt.constants.lowest),
    ]
    edges = sorted({min(edge, edges[-1]) for edge in edges})
    script.cases = [([within("x", -high, -low)], []) for low, high in pairwise(edges)]
    # The differences before they are rounded: Gappa would bound them by their operands.
    nodes = (r_node, r_node.operands[0])
    differences = [of_x.value(node.operands[0]).plus(of_x.value(node.operands[1]), -1) for node in nodes]
    script.hints = [
        f"error -> {read.error([0], name('x') - name(k) * log_2)};",
        f"{r} -> {of_x.error([0], polynomial(0))};",
        *(f"{difference.text.text()} -> {of_x.causes(difference)};" for difference in differences),
    ]
    return Step(
        f"own_exp_reduction_{fmt.dtype}",
        f"own exp, {fmt.dtype}: error of r; and |r|",
        f"{fmt.constants.lowest:g} <= x <= 0",
        script,
        (Claim("error", fmt.moved), Claim(r, fmt.series("exponential").most, in_table=False)),
    )


def _series(fmt: Format) -> Step:
    scaled, r, _ = _scaled(fmt)
    series = fmt.series("exponential")

    def named(node: Node) -> str | float | None:
        return "r" if node is r or _same(node, r) else _in_format(fmt, node)

    read = Translation(Graph((scaled,), single=True), ["x"], Reading(named, fused=True))
    script = Script(["r"], [*read.lines, f"error = {read.result(0)} - (1 + {series.text('r')});"], form=fmt.gappa)
    script.always = [
        *(within(share, 0, 1) for share in read.shares),
        *(at_most(lost, power(fmt.least)) for lost in read.lost),
    ]
    for part in _parts(fmt):
        script.cases.append(([within("r", part.low, part.high)], [at_most("error", part.bound)]))
    script.hints = [f"error -> {read.error([0], polynomial(1) + series.of(name('r')))};"]
    return Step(
        f"own_exp_series_{fmt.dtype}",
        f"own exp, {fmt.dtype}: error of 1 + r p(r)",
        f"|r| <= {float(series.most):.6g}",
        script,
        (Claim("error", max(part.bound for part in _parts(fmt))),),
    )


@dataclass(frozen=True)
class _Part:
    """An interval of r."""

    low: Fraction
    high: Fraction
    bound: Fraction
    """Bounds the error of 1 + r p(r)."""
    ulp: Fraction
    """The least ULP of exp(x) / 2^k there."""
    slope: Fraction
    """Bounds the derivative of exp."""


def _parts(fmt: Format) -> list[_Part]:
    """Return r <= 0; r next to 0, where the exact result may be on either side of 1; and r above it."""
    most, small, u = fmt.series("exponential").most, 2 * fmt.reduction, fmt.unit
    near = 1 + power(-10)
    return [
        _Part(-most, Fraction(0), _BELOW_1 * u, u, near),
        _Part(Fraction(0), small, Fraction(9, 16) * u, u, near),
        _Part(small, most, _ABOVE_1 * 2 * u, 2 * u, Fraction(3, 2)),
    ]


def _same(a: Node, b: Node) -> bool:
    """Tell whether nodes of two graphs are the same operations."""
    return (
        (a.operation, repr(a.value)) == (b.operation, repr(b.value))
        and len(a.operands) == len(b.operands)
        and all(map(_same, a.operands, b.operands))
    )


def _exp(fmt: Format) -> Step:
    script = Script()
    script.lines = [
        "# p: 1 + r p(r) as computed; series: without roundings; of_r: exp(r); exact: exp(x) / 2^k; ulp: its least.",
        "error = (p - exact) / ulp;",
    ]
    script.always = [at_most("series - of_r", fmt.series("exponential").error)]
    for part in _parts(fmt):
        known = [at_most("p - series", part.bound), at_most("of_r - exact", fmt.reduction * part.slope)]
        script.cases.append(([*known, within("ulp", part.ulp, part.ulp)], []))
    script.hints = ["p - exact -> (p - series) + (series - of_r) + (of_r - exact);"]
    return Step(
        f"own_exp_{fmt.dtype}",
        f"own exp, {fmt.dtype}: error in ULP",
        "x <= 0, the result is a normal number",
        script,
        (Claim("error", EXP),),
    )


def _logarithm(fmt: Format) -> tuple[Script, Translation]:
    """Return the definitions of the logarithm, whose quotient has the name s, and how they are read."""
    result = _graph(fmt, code.log1p_unit_by_series)
    quotients = [node for node in Graph((result,), single=True).nodes() if node.operation == "truediv"]

    def named(node: Node) -> str | float | None:
        return "s" if node in quotients else _in_format(fmt, node)

    of_s = Translation(Graph(quotients[0].operands, single=False), ["e"], Reading(partial(_in_format, fmt)))
    if len(quotients) != 1 or of_s.lines != ["v0 = rnd(1b1 + e);"] or of_s.result(0) != "e":
        msg = "the argument of the series is not e / (2 + e)"
        raise UntranslatedError(msg)
    read = Translation(Graph((result,), single=True), ["e"], Reading(named, fused=True))
    series = fmt.series("logarithm")
    script = Script(["e"], ["c = rnd(1b1 + e);", "s = rnd(e / c);", "S = e / (2 + e);"], form=fmt.gappa)
    script.lines += [*read.lines, "y = s * s;", f"without = e - s * (e - {series.text('y')});"]
    ideal = name("e") - name("s") * (name("e") - series.of(name("s") * name("s")))
    script.hints = [f"rounded -> {read.error([0], ideal)};"]
    script.lines.append(f"rounded = {read.result(0)} - without;")
    script.always = [within(lost, 0, 0) for lost in read.lost]
    return script, read


def _log1p(fmt: Format) -> Step:
    """Return the step of the logarithm.

    The exact result is e - S (e - Y q(Y)) with Y = S^2, but for `left`. `moved` is what s in place of S changes: the
    derivative of e - s (e - s^2 q(s^2)) in s is d - e, where d, that of s^3 q(s^2), is about e^2 / (2 + 2 e). So it is
    between -e and 0 for e > 0, and between -e and twice that for e < 0.
    """
    script, read = _logarithm(fmt)
    script.lines.append("error = (rounded + moved + left) / ulp;")
    script.always += [within(share, 0, 1) for share in read.shares]
    for sign, low, high, k in [(s, *binade) for s in (1, -1) for binade in _binades(fmt, s)]:
        least = 2 + low if sign > 0 else 2 - high
        most, rounded = high / least, (2 if sign > 0 else 1)
        of_s = (most * rounded / least + power(math.floor(math.log2(most) + 2**-20))) * fmt.unit * (1 + power(-10))
        of_s, slope = _up(of_s), high if sign > 0 else 2 * high
        ulp, left = power(k + 1) * fmt.unit, fmt.series("logarithm").error * power(k + 1)
        ends = (low, high) if sign > 0 else (-high, -low)
        known = [within("e", *ends), at_most("moved", slope * of_s), at_most("left", left), within("ulp", ulp, ulp)]
        script.cases.append((known, [at_most("s - S", of_s)]))
    script.hints.append("s - S -> (s - e / c) + e / c * ((1b1 + e) - c) / (1b1 + e) {c <> 0};")
    return Step(
        f"own_log1p_{fmt.dtype}",
        f"own log(1 + e), {fmt.dtype}: error in ULP",
        f"-1/2 <= e <= 1, 2^{fmt.tiny} <= |e|",
        script,
        (Claim("error", LOG1P),),
    )


def _up(x: Fraction) -> Fraction:
    """Return a dyadic number that is at least x, and hardly more."""
    scale = Fraction(2) ** (40 - math.frexp(float(x))[1])
    return Fraction(math.ceil(x * scale)) / scale


def _binades(fmt: Format, sign: int) -> list[tuple[Fraction, Fraction, int]]:
    """Return the numbers e of a sign whose log(1 + e) has the exponent k, as their least and largest |e|, and k."""
    found = []
    high, k = Fraction(1) if sign > 0 else Fraction(1, 2), -1
    while high >= power(fmt.tiny):
        low = _least_above(fmt, k, sign)
        found += _pieces(fmt, low, high, k, 8 if k > -4 else 1)
        high, k = _next(fmt, low, -1), k - 1
    return found


def _pieces(fmt: Format, low: Fraction, high: Fraction, k: int, number: int) -> list[tuple[Fraction, Fraction, int]]:
    """Return parts of a binade."""
    kind = np.dtype(fmt.dtype).type
    ends = [Fraction(float(kind(float(low + (high - low) * i / number)))) for i in range(1, number)]
    return [(a, b, k) for a, b in pairwise([low, *ends, high])]


def _next(fmt: Format, x: Fraction, direction: int) -> Fraction:
    kind = np.dtype(fmt.dtype).type
    return Fraction(float(np.nextafter(kind(float(x)), kind(direction * math.inf))))


def _least_above(fmt: Format, k: int, sign: int) -> Fraction:
    """Return the least |e| of numbers e of a sign in the format whose log(1 + e) is at least 2^k in magnitude."""
    with flint.ctx.workprec(300):
        limit = sign * (sign * flint.arb(2) ** k).expm1()
        e = Fraction(float(np.dtype(fmt.dtype).type(float(limit))))
        while not _ball(e) > limit:
            e = _next(fmt, e, 1)
        while _ball(_next(fmt, e, -1)) > limit:
            e = _next(fmt, e, -1)
    return e


def _ball(x: Fraction) -> Any:
    return flint.arb(flint.fmpq(x.numerator, x.denominator))
