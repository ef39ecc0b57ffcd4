r"""Sigmoid cross-entropy of logits x and labels z.

L(x, z) = (1 - z) softplus(x) + z softplus(-x). Since softplus(x) = max(x, 0) + log1p(exp(-|x|)), with h = [x >= 0]

    L = x (h - z) + log1p(exp(-|x|)).

For z in [0, 1] the factors of the product have the same sign, so both terms are non-negative and nothing cancels. The
familiar max(x, 0) - x z + log1p(exp(-|x|)) is equal on paper, but its difference loses the digits of soft labels.
With e = exp(-|x|) and q = e / (1 + e) = sigmoid(-|x|), and s = -sign(x),

    dL/dx = sigmoid(x) - z = (h - z) + s q,        d2L/dx2 = sigmoid(x) sigmoid(-x) = q (1 - q).

sigmoid(x) itself never appears: it rounds to 1 in the right tail, where 1 - sigmoid(x) is the answer.
"""

from dataclasses import dataclass

from xbce._typing import Array, Namespace


@dataclass(frozen=True, slots=True)
class CrossEntropy:
    """Binary cross-entropy of logits and labels."""

    def value(self, xp: Namespace, logits: Array, labels: Array, /) -> Array:
        """Return (1 - z) softplus(x) + z softplus(-x)."""
        h, _, e = _halves(xp, logits)
        return _linear(xp, logits, h - labels) + xp.log1p(e)

    def gradient(self, xp: Namespace, logits: Array, labels: Array, /) -> Array:
        """Return sigmoid(x) - z."""
        h, s, e = _halves(xp, logits)
        return (h - labels) + s * (e / (1 + e))

    def hessian(self, xp: Namespace, logits: Array, _labels: Array, /) -> Array:
        """Return sigmoid(x) sigmoid(-x)."""
        _, _, e = _halves(xp, logits)
        # Never s (1 - s) from a rounded sigmoid: that is 0 where the answer is exp(-x). Here q <= 1/2.
        q = e / (1 + e)
        return q * (1 - q)

    def value_and_gradient(self, xp: Namespace, logits: Array, labels: Array, /) -> tuple[Array, Array]:
        """Return both; the exponential is shared."""
        h, s, e = _halves(xp, logits)
        w = h - labels
        return _linear(xp, logits, w) + xp.log1p(e), w + s * (e / (1 + e))


def _halves(xp: Namespace, x: Array) -> tuple[Array, Array, Array]:
    """Return [x >= 0] as a float, -sign(x) with sign(0) = 1, and exp(-|x|).

    -|x| is written as a product with a constant, not as -abs(x): the product has the right derivative at 0 as well.
    """
    h = xp.astype(x >= 0, x.dtype)
    s = 1 - 2 * h
    return h, s, xp.exp(x * s)


def _linear(xp: Namespace, x: Array, w: Array) -> Array:
    """Return x w, which is 0 where w is 0 even if x is infinite.

    The factor is guarded, not the product: a guarded product would have no derivative in w for any hard label.
    """
    return xp.where(xp.isinf(x) & (w == 0), 0.0, x) * w
