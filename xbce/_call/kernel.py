"""Kernels: one pass over the elements that casts and masks arguments, evaluates a formula, weights and rounds results.

A kernel is a pure function of arrays. It is hashable, and has its derivatives as kernels. So a backend can run it block
by block, compile it, use it as a cache key, or give it to automatic differentiation, without knowing its formula.
"""

import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from .._formulas import Formula, Number, is_array, settled
from .._precision import Estimates, HighPrecision, Kind, over
from .._typing import Array, DType, Namespace

_MASK_FILL = 0.5
"""Replaces masked elements: finite in every formula, as logit, probability, label or weight."""

_DERIVATIVES = {
    ("value", 0): "gradient",
    ("value", 1): "label_gradient",
    ("value", 2): "pos_weight_gradient",
    ("gradient", 0): "hessian",
}
"""Maps a method of a formula and the index of an argument to the method that is the derivative in it."""

_JOINT = {("value", "gradient"): "value_and_gradient", ("gradient", "hessian"): "gradient_and_hessian"}
"""Maps pairs of methods to the method that returns both and shares their work."""


@dataclass(frozen=True, slots=True)
class SumSpec:
    """The sum of an output over axes."""

    axes: tuple[int, ...]
    """Counted from the end."""
    dtype: DType
    """Dtype of the accumulation and of the sum."""
    exact: bool = False
    """Whether the sum is that of `exact_sum`."""

    def spread(self, xp: Namespace, x: Array) -> Array:
        """Return a sum with the summed axes as axes of length 1, so that it broadcasts against the summands."""
        for axis in reversed(self.axes):
            x = xp.expand_dims(x, axis=axis)
        return x


Function: TypeAlias = Callable[..., tuple[Array, ...]]
"""Takes a namespace and arrays, and returns results; usually a kernel."""
Arguments: TypeAlias = tuple[Array | float | None, ...]
"""Arguments of a `Function`: arrays, and numbers in their place."""
Sums: TypeAlias = tuple[SumSpec | None, ...]
"""The sum of each result of a `Function`; None for a result that is not summed."""


def library_sum(xp: Namespace, x: Array, spec: SumSpec) -> Array:
    """Return the library's own sum."""
    return xp.sum(x, axis=spec.axes, dtype=spec.dtype)


def summed(
    xp: Namespace,
    results: tuple[Array, ...],
    sums: Sums,
    sum: Callable[[Namespace, Array, SumSpec], Array] = library_sum,  # noqa: A002
) -> tuple[Array, ...]:
    """Return results, each summed by `sum` where `sums` says so."""
    if not any(sums):
        return results
    return tuple(x if spec is None else sum(xp, x, spec) for x, spec in zip(results, sums, strict=True))


@dataclass(frozen=True, slots=True)
class Quotient:
    """Divides a sum by the denominator of a mean, if there is one, and rounds it to the dtype of the result."""

    dtype: DType
    known: Any = None
    """The denominator; None if there is none, or if it is an argument."""

    def __call__(self, xp: Namespace, total: Array, denominator: Any = None) -> Array:
        """Return the result."""
        divisor = self.known if denominator is None else denominator
        return _cast(xp, total if divisor is None else total / divisor, self.dtype)


