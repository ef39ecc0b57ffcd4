"""Plans: how a call is computed, by a kernel, sums and a denominator.

A plan settles weights, masks, axes, denominators and the dtype of accumulation. Everything elementwise is in one
kernel; the plan adds sums, and the division of a mean.
"""

import copy
import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from .._backends import Runner, runner_for
from .._formulas import Formula, Number
from .._precision import Estimates, Kind, over
from .._typing import Array, Axis, DType, Namespace, NormalizeBy, ReductionKind
from .checks import reduction_options, result_options
from .chunks import checked
from .denominator import Counts, Denominator, exactly_summed
from .inputs import Inputs
from .kernel import Arguments, Kernel, Output, Quotient, Sums, SumSpec
from .lengths import elements_along
from .promotion import accumulation_dtype


@dataclass(frozen=True, slots=True)
class Reduction:
    """How the losses of one call are reduced. The kernel leaves them unrounded; the result is rounded once."""

    kind: ReductionKind
    axes: tuple[int, ...]
    """Counted from the end."""
    normalize_by: NormalizeBy
    keepdims: bool
    dtype: DType | None
    """Dtype of the result; None for that of the losses."""

    @classmethod
    def of(
        cls,
        name: str,
        inputs: Inputs,
        kind: ReductionKind,
        axis: Axis,
        normalize_by: NormalizeBy,
        keepdims: bool,
        dtype: DType | None,
    ) -> "Reduction":
        """Check the options of a call."""
        axes = reduction_options(name, inputs.arrays[0], kind, axis, normalize_by)
        return cls(kind, axes, normalize_by, *result_options(inputs.xp, inputs.device, kind, keepdims, dtype))

    def plan(self, inputs: Inputs, formula: Formula, methods: tuple[str, ...]) -> "Plan":
        """Return the plan that computes the reduced value, or derivatives of it, by one run of a kernel."""
        mean = self._mean(inputs) if self.kind == "mean" else None
        pattern, numbers = formula.apart()
        places, numbers = _placed(numbers, inputs)
        after = len(inputs.arrays) + len(numbers)
        divisor = after if mean is not None and methods != ("value",) else None
        rest = after + 1 if isinstance(mean, Denominator) and inputs.high else None
        kernel = Kernel(
            formula=pattern,
            outputs=self._outputs(inputs, methods, divisor, rest),
            computing=inputs.computing,
            arguments=inputs.arguments,
            integers=inputs.integers,
            where=inputs.where,
            numbers=places,
            arithmetic=inputs.arithmetic,
        )
        if inputs.high:  # numbers of pairs are constants
            kernel = kernel.bound((*inputs.arrays, *numbers))
        summed = None if self.kind == "none" else SumSpec(self.axes, _accumulating(inputs), inputs.high)
        sums = tuple(summed if output.method == "value" else None for output in kernel.outputs)
        run = checked(inputs, kernel)
        dtype = inputs.dtype if self.dtype is None else self.dtype
        kept = summed if self.keepdims else None
        runner, divides = runner_for(inputs.xp), divisor is not None
        counted = self._counted if mean is not None and not isinstance(mean, Denominator) else None
        return Plan(inputs.xp, runner, run, sums, mean, counted, divides, dtype, kept, numbers)

    def _outputs(
        self, inputs: Inputs, methods: tuple[str, ...], divisor: int | None, divisor_rest: int | None
    ) -> tuple[Output, ...]:
        outputs = [self._output(inputs, method, divisor, divisor_rest) for method in methods]
        if methods[0] == "value" and self.kind != "none" and inputs.high:
            outputs.insert(1, replace(outputs[0], rest=True))
        return tuple(outputs)

    def _output(self, inputs: Inputs, method: str, divisor: int | None, divisor_rest: int | None) -> Output:
        weights = () if inputs.weight is None else (inputs.weight,)
        if method != "value":
            return Output(method, inputs.computing, inputs.dtype, weights, divisor, divisor_rest)
        if self.kind == "none":
            return Output(method, inputs.computing, inputs.dtype, weights)
        # A weighted loss may overflow where the sum or mean does not.
        weighing = _accumulating(inputs) if weights else inputs.computing
        return Output(method, weighing, weighing, weights)

    @property
    def _counted(self) -> tuple[int, ...]:
        """The axes whose elements a mean divides by, if it counts them all."""
        return (0,) if self.normalize_by == "batch" else self.axes

    def _mean(self, inputs: Inputs) -> Denominator | float:
        x, dtype = inputs.arrays[0], _accumulating(inputs)
        size: float | None = elements_along(x, self._counted)
        weight = inputs.weight if self.normalize_by in ("weight", "nonzero") else None
        where = inputs.where if self.normalize_by in ("count", "weight", "nonzero") else None
        if weight is None and where is None and size is not None:
            return size  # a size of 0 needs no special case: sums of no elements are 0, and 0 / 0 is NaN
        counts = checked(inputs, Counts(dtype, weight, where, self.normalize_by == "nonzero"))
        return Denominator(SumSpec(self.axes, dtype, inputs.high), counts)


