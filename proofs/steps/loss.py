"""The plain loss of hard labels, its gradient and its hessian: the formulas, with each step's bound in place of it.

A formula is recorded with its steps as nodes. `errors.py` follows what a number differs from the exact one.
"""

import math
import operator
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import flint

from proofs.recording import kept, recorded, results_of_step, step
from proofs.script import Claim, Script
from proofs.steps.errors import Errors, Real, constant
from proofs.steps.exponential import EXPONENTIAL
from proofs.steps.logarithm import LOGARITHM
from proofs.steps.pairs import ADD, DIVIDE, MULTIPLY
from proofs.steps.step import Step, power
from proofs.translation import UntranslatedError
from xbce._compiler.recording import Node
from xbce._formulas.cross_entropy import CrossEntropy
from xbce._precision import HighPrecision
from xbce._precision.functions import Exponential
from xbce._precision.pairs import Pair

VALUE = power(-81, Fraction(21, 16))
GRADIENT = power(-86)
HESSIAN = power(-85)
"""Bound the relative errors of the results, before they are rounded."""
LIMITS = {("ge", -700.0): True, ("le", 700.0): True, ("eq", math.inf): False, ("eq", -math.inf): False}
"""What holds of logits within 700."""
_STEPS = {"add": ADD, "multiply": MULTIPLY, "divide": DIVIDE}


def steps() -> list[Step]:
    """Return the steps."""
    return [_result("value", VALUE), _result("gradient", GRADIENT), _result("hessian", HESSIAN)]


def _step_of_pairs(name: str) -> Callable[[Pair, Pair], Pair]:
    def function(a: Pair, b: Pair) -> Pair:
        parts = [0.0 if x is None else x for x in (a.high, a.low, b.high, b.low)]
        return Pair(a.xp, step(name, *parts), step(f"{name}_low", *parts), unit=a.unit and b.unit)

    return function


def _exponential(_: Any, y: Any, rest: Any) -> Exponential:
    high, low = step("exponential", y, rest), step("exponential_low", y, rest)
    return Exponential(high, low, step("exponent", y, rest), y == 0, (high, low))


_KEPT: dict[str, Callable[..., Any]] = {
    **{name: _step_of_pairs(name) for name in _STEPS},
    "exponential": _exponential,
    "logarithm": results_of_step("logarithm"),
    "scale": lambda _, k: step("scale", k),
}


