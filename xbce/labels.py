"""The check that labels are in [0, 1], where losses are accurate."""

from ._backends import runner_for
from ._call.array_kinds import require_local
from ._call.checks import concrete_bool, digits, eager_real
from ._typing import Array, ArrayObject, Namespace

__all__ = ["check_labels"]


def check_labels(labels: ArrayObject, /) -> None:
    """Raise ValueError unless all labels are in [0, 1], where the bounds on the errors of losses hold.

    Losses themselves never read values: labels outside [0, 1] follow the same formula.

    Parameters
    ----------
    labels : array
        Boolean, integer or floating, with concrete values: neither traced nor lazy.

    Raises
    ------
    TypeError
        If `labels` is not a real array, or has no values yet; or if it is a DTensor of PyTorch, of which each process
        checks ``labels.to_local()``.
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
    require_local("labels", labels)
    xp, numbers = eager_real("labels", labels)
    found = _first_outside(xp, numbers)
    if found is None:
        return
    number, index = found
    msg = f"labels must be in [0, 1], got {digits(number, labels.dtype)} at index {index}"
    raise ValueError(msg)


def _first_outside(xp: Namespace, labels: Array) -> tuple[Array, tuple[int, ...]] | None:
    """Return the first label outside [0, 1] and its index."""
    if getattr(labels, "is_nested", False):  # PyTorch's jagged tensors have no shape of integers
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
