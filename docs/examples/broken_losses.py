"""Losses that are wrong on purpose, each in another way, and each caught by a row of its own.

    xbce-conformance run --subject broken_losses:lost_tail

names the regime of inputs or the special value that gives it away, with a line that shows the worst result again.
"""

import numpy as np

import xbce

right = xbce.binary_cross_entropy_with_logits


def softplus(x):
    """Return log(1 + exp(x)), accurately."""
    return np.maximum(x, x.dtype.type(0)) + np.log1p(np.exp(-np.abs(x)))


def pytorch_formula(logits, labels):
    """Subtract x from x for label 0: no digit is left in the tail."""
    with np.errstate(invalid="ignore"):
        return (1 - labels) * logits + softplus(-logits)


def wrong_sign_at_zero(logits, labels):
    """Return the loss; its gradient has the other sign at 0."""
    return right(logits, labels)


def _gradient(logits, labels):
    gradient = right.gradient(logits, labels)
    return np.where(logits == 0, -gradient, gradient)


wrong_sign_at_zero.gradient = _gradient


def lost_tail(logits, labels):
    """Leave exp(-|x|) out beyond 20, where it can no longer be seen beside 1."""
    with np.errstate(invalid="ignore"):
        linear = np.maximum(logits, logits.dtype.type(0)) * (1 - labels) - np.minimum(logits, 0) * labels
    return np.where((np.abs(logits) > 20) & np.isfinite(logits), linear, right(logits, labels)).astype(logits.dtype)


def infinity_becomes_nan(logits, labels):
    """Multiply an infinite logit by 0 somewhere."""
    return np.where(np.isinf(logits), np.nan, right(logits, labels)).astype(logits.dtype)


def exp_that_is_5_ulp_off(logits, labels):
    """Return what an exp with an error of 5 ULP makes of it where exp(-|x|) is the whole loss."""
    value = right(logits, labels)
    with np.errstate(invalid="ignore"):
        return np.where((value > 1e-30) & (value < 1e-3), value + 5 * np.spacing(value), value)
