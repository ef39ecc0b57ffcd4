r"""Cross-entropy modulated by a power of the probability of being wrong: focal and asymmetric losses.

With f = sigmoid(x), b = sigmoid(-x), labels z (smoothed first), weights p of the positive term, a shift m and
f_m = max(f - m, 0):

    C = p z softplus(-x) - (1 - z) log1p(-f_m)      cross-entropy
    M = z b + (1 - z) f_m                           1 - p_t, the probability of being wrong: linear in z
    g = gamma_pos z + gamma_neg (1 - z)
    L = a M^g C,   a = alpha z + (1 - alpha) (1 - z)     or 1, if no alpha is given

The focal loss has gamma_pos = gamma_neg and m = 0; the asymmetric loss has no alpha. M is a sum of non-negative
terms of the two sigmoids, never 1 - p_t, so it keeps its digits in both tails. With primes for derivatives in x,

    L'    = a M^g (C' + g M' C/M)
    L''   = a M^g (C'' + 2 g (M'/M) C' + g M'' C/M + g (g - 1) (M'/M) M' C/M)
    dL/dz = a M^g (dC/dz + g dM/dz C/M + dg/dz log(M) C) + (2 alpha - 1) M^g C

M^(g - 1) never appears: it is infinite at M = 0 for g < 1, where M' C/M is 0. M is 0 only where M' and C are 0 too,
so whatever finite quotients stand there do not count.
"""

from dataclasses import dataclass
from typing import NamedTuple

from xbce._formulas._cross_entropy import CrossEntropy
from xbce._formulas._parts import halves, product, smoothed
from xbce._typing import Array, Namespace


class _Entropy(NamedTuple):
    """C and M with their derivatives."""

    c: Array
    c_x: Array
    c_xx: Array
    c_z: Array
    m: Array
    m_x: Array
    m_xx: Array
    m_z: Array


class _Parts(NamedTuple):
    """What the loss and its derivatives are made of."""

    entropy: _Entropy
    power: Array
    """M^g"""
    factor: Array | float
    """a"""
    g: Array | float
    per_wrong: Array
    """C/M"""
    slope: Array
    """M'/M"""


