"""Records the operations of a function as a graph, so that a backend can choose how to run it.

Functions never branch on values, so a graph recorded with arrays of one element holds for all arrays of their dtypes.
"""

import operator
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Protocol

from .._formulas import Idiom
from .._precision import Table, lookup
from .._typing import DType, Namespace

SAMPLE_NUMBER = 0.75
"""Sample of a number during recording; not 1, since a formula may divide by the difference of the number and 1."""
_COMMUTATIVE = {"add", "mul", "eq", "and_", "or_", "xor_bits"}


@dataclass(eq=False, slots=True)
class Node:
    """An operation in a graph; not frozen, which would take three times as long to make. Nothing changes it."""

    operation: str
    """Name of a function of the namespace or of `operator`, name of an idiom, "input" or "constant"."""
    operands: tuple["Node", ...]
    value: Any
    """Position of an input, number of a constant, dtype for an operation such as "astype", or table of a "lookup"."""
    sample: Any
    """Result of the operation for arrays of one element; the number itself for an input that is one or a constant."""
    full: bool
    """Whether an operand, and so the result, has the full shape."""
    idiom: Idiom | None = None
    """The idiom, if the node is one."""
    kind: Hashable = field(init=False)
    """What the dtype and the rank of a result depend on: of a float neither its value nor its sign."""
    is_array: bool = field(init=False)
    """Whether the result is an array, not a number."""

    def __post_init__(self) -> None:
        sample = self.sample
        self.is_array = hasattr(sample, "dtype")
        if self.is_array:
            self.kind = sample.dtype, sample.ndim
        else:
            self.kind = float if type(sample) is float else (type(sample), sample)

    @property
    def dtype(self) -> DType:
        """The dtype of the result."""
        return self.sample.dtype

    def is_number(self) -> bool:
        """Tell whether this is a Python number, which may have another value in the next call."""
        return not self.is_array and self.operation != "constant"

    def is_bool(self) -> bool:
        """Tell whether this is an array of truth values."""
        return self.is_array and _is_bool(self.dtype)

    def is_constant(self, value: float) -> bool:
        """Tell whether this is a constant that is equal to a number; False for -0.0."""
        return self.operation == "constant" and self.value == value and repr(self.value) != "-0.0"


@cache
def _is_bool(dtype: DType) -> bool:
    return str(dtype).endswith("bool")  # takes NumPy as long as an operation


@dataclass(frozen=True, slots=True)
class Graph:
    """A recorded function, by the nodes of its results."""

    outputs: tuple[Node, ...]
    single: bool
    """Whether the function returns an array, not a tuple of them."""
    checked: tuple[Node, ...] = ()
    """Nodes that must hold no NaN, or else the results are wrong."""

    def nodes(self) -> list[Node]:
        """Return all operations, each after its operands."""
        found: dict[Node, None] = {}

        def visit(node: Node) -> None:
            if node not in found:
                for operand in node.operands:
                    visit(operand)
                found[node] = None

        for node in self.outputs + self.checked:
            visit(node)
        return list(found)


def function_of(xp: Namespace, name: str, dtype: DType) -> Callable[..., Any]:
    """Return the function for an operation; some take a dtype."""
    if isinstance(dtype, Table):
        return partial(lookup, xp, dtype)
    function: Callable[..., Any] = getattr(operator, name, None) or getattr(xp, name)
    if dtype is None:
        return function
    return partial(function, dtype=dtype) if name != "astype" else lambda x: function(x, dtype)


Samples = dict[Hashable, Any]
"""Samples of results, by the operation and the kinds of its operands: to compute one takes longer than all else."""
_MOST_SAMPLES = 4096


class Recorder:
    """Makes nodes; returns the same node for equal operations."""

    def __init__(self, xp: Namespace, samples: Samples | None = None) -> None:
        self.xp = xp
        self._known: dict[Any, Node] = {}
        self._samples: Samples = {} if samples is None else samples

    def copied(self, node: Node) -> Node:
        """Return an input or a constant of another recorder."""
        return self._node(node.operation, (), node.value, node.full, lambda: node.sample)

    def input(self, position: int, sample: Any, *, full: bool) -> Node:
        """Return the node of an argument."""
        return self._node("input", (), position, full, lambda: sample)

    def constant(self, value: complex) -> Node:
        """Return the node of a Python scalar."""
        return self._node("constant", (), value, False, lambda: value)

    def operation(self, name: str, operands: Iterable[Node], value: Any = None, *, like: Node | None = None) -> Node:
        """Return the node of an operation; `like` gives dtype and shape of one that the namespace does not have."""
        operands = tuple(operands)
        if name in ("add", "mul") and operands[0].is_number() and not operands[1].is_number():
            operands = operands[::-1]  # a number as the second operand costs some libraries less
        if like is not None:
            return self._node(name, operands, value, like.full, lambda: like.sample, like.dtype)
        full = any(operand.full for operand in operands)
        return self._node(
            name, operands, value, full, lambda: self._sample((name, value), function_of, operands, name, value)
        )

    def idiom(self, idiom: Idiom, operands: tuple[Node, ...]) -> Node:
        """Return the node of an idiom."""
        full = any(operand.full for operand in operands)

        def sample() -> Any:
            return self._sample(idiom, lambda xp: partial(idiom.plain, xp), operands)

        return self._node(idiom.name, operands, None, full, sample, idiom=idiom)

    def _sample(
        self, name: Hashable, function_of: Callable[..., Callable[..., Any]], operands: tuple[Node, ...], *more: Any
    ) -> Any:
        """Return the result of a function for the samples of operands, or that for others of the same kinds."""
        key = (name, *[operand.kind for operand in operands])
        found = self._samples.get(key)
        if found is None:
            samples = [operand.sample for operand in operands]
            if more and isinstance(more[-1], Table):
                samples = [index * 0 for index in samples]  # that of others may lie outside of the table
            found = function_of(self.xp, *more)(*samples)
            if hasattr(found, "dtype"):  # the value of a number matters
                if len(self._samples) >= _MOST_SAMPLES:
                    self._samples.clear()
                self._samples[key] = found
        return found

    def _node(
        self,
        operation: str,
        operands: tuple[Node, ...],
        value: Any,
        full: bool,
        sample: Callable[[], Any],
        dtype: DType = None,
        idiom: Idiom | None = None,
    ) -> Node:
        # The key must distinguish 1, True and 1.0, and 0.0 and -0.0, although they are equal.
        known = sorted(map(id, operands)) if operation in _COMMUTATIVE else map(id, operands)
        kept = repr(value) if isinstance(value, (int, float, complex)) else value
        key = (operation, type(value), kept, dtype, *known)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = Node(operation, operands, value, sample(), full, idiom)
        return found


