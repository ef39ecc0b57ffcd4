"""The public steps around a loss: reducing losses of one's own, and checking labels."""

from ._backends import runner_for
from ._formulas import Given
from ._inputs import concrete_bool, digits, eager_real, reduce_inputs
from ._reductions import Reduction
from ._typing import Array, ArrayObject, ArrayT, Axis, Namespace, NormalizeBy, ReductionKind

__all__ = ["check_labels", "reduce"]


def reduce(
    losses: ArrayT,
    /,
    *,
    weight: ArrayObject | float | None = None,
    where: ArrayObject | None = None,
    reduction: ReductionKind = "mean",
    axis: Axis = None,
    normalize_by: NormalizeBy = "count",
) -> ArrayT:
    """Weigh, mask and reduce losses, as the losses of this package do.

    Parameters
    ----------
    losses : array
        Any shape and floating dtype, of any library that follows the array API standard.
    weight : array or scalar, optional
        Factor of each loss; broadcasts to the shape of `losses`.
    where : array of bool, optional
        False drops a loss, whatever it is: it contributes nothing. Broadcasts to the shape of `losses`.
    reduction : {"none", "mean", "sum"}, optional
        What is returned; "none" gives the weighted losses, 0 where dropped.
    axis : int or tuple of int, optional
        Axes that the mean or sum runs over; all by default. Not allowed with ``reduction="none"``.
    normalize_by : {"count", "size", "weight", "nonzero", "batch"}, optional
        What a mean divides by: the number of losses that `where` keeps; of all; the sum of the weights; the number of
        weights that are not 0; or the length of axis 0. A zero denominator gives NaN.

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
    Sums run in float64 (float32 on a device without float64) and are rounded once: within 1 ULP of the exact result
    for up to 10^7 losses of float32 or narrower, and 4 ULP for float64.

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
    inputs = reduce_inputs(losses, weight=weight, where=where)
    chosen = Reduction.of("losses", inputs, reduction, axis, normalize_by)
    result: ArrayT = chosen.plan(inputs, Given(), ("value",))(inputs.arrays)[0]
    return result


def check_labels(labels: ArrayObject, /) -> None:
    """Raise ValueError unless all labels are in [0, 1], where losses keep their promise of accuracy.

    Losses themselves never look at values: labels outside [0, 1] follow the same formula.

    Parameters
    ----------
    labels : array
        Boolean, integer or floating, with values to look at: not traced and not lazy.

    Raises
    ------
    TypeError
        If `labels` is not a real array, or has no values yet.
    ValueError
        If a label is NaN or not in [0, 1]; the message names the first one and its index.

    Examples
    --------
    >>> import numpy as np
    >>> import xbce
    >>> xbce.check_labels(np.array([0.0, 0.5, 1.5]))
    Traceback (most recent call last):
    ...
    ValueError: labels must be in [0, 1], got 1.5 at index (2,)
    """
    xp, numbers = eager_real("labels", labels)
    found = _first_outside(xp, numbers)
    if found is None:
        return
    number, index = found
    msg = f"labels must be in [0, 1], got {digits(number, labels.dtype)} at index {index}"
    raise ValueError(msg)


def _first_outside(xp: Namespace, labels: Array) -> tuple[Array, tuple[int, ...]] | None:
    """Return the first label outside [0, 1] and its index."""
    if getattr(labels, "is_nested", False):  # PyTorch's jagged arrays have no shape to count in
        found = ((i, _first_outside(xp, part)) for i, part in enumerate(labels.unbind()))
        return next(((part[0], (i, *part[1])) for i, part in found if part is not None), None)
    bad = xp.reshape(runner_for(xp).map(xp, _is_outside, (labels,)), (-1,))
    if not concrete_bool("labels", xp.any(bad)):
        return None
    position = rest = int(xp.argmax(xp.astype(bad, xp.uint8)))
    index: tuple[int, ...] = ()
    for length in reversed(labels.shape):
        rest, i = divmod(rest, length)
        index = (i, *index)
    return xp.reshape(labels, (-1,))[position], index


def _is_outside(_xp: Namespace, labels: Array) -> Array:
    return ~((labels >= 0) & (labels <= 1))  # NaN is outside, too
