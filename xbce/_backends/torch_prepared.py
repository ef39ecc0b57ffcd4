"""PyTorch on the CPU: calls like an earlier one, with what they need looked up once.

The node in autograd's graph computes a value and its slope in the scores together, and keeps the slope for the backward
pass.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from array_api_compat import torch as namespace
from torch.autograd import forward_ad

from .._call.kernel import Arguments, Kernel, Quotient, Sums, library_sum
from .._compiler.cache import Compiled, IdentityCache
from .._typing import Array, Namespace
from . import torch_cpu
from .protocol import Run

_KEPT = 2**20
"""Most elements of a slope that is kept; with more it is computed in the backward pass, which takes less memory."""


class Prepared:
    """A native kernel for tensors of certain dtypes, shapes and devices; its first result may be a quotient."""

    __slots__ = ("evaluated", "joint", "kernel", "otherwise", "pulled_back", "quotient", "serves", "sums", "with_slope")

    def __init__(
        self,
        kernel: Kernel,
        sums: Sums,
        quotient: Quotient | None,
        otherwise: Run,
        pulled_back: Callable[..., Array | None],
    ) -> None:
        self.kernel, self.sums = kernel, sums
        self.otherwise = otherwise
        """Serves what this does not: tracers, transforms, forward mode, other tensors than dense ones on the CPU."""
        self.pulled_back = pulled_back
        """Returns the vector-Jacobian product of a kernel for an argument."""
        self.quotient = quotient
        self.serves: bool | None = None
        """Whether there are such tensors; None before the first call."""
        self.joint: Kernel | None = None
        """The kernel of the value and its slope."""
        self.evaluated: Run = self._first_evaluated
        """Returns the results, of which no derivative is needed."""
        self.with_slope: Run = self._first_with_slope
        """Returns the value, and its slope in the scores, not rounded to a half type."""

    def __call__(self, arrays: Arguments) -> tuple[Array, ...]:
        """Return the results."""
        if torch_cpu.is_intercepted() or forward_ad._current_level >= 0:  # noqa: SLF001
            return self.otherwise(arrays)
        if self.serves is None:
            self._prepare(arrays)
        if not self.serves:
            return self.otherwise(arrays)
        differentiated = False
        for a in arrays:
            if type(a) in torch_cpu.PLAIN:
                if torch_cpu.is_virtual(a):
                    return self.otherwise(arrays)
                differentiated = differentiated or a.requires_grad  # type: ignore[union-attr]  # no number
        if not differentiated or not torch.is_grad_enabled():
            return self.evaluated(arrays)
        if len(self.sums) > 1:
            return self.otherwise(arrays)
        result: Array = _Node.apply(self, *arrays)
        return (result,)

    def _evaluated(self, arrays: Arguments) -> tuple[Array, ...]:
        return self._divided(torch_cpu.run(self.kernel, arrays, self.sums))

    def _with_slope(self, arrays: Arguments) -> tuple[Array, ...]:
        return self._divided(torch_cpu.run(self.joint, arrays, (*self.sums, None)))  # type: ignore[arg-type]  # there is one

    def _first_evaluated(self, arrays: tuple[Any, ...]) -> tuple[Array, ...]:
        """Return the results, after looking for a program: calls that are differentiated need another one."""
        program = torch_cpu.whole(self.kernel, arrays)
        self.evaluated = self._evaluated if program is None else self._run(program, self.sums, arrays)
        return self.evaluated(arrays)

    def _first_with_slope(self, arrays: tuple[Any, ...]) -> tuple[Array, ...]:
        program = torch_cpu.whole(self.joint, arrays)  # type: ignore[arg-type]  # there is one
        self.with_slope = self._with_slope if program is None else self._run(program, (*self.sums, None), arrays)
        return self.with_slope(arrays)

    def _divided(self, results: tuple[Array, ...]) -> tuple[Array, ...]:
        return results if self.quotient is None else (self.quotient(namespace, results[0]), *results[1:])

    def _run(self, program: Compiled, sums: Sums, arrays: tuple[Any, ...]) -> Run:
        return program.divided(sums, library_sum, self.quotient, arrays[0].ndim)

    def _prepare(self, arrays: tuple[Any, ...]) -> None:
        serves, quotient = torch_cpu.are_dense(arrays), self.quotient
        if serves:
            if quotient is not None and isinstance(quotient.known, (int, float)):  # to divide by one takes 2 µs more
                with torch.inference_mode(False):  # later calls may save it for a backward pass
                    known = torch.tensor(quotient.known, dtype=torch.float64)
                self.quotient = Quotient(quotient.dtype, known)
            self.joint = _JOINT(self.kernel) if arrays[0].numel() <= _KEPT else None
        self.serves = serves  # last: other threads go on by it


def _joint(kernel: Kernel) -> Kernel | None:
    """Return the kernel of a value and of its slope in the scores, not rounded to a half type; None without one."""
    # A masked element has slope 0, but its cotangent may be NaN.
    if [output.method for output in kernel.outputs] != ["value"] or kernel.where is not None:
        return None
    derivative = kernel.derivative(0, 0)
    return None if derivative is None else replace(kernel, outputs=(*kernel.outputs, *derivative.unrounded().outputs))


_JOINT = IdentityCache(_joint)


def keep(ctx: Any, xp: Namespace, kernel: Kernel, sums: Sums, arrays: Arguments, *more: Array) -> None:
    """Save the arguments, from which derivatives are computed, and more tensors for the backward pass."""
    ctx.xp, ctx.kernel, ctx.sums = xp, kernel, sums
    ctx.scalars = tuple(None if isinstance(a, torch.Tensor) else a for a in arrays)
    tensors = [a for a in arrays if isinstance(a, torch.Tensor)]
    ctx.save_for_backward(*tensors, *more)
    ctx.save_for_forward(*tensors)
    ctx.set_materialize_grads(False)


def kept(ctx: Any) -> tuple[tuple[Any, ...], tuple[Array, ...]]:
    """Return the arguments, and what else was saved."""
    tensors = iter(ctx.saved_tensors)
    arrays = tuple(next(tensors) if scalar is None else scalar for scalar in ctx.scalars)
    return arrays, tuple(tensors)


class _Node(torch.autograd.Function):  # type: ignore[misc]
    """A prepared kernel of one output, in reverse mode."""

    @staticmethod
    def forward(ctx: Any, prepared: Prepared, *arrays: Any) -> Array:
        ctx.prepared = prepared
        keeps = prepared.joint is not None and arrays[0].requires_grad
        value, *slope = prepared.with_slope(arrays) if keeps else prepared.evaluated(arrays)
        keep(ctx, namespace, prepared.kernel, prepared.sums, arrays, *slope)
        return value

    @staticmethod
    def backward(ctx: Any, cotangent: Array | None) -> tuple[Array | None, ...]:
        prepared, (arrays, slope) = ctx.prepared, kept(ctx)
        if cotangent is None:
            return (None,) * (1 + len(arrays))
        spec, quotient = prepared.sums[0], prepared.quotient
        if quotient is not None and quotient.known is not None:  # both are float64 if they have no dimension
            cotangent = (cotangent.to(torch.float64) if cotangent.ndim else cotangent) / quotient.known
        gradients: list[Array | None] = [None]
        for i, needed in enumerate(ctx.needs_input_grad[1:]):
            if not needed:
                gradients.append(None)
            elif i or not slope or torch.is_grad_enabled():  # a derivative of the gradient may be needed
                gradients.append(prepared.pulled_back(ctx, arrays, (cotangent,), i))
            else:
                spread = cotangent if spec is None or not cotangent.ndim else spec.spread(namespace, cotangent)
                if spread.ndim or not slope[0].ndim:  # otherwise the product takes a cotangent in the slope's dtype
                    spread = spread.to(slope[0].dtype)
                product = slope[0] * spread
                gradients.append(product if product.dtype == arrays[0].dtype else product.to(arrays[0].dtype))
        return tuple(gradients)
