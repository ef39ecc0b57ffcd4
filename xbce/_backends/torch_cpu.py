"""PyTorch on the CPU, outside of tracers and transforms: programs that run block by block and write into scratch."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from array_api_compat import torch as xp

from .._call.kernel import Function, Sums, is_native, library_sum, summed
from .._compiler.blocks import TEMPORARY, keep_freed_memory, run_in_blocks
from .._compiler.cache import Compiled, CompiledCache
from .._compiler.lowering import Call, Lowered, bitwise_where, by_form
from .._compiler.program import NotANumberError, Target, bit_calls, standard_calls
from .._compiler.recording import Node
from .._formulas.series import log1m_by_log, log1m_unit_by_log, log_unit_by_log
from .._typing import Array, DType
from .quick_way import QuickWay

_BLOCK = 2**17
"""Elements of a block per thread: its arrays fit into the cache, and each thread has enough work to be woken for."""


def serve(arrays: tuple[Any, ...]) -> bool:
    """Tell whether `run` takes these arrays: dense eager tensors, whose operations no mode or tracer intercepts."""
    return are_dense(arrays) and not is_intercepted() and not any(is_virtual(a) for a in arrays if is_plain(a))


def are_dense(arrays: tuple[Any, ...]) -> bool:
    """Tell dense tensors of PyTorch's own classes on the CPU, and numbers, from others."""
    tensors = [a for a in arrays if hasattr(a, "ndim")]
    return all(is_plain(a) and a.device.type == "cpu" and a.layout is torch.strided for a in tensors)


def is_plain(a: Any) -> bool:
    """Tell a tensor of PyTorch's own classes from others, and from numbers."""
    return type(a) in PLAIN


PLAIN = {torch.Tensor, torch.nn.Parameter}
"""PyTorch's own classes."""
_is_batched = torch._C._functorch.is_legacy_batchedtensor  # noqa: SLF001
_transforms_are_active = torch._C._are_functorch_transforms_active  # noqa: SLF001
_modes = torch._C._len_torch_dispatch_stack  # noqa: SLF001
_function_modes = torch._C._len_torch_function_stack  # noqa: SLF001
_is_tracing = torch._C._is_tracing  # noqa: SLF001


def is_virtual(a: Array) -> bool:
    """Tell whether a tensor cannot be read or written like memory.

    Gradients that are batched by `is_grads_batched` cannot be written into: they are legacy batched tensors
    (https://github.com/pytorch/pytorch/issues/49562). `copy_` loses the sign of a negated view of a half type.
    """
    return a.is_neg() or bool(_is_batched(a))


def is_intercepted() -> bool:
    """Tell whether a mode, tracer or transform intercepts operations."""
    return bool(_transforms_are_active() or _modes() or _function_modes() or _is_tracing())


def in_transform() -> bool:
    """Tell whether a transform of torch.func is active."""
    return bool(_transforms_are_active())


def run(function: Function, arrays: tuple[Any, ...], sums: Sums) -> tuple[Array, ...]:
    """Return the results, summed by PyTorch's own sum; PyTorch's threads share each block."""
    return _run(function, arrays, sums) if is_native(function) else QUICK_WAY.run(function, arrays, sums)


def _run(function: Function, arrays: tuple[Any, ...], sums: Sums) -> tuple[Array, ...]:
    if arrays[0].numel() > TEMPORARY:
        keep_freed_memory(xp)
    size = _BLOCK * torch.get_num_threads()
    results: tuple[Array, ...]
    if not arrays[0].numel():  # no element to look at
        results = summed(xp, function(xp, *arrays), sums)
    elif arrays[0].numel() <= size:
        cache = _CACHE if arrays[0].numel() <= TEMPORARY else _LARGE_CACHE
        results = cache.compiled(function, arrays).summed(arrays, sums)
    else:
        contiguous, strides = torch.Tensor.is_contiguous, torch.Tensor.stride
        results = run_in_blocks(_LARGE_CACHE, function, arrays, sums, size, size, library_sum, contiguous, strides)
    return results


def whole(function: Function, arrays: tuple[Any, ...]) -> Compiled | None:
    """Return the program of a function for arrays that are one block on any number of threads; None for others."""
    return _CACHE.compiled(function, arrays) if 0 < arrays[0].numel() <= TEMPORARY else None


QUICK_WAY = QuickWay(_run, partial(torch.nonzero, as_tuple=True), torch.broadcast_to)


def _copy(x: Array, out: Array) -> None:
    out.copy_(x)


_COMPARISONS = {"lt", "le", "eq", "ne", "ge", "gt"}


def _number_of_condition(work: Lowered, call: Call) -> Node | None:
    """Use a comparison that writes 0.0 or 1.0, even if others use the condition: to convert booleans is slower."""
    (condition,) = call.operands
    number = work.recorder.operation("astype", call.operands, call.value)
    compares = condition.operation in _COMPARISONS and condition.full
    if not compares or not number.dtype.is_floating_point:
        return None
    return work.recorder.operation(f"{condition.operation}_as_number", condition.operands, like=number)


