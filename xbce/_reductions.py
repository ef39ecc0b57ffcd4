"""From losses to what a call returns, and from elementwise derivatives to those of what it returns."""

import math
from dataclasses import dataclass

from xbce._backends import Runner
from xbce._inputs import Inputs, accumulation_dtype, reduction_axes
from xbce._typing import Array, Axis, ReductionKind


@dataclass(frozen=True, slots=True)
class Reduction:
    """How the losses of one call are summed. Losses come unrounded; the result is rounded once."""

    kind: ReductionKind
    axes: tuple[int, ...]

    @classmethod
    def of(cls, inputs: Inputs, kind: ReductionKind, axis: Axis) -> "Reduction":
        """Check the options of a call."""
        return cls(kind, reduction_axes(kind, axis, inputs.arrays[0].ndim))

    def of_losses(self, runner: Runner, inputs: Inputs, losses: Array) -> Array:
        """Return the losses, their sum or their mean, in the dtype of the result."""
        if self.kind == "none":
            return _round(inputs, losses)
        total = runner.sum(inputs.xp, losses, self.axes, accumulation_dtype(inputs.xp, losses.dtype, inputs.device))
        if self.kind == "mean":
            total = runner.divide(inputs.xp, total, self._count(losses))
        return _round(inputs, total)

    def of_derivative(self, runner: Runner, inputs: Inputs, derivative: Array) -> Array:
        """Return the derivative of what the call returns, given that of each loss in its own logit."""
        if self.kind == "mean":
            derivative = runner.divide(inputs.xp, derivative, self._count(derivative))
        return _round(inputs, derivative)

    def _count(self, x: Array) -> float:
        return float(math.prod(x.shape[i] for i in self.axes))


def _round(inputs: Inputs, x: Array) -> Array:
    return x if x.dtype == inputs.dtype else inputs.xp.astype(x, inputs.dtype)
