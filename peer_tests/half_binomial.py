"""xbce's HalfBinomialLoss in the place of both of scikit-learn's, counting the calls that compute."""

from typing import Any

from sklearn._loss import loss as peer

from peer_tests.stand_ins import counted
from xbce.conventions import sklearn as ours
from xbce.special import softplus


class HalfBinomialLoss(ours.HalfBinomialLoss, peer.BaseLoss):
    """The tests name their cases by the class of what is a BaseLoss; everything comes from the first base."""

    loss = counted(ours.HalfBinomialLoss.loss)
    gradient = counted(ours.HalfBinomialLoss.gradient)
    loss_gradient = counted(ours.HalfBinomialLoss.loss_gradient)
    gradient_hessian = counted(ours.HalfBinomialLoss.gradient_hessian)
    __call__ = counted(ours.HalfBinomialLoss.__call__)


@counted
def log1pexp(raw_prediction: Any, raw_prediction_exp: Any, xp: Any) -> Any:
    """Return log(1 + exp(x))."""
    return softplus(raw_prediction)