class _Formula(Errors):
    """Follows the errors through one method, for one sign of the logit and one label."""

    def __init__(self, method: str, *, positive: bool, label: int) -> None:
        def function(xp: Any, x: Any, z: Any) -> Any:
            numbers = HighPrecision(xp, extended=False)
            result = getattr(CrossEntropy(), method)(numbers, Pair(numbers, x), Pair(numbers, z))
            return result.high, result.low

        with kept(_KEPT):
            graph = recorded(function, 2, [*_STEPS, "exponential", "logarithm", "exponent", "scale"])
        super().__init__(f"{'p' if positive else 'n'}{label}")
        self.positive, self.label = positive, label
        self._known: dict[tuple[Node, Node], Real] = {}
        self.result = self._pair(*graph.outputs)

    def _pair(self, high: Node, low: Node) -> Real:
        """Return what two nodes are together."""
        high, low = self._chosen(high), self._chosen(low)
        if (high, low) not in self._known:
            self._known[high, low] = self._computed(high, low)
        return self._known[high, low]

    def _computed(self, high: Node, low: Node) -> Real:
        number, rest = self._number(high), self._number(low)
        if number is not None and rest is not None:
            return constant(number + rest)
        if high.operation == "input" and rest == 0:
            return Real(1 if self.positive else -1, Fraction(0), power(10), lambda x: x)
        if high.operation == "neg":
            of = self._pair(high.operands[0], low if rest == 0 else low.operands[0])
            return -of
        if high.operation == "mul":
            return self._exponential(high.operands, low.operands)
        if (low.operation, low.operands) != (f"{high.operation}_low", high.operands):
            msg = f"{high.operation} and {low.operation} are no pair"
            raise UntranslatedError(msg)
        if high.operation == "logarithm":
            return self._logarithm(high)
        return self._of_two(high, self._pair(*high.operands[:2]), self._pair(*high.operands[2:]))

    def _of_two(self, node: Node, a: Real, b: Real) -> Real:
        if node.operation == "add":
            return self.sum(a, b, ADD)
        if not a.sign * b.sign:
            return constant(Fraction(0))
        if node.operation == "multiply":
            return self.product(a, b, MULTIPLY)
        if not self._is_one_more(node.operands[2], node.operands[0]):
            msg = "a quotient that is not a / (1 + a)"
            raise UntranslatedError(msg)
        return self.share_of(a, b, DIVIDE)

    def _exponential(self, high: tuple[Node, ...], low: tuple[Node, ...]) -> Real:
        """Return exp(-|x|): an exponential times its power of two."""
        (x, scale), (x_low, scale_low) = high, low
        y, rest = x.operands
        right = self._negative_logit(self._chosen(y)) and self._number(rest) == 0
        names = [x.operation, x_low.operation, scale.operation, scale.operands[0].operation]
        same = x.operands == x_low.operands == scale.operands[0].operands and scale is scale_low
        if not right or not same or names != ["exponential", "exponential_low", "scale", "exponent"]:
            msg = "an exponential that is not exp(-|x|)"
            raise UntranslatedError(msg)
        return Real(1, Fraction(0), Fraction(1), lambda x: (-abs(x)).exp(), self.error("1", EXPONENTIAL))

    def _negative_logit(self, y: Node) -> bool:
        x = self._chosen(y.operands[0]) if self.positive and y.operation == "neg" else y
        return x.operation == "input" and x.value == 0 and (y.operation == "neg") == self.positive

    def _logarithm(self, node: Node) -> Real:
        """Return log(1 + v)."""
        m, _, *v = node.operands
        of = self._pair(*v)
        if not self._is_one_more(m, v[0]) or of.sign <= 0 or of.most > 1:
            msg = "a logarithm that is not log(1 + v) of v from 0 to 1"
            raise UntranslatedError(msg)
        return self.log_one_plus(of, LOGARITHM)

    def _is_one_more(self, m: Node, v: Node) -> bool:
        m, v = self._chosen(m), self._chosen(v)
        if m.operation != "add":
            return False
        pairs = [(self._chosen(x), self._number(low)) for x, low in (m.operands[:2], m.operands[2:])]
        one = [self._number(x) == 1 and low == 0 for x, low in pairs]
        return one.count(True) == 1 and pairs[one.index(False)][0] is v

    def _chosen(self, node: Node) -> Node:
        """Return the node that selections choose."""
        while node.operation == "where":
            node = node.operands[1 if self._holds(node.operands[0]) else 2]
        return node

    def _number(self, node: Node) -> Fraction | None:
        """Return the value of a node that the case decides."""
        node = self._chosen(node)
        if node.operation == "constant":
            return Fraction(node.value)
        if node.operation == "input":
            return Fraction(self.label) if node.value == 1 else None
        if node.operation == "astype":
            return Fraction(self._holds(node.operands[0]))
        if node.operation not in ("add", "sub", "mul", "neg") or len(node.operands) > 2:
            return None
        numbers = [self._number(x) for x in node.operands]
        if node.operation == "mul" and 0 in numbers:
            return Fraction(0)
        if None in numbers:
            return None
        result: Fraction = getattr(operator, node.operation)(*numbers)
        return result

    def _holds(self, node: Node) -> bool:
        """Tell whether a condition holds."""
        if node.operation == "invert":
            return not self._holds(node.operands[0])
        if node.operation in ("and_", "or_"):
            first = self._holds(node.operands[0])
            return self._holds(node.operands[1]) if first == (node.operation == "and_") else first
        if node.operation == "isinf":
            return False
        a, b = (self._chosen(x) for x in node.operands)
        if a is b:
            return node.operation in ("eq", "ge", "le")
        number, limit = self._number(a), b.value
        if number is not None:
            return bool(getattr(operator, node.operation)(number, limit))
        if (node.operation, limit) == ("ge", 0) and a.operation == "input":
            return self.positive
        found = LIMITS.get((node.operation, limit))
        if found is None:
            msg = f"the proof does not know whether {node.operation} {limit} holds"
            raise UntranslatedError(msg)
        return found


def _formulas(method: str) -> Iterator[_Formula]:
    for positive in (True, False):
        for label in (0, 1):
            yield _Formula(method, positive=positive, label=label)


def _result(method: str, bound: Fraction) -> Step:
    script, claims = Script(), []
    for formula in _formulas(method):
        script.lines += formula.lines
        script.always += formula.hypotheses
        claims.append(Claim(formula.result.error, bound))
    script.cases = [([], [])]
    domain = "label 0 or 1, |logit| <= 177"  # so that the exponential is at least 2^-256
    return Step(f"loss_{method}", f"plain loss: relative error of the {method}", domain, script, tuple(claims))


def differences() -> Iterator[Any]:
    """Yield, in balls, what the formulas as recorded differ from the definitions."""
    for method in ("value", "gradient", "hessian"):
        for formula in _formulas(method):
            for size in range(1, 100, 7):
                x = flint.arb(size) / 8 * (1 if formula.positive else -1)
                yield formula.result.exact(x) - definition(method, x, formula.label)


def definition(method: str, x: Any, z: Any) -> Any:
    """Return the loss, its gradient or its hessian, of a logit and a label, in balls."""
    if method == "value":
        return (1 - z) * (1 + x.exp()).log() + z * (1 + (-x).exp()).log()
    sigmoid = 1 / (1 + (-x).exp())
    return sigmoid - z if method == "gradient" else sigmoid * (1 - sigmoid)
