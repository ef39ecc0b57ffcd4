"""The public losses."""

from xbce import _formulas
from xbce._inputs import losses_inputs
from xbce._loss import Evaluation, Loss
from xbce._reductions import Reduction
from xbce._typing import Array, Axis, ReductionKind

__all__ = ["binary_cross_entropy_with_logits"]


@Loss
def binary_cross_entropy_with_logits(
    logits: Array,
    labels: Array | float,
    /,
    *,
    reduction: ReductionKind = "none",
    axis: Axis = None,
) -> Evaluation:
    r"""Binary cross-entropy between labels and the sigmoid of logits.

    For a logit ``x`` and a label ``z`` it is ``(1 - z) softplus(x) + z softplus(-x)``, that is
    ``-z log(sigmoid(x)) - (1 - z) log(1 - sigmoid(x))``, where ``softplus(x) = log(1 + exp(x))``.

    Like a NumPy ufunc, the loss has methods, each taking the arguments of the call: ``gradient``, ``hessian`` (the
    diagonal) and ``value_and_gradient``. They are closed forms, so every library has them: ``sigmoid(x) - z`` and
    ``sigmoid(x) sigmoid(-x)``, divided by the number of elements for the mean.

    Parameters
    ----------
    logits : array
        Any shape; float16, bfloat16, float32 or float64; of any library that follows the array API standard.
    labels : array or scalar
        The shape, library and device of `logits`; boolean, integer or floating. Integers and Python scalars are
        rounded to the dtype of `logits`. Usually 0, 1 or between (soft labels); other values follow the same formula.
    reduction : {"none", "mean", "sum"}, optional
        What is returned: every loss, their mean or their sum.
    axis : int or tuple of int, optional
        Axes that the mean or sum runs over; all by default. Not allowed with ``reduction="none"``.

    Returns
    -------
    array
        On the device of `logits`; of the wider of the floating dtypes of `logits` and `labels`. Of the shape of
        `logits`, without the reduced axes.

    Raises
    ------
    TypeError
        If `logits` is not an array of a floating dtype, `labels` is complex, or the two are of different libraries.
    ValueError
        If the shapes or the devices of `logits` and `labels` differ, or `reduction` or `axis` is not valid.

    Notes
    -----
    **Formula.** With ``h = [x >= 0]`` it is computed as ``x (h - z) + log1p(exp(-|x|))``, a sum of non-negative terms
    for labels in [0, 1]: nothing cancels, in either tail, for hard or soft labels. It is equal on paper to the
    ``max(x, 0) - x z + log1p(exp(-|x|))`` of TensorFlow's ``sigmoid_cross_entropy_with_logits`` [1]_, which loses the
    digits of soft labels.

    **Accuracy**, for finite logits and labels in [0, 1]: at most 4 ULP for float32 and float64. The half types are
    computed in float32 and rounded once: value within 0.51 ULP, derivatives within 0.51 ULP for hard labels and 1 ULP
    of the larger of their two terms for soft ones. The command ``xbce-conformance run`` checks this on the machine it
    runs on. JAX and CuPy flush subnormal numbers to zero.

    **Special values.** At x = +inf the loss is 0 for z = 1 and inf for z in [0, 1); mirrored at -inf; the gradient
    there is the limit of ``sigmoid(x) - z`` and the hessian 0. NaN gives NaN. The mean of no elements is NaN.

    **Reductions** sum the unrounded losses in float64 (float32 on a device without float64) and round once.

    References
    ----------
    .. [1] TensorFlow, ``tf.nn.sigmoid_cross_entropy_with_logits``,
       https://www.tensorflow.org/api_docs/python/tf/nn/sigmoid_cross_entropy_with_logits

    Examples
    --------
    >>> import numpy as np
    >>> import xbce
    >>> logits = np.array([[9.7], [0.0]])
    >>> labels = np.array([[0], [1]])
    >>> xbce.binary_cross_entropy_with_logits(logits, labels, reduction="mean")
    np.float64(5.19660423108862...)
    >>> xbce.binary_cross_entropy_with_logits.gradient(logits, labels)
    array([[ 0.99993872],
           [-0.5       ]])

    A confident correct prediction keeps its digits:

    >>> xbce.binary_cross_entropy_with_logits(np.float32([-20, 20]), np.float32([0, 1]))
    array([2.0611537e-09, 2.0611537e-09], dtype=float32)
    """
    inputs = losses_inputs(logits, labels)
    return Evaluation(inputs, _formulas.CrossEntropy(), Reduction.of(inputs, reduction, axis))
