"""Estimates of the plain loss: that the exact result lies between the two numbers that Ziv's test rounds.

The kernel is recorded as it is: the formula in doubles and the test, whose constant is the bound that the code derives,
and `SLACK`. An operation has an error of at most 2^-53 of its result, a function of the library that which the code
takes it to have. Numbers are in units of what the bound is relative to, without errors: of the sum of the magnitudes of
two terms, or of the result. Arguments are float32, or have fewer digits: they are multiples of 2^-149.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import flint
import numpy as np

from proofs.polynomial import number
from proofs.recording import recorded
from proofs.script import Claim, Script, within
from proofs.steps.errors import Errors, Real, constant
from proofs.steps.loss import definition
from proofs.steps.step import Step, power
from proofs.translation import UntranslatedError
from xbce._call.kernel import Kernel, Output
from xbce._compiler.recording import Graph, Node
from xbce._formulas.cross_entropy import CrossEntropy
from xbce._precision import estimates

METHODS = ("value", "gradient", "hessian")
UNIT = power(-53)
"""Bounds the relative error of an operation."""
SHARE = power(-57, 225)
"""Bounds the relative error of e / (1 + e)."""
_LOST = power(-1075)
"""Bounds the error of a product below 2^-1022."""
_SMALLEST = power(-149)
"""What float32 numbers are multiples of."""
_MOST = 700
"""The largest logit."""
_LOGITS = f"|logit| <= {_MOST}"
_LEAST = power(-1010)
"""Less than exp(-700), and than what a library has in place of it."""
_PARTS = 16
"""Cases of a term's share of a sum: Gappa takes the terms for independent."""
_DOUBLE, _SINGLE = np.dtype(np.float64), np.dtype(np.float32)


def steps() -> list[Step]:
    """Return the steps."""
    return [_share(), *(_step(method) for method in METHODS)]


def kernel(method: str) -> Kernel:
    """Return the kernel that estimates a result in float32."""
    output = Output(method, _DOUBLE, _SINGLE)
    found = Kernel(CrossEntropy(), (output,), _DOUBLE, 2, arithmetic="pairs").quick()
    if found is None or found.arithmetic != "estimates":
        msg = "results for float32 are not estimated"
        raise UntranslatedError(msg)
    return found


class _Reader(Errors):
    """Follows the errors through a graph, for one sign of the logit and labels from 0 to 1."""

    def __init__(self, *, positive: bool, whole: bool = False) -> None:
        super().__init__("p" if positive else "n")
        self.positive, self.whole = positive, whole
        """`whole`: a quotient is not one step, that has a bound of its own."""
        self._known: dict[Node, Real] = {}

    def own(self, least: Fraction) -> Fraction:
        """Return the bound of the error of a product that is 0 or at least this, but for errors."""
        least = least / 2
        return UNIT if least >= power(-1022) else UNIT + power(math.ceil(math.log2(_LOST / least)))

    def real(self, node: Node) -> Real:
        """Return what is known of a node."""
        if node not in self._known:
            self._known[node] = self._computed(node)
        return self._known[node]

    def _computed(self, node: Node) -> Real:
        operation = node.operation
        if operation == "constant":
            return constant(Fraction(node.value))
        if operation == "input":
            return self._argument(node.value)
        if operation == "astype" and _is_upper(node.operands[0]):
            return constant(Fraction(self.positive))
        if operation == "truediv" and not self.whole:
            quotient = _Reader(positive=self.positive, whole=True).real(node)
            return replace(quotient, error=self.error("1", SHARE))
        operands = [self.real(x) for x in node.operands]
        a, b = operands[0], operands[-1]
        if operation == "neg" or (operation == "abs" and a.sign < 0):
            return -a
        if operation == "abs" or (operation == "minimum" and a.most <= b.least):
            return a
        if operation == "add":
            return self.sum(a, b, UNIT)
        if operation == "sub":
            return self.sum(a, -b, UNIT)
        if operation == "mul":
            return self._product(a, b)
        if operation == "truediv" and _is_one_more(node.operands[1], node.operands[0]) and a.sign > 0:
            return self.share_of(a, b, self.own(a.least / 2))
        function = Fraction(estimates.FUNCTION_ERROR) * UNIT
        if operation == "exp" and a.sign < 0 and a.most <= _MOST and a.error == "0":
            return Real(1, _LEAST, Fraction(1), lambda *at: a.exact(*at).exp(), self.error("1", function))
        if operation == "log1p" and a.sign > 0 and a.most <= 1:
            return self.log_one_plus(a, function)
        msg = f"the proof does not know the operation {operation}, or not for these operands"
        raise UntranslatedError(msg)

    def _argument(self, position: int) -> Real:
        sign, most = ((1 if self.positive else -1), _MOST) if position == 0 else (1, 1)
        return Real(sign, Fraction(0), Fraction(most), lambda *at: at[position], unit=_SMALLEST)

    def _product(self, a: Real, b: Real) -> Real:
        for x, y in ((a, b), (b, a)):
            if not x.sign:
                return x
            if _is_one(x):
                return y if x.sign > 0 else -y
        return self.product(a, b, self.own(max(a.least * b.least, a.unit * b.unit)))


