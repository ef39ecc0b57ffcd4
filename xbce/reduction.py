"""The reductions, for losses of one's own."""

from ._call.inputs import reduce_inputs
from ._call.plan import Reduction
from ._formulas import Identity
from ._typing import ArrayObject, ArrayT, Axis, DType, NormalizeBy, Precision, ReductionKind

__all__ = ["reduce"]


def reduce(
    losses: ArrayT,
    /,
    *,
    weight: ArrayObject | float | None = None,
    where: ArrayObject | None = None,
    reduction: ReductionKind = "mean",
    axis: Axis = None,
    normalize_by: NormalizeBy = "count",
    precision: Precision = "native",
    keepdims: bool = False,
    dtype: DType | None = None,
) -> ArrayT:
    """Weigh, mask and reduce losses, as the losses of this package do.

    Parameters
    ----------
    losses : array
        Any shape and floating dtype, of any library that follows the array API standard.
    weight : array or scalar, optional
        Factor of each loss; broadcasts to the shape of `losses`.
    where : array of bool, optional
        False drops a loss, whatever its value: it contributes nothing. Broadcasts to the shape of `losses`.
    reduction : {"none", "mean", "sum"}, optional
        What is returned; "none" gives the weighted losses, 0 where dropped.
    axis : int or tuple of int, optional
        Axes that the mean or sum runs over; all by default. Not allowed with ``reduction="none"``.
    normalize_by : {"count", "size", "weight", "nonzero", "batch"}, optional
        What a mean divides by: the number of losses that `where` keeps; of all; the sum of the weights; the number of
        weights that are not 0; or the length of axis 0. A zero denominator gives NaN.
    precision : {"native", "high"}, optional
        "high" sums the weighted losses exactly, in any order, and rounds once.
    keepdims : bool, default False
        Whether the axes that a mean or sum runs over remain, with length 1.
    dtype : dtype, optional
        Floating dtype of a mean or sum, of the library of the arrays; by default that of the losses. Not allowed with
        ``reduction="none"``, and neither is `keepdims`.

    Returns
    -------
    array
        On the device of `losses`; of the wider floating dtype of `losses` and of `weight`, which never widens if it is
        a scalar or has no dimensions beside `losses` that have some; without the reduced axes.

    Raises
    ------
    TypeError
        If `losses` is not an array of a floating dtype, `weight` is not real, `where` is not boolean, or arrays are of
        different libraries.
    ValueError
        If `weight` or `where` does not broadcast to the shape of `losses` without enlarging it, devices differ, or an
        option is not valid.

    Notes
    -----
    Sums are accumulated in float64 (float32 on a device without float64) and rounded once. For losses of one sign they
    are within 1 ULP of the exact result for up to 10^7 losses of float32 or narrower, and 4 ULP for float64. Where
    losses of both signs cancel, the rounding errors of the larger ones remain.

    Examples
    --------
    >>> import numpy as np
    >>> import xbce
    >>> losses = np.array([1.0, 2.0, np.inf])
    >>> xbce.reduce(losses, where=np.isfinite(losses))
    np.float64(1.5)
    >>> xbce.reduce(losses[:2], weight=np.array([3.0, 1.0]), normalize_by="weight")
    np.float64(1.25)
    """
    inputs = reduce_inputs(losses, weight=weight, where=where).with_precision(precision)
    chosen = Reduction.of("losses", inputs, reduction, axis, normalize_by, keepdims, dtype)
    result: ArrayT = chosen.plan(inputs, Identity(), ("value",)).results(inputs.arrays)[0]
    return result
