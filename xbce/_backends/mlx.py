"""MLX: an adapter of its namespace, and closed derivatives under `grad`, `vjp`, `jvp` and `vmap`.

A kernel is run by plain calls. Each of its results then passes through a `custom_function` that changes nothing, but
has rules of its own, by which a derivative is a kernel again. What has no closed derivative, MLX differentiates.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Protocol, TypeAlias

import mlx.core as mx

from .._call.kernel import Arguments, Function, Kernel, Sums, SumSpec, is_floating, is_native, summed
from .._call.promotion import accumulation_dtype
from .._formulas import WithForms
from .._formulas.series import exp_parts
from .._precision import Table, exact_sum
from .._typing import Array, Device, DType, Namespace
from .eager import EagerRunner


class _Info:
    """What the standard has a namespace tell; MLX will: https://github.com/ml-explore/mlx/issues/4239."""

    def default_device(self) -> Device:
        """Return the device that operations run on. Arrays have none, since all devices share their memory."""
        return mx.default_device()

    def dtypes(self, *, device: Device, kind: str) -> dict[str, DType]:
        """Return the dtypes of a kind; float64 is on CPUs only."""
        kinds = (dtype for dtype in vars(mx).values() if isinstance(dtype, mx.Dtype) and mx.isdtype(dtype, kind))
        names = {str(dtype).rpartition(".")[2]: dtype for dtype in kinds}
        return {name: dtype for name, dtype in names.items() if name != "float64" or device.type == mx.cpu}


class _Standard(WithForms):
    """`mlx.core`, but with the arguments that the standard gives its functions."""

    def __getattr__(self, name: str) -> Any:
        return mx.bool_ if name == "bool" else super().__getattr__(name)

    def __array_namespace_info__(self) -> _Info:
        return _Info()

    def asarray(self, x: Any, *, dtype: DType | None = None, device: Device | None = None) -> Array:  # noqa: ARG002
        """Return an array of numbers."""
        return mx.asarray(x, dtype=dtype)

    def empty(self, shape: tuple[int, ...], *, dtype: DType, device: Device) -> Array:  # noqa: ARG002
        """Return an array of any numbers; MLX has none but of zeros."""
        return mx.zeros(shape, dtype=dtype)

    def full(self, shape: tuple[int, ...], fill_value: float, *, dtype: DType, device: Device) -> Array:  # noqa: ARG002
        """Return an array of one number."""
        return mx.full(shape, fill_value, dtype=dtype)

    def sum(self, x: Array, *, axis: Any = None, dtype: DType | None = None, keepdims: bool = False) -> Array:
        """Return a sum, computed in a dtype."""
        x = x if dtype is None else x.astype(dtype)
        if 0 not in x.shape:
            return mx.sum(x, axis=axis, keepdims=keepdims)
        # MLX 0.32 does not always return from a sum along an axis of length 0.
        axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        summed = {i % x.ndim for i in axes}
        kept = ((i, 1 if i in summed else n) for i, n in enumerate(x.shape) if keepdims or i not in summed)
        return mx.zeros([n for _, n in kept], dtype=x.dtype)

    def unique_values(self, x: Array) -> Array:
        """Return the values, each once; they are read."""
        return mx.array(sorted(set(x.reshape(-1).tolist())), dtype=x.dtype)


class _Namespace(_Standard):
    """With an exponential of our own: MLX computes all of them in float32, with errors of up to 63 ULP."""

    def exp(self, x: Array) -> Array:
        """Return exp(x)."""
        return _attached(_exp(mx.stop_gradient(x)), (x,), _RuleOfExp())

    def lookup(self, table: Table, index: Array) -> Array:
        """Return the doubles of a table at an index."""
        return mx.take(_doubles(table), index)


NAMESPACE = _Namespace(mx, {})


@lru_cache(maxsize=64)
def _doubles(table: Table) -> Array:
    return mx.array(table.numbers, dtype=mx.float64)


_STORED = {
    mx.float32: (mx.int32, 23, 127, -105.0, 89.0),
    mx.float64: (mx.int64, 52, 1023, -746.0, 710.0),
}
"""The integer of the same size, stored digits, largest exponent, and where exp is 0 below and infinite above."""


def _exp(x: Array) -> Array:
    """Return exp(x) by the series. A power of two is two factors: it may be subnormal, or above the largest number."""
    integer, digits, bias, least, most = _STORED[x.dtype]
    mantissa, k = exp_parts(NAMESPACE, mx.where(x < least, least, mx.where(x > most, most, x)))
    half = mx.floor(k * 0.5)
    for power in (half, k - half):
        mantissa = mantissa * mx.view(mx.left_shift((power + bias).astype(integer), digits), x.dtype)
    return mantissa


Arrays: TypeAlias = tuple[Any, ...]
"""As `Arguments`; the rules take those of them that are arrays."""


