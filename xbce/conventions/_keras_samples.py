"""The weighting and reduction over samples of the classes of `xbce.conventions.keras`."""

import math

from .._call.lengths import must_be
from .._typing import Array, Namespace, NormalizeBy
from ..reduction import reduce
from ._common import cast, compatible, zero_of_nothing


def same_rank(xp: Namespace, x: Array, y: Array) -> tuple[Array, Array]:
    """Return two arrays with equal ranks, if their ranks differ by a last axis of length 1.

    A vector gets that axis if the other array is a matrix of one column; otherwise the array of higher rank drops it.
    """
    if x.ndim < y.ndim:
        y, x = same_rank(xp, y, x)
        return x, y
    if x.ndim == y.ndim + 1 and must_be(x.shape[-1] == 1):
        if y.ndim == 1:
            return x, xp.expand_dims(y, axis=-1)
        return xp.squeeze(x, axis=-1), y
    return x, y


def over_samples(
    xp: Namespace, values: Array, weight: Array | None, where: Array | None, reduction: str | None
) -> Array:
    """Return the losses of samples, weighted, masked and reduced; a mean that divides by 0 is 0."""
    dtype, repeats = values.dtype, 1
    if weight is not None and where is not None:
        where, weight = xp.broadcast_arrays(*same_rank(xp, where, weight))
    factor = where if weight is None else weight
    if factor is not None:
        values, factor = same_rank(xp, values, factor)
        weight = None if weight is None else xp.reshape(weight, factor.shape)
        where = None if where is None else xp.reshape(where, factor.shape)
        if not compatible(values, factor):
            msg = (
                "sample_weight and mask must broadcast against the losses of samples, "
                f"got {tuple(factor.shape)} and {tuple(values.shape)}"
            )
            raise ValueError(msg)
        values, _ = xp.broadcast_arrays(values, factor)
        lengths = (1,) * (values.ndim - factor.ndim) + factor.shape
        repeats = math.prod([n for n, m in zip(values.shape, lengths, strict=True) if must_be(m == 1)])
    if reduction in (None, "none") or values.ndim == 0 or (values.ndim == 1 and must_be(values.shape[0] == 0)):
        return cast(reduce(values, weight=weight, where=where, reduction="none"), dtype)
    if reduction == "sum":
        return cast(reduce(values, weight=weight, where=where, reduction="sum"), dtype)
    by: NormalizeBy = "weight" if reduction == "mean_with_sample_weight" else "count"
    mean = reduce(values, weight=weight, where=where, normalize_by=by)
    if reduction == "mean_with_sample_weight":
        # Keras counts each weight once, for any number of losses that it is broadcast to.
        mean = mean * repeats
    return cast(zero_of_nothing(mean, values, weight=weight, where=where, normalize_by=by), dtype)
