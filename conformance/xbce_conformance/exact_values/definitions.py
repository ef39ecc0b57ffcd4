"""What is computed: each function of the family once, as the text defines it, on series of balls.

The arguments are series: x (logits) or p (probabilities), labels z, and what a case has besides, such as weights.
Exactly one of x, z and pos_weight holds the variable t. Nothing here is shared with xbce.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import flint

from xbce_conformance.exact_values.signed_series import (
    Ball,
    Series,
    SignedTerms,
    complement,
    minus_log,
    minus_log1p,
    offset,
    power,
    sigmoid,
    softplus,
    tanh_half,
)

Definition: TypeAlias = Callable[..., Series]
"""A function of series."""


def mix(z: Series, at_0: Series, at_1: Series, slope: Series | None = None) -> Series:
    """Return (1 - z) at_0 + z at_1.

    `slope` is at_1 - at_0, given where that is a single term: then it is the derivative in z, with no cancellation.
    """
    mixed = complement(z) * at_0 + z * at_1
    if slope is None or z.is_constant:
        return mixed
    return Series(mixed.coefficients[0], z.coefficients[1] * slope.coefficients[0])


def smooth(z: Series, smoothing: Series | float) -> Series:
    """Return z (1 - a) + a / 2."""
    series = Series.of(smoothing)
    if not series.is_constant:
        return z * complement(series) + Series.constant(0.5) * series
    a = series.at_0
    return z.compose(z.at_0 * (1 - a) + a / 2, lambda: 1 - a, lambda: flint.arb(0))


# --- losses with what all of them take ---------------------------------------------------------------------------


def smoothed(label_smoothing: Series | float, loss: Definition) -> Definition:
    """Return a loss of smoothed labels."""
    return lambda x, z, *pos_weight: loss(x, smooth(z, label_smoothing), *pos_weight)


def scaled(factor: float, loss: Definition) -> Definition:
    """Return a loss times a number."""
    return lambda *arguments: Series.constant(factor) * loss(*arguments)


def with_pos_weight(pos_weight: float, loss: Definition) -> Definition:
    """Return the loss of one weight of the positive term: an exact number, which no format need hold."""
    return lambda x, z: loss(x, z, Series.constant(pos_weight))


def with_arrays(arrays: tuple[str, ...], define: Callable[[Mapping[str, Series]], Definition]) -> Definition:
    """Return a loss that takes arrays besides: times `weight`, and 0 where `where` is False.

    `define` takes those that are options, and returns the loss of scores, labels and perhaps pos_weight.
    """

    def taken(x: Series, z: Series, *series: Series) -> Series:
        given = dict(zip(arrays, series, strict=True))
        where, weight = given.pop("where", None), given.pop("weight", None)
        if where is not None and where.at_0 == 0:
            return Series.constant(0)
        pos_weight = (given.pop("pos_weight"),) if "pos_weight" in given else ()
        losses = define(given)(x, z, *pos_weight)
        return losses if weight is None else weight * losses

    return taken


# --- losses of logits -----------------------------------------------------------------------------------------------


def of_sides(side: Callable[[Series], Series], slope: Callable[[Series], Series]) -> Definition:
    """Return (1 - z) f(x) + p z f(-x), where f is the `side`; `slope` is f(-x) - f(x) in terms of one sign."""

    def loss(x: Series, z: Series, pos_weight: Series | None = None) -> Series:
        if pos_weight is None:
            return mix(z, side(x), side(-x), slope=slope(x))
        return mix(z, side(x), pos_weight * side(-x))

    return loss


cross_entropy = of_sides(softplus, slope=lambda x: -x)
"""(1 - z) softplus(x) + p z softplus(-x)"""


def focal(gamma: Series | float, alpha: Series | float | None = None) -> Definition:
    """Return alpha_t m^gamma ce, where m = 1 - p_t = z sigmoid(-x) + (1 - z) sigmoid(x)."""

    def loss(x: Series, z: Series, pos_weight: Series | None = None) -> Series:
        m = mix(z, sigmoid(x), sigmoid(-x), slope=-tanh_half(x))
        modulated = power(m, Series.of(gamma)) * cross_entropy(x, z, pos_weight)
        if alpha is None:
            return modulated
        a = Series.of(alpha)
        return mix(z, complement(a), a, slope=Series.constant(2 * a.at_0 - 1)) * modulated

    return loss


def asymmetric(gamma_pos: Series | float, gamma_neg: Series | float, shift: Series | float = 0.0) -> Definition:
    """Return M^g ce of p_m = max(sigmoid(x) - shift, 0).

    ce = -(1 - z) log1p(-p_m) + z softplus(-x), M = (1 - z) p_m + z (1 - p), g = gamma_neg (1 - z) + gamma_pos z.
    """

    def loss(x: Series, z: Series, pos_weight: Series | None = None) -> Series:
        of_positive, of_negative, threshold = Series.of(gamma_pos), Series.of(gamma_neg), Series.of(shift)
        if threshold.is_constant and threshold.at_0 == 0:
            ce = cross_entropy(x, z, pos_weight)  # -log1p(-sigmoid(x)) is softplus(x)
            m = mix(z, sigmoid(x), sigmoid(-x), slope=-tanh_half(x))
        else:
            p = sigmoid(x)
            p_m = p - threshold if p.at_0 > threshold.at_0 else Series.constant(0)
            positive = softplus(-x) if pos_weight is None else pos_weight * softplus(-x)
            ce = mix(z, minus_log1p(-p_m), positive)
            m = mix(z, p_m, sigmoid(-x))
        gap = Series.constant(of_positive.at_0 - of_negative.at_0)
        return power(m, mix(z, of_negative, of_positive, slope=gap)) * ce

    return loss


# --- losses of probabilities ----------------------------------------------------------------------------------------


def probability(p: Series, z: Series, pos_weight: Series | None = None) -> Series:
    """Return -w z log p - (1 - z) log1p(-p); the derivative in z is -logit(p), one term, where w = 1."""
    return _of_logs(z, minus_log1p(-p), minus_log(p), pos_weight)


def of_probabilities(
    clip: Series | float | None = None,
    log_floor: Series | float | None = None,
    log_offset: Series | float | None = None,
) -> Definition:
    """Return the loss by one of three rules, or by none."""
    if clip is not None:
        return clipped(clip)
    if log_floor is not None:
        return log_floored(log_floor)
    return probability if log_offset is None else offset_by(log_offset)


def clipped(clip: Series | float) -> Definition:
    """Return the loss of p clipped to [eps, 1 - eps]."""

    def loss(p: Series, z: Series, pos_weight: Series | None = None) -> Series:
        eps = Series.of(clip)
        if p.at_0 < eps.at_0:
            p = eps
        elif 1 - p.at_0 < eps.at_0:  # not p > 1 - eps, which balls of few digits leave undecided
            p = complement(eps)
        return probability(p, z, pos_weight)

    return loss


def log_floored(floor: Series | float) -> Definition:
    """Return the loss with both logarithms at least `floor`."""

    def limited(minus_log: Series) -> Series:
        least = -Series.of(floor)
        return least if minus_log.at_0 > least.at_0 else minus_log

    def loss(p: Series, z: Series, pos_weight: Series | None = None) -> Series:
        return _of_logs(z, limited(minus_log1p(-p)), limited(minus_log(p)), pos_weight)

    return loss


def offset_by(log_offset: Series | float) -> Definition:
    """Return -w z log(p + eps) - (1 - z) log(1 - p + eps)."""

    def loss(p: Series, z: Series, pos_weight: Series | None = None) -> Series:
        eps = Series.of(log_offset)
        negative, positive = _minus_log_offset(complement(p), p, eps), _minus_log_offset(p, complement(p), eps)
        return mix(z, negative, positive if pos_weight is None else pos_weight * positive)

    return loss


def _minus_log_offset(p: Series, q: Series, eps: Series) -> Series:
    """Return -log(p + eps), where q = 1 - p.

    It crosses zero near p = 1, where it is -log1p(-q) - log1p(eps / p): the constant has these two terms.
    """
    result = minus_log(offset(p, eps))
    if q.at_0 > 0.5:
        return result
    terms = SignedTerms.of(-(-q.at_0).log1p()) + SignedTerms.of(-(eps.at_0 / p.at_0).log1p())
    return Series(terms, *result.coefficients[1:])


def _of_logs(z: Series, at_0: Series, at_1: Series, pos_weight: Series | None = None) -> Series:
    if pos_weight is not None:
        return mix(z, at_0, pos_weight * at_1)
    return mix(z, at_0, at_1, slope=Series(SignedTerms.of(at_1.at_0 - at_0.at_0)))


# --- other functions ------------------------------------------------------------------------------------------------


def weigh(losses: Series, weight: Series, _where: Series) -> Series:
    """Return what `reduce` sums."""
    return weight * losses


def log_expit(x: Series) -> Series:
    """Return log(sigmoid(x))."""
    return -softplus(-x)


def logit(p: Series) -> Series:
    """Return log(p) - log1p(-p), one term."""
    return Series(SignedTerms.of((minus_log1p(-p) - minus_log(p)).at_0))


def log1mexp(x: Series) -> Series:
    """Return log(1 - exp(x)); the first form loses the digits of large |x|, the second those of small."""
    u = x.at_0
    return -(minus_log(Series.constant(-u.expm1())) if u > -1 else minus_log1p(Series.constant(-u.exp())))


def xlogy(x: Series, y: Series) -> Series:
    """Return x log(y)."""
    return -x * minus_log(y)


def xlog1py(x: Series, y: Series) -> Series:
    """Return x log1p(y)."""
    return -x * minus_log1p(y)


# --- evaluation -----------------------------------------------------------------------------------------------------


def evaluate(definition: Definition, place: int, numbers: tuple[float, ...]) -> tuple[tuple[Ball, Ball], ...]:
    """Return value and first two derivatives in one argument: of each the exact value, as a ball, and the scale."""
    arguments = [Series.variable(n) if i == place else Series.constant(n) for i, n in enumerate(numbers)]
    c0, c1, c2 = definition(*arguments).coefficients
    return (c0.ball, c0.scale), (c1.ball, c1.scale), (2 * c2.ball, 2 * c2.scale)


PRIMITIVES: dict[str, Definition] = {
    "expit": sigmoid,
    "log_expit": log_expit,
    "softplus": softplus,
    "logit": logit,
    "log1mexp": log1mexp,
    "xlogy": xlogy,
    "xlog1py": xlog1py,
}