@dataclass(frozen=True, slots=True)
class Plan:
    """The computation of a call, for all arrays of the same dtypes and shapes, and the same options."""

    xp: Namespace
    runner: Runner
    kernel: Callable[..., tuple[Array, ...]]
    """The kernel, or its `Checked` form for Dask."""
    sums: tuple[SumSpec | None, ...]
    """The sum of each output of the kernel; None for an output that is not summed."""
    mean: Denominator | float | None
    """Denominator of a mean; None if there is no mean."""
    counted: tuple[int, ...] | None
    """The axes whose lengths give the denominator, if they do."""
    divides: bool
    """Whether the kernel takes the denominator as its last argument, or it and its rest as the last two."""
    dtype: DType
    """Dtype of a mean or sum."""
    kept: SumSpec | None
    """The sum whose axes remain with length 1; None if they do not."""
    numbers: tuple[Number, ...]
    """Numbers of the formula that are no arrays of the call; the kernel takes them after the arrays."""
    last: tuple[Number, ...] | None = field(init=False)
    """What the kernel takes after the arrays; None if more than a run of it is to be done."""
    run: Callable[[Any], tuple[Array, ...]] = field(init=False)
    """Runs the kernel on its arrays; makes a mean or sum of the first result if the denominator is known."""

    def __post_init__(self) -> None:
        quotient = Quotient(self.dtype, self.mean) if self.sums[0] is not None and self._is_plain() else None
        run_of = self.xp, self.kernel, self.sums, quotient
        run = self.runner.prepared(functools.partial(_run, self.runner, *run_of), *run_of)
        object.__setattr__(self, "run", run)
        object.__setattr__(self, "last", self._last_of(self.numbers))

    def _is_plain(self) -> bool:
        """Tell whether a sum is the library's own, and its denominator known."""
        exact = self.sums[0] is not None and self.sums[0].exact
        return not exact and not isinstance(self.mean, Denominator)

    def _last_of(self, numbers: tuple[Number, ...]) -> tuple[Number, ...] | None:
        if not self._is_plain() or self.kept is not None:
            return None
        return (*numbers, self.mean) if self.divides else numbers

    def with_numbers(self, numbers: tuple[Number, ...]) -> "Plan":
        """Return this plan with other numbers of the same classes; both have the same `run`."""
        plan = copy.copy(self)
        object.__setattr__(plan, "numbers", numbers)
        object.__setattr__(plan, "last", self._last_of(numbers))
        return plan

    def with_lengths_of(self, first: Array) -> "Plan":
        """Return this plan for a first array with other lengths, to which those of the others relate as before."""
        return replace(self, mean=self.mean if self.counted is None else elements_along(first, self.counted))

    def results(self, arrays: tuple[Array, ...]) -> tuple[Array, ...]:
        """Return the results of the call."""
        if self.last is not None:
            return self.run((*arrays, *self.last) if self.last else arrays)
        denominator: tuple[Any, ...] = (self.mean,)
        divisor = denominator
        if isinstance(self.mean, Denominator):
            denominator = self.mean.of(self.xp, self.runner, arrays)
            divisor = self.mean.spread(self.xp, denominator) if self.divides else ()
        arrays = (*arrays, *self.numbers, *divisor) if self.divides else (*arrays, *self.numbers)
        spec = self.sums[0]  # only the value is summed, which is the first output if there is one
        if spec is None:
            return self.run(arrays)
        if spec.exact:
            total, *rest = self._exact_total(arrays, denominator)
        else:
            total, *rest = self.run(arrays)
            if isinstance(self.mean, Denominator):
                total = self.runner.map(self.xp, Quotient(self.dtype), (total, *denominator))
        if self.kept is not None:
            total = self.kept.spread(self.xp, total)
        return (total, *rest)

    def _exact_total(self, arrays: tuple[Any, ...], denominator: tuple[Any, ...]) -> tuple[Array, ...]:
        """Return the exact sum or mean, rounded once, and the other results."""
        xp, runner, dtype = self.xp, self.runner, self.dtype
        of_mean = () if self.mean is None else denominator
        found = None if dtype == xp.float64 else runner.estimated_sum(self.kernel, arrays, self.sums)
        if found is not None:
            total, bound, *rest = found
            total, uncertain = runner.map(xp, _TestedQuotient(dtype), (total, bound, *of_mean))
            if not bool(xp.any(uncertain)):
                return (total, *rest)
        total, rest_of_total, *rest = exactly_summed(xp, runner, self.kernel, arrays, self.sums)
        return runner.map(xp, _ExactQuotient(dtype), (total, rest_of_total, *of_mean)), *rest


