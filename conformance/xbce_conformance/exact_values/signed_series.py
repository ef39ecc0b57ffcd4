"""Taylor series of at most three terms on balls, whose positive and negative terms are kept apart.

A definition is evaluated at x + t (or z + t): the coefficients of 1, t and t^2 give value, first and half the second
derivative. Each coefficient is a difference P - N, where P collects the terms that are positive and N those that are
negative. Their difference is the exact value, and the larger of the two is the scale that its errors are counted
against: if all terms have one sign that is the value itself, and an error of the value is a relative one.

What counts as a term follows from how the definition is written: `+` and `*` multiply out, a function of a series
(`compose`) is one term per power of t and derivative of the function; two, where it is a function of a difference.
"""

from collections.abc import Callable
from typing import TypeAlias

import flint

Ball: TypeAlias = flint.arb

PRECISION_LIMIT = 2300
"""Bits: 1154 tell exp(-800) from nothing, and 1024 more do beside the largest number."""
_LAST_PRECISION = 4480
"""Bits: 3174 tell exp(-2200) from nothing, and 1024 more do beside the largest number."""
_BELOW_ALL = 2200
"""exp(-2200) is below every double, and so are its products with two numbers as large as doubles are."""


def more_precise(precision: int) -> int:
    """Return the precision in bits that is tried next; one beyond `PRECISION_LIMIT` is the last."""
    return 3 * precision if 3 * precision <= PRECISION_LIMIT else _LAST_PRECISION


class SignedTerms:
    """P - N, both non-negative; None is an exact zero, which annihilates infinity. Immutable."""

    __slots__ = ("negative", "positive")

    def __init__(self, positive: Ball | None = None, negative: Ball | None = None) -> None:
        self.positive = positive
        self.negative = negative

    @classmethod
    def of(cls, ball: Ball) -> "SignedTerms":
        """Return one term; its sign may be undecided, as that of an interval around 0."""
        if ball == 0:
            return _ZERO
        return cls(None, -ball) if ball < 0 else cls(ball)

    @property
    def ball(self) -> Ball:
        """The difference."""
        if self.negative is None:
            return flint.arb(0) if self.positive is None else self.positive
        return -self.negative if self.positive is None else self.positive - self.negative

    @property
    def scale(self) -> Ball:
        """The larger part."""
        if self.negative is None:
            return flint.arb(0) if self.positive is None else self.positive
        return self.negative if self.positive is None else self.positive.max(self.negative)

    def __neg__(self) -> "SignedTerms":
        return self if self is _ZERO else SignedTerms(self.negative, self.positive)

    def __add__(self, other: "SignedTerms") -> "SignedTerms":
        if self is _ZERO:
            return other
        if other is _ZERO:
            return self
        return SignedTerms(_add(self.positive, other.positive), _add(self.negative, other.negative))

    def __mul__(self, other: "SignedTerms") -> "SignedTerms":
        if self is _ZERO or other is _ZERO:
            return _ZERO
        a, b, c, d = self.positive, self.negative, other.positive, other.negative
        if b is None or a is None:  # one term: no sums
            factor = a if b is None else b
            c, d = None if c is None else factor * c, None if d is None else factor * d
            return SignedTerms(c, d) if b is None else SignedTerms(d, c)
        if c is None or d is None:
            return other * self
        return SignedTerms(a * c + b * d, a * d + b * c)


_ZERO = SignedTerms()


def _add(a: Ball | None, b: Ball | None) -> Ball | None:
    if a is None:
        return b
    return a if b is None else a + b


class Series:
    """c0 + c1 t + c2 t^2."""

    __slots__ = ("coefficients",)

    def __init__(self, c0: SignedTerms, c1: SignedTerms | None = None, c2: SignedTerms | None = None) -> None:
        self.coefficients = c0, c1 or _ZERO, c2 or _ZERO

    @classmethod
    def constant(cls, x: Ball | float) -> "Series":
        """Return a number."""
        return cls(SignedTerms.of(flint.arb(x)))

    @classmethod
    def of(cls, x: "Series | Ball | float") -> "Series":
        """Return a series itself, or a number as one."""
        return x if isinstance(x, Series) else cls.constant(x)

    @classmethod
    def variable(cls, x: float) -> "Series":
        """Return x + t."""
        return cls(SignedTerms.of(flint.arb(x)), SignedTerms.of(flint.arb(1)))

    @property
    def at_0(self) -> Ball:
        """The value at t = 0."""
        return self.coefficients[0].ball

    @property
    def is_constant(self) -> bool:
        """Whether t is absent."""
        return self.coefficients[1] is _ZERO and self.coefficients[2] is _ZERO

    def __neg__(self) -> "Series":
        c0, c1, c2 = self.coefficients
        return Series(-c0, -c1, -c2)

    def __add__(self, other: "Series") -> "Series":
        a, b = self.coefficients, other.coefficients
        return Series(a[0] + b[0], a[1] + b[1], a[2] + b[2])

    def __sub__(self, other: "Series") -> "Series":
        return self + -other

    def __mul__(self, other: "Series") -> "Series":
        a, b = self.coefficients, other.coefficients
        if other.is_constant:
            return Series(a[0] * b[0], a[1] * b[0], a[2] * b[0])
        if self.is_constant:
            return Series(a[0] * b[0], a[0] * b[1], a[0] * b[2])
        return Series(a[0] * b[0], a[0] * b[1] + a[1] * b[0], a[0] * b[2] + a[1] * b[1] + a[2] * b[0])

    def compose(self, f: Ball, f1: Callable[[], Ball], f2: Callable[[], Ball]) -> "Series":
        """Return a function of the series, given its value and derivatives at `at_0`."""
        c0, c1, c2 = self.coefficients
        term = SignedTerms.of
        if c0.positive is not None and c0.negative is not None:
            # A difference: its two terms have errors of their own, in proportion to which those of the function are.
            split = c0 * SignedTerms.of(1 / c0.ball)

            def term(ball: Ball) -> SignedTerms:
                return split * SignedTerms.of(ball)

        if self.is_constant:
            return Series(term(f))
        slope = term(f1())
        bend = term(f2() / 2) * (c1 * c1)
        return Series(term(f), slope * c1, bend if c2 is _ZERO else slope * c2 + bend)


