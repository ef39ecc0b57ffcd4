"""What compilers make of xbce: they reorder, contract and fold what they are given.

The same functions once more, within the same bounds. Every array is an argument of the compiled function: from a
constant a compiler would compute the loss itself, by other means.

Each case has two graphs in each dtype, one of all that is elementwise and one of its reductions. To compile each
function by itself takes twice as long with JAX and three times with PyTorch, and of 367 rows of JAX in float32, 155 of
them wrong by then, all gave the same verdict and the same worst case.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from xbce_conformance.cases import Case
from xbce_conformance.subjects.model import Function

Call = Callable[..., Any]

JIT_QUICK = ("float32", "float64")
"""Dtypes of JAX's graphs at the level "quick": a half type is float32 between two casts."""

COMPILE_QUICK: dict[str, tuple[str, ...]] = {
    "binary_cross_entropy_with_logits": ("float32",),
    "binary_cross_entropy": ("float32",),
    "sigmoid_focal_loss(gamma=1.3)": ("float32",),
}
"""Cases and dtypes of PyTorch's elementwise graphs at the level "quick"; there are no others there.

PyTorch needs 2 to 50 s of a processor for a graph. These are a loss of logits, one of probabilities and one with a
power; other options add operations that these have.
"""

COMPILE_DTYPES = ("float32", "float64")
"""Dtypes of PyTorch's graphs of all other cases, at every level.

All dtypes would take the level "full" beyond half an hour, and a half type is float32 between two casts.
"""


def functions(library: str, eager: Sequence[Function]) -> Iterator[Function]:
    """Yield the functions as a library's compiler has them; none for most libraries."""
    return {"torch": _torch, "jax": _jax, "ndonnx": _ndonnx}.get(library, lambda _: iter(()))(eager)


def _jax(eager: Sequence[Function]) -> Iterator[Function]:
    import jax

    for group in _graphs(eager).values():
        graph = jax.jit(_all(group))
        for i, function in enumerate(group):
            yield _compiled(function, "jax.jit", _result(graph, i), JIT_QUICK)


def _torch(eager: Sequence[Function]) -> Iterator[Function]:
    """Yield all but what is found by automatic differentiation, which is no part of a graph of PyTorch's."""
    for (case, reduced), group in _graphs([function for function in eager if not function.autodiff]).items():
        graph = _TorchGraph(_all(group))
        dtypes = () if case.name in COMPILE_QUICK else COMPILE_DTYPES
        quick = () if reduced else COMPILE_QUICK.get(case.name, ())
        for i, function in enumerate(group):
            compiled = _compiled(function, "torch.compile", _result(graph, i), quick)
            yield replace(compiled, dtypes=dtypes)


def _ndonnx(eager: Sequence[Function]) -> Iterator[Function]:
    """Yield what onnxruntime makes of ONNX's graphs of an unknown length, in place of single operations."""
    # The length of a batch is not known in a graph: a mean over it is refused.
    able = [function for function in eager if not function.autodiff and function.denominator != "batch"]
    for group in _graphs(able).values():
        graph = OnnxGraph(_all(group))
        for i, function in enumerate(group):
            compiled = _compiled(function, "onnxruntime", _result(graph, i), JIT_QUICK)
            yield replace(compiled, code="")


def _graphs(eager: Sequence[Function]) -> dict[tuple[Case, bool], list[Function]]:
    """Return the functions of each graph; the second part of its key says whether they reduce parts of the inputs."""
    graphs: dict[tuple[Case, bool], list[Function]] = {}
    for function in eager:
        reduced = function.of_weighted_mean or function.reduces
        graphs.setdefault((function.case, reduced), []).append(function)
    return graphs


def _all(group: Sequence[Function]) -> Call:
    return lambda *arrays: tuple(function.call(*arrays) for function in group)


def _result(graph: Call, i: int) -> Call:
    return lambda *arrays: graph(*arrays)[i]


class _TorchGraph:
    """A graph of PyTorch's, compiled when it is called."""

    _last: "_TorchGraph | None" = None

    def __init__(self, function: Call) -> None:
        import torch

        self._compiled = torch.compile(function, fullgraph=True, dynamic=False)

    def __call__(self, *arrays: Any) -> Any:
        import torch

        if _TorchGraph._last is not self:
            # All graphs have one code object, which PyTorch compiles eight times and no more.
            torch.compiler.reset()
            _TorchGraph._last = self
        return self._compiled(*arrays)


class OnnxGraph:
    """A graph of ONNX, made of ndonnx's arrays when it is first called, and kept for each combination of dtypes."""

    def __init__(self, function: Call) -> None:
        self._function = function
        self._sessions: dict[Any, Any] = {}

    def __call__(self, *arrays: Any) -> Any:
        """Return what onnxruntime computes for arrays of ndonnx."""
        import ndonnx

        inputs = {f"x{i}": array.unwrap_numpy() for i, array in enumerate(arrays)}
        key = tuple((x.dtype, x.shape[1:]) for x in inputs.values())
        if key not in self._sessions:
            self._sessions[key] = self._session(arrays)
        session, several = self._sessions[key]
        found = iter(map(ndonnx.asarray, session.run(None, inputs)))
        return tuple(next(found) if n is None else tuple(islice(found, n)) for n in several)

    def _session(self, arrays: Sequence[Any]) -> tuple[Any, list[int | None]]:
        """Return what runs the graph, and how many arrays each function returns: None for one that is no tuple."""
        import ndonnx
        import onnxruntime

        places = {
            f"x{i}": ndonnx.argument(shape=("N", *x.shape[1:])[: x.ndim], dtype=x.dtype) for i, x in enumerate(arrays)
        }
        results = self._function(*places.values())
        flat = [x for result in results for x in (result if isinstance(result, tuple) else (result,))]
        model = ndonnx.build(places, {f"y{i}": y for i, y in enumerate(flat)})
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return session, [len(result) if isinstance(result, tuple) else None for result in results]


def _compiled(function: Function, compiler: str, call: Call, quick: tuple[str, ...]) -> Function:
    """Return the function with a compiled call; its reproducer compiles it alone."""
    return replace(
        function,
        name=f"{function.name}, {compiler}",
        call=call,
        code=_code(function, compiler) if function.code else "",
        quick=_both(function.quick, quick),
        compiled=True,
    )


def _both(first: tuple[str, ...] | None, second: tuple[str, ...]) -> tuple[str, ...]:
    return second if first is None else tuple(name for name in second if name in first)


def _code(function: Function, compiler: str) -> str:
    names = ", ".join(function.case.arguments)
    # In braces are the arguments of the case and nothing else.
    call = function.code.replace("{", "").replace("}", "")
    return f"{compiler}(lambda {names}: {call})({', '.join('{' + name + '}' for name in function.case.arguments)})"
