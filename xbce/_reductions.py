"""From losses to what a call returns, and from elementwise derivatives to those of what it returns.

Weights, masks, axes, denominators and the dtype of accumulation. Masks select; nothing is masked by multiplying.
"""

import math
from dataclasses import dataclass
from functools import partial

from xbce._backends import Runner
from xbce._inputs import Inputs, accumulation_dtype, reduction_options
from xbce._typing import Array, Axis, DType, Namespace, NormalizeBy, ReductionKind

_HARMLESS = 0.5
"""Stands for what `where` drops: finite in every formula, as logit, probability, label or weight."""


@dataclass(frozen=True, slots=True)
class Reduction:
    """How the losses of one call are summed. Losses come unrounded; the result is rounded once."""

    kind: ReductionKind
    axes: tuple[int, ...]
    normalize_by: NormalizeBy

    @classmethod
    def of(cls, name: str, inputs: Inputs, kind: ReductionKind, axis: Axis, normalize_by: NormalizeBy) -> "Reduction":
        """Check the options of a call."""
        axes = reduction_options(name, inputs.arrays[0].ndim, kind, axis, normalize_by)
        return cls(kind, axes, normalize_by)

    def selected(self, runner: Runner, inputs: Inputs) -> tuple[Array, ...]:
        """Return the arguments of the formula, with harmless numbers in place of what `where` drops.

        Before any arithmetic: what is dropped may be infinite or NaN, and would spoil derivatives, too.
        """
        if inputs.where is None:
            return inputs.arrays
        first, *rest = inputs.arrays
        return (
            runner.map(inputs.xp, partial(_select, otherwise=_HARMLESS), (inputs.where, first)),
            *(
                runner.map(inputs.xp, partial(_select, otherwise=_HARMLESS), (inputs.where, x)) if x.ndim else x
                for x in rest
            ),
        )

    def of_losses(self, runner: Runner, inputs: Inputs, losses: Array) -> Array:
        """Return the losses, their sum or their mean, in the dtype of the result."""
        if self.kind == "none":
            return round_to(runner, inputs, self._weighted(runner, inputs, losses))
        if inputs.weight is not None:
            # A weighted loss may overflow where the sum or mean does not.
            dtype = accumulation_dtype(inputs.xp, losses.dtype, inputs.device)
            losses = _cast(runner, inputs.xp, losses, dtype)
        total = self._sum(runner, inputs, self._weighted(runner, inputs, losses))
        if self.kind == "mean":
            total = runner.map(inputs.xp, _ratio, (total, self._denominator(runner, inputs, losses)))
        return round_to(runner, inputs, total)

    def of_derivative(self, runner: Runner, inputs: Inputs, derivative: Array) -> Array:
        """Return the derivative of what the call returns, given that of each loss in its own score."""
        xp = inputs.xp
        if self.kind == "mean":
            denominator = self._denominator(runner, inputs, derivative)
            if not isinstance(denominator, float):
                for axis in self.axes:
                    denominator = xp.expand_dims(denominator, axis=axis)
                denominator = _cast(runner, xp, denominator, derivative.dtype)
            if inputs.weight is None:
                derivative = runner.map(xp, _ratio, (derivative, denominator))
            else:
                # The weight is divided, not the product, which may overflow where the quotient does not.
                share = runner.map(xp, _ratio, (inputs.weight, denominator))
                derivative = runner.map(xp, _times, (derivative, share))
        elif inputs.weight is not None:
            derivative = runner.map(xp, _times, (derivative, inputs.weight))
        if inputs.where is not None:
            derivative = runner.map(xp, _select, (inputs.where, derivative))  # 0, even if the denominator is 0
        return round_to(runner, inputs, derivative)

    def _weighted(self, runner: Runner, inputs: Inputs, x: Array) -> Array:
        if inputs.weight is not None:
            x = runner.map(inputs.xp, _times, (x, _cast(runner, inputs.xp, inputs.weight, x.dtype)))
        return x if inputs.where is None else runner.map(inputs.xp, _select, (inputs.where, x))

    def _sum(self, runner: Runner, inputs: Inputs, x: Array) -> Array:
        return runner.sum(inputs.xp, x, self.axes, accumulation_dtype(inputs.xp, x.dtype, inputs.device))

    def _denominator(self, runner: Runner, inputs: Inputs, x: Array) -> Array | float:
        """Return what a mean divides by: a number, or an array of the shape of the result."""
        divided = x.shape[:1] if self.normalize_by == "batch" else [x.shape[i] for i in self.axes]
        size = float(math.prod(divided))
        weight = inputs.weight if self.normalize_by in ("weight", "nonzero") else None
        where = inputs.where if self.normalize_by in ("count", "weight", "nonzero") else None
        if weight is None and where is None and not math.isnan(size):
            return size
        # What each element counts. NaN is the size of dimensions that are unknown yet: then elements are counted, too.
        counts = runner.map(inputs.xp, _ones, (x,))
        if weight is not None:
            counted = _times if self.normalize_by == "weight" else _where_nonzero
            counts = runner.map(inputs.xp, counted, (counts, weight))
        if where is not None:
            counts = runner.map(inputs.xp, _select, (where, counts))
        return self._sum(runner, inputs, counts)


def round_to(runner: Runner, inputs: Inputs, x: Array) -> Array:
    """Round a result of the computation to the dtype that the call returns."""
    return _cast(runner, inputs.xp, x, inputs.dtype)


def _cast(runner: Runner, xp: Namespace, x: Array, dtype: DType) -> Array:
    return x if x.dtype == dtype else runner.map(xp, partial(_astype, dtype=dtype), (x,))


def _astype(xp: Namespace, x: Array, *, dtype: DType) -> Array:
    return xp.astype(x, dtype)


def _ones(xp: Namespace, x: Array) -> Array:
    return xp.ones_like(x)


def _times(_xp: Namespace, x: Array, factor: Array) -> Array:
    return x * factor


def _where_nonzero(xp: Namespace, x: Array, weight: Array) -> Array:
    return xp.where(weight == 0, 0.0, x)


def _select(xp: Namespace, where: Array, x: Array, *, otherwise: float = 0.0) -> Array:
    return xp.where(where, x, otherwise)


def _ratio(xp: Namespace, x: Array, denominator: Array | float) -> Array:
    """Return x / denominator, NaN where the denominator is 0."""
    if isinstance(denominator, float):
        return x / denominator if denominator else x * math.nan
    zero = denominator == 0
    return xp.where(zero, math.nan, x / xp.where(zero, 1.0, denominator))