class _Rule(Protocol):
    """How a function of arrays is differentiated in one of them."""

    @property
    def batch(self) -> int:
        """The axis of the result at which `vmap` adds one."""

    def pulled(self, arrays: Arrays, i: int, cotangent: Array) -> Array | None:
        """Return the vector-Jacobian product for array i, or None for 0."""

    def pushed(self, arrays: Arrays, i: int, tangent: Array) -> Array | None:
        """Return the Jacobian-vector product for array i, or None for 0."""


def _attached(value: Array, arrays: Arrays, rule: _Rule) -> Array:
    """Return a value that a function has for arrays that are `_still`, with a rule of differentiation in them."""
    places = [i for i, x in enumerate(arrays) if isinstance(x, mx.array)]

    def with_all(given: tuple[Array, ...]) -> Arrays:
        found = dict(zip(places, given, strict=True))
        return tuple(found.get(i, x) for i, x in enumerate(arrays))

    @mx.custom_function  # type: ignore[untyped-decorator]
    def same(value: Array, *_given: Array) -> Array:
        return value

    @same.vjp  # type: ignore[untyped-decorator]
    def _pull(primals: tuple[Array, ...], cotangent: Array, _value: Array) -> tuple[Array, ...]:
        taken = with_all(primals[1:])
        pulled = (rule.pulled(taken, i, cotangent) if is_floating(taken[i]) else None for i in places)
        found = zip(primals, (None, *pulled), strict=True)
        return tuple(mx.zeros_like(x) if of_x is None else of_x for x, of_x in found)

    @same.jvp  # type: ignore[untyped-decorator]
    def _push(primals: tuple[Array, ...], tangents: tuple[Array | None, ...]) -> Array:
        taken, total = with_all(primals[1:]), mx.zeros_like(primals[0])
        for i, tangent in zip(places, tangents[1:], strict=True):
            pushed = None if tangent is None or not is_floating(taken[i]) else rule.pushed(taken, i, tangent)
            total = total if pushed is None else total + pushed
        return total

    @same.vmap  # type: ignore[untyped-decorator]
    def _batch(inputs: tuple[Array, ...], axes: tuple[int | None, ...]) -> tuple[Array, int]:
        size = next(x.shape[axis] for x, axis in zip(inputs, axes, strict=True) if axis is not None)
        first, axis = inputs[1], axes[1]
        ndim = first.ndim - (axis is not None)
        full = mx.broadcast_to(first, (size, *first.shape)) if axis is None else mx.moveaxis(first, axis, 0)
        rest = (_with_batch(x, axis, ndim) for x, axis in zip(inputs[2:], axes[2:], strict=True))
        of_value = inputs[0] if axes[0] is None else mx.moveaxis(inputs[0], axes[0], rule.batch)
        if axes[0] is None:
            of_value = mx.repeat(mx.expand_dims(of_value, rule.batch), size, axis=rule.batch)
        return _attached(of_value, with_all((full, *rest)), rule), rule.batch

    result: Array = same(value, *(arrays[i] for i in places))
    return result


def _with_batch(x: Array, axis: int | None, ndim: int) -> Array:
    """Return an array with its batch axis, if it has one, first, and `ndim` more dimensions."""
    if axis is None:
        return x
    x = mx.moveaxis(x, axis, 0)
    return x.reshape(x.shape[0], *(1,) * (ndim + 1 - x.ndim), *x.shape[1:])


class _RuleOfExp:
    batch = 0

    def pulled(self, arrays: Arrays, _i: int, cotangent: Array) -> Array:
        return cotangent * NAMESPACE.exp(arrays[0])

    pushed = pulled


@dataclass(frozen=True, slots=True)
class _Plain:
    """MLX differentiates a function operation by operation, in its own arithmetic: of one result if it has several."""

    function: Callable[..., Any]
    batch: int = 0

    def _of(self, arrays: Arrays, i: int) -> Callable[[Array], Array]:
        native = self.function if is_native(self.function) else replace(self.function, arithmetic="native")  # type: ignore[type-var]

        def of_array(x: Array) -> Array:
            result: Array = native(NAMESPACE, *arrays[:i], x, *arrays[i + 1 :])
            return result[0] if isinstance(result, tuple) else result

        return of_array

    def pulled(self, arrays: Arrays, i: int, cotangent: Array) -> Array:
        result: Array = mx.vjp(self._of(arrays, i), [arrays[i]], [cotangent])[1][0]
        return result

    def pushed(self, arrays: Arrays, i: int, tangent: Array) -> Array:
        result: Array = mx.jvp(self._of(arrays, i), [arrays[i]], [tangent])[1][0]
        return result


