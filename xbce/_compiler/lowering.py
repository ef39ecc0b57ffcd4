"""Lowers a recorded graph to operations of one library with the same results, bit for bit.

A lowering is found by the name of an idiom or an operation, so it does not depend on the wording of a formula.
Compilers that fuse operations get the plain operations.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .._formulas import Idiom
from .._formulas.idioms import Plain
from .recording import Graph, Node, Recorder, Samples, expand


@dataclass(frozen=True, slots=True)
class Call:
    """An idiom or operation that is to be lowered."""

    name: str
    operands: tuple[Node, ...]
    """The lowered operands."""
    value: Any
    """As in `Node`."""
    uses: tuple[int, ...]
    """Number of all uses of each operand, hints excluded; empty for the operations of an expanded idiom."""

    def is_only_use(self, i: int) -> bool:
        """Tell whether nothing else uses an operand."""
        return self.uses[i : i + 1] == (1,)


Lowering = Callable[["Lowered", Call], Node | None]
"""Returns an equivalent node, or None if the plain operations are to be used."""


class Lowered:
    """Makes nodes like a recorder, and lowers each of them."""

    def __init__(self, recorder: Recorder, lowerings: Mapping[str, Lowering]) -> None:
        self.xp = recorder.xp
        self.recorder = recorder
        self.checked: dict[Node, None] = {}
        """Nodes that must hold no NaN, or else the results are wrong."""
        self.checks_outputs = False
        """Whether the results must hold none, too."""
        self._lowerings = lowerings

    def constant(self, value: complex) -> Node:
        """Return the node of a Python scalar."""
        return self.recorder.constant(value)

    def operation(self, name: str, operands: Iterable[Node], value: Any = None, *, uses: tuple[int, ...] = ()) -> Node:
        """Return the lowered node of an operation."""
        operands, lowering = tuple(operands), self._lowerings.get(name)
        found = None if lowering is None else lowering(self, Call(name, operands, value, uses))
        return self.recorder.operation(name, operands, value) if found is None else found

    def idiom(self, idiom: Idiom, operands: tuple[Node, ...], *, uses: tuple[int, ...] = ()) -> Node:
        """Return the lowered node of an idiom, or of its plain operations, each lowered."""
        lowering = self._lowerings.get(idiom.name)
        found = None if lowering is None else lowering(self, Call(idiom.name, operands, None, uses))
        return expand(self, idiom, operands) if found is None else found


def lowered(xp: Any, graph: Graph, lowerings: Mapping[str, Lowering], samples: Samples | None = None) -> Graph:
    """Return a graph of operations without idioms."""
    work = Lowered(Recorder(xp, samples), lowerings)
    nodes = graph.nodes()
    uses = Counter(graph.outputs)
    for node in nodes:
        hints = () if node.idiom is None else node.idiom.hints
        for i, operand in enumerate(node.operands):
            if i not in hints:
                uses[operand] += 1
    new: dict[Node, Node] = {}
    for node in nodes:
        operands, of_operands = tuple([new[x] for x in node.operands]), tuple([uses[x] for x in node.operands])
        if node.operation in ("input", "constant"):
            new[node] = work.recorder.copied(node)
        elif node.idiom is not None:
            new[node] = work.idiom(node.idiom, operands, uses=of_operands)
        else:
            new[node] = work.operation(node.operation, operands, node.value, uses=of_operands)
    outputs = tuple(new[output] for output in graph.outputs)
    checked = dict.fromkeys(outputs) if work.checks_outputs else {}
    return Graph(outputs, graph.single, (*checked, *(x for x in work.checked if x not in checked)))


def exp_minus_abs(work: Lowered, call: Call) -> Node:
    """Use -abs(x), or x times its sign if another operation uses that; they differ in the signs of zeros only."""
    x, _, sign = call.operands
    if any(call.uses[2:]):
        minus = work.operation("mul", (x, sign))
    else:
        minus = work.operation("neg", (work.operation("abs", (x,)),))
    return work.operation("exp", (minus,))


def constant_zero(_: Lowered, call: Call) -> Node:
    """Use the exponential itself, which is never -0."""
    return call.operands[0]


def unguarded_product(work: Lowered, call: Call) -> Node | None:
    """Omit the guard against 0 times infinity, and check that the product holds no NaN."""
    x = call.operands[0]
    product = work.operation("mul", call.operands)
    if not product.full:
        return None
    work.checked.pop(x, None)  # a NaN in x is in the product, too
    work.checked[product] = None
    return product


def unguarded_number(work: Lowered, call: Call) -> Node | None:
    """Omit a selection, and check the results: where it is needed, they would be NaN without it."""
    x = call.operands[1]
    if not x.full:
        return None
    work.checks_outputs = True
    return x


def sum_of_unguarded(work: Lowered, call: Call) -> Node | None:
    """Check a sum in place of its unguarded term: a NaN in the term is in the sum, too, which may be a result."""
    total = work.recorder.operation(call.name, call.operands)
    if total.full and any(x in work.checked for x in call.operands):
        for x in call.operands:
            work.checked.pop(x, None)
        work.checked[total] = None
    return total


def bitwise_where(work: Lowered, call: Call, number: Node | None = None) -> Node | None:
    """Select by bits, b ^ ((a ^ b) & condition): `where` takes six times as long on an unpredictable condition.

    The condition may be given as a number, 0 or 1, too. The target has calls for "all_bits", which writes all bits
    where a condition holds and none elsewhere, and for "and_bits" and "xor_bits".
    """
    condition, a, b = call.operands
    node = work.recorder.operation("where", call.operands)
    if not condition.full or node.dtype.itemsize not in (4, 8):
        return None
    if any(getattr(x.sample, "dtype", node.dtype) != node.dtype for x in (a, b)):
        return None

    def operation(name: str, *operands: Node) -> Node:
        return work.recorder.operation(name, operands, like=node)

    chosen = operation("all_bits", condition if number is None else number)
    if b.is_constant(0):
        return operation("and_bits", a, chosen)
    return operation("xor_bits", operation("and_bits", operation("xor_bits", a, b), chosen), b)


def by_form(form: Plain) -> Lowering:
    """Return the lowering of an idiom to the operations of another form of it."""
    other = Idiom(form)
    return lambda work, call: expand(work, other, call.operands)


def smaller_part(work: Lowered, call: Call) -> Node:
    """Use the minimum of u and 1 - u."""
    u = call.operands[0]
    return work.operation("minimum", (u, work.operation("sub", (work.constant(1), u))))


def one_where(work: Lowered, call: Call) -> Node:
    """Subtract 0, or -1 where the condition holds, at which x is 0: less work than a selection, and -0 remains."""
    condition, x = call.operands
    number = work.operation("astype", (condition,), x.dtype)
    if condition.operation == "eq" and condition.operands[0] is x and condition.operands[1].is_constant(0):
        return work.operation("add", (x, number))  # no -0 is to remain
    return work.operation("sub", (x, work.operation("sub", (work.constant(0.0), number))))


def zero_where(work: Lowered, call: Call) -> Node:
    """Subtract 1 where the condition holds, at which x is 1."""
    condition, x = call.operands
    return work.operation("sub", (x, work.operation("astype", (condition,), x.dtype)))


def power(_: Lowered, call: Call) -> Node | None:
    """Use the base itself for an exponent of 1, which the derivative of a square has."""
    base, exponent = call.operands
    return base if exponent.is_constant(1) else None


def itself(_: Lowered, call: Call) -> Node:
    """Use the operand: operations of a program are rounded one by one."""
    return call.operands[0]


def unchanged(_: Lowered, call: Call) -> Node:
    """Use the number as it is."""
    return call.operands[1]


PROGRAM_LOWERINGS: Mapping[str, Lowering] = {
    "exp_minus_abs": exp_minus_abs,
    "constant_zero": constant_zero,
    "smaller_part": smaller_part,
    "one_for_nan": one_where,
    "one_where": one_where,
    "zero_for_nan": zero_where,
    "pow": power,
    "settled": itself,
    "variable": unchanged,
}
"""Lowerings of all libraries that run programs."""
QUICK_LOWERINGS: Mapping[str, Lowering] = {
    "product": unguarded_product,
    "one_for_nan": unguarded_number,
    "zero_for_nan": unguarded_number,
    "add": sum_of_unguarded,
}
"""Lowerings of `Compiled.quick`."""
