"""Idioms: named functions of formulas, for which a backend may have faster operations.

An idiom is defined by plain operations, which compilers and most libraries run, and which determine each bit of the
result. A namespace that records a formula keeps the name (`xbce/_compiler/recording.py`), and a backend that runs one
operation at a time may have a lowering for it (`xbce/_compiler/lowering.py`).
"""

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .._typing import Array, Namespace

Plain = Callable[..., Array]


@dataclass(frozen=True, slots=True)
class Idiom:
    """A name, and the plain operations that define it."""

    plain: Plain
    hints: tuple[int, ...] = ()
    """Indices of operands that follow from the others and are given to save work; a lowering need not use them."""

    @property
    def name(self) -> str:
        """The name by which lowerings are found."""
        return self.plain.__name__


def idiom(*, hints: tuple[int, ...] = ()) -> Callable[[Plain], Plain]:
    """Make an idiom of a function: a namespace with `keep_idiom` gets its name, every other one its operations."""

    def decorate(plain: Plain) -> Plain:
        named = Idiom(plain, hints)

        @functools.wraps(plain)
        def kept_or_plain(xp: Namespace, *operands: Any) -> Array:
            keep: Callable[..., Array] | None = getattr(xp, "keep_idiom", None)
            return plain(xp, *operands) if keep is None else keep(named, operands)

        return kept_or_plain

    return decorate


class WithForms:
    """A namespace in which some idioms have other forms than their plain operations."""

    def __init__(self, xp: Namespace, forms: Mapping[str, Plain]) -> None:
        self._xp, self._forms = xp, forms

    def __getattr__(self, name: str) -> Any:
        return getattr(self._xp, name)

    def keep_idiom(self, idiom: Idiom, operands: tuple[Any, ...]) -> Array:
        """Return the result of an idiom."""
        form = self._forms.get(idiom.name, idiom.plain)
        return form(self, *operands)


@idiom()
def minus_sign(_xp: Namespace, h: Array) -> Array:
    """Return -sign(x) with sign(0) = 1, from h = [x >= 0] as a number."""
    return 1 - 2 * h


@idiom(hints=(1, 2))
def exp_minus_abs(xp: Namespace, x: Array, upper: Array, _s: Array) -> Array:
    """Return exp(-|x|), given upper = (x >= 0) and s = -sign(x).

    A selection has the right derivative at 0, unlike -abs(x). The product of x and s has it, too, but torch.compile's
    code for that takes twice as long (measured on AVX-512).
    """
    return xp.exp(xp.where(upper, -x, x))


@idiom()
def log1p_unit(xp: Namespace, e: Array) -> Array:
    """Return log(1 + e) for e between -1/2 and 1, such as an exponential."""
    return xp.log1p(e)


@idiom()
def log1m_half(xp: Namespace, m: Array) -> Array:
    """Return log(1 - m) for m from 0 to 1/2."""
    return log1p_unit(xp, -m)


@idiom(hints=(2, 3, 4))
def log_unit(xp: Namespace, _u: Array, _absent: Array | None, upper: Array, log_m: Array, rest: Array) -> Array:
    """Return log(u) for u from 0 to 1, but 0 where it is absent, where u is 0.

    Given are upper = (u > 1/2), and log(m) and log(1 - m) of the smaller part m. A library whose log is accurate in
    the whole range needs no parts.
    """
    return xp.where(upper, rest, log_m)


@idiom(hints=(2, 3, 4))
def log1m_unit(xp: Namespace, _u: Array, _absent: Array | None, upper: Array, log_m: Array, rest: Array) -> Array:
    """Return log(1 - u) for u from 0 to 1, but 0 where it is absent, where u is 1; else like `log_unit`."""
    return xp.where(upper, log_m, rest)


@idiom()
def smaller_part(xp: Namespace, u: Array, upper: Array) -> Array:
    """Return the smaller of u and 1 - u, given upper = (u > 1/2)."""
    return xp.where(upper, 1 - u, u)


