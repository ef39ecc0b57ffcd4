"""Idioms: what formulas say by name, so that a backend can do it in its own way.

Each stands here as plain operations, which say what it means, bit for bit; compilers and most libraries are given
those. A namespace that records what a formula does keeps the name (`xbce/_backends/_graph.py`), and a backend that runs
operations one at a time may have a lowering for it (`xbce/_backends/_lowering.py`).
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .._typing import Array, Namespace

Plain = Callable[..., Array]


@dataclass(frozen=True, slots=True)
class Idiom:
    """A name, and what it means."""

    plain: Plain
    hints: tuple[int, ...] = ()
    """Operands that are at hand anyway, and spare the plain operations something; a lowering need not use them."""

    @property
    def name(self) -> str:
        """The name that lowerings know."""
        return self.plain.__name__


def idiom(*, hints: tuple[int, ...] = ()) -> Callable[[Plain], Plain]:
    """Have a namespace that keeps idioms record the name of a function; every other one gets its operations."""

    def decorate(plain: Plain) -> Plain:
        named = Idiom(plain, hints)

        @functools.wraps(plain)
        def said(xp: Namespace, *operands: Any) -> Array:
            keep: Callable[..., Array] | None = getattr(xp, "keep_idiom", None)
            return plain(xp, *operands) if keep is None else keep(named, operands)

        return said

    return decorate


@idiom()
def minus_sign(_xp: Namespace, h: Array) -> Array:
    """Return -sign(x) with sign(0) = 1, from h = [x >= 0] as a number."""
    return 1 - 2 * h


@idiom(hints=(1, 2))
def exp_minus_abs(xp: Namespace, x: Array, upper: Array, _s: Array) -> Array:
    """Return exp(-|x|), given upper = (x >= 0) and s = -sign(x).

    -|x| is selected, not -abs(x): so it has the right derivative at 0 as well. As the product of x and s it would, too,
    but torch.compile's code for that takes twice as long (measured on AVX-512).
    """
    return xp.exp(xp.where(upper, -x, x))


@idiom()
def constant_zero(xp: Namespace, e: Array) -> Array:
    """Return e, an exponential; where it is 0, a constant, at which derivatives that are found by operation stop."""
    return xp.where(e == 0, 0.0, e)


@idiom()
def product(xp: Namespace, x: Array, factor: Array) -> Array:
    """Return x times the factor, which is 0 where the factor is 0 even if x is infinite.

    x is guarded, not the product: a guarded product would have no derivative in the factor wherever that is 0. It is
    guarded before the product, not mended after it: JAX's debug_nans raises at the first NaN, whatever becomes of it.
    """
    return guarded(xp, x, factor) * factor


def guarded(xp: Namespace, x: Array, factor: Array) -> Array:
    """Return x, but 0 where it is infinite and the factor is 0."""
    # Not isinf: torch.compile's code for it takes half as long as a loss.
    return xp.where(((x == math.inf) | (x == -math.inf)) & vanishes(xp, factor), 0.0, x)


@idiom()
def vanishes(_xp: Namespace, x: Array) -> Array:
    """Tell where arithmetic takes x for 0."""
    return x == 0


@idiom()
def enlarged(_xp: Namespace, x: Array, share: Array) -> Array:
    """Return x + x share, where the share is small and x at most 1."""
    return x + x * share


@idiom()
def add_signed(_xp: Namespace, x: Array, s: Array, y: Array) -> Array:
    """Return x + s y, where s is -1 or 1: y may be a quotient, whose numerator can take the sign."""
    return x + s * y


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
