"""JAX: a kernel is a `jax.custom_jvp` function, whose derivatives are kernels as well.

Where there is no closed derivative (third derivatives, and mixed ones of focal losses), JAX differentiates operation by
operation. Arrays are reshaped to one rank first, since JAX can be configured to refuse rank promotion.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np

from .._call.kernel import Arguments, Function, Kernel, Sums, SumSpec, is_native, library_sum, summed
from .._formulas import WithForms, settled
from .._formulas.series import exp_by_series, log1p_unit_by_series
from .._precision import Table, exact_sum
from .._typing import Array, Namespace
from .eager import EagerRunner


class JaxRunner(EagerRunner):
    """Runs kernels through `jax.custom_jvp`; JAX differentiates other functions itself."""

    def run(self, xp: Namespace, function: Function, arrays: Arguments, sums: Sums) -> tuple[Array, ...]:
        """Return the results, summed by JAX's own sum."""
        return summed(xp, self.map(xp, function, arrays), sums, _sum)

    def exact_sum(self, xp: Namespace, terms: tuple[Array, ...], spec: SumSpec) -> Array:  # noqa: ARG002
        """Return the sum of terms; its tangent is the plain sum of their tangents."""
        return _exact_sum(spec.axes, *terms)

    def map(self, xp: Namespace, function: Callable[..., Any], arrays: Arguments) -> Any:
        """Return `function(xp, *arrays)`."""
        ndim = max(getattr(a, "ndim", 0) for a in arrays)
        aligned = tuple(_aligned(xp, a, ndim) for a in arrays)
        if isinstance(function, Kernel):
            # Numbers become constants for XLA: as arguments JAX would convert them to arrays.
            bound = function.bound(arrays)
            constants = {*function.numbers} - {*bound.numbers}
            return _differentiable(bound, *(None if i in constants else a for i, a in enumerate(aligned)))
        if not is_native(function):
            return _in_high_precision(function, *aligned)
        return function(_NAMESPACE, *aligned)


def _sum(xp: Namespace, x: Array, spec: SumSpec) -> Array:
    return library_sum(xp, _apart(x), spec)


