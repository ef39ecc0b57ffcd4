r"""Binary cross-entropy of probabilities u, labels z (smoothed first) and weights p of the positive term.

    L = -p z log(u) - (1 - z) log(1 - u)

A term whose factor is 0 is absent, even where its logarithm is infinite. One of three rules of other systems may apply:
u is clipped to [eps, 1 - eps]; both logarithms are floored; or eps is added inside both. The rule is part of the
function: where a clip or a floor holds, the derivative is 0.
"""

import math
from dataclasses import dataclass

from .._typing import Array, Namespace
from .elementary import accurate_log, accurate_log1p, logit, logs
from .exponents import ArrayClip, ArrayOffset, Clip, NoClip, Offset
from .idioms import aside, guarded, log1p_unit, one_for_nan, plus, product, settled, smaller_part, vanishes
from .parts import smoothed
from .protocol import Formula, Number


@dataclass(frozen=True, slots=True)
class ProbabilityCrossEntropy(Formula):
    """Binary cross-entropy of probabilities and labels; at most one of the three rules."""

    label_smoothing: Number | None = None
    clip: Clip | ArrayClip | None = None
    log_floor: Number | None = None
    log_offset: Offset | ArrayOffset | None = None
    large_offset: bool | None = False
    """Whether the offset is at least 1/4; None for an array, in which some may be."""

    def value(self, xp: Namespace, u: Array, z: Array, p: Array | None = None, /) -> Array:
        """Return -p z log(u) - (1 - z) log(1 - u)."""
        positive, negative = smoothed(xp, z, self.label_smoothing)
        no_u, no_v = vanishes(xp, positive), vanishes(xp, negative)
        log_u, log_v = self._logs(xp, u, no_u if p is None else no_u | vanishes(xp, p), no_v)
        # XLA makes a selection of the product with a boolean label, and so drops NaN.
        # https://github.com/openxla/xla/issues/2438
        term = settled(xp, positive) * log_u
        # Subtract from 0, so that no loss is -0. p multiplies last: p z would lose all digits of a subnormal z.
        return (0.0 - (term if p is None else p * term)) - negative * log_v

    def gradient(self, xp: Namespace, u: Array, z: Array, p: Array | None = None, /) -> Array:
        """Return (1 - z) / (1 - u) - p z / u."""
        return self.gradient_and_hessian(xp, u, z, p)[0]

    def hessian(self, xp: Namespace, u: Array, z: Array, p: Array | None = None, /) -> Array:
        """Return (1 - z) / (1 - u)^2 + p z / u^2."""
        return self.gradient_and_hessian(xp, u, z, p)[1]

    def label_gradient(self, xp: Namespace, u: Array, _z: Array, p: Array | None = None, /) -> Array:
        """Return log(1 - u) - p log(u): for p = 1 the logit, which keeps its digits next to 1/2."""
        return self._slope(xp, u, p, None if self.label_smoothing is None else 1 - self.label_smoothing)

    def derivative_in(self, option: str, method: str) -> tuple[Formula, str] | None:
        """Return the slope in the label smoothing or in the offset; the others have no closed form."""
        found = {"label_smoothing": "smoothing_gradient", "log_offset": "offset_gradient"}.get(option)
        return None if method != "value" or found is None else (self, found)

    def smoothing_gradient(self, xp: Namespace, u: Array, z: Array, p: Array | None = None, /) -> Array:
        """Return the slope in smoothed labels times their derivative, 1/2 - z."""
        return self._slope(xp, u, p, 0.5 - z)

    def _slope(self, xp: Namespace, u: Array, p: Array | None, share: Array | Number | None) -> Array:
        """Return the slope in labels as they are after smoothing, times a share if one is given."""
        if p is None and self.log_floor is None and self.log_offset is None:
            slope = self._clipped_slope(xp, u)
        else:
            log_u, log_v = self._logs(xp, u, None if p is None else vanishes(xp, p), None)
            if p is not None:
                if share is not None:
                    # Scale p, not the product, which may overflow where the slope does not.
                    p, log_v = p * share, product(xp, log_v, share)
                    return log_v - product(xp, log_u, p)
                return log_v - p * log_u
            if self.log_offset is not None:
                slope = _offset_slope(xp, u, log_u, log_v, self.log_offset.number)
            else:
                floored = (log_u <= self.log_floor) | (log_v <= self.log_floor)
                # A floored u may be outside of [0, 1]: jax_debug_nans would raise for its logit.
                slope = xp.where(floored, log_v - log_u, -logit(xp, xp.where(floored, 0.5, u)))
        return slope if share is None else product(xp, slope, share)

    def pos_weight_gradient(self, xp: Namespace, u: Array, z: Array, _p: Array, /) -> Array:
        """Return -z log(u)."""
        positive, _ = smoothed(xp, z, self.label_smoothing)
        return 0.0 - positive * self._logs(xp, u, vanishes(xp, positive), None)[0]

    def value_and_gradient(self, xp: Namespace, u: Array, z: Array, p: Array | None = None, /) -> tuple[Array, Array]:
        """Return both; they share no work."""
        return self.value(xp, u, z, p), self.gradient(xp, u, z, p)

    def gradient_and_hessian(self, xp: Namespace, u: Array, z: Array, p: Array | None = None, /) -> tuple[Array, Array]:
        """Return both; the quotients are shared."""
        by_u, by_v, of_u, of_v = self._quotients(xp, u, z, p)
        # Divided twice, not by a square: that would underflow.
        by_uu, by_vv = _quotient(xp, settled(xp, by_u), of_u), _quotient(xp, settled(xp, by_v), of_v)
        if self.log_floor is not None:
            floored_u, floored_v = (x <= self.log_floor for x in logs(xp, u))
            by_u, by_uu = (xp.where(floored_u, 0.0, a) for a in (by_u, by_uu))
            by_v, by_vv = (xp.where(floored_v, 0.0, a) for a in (by_v, by_vv))
        gradient, hessian = by_v - by_u, by_vv + by_uu
        if self.clip is not None:
            low, high = _clipped(xp, u, self.clip)
            clipped = low | high
            gradient, hessian = xp.where(clipped, 0.0, gradient), xp.where(clipped, 0.0, hessian)
        return gradient, hessian

    def offset_gradient(self, xp: Namespace, u: Array, z: Array, p: Array | None = None, /) -> Array:
        """Return -(1 - z) / (1 - u + eps) - p z / (u + eps)."""
        by_u, by_v, _, _ = self._quotients(xp, u, z, p)
        return -(by_v + by_u)

    def _quotients(self, xp: Namespace, u: Array, z: Array, p: Array | None) -> tuple[Array, Array, Array, Array]:
        """Return p z / u and (1 - z) / (1 - u), and the two divisors; with the offset inside, if there is one."""
        positive, negative = smoothed(xp, z, self.label_smoothing)
        v = 1 - u
        if self.log_offset is not None:
            offset = aside(xp, u, self.log_offset.number)
            u, v = u + offset, v + offset
        by_u, by_v = _quotient(xp, positive, u), _quotient(xp, negative, v)
        if p is not None:
            by_u = _times(xp, by_u, p, positive, u)
        return by_u, by_v, u, v

    def _clipped_slope(self, xp: Namespace, u: Array) -> Array:
        """Return minus the logit of u, which may be clipped."""
        if self.clip is None:
            return -logit(xp, u)
        low, high = _clipped(xp, u, self.clip)
        inside, slope = -logit(xp, xp.where(low | high, 0.5, u)), _limits(xp, u, self.clip).logit
        return xp.where(low, slope, xp.where(high, -slope, inside))

    def _logs(self, xp: Namespace, u: Array, zero_u: Array | None, zero_v: Array | None) -> tuple[Array, Array]:
        """Return log(u) and log(1 - u) under the rule, but 0 where one is infinite and its factor is zero.

        There the argument is replaced, not the logarithm, whose derivative is infinite, and NaN if multiplied by 0.
        """
        if self.log_offset is not None:
            return self._offset_logs(xp, u, self.log_offset, zero_u, zero_v)
        if isinstance(self.clip, (NoClip, ArrayClip)):
            u = xp.where(u < 0, 0.0, xp.where(u > 1, 1.0, u))
        if self.clip is None or isinstance(self.clip, NoClip):
            return self._own_logs(xp, u, zero_u, zero_v)
        # The logarithms are clipped, not u: 1 - clip would be rounded, whereas 1 - u is exact for u near 1.
        low, high = _clipped(xp, u, self.clip)
        inside = xp.where(low | high, 0.5, u)  # u outside of the clip may be infinite
        if isinstance(self.clip, Clip):  # and not 0: no logarithm is infinite
            zero_u = zero_v = None
        log_u, log_v = self._own_logs(xp, inside, zero_u, zero_v)
        limits = _limits(xp, u, self.clip)
        log_u = xp.where(low, limits.log, xp.where(high, limits.log1m, log_u))
        log_v = xp.where(low, limits.log1m, xp.where(high, limits.log, log_v))
        return log_u, log_v

    def _own_logs(self, xp: Namespace, u: Array, zero_u: Array | None, zero_v: Array | None) -> tuple[Array, Array]:
        """Return log(u) and log(1 - u), floored if there is a floor."""
        if self.log_floor is not None:
            no_u, no_v = u == 0, u == 1
            log_u, log_v = logs(xp, u, no_u, no_v)
            log_u = xp.where(no_u | (log_u < self.log_floor), self.log_floor, log_u)
            return log_u, xp.where(no_v | (log_v < self.log_floor), self.log_floor, log_v)
        no_u = None if zero_u is None else zero_u & vanishes(xp, u)
        no_v = None if zero_v is None else zero_v & (u == 1)
        return logs(xp, u, no_u, no_v)

    def _offset_logs(
        self, xp: Namespace, u: Array, offset: Offset | ArrayOffset, zero_u: Array | None, zero_v: Array | None
    ) -> tuple[Array, Array]:
        """Return log(u + eps) and log(1 - u + eps): log(m + eps), and log1p(eps - m), whose argument may be near 1.

        m is the smaller of u and 1 - u, and exact for u > 1/2, so that nothing is rounded where a logarithm is small.
        """
        eps, upper = aside(xp, u, offset.number), u > 0.5
        m = smaller_part(xp, u, upper)
        rest = (accurate_log1p if self.large_offset is not False else log1p_unit)(xp, eps - m)
        if self.large_offset is None:  # an array, which may hold zeros
            for zero, side in ((zero_u, ~upper), (zero_v, upper)):
                m = m if zero is None else xp.where(zero & side & (m + eps == 0), 0.5, m)
        log_m = self._offset_log(xp, m, offset)
        return xp.where(upper, rest, log_m), xp.where(upper, log_m, rest)

    def _offset_log(self, xp: Namespace, u: Array, offset: Offset | ArrayOffset) -> Array:
        """Return log(u + eps) for u up to 1/2; by log1p if eps is large, as u + eps may be near 1."""
        eps = offset.number
        if self.large_offset is None:
            large = eps >= 0.25
            by_log1p = accurate_log1p(xp, xp.where(large, _sum_less_one(xp, u, offset), 0.0))
            return xp.where(large, by_log1p, accurate_log(xp, xp.where(large, 1.0, u + eps)))
        if self.large_offset:
            return accurate_log1p(xp, _sum_less_one(xp, u, offset))
        return accurate_log(xp, plus(xp, u, eps))