def _placed(numbers: tuple[Number, ...], inputs: Inputs) -> tuple[tuple[int, ...], tuple[Number, ...]]:
    """Return the index of each number of a formula, and those of them that follow the arrays of the call."""
    first = len(inputs.arrays) - len(inputs.options)
    places: list[int] = []
    after: list[Number] = []
    for x in numbers:
        # Not by `id`: torch.compile would compile anew for each array.
        found = [i for i, array in enumerate(inputs.option_arrays, first) if array is x]
        if not found:
            found = [len(inputs.arrays) + len(after)]
            after.append(x)
        places.append(found[0])
    return tuple(places), tuple(after)


def _run(
    runner: Runner, xp: Namespace, kernel: Callable[..., Any], sums: Sums, quotient: Quotient | None, arrays: Arguments
) -> tuple[Array, ...]:
    results = runner.run(xp, kernel, arrays, sums)
    return results if quotient is None else (runner.map(xp, quotient, results[:1]), *results[1:])


def _accumulating(inputs: Inputs) -> DType:
    return accumulation_dtype(inputs.xp, inputs.computing, inputs.device)


@dataclass(frozen=True, slots=True)
class _ExactQuotient:
    """Divides a sum and what its rounding left by such a denominator, if there is one, and rounds once."""

    dtype: DType
    arithmetic: Kind = "extended"

    def __call__(self, xp: Namespace, total: Array, rest: Array, *denominator: Array | float) -> Array:
        if self.arithmetic == "native":  # for a derivative
            return Quotient(self.dtype)(xp, total, denominator[0] if denominator else None)
        of_numbers = over(xp, self.arithmetic)
        quotient = of_numbers.number(total) + of_numbers.number(rest)
        if denominator:
            divisor, *of_divisor = map(of_numbers.number, denominator)
            for part in of_divisor:
                divisor = divisor + part
            quotient = quotient / divisor
        rounded: Array = of_numbers.rounded(quotient, self.dtype)
        return rounded


@dataclass(frozen=True, slots=True)
class _TestedQuotient:
    """Divides an estimate of a sum like `_ExactQuotient`, and tells where its error may change the rounding."""

    dtype: DType
    arithmetic: Kind = "estimates"

    def __call__(self, xp: Namespace, total: Array, bound: Array, *denominator: Array | float) -> tuple[Array, Array]:
        of_numbers = Estimates(xp)
        quotient = of_numbers.sum(total, bound)
        if denominator:  # what it leaves counts as an error of one unit
            quotient = quotient / of_numbers.number(denominator[0])
        rounded, uncertain = of_numbers.tested(quotient, self.dtype)
        return rounded, functools.reduce(operator.or_, of_numbers.doubts, uncertain)