class _Function:
    """A function of one array with a derivative of its own; called at once, it is compiled as a whole."""

    def __init__(self, function: Callable[[Array], Array]) -> None:
        self._differentiable = jax.custom_jvp(function)
        # Not the other way round: a `custom_jvp` function that is called at once takes a tenth of a millisecond.
        self._compiled = jax.jit(self._differentiable, inline=True)

    def __call__(self, x: Array) -> Array:
        result: Array = self._compiled(x)
        return result

    def derivative(self, tangent: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
        """Have the tangent of the result from the argument and its tangent."""
        self._differentiable.defjvp(lambda arrays, tangents: (self(*arrays), tangent(*arrays, *tangents)))
        return tangent


@_Function
def _apart(x: Array) -> Array:
    """Return x, by a selection, which XLA's reductions on CPUs do not take over.

    All operations before it they would run one at a time, and not as the one loop that XLA makes of them.
    """
    return settled(jax.numpy, x)


@_apart.derivative
def _tangent_of_apart(_x: Array, tangent: Array) -> Array:
    return tangent


def _aligned(xp: Namespace, a: Any, ndim: int) -> Any:
    if getattr(a, "ndim", 0) in (0, ndim):
        return a
    return xp.reshape(a, (1,) * (ndim - a.ndim) + a.shape)


def _vanishes(_xp: Namespace, x: Array) -> Array:
    """Compare x 2^60 with 0, since this product is never subnormal.

    Arithmetic flushes subnormal operands to zero (https://github.com/jax-ml/jax/issues/26658), but in compiled code a
    comparison may still distinguish them from 0.
    """
    return x * 2.0**60 == 0


def _enlarged(_xp: Namespace, x: Array, share: Array) -> Array:
    """Scale x by 2^30 first: for a small x the product with `share` would be flushed to zero."""
    large = x * 2.0**30
    return (large + large * share) * 2.0**-30


def _quotient(xp: Namespace, x: Array, y: Array) -> Array:
    """Select it: XLA fuses no quotient that has several uses, but a selection that has."""
    return xp.where(x == x, x / y, x)


def _exp_minus_abs(xp: Namespace, x: Array, upper: Array, _s: Array) -> Array:
    return _exp_not_positive(xp.where(upper, -x, x))


@_Function
def _exp_not_positive(x: Array) -> Array:
    """Return exp(x) for x <= 0; on CPUs by a series, which XLA computes in less time than its own, and in few ULP."""
    return jax.lax.platform_dependent(x, cpu=partial(exp_by_series, _NAMESPACE), default=jax.numpy.exp)


@_exp_not_positive.derivative
def _tangent_of_exp(x: Array, tangent: Array) -> Array:
    return tangent * _exp_not_positive(x)


def _log1p_unit(_xp: Namespace, e: Array) -> Array:
    return _log1p_of_unit(e)


@_Function
def _log1p_of_unit(e: Array) -> Array:
    """Return log(1 + e) for e from 0 to 1; on CPUs by a series: XLA's own log1p takes five times as long."""
    return jax.lax.platform_dependent(e, cpu=partial(log1p_unit_by_series, _NAMESPACE), default=jax.numpy.log1p)


@_log1p_of_unit.derivative
def _tangent_of_log1p(e: Array, tangent: Array) -> Array:
    return tangent / (1 + e)


_XLA_FORMS: dict[str, Callable[..., Array]] = {
    "vanishes": _vanishes,
    "enlarged": _enlarged,
    "quotient": _quotient,
    "exp_minus_abs": _exp_minus_abs,
    "log1p_unit": _log1p_unit,
}
"""Replacements of idioms: where their plain operations are wrong as XLA flushes subnormal numbers, or are slow."""


class _Namespace(WithForms):
    """`jax.numpy`, with the idioms of `_XLA_FORMS` replaced, and what the series and high precision need."""

    def lookup(self, table: Table, index: Array) -> Array:
        """Return the doubles of a table at an index that is in it."""
        return jax.numpy.asarray(np.asarray(table.numbers)).at[index].get(mode="promise_in_bounds")

    def power_of_2(self, k: Array) -> Array:
        """Return 2^k for whole numbers k that give normal numbers, and 0 for the next lower k."""
        info = jax.numpy.finfo(k.dtype)
        # The last bits of the sum are the exponent as it is stored.
        whole = k + (2.0**info.nmant + info.maxexp - 1)
        bits = jax.lax.bitcast_convert_type(whole, f"int{info.bits}") << info.nmant
        return jax.lax.bitcast_convert_type(bits, k.dtype)

    def sums(self, terms: list[Array], axes: tuple[int, ...]) -> list[Array]:
        """Return the sums of arrays of one shape along axes, which are kept.

        Of several reductions XLA computes what they have in common anew for each.
        """
        dims = tuple(axis % terms[0].ndim for axis in axes)
        zeros = [jax.numpy.zeros((), x.dtype) for x in terms]
        found = jax.lax.reduce(terms, zeros, _added, dims)
        return [jax.numpy.expand_dims(x, dims) for x in found]


def _added(a: Any, b: Any) -> Any:
    return [x + y for x, y in zip(a, b, strict=True)]


_NAMESPACE = _Namespace(jax.numpy, _XLA_FORMS)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
@partial(jax.jit, static_argnums=(0,))
def _exact_sum(axes: tuple[int, ...], *terms: Array) -> Array:
    return exact_sum(_NAMESPACE, terms, axes)


@_exact_sum.defjvp  # type: ignore[untyped-decorator]
def _exact_sum_jvp(axes: tuple[int, ...], terms: tuple[Array, ...], tangents: tuple[Array, ...]) -> Any:
    # The tangent of what rounding leaves of a term is part of that of the term.
    tangent = jax.numpy.sum(tangents[0], axis=axes)
    return _exact_sum(axes, *terms), jax.numpy.stack([tangent, jax.numpy.zeros_like(tangent)])


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _in_high_precision(function: Any, *arrays: Array) -> Array:
    return _compiled(function, *arrays)


@_in_high_precision.defjvp  # type: ignore[untyped-decorator]
def _in_high_precision_jvp(function: Any, arrays: tuple[Array, ...], tangents: tuple[Array, ...]) -> Any:
    # XLA makes one infinite factor of the powers of two that scale a tangent, and NaN of its product with 0.
    native = partial(replace(function, arithmetic="native"), _NAMESPACE)
    return _compiled(function, *arrays), jax.jvp(native, arrays, tangents)[1]


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _differentiable(kernel: Kernel, *arrays: Array) -> tuple[Array, ...]:
    arrays = _with_an_array(arrays)
    # To compile hundreds of operations at once takes less time than to compile each of them.
    return kernel(_NAMESPACE, *arrays) if kernel.arithmetic == "native" else _compiled(kernel, *arrays)


def _with_an_array(arrays: tuple[Any, ...]) -> tuple[Array, ...]:
    """Return arguments of which the first is an array: JAX 0.6 differentiates a number twice as Python's."""
    first, *rest = arrays
    return (jax.numpy.asarray(first), *rest) if isinstance(first, float) else arrays


@partial(jax.jit, static_argnums=(0,))
def _compiled(function: Callable[..., Any], *arrays: Array) -> Any:
    return function(_NAMESPACE, *arrays)


@partial(_differentiable.defjvp, symbolic_zeros=True)
def _jvp(kernel: Kernel, arrays: tuple[Array, ...], tangents: tuple[Any, ...]) -> Any:
    arrays = _with_an_array(arrays)
    results = _differentiable(kernel, *arrays)
    still = (jax.custom_derivatives.SymbolicZero, type(None))
    moving = [(i, t) for i, t in enumerate(tangents) if not isinstance(t, still)]
    return results, tuple(_slope(kernel, k, arrays, moving, result) for k, result in enumerate(results))


def _slope(kernel: Kernel, k: int, arrays: tuple[Array, ...], moving: list[tuple[int, Array]], result: Array) -> Array:
    """Return the tangent of output k."""
    total = None  # not zeros_like, which JAX makes on its default device and copies
    for i, tangent in moving:
        if kernel.outputs[k].rest:
            continue
        derivative = kernel.derivative(k, i)
        if derivative is None:
            part = jax.jvp(_plain(kernel, arrays, k, i), (arrays[i],), (tangent,))[1]
        else:
            # JAX needs a rule that is linear in the tangent: multiply outside of the kernel, and round the product.
            (slope,) = _differentiable(derivative.unrounded(), *arrays)
            moved = tangent.astype(slope.dtype)
            if kernel.where is not None:  # a masked element has slope 0, but its tangent or cotangent may be NaN
                moved = jax.numpy.where(arrays[kernel.where], moved, 0.0)
            part = (slope * moved).astype(result.dtype)
        total = part if total is None else total + part
    return jax.numpy.zeros_like(result) if total is None else total


def _plain(kernel: Kernel, arrays: tuple[Array, ...], k: int, i: int) -> Callable[[Array], Array]:
    """Return output k as a function of array i that JAX differentiates operation by operation."""

    def output(a: Array) -> Array:
        result: Array = kernel.only(k)(_NAMESPACE, *arrays[:i], a, *arrays[i + 1 :])[0]
        return result

    return output


RUNNER = JaxRunner()
