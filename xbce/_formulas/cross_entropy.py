r"""Sigmoid cross-entropy of logits x, labels z and weights p of the positive term.

L = (1 - z) softplus(x) + p z softplus(-x). Since softplus(x) = max(x, 0) + log1p(exp(-|x|)), with h = [x >= 0]

    L = x (h - z) + log1p(exp(-|x|))                                                          p = 1
    L = where(h, 1, p) (x (h - z)) + c log1p(exp(-|x|)),   c = (1 - z) + p z

For z in [0, 1] the factors of the product have the same sign, so all terms are non-negative and nothing cancels. The
familiar max(x, 0) - x z + log1p(exp(-|x|)) is equal on paper, but its difference loses the digits of soft labels, and
1 + (p - 1) z for c those of small p. p multiplies last: p z would lose all digits of a subnormal z.
With e = exp(-|x|), q = e / (1 + e) = sigmoid(-|x|) and s = -sign(x),

    dL/dx = where(h, 1, p) (h - z) + s c q,     d2L/dx2 = c q (1 - q),     dL/dz = (p - 1) log1p(e) - where(h, 1, p) x.

sigmoid(x) itself never appears: it rounds to 1 in the right tail, where 1 - sigmoid(x) is the answer.
"""

from dataclasses import dataclass

from .._typing import Array, Namespace
from .idioms import add_signed, log1p_unit, product
from .parts import Halves, halves, signed_side, smoothed
from .protocol import Formula, Number


@dataclass(frozen=True, slots=True)
class CrossEntropy(Formula):
    """Binary cross-entropy of logits and labels; labels are smoothed first."""

    label_smoothing: Number | None = None

    def value(self, xp: Namespace, x: Array, z: Array, p: Array | None = None, /) -> Array:
        """Return (1 - z) softplus(x) + p z softplus(-x)."""
        return self.value_of(xp, x, z, p, halves(xp, x))

    def gradient(self, xp: Namespace, x: Array, z: Array, p: Array | None = None, /) -> Array:
        """Return (1 - z) sigmoid(x) - p z sigmoid(-x)."""
        half = halves(xp, x)
        return self.gradient_of(xp, x, z, p, half, half.e / (1 + half.e))

    def hessian(self, xp: Namespace, x: Array, z: Array, p: Array | None = None, /) -> Array:
        """Return c sigmoid(x) sigmoid(-x)."""
        e = halves(xp, x).e
        return self.hessian_of(xp, z, p, e / (1 + e))

    def label_gradient(self, xp: Namespace, x: Array, _z: Array, p: Array | None = None, /) -> Array:
        """Return p softplus(-x) - softplus(x): exactly -x for p = 1."""
        return self._slope(xp, x, p, None if self.label_smoothing is None else 1 - self.label_smoothing)

    def derivative_in(self, option: str, method: str) -> tuple[Formula, str] | None:
        """Return the slope in the label smoothing; other derivatives in options have no closed form."""
        return (self, "smoothing_gradient") if (option, method) == ("label_smoothing", "value") else None

    def smoothing_gradient(self, xp: Namespace, x: Array, z: Array, p: Array | None = None, /) -> Array:
        """Return the slope in smoothed labels times their derivative, 1/2 - z."""
        return self._slope(xp, x, p, 0.5 - z)

    def _slope(self, xp: Namespace, x: Array, p: Array | None, share: Array | Number | None) -> Array:
        """Return the slope in labels as they are after smoothing, times a share if one is given."""
        if p is None:
            return -x if share is None else product(xp, -x, share)
        above, factor = p - 1, xp.where(x >= 0, 1.0, p)
        if share is not None:
            # Scale both terms, not their sum: p x may overflow where the slope does not.
            above, factor = above * share, factor * share
        return above * log1p_unit(xp, halves(xp, x).e) - product(xp, x, factor)

    def pos_weight_gradient(self, xp: Namespace, x: Array, z: Array, _p: Array, /) -> Array:
        """Return z softplus(-x), the loss being linear in p."""
        e = halves(xp, x).e
        positive, _ = smoothed(xp, z, self.label_smoothing)
        # Add first: each product with a small label may be flushed to zero where the product of the sum is not.
        return product(xp, xp.where(x >= 0, 0.0, -x) + log1p_unit(xp, e), positive)

    def value_and_gradient(self, xp: Namespace, x: Array, z: Array, p: Array | None = None, /) -> tuple[Array, Array]:
        """Return both; the exponential is shared."""
        half = halves(xp, x)
        return self.value_of(xp, x, z, p, half), self.gradient_of(xp, x, z, p, half, half.e / (1 + half.e))

    def gradient_and_hessian(self, xp: Namespace, x: Array, z: Array, p: Array | None = None, /) -> tuple[Array, Array]:
        """Return both; the exponential and the quotient are shared."""
        half = halves(xp, x)
        q = half.e / (1 + half.e)
        return self.gradient_of(xp, x, z, p, half, q), self.hessian_of(xp, z, p, q)

    def value_of(self, xp: Namespace, x: Array, z: Array, p: Array | None, half: Halves) -> Array:
        """Return the value from the terms of x."""
        # A term is absent where a factor is 0, even if x is infinite. A NaN in x remains in log1p(e).
        linear = product(xp, x, signed_side(half.h, z, self.label_smoothing))
        if p is None:
            return linear + log1p_unit(xp, half.e)
        # p multiplies last.
        return product(xp, linear, xp.where(x >= 0, 1.0, p)) + self._total(xp, z, p) * log1p_unit(xp, half.e)

    def gradient_of(self, xp: Namespace, x: Array, z: Array, p: Array | None, half: Halves, q: Array) -> Array:
        """Return the gradient from the terms of x, and q."""
        w = signed_side(half.h, z, self.label_smoothing)
        if p is None:
            return add_signed(xp, w, half.s, q)
        return xp.where(x >= 0, 1.0, p) * w + half.s * (self._total(xp, z, p) * q)

    def hessian_of(self, xp: Namespace, z: Array, p: Array | None, q: Array) -> Array:
        """Return the hessian from q."""
        # Never s (1 - s) from a rounded sigmoid s: that is 0 where the result is exp(-|x|). Here q <= 1/2.
        curvature = q * (1 - q)
        return curvature if p is None else self._total(xp, z, p) * curvature

    def _total(self, xp: Namespace, z: Array, p: Array) -> Array:
        positive, negative = smoothed(xp, z, self.label_smoothing)
        return negative + p * positive
