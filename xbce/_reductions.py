"""From losses to what a call returns, and from elementwise derivatives to those of what it returns."""

import math
from dataclasses import dataclass
from functools import partial

from xbce._backends import Runner
from xbce._inputs import Inputs, accumulation_dtype, reduction_axes
from xbce._typing import Array, Axis, DType, Namespace, ReductionKind


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
            return _round(runner, inputs, losses)
        dtype = accumulation_dtype(inputs.xp, losses.dtype, inputs.device)
        total = runner.sum(inputs.xp, losses, self.axes, dtype)
        if self.kind == "mean":
            total = runner.map(inputs.xp, _divide, (total, self._count(losses)))
        return _round(runner, inputs, total)

    def of_derivative(self, runner: Runner, inputs: Inputs, derivative: Array) -> Array:
        """Return the derivative of what the call returns, given that of each loss in its own logit."""
        if self.kind == "mean":
            derivative = runner.map(inputs.xp, _divide, (derivative, self._count(derivative)))
        return _round(runner, inputs, derivative)

    def _count(self, x: Array) -> float:
        return float(math.prod(x.shape[i] for i in self.axes))


def _round(runner: Runner, inputs: Inputs, x: Array) -> Array:
    return x if x.dtype == inputs.dtype else runner.map(inputs.xp, partial(_astype, dtype=inputs.dtype), (x,))


def _astype(xp: Namespace, x: Array, *, dtype: DType) -> Array:
    return xp.astype(x, dtype)


def _divide(_xp: Namespace, x: Array, denominator: Array | float) -> Array:
    return x / denominator
