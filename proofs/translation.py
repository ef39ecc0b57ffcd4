"""Translates a recorded graph to definitions that Gappa reads, and its error to a sum of the errors of its operations.

Each operation is a definition with a rounding. Beside it, the translation keeps the value that the operation would have
without any rounding, a polynomial in the inputs, and what the roundings before it change: a sum of rounding errors
times polynomials. The rest that an error-free transformation returns is a rounding error with the opposite sign, so
that it cancels here, in exact arithmetic. What is left is an identity that Gappa gets as a hint, and checks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from proofs.polynomial import Polynomial, name, polynomial
from xbce._compiler.recording import Graph, Node

UNDERFLOW = Fraction(1, 2**1040)
"""Bounds what the rest of a product loses where the product is below 2^-969."""
_SUBNORMAL = "fixed<-1074,ne>"
"""The rounding of a double times a power of two, if that does not overflow."""


class UntranslatedError(Exception):
    """The code has an operation that the proof does not know."""


@dataclass
class Value:
    """The result of an operation."""

    text: Polynomial
    """As the later operations use it."""
    ideal: Polynomial
    """Without roundings."""
    errors: dict[str, Polynomial] = field(default_factory=dict)
    """Factors of the rounding errors in it, by their names."""

    def plus(self, other: "Value", sign: int = 1) -> "Value":
        """Return the exact sum or difference."""
        errors = _merged(self.errors, _scaled(other.errors, polynomial(sign)))
        return Value(self.text + other.text * sign, self.ideal + other.ideal * sign, errors)

    def times(self, other: "Value") -> "Value":
        """Return the exact product: a b - A B = (a - A) b + A (b - B)."""
        errors = _merged(_scaled(self.errors, other.text), _scaled(other.errors, self.ideal))
        return Value(self.text * other.text, self.ideal * other.ideal, errors)


def known(x: Polynomial) -> Value:
    """Return the value of what has no error."""
    return Value(x, x)


ZERO = known(polynomial(0))
Named = Callable[[Node], str | float | None]
"""Returns the name or the number that stands for a node: an entry of a table, or the result of another step."""


@dataclass(frozen=True)
class Reading:
    """How a graph is read."""

    named: Named = lambda _: None
    ordered: bool = True
    """Whether ordered sums have the larger number first: then the rest is exact, and the order becomes a goal."""
    holds: Mapping[tuple[str, float], bool] = field(default_factory=dict)
    """Which conditions hold, by their operation and the constant that they compare with."""
    integers: bool = True
    """Whether an integer is a number of its own, not that from which it was rounded."""
    fused: bool = False
    """Whether products are rounded or not, as compilers fuse them with the sums after them."""


class Translation:
    """The definitions of a graph, whose arguments have the names `inputs`."""

    def __init__(self, graph: Graph, inputs: Sequence[str], reading: Reading | None = None) -> None:
        self.lines: list[str] = []
        """Definitions."""
        self.lost: list[str] = []
        """Names of what the rests of products lose to underflow."""
        self.shares: list[str] = []
        """Names of the shares, from 0 to 1, that products that may be fused have of the error of a rounding."""
        self.order: list[tuple[str, str]] = []
        """The second and the first number of each ordered sum."""
        self.hints: list[str] = []
        """Identities that bound a difference in an ordered sum whose order is not known."""
        self._high_of: dict[str, str] = {}
        """Names of rounded sums, by those of their rests."""
        self._errors: dict[str, str] = {}
        """Rounding errors, as Gappa reads them."""
        self._rounded: dict[str, tuple[str, str]] = {}
        """Name and rounding error of what was rounded, by its text."""
        self._inputs, self._reading = inputs, reading or Reading()
        self._values: dict[Node, Value] = {}
        self.outputs = [self.value(node) for node in graph.outputs]

    def result(self, *outputs: int) -> str:
        """Return a sum of outputs."""
        return self.total(outputs).text.text()

    def error(self, outputs: Sequence[int], ideal: Polynomial) -> str:
        """Return the difference of a sum of outputs and a polynomial in the inputs, by its causes."""
        return self.causes(self.total(outputs).plus(known(ideal), -1))

    def causes(self, difference: Value) -> str:
        """Return a number as the sum of what it is without roundings, and of the rounding errors."""
        parts = [
            error if factor == polynomial(1) else f"({factor.nested()}) * {error}"
            for factor, error in ((factor, self._errors[delta]) for delta, factor in difference.errors.items())
        ]
        return " + ".join([*parts, difference.ideal.nested()] if difference.ideal or not parts else parts)

    def rounding_error(self, result: Polynomial, factor: Polynomial) -> Value:
        """Return the rounding error of a result, times a factor."""
        error = next(error for rounded, error in self._rounded.values() if name(rounded) == result)
        return Value(polynomial(0), polynomial(0), {error: factor})

    def value(self, node: Node) -> Value:
        """Return what is known of a node."""
        if node not in self._values:
            self._values[node] = self._computed(node)
        return self._values[node]

    def require_pair(self) -> None:
        """Require that the second output is the rest of the first: at most half of a unit in its last place."""
        high, low = (self.result(i) for i in (0, 1))
        if self._high_of.get(low) != high:
            msg = f"{low} is not what the rounding of {high} leaves"
            raise UntranslatedError(msg)

    def total(self, outputs: Sequence[int]) -> Value:
        """Return a sum of outputs."""
        total = ZERO
        for i in outputs:
            total = total.plus(self.outputs[i])
        return total

    def _computed(self, node: Node) -> Value:
        own = self._reading.named(node)
        if own is not None:
            return known(polynomial(own) if isinstance(own, float) else name(own))
        operation = node.operation
        if operation == "input":
            return known(name(self._inputs[node.value]))
        if operation == "constant":
            return known(polynomial(node.value))
        if operation == "where":
            return self.value(node.operands[1 if self._holds(node.operands[0]) else 2])
        operands = [self.value(operand) for operand in node.operands]
        if operation == "astype":
            return operands[0]
        if operation == "neg":
            return ZERO.plus(operands[0], -1)
        if operation in ("add", "sub"):
            return self._round(operands[0].plus(operands[1], 1 if operation == "add" else -1))
        if operation == "mul":
            if self._reading.fused:
                return self._fused(operands[0].times(operands[1]))
            scales = any(_is_power_of_two(x.text) for x in operands)
            return self._round(operands[0].times(operands[1]), _SUBNORMAL if scales else "rnd")
        if operation in ("round", "trunc"):
            integer = self._round(operands[0], "int<ne>" if operation == "round" else "int<zr>")
            return known(integer.text) if self._reading.integers else integer
        if operation == "truediv":
            a, b = (operand.text.text() for operand in operands)
            return known(self._defined(f"({a}) / ({b})", "rnd"))
        if operation in ("sum_rest", "ordered_sum_rest"):
            return self._rest_of_sum(*operands, ordered=operation == "ordered_sum_rest")
        if operation == "product_rest":
            return self._rest_of(operands[0].times(operands[1]), underflows=True)
        msg = f"the proof does not know the operation {operation}"
        raise UntranslatedError(msg)

    def _holds(self, node: Node) -> bool:
        a, b = node.operands
        if node.operation == "eq" and a is b:
            return True  # no NaN
        found = self._reading.holds.get((node.operation, b.value))
        if found is None:
            msg = f"the proof does not know whether {node.operation} {b.value} holds"
            raise UntranslatedError(msg)
        return found

    def _defined(self, text: str, rounding: str) -> Polynomial:
        """Define a rounded result; return its name, and remember its error."""
        result, error = f"v{len(self.lines)}", f"d{len(self._errors)}"
        self.lines.append(f"{result} = {rounding}({text});")
        self._errors[error] = f"({result} - ({text}))"
        self._rounded[f"{rounding} {text}"] = result, error
        return name(result)

    def _round(self, exact: Value, rounding: str = "rnd") -> Value:
        text = exact.text.text()
        if not exact.text or exact.text.terms.keys() == {()}:
            constant = exact.text.terms.get((), Fraction(0))
            if Fraction(float(constant)) != constant:
                msg = f"{constant}, a number that the code computes from constants, is rounded"
                raise UntranslatedError(msg)
            return known(exact.text)
        key = f"{rounding} {text}"
        result = name(self._rounded[key][0]) if key in self._rounded else self._defined(text, rounding)
        return Value(result, exact.ideal, exact.errors | {self._rounded[key][1]: polynomial(1)})

    def _fused(self, exact: Value) -> Value:
        """Return a product that is rounded or not; it may be flushed to 0 where it is subnormal."""
        text, share, lost = exact.text.text(), f"share{len(self.shares)}", f"lost{len(self.lost)}"
        result, error = f"v{len(self.lines)}", f"d{len(self._errors)}"
        self.shares.append(share)
        self.lost.append(lost)
        off = f"{share} * (rnd({text}) - ({text})) + {lost}"
        self.lines.append(f"{result} = ({text}) + ({off});")
        self._errors[error] = f"({off})"
        return Value(name(result), exact.ideal, exact.errors | {error: polynomial(1)})

    def _rest_of(self, exact: Value, *, underflows: bool = False) -> Value:
        """Return the rest of an operation: what its rounding took away, as a number."""
        self._round(exact)
        text = exact.text.text()
        rounded, error = self._rounded[f"rnd {text}"]
        result, errors = f"v{len(self.lines)}", {error: polynomial(-1)}
        line = f"{result} = ({text}) - {rounded}"
        if underflows:
            lost = f"lost{len(self.lost)}"
            self.lost.append(lost)
            self._errors[lost] = lost
            errors[lost] = polynomial(1)
            line = f"{line} + {lost}"
        self.lines.append(f"{line};")
        self._high_of[result] = rounded
        return Value(name(result), polynomial(0), errors)

    def _rest_of_sum(self, a: Value, b: Value, *, ordered: bool) -> Value:
        exact = a.plus(b)
        if not ordered or self._reading.ordered:
            if ordered:
                self.order.append((b.text.text(), a.text.text()))
            return self._rest_of(exact)
        high = self._round(exact)
        gap = high.plus(a, -1)
        # Gappa would bound the difference by its operands.
        hint = f"({high.text.text()} - ({exact.text.text()})) + {b.text.text()}"
        self.hints.append(f"{gap.text.text()} -> {hint};")
        return self._round(b.plus(self._round(gap), -1))


def _is_power_of_two(x: Polynomial) -> bool:
    if x.terms.keys() != {()}:
        return False
    c = abs(x.terms[()])
    return c.numerator & (c.numerator - 1) == 0 and c.denominator & (c.denominator - 1) == 0


def _merged(a: Mapping[str, Polynomial], b: Mapping[str, Polynomial]) -> dict[str, Polynomial]:
    merged = dict(a)
    for delta, factor in b.items():
        merged[delta] = merged[delta] + factor if delta in merged else factor
    return {delta: factor for delta, factor in merged.items() if factor}


def _scaled(errors: Mapping[str, Polynomial], factor: Polynomial) -> dict[str, Polynomial]:
    return {delta: x * factor for delta, x in errors.items() if x * factor}