def _sum_less_one(xp: Namespace, u: Array, offset: Offset | ArrayOffset) -> Array:
    """Return u + eps - 1 for u up to 1/2, where it may cancel: eps - 1 has more digits than the dtype."""
    if getattr(xp, "computes_constants", False):
        return u + aside(xp, u, offset.number - 1)
    less, rest = offset.less_one(xp, u)
    return (u + aside(xp, u, less)) + rest


def _offset_slope(xp: Namespace, u: Array, log_u: Array, log_v: Array, offset: Number) -> Array:
    """Return log(1 - u + eps) - log(u + eps): near the root at 1/2 the logit of a number that is exact there."""
    near = (u > 0.25) & (u < 0.75)
    # (u + eps) / (1 + 2 eps) is 1/2 + (u - 1/2) / (1 + 2 eps), and u - 1/2 is exact.
    d = (xp.where(near, u, 0.5) - 0.5) / (1 + 2 * offset)
    ratio = 2 * d / (0.5 - xp.where(d < 0, -d, d))
    root = accurate_log1p(xp, xp.where(d < 0, -ratio, ratio))
    return xp.where(near, xp.where(d < 0, root, -root), log_v - log_u)


def _clipped(xp: Namespace, u: Array, clip: Clip | ArrayClip) -> tuple[Array, Array]:
    """Tell where u is below the clip, and where 1 - u is."""
    limit = clip.limit(xp, u.dtype)
    return u < limit, 1 - u < limit


