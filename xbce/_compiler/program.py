"""Compiles a graph to a list of calls that write into few buffers, which stay in cache and are reused."""

import linecache
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from hashlib import sha256
from itertools import count
from types import CodeType
from typing import Any

from .._precision import Table
from .._typing import Array, DType, Namespace
from .lowering import Lowering
from .recording import Graph, Node, Samples, function_of


class NotANumberError(Exception):
    """An array that must hold no NaN holds one."""


_STANDARD = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "true_divide",
    "neg": "negative",
    "abs": "abs",
    "lt": "less",
    "le": "less_equal",
    "eq": "equal",
    "ne": "not_equal",
    "ge": "greater_equal",
    "gt": "greater",
    "and_": "bitwise_and",
    "or_": "bitwise_or",
    "invert": "bitwise_not",
    "exp": "exp",
    "log": "log",
    "log1p": "log1p",
    "tanh": "tanh",
    "minimum": "minimum",
    "maximum": "maximum",
    "floor": "floor",
    "round": "round",
    "lookup": "take",
}


def standard_calls(library: Any) -> dict[str, Callable[..., Any]]:
    """Return the functions of a library that have the standard's names and take `out`."""
    return {operation: getattr(library, name) for operation, name in _STANDARD.items()}


def bit_calls(library: Any, copy: Callable[[Array, Array], None]) -> dict[str, Callable[..., None]]:
    """Return the calls that `bitwise_where` needs; `copy` converts an array and writes it into another."""
    integers = {4: library.int32, 8: library.int64}

    def bits(x: Array) -> Array:
        """Return the same memory as integers."""
        return x.view(integers[x.dtype.itemsize])

    def all_bits(condition: Array, out: Array) -> None:
        """Write all bits where a condition holds, and none where it does not."""
        copy(condition, bits(out))
        library.negative(bits(out), out=bits(out))

    def and_bits(x: Array, y: Array, out: Array) -> None:
        library.bitwise_and(bits(x), bits(y), out=bits(out))

    def xor_bits(x: Array, y: Array, out: Array) -> None:
        library.bitwise_xor(bits(x), bits(y), out=bits(out))

    return {"all_bits": all_bits, "and_bits": and_bits, "xor_bits": xor_bits}


@dataclass(frozen=True, slots=True)
class Target:
    """The functions of a library that programs call."""

    xp: Namespace
    calls: Mapping[str, Callable[..., Any]]
    """Maps an operation to a function that takes its operands and `out`. "copy" and "astype" must be among them.

    Operations that are not here, and operations on less than the full shape, are called without `out`.
    """
    lowerings: Mapping[str, Lowering]
    """Lowerings of the library, in addition to those of all libraries."""
    constant: Callable[[str, Any, DType], Any]
    """Takes an operation, a Python scalar among its operands, and a dtype; returns the argument of the call."""
    takes_number: Callable[[str, int], bool]
    """Tells whether the operand of an operation at a position may be a Python number."""
    positional_out: bool
    """Whether `calls` take `out` as their last positional argument."""
    require_numbers: Callable[[Array], None] | None
    """Raises NotANumberError if an array holds a NaN; None if `strictly` finds out."""
    empty: Callable[[tuple[int, ...], DType], Array]
    """Makes an uninitialised array."""
    empty_like: Callable[[Array, DType], Array]
    """Makes an uninitialised array of the shape of another, and of its memory layout if possible."""
    empty_flat: Callable[[tuple[int, ...], DType], Array] | None = None
    """Makes what `empty_like` does for arrays of one dimension, if that takes less time."""
    empty_same: Callable[[Array], Array] | None = None
    """Makes what `empty_like` does for the dtype of the array, if that takes less time."""
    methods: Mapping[str, str] = field(default_factory=dict)
    """Methods of arrays that do operations in place on their first operand, with the same bits in less time."""
    copying: str = ""
    """What does "copy" and "astype" as a statement, in less time than the call: of {x}, into {out}."""
    slow_in_place: bool = False
    """Whether operations on one element take longer in place."""
    strictly: Callable[..., Any] | None = None
    """Calls a function, and raises NotANumberError as soon as an operation makes a NaN of numbers."""
    quietly: Callable[..., Any] | None = None
    """Calls a function without warnings."""
    copy_backwards: Callable[[Array], Array] | None = None
    """Copies an array that is read backwards, of which the library computes other bits."""
    samples: Samples = field(default_factory=dict, compare=False)
    """What is known of the library's operations."""