def _choice(work: Lowered, call: Call) -> Node | None:
    """Interpolate with weight 0 or 1, which gives one of two finite numbers itself, in up to a tenth of the time."""
    condition, a, b = call.operands
    chosen = work.recorder.operation("where", call.operands)
    if not condition.full or any(getattr(x.sample, "dtype", None) != chosen.dtype for x in (a, b)):
        return None
    return work.recorder.operation("lerp", (b, a, work.operation("astype", (condition,), chosen.dtype)), like=chosen)


def _zero_if_infinite(work: Lowered, call: Call) -> Node | None:
    (x,) = call.operands
    return work.recorder.operation("zero_if_infinite", (x,), like=x) if x.full else None


def _where_by_bits(work: Lowered, call: Call) -> Node | None:
    """Select by bits; a comparison writes numbers in a quarter of the time of booleans."""
    condition, a, b = call.operands
    if not (a.full or b.full or b.is_constant(0)):  # PyTorch resizes what a smaller result is written into
        return None
    like = next((x for x in condition.operands if x.full and x.dtype.is_floating_point), None)
    if condition.operation not in _COMPARISONS or like is None:
        return bitwise_where(work, call)
    number = work.recorder.operation(f"{condition.operation}_as_number", condition.operands, like=like)
    return bitwise_where(work, call, number)


def _add_signed(work: Lowered, call: Call) -> Node | None:
    """Use addcdiv for x + sign y / z, with the sign multiplied into y, if nothing else uses the quotient."""
    x, sign, quotient = call.operands
    total = work.recorder.operation("add", (x, work.recorder.operation("mul", (sign, quotient))))
    if quotient.operation != "truediv" or not call.is_only_use(2) or not total.full:
        return None
    y, z = quotient.operands
    return work.recorder.operation("plus_quotient", (x, work.operation("mul", (sign, y)), z), like=total)


def _minus_twice(work: Lowered, call: Call) -> Node | None:
    """Compute 1 - 2 h in one operation, which is exact for h = 0 and h = 1."""
    (h,) = call.operands
    return work.recorder.operation("minus_twice", (work.constant(1), h), like=h) if h.full else None


FORMS: dict[str, Callable[..., Array]] = {
    "accurate_log": lambda xp, y: xp.log(y),
    "log1m_half": log1m_by_log,
    "log_unit": log_unit_by_log,
    "log1m_unit": log1m_unit_by_log,
}
"""PyTorch's log is accurate everywhere (0.98 ULP), but its log1p is not for subnormal numbers."""


def _require_numbers(x: Array) -> None:
    largest = x.max().item()  # NaN if there is one
    if largest != largest:
        raise NotANumberError


def _require_numbers_of_many(x: Array) -> None:
    total = x.sum().item()  # NaN for infinities of both signs, too; takes half of the time of the maximum
    if total != total:
        raise NotANumberError


def _constant(operation: str, value: Any, dtype: DType) -> Any:
    """Return a 0-d tensor; but the number for an exponent, since `torch.pow` has faster paths for some numbers."""
    return value if operation == "pow" else torch.tensor(value, dtype=dtype, device="cpu")


_WITH_NUMBERS = {"add", "mul", "truediv", "pow", *_COMPARISONS}
"""Operations that take a Python number as their second operand, which costs less than a 0-d tensor."""
_STANDARD = standard_calls(torch) | {"eq": torch.eq}  # torch.equal compares whole tensors
_TARGET = Target(
    xp=xp,
    calls={
        **_STANDARD,
        "pow": torch.pow,
        "where": torch.where,
        "astype": _copy,
        "copy": _copy,
        "plus_quotient": torch.addcdiv,
        "minus_twice": partial(torch.sub, alpha=2),
        "lerp": torch.lerp,
        "zero_if_infinite": partial(torch.nan_to_num, nan=math.nan, posinf=0.0, neginf=0.0),
        **{f"{name}_as_number": _STANDARD[name] for name in _COMPARISONS},
    },
    lowerings={
        "add_signed": _add_signed,
        "choice": _choice,
        "zero_if_infinite": _zero_if_infinite,
        "astype": _number_of_condition,
        "minus_sign": _minus_twice,
        **{name: by_form(form) for name, form in FORMS.items()},
    },
    constant=_constant,
    takes_number=lambda operation, position: position == 1 and operation in _WITH_NUMBERS,
    positional_out=False,
    require_numbers=_require_numbers,
    empty=lambda shape, dtype: torch.empty(shape, dtype=dtype, device="cpu"),
    empty_like=lambda x, dtype: torch.empty_like(x, dtype=dtype),
    empty_same=torch.empty_like,
    copying="{out}.copy_({x})",
    # To take and to parse `out` costs a quarter of an operation on few elements.
    methods={
        **{name: f"{name}_" for name in ("add", "sub", "mul", "neg", "abs", "exp", "log", "log1p", "tanh", "pow")},
        "truediv": "div_",
    },
)
_CACHE = CompiledCache(_TARGET)
_LARGE_CACHE = CompiledCache(
    replace(
        _TARGET,
        calls={**_TARGET.calls, **bit_calls(torch, _copy)},
        lowerings={**_TARGET.lowerings, "where": _where_by_bits},
        require_numbers=_require_numbers_of_many,
    )
)
"""For arrays of more than `TEMPORARY` elements, where views as integers cost little: the same bits in less time."""
