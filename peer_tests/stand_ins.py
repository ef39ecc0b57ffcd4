"""xbce in the place of a peer's losses, put there by name before the peer's tests are imported.

A stand-in converts nothing that the peer's own class would not convert, and counts its calls: a test that never reaches
it says nothing about xbce.
"""

import functools
from collections import Counter
from collections.abc import Callable
from typing import Any

from xbce.conventions import keras as ours_keras
from xbce.conventions import kornia as ours_kornia
from xbce.conventions import optax as ours_optax
from xbce.conventions import pytorch as ours_pytorch
from xbce.conventions import sklearn as ours_sklearn

CALLS: Counter[str] = Counter()


def counted(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that counts its calls."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        CALLS[function.__name__] += 1
        return function(*args, **kwargs)

    return call


def keras() -> None:
    """Replace the classes, the function of the metric and that of keras.ops.

    Keras converts what it is given to arrays of its backend, and so does this: NumPy arrays among arrays of another
    library are refused by xbce.
    """
    import keras as peer
    from keras.src import backend, losses, metrics, ops
    from keras.src.losses import loss as base
    from keras.src.losses import losses as classes

    def array(x: Any) -> Any:
        return x if x is None or backend.is_keras_tensor(x) else ops.convert_to_tensor(x)

    def converting(function: Callable[..., Any]) -> Callable[..., Any]:
        return counted(functools.wraps(function)(lambda y, p, *a, **k: function(array(y), array(p), *a, **k)))

    class Loss(ours_keras._Loss):
        _options = ()

        def __init__(self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None):
            super().__init__(reduction, name, dtype)

    def stand_in(cls: type) -> type:
        def call(self: Any, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            mask = array(backend.get_keras_mask(y_pred))
            return cls.__call__(self, array(y_true), array(y_pred), array(sample_weight), mask=mask)

        call.__name__ = cls.__name__
        return type(cls.__name__, (cls,), {"__call__": counted(call), "__module__": __name__})

    base.Loss = stand_in(Loss)
    for cls in (ours_keras.BinaryCrossentropy, ours_keras.BinaryFocalCrossentropy):
        ours = peer.saving.register_keras_serializable("xbce")(stand_in(cls))
        for module in (losses, classes):
            setattr(module, cls.__name__, ours)
    metrics.probabilistic_metrics.binary_crossentropy = converting(ours_keras.binary_crossentropy)
    # This one is elementwise: a mean over no axis.
    ops.nn.binary_crossentropy = converting(functools.partial(ours_keras.binary_crossentropy, axis=()))


def sklearn_loss() -> None:
    """Replace the losses that scikit-learn's linear models and boosting use."""
    from sklearn import _loss
    from sklearn._loss import loss

    from peer_tests import half_binomial

    for module in (_loss, loss):
        module.HalfBinomialLoss = half_binomial.HalfBinomialLoss
        module.HalfBinomialLossArrayAPI = half_binomial.HalfBinomialLoss
    loss._LOSSES["binomial_loss"] = half_binomial.HalfBinomialLoss
    loss._log1pexp = half_binomial.log1pexp


def sklearn_metric() -> None:
    """Replace scikit-learn's log_loss."""
    from sklearn import metrics
    from sklearn.metrics import _classification

    metrics.log_loss = _classification.log_loss = counted(ours_sklearn.log_loss)


def optax() -> None:
    """Replace optax's two losses of logits."""
    import optax as peer
    from optax.losses import _classification

    for function in (ours_optax.sigmoid_binary_cross_entropy, ours_optax.sigmoid_focal_loss):
        for module in (peer, peer.losses, _classification):
            setattr(module, function.__name__, counted(function))


def kornia() -> None:
    """Replace kornia's binary focal loss, and its module."""
    from kornia import losses

    for module in (losses, losses.focal):
        module.binary_focal_loss_with_logits = counted(ours_kornia.binary_focal_loss_with_logits)
        module.BinaryFocalLossWithLogits = ours_kornia.BinaryFocalLossWithLogits


def torchvision() -> None:
    """Replace torchvision's sigmoid_focal_loss."""
    from torchvision import ops

    ops.sigmoid_focal_loss = ops.focal_loss.sigmoid_focal_loss = counted(ours_pytorch.sigmoid_focal_loss)


STAND_INS = {f.__name__: f for f in (keras, sklearn_loss, sklearn_metric, optax, kornia, torchvision)}
