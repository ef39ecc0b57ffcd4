"""What several formulas are made of."""

import math

from .._typing import Array, DType, Namespace


def halves(xp: Namespace, x: Array) -> tuple[Array, Array, Array]:
    """Return [x >= 0] as a float, -sign(x) with sign(0) = 1, and exp(-|x|).

    -|x| is selected, not -abs(x): so it has the right derivative at 0 as well. As the product of x and s it would, too,
    but torch.compile's code for that takes twice as long (measured on AVX-512).
    """
    upper = x >= 0
    h = xp.astype(upper, x.dtype)
    return h, 1 - 2 * h, xp.exp(xp.where(upper, -x, x))


def product(xp: Namespace, x: Array, factor: Array) -> Array:
    """Return x times the factor, which is 0 where the factor is 0 even if x is infinite.

    x is guarded, not the product: a guarded product would have no derivative in the factor wherever that is 0. It is
    guarded before the product, not mended after it: JAX's debug_nans raises at the first NaN, whatever becomes of it.
    """
    return guarded(xp, x, factor) * factor


def guarded(xp: Namespace, x: Array, factor: Array) -> Array:
    """Return x, but 0 where it is infinite and the factor is 0."""
    # Not isinf: torch.compile's code for it takes half as long as a loss.
    return xp.where(((x == math.inf) | (x == -math.inf)) & (factor == 0), 0.0, x)


def aside(xp: Namespace, x: Array, number: float) -> Array:
    """Return a number as an array, which is NaN where x is: no compiler adds it to other constants.

    XLA takes (1 - x) + number for (1 + number) - x, and for a small number 1 + number is rounded to 1.
    """
    return xp.where(x == x, number, x)


def settled(xp: Namespace, x: Array) -> Array:
    """Return x itself, as it was rounded: no compiler draws it into what follows.

    XLA takes (a / b) / c for a / (b c), which is NaN where b c underflows and a is 0.
    """
    return xp.where(x == x, x, math.nan)


_REST = 29
"""Binary digits of a double that float32 does not hold."""


def split(xp: Namespace, number: float, dtype: DType) -> tuple[float, float]:
    """Return a number as the nearest one that a dtype (float32 or float64) holds, and what is left."""
    if xp.finfo(dtype).bits == 64:
        return number, 0.0
    scaled = number * (2.0**_REST + 1)
    head = scaled - (scaled - number)
    return head, number - head


def least(xp: Namespace, number: float, dtype: DType) -> float:
    """Return the least number of a dtype that is not below a number: x < both, or neither."""
    head, tail = split(xp, number, dtype)
    return head + math.ulp(head) * 2.0**_REST if tail > 0 else head


def power(xp: Namespace, base: Array, exponent: float) -> Array:
    """Return base to an exponent, both not negative, as exactly as if the dtype held the exponent.

    A rounded one would cost |log(base)| times its error: 29 ULP of float32 for exp(-36) to the power of 1.3.
    """
    if exponent == int(exponent):
        return base**exponent
    # The derivative of a root is infinite at 0, where that of the base may be 0.
    zero = base == 0
    base = xp.where(zero, 1.0, base)
    head, tail = split(xp, exponent, base.dtype)
    return xp.where(zero, 0.0, with_tail(xp, base**head, tail, base))


def with_tail(xp: Namespace, result: Array, tail: Array | float, base: Array) -> Array:
    """Return a power of the base, times the base to what is left of the exponent: 1 + tail log(base), up to 1e-11."""
    if isinstance(tail, float) and tail == 0:
        return result
    normal = float(xp.finfo(base.dtype).smallest_normal)  # JAX's logarithm of a subnormal number is -inf
    return result + result * (tail * xp.log(xp.where(base < normal, normal, base)))


def smoothed(xp: Namespace, z: Array, smoothing: float) -> tuple[Array, Array]:
    """Return z' = z (1 - a) + a / 2 and 1 - z', each as a sum of terms of one sign."""
    if smoothing == 0:
        return z, 1 - z
    half = aside(xp, z, smoothing / 2)
    return z * (1 - smoothing) + half, (1 - z) * (1 - smoothing) + half


def signed_side(h: Array, z: Array, smoothing: float) -> Array:
    """Return h - z': 1 - z' for h = 1 and -z' for h = 0, from terms of one sign."""
    if smoothing == 0:
        return h - z
    return (h - z) * (1 - smoothing) + (h - 0.5) * smoothing