@idiom()
def one_for_nan(xp: Namespace, condition: Array, x: Array) -> Array:
    """Return 1 where a condition holds, at which x is 0, and x elsewhere.

    With x itself the results would be NaN there, or the same.
    """
    return xp.where(condition, 1.0, x)


@idiom()
def zero_for_nan(xp: Namespace, condition: Array, x: Array) -> Array:
    """Return 0 where a condition holds, at which x is 1, and x elsewhere.

    With x itself the results would be NaN there, or the same.
    """
    return xp.where(condition, 0.0, x)


@idiom()
def one_where(xp: Namespace, condition: Array, x: Array) -> Array:
    """Return 1 where a condition holds, and x elsewhere; x is 0 where it holds."""
    return xp.where(condition, 1.0, x)


@idiom()
def choice(xp: Namespace, condition: Array, a: Array, b: Array) -> Array:
    """Return a where a condition holds, and b elsewhere.

    Both are finite and not negative, nor -0; or both are NaN.
    """
    return xp.where(condition, a, b)


@idiom()
def zero_if_infinite(xp: Namespace, x: Array) -> Array:
    """Return x, but 0 where it is infinite."""
    return xp.where(xp.isinf(x), 0.0, x)


@idiom()
def constant_zero(xp: Namespace, e: Array) -> Array:
    """Return e, an exponential; a constant where it is 0, at which automatic differentiation stops."""
    return xp.where(e == 0, 0.0, e)


@idiom()
def product(xp: Namespace, x: Array, factor: Array) -> Array:
    """Return x times the factor, which is 0 where the factor is 0 even if x is infinite.

    x is guarded, not the product: a guarded product would have no derivative in the factor wherever that is 0. It is
    guarded before the product, not corrected after it: jax_debug_nans raises at the first NaN, even if it is unused
    (https://github.com/jax-ml/jax/issues/5698).
    """
    return guarded(xp, x, factor) * factor


def guarded(xp: Namespace, x: Array, factor: Array) -> Array:
    """Return x, but 0 where it is infinite and the factor is 0."""
    # Not isinf: torch.compile's code for it takes half of the time of a loss.
    return xp.where(((x == math.inf) | (x == -math.inf)) & vanishes(xp, factor), 0.0, x)


@idiom()
def vanishes(_xp: Namespace, x: Array) -> Array:
    """Tell where x is 0 in arithmetic, as a subnormal number is if the library flushes it."""
    return x == 0


@idiom()
def quotient(_xp: Namespace, x: Array, y: Array) -> Array:
    """Return x / y, which has several uses."""
    return x / y


@idiom()
def plus(_xp: Namespace, x: Array, number: Any) -> Array:
    """Return x plus a number that may be so small that a compiler takes it for 0."""
    return x + number


@idiom()
def enlarged(_xp: Namespace, x: Array, share: Array) -> Array:
    """Return x + x share, where the share is small and x at most 1."""
    return x + x * share


@idiom()
def add_signed(_xp: Namespace, x: Array, s: Array, y: Array) -> Array:
    """Return x + s y, where s is -1 or 1: y may be a quotient, whose numerator can take the sign."""
    return x + s * y


def aside(xp: Namespace, x: Array, number: float) -> Array:
    """Return a number as an array that is NaN where x is, so that no compiler adds it to other constants.

    XLA rewrites (1 - x) + number to (1 + number) - x, and for a small number 1 + number is rounded to 1.
    https://github.com/jax-ml/jax/issues/8022
    """
    return xp.where(x == x, number, x)


def is_array(number: Any) -> bool:
    """Tell an array from a number; torch.compile does not support `hasattr` of its symbols for numbers."""
    return not isinstance(number, (int, float)) and hasattr(number, "ndim")


@idiom()
def settled(xp: Namespace, x: Array) -> Array:
    """Return x, in a form that no compiler merges with the next operation.

    XLA rewrites (a / b) / c to a / (b c), which is NaN where b c underflows and a is 0.
    """
    return xp.where(x == x, x, math.nan)