@dataclass(frozen=True, slots=True)
class Output:
    """A result of the formula, times weights, divided by a divisor; arrays are given by their index in the call."""

    method: str
    """Method of the formula."""
    weighing: DType
    """Dtype of the product with the weights."""
    dtype: DType
    """Dtype of the result."""
    weights: tuple[int, ...] = ()
    """Indices of the weights."""
    divisor: int | None = None
    """Index of the divisor."""
    divisor_rest: int | None = None
    """Index of what the rounding of the divisor leaves."""
    rest: bool = False
    """Whether the result is what the rounding of another output, which is the same but for this, leaves."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """The elementwise part of a call."""

    formula: Formula
    """With 1 in place of its numbers if these are among the arrays, so that one kernel serves all numbers."""
    outputs: tuple[Output, ...]
    """The results, in order."""
    computing: DType
    """Dtype of the computation: float32 for the half types, else that of the result."""
    arguments: int
    """Number of arrays, from the first on, that the formula takes; the first one has the full shape."""
    integers: tuple[int, ...] = ()
    """Indices of arrays that are rounded to the dtype of the first one before all else."""
    where: int | None = None
    """Index of the mask. Masked elements are replaced before any arithmetic, and have results of 0."""
    numbers: tuple[int | None, ...] = ()
    """Index of each number of the formula, a Python number or an array; None for one that the formula holds itself."""
    arithmetic: Kind = "native"
    """How the formula is computed."""

    def __call__(self, xp: Namespace, /, *arrays: Array) -> tuple[Array, ...]:
        """Return the outputs; of estimates also, last, where those that are rounded may be wrong, if any are."""
        of_formula = xp if self.arithmetic == "native" else over(xp, self.arithmetic)
        arguments = [_entered(of_formula, self._taken(xp, arrays, i, self.computing)) for i in range(self.arguments)]
        formula = self.formula
        if self.numbers or of_formula is not xp:
            places = self.numbers or (None,) * len(formula.options())
            own = formula.apart()[1] if None in places else places
            numbers = (x if i is None else self._number(xp, arrays, i) for i, x in zip(places, own, strict=True))
            formula = formula.with_numbers(tuple(_entered(of_formula, x) for x in numbers))
        methods = tuple(dict.fromkeys(output.method for output in self.outputs))
        if methods in _JOINT:
            results = getattr(formula, _JOINT[methods])(of_formula, *arguments)
        else:
            results = tuple(getattr(formula, method)(of_formula, *arguments) for method in methods)
        by_method = dict(zip(methods, results, strict=True))
        weighted = tuple(
            self._weighted(xp, of_formula, output, by_method[output.method], arrays) for output in self.outputs
        )
        if isinstance(of_formula, Estimates):
            return _tested(of_formula, weighted, self.outputs)
        rounded = tuple(
            _left(of_formula, x, output.dtype, rest=output.rest)
            for x, output in zip(weighted, self.outputs, strict=True)
        )
        if self.arithmetic != "moderate":
            return rounded
        doubts = [of_formula.tested(x) for x, output in zip(weighted, self.outputs, strict=True) if not output.rest]
        return (*rounded, functools.reduce(operator.or_, of_formula.doubts + doubts))

    def derivative(self, k: int, i: int) -> "Kernel | None":
        """Return the derivative of output k in array i, or None without a closed form."""
        output = self.outputs[k]
        if i in output.weights:
            rest = tuple(j for j in output.weights if j != i)
            return replace(self, outputs=(replace(output, weights=rest),))
        numbers = [number for number, place in enumerate(self.numbers) if place == i]
        if numbers:  # several, if one array is several options
            return self._derivative_in_option(output, numbers[0]) if len(numbers) == 1 else None
        method = _DERIVATIVES.get((output.method, i)) if i < self.arguments else None
        if method is None or not self.formula.provides(method):
            return None
        return replace(self, outputs=(replace(output, method=method),))

    def _derivative_in_option(self, output: Output, number: int) -> "Kernel | None":
        found = self.formula.derivative_in(self.formula.options()[number], output.method)
        if found is None:
            return None
        formula, method = found
        return replace(self, formula=formula, outputs=(replace(output, method=method),))

    def only(self, k: int) -> "Kernel":
        """Return the kernel of output k alone."""
        return replace(self, outputs=(self.outputs[k],))

    def bound(self, arrays: tuple[Array | float, ...]) -> "Kernel":
        """Return this kernel with the Python numbers of its formula bound to it; it reads them no more."""
        if not self.numbers:
            return self
        own = self.formula.apart()[1]
        places = tuple(i if i is not None and is_array(arrays[i]) else None for i in self.numbers)
        bound = (
            arrays[i] if place is None and i is not None else x
            for x, i, place in zip(own, self.numbers, places, strict=True)
        )
        return replace(self, formula=self.formula.with_numbers(tuple(bound)), numbers=places if any(places) else ())

    def quick(self) -> "Kernel | None":
        """Return the kernel that has most results of this one, of high precision; None if there is none.

        Its last output, if results are rounded, tells where this kernel has to compute them.
        """
        if self.arithmetic == "extended":
            return replace(self, arithmetic="moderate")
        unrounded = [output.rest for output in self.outputs if output.dtype == output.weighing]
        # None, or a value and its rest, for a sum.
        return replace(self, arithmetic="estimates") if unrounded in ([], [False, True]) else None

    def unrounded(self) -> "Kernel":
        """Return this kernel with results in the dtype of the product with the weights: a half type may overflow."""
        return replace(self, outputs=tuple(replace(output, dtype=output.weighing) for output in self.outputs))

    def times(self, i: int, dtype: DType) -> "Kernel":
        """Return this kernel of one output with one more weight, array i, and a result of the given dtype."""
        (output,) = self.outputs
        return replace(self, outputs=(replace(output, weights=(*output.weights, i), dtype=dtype),))

    def _number(self, xp: Namespace, arrays: tuple[Array, ...], i: int) -> Number:
        """Return a number of the formula; an array of numbers in the dtype of the computation.

        A wider array stands for a number that torch.compile traces, whose digits the formula keeps.
        """
        x = arrays[i]
        if not is_array(x) or (not x.ndim and x.dtype == xp.float64):
            return x
        return self._taken(xp, arrays, i, self.computing)

    def _taken(self, xp: Namespace, arrays: tuple[Array, ...], i: int, dtype: DType) -> Array:
        """Return array i in a dtype, with `_MASK_FILL` in place of masked elements.

        Weights are masked, too: with a masked NaN in them, automatic derivatives would be NaN.
        """
        x = arrays[i]
        if not is_array(x):  # a size
            return x
        if i in self.integers:
            x = _cast(xp, x, arrays[0].dtype)
        if self.where is None or (i > 0 and x.ndim == 0):  # a scalar has no masked elements
            return _cast(xp, x, dtype)
        if not is_floating(x):
            x = _cast(xp, x, dtype)
        # Mask what may hold NaN before the cast: jax_debug_nans checks each operation, unused elements included.
        # https://github.com/jax-ml/jax/issues/5698
        return _cast(xp, xp.where(arrays[self.where], x, _MASK_FILL), dtype)

    def _weighted(
        self, xp: Namespace, of_formula: Namespace, output: Output, result: Array, arrays: tuple[Array, ...]
    ) -> Array:
        """Return a result of the formula, weighted and masked; the formula computes in `of_formula`."""
        if output.weights or output.divisor is not None:
            result = _cast(of_formula, result, output.weighing)
            divisor = None
            if output.divisor is not None:
                divisor = _entered(of_formula, self._taken(xp, arrays, output.divisor, output.weighing))
                if output.divisor_rest is not None:
                    rest = self._taken(xp, arrays, output.divisor_rest, output.weighing)
                    divisor = divisor + _entered(of_formula, rest)
            for i in output.weights:
                weight = _entered(of_formula, self._taken(xp, arrays, i, output.weighing))
                if not is_floating(arrays[i]):
                    # XLA makes a selection of the product with a boolean weight, and so drops NaN.
                    # https://github.com/openxla/xla/issues/2438
                    weight = settled(of_formula, weight)
                if divisor is not None:
                    # Divide the weight, not the product, which may overflow where the quotient does not.
                    weight, divisor = weight / divisor, None
                result = result * weight
            if divisor is not None:
                result = result / divisor
        if self.where is not None:
            result = of_formula.where(arrays[self.where], result, 0.0)
        return result


@dataclass(frozen=True, slots=True)
class Elementwise:
    """A function of arrays that broadcast against each other, computed in one dtype and rounded to another."""

    function: Callable[..., Array]
    computing: DType
    dtype: DType
    arithmetic: Kind = "native"

    def __call__(self, xp: Namespace, /, *arrays: Array) -> Array:
        """Return the result."""
        of_function = xp if self.arithmetic == "native" else over(xp, self.arithmetic)
        arguments = (_entered(of_function, _cast(xp, x, self.computing)) for x in arrays)
        return _left(of_function, self.function(of_function, *arguments), self.dtype)


def is_native(function: Callable[..., Any]) -> bool:
    """Tell whether a function computes in the library's own arithmetic."""
    return getattr(function, "arithmetic", "native") == "native"


