r"""Cross-entropy modulated by a power of the probability of being wrong: focal and asymmetric losses.

With f = sigmoid(x), b = sigmoid(-x), labels z (smoothed first), weights p of the positive term, a shift m and
f_m = max(f - m, 0):

    C = p z softplus(-x) - (1 - z) log1p(-f_m)      cross-entropy
    M = z b + (1 - z) f_m                           1 - p_t, the probability of being wrong: linear in z
    g = gamma_pos z + gamma_neg (1 - z)
    L = a M^g C,   a = alpha z + (1 - alpha) (1 - z)     or 1, if no alpha is given

The focal loss has gamma_pos = gamma_neg and m = 0; the asymmetric loss has no alpha. M is a sum of non-negative
terms of the two sigmoids, never 1 - p_t, so it keeps its digits in both tails. With primes for derivatives in x,

    L'    = a M^g (C' + g C M'/M)
    L''   = a M^g (C'' + M'/M (2 g C' + g C (b - f + (g - 1) M'/M)))     since M'' = (b - f) M'
    dL/dz = a M^g (dC/dz + g dM/dz C/M + dg/dz log(M) C) + (2 alpha - 1) M^g C

A derivative in an exponent multiplies L by k = log(M), times z or 1 - z where the exponent is that of one label; for
derivatives in x of such a product

    (k L)' = k L' + k' L,   (k L)'' = k L'' + 2 k' L' + k'' L,   log(M)' = M'/M,   log(M)'' = M'/M (b - f - M'/M).

Near M = 1 the digits of log(M) are in 1 - M, a sum of non-negative terms, too; where exp(-|x|) underflows, it is -|x|.

M^(g - 1) never appears: it is infinite at M = 0 for g < 1, where C M'/M is 0. M is 0 only where M' and C are 0 too,
so any finite quotient may stand there. M^g is applied as two factors M^(g / 2) if it may underflow where M^g C does
not; for small g it is one factor, with fewer roundings. Exponents are exact in every dtype: the part of an exponent
that the dtype cannot hold is in a factor of its own.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

from .._typing import Array, DType, Namespace
from .cross_entropy import CrossEntropy
from .exponents import AnyExponent, Exponents, Held, is_halved
from .idioms import (
    choice,
    constant_zero,
    enlarged,
    guarded,
    is_array,
    log1m_half,
    log1p_unit,
    one_where,
    product,
    zero_if_infinite,
)
from .parts import halves, power, smoothed, with_tail
from .protocol import Fixed, Formula, Number


class _Entropy(NamedTuple):
    """C and M with their derivatives."""

    c: Array
    c_x: Array
    c_xx: Array
    c_z: Array
    m: Array
    m_x: Array
    m_z: Array
    tilt: Array
    """b - f, which is M''/M'; from the smaller one, so that far from 0 the error of exp does not count"""
    f: Array
    right: Array
    """1 - f_m"""


@dataclass(frozen=True, slots=True)
class InOptions(Fixed):
    """How often a loss is differentiated in its options."""

    gamma_pos: int = 0
    """In both exponents, if they are one."""
    gamma_neg: int = 0
    alpha: int = 0
    """0 or 1: the loss is linear in it."""


class _Parts(NamedTuple):
    """Terms of the loss and its derivatives."""

    entropy: _Entropy
    root: Array
    """M^(g / 2), or M^g if there is no second root"""
    second: Array | None
    """M^(g / 2)"""
    factor: Array | Number
    """a"""
    g: Array | Number
    tail: Array | Number | None
    """The exact exponent minus g; None if g is exact."""
    finite: Array
    """C, but 0 where it is infinite: only at infinite logits, where M' is 0 and the limit of C M' is 0, too"""
    slope: Array
    """M'/M"""
    logs: tuple[Array | Number, ...]
    """The product of the factors log(M), and its first two derivatives in x; empty without such a factor"""
    share: Array | Number | None
    """The product of the labels that multiply log(M), which multiplies last: products with a small one underflow"""

    def modulated(self, x: Array) -> Array:
        """Return a M^g x, times the share."""
        once = self.root * x
        result = self.factor * (once if self.second is None else self.second * once)
        return result if self.share is None else self.share * result


