"""Records functions of `xbce._precision` as graphs of operations; a step that has a proof of its own is one node.

`kept` puts other functions in the place of such steps, by their names, while a function is recorded: they return nodes
that no library could run. The recorder is that of the compiler.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from xbce._compiler.lowering import PROGRAM_LOWERINGS, Call, Lowered, lowered
from xbce._compiler.recording import Graph, Node, Recorder, TracedArray, record
from xbce._precision import exact


def _traced(operands: Sequence[Any]) -> Any:
    return next(x.namespace for x in operands if isinstance(x, TracedArray))


def step(name: str, *operands: Any) -> TracedArray:
    """Return the array of a node that stands for a result of a step."""
    namespace = _traced(operands)
    recorder: Recorder = namespace.recorder
    nodes = tuple(x.node if isinstance(x, TracedArray) else recorder.constant(x) for x in operands)
    like = next(x.node for x in operands if isinstance(x, TracedArray))
    return TracedArray(namespace, recorder.operation(name, nodes, like=like))


def results_of_step(name: str) -> Callable[..., tuple[Any, Any]]:
    """Return a function whose two results are nodes of a step that has a proof of its own."""

    def function(_: Any, *operands: Any) -> tuple[Any, Any]:
        flat = [x for operand in operands for x in (operand if isinstance(operand, tuple) else (operand,))]
        return step(f"{name}", *flat), step(f"{name}_low", *flat)

    return function


def _two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    return a + b, step("sum_rest", a, b)


def _fast_two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    return a + b, step("ordered_sum_rest", a, b)


def _split(_: Any, a: Any) -> tuple[Any, Any]:
    return step("upper", a), step("lower", a)


def _two_product(xp: Any, a: Any, b: Any) -> tuple[Any, Any]:
    return exact.product(xp, a, b), step("product_rest", a, b)


def _two_square(xp: Any, a: Any) -> tuple[Any, Any]:
    return _two_product(xp, a, a)


TRANSFORMATIONS: dict[str, Callable[..., Any]] = {
    "two_sum": _two_sum,
    "fast_two_sum": _fast_two_sum,
    "split": _split,
    "two_product": _two_product,
    "two_square": _two_square,
}
"""Functions that lose nothing, by their names: recorded as nodes whose exactness is a theorem."""


@contextmanager
def kept(steps: dict[str, Callable[..., Any]]) -> Iterator[None]:
    """Have all modules of `xbce._precision` call these in place of their functions of the same names."""
    modules = [module for name, module in sys.modules.items() if name.startswith("xbce._precision.")]
    replaced = [
        (module, name, getattr(module, name))
        for module in modules
        for name in sorted(steps.keys() & vars(module).keys())
    ]
    missing = steps.keys() - {name for _, name, _ in replaced}
    if missing:
        msg = f"xbce._precision has no function {', '.join(sorted(missing))}"
        raise AttributeError(msg)
    for module, function, _ in replaced:
        setattr(module, function, steps[function])
    try:
        yield
    finally:
        for module, function, original in replaced:
            setattr(module, function, original)


def _as_it_is(work: Lowered, call: Call) -> Node:
    like = next(operand for operand in call.operands if operand.operation != "constant")
    return work.recorder.operation(call.name, call.operands, call.value, like=like)


def recorded(
    function: Callable[..., Any], arguments: int, steps: Sequence[str] = (), *, dtype: str = "float64"
) -> Graph:
    """Return the graph of a function of a namespace and some arrays, of doubles unless another dtype is given."""
    samples = tuple(np.array([1.25], dtype) for _ in range(arguments))
    graph = record(Recorder(np), function, samples, (True,) * arguments)
    own = [f"{name}{low}" for name in steps for low in ("", "_low")]
    names = {"sum_rest", "ordered_sum_rest", "upper", "lower", "product_rest", *own}
    return lowered(np, graph, {**PROGRAM_LOWERINGS, **dict.fromkeys(names, _as_it_is)})
