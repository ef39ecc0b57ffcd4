"""PyTorch: a kernel is a `torch.autograd.Function`, whose derivatives are kernels as well.

The arguments are saved for the backward pass, and by `torch_prepared` the slope of small arrays. Where there is no
closed derivative (third derivatives, and mixed ones of focal losses), PyTorch differentiates operation by operation.
"""

from collections.abc import Callable
from typing import Any

import torch
from array_api_compat import torch as namespace
from torch.autograd import forward_ad

from .._call.kernel import Arguments, Function, Kernel, Quotient, Sums, SumSpec, is_native, library_sum, summed
from .._call.promotion import accumulation_dtype
from .._compiler.cache import IdentityCache
from .._precision import exact_sum
from .._typing import Array, Namespace
from . import torch_cpu
from .protocol import Run
from .torch_namespaces import SUMMING, called
from .torch_prepared import Prepared, keep, kept


class TorchRunner:
    """Runs kernels as `torch.autograd.Function`; PyTorch differentiates other functions itself."""

    def run(self, xp: Namespace, function: Function, arrays: Arguments, sums: Sums) -> tuple[Array, ...]:
        """Return the results, summed by PyTorch's own sum."""
        if _is_recorded():
            return summed(xp, called(function, xp, arrays), sums)
        if not isinstance(function, Kernel):  # `Counts`, which depend on the shape of the first array only
            if _may_be_differentiated(arrays[1:]):
                return summed(xp, called(function, xp, arrays), sums)
            return _evaluated(xp, function, arrays, sums)
        if not _may_be_differentiated(arrays):
            return _evaluated(xp, function, arrays, sums)
        results: tuple[Array, ...] = _node_class().apply(xp, function, sums, *arrays)
        return results

    def prepared(
        self, otherwise: Run, _xp: Namespace, function: Function, sums: Sums, quotient: Quotient | None
    ) -> Run:
        """Return what does as `otherwise`."""
        if torch.compiler.is_compiling() or not isinstance(function, Kernel) or not is_native(function):
            return otherwise
        return Prepared(function, sums, quotient, otherwise, _pulled_back)

    def estimated_sum(self, kernel: Function, arrays: Arguments, sums: Sums) -> tuple[Array, ...] | None:
        """Return an estimate of a sum, the bound of its error, which counts for no derivative, and other results."""
        if torch.compiler.is_compiling() or _is_recorded() or _is_transformed() or not torch_cpu.serve(arrays):
            return None
        with torch.no_grad():
            found = torch_cpu.QUICK_WAY.estimated_sum(kernel, arrays, sums)
        if found is None or not _may_be_differentiated(arrays):
            return found
        results: tuple[Array, ...] = _EstimatedNode.apply(namespace, kernel, (sums, found), *arrays)
        return results

    def exact_sum(self, xp: Namespace, terms: tuple[Array, ...], spec: SumSpec) -> Array:
        """Return the sum of terms."""
        if _is_recorded() or not _may_be_differentiated(terms):
            return exact_sum(SUMMING, terms, spec.axes)
        node: Any = _TracedExactSum if torch.compiler.is_compiling() else _ExactSum
        result: Array = node.apply(xp, spec, *terms)
        return result

    def map(self, xp: Namespace, function: Callable[..., Any], arrays: Arguments) -> Any:
        """Return `function(xp, *arrays)`."""
        return called(function, xp, arrays)


def _node_class() -> Any:
    if torch.compiler.is_compiling():
        return _TracedNode
    if torch_cpu.in_transform():
        return _TransformedNode
    return _Node


def _is_recorded() -> bool:
    """Tell whether torch.jit.trace is recording; PyTorch differentiates the recorded operations when they run.

    A trace with an autograd.Function cannot be saved (https://github.com/pytorch/pytorch/issues/75935). It would also
    differ from the second trace that torch.jit.trace makes as a check, under torch.no_grad.
    """
    return not torch.compiler.is_compiling() and torch.jit.is_tracing()


def _may_be_differentiated(arrays: tuple[Any, ...]) -> bool:
    """Tell whether a derivative may be requested; if not, no node is made, which would cost more than a small loss."""
    if torch.is_grad_enabled() and any(isinstance(a, torch.Tensor) and a.requires_grad for a in arrays):
        return True
    return not torch.compiler.is_compiling() and _is_transformed()


def _is_transformed() -> bool:
    """Tell whether a transform of torch.func or forward mode is active."""
    return torch_cpu.in_transform() or forward_ad._current_level >= 0  # noqa: SLF001


