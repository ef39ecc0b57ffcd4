"""Turns what was recorded into operations that one library has: the same results, bit for bit, one pass at a time.

A lowering knows an idiom, or an operation, by its name; how a formula is spelt does not matter. Compilers that fuse
operations are given none of this.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .._formulas import Idiom
from .recording import Graph, Node, Recorder, expand


@dataclass(frozen=True, slots=True)
class Call:
    """An idiom or operation that is to be lowered."""

    name: str
    operands: tuple[Node, ...]
    """Lowered already."""
    value: Any
    uses: tuple[int, ...]
    """How often each operand is used in all, but as a hint; empty for what an expanded idiom is made of."""

    def is_only_use(self, i: int) -> bool:
        """Tell whether nothing else uses an operand."""
        return self.uses[i : i + 1] == (1,)


Lowering = Callable[["Lowered", Call], Node | None]
"""Returns what does the same, or None where the plain operations have to."""


class Lowered:
    """A graph while it is lowered: it makes nodes like a recorder, each in the library's way."""

    def __init__(self, recorder: Recorder, lowerings: Mapping[str, Lowering]) -> None:
        self.xp = recorder.xp
        self.recorder = recorder
        self.checked: dict[Node, None] = {}
        """The results are right only if none of these holds a NaN."""
        self._lowerings = lowerings

    def constant(self, value: complex) -> Node:
        """Return what stands for a Python scalar."""
        return self.recorder.constant(value)

    def operation(self, name: str, operands: Iterable[Node], value: Any = None, *, uses: tuple[int, ...] = ()) -> Node:
        """Return an operation, lowered."""
        call = Call(name, tuple(operands), value, uses)
        lowering = self._lowerings.get(name)
        found = None if lowering is None else lowering(self, call)
        return self.recorder.operation(name, call.operands, value) if found is None else found

    def idiom(self, idiom: Idiom, operands: tuple[Node, ...], *, uses: tuple[int, ...] = ()) -> Node:
        """Return an idiom, lowered, or else its plain operations, each lowered."""
        lowering = self._lowerings.get(idiom.name)
        found = None if lowering is None else lowering(self, Call(idiom.name, operands, None, uses))
        return expand(self, idiom, operands) if found is None else found


def lowered(xp: Any, graph: Graph, lowerings: Mapping[str, Lowering]) -> Graph:
    """Return a graph of operations without idioms."""
    work = Lowered(Recorder(xp), lowerings)
    nodes = graph.nodes()
    uses = Counter(graph.outputs)
    for node in nodes:
        hints = () if node.idiom is None else node.idiom.hints
        uses.update(operand for i, operand in enumerate(node.operands) if i not in hints)
    new: dict[Node, Node] = {}
    for node in nodes:
        operands, of_operands = tuple(new[x] for x in node.operands), tuple(uses[x] for x in node.operands)
        if node.operation in ("input", "constant"):
            new[node] = work.recorder.copied(node)
        elif node.idiom is not None:
            new[node] = work.idiom(node.idiom, operands, uses=of_operands)
        else:
            new[node] = work.operation(node.operation, operands, node.value, uses=of_operands)
    return Graph(tuple(new[output] for output in graph.outputs), graph.single, tuple(work.checked))


def exp_minus_abs(work: Lowered, call: Call) -> Node:
    """Take -|x|, or the product of x and its sign if something else needs that; they differ in the signs of zeros."""
    x, _, sign = call.operands
    if any(call.uses[2:]):
        minus = work.operation("mul", (x, sign))
    else:
        minus = work.operation("neg", (work.operation("abs", (x,)),))
    return work.operation("exp", (minus,))


def constant_zero(_: Lowered, call: Call) -> Node:
    """Take the exponential itself: it is not -0."""
    return call.operands[0]


def unguarded_product(work: Lowered, call: Call) -> Node | None:
    """Take the product without its guard against 0 times infinity, and check that nothing is NaN."""
    x = call.operands[0]
    product = work.operation("mul", call.operands)
    if not product.full:
        return None
    work.checked.pop(x, None)  # its NaN is one of the product, too
    work.checked[product] = None
    return product


PROGRAM_LOWERINGS: Mapping[str, Lowering] = {"exp_minus_abs": exp_minus_abs, "constant_zero": constant_zero}
"""For every library that runs programs."""
QUICK_LOWERINGS: Mapping[str, Lowering] = {"product": unguarded_product}
"""For programs that fail where something is NaN."""
