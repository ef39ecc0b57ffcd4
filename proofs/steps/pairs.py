"""Sums, products and quotients of pairs, with high parts from 1 to 2: powers of two change no rounding."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from proofs.polynomial import name
from proofs.recording import TRANSFORMATIONS, kept, recorded
from proofs.script import Claim, Script, at_most, within
from proofs.steps.step import Step, power
from proofs.translation import UNDERFLOW, Translation, Value, known
from xbce._compiler.recording import Graph
from xbce._precision import HighPrecision, pairs

ADD = power(-103)
"""Bounds the relative error of a sum: of numbers of one sign, or of one and a second of at most half its size."""
MULTIPLY = power(-102)
"""Bounds that of a product."""
DIVIDE = power(-101)
"""Bounds that of a quotient."""
HALF = power(-53)
"""Bounds the low part of a pair whose high part is from 1 to 2."""
_NAMES = ["a", "a_low", "b", "b_low"]


def steps() -> list[Step]:
    """Return the steps."""
    return [_add(), _one_plus(), _multiply(), _divide()]


def _read(function: Callable[[Any, Any], Any], *, number: bool = False) -> tuple[Graph, Translation]:
    def of_parts(xp: Any, *parts: Any) -> Any:
        numbers = HighPrecision(xp, extended=False)
        a = numbers.number(1) if number else pairs.Pair(numbers, *parts[:2])
        result = function(a, pairs.Pair(numbers, *parts[-2:]))
        return result.high, result.low

    names = _NAMES[2:] if number else _NAMES
    with kept(TRANSFORMATIONS):
        graph = recorded(of_parts, len(names))
    read = Translation(graph, names)
    read.require_pair()
    return graph, read


def _script(read: Translation, names: list[str], lines: list[str], cases: list[list[str]]) -> Script:
    goals = [within(f"({b}) / ({a})", -1, 1) for b, a in read.order]
    lost = [at_most(x, UNDERFLOW) for x in read.lost]
    return Script(names, [*read.lines, *lines], lost, [(case, goals) for case in cases])


_A, _A_LOW = within("a", 1, 2), at_most("a_low", HALF)
_B, _B_LOW = within("b", 1, 2), at_most("b_low", HALF)
_SUBTRAHEND = -power(-1, 1 + power(-40))
_RELATIVE = "error = (result - exact) / exact;"


def _add() -> Step:
    _, read = _read(pairs.add)
    lines = [f"result = {read.result(0, 1)};", "exact = a + a_low + b + b_low;", _RELATIVE]
    of_one = [within("a", 1, 1), within("a_low", 0, 0), within("b", _SUBTRAHEND, 0), _B_LOW]
    script = _script(read, _NAMES, lines, [[_A, _A_LOW, within("b", 0, 2), _B_LOW], of_one])
    exact = name("a") + name("a_low") + name("b") + name("b_low")
    script.hints = [f"result - exact -> {read.error([0, 1], exact)};"]
    domain = "a = 1 and -(1 + 2^-40) / 2 <= b <= 0, or 0 <= b <= a"
    return Step("add", "a + b: relative error", domain, script, (Claim("error", ADD),))


def _one_plus() -> Step:
    _, read = _read(pairs.add, number=True)
    lines = [f"result = {read.result(0, 1)};", "exact = 1 + b + b_low;", _RELATIVE]
    script = _script(read, _NAMES[2:], lines, [[within("b", _SUBTRAHEND, 1), _B_LOW]])
    script.hints = [f"result - exact -> {read.error([0, 1], name('b') + name('b_low') + 1)};"]
    domain = "-(1 + 2^-40) / 2 <= b <= 1"
    return Step("one_plus", "1 + b: relative error", domain, script, (Claim("error", ADD),))


def _multiply() -> Step:
    _, read = _read(pairs.multiply)
    lines = [f"result = {read.result(0, 1)};", "exact = (a + a_low) * (b + b_low);", _RELATIVE]
    script = _script(read, _NAMES, lines, [[_A, _A_LOW, _B, _B_LOW]])
    exact = (name("a") + name("a_low")) * (name("b") + name("b_low"))
    script.hints = [f"result - exact -> {read.error([0, 1], exact)};"]
    return Step("multiply", "a b: relative error", "all", script, (Claim("error", MULTIPLY),))


def _divide() -> Step:
    graph, read = _read(pairs.divide)
    first, correction = (node for node in graph.nodes() if node.operation == "truediv")
    back = next(node for node in graph.nodes() if node.operation == "mul" and first in node.operands)
    lines = [
        f"result = {read.result(0, 1)};",
        "numerator = a + a_low;",
        "error = (result * (b + b_low) - numerator) / numerator;",
    ]
    # Gappa takes a, b and their quotient for independent: in small parts of the domain that costs little.
    parts = [power(-1, halves) for halves in range(2, 5)]
    ranges = list(pairwise(parts))
    cases = [[within("a", *of_a), _A_LOW, within("b", *of_b), _B_LOW] for of_a in ranges for of_b in ranges]
    script = _script(read, _NAMES, lines, cases)
    # The result is q + c, where c = rest / b, rounded: so c b is the rest, and b times a rounding error.
    c, rest = read.value(correction).text, read.value(correction.operands[0])
    quotient = read.total([0, 1]).ideal - c
    exact = quotient * (name("b") + name("b_low")) + c * name("b_low") - name("a") - name("a_low")
    difference = known(exact).plus(Value(known(exact).ideal * 0, rest.ideal, rest.errors))
    difference = difference.plus(read.rounding_error(c, name("b")))
    q, q_b = read.value(first).text.text(), read.value(back).text.text()
    script.hints = [
        f"result * (b + b_low) - numerator -> {read.causes(difference)} {{b <> 0}};",
        f"a - {q_b} -> -b * ({q} - a / b) - ({q_b} - b * {q}) {{b <> 0}};",
    ]
    return Step("divide", "a / b: relative error", "all", script, (Claim("error", DIVIDE),))
