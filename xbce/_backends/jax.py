"""JAX: a kernel is a function with a custom rule of differentiation, whose derivatives are kernels again.

What has no closed derivative (a derivative of third order, or a mixed one of a focal loss) is differentiated by JAX
itself. Arrays are given the rank of the first one, for those who have JAX forbid the promotion of ranks.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax

from .._call.kernel import Arguments, Function, Kernel, Sums, summed
from .._formulas import Idiom
from .._typing import Array, Namespace


class JaxRunner:
    """Runs kernels by `jax.custom_jvp`; everything else is differentiated by JAX."""

    def run(self, xp: Namespace, function: Function, arrays: Arguments, sums: Sums) -> tuple[Array, ...]:
        """Return the results, summed by JAX's own sum."""
        return summed(xp, self.map(xp, function, arrays), sums)

    def map(self, xp: Namespace, function: Callable[..., Any], arrays: Arguments) -> Any:
        """Return `function(xp, *arrays)`."""
        ndim = max(getattr(a, "ndim", 0) for a in arrays)
        aligned = tuple(_aligned(xp, a, ndim) for a in arrays)
        if isinstance(function, Kernel):
            # Numbers are constants for XLA, and no arguments that JAX would make arrays of.
            numbers = function.numbers
            rest = tuple(None if i in numbers else a for i, a in enumerate(aligned)) if numbers else aligned
            return _differentiable(function.bound(arrays), *rest)
        return function(_NAMESPACE, *aligned)


def _aligned(xp: Namespace, a: Any, ndim: int) -> Any:
    if getattr(a, "ndim", 0) in (0, ndim):
        return a
    return xp.reshape(a, (1,) * (ndim - a.ndim) + a.shape)


def _vanishes(_xp: Namespace, x: Array) -> Array:
    """Ask of a product with 2^60, which is never subnormal.

    Compiled code flushes subnormal numbers, and may still tell them from 0 in a comparison.
    """
    return x * 2.0**60 == 0


def _enlarged(_xp: Namespace, x: Array, share: Array) -> Array:
    """Add it to a multiple of x: the share of a small x would be flushed."""
    large = x * 2.0**30
    return (large + large * share) * 2.0**-30


_SAID: dict[str, Callable[..., Array]] = {"vanishes": _vanishes, "enlarged": _enlarged}


class _Namespace:
    """`jax.numpy`, and what has to be said to XLA in another way."""

    def __getattr__(self, name: str) -> Any:
        return getattr(jax.numpy, name)

    def keep_idiom(self, idiom: Idiom, operands: tuple[Any, ...]) -> Array:
        """Return an idiom."""
        said = _SAID.get(idiom.name, idiom.plain)
        return said(self, *operands)


_NAMESPACE = _Namespace()


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _differentiable(kernel: Kernel, *arrays: Array) -> tuple[Array, ...]:
    return kernel(_NAMESPACE, *arrays)


@partial(_differentiable.defjvp, symbolic_zeros=True)
def _jvp(kernel: Kernel, arrays: tuple[Array, ...], tangents: tuple[Any, ...]) -> Any:
    results = _differentiable(kernel, *arrays)
    still = (jax.custom_derivatives.SymbolicZero, type(None))
    moving = [(i, t) for i, t in enumerate(tangents) if not isinstance(t, still)]
    return results, tuple(_slope(kernel, k, arrays, moving, result) for k, result in enumerate(results))


def _slope(kernel: Kernel, k: int, arrays: tuple[Array, ...], moving: list[tuple[int, Array]], result: Array) -> Array:
    """Return the tangent of output k."""
    total = jax.numpy.zeros_like(result)
    for i, tangent in moving:
        derivative = kernel.derivative(k, i)
        if derivative is None:
            total = total + jax.jvp(_plain(kernel, arrays, k, i), (arrays[i],), (tangent,))[1]
        else:
            # Linear in the tangent, as JAX asks for: the product stands outside of the kernel, and is rounded after it.
            (slope,) = _differentiable(derivative.unrounded(), *arrays)
            moved = tangent.astype(slope.dtype)
            if kernel.where is not None:  # what is dropped has slope 0, but tangent and cotangent may be NaN
                moved = jax.numpy.where(arrays[kernel.where], moved, 0.0)
            total = total + (slope * moved).astype(total.dtype)
    return total


def _plain(kernel: Kernel, arrays: tuple[Array, ...], k: int, i: int) -> Callable[[Array], Array]:
    """Return output k as a function of array i that JAX differentiates operation by operation."""

    def output(a: Array) -> Array:
        result: Array = kernel.only(k)(_NAMESPACE, *arrays[:i], a, *arrays[i + 1 :])[0]
        return result

    return output


RUNNER = JaxRunner()
