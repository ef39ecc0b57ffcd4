"""A metric of a library that dispatches on arrays, as scikit-learn's do: it takes any array, and returns a float.

The library works without xbce, on NumPy; with it, on every array library.
"""

from array_api_compat import array_namespace, is_array_api_obj
from array_api_compat import device as device_of

try:
    import xbce
except ImportError:  # an optional dependency
    xbce = None


def decision_log_loss(y_true, decision, *, sample_weight=None):
    """Return the mean logistic loss of decision values, weighted by `sample_weight`.

    Parameters
    ----------
    y_true : array of shape (n_samples,)
        Classes 0 and 1, of any dtype. Lists and NumPy arrays follow `decision` to its library and device.
    decision : array of shape (n_samples,)
        Logits, as `decision_function` returns them.
    sample_weight : array of shape (n_samples,), optional
        Weights, which follow `decision`, too.

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np
    >>> round(decision_log_loss([0, 1, 1], np.asarray([-3.0, 0.5, 40.0])), 12)
    0.174221445251
    """
    xp = array_namespace(decision)
    y_true = _follow(y_true, decision, xp)
    if y_true.shape != decision.shape:
        msg = f"y_true has the shape {y_true.shape}; {decision.shape}, that of decision, is expected"
        raise ValueError(msg)
    if sample_weight is not None:
        sample_weight = xp.astype(_follow(sample_weight, decision, xp), decision.dtype)
    if xbce is None:
        return _in_numpy(y_true, decision, sample_weight)
    xbce.check_labels(y_true)
    loss = xbce.binary_cross_entropy_with_logits(
        decision, y_true, weight=sample_weight, reduction="mean", normalize_by="weight"
    )
    return float(loss)


def _follow(array, other, xp):
    """Return an array in the library, and on the device, of another one."""
    if is_array_api_obj(array) and array_namespace(array) is xp:
        return array
    return xp.asarray(array, device=device_of(other))


def _in_numpy(y_true, decision, sample_weight):
    """Return the same for NumPy arrays alone, where xbce is not installed."""
    import numpy as np

    agreeing = np.where(y_true == 1, decision, -decision)
    losses = np.log1p(np.exp(-np.abs(agreeing))) + np.maximum(-agreeing, 0)
    return float(np.average(losses, weights=sample_weight))
