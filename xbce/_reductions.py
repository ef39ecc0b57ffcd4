"""What a call asks of each element, and how that becomes what the call returns.

Weights, masks, axes, denominators and the dtype of accumulation. Everything elementwise is in one kernel; what is left
here are sums, and the quotients that means are.
"""

import math
from dataclasses import dataclass
from typing import Any

from xbce._backends import Runner
from xbce._formulas import Formula, Given
from xbce._inputs import Inputs, accumulation_dtype, reduction_options
from xbce._kernel import Kernel, Output, Sum
from xbce._typing import Array, Axis, DType, Namespace, NormalizeBy, ReductionKind


@dataclass(frozen=True, slots=True)
class Reduction:
    """How the losses of one call are summed. Losses come unrounded; the result is rounded once."""

    kind: ReductionKind
    axes: tuple[int, ...]
    """Counted from the end."""
    normalize_by: NormalizeBy

    @classmethod
    def of(cls, name: str, inputs: Inputs, kind: ReductionKind, axis: Axis, normalize_by: NormalizeBy) -> "Reduction":
        """Check the options of a call."""
        axes = reduction_options(name, inputs.arrays[0].shape, kind, axis, normalize_by)
        return cls(kind, axes, normalize_by)

    def results(
        self, runner: Runner, inputs: Inputs, formula: Formula | Given, methods: tuple[str, ...]
    ) -> tuple[Array, ...]:
        """Return what the call returns, or derivatives of it, from one run of the formula."""
        summed = Sum(self.axes, _accumulating(inputs)) if self.kind != "none" else None
        denominator = self._denominator(runner, inputs) if self.kind == "mean" else None
        arrays, divisor = inputs.arrays, None
        if summed is not None and denominator is not None and methods != ("value",):
            divisor = len(arrays)
            spread = summed.spread(inputs.xp, denominator) if hasattr(denominator, "ndim") else denominator
            arrays = (*arrays, spread)
        kernel = Kernel(
            formula=formula,
            outputs=tuple(self._output(inputs, method, divisor) for method in methods),
            computing=inputs.computing,
            arguments=inputs.arguments,
            integers=inputs.integers,
            where=inputs.where,
        )
        sums = tuple(summed if method == "value" else None for method in methods)
        results = runner.run(inputs.xp, kernel, arrays, sums)
        if summed is None:
            return results
        return tuple(
            runner.map(inputs.xp, _Quotient(inputs.dtype), (result, denominator)) if is_sum else result
            for result, is_sum in zip(results, sums, strict=True)
        )

    def _output(self, inputs: Inputs, method: str, divisor: int | None) -> Output:
        weights = () if inputs.weight is None else (inputs.weight,)
        if method != "value":
            return Output(method, inputs.computing, inputs.dtype, weights, divisor)
        if self.kind == "none":
            return Output(method, inputs.computing, inputs.dtype, weights)
        # A weighted loss may overflow where the sum or mean does not.
        weighing = _accumulating(inputs) if weights else inputs.computing
        return Output(method, weighing, weighing, weights)

    def _denominator(self, runner: Runner, inputs: Inputs) -> Array | float:
        """Return what a mean divides by, NaN instead of 0: a number, or an array of the shape of the result."""
        x = inputs.arrays[0]
        divided = x.shape[:1] if self.normalize_by == "batch" else [x.shape[i] for i in self.axes]
        # Dask's lengths are NaN until they are known: then elements are counted, too.
        known = not any(isinstance(n, float) for n in divided)
        weight = inputs.weight if self.normalize_by in ("weight", "nonzero") else None
        where = inputs.where if self.normalize_by in ("count", "weight", "nonzero") else None
        if weight is None and where is None and known:
            return math.prod(divided) or math.nan
        dtype = _accumulating(inputs)
        counts = _Counts(dtype, weighed=weight is not None, nonzero=self.normalize_by == "nonzero")
        arrays = [inputs.arrays[i] for i in (0, weight, where) if i is not None]
        (total,) = runner.run(inputs.xp, counts, tuple(arrays), (Sum(self.axes, dtype),))
        return runner.map(inputs.xp, _zero_as_nan, (total,))


def _accumulating(inputs: Inputs) -> DType:
    return accumulation_dtype(inputs.xp, inputs.computing, inputs.device)


@dataclass(frozen=True, slots=True)
class _Counts:
    """How much each element counts in a denominator: 1, its weight, or whether that is not 0; 0 if it is dropped."""

    dtype: DType
    weighed: bool
    nonzero: bool

    def __call__(self, xp: Namespace, x: Array, /, *weight_and_where: Array) -> tuple[Array]:
        counts = xp.ones_like(x, dtype=self.dtype)
        rest = list(weight_and_where)
        if self.weighed:
            weight = rest.pop(0)
            counts = xp.where(weight == 0, 0.0, counts) if self.nonzero else counts * xp.astype(weight, self.dtype)
        return (xp.where(rest[0], counts, 0.0) if rest else counts,)


@dataclass(frozen=True, slots=True)
class _Quotient:
    """The sum itself, or divided by the denominator of a mean; in the dtype of the result."""

    dtype: DType

    def __call__(self, xp: Namespace, total: Array, denominator: Any) -> Array:
        result = total if denominator is None else total / denominator
        return result if result.dtype == self.dtype else xp.astype(result, self.dtype)


def _zero_as_nan(xp: Namespace, x: Array) -> Array:
    return xp.where(x == 0, math.nan, x)