@dataclass(frozen=True)
class Program:
    """A compiled graph; to compile a source takes a millisecond, and is done when it is first run."""

    source: str
    """Source of `run`: a for arguments, c for constants, s for scratch, o for results, n for numbers, r for others."""
    source_of_fresh: str
    names: dict[str, Any]
    """What the sources refer to."""
    scratch: tuple[DType, ...]
    """Dtypes of the scratch buffers, each of the full shape."""
    outputs: tuple[DType, ...]
    """Dtypes of the results."""

    @cached_property
    def run(self) -> Callable[[Sequence[Any], Sequence[Array], Sequence[Array]], None]:
        """Takes arguments, scratch buffers, and arrays that it writes the results into.

        Raises NotANumberError if a checked node holds a NaN, unless the library's `strictly` finds out.
        """
        return self._compiled("run", self.source)

    @cached_property
    def fresh(self) -> Callable[[Sequence[Any]], tuple[Array, ...]]:
        """Takes arguments; allocates the other arrays itself, and returns the results."""
        return self._compiled("fresh", self.source_of_fresh)

    def _compiled(self, name: str, source: str) -> Callable[..., Any]:
        # exec is safe: the source consists of names that are made here.
        exec(_code_of(source), self.names)  # noqa: S102
        function: Callable[..., Any] = self.names[name]
        return function


