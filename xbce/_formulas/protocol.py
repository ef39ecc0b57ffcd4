"""What every formula offers."""

from typing import Protocol

from .._typing import Array, Namespace


class Formula(Protocol):
    """A loss as a pure function of arrays of one floating dtype that broadcast to the shape of the first.

    The arrays are scores (logits or probabilities), labels and, if there are any, weights of the positive term.
    Derivatives are elementwise.
    """

    def value(self, xp: Namespace, /, *arrays: Array) -> Array:
        """Return the loss."""

    def gradient(self, xp: Namespace, /, *arrays: Array) -> Array:
        """Return the first derivative in the scores."""

    def hessian(self, xp: Namespace, /, *arrays: Array) -> Array:
        """Return the second derivative in the scores."""

    def label_gradient(self, xp: Namespace, /, *arrays: Array) -> Array:
        """Return the first derivative in the labels."""

    def pos_weight_gradient(self, xp: Namespace, /, *arrays: Array) -> Array:
        """Return the first derivative in the weights of the positive term."""

    def value_and_gradient(self, xp: Namespace, /, *arrays: Array) -> tuple[Array, Array]:
        """Return both, sharing the work."""

    def gradient_and_hessian(self, xp: Namespace, /, *arrays: Array) -> tuple[Array, Array]:
        """Return both, sharing the work."""
