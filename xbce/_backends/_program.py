"""A graph as a list of calls that write into few arrays, which stay in cache and are used again and again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from xbce._backends._graph import Graph, Node, function_of
from xbce._backends._rewriting import Rule
from xbce._typing import Array, DType, Namespace


class NotANumberError(Exception):
    """A result that must hold no NaN does."""


@dataclass(frozen=True, slots=True)
class Program:
    """The calls, in order. What they take and give lies in slots: arguments, constants, scratch, outputs, the rest."""

    calls: tuple[tuple[Callable[..., Any], Callable[[Sequence[Any]], tuple[Any, ...]], int, bool], ...]
    """Function, what picks its operands from the slots, slot of the result, and whether that is written into."""
    constants: tuple[Any, ...]
    scratch: tuple[DType, ...]
    """Of the arrays that are needed beside the results, each of the full shape."""
    outputs: tuple[DType, ...]
    rest: int

    def run(self, arrays: Sequence[Any], scratch: Sequence[Array], outputs: Sequence[Array]) -> None:
        """Write the results into `outputs`.

        Raises
        ------
        NotANumberError
            If something holds a NaN that must not.
        """
        slots = [*arrays, *self.constants, *scratch, *outputs, *[None] * self.rest]
        for function, operands, result, writes in self.calls:
            if writes:
                function(*operands(slots), out=slots[result])
            else:
                slots[result] = function(*operands(slots))


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """What a library has to run programs with."""

    xp: Namespace
    calls: Mapping[str, Callable[..., Any]]
    """What is called for an operation, with its operands and `out`; they must have "copy" and "astype".

    What is not here is called as it stands, and so is what has less than the full shape.
    """
    constant: Callable[[str, Any, DType], Any]
    """Takes an operation and a Python scalar among its operands, and gives what stands for it in the call."""
    require_numbers: Callable[[Array], None]
    """Raises NotANumberError if an array holds a NaN."""
    rules: tuple[Rule, ...]
    """How graphs are rewritten for this library, after the rules that are for all."""
    empty: Callable[[tuple[int, ...], DType], Array]
    """Makes an array of any numbers."""
    sample: Callable[[int, DType], Array]
    """Makes an array of ones, of one element and the given number of dimensions."""


_Place = tuple[int, int]
"""A kind of slots, in the order of `Program`, and a position among them."""
_ARGUMENTS, _CONSTANTS, _SCRATCH, _OUTPUTS, _REST = range(5)


class Compiler:
    """Finds a place for each result: scratch is free again after its last use, and operations may work in place."""

    def __init__(self, library: Library, graph: Graph, arguments: int) -> None:
        self._library, self._graph, self._arguments = library, graph, arguments
        self._places: dict[Node, _Place] = {}
        self._constants: list[Any] = []
        self._scratch: list[DType] = []
        self._free: list[_Place] = []
        self._rest = 0
        self._calls: list[tuple[Callable[..., Any], tuple[_Place, ...], _Place, bool]] = []

    def program(self) -> Program:
        """Return the program."""
        nodes, outputs = self._graph.nodes(), self._graph.outputs
        last = {operand: node for node in nodes for operand in node.operands}
        for node in nodes:
            if node.operation == "input":
                self._places[node] = (_ARGUMENTS, node.value)
            elif node.operation != "constant":
                self._add(node, [operand for operand in set(node.operands) if last[operand] is node])
        for k, node in enumerate(outputs):
            if self._places[node] != (_OUTPUTS, k):
                self._calls.append((self._library.calls["copy"], (self._places[node],), (_OUTPUTS, k), True))
        starts = [0, self._arguments]
        for count in (len(self._constants), len(self._scratch), len(outputs)):
            starts.append(starts[-1] + count)
        calls = tuple(
            (function, _picker([starts[kind] + i for kind, i in operands]), starts[result[0]] + result[1], writes)
            for function, operands, result, writes in self._calls
        )
        dtypes = tuple(node.dtype for node in outputs)
        return Program(calls, tuple(self._constants), tuple(self._scratch), dtypes, self._rest)

    def _add(self, node: Node, dying: list[Node]) -> None:
        """Add the call of an operation, after which nothing uses the operands that are `dying`."""
        writes = node.full and node.operation in self._library.calls
        operands = tuple(self._operand(operand, node, writes) for operand in node.operands)
        for operand in dying:
            if self._places.get(operand, (_REST, 0))[0] == _SCRATCH:
                self._free.append(self._places[operand])
        if writes:
            function = self._library.calls[node.operation]
            place = self._place(node)
        else:
            function = function_of(self._library.xp, node.operation, node.value)
            place = self._new_rest()
        self._places[node] = place
        self._calls.append((function, operands, place, writes))
        if node in self._graph.checked:
            self._calls.append((self._library.require_numbers, (place,), self._new_rest(), False))

    def _operand(self, operand: Node, node: Node, writes: bool) -> _Place:
        if operand.operation != "constant":
            return self._places[operand]
        value = operand.value
        if writes:
            arrays = [x for x in node.operands if hasattr(x.sample, "dtype")]
            dtypes = [x.dtype for x in arrays if not x.is_bool()]
            value = self._library.constant(node.operation, value, dtypes[0] if dtypes else node.dtype)
        self._constants.append(value)
        return (_CONSTANTS, len(self._constants) - 1)

    def _place(self, node: Node) -> _Place:
        if node in self._graph.outputs:
            return (_OUTPUTS, self._graph.outputs.index(node))
        for place in self._free:
            if self._scratch[place[1]] == node.dtype:
                self._free.remove(place)
                return place
        self._scratch.append(node.dtype)
        return (_SCRATCH, len(self._scratch) - 1)

    def _new_rest(self) -> _Place:
        self._rest += 1
        return (_REST, self._rest - 1)


def _picker(slots: list[int]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    if len(slots) > 1:
        picker: Callable[[Sequence[Any]], tuple[Any, ...]] = itemgetter(*slots)
        return picker
    (only,) = slots
    return lambda slots: (slots[only],)