class _Tested(_Reader):
    """Reads the kernel of one method."""

    def __init__(self, method: str, *, positive: bool) -> None:
        super().__init__(positive=positive)
        self.goals: list[str] = []
        self.hints: list[str] = []
        self.right = "1"
        """The result without errors, as Gappa reads it."""
        self.share: str | None = None
        """The share of the second of two terms."""
        low, high = _ends(recorded(kernel(method), 2))
        relative = low.operation == high.operation == "mul"
        self.exact, self.claims = (self._around_product if relative else self._around_sum)(low, high)
        """The result without errors, in balls; and that the bound of the test is at least what both ends need."""

    def _around_product(self, low: Node, high: Node) -> tuple[Callable[..., Any], list[Claim]]:
        """Read ends that are multiples of the result."""
        (result, below), (of_high, above) = low.operands, high.operands
        bounds = 1 - _constant(below), _constant(above) - 1  # an odd bound is rounded in one of them
        v = self.real(result)
        if of_high is not result or v.sign <= 0:
            msg = "ends that do not lie around a result"
            raise UntranslatedError(msg)
        own, side = self.own(v.least), self.side
        self.lines.append(f"v_{side} = {self.right} * (1 + {v.error});")
        for end, factor in (("low", below), ("high", above)):
            d = self.variable("d", -own, own)
            self.lines.append(f"{end}_{side} = v_{side} * {number(_constant(factor))} * (1 + {d});")
        return v.exact, self._needs(f"v_{side}", *bounds)

    def _around_sum(self, low: Node, high: Node) -> tuple[Callable[..., Any], list[Claim]]:
        """Read ends that are the result, a sum, and an error that is relative to the magnitudes of its terms."""
        result, error = low.operands
        if (low.operation, high.operation) != ("sub", "add") or high.operands != (result, error):
            msg = "ends that do not lie around a result"
            raise UntranslatedError(msg)
        if error.operation != "mul" or result.operation not in ("add", "sub"):
            msg = "an error that is not relative to the magnitudes of two terms"
            raise UntranslatedError(msg)
        bound, magnitude = _constant(error.operands[0]), error.operands[1]
        self._require_magnitudes(magnitude, result)
        a, b = (self.real(node) for node in result.operands)
        if result.operation == "sub":
            b = -b
        side = self.side
        self.right, self.share = f"exact_{side}", f"share_{side}"
        w = self.share
        ones = [f"(1 - {w})", w]
        signs = ["" if a.sign > 0 else "-", " + " if b.sign > 0 else " - "]
        exact = [f"{sign}{one}" for sign, one in zip(signs, ones, strict=True)]
        with_errors = [f"{one} * (1 + {x.error})" for one, x in zip(exact, (a, b), strict=True)]
        changes = [f"{one} * {x.error}" for one, x in zip(exact, (a, b), strict=True)]
        d = [self.variable("d", -UNIT, UNIT) for _ in range(4)]
        of_error = self.own(bound * (a.least + b.least))
        d_error = self.variable("d", -of_error, of_error)
        self.lines += [
            f"exact_{side} = {''.join(exact)};",
            f"sum_{side} = {''.join(with_errors)};",
            f"v_{side} = sum_{side} * (1 + {d[0]});",
            f"size_{side} = ({ones[0]} * (1 + {a.error}) + {ones[1]} * (1 + {b.error})) * (1 + {d[1]});",
            f"error_{side} = {number(bound)} * size_{side} * (1 + {d_error});",
            f"low_{side} = (v_{side} - error_{side}) * (1 + {d[2]});",
            f"high_{side} = (v_{side} + error_{side}) * (1 + {d[3]});",
        ]
        off, of_size = f"(v_{side} - exact_{side}) / size_{side}", f"v_{side} / size_{side}"
        self.hints += [
            f"v_{side} - exact_{side} -> {''.join(changes)} + {d[0]} * sum_{side};",
            f"size_{side} -> (1 + {ones[0]} * {a.error} + {ones[1]} * {b.error}) * (1 + {d[1]});",
        ]
        for end, sign, own in (("low", "", d[2]), ("high", "-", d[3])):
            rounded = f"{own} * ({of_size})"
            rest = f"{number(bound)} * ({d_error} + {own} + {d_error} * {own})"
            changed = f"{sign}({off}) {sign or '+'} {rounded} - {rest}"
            self.hints.append(f"{end}_needs_{side} -> {changed} {{size_{side} <> 0}};")
        return lambda *at: a.exact(*at) + b.exact(*at), self._needs(f"size_{side}", bound, bound)

    def _needs(self, size: str, of_low: Fraction, of_high: Fraction) -> list[Claim]:
        """Define how much of the bounds the ends need; return that it is no more than they are.

        An end is the exact result where it needs all of its bound: the needs of the low one are the bound plus
        (low - exact) / size. So low <= exact <= high follows, if the size is positive; that is a goal.
        """
        self.goals.append(within(size, Fraction(1, 2), 2))
        names = [f"{end}_needs_{self.side}" for end in ("low", "high")]
        beyond = f"low_{self.side} - {self.right}", f"{self.right} - high_{self.side}"
        bounds = of_low, of_high
        for name, bound, gap in zip(names, bounds, beyond, strict=True):
            self.lines.append(f"{name} = {number(bound)} + ({gap}) / {size};")
        return [Claim(name, bound) for name, bound in zip(names, bounds, strict=True)]

    def _require_magnitudes(self, magnitude: Node, result: Node) -> None:
        """Require that a node is |a| + |b|, where a and b are the terms of a sum."""
        sizes = magnitude.operands if magnitude.operation == "add" else ()
        same = [self._of_size(x) for x in sizes] == [self._of_size(x) for x in result.operands]
        if not same or any(self.real(x).sign <= 0 for x in sizes):
            msg = "a magnitude that is not that of two terms"
            raise UntranslatedError(msg)

    def _of_size(self, node: Node) -> Node:
        """Return a node of the same magnitude, without operations that change the sign only."""
        while node.operation in ("abs", "neg", "mul"):
            rest = [x for x in node.operands if not _is_one(self.real(x))]
            if node.operation == "mul" and len(rest) != 1:
                break
            (node,) = rest
        return node


