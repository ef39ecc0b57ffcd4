"""PyTorch on the CPU, outside of its tracers and transforms: in blocks, by operations that write into scratch."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from array_api_compat import torch as xp

from xbce._backends._blocks import Blocks, at_once, keep_freed_memory
from xbce._backends._graph import Node
from xbce._backends._prepared import Programs
from xbce._backends._program import Library, NotANumberError
from xbce._backends._rewriting import Rewriting
from xbce._kernel import Kernel, Sum
from xbce._typing import Array, DType, Namespace

_BLOCK = 2**16
"""Elements of a block for each thread: what is in use stays in cache, and threads are not woken for too little."""
_TEMPORARY = 2**14
"""Arrays of fewer elements are never taken from the system and given back."""


def serve(arrays: tuple[Any, ...]) -> bool:
    """Tell whether `run` takes these arrays: nobody may watch the operations, and results must be there at once.

    Batches of gradients are still tensors of an old kind, which have nothing to write into.
    """
    return (
        all(_is_plain(a) for a in arrays if hasattr(a, "ndim"))
        and not torch._C._are_functorch_transforms_active()  # noqa: SLF001
        and torch._C._len_torch_dispatch_stack() == 0  # noqa: SLF001
        and torch._C._len_torch_function_stack() == 0  # noqa: SLF001
        and not torch.jit.is_tracing()
    )


def _is_plain(a: Array) -> bool:
    return (
        type(a) in _PLAIN
        and a.device.type == "cpu"
        and a.layout is torch.strided
        and not torch._C._functorch.is_legacy_batchedtensor(a)  # noqa: SLF001
    )


_PLAIN = {torch.Tensor, torch.nn.Parameter}


def run(
    kernel: Kernel,
    arrays: tuple[Any, ...],
    sums: tuple[Sum | None, ...],
    total: Callable[[Namespace, Array, Sum], Array],
) -> tuple[Array, ...]:
    """Return the results of a kernel, summed by `total`. PyTorch's own threads share the work on each block."""
    if arrays[0].numel() > _TEMPORARY:
        keep_freed_memory(_bytes)
    size = _BLOCK * torch.get_num_threads()
    results: tuple[Array, ...]
    if arrays[0].numel() <= size:
        results = at_once(_PROGRAMS.prepared(kernel, arrays), arrays, sums, total)
    else:
        results = Blocks(_PROGRAMS, kernel, arrays, sums, size, size, total, torch.Tensor.is_contiguous).results()
    return results


def _bytes(n: int) -> Array:
    return torch.empty(n, dtype=torch.uint8, device="cpu")


def _copy(x: Array, out: Array) -> None:
    out.copy_(x)


def _number_of_condition(rewriting: Rewriting, node: Node) -> Node | None:
    """Have a comparison write numbers itself; from truth values they would be slow to make."""
    match node:
        case Node("astype", (Node("ge" | "gt" | "le" | "lt" | "eq", (x, y)) as condition,)) if condition.full:
            if rewriting.uses[condition] == 1 and node.dtype.is_floating_point:
                return rewriting.recorder.operation(f"{condition.operation}_as_number", (x, y), like=node)
    return None


def _plus_quotient(rewriting: Rewriting, node: Node) -> Node | None:
    """Add a quotient in one operation. A sign that multiplies it may as well multiply the numerator."""
    match node:
        case Node("add", (x, Node("mul", (Node("sub", (one, Node("mul", (two, number)))) as sign, quotient)))):
            match quotient, number:
                case Node("truediv", (y, z)), Node("astype", (condition,)) if condition.is_bool() and node.full:
                    if one.is_number(1) and two.is_number(2) and rewriting.uses[quotient] == 1:
                        signed = rewriting.recorder.operation("mul", (sign, y))
                        return rewriting.recorder.operation("plus_quotient", (x, signed, z), like=node)
    return None


def _minus_twice(rewriting: Rewriting, node: Node) -> Node | None:
    """Subtract the double of 0 or 1, which is exact, in one operation."""
    match node:
        case Node("sub", (x, Node("mul", (two, Node("astype", (condition,)) as y)) as double)) if node.full:
            if two.is_number(2) and condition.is_bool() and rewriting.uses[double] == 1:
                return rewriting.recorder.operation("minus_twice", (x, y), like=node)
    return None


def _require_numbers(x: Array) -> None:
    total = x.sum().item()
    if total != total:
        raise NotANumberError


def _constant(operation: str, value: Any, dtype: DType) -> Any:
    """Return a tensor; but an exponent is a scalar, since there are quicker ways to some of them."""
    return value if operation == "pow" else torch.tensor(value, dtype=dtype, device="cpu")


_COMPARISONS = {"lt": torch.lt, "le": torch.le, "eq": torch.eq, "ne": torch.ne, "ge": torch.ge, "gt": torch.gt}
_PROGRAMS = Programs(
    Library(
        xp=xp,
        calls={
            "add": torch.add,
            "sub": torch.sub,
            "mul": torch.mul,
            "truediv": torch.true_divide,
            "neg": torch.neg,
            "abs": torch.abs,
            "pow": torch.pow,
            "and_": torch.bitwise_and,
            "or_": torch.bitwise_or,
            "invert": torch.bitwise_not,
            "exp": torch.exp,
            "log": torch.log,
            "log1p": torch.log1p,
            "tanh": torch.tanh,
            "where": torch.where,
            "astype": _copy,
            "copy": _copy,
            "plus_quotient": torch.addcdiv,
            "minus_twice": partial(torch.sub, alpha=2),
            **_COMPARISONS,
            **{f"{name}_as_number": function for name, function in _COMPARISONS.items()},
        },
        rules=(_plus_quotient, _minus_twice, _number_of_condition),
        constant=_constant,
        require_numbers=_require_numbers,
        empty=lambda shape, dtype: torch.empty(shape, dtype=dtype, device="cpu"),
        empty_like=lambda x, dtype: torch.empty_like(x, dtype=dtype),
    )
)
