"""A soft label for each logit of a format that has too many pairs of logit and label to try all."""

from typing import Any

import array_api_compat

from xbce_conformance.exact_values.plain_loss import ArrayReference
from xbce_conformance.inputs.formats import Format
from xbce_conformance.sweep.device import Array, Device

_FACTOR = 0x61C88647
"""Odd, and 2^32 times 0.382, the golden section: products with consecutive numbers, modulo 2^32, lie far apart."""
_EXPONENT = 100
"""The least label is 2^-100: where a library flushes a subnormal sigmoid, that must not show in its difference from a
label."""
_NEAREST = 14
"""The nearest label to sigmoid(x) is 2^-14 of it away: their difference has 38 bits in float64, of 24 that count."""


def soft_labels(device: Device, fmt: Format, first: int, stop: int, shared: ArrayReference) -> Array:
    """Return soft labels, in float64, of the logits from a bit pattern on; `shared` has the sigmoids.

    Consecutive logits take turns: a label anywhere between 0 and 1; near 0, of every size; near 1, of every size; and
    next to sigmoid(x), where the terms of the gradient cancel. All but the last are the same on every device.
    """
    xp, x = device.xp, shared.x
    pattern = xp.arange(first, stop, dtype=xp.int64, device=array_api_compat.device(x))
    drawn = (pattern * _FACTOR) & 0xFFFFFFFF
    away = _of_every_size(xp, drawn, _NEAREST)
    near_sigmoid = shared.sigmoid * (1 + xp.where(pattern & 4 == 0, away, -away))
    choices = (
        xp.astype(drawn, xp.float64) * 2.0**-32,
        _of_every_size(xp, drawn, _EXPONENT),
        1 - _of_every_size(xp, drawn, fmt.p),
        near_sigmoid,
    )
    labels = choices[0]
    for turn, choice in enumerate(choices):
        labels = xp.where(pattern & 3 == turn, choice, labels)
    least, largest = 2.0**-_EXPONENT, 1 - 2.0**-fmt.p
    labels = device.round(xp.where(labels >= least, labels, xp.full_like(x, least)))  # NaN is replaced, too
    return xp.where(labels <= largest, labels, xp.full_like(x, largest))


def _of_every_size(xp: Any, drawn: Array, count: int) -> Array:
    """Return numbers from 2^-count to 1 of evenly drawn exponents; by integers, which no compiler rounds otherwise."""
    product = drawn * count
    powers = ((1022 - (product >> 32)) << 52).view(xp.float64)
    return powers * (1 + xp.astype(product & 0xFFFFFFFF, xp.float64) * 2.0**-32)