@dataclass(frozen=True, slots=True)
class ModulatedCrossEntropy:
    """a M^g C of logits and labels; labels are smoothed first."""

    gamma_pos: float
    gamma_neg: float
    shift: float = 0.0
    alpha: float | None = None
    label_smoothing: float = 0.0

    def value(self, xp: Namespace, x: Array, z: Array, p: Array | None = None, /) -> Array:
        """Return a M^g C."""
        return self._value(self._parts(xp, x, z, p))

    def gradient(self, xp: Namespace, x: Array, z: Array, p: Array | None = None, /) -> Array:
        """Return L'."""
        return self._gradient(self._parts(xp, x, z, p))

    def hessian(self, xp: Namespace, x: Array, z: Array, p: Array | None = None, /) -> Array:
        """Return L''."""
        return self._hessian(self._parts(xp, x, z, p))

    def value_and_gradient(self, xp: Namespace, x: Array, z: Array, p: Array | None = None, /) -> tuple[Array, Array]:
        """Return both; all parts are shared."""
        parts = self._parts(xp, x, z, p)
        return self._value(parts), self._gradient(parts)

    def gradient_and_hessian(self, xp: Namespace, x: Array, z: Array, p: Array | None = None, /) -> tuple[Array, Array]:
        """Return both; all parts are shared."""
        parts = self._parts(xp, x, z, p)
        return self._gradient(parts), self._hessian(parts)

    def label_gradient(self, xp: Namespace, x: Array, z: Array, p: Array | None = None, /) -> Array:
        """Return dL/dz."""
        entropy, power, factor, g, per_wrong, _ = self._parts(xp, x, z, p)
        slope = product(xp, entropy.c_z, power) + power * (g * per_wrong * entropy.m_z)
        if self.gamma_pos != self.gamma_neg:
            log_wrong = xp.log(xp.where(entropy.m == 0, 1.0, entropy.m))
            slope = slope + (self.gamma_pos - self.gamma_neg) * (power * product(xp, entropy.c, log_wrong))
        slope = factor * slope
        if self.alpha is not None:
            slope = slope + (2 * self.alpha - 1) * (power * entropy.c)
        return slope if self.label_smoothing == 0 else slope * (1 - self.label_smoothing)

    def _value(self, parts: _Parts) -> Array:
        return parts.factor * (parts.power * parts.entropy.c)

    def _gradient(self, parts: _Parts) -> Array:
        entropy, power, factor, g, per_wrong, _ = parts
        return factor * (power * (entropy.c_x + g * per_wrong * entropy.m_x))

    def _hessian(self, parts: _Parts) -> Array:
        entropy, power, factor, g, per_wrong, slope = parts
        own = entropy.c_xx + 2 * g * slope * entropy.c_x
        return factor * (power * (own + g * per_wrong * (entropy.m_xx + (g - 1) * slope * entropy.m_x)))

    def _parts(self, xp: Namespace, x: Array, z: Array, p: Array | None) -> _Parts:
        positive, negative = smoothed(z, self.label_smoothing)
        entropy = self._entropy(xp, x, z, p) if self.shift == 0 else self._shifted_entropy(xp, x, z, p)
        g: Array | float = self.gamma_pos
        if self.gamma_pos != self.gamma_neg:
            g = self.gamma_pos * positive + self.gamma_neg * negative
        factor: Array | float = 1.0
        if self.alpha is not None:
            factor = self.alpha * positive + (1 - self.alpha) * negative
        wrong = xp.where(entropy.m == 0, 1.0, entropy.m)
        # C is infinite only at infinite logits, where M' is 0: the limit of their product is 0.
        finite = xp.where(xp.isinf(entropy.c), 0.0, entropy.c)
        return _Parts(entropy, entropy.m**g, factor, g, finite / wrong, entropy.m_x / wrong)

    def _entropy(self, xp: Namespace, x: Array, z: Array, p: Array | None) -> _Entropy:
        plain = CrossEntropy(self.label_smoothing)
        positive, negative = smoothed(z, self.label_smoothing)
        h, s, e = halves(xp, x)
        q, r = e / (1 + e), 1 / (1 + e)
        f, b = xp.where(h == 1, r, q), xp.where(h == 1, q, r)
        m_x = (negative - positive) * (q * (1 - q))
        return _Entropy(
            c=plain.value_of(xp, x, z, p, h, e),
            c_x=plain.gradient_of(xp, z, p, h, s, q),
            c_xx=plain.hessian_of(z, p, q),
            c_z=CrossEntropy().label_gradient(xp, x, z, p),
            m=positive * b + negative * f,
            m_x=m_x,
            m_xx=m_x * (b - f),
            m_z=b - f,
        )

    def _shifted_entropy(self, xp: Namespace, x: Array, z: Array, p: Array | None) -> _Entropy:
        positive, negative = smoothed(z, self.label_smoothing)
        weighted = positive if p is None else p * positive
        h, _, e = halves(xp, x)
        q, r = e / (1 + e), 1 / (1 + e)
        f, b = xp.where(h == 1, r, q), xp.where(h == 1, q, r)
        spread = q * (1 - q)
        kept = f > self.shift
        f_m = xp.where(kept, f - self.shift, 0.0)
        right = xp.where(kept, b + self.shift, 1.0)  # 1 - f_m, without the cancellation
        near = f_m < 0.5
        minus_log_right = xp.where(near, -xp.log1p(-xp.where(near, f_m, 0.0)), -xp.log(xp.where(near, 1.0, right)))
        minus_log_f = xp.where(h == 1, 0.0, -x) + xp.log1p(e)
        m_x = (xp.where(kept, negative, 0.0) - positive) * spread
        return _Entropy(
            c=product(xp, minus_log_f, weighted) + negative * minus_log_right,
            c_x=xp.where(kept, negative * (spread / right), 0.0) - weighted * b,
            c_xx=weighted * spread
            + xp.where(kept, negative * (spread * ((b - f) * right + spread) / right / right), 0.0),
            c_z=(minus_log_f if p is None else product(xp, minus_log_f, p)) - minus_log_right,
            m=positive * b + negative * f_m,
            m_x=m_x,
            m_xx=m_x * (b - f),
            m_z=b - f_m,
        )