# --- functions ------------------------------------------------------------------------------------------------------


def complement(z: Series) -> Series:
    """Return 1 - z, whose constant is one term."""
    return z.compose(1 - z.at_0, lambda: flint.arb(-1), lambda: flint.arb(0))


def offset(p: Series, eps: Series) -> Series:
    """Return p + eps, whose constant is one term."""
    return Series(SignedTerms.of(p.at_0 + eps.at_0), *(p + eps).coefficients[1:])


def _magnitude(u: Ball) -> Ball:
    """Return |u|, of which exp(-|u|) is to be taken.

    No precision shows on which side of the middle of two numbers a sum with exp(-1e30) lies; with exp(-2200), which is
    below every double, too, it lies on the same side. So beyond the precision limit |u| is that at most.
    """
    return abs(u).min(flint.arb(_BELOW_ALL)) if flint.ctx.prec > PRECISION_LIMIT else abs(u)


def sigmoid(x: Series) -> Series:
    """Return 1 / (1 + exp(-x))."""
    u = x.at_0
    e = (-_magnitude(u)).exp()
    slope = e / (1 + e) ** 2
    return x.compose(
        (1 if u >= 0 else e) / (1 + e),
        lambda: slope,
        lambda: -slope * tanh_half(x).at_0,
    )


def softplus(x: Series) -> Series:
    """Return log(1 + exp(x))."""
    u = x.at_0
    e = (-_magnitude(u)).exp()
    log = e.log1p()
    return x.compose(
        u + log if u >= 0 else log,
        lambda: (1 if u >= 0 else e) / (1 + e),
        lambda: e / (1 + e) ** 2,
    )


def tanh_half(x: Series) -> Series:
    """Return tanh(x / 2) = sigmoid(x) - sigmoid(-x) of a constant."""
    minus = -_magnitude(x.at_0)
    tanh = -minus.expm1() / (1 + minus.exp())
    return Series(SignedTerms.of(tanh if x.at_0 >= 0 else -tanh))


def minus_log(u: Series) -> Series:
    """Return -log(u); of 0 it is infinite."""
    u0 = u.at_0
    if u0 == 0:
        infinite = flint.arb.pos_inf()
        return u.compose(infinite, lambda: -infinite, lambda: infinite)
    return u.compose(-u0.log(), lambda: -1 / u0, lambda: 1 / u0**2)


def minus_log1p(u: Series) -> Series:
    """Return -log(1 + u); of -1 it is infinite."""
    u0 = u.at_0
    if u0 == -1:
        return minus_log(offset(u, Series.constant(1)))
    return u.compose(-u0.log1p(), lambda: -1 / (1 + u0), lambda: 1 / (1 + u0) ** 2)


def power(base: Series, exponent: Series) -> Series:
    """Return base^exponent; a base of 0 needs an exponent of 0, or so large that all derivatives are 0."""
    m, g = base.at_0, exponent.at_0
    if exponent.is_constant:
        if g == 0:
            return Series.constant(1)
        if m == 0:
            return _zero_to_the(g)
        return base.compose(m**g, lambda: g * m ** (g - 1), lambda: g * (g - 1) * m ** (g - 2))
    if m == 0:
        return _zero_to_the(g)
    log = base.compose(m.log(), lambda: 1 / m, lambda: -1 / m**2)
    return _exp(exponent * log)


def _exp(x: Series) -> Series:
    e = x.at_0.exp()
    return x.compose(e, lambda: e, lambda: e)


def _zero_to_the(g: Ball) -> Series:
    if not g > 2:
        msg = f"0 to the power {g} has infinite derivatives"
        raise ValueError(msg)
    return Series.constant(0)
