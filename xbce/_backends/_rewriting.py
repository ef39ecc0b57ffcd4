"""The same results, bit for bit, by fewer or cheaper operations: for backends that run a graph one pass at a time.

Rules know operations, not losses. Compilers that fuse operations are given none of this.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from ._graph import Graph, Node, Recorder


@dataclass(slots=True)
class Rewriting:
    """One pass over a graph."""

    recorder: Recorder
    uses: Counter[Node]
    """How often the result of a node is used."""
    checked: list[Node] = field(default_factory=list)
    """The results are right only if none of these holds a NaN."""


Rule = Callable[[Rewriting, Node], Node | None]
"""Returns what to put in place of a node whose operands are rewritten already, or None."""


def rewritten(recorder: Recorder, graph: Graph, rules: tuple[Rule, ...]) -> Graph:
    """Return the graph after the rules, each applied to the result of those before it."""
    for rule in rules:
        nodes = graph.nodes()
        uses = Counter(operand for node in nodes for operand in node.operands)
        uses.update(graph.outputs)
        rewriting = Rewriting(recorder, uses)
        new: dict[Node, Node] = {}
        for node in nodes:
            operands = tuple(new[operand] for operand in node.operands)
            moved = node
            if operands != node.operands:
                moved = recorder.operation(node.operation, operands, node.value, like=node)
                uses[moved] += uses[node]
            new[node] = rule(rewriting, moved) or moved
        checked = dict.fromkeys([*(new[node] for node in graph.checked), *rewriting.checked])
        graph = Graph(tuple(new[output] for output in graph.outputs), graph.single, tuple(checked))
    return graph


def is_sign(node: Node) -> bool:
    """Tell whether this is 1 - 2 b, where b is a condition as a number."""
    match node:
        case Node("sub", (one, Node("mul", (two, Node("astype", (condition,)))))):
            return one.is_number(1) and two.is_number(2) and condition.is_bool()
    return False


def same_condition(_: Rewriting, node: Node) -> Node | None:
    """Take a condition for itself as a number, compared with 1."""
    match node:
        case Node("eq", (Node("astype", (condition,)), one)) if one.is_number(1) and condition.is_bool():
            return condition
    return None


def minus_absolute(rewriting: Rewriting, node: Node) -> Node | None:
    """Take exp(-|x|) for that of -x where x >= 0, and else of x; or of the product of x and its sign, if that is there.

    The arguments differ in the signs of zeros and of NaN, which exp does not show.
    """
    recorder = rewriting.recorder
    match node:
        case Node("exp", (Node("where", (Node("ge", (x, zero)) as upper, Node("neg", (y,)), z)),)) if x is y is z:
            number = recorder.operation("astype", (upper,), x.dtype)
            double = recorder.operation("mul", (recorder.constant(2), number))
            minus_sign = recorder.operation("sub", (recorder.constant(1), double))
            if not zero.is_number(0):
                return None
            if rewriting.uses[minus_sign]:
                argument = recorder.operation("mul", (x, minus_sign))
            else:
                argument = recorder.operation("neg", (recorder.operation("abs", (x,)),))
            return recorder.operation("exp", (argument,))
    return None


def same_zero(_: Rewriting, node: Node) -> Node | None:
    """Take an exponential for itself with 0 where it is 0; it is not -0."""
    match node:
        case Node("where", (Node("eq", (Node("exp") as e, zero)), constant, y)) if e is y:
            return e if zero.is_number(0) and constant.is_number(0) else None
    return None


def unguarded(rewriting: Rewriting, node: Node) -> Node | None:
    """Take a product for one that is guarded against 0 times infinity, and check that nothing is NaN."""
    match node:
        case Node("mul", (Node("where", (Node("and_", (infinite, Node("eq", (f, nothing)))), zero, x)), factor)):
            if f is factor and nothing.is_number(0) and zero.is_number(0) and _is_infinite(infinite, x):
                product = rewriting.recorder.operation("mul", (x, factor))
                if not product.full:
                    return None
                if x in rewriting.checked:  # its NaN is one of the product, too
                    rewriting.checked.remove(x)
                rewriting.checked.append(product)
                return product
    return None


def _is_infinite(node: Node, x: Node) -> bool:
    """Tell whether this is whether x is one of the infinities."""
    match node:
        case Node("or_", (Node("eq", (y, positive)), Node("eq", (z, negative)))):
            return x is y is z and positive.is_number(math.inf) and negative.is_number(-math.inf)
    return False
