"""Checks that the arithmetic of float64 does what that of float32 does, times powers of 2^512.

A sum, product or quotient of pairs with powers is recorded. Its selections are those of an example, one for each
combination of powers and of magnitudes of the result. What remains must be the operations of pairs without powers, on
operands that are as they are, or 2^-512 times them, or 0; and the results of these, or 2^512 or 2^-512 times them.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from proofs.recording import TRANSFORMATIONS, kept, recorded
from xbce._compiler.recording import Graph, Node
from xbce._precision import HighPrecision, exact, pairs

Structure = tuple[Any, ...]
"""An operation, and the structures of its operands."""
_UP, _DOWN = (("constant", 2.0**exponent) for exponent in (512, -512))
_COMMUTATIVE = ("add", "mul", "sum_rest", "product_rest")
_RESTS: dict[str, Callable[..., Any]] = {
    "sum_rest": lambda a, b: exact.two_sum(a, b)[1],
    "ordered_sum_rest": lambda a, b: exact.fast_two_sum(a, b)[1],
    "product_rest": lambda a, b: exact.two_product(None, a, b)[1],
    "where": lambda condition, a, b: a if condition else b,
    "invert": operator.not_,
    "and_": lambda a, b: a and b,
    "or_": lambda a, b: a or b,
}
_A, _B = (1.5, 2.0**-60), (1.25, 2.0**-61)
_LARGE, _SMALL = (1.5 * 2.0**255, 2.0**150), (1.5 * 2.0**-256, 2.0**-320)
EXAMPLES: dict[str, list[tuple[float, ...]]] = {
    "add": [
        *((*_A, 0.0, *_B, power) for power in (0.0, 1.0, 2.0, -1.0, -2.0)),
        (*_LARGE, 1.0, *_LARGE, 1.0),
        (*_SMALL, 1.0, -1.25 * 2.0**-256, 2.0**-320, 1.0),
    ],
    "multiply": [(*_A, 1.0, *_B, -2.0), (*_LARGE, 1.0, *_LARGE, -2.0), (*_SMALL, 1.0, *_SMALL, -2.0)],
    "divide": [(*_A, 1.0, *_B, -2.0), (*_LARGE, 1.0, *_SMALL, -2.0), (*_SMALL, 1.0, *_LARGE, -2.0)],
}
"""Operations, and examples: high part, low part and power of both operands."""


def wrong() -> Iterator[str]:
    """Yield which operations do something else with powers than without."""
    for name, examples in EXAMPLES.items():
        plain, extended = (_recorded(getattr(pairs, name), extended=extended) for extended in (False, True))
        for example in examples:
            operands = [part for half in (0, 3) for part in _operands(name, example, half)]
            wanted = _structures(plain, operands, {})
            leaves = [("input", i) for i in range(6)]
            found = _structures(extended, leaves, _values(extended, example))
            for same, result in zip(wanted, found, strict=True):
                if result not in (same, _scaled(same, _UP), _scaled(same, _DOWN)):
                    yield f"{name} of {example} with powers is not that of pairs"


def _recorded(operation: Callable[[Any, Any], Any], *, extended: bool) -> Graph:
    def function(xp: Any, *parts: Any) -> Any:
        numbers = HighPrecision(xp, extended=extended)
        half = len(parts) // 2
        result = operation(pairs.Pair(numbers, *parts[:half]), pairs.Pair(numbers, *parts[half:]))
        return result.high, result.low

    with kept(TRANSFORMATIONS):
        return recorded(function, 6 if extended else 4)


def _operands(name: str, example: tuple[float, ...], first: int) -> Iterator[Structure]:
    """Yield what the high and the low part of an operand must be: those of a sum have the power of the larger one."""
    gap = max(example[2], example[5]) - example[first + 2] if name == "add" else 0
    for i in (first, first + 1):
        part = ("input", i)
        yield part if gap == 0 else _scaled(part, _DOWN) if gap == 1 else ("constant", 0.0)


def _scaled(structure: Structure, factor: Structure) -> Structure:
    return _ordered("mul", (structure, factor))


def _ordered(operation: str, operands: tuple[Structure, ...]) -> Structure:
    return (operation, *(sorted(operands, key=repr) if operation in _COMMUTATIVE else operands))


def _values(graph: Graph, example: tuple[float, ...]) -> dict[Node, Any]:
    """Return the value of each node, for an example."""
    values: dict[Node, Any] = {}
    for node in graph.nodes():
        if node.operation in ("input", "constant"):
            values[node] = example[node.value] if node.operation == "input" else node.value
        else:
            function = _RESTS.get(node.operation) or getattr(operator, node.operation)
            values[node] = function(*(values[operand] for operand in node.operands))
    return values


def _structures(graph: Graph, leaves: list[Structure], values: Mapping[Node, Any]) -> list[Structure]:
    """Return the structures of the results, with leaves in place of the inputs, and selections by their values."""
    known: dict[Node, Structure] = {}

    def structure(node: Node) -> Structure:
        if node not in known:
            known[node] = computed(node)
        return known[node]

    def computed(node: Node) -> Structure:
        if node.operation == "input":
            return leaves[int(node.value)]
        if node.operation == "constant":
            return ("constant", node.value)
        if node.operation == "where":
            condition, a, b = node.operands
            no_nan = condition.operation == "eq" and condition.operands[0] is condition.operands[1]
            return structure(a if no_nan or values[condition] else b)
        return _ordered(node.operation, tuple(structure(operand) for operand in node.operands))

    return [structure(node) for node in graph.outputs]
