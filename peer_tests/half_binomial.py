"""scikit-learn's private HalfBinomialLoss, computed by xbce: its link, its ranges and its starting values stay."""

from typing import Any

from sklearn._loss import loss as peer

from peer_tests.stand_ins import counted
from xbce import binary_cross_entropy_with_logits as bce
from xbce.special import softplus


def _flat(x: Any) -> Any:
    """Return a column as a vector, which scikit-learn takes for one."""
    return x[:, 0] if x is not None and x.ndim == 2 else x


def _into(out: Any, value: Any) -> Any:
    if out is None:
        return value
    out = _flat(out)
    out[...] = value
    return out


class HalfBinomialLoss(peer.HalfBinomialLoss):
    """On NumPy arrays, into given ones if there are any."""

    @counted
    def loss(
        self, y_true: Any, raw_prediction: Any, sample_weight: Any = None, loss_out: Any = None, n_threads: int = 1
    ) -> Any:
        """Return the losses."""
        return _into(loss_out, bce(_flat(raw_prediction), y_true, weight=sample_weight))

    @counted
    def gradient(
        self, y_true: Any, raw_prediction: Any, sample_weight: Any = None, gradient_out: Any = None, n_threads: int = 1
    ) -> Any:
        """Return the gradient."""
        return _into(gradient_out, bce.gradient(_flat(raw_prediction), y_true, weight=sample_weight))

    @counted
    def loss_gradient(
        self,
        y_true: Any,
        raw_prediction: Any,
        sample_weight: Any = None,
        loss_out: Any = None,
        gradient_out: Any = None,
        n_threads: int = 1,
    ) -> Any:
        """Return both."""
        value, gradient = bce.value_and_gradient(_flat(raw_prediction), y_true, weight=sample_weight)
        return _into(loss_out, value), _into(gradient_out, gradient)

    @counted
    def gradient_hessian(
        self,
        y_true: Any,
        raw_prediction: Any,
        sample_weight: Any = None,
        gradient_out: Any = None,
        hessian_out: Any = None,
        n_threads: int = 1,
    ) -> Any:
        """Return both."""
        gradient, hessian = bce.gradient_and_hessian(_flat(raw_prediction), y_true, weight=sample_weight)
        return _into(gradient_out, gradient), _into(hessian_out, hessian)


class HalfBinomialLossArrayAPI(peer.HalfBinomialLossArrayAPI):
    """On the arrays of any library."""

    @counted
    def loss_gradient(
        self,
        y_true: Any,
        raw_prediction: Any,
        sample_weight: Any = None,
        loss_out: Any = None,
        gradient_out: Any = None,
        n_threads: int = 1,
    ) -> Any:
        """Return both."""
        return bce.value_and_gradient(raw_prediction, y_true, weight=sample_weight)

    @counted
    def _compute_loss(self, y_true: Any, raw_prediction: Any, sample_weight: Any = None) -> Any:
        return bce(raw_prediction, y_true, weight=sample_weight)

    @counted
    def _compute_gradient(self, y_true: Any, raw_prediction: Any, sample_weight: Any = None) -> Any:
        return bce.gradient(raw_prediction, y_true, weight=sample_weight)


@counted
def log1pexp(raw_prediction: Any, raw_prediction_exp: Any, xp: Any) -> Any:
    """Return log(1 + exp(x))."""
    return softplus(raw_prediction)