def _limits(xp: Namespace, u: Array, clip: Clip | ArrayClip) -> Clip:
    """Return a clip with its logarithms and its logit."""
    number = clip.number
    if isinstance(clip, Clip):
        # The logarithms of a `Clip` are those of Python, which an arithmetic with more digits has to compute.
        if isinstance(clip, NoClip) or not getattr(xp, "computes_constants", False):
            return clip
        number = aside(xp, u, number)
    zero = number == 0
    inside = xp.where(zero, 0.5, number)  # the logarithm of 0 has no derivative
    log_of_clip = xp.where(zero, -math.inf, accurate_log(xp, inside))
    return Clip(number, number, log_of_clip, accurate_log1p(xp, -number), xp.where(zero, math.inf, -logit(xp, inside)))


def _quotient(xp: Namespace, factor: Array, divisor: Array) -> Array:
    """Return factor / divisor, but 0 where both are 0."""
    return factor / one_for_nan(xp, vanishes(xp, factor) & vanishes(xp, divisor), divisor)


_SCALE = 2.0**64


def _times(xp: Namespace, quotient: Array, p: Array, z: Array, u: Array) -> Array:
    """Return p times the quotient z / u, but 0 where p is 0; the quotient may overflow where the product does not.

    p z / u would lose all digits of a subnormal z.
    """
    overflows = guarded(xp, quotient, p) == math.inf
    return xp.where(overflows, product(xp, _quotient(xp, z, u * _SCALE), p) * _SCALE, product(xp, quotient, p))