def _evaluated(xp: Namespace, function: Function, arrays: tuple[Any, ...], sums: Sums) -> tuple[Array, ...]:
    """Return the results without making a node, block by block where that is faster."""
    if torch.compiler.is_compiling() or not torch_cpu.serve(arrays):
        return summed(xp, called(function, xp, arrays), sums)
    return torch_cpu.run(function, arrays, sums)


def _backward(ctx: Any, *cotangents: Array | None) -> tuple[Array | None, ...]:
    """Return the vector-Jacobian product for each argument."""
    arrays, _ = kept(ctx)
    gradients: list[Array | None] = [None, None, None]
    for i, needed in enumerate(ctx.needs_input_grad[3:]):
        gradients.append(_pulled_back(ctx, arrays, cotangents, i) if needed else None)
    return tuple(gradients)


def _jvp(ctx: Any, *tangents: Array | None) -> tuple[Array | None, ...]:
    """Return the Jacobian-vector product for each output."""
    arrays, _ = kept(ctx)
    return tuple(_pushed_forward(ctx, arrays, tangents[3:], k) for k in range(len(ctx.sums)))


class _Node(torch.autograd.Function):
    """A kernel in reverse and forward mode, with the least overhead."""

    @staticmethod
    def forward(ctx: Any, xp: Namespace, kernel: Kernel, sums: Sums, *arrays: Array | float) -> tuple[Array, ...]:
        keep(ctx, xp, kernel, sums, arrays)
        return _evaluated(xp, kernel, arrays, sums)

    backward = staticmethod(_backward)
    jvp = staticmethod(_jvp)


class _EstimatedNode(torch.autograd.Function):
    """The results of a kernel whose value is summed, already known, in reverse mode."""

    @staticmethod
    def forward(ctx: Any, xp: Namespace, kernel: Kernel, known: tuple[Any, ...], *arrays: Any) -> tuple[Array, ...]:
        sums, results = known
        keep(ctx, xp, kernel, sums, arrays)
        ctx.mark_non_differentiable(results[1])
        found: tuple[Array, ...] = results
        return found

    backward = staticmethod(_backward)


class _TracedNode(torch.autograd.Function):
    """A kernel in reverse mode, for torch.compile, which has no support for `jvp`.

    Under torch.func.jvp it inlines `forward` and differentiates that: https://github.com/pytorch/pytorch/issues/192985
    """

    @staticmethod
    def forward(xp: Namespace, kernel: Kernel, sums: Sums, *arrays: Array | float) -> tuple[Array, ...]:
        return _evaluated(xp, kernel, arrays, sums)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Array, ...]) -> None:  # noqa: ARG004
        xp, kernel, sums, *arrays = inputs
        keep(ctx, xp, kernel, sums, tuple(arrays))

    backward = staticmethod(_backward)


class _TransformedNode(_TracedNode):
    """A kernel under torch.func, in all modes."""

    jvp = staticmethod(_jvp)

    @staticmethod
    def vmap(
        info: Any,
        in_dims: tuple[Any, ...],
        xp: Namespace,
        kernel: Kernel,
        sums: Sums,
        *arrays: Any,
    ) -> tuple[tuple[Array, ...], tuple[int, ...]]:
        """Move each batch axis to the front; the axes of sums, counted from the end, remain the same."""
        ndim = arrays[0].ndim - (in_dims[3] is not None)
        moved = [a if d is None else _with_batch(a, d, ndim) for a, d in zip(arrays, in_dims[3:], strict=True)]
        if in_dims[3] is None:
            moved[0] = moved[0].expand(info.batch_size, *moved[0].shape)
        results = RUNNER.run(xp, kernel, tuple(moved), sums)
        return results, (0,) * len(results)


class _TracedExactSum(torch.autograd.Function):
    """The exact sum of terms, whose derivative in each term is 1, in reverse mode."""

    @staticmethod
    def forward(_xp: Namespace, spec: SumSpec, *terms: Array) -> Array:
        return exact_sum(SUMMING, terms, spec.axes)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Array) -> None:  # noqa: ARG004
        _, ctx.spec, *terms = inputs
        ctx.shape, ctx.rest = terms[0].shape, len(terms) - 1

    @staticmethod
    def backward(ctx: Any, cotangent: Array) -> tuple[Array | None, ...]:
        return None, None, ctx.spec.spread(namespace, cotangent[0]).expand(ctx.shape), *(None,) * ctx.rest


class _ExactSum(_TracedExactSum):
    """The exact sum of terms, in all modes."""

    generate_vmap_rule = True

    @staticmethod
    def jvp(ctx: Any, _xp: None, _spec: None, tangent: Array, *_rest: Array | None) -> Array:
        total = tangent.sum(dim=ctx.spec.axes)
        return torch.stack([total, torch.zeros_like(total)])