class TracedArray:
    """Replaces an array during recording."""

    __slots__ = ("namespace", "node")

    def __init__(self, namespace: "_Namespace", node: Node) -> None:
        self.namespace, self.node = namespace, node

    @property
    def dtype(self) -> DType:
        """The dtype of the array."""
        return self.node.dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions of the array."""
        ndim: int = self.node.sample.ndim  # a number has none
        return ndim

    def __bool__(self) -> bool:
        msg = "a formula must not look at the values in an array"
        raise TypeError(msg)


def _method(name: str, *, reflected: bool = False) -> Callable[..., TracedArray]:
    def method(*operands: Any) -> TracedArray:
        recorded: TracedArray = operands[0].namespace.record(name, operands[::-1] if reflected else operands)
        return recorded

    return method


for _name in ("add", "sub", "mul", "truediv", "pow", "and_", "or_", "xor"):
    setattr(TracedArray, f"__{_name.rstrip('_')}__", _method(_name))
    setattr(TracedArray, f"__r{_name.rstrip('_')}__", _method(_name, reflected=True))
for _name in ("lt", "le", "eq", "ne", "ge", "gt", "neg", "invert", "abs"):
    setattr(TracedArray, f"__{_name}__", _method(_name))


class Maker(Protocol):
    """Makes nodes: a `Recorder`, or `Lowered`."""

    xp: Namespace

    def constant(self, value: complex) -> Node:
        """Return the node of a Python scalar."""

    def operation(self, name: str, operands: Iterable[Node], value: Any = None) -> Node:
        """Return the node of an operation."""

    def idiom(self, idiom: Idiom, operands: tuple[Node, ...]) -> Node:
        """Return the node of an idiom."""


class _Namespace:
    """Replaces the namespace of a library during recording."""

    def __init__(self, recorder: Maker) -> None:
        self.recorder = recorder

    def keep_idiom(self, idiom: Idiom, operands: tuple[Any, ...]) -> TracedArray:
        return TracedArray(self, self.recorder.idiom(idiom, self._nodes(operands)))

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.recorder.xp, name)
        if isinstance(found, type) or not callable(found):
            return found

        def function(*operands: Any, dtype: DType = None) -> TracedArray:
            return self.record(name, operands, dtype)

        return function

    def finfo(self, dtype: DType) -> Any:
        return self.recorder.xp.finfo(dtype)

    def astype(self, x: TracedArray, dtype: DType, /) -> TracedArray:
        return self.record("astype", (x,), dtype)

    def lookup(self, table: Table, index: TracedArray) -> TracedArray:
        return self.record("lookup", (index,), table)

    def record(self, name: str, operands: Iterable[Any], value: Any = None) -> TracedArray:
        return TracedArray(self, self.recorder.operation(name, self._nodes(operands), value))

    def _nodes(self, operands: Iterable[Any]) -> tuple[Node, ...]:
        return tuple(x.node if isinstance(x, TracedArray) else self.recorder.constant(x) for x in operands)


def expand(maker: Maker, idiom: Idiom, operands: tuple[Node, ...]) -> Node:
    """Return the node of the plain operations of an idiom."""
    namespace = _Namespace(maker)
    values = [x.value if x.operation == "constant" else TracedArray(namespace, x) for x in operands]
    node: Node = idiom.plain(namespace, *values).node
    return node


def record(recorder: Recorder, function: Callable[..., Any], samples: tuple[Any, ...], full: tuple[bool, ...]) -> Graph:
    """Return the graph of `function(xp, *samples)`; `full` tells which arguments have the full shape."""
    namespace = _Namespace(recorder)
    arguments = [
        None if sample is None else TracedArray(namespace, recorder.input(i, sample, full=whole))
        for i, (sample, whole) in enumerate(zip(samples, full, strict=True))
    ]
    results = function(namespace, *arguments)
    single = not isinstance(results, tuple)
    return Graph(tuple(x.node for x in ((results,) if single else results)), single)
