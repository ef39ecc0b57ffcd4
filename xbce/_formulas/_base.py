"""What every formula offers."""

from typing import Protocol

from xbce._typing import Array, Namespace


class Formula(Protocol):
    """A loss as a pure function of arrays that share one floating dtype and broadcast to the shape of the first.

    Derivatives are elementwise and with respect to the first array.
    """

    def value(self, xp: Namespace, /, *arrays: Array) -> Array:
        """Return the loss."""

    def gradient(self, xp: Namespace, /, *arrays: Array) -> Array:
        """Return the first derivative."""

    def hessian(self, xp: Namespace, /, *arrays: Array) -> Array:
        """Return the second derivative."""

    def value_and_gradient(self, xp: Namespace, /, *arrays: Array) -> tuple[Array, Array]:
        """Return both, sharing the work."""