def _constant(node: Node) -> Fraction:
    if node.operation != "constant":
        msg = f"{node.operation} in place of a constant"
        raise UntranslatedError(msg)
    return Fraction(node.value)


def _is_one(x: Real) -> bool:
    return x.least == x.most == 1


def _is_upper(node: Node) -> bool:
    """Tell whether a node is x >= 0."""
    a, *others = node.operands
    return node.operation == "ge" and a.operation == "input" and a.value == 0 and others[0].is_constant(0)


def _is_one_more(node: Node, v: Node) -> bool:
    rest = [x for x in node.operands if not x.is_constant(1)]
    return node.operation == "add" and len(node.operands) == 2 and rest == [v]


def _ends(graph: Graph) -> tuple[Node, Node]:
    """Return the two numbers that the test rounds and compares, of which the larger one is the result."""
    result, uncertain = graph.outputs
    differ = [node for node in _alternatives(uncertain) if node.operation == "ne" and node.operands[1] is result]
    rounded = differ[0].operands if differ else ()
    if len(differ) != 1 or any((x.operation, x.value) != ("astype", np.float32) for x in rounded):
        msg = "a result that is not compared with that of the other end"
        raise UntranslatedError(msg)
    low, high = (_without_zero(x.operands[0]) for x in rounded)
    return low, high


def _alternatives(node: Node) -> Iterator[Node]:
    if node.operation != "or_":
        yield node
        return
    for operand in node.operands:
        yield from _alternatives(operand)


def _without_zero(node: Node) -> Node:
    """Return a number to which a zero is added, for its sign."""
    return node.operands[0] if node.operation == "add" and node.operands[1].is_constant(0) else node


def _share() -> Step:
    script, claims = Script(), []
    for positive in (True, False):
        (quotient,) = (node for node in recorded(kernel("hessian"), 2).nodes() if node.operation == "truediv")
        read = _Reader(positive=positive, whole=True)
        claims.append(Claim(read.real(quotient).error, SHARE))
        script.lines += read.lines
        script.always += read.hypotheses
    script.cases = [([], [])]
    return Step("estimate_share", "estimates: relative error of e / (1 + e)", _LOGITS, script, tuple(claims))


def _step(method: str) -> Step:
    sides = [_Tested(method, positive=positive) for positive in (True, False)]
    script = Script()
    for tested in sides:
        script.lines += tested.lines
        script.always += tested.hypotheses
        script.hints += tested.hints
    goals = [goal for tested in sides for goal in tested.goals]
    shares = [tested.share for tested in sides if tested.share is not None]
    parts = [Fraction(i, _PARTS) for i in range(_PARTS + 1)] if shares else [Fraction(0), Fraction(1)]
    script.cases = [([within(share, *part) for share in shares], goals) for part in pairwise(parts)]
    claims = tuple(claim for tested in sides for claim in tested.claims)
    what = f"estimates, plain loss: bound that the test of the {method} needs"
    return Step(f"estimate_{method}", what, f"{_LOGITS}, labels from 0 to 1", script, claims)


def differences() -> Iterator[Any]:
    """Yield, in balls, what the formulas as recorded differ from the definitions."""
    for method in METHODS:
        for positive in (True, False):
            exact = _Tested(method, positive=positive).exact
            for size in range(1, 100, 7):
                x, z = flint.arb(size) / 8 * (1 if positive else -1), flint.arb(size % 9) / 8
                yield exact(x, z) - definition(method, x, z)