def is_floating(x: Array) -> bool:
    """Tell whether an array is of a real floating dtype; `isdtype` does not know the bfloat16 of ml_dtypes."""
    return "float" in str(x.dtype)


def _entered(xp: Namespace, x: Array) -> Array:
    """Return an argument as an array, or a number of the arithmetic, in which a formula computes."""
    return xp.number(x) if isinstance(xp, (HighPrecision, Estimates)) else x


def _left(xp: Namespace, x: Array, dtype: DType, *, rest: bool = False) -> Array:
    """Return the result of a formula as an array of a dtype, or what the rounding to float64 leaves of it."""
    if not isinstance(xp, HighPrecision):
        return _cast(xp, x, dtype)
    return xp.rest(x) if rest else xp.rounded(x, dtype)


def _tested(xp: Estimates, results: tuple[Array, ...], outputs: tuple[Output, ...]) -> tuple[Array, ...]:
    """Return results: a value and its bound in a sum, or numbers that are rounded; and where these may be wrong."""
    found: list[Array] = []
    uncertain = xp.doubts
    for x, output in zip(results, outputs, strict=True):
        if output.dtype == output.weighing:
            found.append(xp.bound_of_summand(x) if output.rest else xp.number(x).value)
        else:
            rounded, doubt = xp.tested(x, output.dtype)
            found.append(rounded)
            uncertain = [*uncertain, doubt]
    if outputs[-1].dtype != outputs[-1].weighing:
        found.append(functools.reduce(operator.or_, uncertain))
    return tuple(found)


def _cast(xp: Namespace, x: Array, dtype: DType) -> Array:
    return x if x.dtype == dtype else xp.astype(x, dtype)
