"""Hoists the arithmetic on Python numbers out of a kernel: a compiler gets only numbers that are combined with arrays.

`cupy.fuse` computes an operation on two numbers in half precision. So a kernel is recorded, operations on numbers alone
are computed before each call, and all others are replayed for the fuser.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from array_api_compat import numpy as namespace

from .._call.kernel import Kernel, Output
from .._typing import Array, Namespace
from .lowering import lowered
from .recording import SAMPLE_NUMBER, Graph, Node, Recorder, function_of, record


@dataclass(frozen=True, slots=True)
class Hoisted:
    """A kernel that takes, after its arrays, the numbers that are combined with arrays."""

    kernel: Kernel
    kinds: tuple[Any, ...]
    """The dtype and the number of dimensions of each array; None for a number."""

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The outputs of the kernel."""
        return self.kernel.outputs

    def __call__(self, xp: Namespace, /, *arrays: Array | float) -> tuple[Array, ...]:
        """Return the outputs."""
        graph, inputs, meeting = _graph_of(self.kernel, self.kinds)
        values = {node: arrays[node.value] for node in inputs}
        values |= dict(zip(meeting, arrays[len(self.kinds) :], strict=True))
        return tuple(_value(xp, output, values) for output in graph.outputs)

    def arguments(self, arrays: tuple[Array | float, ...]) -> tuple[Array | float, ...]:
        """Return the arguments of the call: `arrays` and the hoisted numbers."""
        _, inputs, meeting = _graph_of(self.kernel, self.kinds)
        values = {node: arrays[node.value] for node in inputs}
        return (*arrays, *(_value(namespace, node, values) for node in meeting))


def hoisted(kernel: Kernel, arrays: tuple[Array | float, ...]) -> Hoisted:
    """Return a kernel for arrays like these."""
    return Hoisted(kernel, tuple(None if isinstance(a, (int, float)) else (a.dtype, a.ndim) for a in arrays))


@lru_cache(maxsize=512)
def _graph_of(kernel: Kernel, kinds: tuple[Any, ...]) -> tuple[Graph, tuple[Node, ...], tuple[Node, ...]]:
    """Return the graph of a kernel, its inputs, and the numbers in it that are combined with arrays."""
    samples = tuple(SAMPLE_NUMBER if kind is None else np.ones((1,) * kind[1], kind[0]) for kind in kinds)
    with np.errstate(all="ignore"):
        recorded = record(Recorder(namespace), kernel, samples, (True,) * len(kinds))
        graph = lowered(namespace, recorded, {})
    nodes = graph.nodes()
    inputs = tuple(node for node in nodes if node.operation == "input")
    meeting = {x: None for node in nodes if not node.is_number() for x in node.operands if x.is_number()}
    return graph, inputs, tuple(meeting)


def _value(xp: Namespace, node: Node, values: dict[Node, Any]) -> Any:
    """Return the value of a node, and keep it in `values`."""
    if node.operation == "constant":
        return node.value
    if node not in values:
        operands = [_value(xp, operand, values) for operand in node.operands]
        values[node] = function_of(xp, node.operation, node.value)(*operands)
    return values[node]