def _with_batch(a: Array, dim: int, ndim: int) -> Array:
    """Return an array with its batch axis first and `ndim` more dimensions."""
    a = a.movedim(dim, 0)
    return a.reshape(a.shape[0], *(1,) * (ndim + 1 - a.ndim), *a.shape[1:])


def _pulled_back(ctx: Any, arrays: tuple[Any, ...], cotangents: tuple[Array | None, ...], i: int) -> Array | None:
    """Return the vector-Jacobian product for argument i."""
    total = None
    for k, cotangent in enumerate(cotangents):
        if cotangent is not None:
            # A 0-d cotangent broadcasts as it is, also to nested tensors, whose ragged length nothing else can have.
            spread = cotangent if ctx.sums[k] is None or not cotangent.ndim else ctx.sums[k].spread(ctx.xp, cotangent)
            part = _pulled_back_through(ctx, arrays, k, i, spread)
            total = part if total is None else total + part
    return total


def _pulled_back_through(ctx: Any, arrays: tuple[Any, ...], k: int, i: int, cotangent: Array) -> Array:
    target, first = arrays[i], arrays[0]
    axes = () if target.shape == first.shape else _broadcast_axes(target, first)
    # Dynamo must not trace the cache, which is keyed by `id()`.
    pull = _pull if torch.compiler.is_compiling() else _kept_pull
    kernel, spec = pull(ctx.kernel, ctx.xp, k, i, len(arrays), axes, target.dtype, target.device)
    if kernel is None:
        product = _slope(ctx, arrays, k, i, cotangent)
        result = product if spec is None else library_sum(ctx.xp, product, spec)
    else:
        (result,) = RUNNER.run(ctx.xp, kernel, (*arrays, cotangent), (spec,))
    if axes:
        result = result.reshape(target.shape)
    return result if result.dtype == target.dtype else result.to(target.dtype)


def _pull(
    kernel: Kernel, xp: Namespace, k: int, i: int, count: int, axes: tuple[int, ...], dtype: Any, device: Any
) -> tuple[Kernel | None, SumSpec | None]:
    """Return the kernel of the derivative of output k in array i, times a cotangent, and the sum over its result."""
    wide = accumulation_dtype(xp, kernel.computing, device)
    derivative = kernel.derivative(k, i)
    return (
        None if derivative is None else derivative.times(count, wide if axes else dtype),
        SumSpec(axes, wide) if axes else None,
    )


_kept_pull = IdentityCache(_pull)


def _pushed_forward(ctx: Any, arrays: tuple[Any, ...], tangents: tuple[Array | None, ...], k: int) -> Array | None:
    """Return the tangent of output k."""
    total = None
    for i, tangent in enumerate(tangents):
        if tangent is not None:
            part = _pushed_forward_through(ctx, arrays, k, i, tangent)
            total = part if total is None else total + part
    return total


def _pushed_forward_through(ctx: Any, arrays: tuple[Any, ...], k: int, i: int, tangent: Array) -> Array:
    derivative, spec = ctx.kernel.derivative(k, i), ctx.sums[k]
    if derivative is None:
        product = _slope(ctx, arrays, k, i, tangent)
        return product if spec is None else library_sum(ctx.xp, product, spec)
    kernel = derivative.times(len(arrays), ctx.kernel.outputs[k].dtype)
    return RUNNER.run(ctx.xp, kernel, (*arrays, tangent), (spec,))[0]


def _slope(ctx: Any, arrays: tuple[Any, ...], k: int, i: int, factor: Array) -> Array:
    """Return the derivative of output k, before it is summed, in array i, times a factor.

    PyTorch differentiates operation by operation. A masked element has slope 0, but its factor may be NaN.
    """
    kernel = ctx.kernel.only(k)

    def output(a: Array) -> Array:
        result: Array = called(kernel, ctx.xp, (*arrays[:i], a, *arrays[i + 1 :]))[0]
        return result

    losses, pull = torch.func.vjp(output, arrays[i].expand(arrays[0].shape))
    slope: Array = pull(torch.ones_like(losses))[0]
    if ctx.kernel.where is not None:
        factor = torch.where(arrays[ctx.kernel.where], factor, 0.0)
    return slope * factor


def _broadcast_axes(a: Array, full: Array) -> tuple[int, ...]:
    """Return the axes, counted from the end, along which `a` is broadcast to the shape of `full`."""
    return tuple(
        axis for axis in range(-full.ndim, 0) if -axis > a.ndim or (a.shape[axis] == 1 and full.shape[axis] != 1)
    )


RUNNER = TorchRunner()