@dataclass(frozen=True, slots=True)
class _Closed:
    """The derivatives of a kernel of one result are kernels, with the tangent or cotangent as one more weight."""

    kernel: Kernel
    batch: int = 0

    def pulled(self, arrays: Arrays, i: int, cotangent: Array) -> Array:
        derivative, target, full = self.kernel.derivative(0, i), arrays[i], arrays[0]
        axes = _broadcast_axes(target, full)
        wide = accumulation_dtype(NAMESPACE, self.kernel.computing, mx.default_device())
        if derivative is None:
            product = self._slope(arrays, i, cotangent)
        else:
            (product,) = _run(derivative.times(len(arrays), wide if axes else target.dtype), (*arrays, cotangent))
        if axes:
            product = _sum(NAMESPACE, product, SumSpec(axes, wide)).reshape(target.shape)
        return product.astype(target.dtype)

    def pushed(self, arrays: Arrays, i: int, tangent: Array) -> Array:
        derivative = self.kernel.derivative(0, i)
        if derivative is None:
            return self._slope(arrays, i, tangent).astype(self.kernel.outputs[0].dtype)
        return _run(derivative.times(len(arrays), self.kernel.outputs[0].dtype), (*arrays, tangent))[0]

    def _slope(self, arrays: Arrays, i: int, factor: Array) -> Array:
        """Return the derivative in array i, times a factor. A masked element has slope 0, but its factor may be NaN."""
        spread = (*arrays[:i], mx.broadcast_to(arrays[i], arrays[0].shape), *arrays[i + 1 :])
        slope = _Plain(self.kernel).pulled(spread, i, mx.ones(arrays[0].shape, dtype=self.kernel.outputs[0].dtype))
        if self.kernel.where is not None:
            factor = mx.where(arrays[self.kernel.where], factor, 0.0)
        return slope * factor


@dataclass(frozen=True, slots=True)
class _OfExactSum:
    """The derivative in each term is 1; what rounding leaves of the terms and of the sum counts for none."""

    spec: SumSpec
    batch: int = 1

    def pulled(self, arrays: Arrays, i: int, cotangent: Array) -> Array | None:
        return mx.broadcast_to(self.spec.spread(NAMESPACE, cotangent[0]), arrays[0].shape) if i == 0 else None

    def pushed(self, _arrays: Arrays, i: int, tangent: Array) -> Array | None:
        if i:
            return None
        total = mx.sum(tangent, axis=self.spec.axes)
        return mx.stack([total, mx.zeros_like(total)])


def _still(arrays: Arrays) -> Arrays:
    """Return arrays that MLX does not differentiate in."""
    return tuple(mx.stop_gradient(x) if isinstance(x, mx.array) else x for x in arrays)


def _broadcast_axes(x: Array, full: Array) -> tuple[int, ...]:
    """Return the axes, counted from the end, along which an array is broadcast to the shape of another."""
    return tuple(
        axis for axis in range(-full.ndim, 0) if -axis > x.ndim or (x.shape[axis] == 1 and full.shape[axis] != 1)
    )


def _run(kernel: Kernel, arrays: Arguments) -> tuple[Array, ...]:
    """Return the results of a kernel."""
    kernel = kernel.bound(arrays)
    results = kernel(NAMESPACE, *_still(arrays))
    return tuple(
        x if kernel.outputs[k].rest else _attached(x, arrays, _Closed(kernel.only(k))) for k, x in enumerate(results)
    )


def _sum(_xp: Namespace, x: Array, spec: SumSpec) -> Array:
    """Return the sum, of halves of halves: MLX adds one number after the other, in a few lanes."""
    kept = tuple(i for i in range(x.ndim) if i - x.ndim not in spec.axes)
    shape = tuple(x.shape[i] for i in kept)
    size = math.prod(x.shape[i] for i in spec.axes)
    x = x.astype(spec.dtype).transpose(*kept, *spec.axes).reshape(*shape, size)
    if size < _FEW:
        return NAMESPACE.sum(x, axis=-1)
    width = 2 ** (size.bit_length() - _FEW.bit_length() + 1)
    rows = size // width
    head, rest = x[..., : rows * width], x[..., rows * width :]
    x = mx.sum(head.reshape(*shape, rows, width), axis=-2)
    if rest.shape[-1]:
        x = x + mx.pad(rest, [(0, 0)] * len(shape) + [(0, width - rest.shape[-1])])
    while width > 1:
        width //= 2
        x = x[..., :width] + x[..., width:]
    return x[..., 0]


_FEW = 4
"""From so many numbers on, and below twice as many, `mx.sum` adds them."""


class MlxRunner(EagerRunner):
    """Runs kernels with rules of differentiation; MLX differentiates other functions itself."""

    namespace = NAMESPACE

    def run(self, xp: Namespace, function: Function, arrays: Arguments, sums: Sums) -> tuple[Array, ...]:
        """Return the results, each sum as one of sums."""
        return summed(xp, self.map(xp, function, arrays), sums, _sum)

    def exact_sum(self, xp: Namespace, terms: tuple[Array, ...], spec: SumSpec) -> Array:
        """Return the sum of terms."""
        return _attached(exact_sum(xp, _still(terms), spec.axes), terms, _OfExactSum(spec))

    def map(self, _xp: Namespace, function: Callable[..., Any], arrays: Arguments) -> Any:
        """Return `function(xp, *arrays)`."""
        if isinstance(function, Kernel):
            return _run(function, arrays)
        if is_native(function):
            return function(NAMESPACE, *arrays)
        return _attached(function(NAMESPACE, *_still(arrays)), arrays, _Plain(function))


RUNNER = MlxRunner()