class Compiler:
    """Assigns a buffer to each result; a buffer is free after its last use, and operations may work in place."""

    def __init__(self, target: Target, graph: Graph, arguments: int, *, in_place: bool = True) -> None:
        self._target, self._graph, self._arguments, self._in_place = target, graph, arguments, in_place
        self._places: dict[Node, str] = {}
        self._names: dict[str, Any] = {}
        self._converted: dict[Any, str] = {}
        """Maps a number and a dtype to the variable that holds the converted number."""
        self._numbers = count()
        self._lines: list[str] = []
        self._scratch: list[DType] = []
        self._nodes = graph.nodes()
        self._last = {operand: i for i, node in enumerate(self._nodes) for operand in node.operands}
        self._free: dict[str, tuple[DType, int]] = {}
        """Buffers reusable for temporaries: dtype, and the call before which they must be free."""

    def program(self) -> Program:
        """Return the program."""
        outputs = self._graph.outputs
        for k, node in enumerate(outputs):
            if self._writes(node) and outputs.index(node) == k:
                self._free[f"o{k}"] = (node.dtype, self._nodes.index(node))
        for i, node in enumerate(self._nodes):
            if node.operation == "input":
                self._places[node] = f"a{node.value}"
            elif node.operation != "constant":
                self._add(i, node)
        for k, node in enumerate(outputs):
            if self._places[node] != f"o{k}":
                self._call("copy", self._target.calls["copy"], [self._places[node]], into=f"o{k}")
        return self._compiled(tuple(node.dtype for node in outputs))

    def _compiled(self, outputs: tuple[DType, ...]) -> Program:
        """Return the calls as functions. A loop over calls would take 50 % more time for arrays of few elements."""
        arguments, scratch, results = (
            [f"{letter}{i}" for i in range(length)]
            for letter, length in (("a", self._arguments), ("s", len(self._scratch)), ("o", len(outputs)))
        )
        new = dict(zip(scratch + results, (*self._scratch, *outputs), strict=True))
        self._names |= {f"{place}_dtype": dtype for place, dtype in new.items()}
        allocated = [f"{place} = {self._allocation(place, dtype)}" for place, dtype in new.items()]
        unpacked = [f"{', '.join(names)}, = {names[0][0]}" for names in (scratch, results) if names]
        first = f"{', '.join(arguments)}, = a"
        source = "\n    ".join(["def run(a, s, o):", first, *unpacked, *self._lines])
        fresh = "\n    ".join(["def fresh(a):", first, *allocated, *self._lines, f"return {', '.join(results)},"])
        return Program(source, fresh, self._names, tuple(self._scratch), outputs)

    def _allocation(self, place: str, dtype: DType) -> str:
        """Return the call that makes an array like the first one."""
        target = self._target
        first = next((x for x in self._nodes if x.operation == "input" and x.value == 0), None)
        if first is not None and target.empty_flat is not None and first.sample.ndim == 1:
            self._names["empty"] = target.empty_flat
            return f"empty(a0.shape, {place}_dtype)"
        if first is not None and target.empty_same is not None and first.dtype == dtype:
            self._names["empty_same"] = target.empty_same
            return "empty_same(a0)"
        self._names["empty_like"] = target.empty_like
        return f"empty_like(a0, {place}_dtype)"

    def _writes(self, node: Node) -> bool:
        """Tell whether an operation writes its result into an array that it is given."""
        return node.full and node.operation in self._target.calls

    def _add(self, i: int, node: Node) -> None:
        """Add the call of an operation."""
        writes = self._writes(node)
        operands = [self._operand(i, node, writes) for i in range(len(node.operands))]
        if writes and isinstance(node.value, Table):
            operands.insert(0, self._table(node.value))
        place = "" if self._in_place or not writes else self._place(i, node)
        for operand in set(node.operands):
            if self._last[operand] == i:
                self._release(operand)
        if writes:
            place = place or self._place(i, node)
            method = self._target.methods.get(node.operation)
            if method is not None and place == operands[0]:
                self._lines.append(f"{place}.{method}({', '.join(operands[1:])})")
            else:
                self._call(node.operation, self._target.calls[node.operation], operands, into=place)
        else:
            place = f"{'n' if node.is_number() else 'r'}{next(self._numbers)}"
            self._call(node.operation, *self._plain_call(node, operands), new=place)
        self._places[node] = place
        if node in self._graph.checked and self._target.require_numbers is not None:
            self._call("require_numbers", self._target.require_numbers, [place])

    def _plain_call(self, node: Node, operands: list[str]) -> tuple[Callable[..., Any], list[str]]:
        """Return the function that is called for an operation without `out`, and its operands."""
        if node.operation != "astype":
            return function_of(self._target.xp, node.operation, node.value), operands
        dtype = f"c{next(self._numbers)}"
        self._names[dtype] = node.value
        return self._target.xp.astype, [*operands, dtype]

    def _call(
        self, name: str, function: Callable[..., Any], operands: list[str], into: str = "", new: str = ""
    ) -> None:
        if into and self._target.copying and name in ("copy", "astype"):
            self._lines.append(self._target.copying.format(x=operands[0], out=into))
            return
        name = f"{name}_{next(self._numbers)}"
        self._names[name] = function
        out = into if self._target.positional_out else f"out={into}"
        call = ", ".join([*operands, out] if into else operands)
        self._lines.append(f"{new} = {name}({call})" if new else f"{name}({call})")

    def _operand(self, position: int, node: Node, writes: bool) -> str:
        operand = node.operands[position]
        if operand.operation != "constant" and not operand.is_number():
            return self._places[operand]
        arrays = [x for x in node.operands if x.is_array]
        dtypes = [x.dtype for x in arrays if not x.is_bool()] or [node.dtype] if writes else []
        if operand.is_number():
            if not writes or self._target.takes_number(node.operation, position):
                return self._places[operand]
            return self._number(self._places[operand], node.operation, dtypes[0])
        name = f"c{next(self._numbers)}"
        self._names[name] = self._target.constant(node.operation, operand.value, dtypes[0]) if writes else operand.value
        return name

    def _table(self, table: Table) -> str:
        name = f"table_{table}"
        self._names[name] = table.array(self._target.xp, "cpu")
        return name

    def _number(self, place: str, operation: str, dtype: DType) -> str:
        """Add the conversion of a Python number, once for each number and dtype; return the variable of its result."""
        if (place, dtype) not in self._converted:
            name = self._converted[place, dtype] = f"n{next(self._numbers)}"
            constant = self._target.constant
            self._names[f"{name}_of"] = lambda value: constant(operation, value, dtype)
            self._lines.append(f"{name} = {name}_of({place})")
        return self._converted[place, dtype]

    def _release(self, operand: Node) -> None:
        """Free the buffer of a result that is not needed any more."""
        place = self._places.get(operand, "")
        if place.startswith("s"):
            self._free[place] = (operand.dtype, len(self._nodes))
        elif place.startswith("o") and operand not in self._graph.outputs:
            output = self._graph.outputs[int(place[1:])]
            self._free[place] = (operand.dtype, self._nodes.index(output))

    def _place(self, i: int, node: Node) -> str:
        """Return the output of a result, or a free buffer; an output is free until the call that writes its result."""
        if node in self._graph.outputs:
            place = f"o{self._graph.outputs.index(node)}"
            del self._free[place]
            return place
        for place, (dtype, until) in self._free.items():
            last = self._last.get(node, i)
            if dtype == node.dtype and (last <= until if self._in_place else last < until):
                del self._free[place]
                return place
        self._scratch.append(node.dtype)
        return f"s{len(self._scratch) - 1}"


@lru_cache(maxsize=1024)
def _code_of(source: str) -> CodeType:
    """Return the compiled code, and put the source into `linecache`, for tracebacks and debuggers."""
    name = f"<xbce program {sha256(source.encode()).hexdigest()[:12]}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    return compile(source, name, "exec")