_OF_DERIVATIVES = ("value", "gradient", "hessian", "shift_gradient")
"""Methods that derivatives in options have as well."""


@dataclass(frozen=True, slots=True)
class ModulatedCrossEntropy(Formula):
    """a M^g C of logits and labels; labels are smoothed first."""

    exponents: Exponents
    gamma_pos: AnyExponent
    gamma_neg: AnyExponent | None
    """None if it is equal to `gamma_pos`."""
    shift: Number | None = None
    alpha: Number | None = None
    label_smoothing: Number | None = None
    in_options: InOptions | None = None
    """Of which derivative in the options this is the formula; None for the loss itself."""

    def derivative_in(self, option: str, method: str) -> "tuple[Formula, str] | None":
        """Return formula and method of the derivative of a method in an option, or None without a closed form."""
        so_far = self.in_options or InOptions()
        done = getattr(so_far, option, None)
        if method in _OF_DERIVATIVES and done is not None and not (option == "alpha" and done):
            return replace(self, in_options=replace(so_far, **{option: done + 1})), method
        if (option, method) == ("shift", "value"):
            return self, "shift_gradient"
        of_smoothing = self.in_options is None and (option, method) == ("label_smoothing", "value")
        return (self, "smoothing_gradient") if of_smoothing else None

    def provides(self, method: str) -> bool:
        """Tell whether this formula has a method."""
        return self.in_options is None or method in _OF_DERIVATIVES

    def value(self, xp: Namespace, x: Array, z: Array, p: Array | None = None, /) -> Array:
        """Return a M^g C."""
        return self._value(xp, self._parts(xp, x, z, p))

    def gradient(self, xp: Namespace, x: Array, z: Array, p: Array | None = None, /) -> Array:
        """Return L'."""
        return self._gradient(self._parts(xp, x, z, p))

    def hessian(self, xp: Namespace, x: Array, z: Array, p: Array | None = None, /) -> Array:
        """Return L''."""
        return self._hessian(self._parts(xp, x, z, p))

    def shift_gradient(self, xp: Namespace, x: Array, z: Array, p: Array | None = None, /) -> Array:
        """Return the derivative in the shift, which has the form of that in x: f_m loses what the shift gains."""
        parts = self._parts(xp, x, z, p)
        entropy = parts.entropy
        _, negative = smoothed(xp, z, self.label_smoothing)
        fewer = xp.where(entropy.f > self.shift, -negative, 0.0)
        slope = fewer / one_where(xp, entropy.m == 0, entropy.m)
        logs, _ = self._logs(xp, x, z, entropy, slope)
        return self._along(parts, fewer / entropy.right, slope, logs)

    def pos_weight_gradient(self, xp: Namespace, x: Array, z: Array, p: Array, /) -> Array:
        """Return a M^g z softplus(-x): M does not depend on p."""
        positive_term = CrossEntropy(self.label_smoothing).pos_weight_gradient(xp, x, z, p)
        return self._parts(xp, x, z, p).modulated(positive_term)

    def value_and_gradient(self, xp: Namespace, x: Array, z: Array, p: Array | None = None, /) -> tuple[Array, Array]:
        """Return both; all parts are shared."""
        parts = self._parts(xp, x, z, p)
        return self._value(xp, parts), self._gradient(parts)

    def gradient_and_hessian(self, xp: Namespace, x: Array, z: Array, p: Array | None = None, /) -> tuple[Array, Array]:
        """Return both; all parts are shared."""
        parts = self._parts(xp, x, z, p)
        return self._gradient(parts), self._hessian(parts)

    def label_gradient(self, xp: Namespace, x: Array, z: Array, p: Array | None = None, /) -> Array:
        """Return dL/dz."""
        return self._label_slope(xp, x, z, p, None if self.label_smoothing is None else 1 - self.label_smoothing)

    def smoothing_gradient(self, xp: Namespace, x: Array, z: Array, p: Array | None = None, /) -> Array:
        """Return the slope in smoothed labels times their derivative, 1/2 - z."""
        return self._label_slope(xp, x, z, p, 0.5 - z)

    def _label_slope(self, xp: Namespace, x: Array, z: Array, p: Array | None, share: Array | Number | None) -> Array:
        """Return the slope in labels as they are after smoothing, times a share if one is given."""
        huge = None
        if share is not None:
            x = guarded(xp, x, share)
        if p is not None:
            # p times a huge |x| may overflow where its product with a small power of M does not. The derivative is
            # linear in such an x, so x is scaled here and the result below.
            huge = x < -(2.0**80)
            x = xp.where(huge, x * 2.0**-64, x)
        parts = self._parts(xp, x, z, p)
        entropy = parts.entropy
        wrong = one_where(xp, entropy.m == 0, entropy.m)
        # Half of C/M: the sum may be finite where C/M is not. a multiplies large factors: a M^(g / 2) may underflow.
        root, second, half_ratio = parts.root, parts.second, 0.5 * parts.finite / wrong
        if self.exponents.roots:
            root, second, half_ratio = self._beyond_underflow(xp, x, z, p, parts, half_ratio)
        second = 1.0 if second is None else second
        if huge is not None:
            second = (1 + (2.0**64 - 1) * xp.astype(huge, x.dtype)) * second
        if share is not None:
            second = share * second
        # The second root multiplies each term: their sum may overflow before it.
        by_c, by_m = product(xp, entropy.c_z, root), root * half_ratio
        if self.alpha is not None:
            by_c, by_m = product(xp, by_c, parts.factor), parts.factor * by_m
        slope = second * by_c + (2 * parts.g * second) * by_m * entropy.m_z
        if self.gamma_neg is not None:
            gap = self.gamma_pos.number - self.gamma_neg.number
            slope = slope + (gap * second) * (root * product(xp, entropy.c, xp.log(wrong)))
        if self.alpha is not None:
            slope = slope + (2 * self.alpha - 1) * (second * (root * entropy.c))
        return slope

    def _beyond_underflow(
        self, xp: Namespace, x: Array, z: Array, p: Array | None, parts: _Parts, half_ratio: Array
    ) -> tuple[Array, Array, Array]:
        """Return both roots and half of C/M, recomputed where a hard label agrees with x, and M is exp(-|x|).

        For g < 1 the derivative in the label is about M^g, which is a normal number long after M has underflowed.
        """
        positive, negative = smoothed(xp, z, self.label_smoothing)
        agrees, unshifted = (negative == 0) & (x > 0), (positive == 0) & (x < 0)
        if self.shift is None:
            agrees = agrees | unshifted
        elif is_array(self.shift):  # an array may hold zeros
            agrees = agrees | (unshifted & (self.shift == 0))
        deep = agrees & (parts.entropy.m < 2.0**-60)
        if is_array(parts.g):  # the root below multiplies the error of exp by 4 g, a power of M by g
            deep = deep & (parts.g < 1)
        # M's logarithm; any number where the power is not used, or is 0.
        log = xp.where(deep & ~xp.isinf(x), xp.where(x > 0, -x, x), -1.0)
        root = self._root_of_exp(xp, x, log, parts.g)
        weight = 0.5 * (negative + (positive if p is None else p * positive))
        deep_root = root if parts.tail is None else enlarged(xp, root, 0.5 * parts.tail * log)
        second = 1.0 if parts.second is None else parts.second
        return (
            xp.where(deep, deep_root, parts.root),
            xp.where(deep, deep_root, second),
            xp.where(deep, weight, half_ratio),
        )

    def _root_of_exp(self, xp: Namespace, x: Array, log: Array, g: Array | Number) -> Array:
        """Return exp(log)^(g / 2), where g is the exponent of the hard label that agrees with x; for an infinite x 0^g.

        The power multiplies the error of the exponential that it is taken of. That is exp(log / 4) where it is a normal
        number; farther out it is the one that is the least normal number, to a power of 1/2 to 1 for small g.
        """
        scale, mantissa = self.gamma_pos.scaled(xp, x.dtype)
        if self.gamma_neg is not None:
            of_neg, mantissa_of_neg = self.gamma_neg.scaled(xp, x.dtype)
            h = xp.astype(x > 0, x.dtype)  # two finite numbers, one of them times 0
            scale, mantissa = h * scale + (1 - h) * of_neg, h * mantissa + (1 - h) * mantissa_of_neg
        least = math.log(float(xp.finfo(x.dtype).smallest_normal))
        near, far = log / 4, scale * log
        is_near, twice = xp.astype(near >= least, x.dtype), xp.astype(far < least, x.dtype)
        exponential = xp.exp(xp.where(near >= least, near, xp.where(far < least, far / 2, far)))
        # Selected before the power: of exp(x)^y alone XLA makes exp(x y), with the error of the product.
        return xp.where(xp.isinf(x), 0.0, exponential) ** (is_near * (2 * g) + (1 - is_near) * ((1 + twice) * mantissa))

    def _value(self, xp: Namespace, parts: _Parts) -> Array:
        if not parts.logs:
            return parts.modulated(parts.entropy.c)
        return parts.modulated(product(xp, parts.entropy.c, parts.logs[0]))

    def _gradient(self, parts: _Parts) -> Array:
        return self._along(parts, parts.entropy.c_x, parts.slope, parts.logs)

    def _along(self, parts: _Parts, c_t: Array, slope: Array, logs: tuple[Array | Number, ...]) -> Array:
        """Return the derivative in t, x or the shift, from that of C, that of log(M), and the factors log(M)."""
        total = c_t + parts.g * (parts.finite * slope)
        if not logs:
            return parts.modulated(total)
        k, k_t, _ = logs
        return parts.modulated(k * total + k_t * parts.finite)

    def _hessian(self, parts: _Parts) -> Array:
        entropy, g, slope = parts.entropy, parts.g, parts.slope
        bend = parts.finite * slope * (entropy.tilt + (g - 1) * slope)
        curvature = entropy.c_xx + g * (2 * (slope * entropy.c_x) + bend)
        if not parts.logs:
            return parts.modulated(curvature)
        k, k_x, k_xx = parts.logs
        once = entropy.c_x + g * (parts.finite * slope)
        return parts.modulated(k * curvature + (2 * (k_x * once) + k_xx * parts.finite))

    def _parts(self, xp: Namespace, x: Array, z: Array, p: Array | None) -> _Parts:
        positive, negative = smoothed(xp, z, self.label_smoothing)
        if self.shift is None:
            entropy = self._entropy(xp, x, z, p, positive, negative)
        else:
            entropy = self._entropy_of_shifts(xp, x, z, p, positive, negative, self.shift)
        part, halved = self._part(xp, x.dtype)
        g, tail, root = self._exponent_and_root(xp, positive, negative, entropy.m, part)
        second = (root if halved else None) if isinstance(halved, bool) else xp.where(halved, root, 1.0)
        factor: Array | Number = 1.0
        if self.in_options is not None and self.in_options.alpha:
            factor = positive - negative
        elif self.alpha is not None:
            factor = self.alpha * positive + (1 - self.alpha) * negative
        finite = zero_if_infinite(xp, entropy.c)
        slope = entropy.m_x / one_where(xp, entropy.m == 0, entropy.m)
        logs, share = self._logs(xp, x, z, entropy, slope)
        return _Parts(entropy, root, second, factor, g, tail, finite, slope, logs, share)

    def _logs(
        self, xp: Namespace, x: Array, z: Array, entropy: _Entropy, slope: Array
    ) -> tuple[tuple[Array | Number, ...], Array | Number | None]:
        """Return the product of the factors log(M) with its first two derivatives in x, and the share."""
        if self.in_options is None or not (self.in_options.gamma_pos or self.in_options.gamma_neg):
            return (), None
        of_pos, of_neg = self.in_options.gamma_pos, self.in_options.gamma_neg
        n = of_pos + of_neg
        positive, negative = smoothed(xp, z, self.label_smoothing)
        log_m = self._log_wrong(xp, x, entropy, positive, negative)
        share = None if self.gamma_neg is None else math.prod([positive] * of_pos + [negative] * of_neg, start=1.0)
        k, once, twice = (math.prod([log_m] * i, start=1.0) for i in (n, n - 1, max(n - 2, 0)))
        bend = once * (entropy.tilt - slope)
        if n > 1:
            bend = (n - 1) * (twice * slope) + bend
        return (k, n * (once * slope), n * (bend * slope)), share

    def _log_wrong(self, xp: Namespace, x: Array, entropy: _Entropy, positive: Array, negative: Array) -> Array:
        """Return log(M) from M and 1 - M; 0 where M is 0 at an infinite x, as the limits of its products are."""
        right = positive * entropy.f + negative * entropy.right
        m, near = entropy.m, right < 0.5
        small = m < float(xp.finfo(m.dtype).smallest_normal)
        log_m = xp.where(near, log1m_half(xp, xp.where(near, right, 0.0)), xp.log(xp.where(near | small, 1.0, m)))
        # A small M is that of a small label, or exp(-|x|). JAX takes a subnormal number for 0.
        enlarged_m = xp.where(small, m * 2.0**64, 1.0)
        of_label = xp.log(xp.where(enlarged_m > 0, enlarged_m, 1.0)) - 64 * math.log(2)
        of_logit = xp.where(xp.isinf(x), 0.0, xp.where(x >= 0, -x, x))
        agrees = (x < 0) & (positive == 0) | (x > 0) & (negative == 0)
        return xp.where(small, xp.where(agrees, of_logit, of_label), log_m)

    def _part(self, xp: Namespace, dtype: DType) -> tuple[Array | float, Array | bool]:
        """Return the part of the exponent in one root, 1/2 or 1, and whether there is a second root."""
        if self.exponents.halved is not None:
            return (0.5 if self.exponents.halved else 1.0), self.exponents.halved
        halved = is_halved(self.gamma_pos.number)
        if self.gamma_neg is not None:
            other = is_halved(self.gamma_neg.number)
            halved = halved | other if is_array(halved) else other | halved  # MLX's arrays have to stand on the left
        return 1 - 0.5 * xp.astype(halved, dtype), halved

    def _exponent_and_root(
        self, xp: Namespace, positive: Array, negative: Array, m: Array, part: Array | float
    ) -> tuple[Array | Number, Array | Number | None, Array]:
        """Return g, the exact exponent minus g, and M^(g / 2), or M^g if that is never subnormal.

        M^g has |log M| times the error of g. So the exponent of the nearer hard label is split off, which is exact as
        head and tail; the rest of g is small where M is small.
        """
        known = self.exponents
        pos: Held = self.gamma_pos.held(xp, m.dtype, exactly=known.exact)
        if self.gamma_neg is None:
            return pos.head, pos.tail, power(xp, m, pos.times(part), whole=known.whole)
        neg = self.gamma_neg.held(xp, m.dtype, exactly=known.exact)
        gap = pos.number - neg.number
        low = positive < 0.5
        h = xp.astype(low, m.dtype)
        nearer = h * neg.head + (1 - h) * pos.head  # two finite numbers, one of them times 0
        tail = None
        if not (pos.tail is None and neg.tail is None):
            of_pos, of_neg = (0.0 if x.tail is None else x.tail for x in (pos, neg))
            tail = h * of_neg + (1 - h) * of_pos
        rest = xp.where(low, gap * positive, -gap * negative)
        # M is 0 only for a hard label, and then all of g is in `nearer`.
        zero = m == 0
        base = one_where(xp, zero, m)
        part_of_tail = None if tail is None else part * tail
        root = with_tail(xp, base ** (part * nearer) * base ** (part * rest), part_of_tail, base)
        return nearer + rest, tail, xp.where(zero & (nearer > 0), 0.0, root)

    def _entropy(
        self, xp: Namespace, x: Array, z: Array, p: Array | None, positive: Array, negative: Array
    ) -> _Entropy:
        plain = CrossEntropy(self.label_smoothing)
        half = halves(xp, x)
        q, r = _sides(xp, half.e)
        upper = x >= 0
        f, b = choice(xp, upper, r, q), choice(xp, upper, q, r)
        return _Entropy(
            c=plain.value_of(xp, x, z, p, half),
            c_x=plain.gradient_of(xp, x, z, p, half, q),
            c_xx=plain.hessian_of(xp, z, p, q),
            c_z=CrossEntropy().label_gradient(xp, x, z, p),
            m=positive * b + negative * f,
            m_x=(negative - positive) * (q * (1 - q)),
            m_z=-xp.tanh(x / 2),  # `tilt` has few digits next to 0, where the label gradient is small, too
            tilt=half.s * (1 - 2 * q),
            f=f,
            right=b,
        )

    def _entropy_of_shifts(
        self, xp: Namespace, x: Array, z: Array, p: Array | None, positive: Array, negative: Array, shift: Number
    ) -> _Entropy:
        if not is_array(shift):
            return self._shifted_entropy(xp, x, p, positive, negative, shift)
        none = shift == 0  # an array may hold zeros
        unshifted = self._entropy(xp, x, z, p, positive, negative)
        shifted = self._shifted_entropy(xp, x, p, positive, negative, xp.where(none, 0.5, shift))
        return _Entropy(*(xp.where(none, a, b) for a, b in zip(unshifted, shifted, strict=True)))

    def _shifted_entropy(
        self, xp: Namespace, x: Array, p: Array | None, positive: Array, negative: Array, shift: Number
    ) -> _Entropy:
        weighted = positive if p is None else p * positive
        half = halves(xp, x)
        upper, e = x >= 0, half.e
        q, r = _sides(xp, e)
        f, b = choice(xp, upper, r, q), choice(xp, upper, q, r)
        spread, tilt = q * (1 - q), half.s * (1 - 2 * q)
        kept = f > shift
        f_m = xp.where(kept, f - shift, 0.0)
        right = xp.where(kept, b + shift, 1.0)  # 1 - f_m, without the cancellation
        # spread / right, which is a normal number long after exp(-|x|) has underflowed.
        root = xp.exp(xp.where(upper, -x, x) / 2) * r
        share = (root / right) * root
        near = f_m < 0.5
        minus_log_right = -xp.where(near, log1m_half(xp, xp.where(near, f_m, 0.0)), xp.log(xp.where(near, 1.0, right)))
        minus_log_f = xp.where(upper, 0.0, -x) + log1p_unit(xp, e)
        return _Entropy(
            c=product(xp, minus_log_f, weighted) + negative * minus_log_right,
            c_x=xp.where(kept, negative * share, 0.0) - weighted * b,
            c_xx=weighted * spread + xp.where(kept, negative * (share * (tilt + share)), 0.0),
            c_z=(minus_log_f if p is None else product(xp, minus_log_f, p)) - minus_log_right,
            m=positive * b + negative * f_m,
            m_x=(xp.where(kept, negative, 0.0) - positive) * spread,
            m_z=b - f_m,
            tilt=tilt,
            f=f,
            right=right,
        )


def _sides(xp: Namespace, e: Array) -> tuple[Array, Array]:
    """Return sigmoid(-|x|) and sigmoid(|x|) from e = exp(-|x|).

    A sigmoid of 0 is a constant: automatic differentiation stops there, and does not multiply an infinite C by 0.
    """
    e = constant_zero(xp, e)
    return e / (1 + e), 1 / (1 + e)
