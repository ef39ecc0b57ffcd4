"""One pass over the elements: arguments are cast and masked, a formula is evaluated, its results weighed and rounded.

A kernel is a pure function of arrays, hashable like its formula, and it knows its own derivatives as kernels. So a
backend can run it block by block, compile it, keep it under its own key, or hand it to automatic differentiation,
without knowing what it says.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from .._formulas import Formula, settled
from .._typing import Array, DType, Namespace

_MASK_FILL = 0.5
"""Replaces masked elements: finite in every formula, as logit, probability, label or weight."""

_DERIVATIVES = {
    ("value", 0): "gradient",
    ("value", 1): "label_gradient",
    ("value", 2): "pos_weight_gradient",
    ("gradient", 0): "hessian",
}
"""What a formula calls the derivative of one of its methods in one of its arguments."""

_JOINT = {("value", "gradient"): "value_and_gradient", ("gradient", "hessian"): "gradient_and_hessian"}
"""Methods that share their work."""


@dataclass(frozen=True, slots=True)
class SumSpec:
    """The sum of an output over axes, which are counted from the end, accumulated in a dtype."""

    axes: tuple[int, ...]
    dtype: DType

    def spread(self, xp: Namespace, x: Array) -> Array:
        """Return a sum with the summed axes as axes of length 1: it broadcasts against what was summed."""
        for axis in reversed(self.axes):
            x = xp.expand_dims(x, axis=axis)
        return x


Function: TypeAlias = Callable[..., tuple[Array, ...]]
"""Takes a namespace and arrays, and returns results; a kernel, first of all."""
Arguments: TypeAlias = tuple[Array | float | None, ...]
"""Of a function: arrays, and numbers in their place."""
Sums: TypeAlias = tuple[SumSpec | None, ...]
"""How each result of a function is summed, if it is."""


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
class Output:
    """A result of the formula, times weights, divided; arrays are named by their position in the call."""

    method: str
    weighing: DType
    """The dtype that weights multiply in."""
    dtype: DType
    """The dtype of the result."""
    weights: tuple[int, ...] = ()
    divisor: int | None = None


@dataclass(frozen=True, slots=True)
class Kernel:
    """What is computed of each element."""

    formula: Formula
    """Taken apart if some of the arrays are its numbers: there is one kernel for all numbers."""
    outputs: tuple[Output, ...]
    computing: DType
    """The dtype of the computation: float32 for the half types, else that of the result."""
    arguments: int
    """How many arrays, from the first on, the formula takes; the first one has the full shape."""
    integers: tuple[int, ...] = ()
    """Arrays that are rounded to the dtype of the first one before anything else."""
    where: int | None = None
    """The mask. What it drops is replaced before any arithmetic, and gives 0."""
    numbers: tuple[int, ...] = ()
    """Which of the arrays are the numbers of the formula: Python's, or arrays without dimensions."""

    def __call__(self, xp: Namespace, /, *arrays: Array) -> tuple[Array, ...]:
        """Return the outputs."""
        arguments = [self._taken(xp, arrays, i, self.computing) for i in range(self.arguments)]
        formula = self.formula.with_numbers(tuple(arrays[i] for i in self.numbers)) if self.numbers else self.formula
        methods = tuple(output.method for output in self.outputs)
        if methods in _JOINT:
            results = getattr(formula, _JOINT[methods])(xp, *arguments)
        else:
            results = tuple(getattr(formula, method)(xp, *arguments) for method in methods)
        return tuple(
            self._finished(xp, output, result, arrays) for output, result in zip(self.outputs, results, strict=True)
        )

    def derivative(self, k: int, i: int) -> "Kernel | None":
        """Return the derivative of output k in array i, if there is a closed form."""
        output = self.outputs[k]
        if i in output.weights:
            rest = tuple(j for j in output.weights if j != i)
            return replace(self, outputs=(replace(output, weights=rest),))
        method = _DERIVATIVES.get((output.method, i)) if i < self.arguments else None
        return None if method is None else replace(self, outputs=(replace(output, method=method),))

    def only(self, k: int) -> "Kernel":
        """Return the kernel of output k alone."""
        return replace(self, outputs=(self.outputs[k],))

    def bound(self, arrays: tuple[Array | float, ...]) -> "Kernel":
        """Return this kernel with the numbers that are among the arrays, which it does not look at any more."""
        if not self.numbers:
            return self
        return replace(self, formula=self.formula.with_numbers(tuple(arrays[i] for i in self.numbers)), numbers=())

    def unrounded(self) -> "Kernel":
        """Return this kernel with results in the dtype that weights multiply in: a half type's may overflow."""
        return replace(self, outputs=tuple(replace(output, dtype=output.weighing) for output in self.outputs))

    def times(self, i: int, dtype: DType) -> "Kernel":
        """Return this kernel of one output with one more weight, array i, and a result of the given dtype."""
        (output,) = self.outputs
        return replace(self, outputs=(replace(output, weights=(*output.weights, i), dtype=dtype),))

    def _taken(self, xp: Namespace, arrays: tuple[Array, ...], i: int, dtype: DType) -> Array:
        """Return array i in a dtype, with a harmless number in place of what the mask drops.

        Even a weight: what is dropped may be NaN, and would spoil automatic differentiation.
        """
        x = arrays[i]
        # torch.compile cannot ask a length whether it has dimensions.
        if isinstance(x, int) or not hasattr(x, "ndim"):  # a size
            return x
        if i in self.integers:
            x = _cast(xp, x, arrays[0].dtype)
        if self.where is None or (i > 0 and x.ndim == 0):  # a scalar cannot be dropped in part
            return _cast(xp, x, dtype)
        if not is_floating(x):
            x = _cast(xp, x, dtype)
        # What may hold NaN is cast after it: JAX's debug_nans looks at casts, too.
        return _cast(xp, xp.where(arrays[self.where], x, _MASK_FILL), dtype)

    def _finished(self, xp: Namespace, output: Output, result: Array, arrays: tuple[Array, ...]) -> Array:
        if output.weights or output.divisor is not None:
            result = _cast(xp, result, output.weighing)
            divisor = None if output.divisor is None else self._taken(xp, arrays, output.divisor, output.weighing)
            for i in output.weights:
                weight = self._taken(xp, arrays, i, output.weighing)
                if not is_floating(arrays[i]):
                    # XLA selects by a boolean weight instead of multiplying by it, and drops NaN.
                    weight = settled(xp, weight)
                if divisor is not None:
                    # The weight is divided, not the product, which may overflow where the quotient does not.
                    weight, divisor = weight / divisor, None
                result = result * weight
            if divisor is not None:
                result = result / divisor
        if self.where is not None:
            result = xp.where(arrays[self.where], result, 0.0)
        return _cast(xp, result, output.dtype)


@dataclass(frozen=True, slots=True)
class Elementwise:
    """A function of arrays that broadcast against each other, computed in one dtype and rounded to another."""

    function: Callable[..., Array]
    computing: DType
    dtype: DType

    def __call__(self, xp: Namespace, /, *arrays: Array) -> Array:
        """Return the result."""
        return _cast(xp, self.function(xp, *(_cast(xp, x, self.computing) for x in arrays)), self.dtype)


def is_floating(x: Array) -> bool:
    """Tell whether an array is of a real floating dtype; isdtype does not know NumPy's bfloat16."""
    return "float" in str(x.dtype)


def _cast(xp: Namespace, x: Array, dtype: DType) -> Array:
    return x if x.dtype == dtype else xp.astype(x, dtype)
