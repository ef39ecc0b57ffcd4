"""What a call has to return: from ball arithmetic and the promises, never from xbce.

Every element is evaluated by the definitions of `xbce_conformance` at its numbers, which are exact: labels, weights and
options alike. What the definitions do not cover (infinite logits, NaN, zero denominators) follows the table of special
values. Where nothing is promised, nothing is checked.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import Any

import flint
import numpy as np

from tests.fuzz.calls import AUTODIFF, FLOATS, REFUSED_HOLDERS, Array, Call, Scalar
from xbce_conformance import contract
from xbce_conformance.cases import BY_NAME, CASES, FAMILY, METHODS, Tried
from xbce_conformance.cases.losses import COMMON
from xbce_conformance.exact_values import definitions
from xbce_conformance.exact_values.by_series import SeriesReference
from xbce_conformance.exact_values.exact import Exact
from xbce_conformance.inputs.formats import FORMATS, Format
from xbce_conformance.inputs.regimes import last_nonzero

nan, inf = math.nan, math.inf


@dataclass(frozen=True)
class Refused:
    """The call raises TypeError or ValueError, and the text names one of the arguments."""

    names: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Right:
    """One array that the call returns."""

    quantity: str
    dtype: str
    exact: Exact
    """Flat. An exact value of NaN means that NaN is right."""
    bound: Any
    """In ULP of the scale."""
    terms: Any
    """How many smallest normal numbers may be lost where subnormal numbers are flushed."""
    known: Any
    """Where anything is promised."""
    shape: tuple[int, ...]


LOSSES = tuple(FAMILY)

# --- one element ----------------------------------------------------------------------------------------------------

Number = tuple[float, float, float]
"""The nearest double, the rest, and the scale."""

_FAR = 2.0**40
"""Stands for an infinite logit, where the limit is finite: exp of it is nothing beside any double."""


def _number(x: float) -> Number:
    return x, 0.0, x


@cache
def element(
    function: str, options: tuple[tuple[str, float], ...], quantity: str, x: float, z: float, p: float | None
) -> Number | None:
    """Return the exact result for one element without its weight, or None where nothing is promised."""
    chosen = dict(options)
    if any(n is not None and math.isnan(n) for n in (x, z, p)):
        # Where a clip or a floor holds, no derivative depends on anything.
        limited = quantity != "value" and ("clip" in chosen or "log_floor" in chosen)
        return None if limited and not math.isnan(x) else _of_nan(quantity, x, z)
    if FAMILY[function].first == "probabilities":
        special = _of_probability(chosen, quantity, x, z, p)
    else:
        special = _of_logit(function, chosen, quantity, x, z, p)
    if special is not _FINITE:
        return special
    return _series(function, options, quantity, math.copysign(_FAR, x) if math.isinf(x) else x, z, p)


_FINITE: Any = object()
"""The definition says what is right."""


def _series(
    function: str, options: tuple[tuple[str, float], ...], quantity: str, x: float, z: float, p: float | None
) -> Number | None:
    numbers = (x, z) if p is None else (x, z, p)
    try:
        exact = SeriesReference(FAMILY[function].definition(dict(options))).exact(
            quantity, tuple(np.array([n], np.float64) for n in numbers)
        )[quantity]
    except (ArithmeticError, ValueError):  # no derivative there, such as that of 0 to a power below 1
        return None
    return float(exact.high[0]), float(exact.low[0]), float(exact.scale[0])


def _of_nan(quantity: str, x: float, z: float) -> Number | None:
    if math.isnan(x) or (quantity in ("value", "gradient") and (math.isnan(z) or z != 0)):
        return _number(nan)
    return None


def _sides(options: dict[str, float], z: float) -> tuple[Fraction, Fraction]:
    """Return the smoothed label and its complement."""
    a, exact = Fraction(options.get("label_smoothing", 0.0)), Fraction(z)
    positive = exact * (1 - a) + a / 2
    return positive, 1 - positive


def _of_logit(
    function: str, options: dict[str, float], quantity: str, x: float, z: float, p: float | None
) -> Number | None:
    positive, negative = _sides(options, z)
    modulated = FAMILY[function].modulated
    shift = Fraction(options.get("shift", 0.0))
    if modulated and not 0 <= z <= 1:
        return None
    if shift:
        f = 1 / (1 + (-flint.arb(max(min(x, 1e9), -1e9))).exp())
        if abs(f - flint.arb(float(shift))) < 1e-6 * f:  # the kink: where it is depends on the last digit of sigmoid
            return None if quantity != "value" else _FINITE
        if positive == 0 and f < float(shift):
            return None if quantity == "label_gradient" else _number(0.0)
    if math.isfinite(x):
        return _FINITE
    growing = negative if x > 0 else positive
    factor = negative * 0 + (1 if shift == 0 else 0) if x > 0 else (1 if p is None else Fraction(p))
    if quantity == "hessian":
        return _number(0.0)
    if quantity == "label_gradient":
        slope = 1 - Fraction(options.get("label_smoothing", 0.0))
        if modulated or slope == 0:
            return None
        return _number((-inf if x > 0 else inf) if x > 0 or factor != 0 else 0.0)
    if modulated and growing != 0 and "alpha" in options:
        alpha = Fraction(options["alpha"])
        if alpha * positive + (1 - alpha) * negative == 0:
            return None  # 0 times infinity, for a factor that no table has
    if growing == 0:
        return _number(0.0)
    if quantity == "value":
        if factor == 0:
            return _FINITE if shift and x > 0 else _number(0.0)
        return _number(inf)
    return _FINITE


def _of_probability(options: dict[str, float], quantity: str, u: float, z: float, p: float | None) -> Number | None:
    outside = not 0 <= u <= 1
    if outside and "clip" not in options:
        return _number(nan) if quantity == "value" and "log_offset" not in options else None
    if not 0 <= z <= 1 and not 0 < u < 1:
        return None
    if quantity == "label_gradient" and options.get("label_smoothing") == 1 and not 0 < u < 1:
        return None
    at_clip = "clip" in options and math.isfinite(u) and options["clip"] in (Fraction(u), 1 - Fraction(u))
    if at_clip and quantity != "value":
        return None  # on either side the comparison is exact
    if "log_floor" in options and quantity != "value" and 0 < u < 1:
        floor = flint.arb(options["log_floor"])
        logs = flint.arb(u).log(), (-flint.arb(u)).log1p()
        if any(abs(log - floor) <= 1e-5 * abs(log) for log in logs):
            return None  # a rounded logarithm may lie on either side
    if "log_floor" in options and options["log_floor"] == 0 and quantity != "value":
        return None
    if "log_floor" in options and options["log_floor"] > -1 and quantity == "label_gradient":
        return None
    if u in (0, 1) and p == 0 and quantity == "label_gradient":
        return None
    return _FINITE


# --- bounds ---------------------------------------------------------------------------------------------------------

_LIKE_NUMPY = ("numpy", "dask", "array-api-strict")
_BACKEND = {"torch": "torch:cpu"}


def _numbers(call: Call) -> dict[str, float]:
    return {name: scalar.value for name, scalar in call.options}


def promised(call: Call, quantity: str, fmt: Format, *, hard: bool) -> float:
    """Return the bound of an elementwise quantity in ULP of a format.

    Exceptions are stated for the options that the suite measures; here they hold for the function with any options.
    """
    arrays = ("pos_weight",) if call.argument("pos_weight") is not None else ()
    case = FAMILY[call.function].case(Tried(_numbers(call), arrays))
    bound = contract.bound(quantity, fmt.name, hard=hard, case=case)
    backend = _BACKEND.get(call.library, call.library)
    for stated in CASES:
        if stated.function != call.function:
            continue
        for row in contract.exceptions(quantity, fmt.name, backend, stated):
            fits = row.get("labels", "hard" if hard else "soft") == ("hard" if hard else "soft") and "part" not in row
            if fits and {*stated.arguments} <= {name for name, _ in call.arguments}:
                plain = contract.bound(quantity, fmt.name, hard=hard, case=stated)
                bound = max(bound, bound + float(row["ulp"]) - plain)
    return bound


def _computing(fmt: Format) -> Format:
    return FORMATS["float32"] if fmt.p < FORMATS["float32"].p else fmt


def _rounded_bound(call: Call, quantity: str, fmt: Format, *, hard: bool) -> float:
    """Return the bound of what is computed in a wider format and rounded once."""
    computing = _computing(FORMATS[result_dtype(call)])
    if computing.p <= fmt.p:
        return promised(call, quantity, fmt, hard=hard)
    rounded = 0.5 + promised(call, quantity, computing, hard=hard) * 2.0 ** (fmt.p - computing.p)
    if fmt.p >= FORMATS["float32"].p:
        return rounded + 0.5
    return max(promised(call, quantity, fmt, hard=hard), rounded)


# --- the call -------------------------------------------------------------------------------------------------------


def result_dtype(call: Call) -> str:
    """Return the dtype of the result: of all arrays but those with no dimension, unless the first has none, either."""
    first = call.first
    found = first.dtype
    equals = call.function.startswith("special.")
    mapped = int(call.mode == "vmap")  # what is mapped over is no dimension within
    alike = equals or not first.dims[mapped:]
    for _, a in call.arguments:
        if isinstance(a, Array):
            dtype, counts = a.dtype, alike or a.dims[mapped:]
        else:
            dtype, counts = a.kind.removeprefix("0-d "), alike and a.kind.startswith("0-d")
        if dtype in FLOATS and counts:
            pair = {found, dtype}
            found = "float32" if pair == {"float16", "bfloat16"} else max(pair, key=FLOATS.index)
    return "float32" if call.mode == "autocast" and found in FLOATS[:2] else found


def _dtype_of(call: Call, quantity: str) -> str:
    """Return the dtype of a quantity: a library's derivative has that of what it is taken in."""
    if call.mode not in AUTODIFF or call.mode == "jvp":
        return result_dtype(call)
    variable = call.argument("labels") if quantity == "label_gradient" else call.first
    return variable.dtype if isinstance(variable, Array) else result_dtype(call)


def expected(call: Call, *, flushed: str = "") -> Refused | tuple[Right, ...]:
    """Return what the call has to do.

    With subnormal numbers in its arrays taken for zero, if `flushed`: those of their "own" dtype, or of that of the
    "computation".
    """
    refused = refusal(call)
    if refused is not None:
        return refused
    if call.function.startswith("special."):
        return (_primitive(call, flushed=flushed),)
    quantities = METHODS[call.method]
    return tuple(_right(call, quantity, flushed=flushed) for quantity in quantities)


def _values(a: Array | Scalar | None, shape: tuple[int, ...], flushed: str) -> list[float | None]:
    """Return an argument's numbers, one for each element of a shape."""
    if a is None:
        return [None] * math.prod(shape)
    if isinstance(a, Scalar):
        return [a.value] * math.prod(shape)
    numbers = np.array(a.values, np.float64).reshape(a.dims)
    if flushed and a.dtype in FLOATS:
        fmt = FORMATS[a.dtype] if flushed == "own" else _computing(FORMATS[a.dtype])
        numbers = np.where(np.abs(numbers) < fmt.tiny, 0.0, numbers)
    return np.broadcast_to(numbers, shape).ravel().tolist()


def _label_values(call: Call, flushed: str) -> list[float]:
    labels = call.argument("labels")
    if isinstance(labels, Scalar):  # documented: rounded to the dtype of the first argument
        return _values(Scalar(float(FORMATS[call.first.dtype].round(labels.value))), call.first.dims, flushed)
    return _values(labels, call.first.dims, flushed)


def _right(call: Call, quantity: str, *, flushed: str) -> Right:
    shape, fmt = call.first.dims, FORMATS[_dtype_of(call, quantity)]
    options = tuple((name, scalar.value) for name, scalar in call.options)
    smoothed = dict(options).get("label_smoothing", 0.0) != 0
    x = _values(call.first, shape, flushed)
    p = _values(call.argument("pos_weight"), shape, flushed)
    w = _values(call.argument("weight"), shape, flushed)
    kept = [bool(k) if k is not None else True for k in _values(call.argument("where"), shape, flushed)]
    if call.function == "reduce":
        z = [0.0] * len(x)
        numbers = [_number(n) for n in x]
    else:
        z = _label_values(call, flushed)
        numbers = [
            element(call.function, options, quantity, *args) if k else _number(0.0)
            for *args, k in zip(x, z, p, kept, strict=True)
        ]
        numbers = [
            None if number is not None and _leaves_range(call, *args) else number
            for number, *args in zip(numbers, x, z, p, strict=True)
        ]
        if _underflows(call):  # a factor that the format takes for 0: its product with infinity is not promised
            numbers = [None if number is not None and math.isinf(number[0]) else number for number in numbers]
    hard = [n in (0, 1) and not smoothed for n in z]
    elements = _Elements(call, quantity, fmt, numbers, hard, x, p, w, kept, call.word("reduction", _default(call)))
    if quantity == "value" and elements.reduction != "none":
        return elements.reduced()
    if call.mode == "jvp" and elements.reduction != "none":
        return elements.summed_tangent()
    return elements.elementwise()


def _leaves_range(call: Call, x: float, z: float, p: float | None) -> bool:
    """Tell whether a factor of a modulated loss overflows, or its power underflows beside an infinite one.

    The other factor may bring the product back into the range: that is not promised.
    """
    if not FAMILY[call.function].modulated or math.isnan(x) or math.isnan(z):
        return False
    fmt = _computing(FORMATS[result_dtype(call)])
    options = _numbers(call)
    exponent = max((g for name, g in options.items() if name.startswith("gamma")), default=4.0)
    if math.isinf(x):
        growing = float(_sides(options, z)[x > 0])
        return growing > 0 and max(exponent, 4.0) * math.log(growing) < math.log(fmt.tiny)
    factor = max(1.0, p or 0.0) * (4 + exponent) ** 2
    return not math.isnan(factor) and Fraction(abs(x)) * Fraction(factor) > Fraction(fmt.max)


def _underflows(call: Call) -> bool:
    least = _computing(FORMATS[result_dtype(call)]).tiny  # JAX takes smaller ones for 0
    factors = [scalar.value / 2 for name, scalar in call.options if name in ("label_smoothing", "alpha")]
    pos_weight = call.argument("pos_weight")
    factors += [pos_weight.value] if isinstance(pos_weight, Scalar) else []
    return any(0 < factor < least for factor in factors)


def _default(call: Call) -> str:
    return "mean" if call.function == "reduce" else "none"


class _Elements:
    """The exact numbers of all elements, and what becomes of them."""

    def __init__(
        self,
        call: Call,
        quantity: str,
        fmt: Format,
        numbers: list[Number | None],
        hard: list[bool],
        x: list[float],
        p: list[float | None],
        w: list[float | None],
        kept: list[bool],
        reduction: str,
    ) -> None:
        self.call, self.quantity, self.fmt, self.numbers, self.reduction = call, quantity, fmt, numbers, reduction
        self.x, self.p, self.w, self.kept = x, p, w, kept
        of_losses = call.function == "reduce"
        loss = None if of_losses else FAMILY[call.function]
        self._modulated = loss is not None and loss.modulated
        self._exponent = 0.0 if loss is None else loss.exponent(_numbers(call))
        self._tails = 1.0 if loss is None else max(1.0, loss.factor(**loss.own(_numbers(call))))
        rounded = {h: _rounded_bound(call, quantity, fmt, hard=h) for h in {*hard}} if not of_losses else {}
        self.bounds = [1.0 if of_losses else rounded[h] for h in hard]
        if call.mode in ("vjp", "jvp"):  # one more product, and a result of the dtype of the loss
            self.bounds = [b + 1 for b in self.bounds]
        unrounded = _computing(fmt)
        within = {h: promised(call, quantity, unrounded, hard=h) for h in {*hard}} if not of_losses else {}
        self.within = [0.0 if of_losses else within[h] for h in hard]
        self.shape = call.first.dims
        self.axes = self._axes()

    def _axes(self) -> tuple[int, ...]:
        axis, ndim = self.call.word("axis", None), len(self.shape)
        if self.call.mode == "vmap":  # each row is reduced by itself
            return tuple(range(1, ndim))
        if axis is None:
            return tuple(range(ndim))
        return tuple(sorted(i % ndim for i in (axis if isinstance(axis, tuple) else (axis,))))

    @property
    def _reduced_shape(self) -> tuple[int, ...]:
        return tuple(n for i, n in enumerate(self.shape) if i not in self.axes)

    def _groups(self) -> list[list[int]]:
        """Return the elements of each result, and keep which result each element belongs to."""
        places = np.arange(math.prod(self._reduced_shape)).reshape(
            tuple(1 if i in self.axes else n for i, n in enumerate(self.shape))
        )
        owner = np.broadcast_to(places, self.shape).ravel().tolist()
        groups: list[list[int]] = [[] for _ in range(math.prod(self._reduced_shape))]
        for i, group in enumerate(owner):
            groups[group].append(i)
        self.owner = owner
        return groups

    def _denominators(self, groups: list[list[int]]) -> list[Fraction | float]:
        """Return what each result is divided by: NaN for 0, or where a weight is not finite."""
        if self.reduction != "mean":
            return [Fraction(1)] * len(groups)
        by = self.call.word("normalize_by", "count")
        found: list[Fraction | float] = []
        for group in groups:
            kept = [i for i in group if self.kept[i]]
            weights = [1.0 if self.w[i] is None else self.w[i] for i in kept]
            if by == "batch":
                total = Fraction(self.shape[0])
            elif by == "size":
                total = Fraction(len(group))
            elif by == "count":
                total = Fraction(len(kept))
            elif any(not math.isfinite(n) for n in weights):
                found.append(nan)
                continue
            elif by == "nonzero":
                total = Fraction(sum(n != 0 for n in weights))
            else:
                total = sum(map(Fraction, weights), Fraction(0))
            found.append(total * (self.call.copies if by == "batch" else self._copies) or nan)
        return found

    @property
    def _copies(self) -> int:
        """How often each element is in its sum."""
        return self.call.copies if self.axes else 1

    def _factor(self, i: int, divisor: Fraction) -> float:
        """Return what multiplies the spacing of subnormal numbers."""
        factor = max(1.0, self.p[i] or 0.0)
        factor *= max(1.0, _double(abs(Fraction(self.w[i] or 0.0)) / divisor) if self.w[i] is not None else 1.0)
        factor *= max(1.0, _double(1 / divisor) if divisor < 1 and self.w[i] is None else 1.0)
        factor *= self._tails
        if self.quantity != "value" and self._modulated:
            factor *= max(1.0, self._exponent * min(abs(self.x[i]), last_nonzero(_computing(self.fmt))))
        return min(factor, 2.0**1000)  # two factors of a format may have a product that it does not hold

    def elementwise(self) -> Right:
        groups = self._groups()
        denominators = self._denominators(groups)
        rows, bounds, terms, known = [], [], [], []
        for i, number in enumerate(self.numbers):
            divisor = denominators[self.owner[i]] if self.reduction == "mean" else Fraction(1)
            product = _number(0.0) if not self.kept[i] else self._product(number, i, divisor)
            if self.kept[i] and product is not None and self.call.vector:
                product = self._times_vector(product, i)
            rows.append(product or _number(0.0))
            known.append(product is not None)
            factor = self._factor(i, divisor) if self.kept[i] and _usable(divisor) else 1.0
            if factor > 1 and product is not None and math.isfinite(product[2]):
                high, low, scale = product
                rows[-1] = high, low, max(abs(scale), factor * _computing(self.fmt).tiny)
            mean = 2.0 if self.reduction == "mean" else 0.0
            bounds.append(self.bounds[i] + mean)
            derivative = 4.0 if self.quantity != "value" else 1.0
            if self.w[i] is not None or self.reduction == "mean":  # a weight that is flushed takes all with it
                factor = max(factor, min(abs(number[2]), self.fmt.max) if number is not None else 1.0)
            terms.append(max(factor, derivative))
        return self._right(rows, bounds, terms, known, self.shape)

    def _product(self, number: Number | None, i: int, divisor: Fraction | float) -> Number | None:
        """Return a derivative, or a value, times its weight and divided."""
        if number is None:
            return None
        weight = self.w[i]
        if not _usable(divisor):
            return _number(nan)
        if weight is not None and math.isnan(weight):
            return _number(nan)
        high, low, scale = number
        changed = weight is not None or self.reduction != "none"
        if changed and _computing(self.fmt).max < abs(high) < inf:
            return None  # it overflows before it is weighed, summed or divided
        if not math.isfinite(high) or (weight is not None and math.isinf(weight)):
            factor = 1.0 if weight is None else weight
            return _number(high * factor)
        ratio = (Fraction(1) if weight is None else Fraction(weight)) / divisor
        pair = _pair((Fraction(high) + Fraction(low)) * ratio)
        return *pair, _double(Fraction(scale) * abs(ratio)) if math.isfinite(scale) else scale

    def _times_vector(self, number: Number, i: int) -> Number | None:
        """Multiply with the cotangent of the result that this element is in, or with the element's own tangent."""
        in_result = self.call.mode == "vjp" and self.reduction != "none"
        factor = self.call.vector[self.owner[i] if in_result else i]
        if not math.isfinite(factor) or not math.isfinite(number[0]):
            return None
        return tuple(n * factor for n in number)  # type: ignore[return-value]

    def reduced(self) -> Right:
        """Return sums or means."""
        groups = self._groups()
        denominators = self._denominators(groups)
        rows, bounds, terms, known = [], [], [], []
        final = contract.bound(self.reduction, self.fmt.name, hard=True)
        for group, divisor in zip(groups, denominators, strict=True):
            kept = [i for i in group if self.kept[i]]
            parts = [self._product(self.numbers[i], i, Fraction(1)) for i in kept]
            unknown = any(part is None for part in parts)
            known.append(not unknown)
            numbers = [part for part in parts if part is not None]
            total, slack = ((0.0, 0.0), 0.0) if unknown else self._total(numbers, kept, divisor)
            rows.append((*total, total[0]))
            spacing = float(self.fmt.ulp(total[0])) if math.isfinite(total[0]) else 1.0
            bounds.append(final + slack / spacing)
            flush = sum(self._factor(i, Fraction(1)) for i in kept) * self._copies
            terms.append(max(1.0, flush / float(divisor)) if _usable(divisor) else 1.0)
        right = self._right(rows, bounds, terms, known, self._reduced_shape)
        if not self.call.word("keepdims", False):
            return right
        return replace(right, shape=tuple(1 if i in self.axes else n for i, n in enumerate(self.shape)))

    def _total(
        self, numbers: list[Number], kept: list[int], divisor: Fraction | float
    ) -> tuple[tuple[float, float], float]:
        """Return the exact result, and by how much the errors of its terms may shift it."""
        if not _usable(divisor) or any(math.isnan(high) for high, _, _ in numbers):
            return (nan, 0.0), 0.0
        infinite = {high for high, _, _ in numbers if math.isinf(high)}
        if infinite:
            return ((nan if len(infinite) > 1 else infinite.pop()), 0.0), 0.0
        copies = self._copies
        total = sum((Fraction(high) + Fraction(low) for high, low, _ in numbers), Fraction(0)) * copies
        if self.fmt.name == "float64" and math.isinf(_double(total)):  # documented: and so is the mean
            return (_double(total), 0.0), 0.0
        fmt = _computing(self.fmt)
        slack = 0.0
        for (_, _, scale), i in zip(numbers, kept, strict=True):
            weight = abs(Fraction(self.w[i])) if self.w[i] is not None else Fraction(1)
            own = _double(Fraction(scale) / weight) if weight else 0.0
            spacing = float(fmt.ulp(max(abs(own), max(1.0, self.p[i] or 0.0) * fmt.tiny)))
            slack += self.within[i] * _double(Fraction(spacing) * weight / divisor) * copies
        # Products are rounded to float64, and so is each partial sum: that counts where losses of both signs cancel.
        slack += 4 * _double(sum((Fraction(abs(h)) for h, _, _ in numbers), Fraction(0)) / divisor) * 2.0**-53
        return _pair(total / divisor), slack

    def summed_tangent(self) -> Right:
        """Return the derivative of sums or means along the tangent."""
        groups = self._groups()
        denominators = self._denominators(groups)
        rows, bounds, known = [], [], []
        for group, divisor in zip(groups, denominators, strict=True):
            kept = [i for i in group if self.kept[i]]
            parts = [self._product(self.numbers[i], i, divisor) for i in kept]
            parts = [None if part is None else self._times_vector(part, i) for part, i in zip(parts, kept, strict=True)]
            # The mean of nothing is NaN, and so may be its derivative.
            usable = _usable(divisor) and all(part is not None for part in parts)
            known.append(usable)
            numbers = [part for part in parts if part is not None] if usable else []
            total = sum((Fraction(high) + Fraction(low) for high, low, _ in numbers), Fraction(0))
            scale = _double(sum((abs(Fraction(s)) for _, _, s in numbers), Fraction(0)))
            rows.append((*_pair(total), scale))
            bounds.append(max((self.bounds[i] for i in kept), default=1.0) + 4)
        return self._right(rows, bounds, [4.0 * max(1, len(self.numbers))] * len(rows), known, self._reduced_shape)

    def _right(
        self, rows: list[Any], bounds: list[float], terms: list[float], known: list[bool], shape: tuple[int, ...]
    ) -> Right:
        copies = self.call.copies if shape == self.shape and shape else 1
        high, low, scale = (np.tile(np.array(column, np.float64), copies) for column in _columns(rows))
        tiled = [np.tile(np.array(column), copies) for column in (bounds, terms, known)]
        full = (shape[0] * copies, *shape[1:]) if shape else shape
        return Right(self.quantity, self.fmt.name, Exact(high, low, scale), *tiled, full)


def _columns(rows: list[Any]) -> Any:
    return zip(*rows, strict=True) if rows else ((), (), ())


def _usable(divisor: Fraction | float) -> bool:
    return isinstance(divisor, Fraction) and divisor != 0


def _double(x: Fraction) -> float:
    try:
        return float(x)
    except OverflowError:
        return inf if x > 0 else -inf


def _pair(x: Fraction) -> tuple[float, float]:
    high = _double(x)
    return (high, float(x - Fraction(high))) if math.isfinite(high) else (high, 0.0)


# --- primitives -----------------------------------------------------------------------------------------------------


def _primitive(call: Call, *, flushed: str) -> Right:
    dtype = result_dtype(call)
    fmt = FORMATS[dtype]
    arrays = [a for _, a in call.arguments]
    shape = np.broadcast_shapes(*(a.dims for a in arrays if isinstance(a, Array)))
    columns = [_values(a, shape, flushed) for a in arrays]
    found = [_of_primitive(call.function, fmt.name, numbers) for numbers in zip(*columns, strict=True)]
    bound = contract.bound("value", dtype, hard=True, case=BY_NAME[call.function])
    rows = [number or _number(0.0) for number in found]
    high, low, scale = (np.array(column, np.float64) for column in _columns(rows))
    known = np.array([number is not None for number in found], bool)
    sizes = [np.full(high.shape, bound), np.ones(high.shape)]
    return Right("value", dtype, Exact(high, low, scale), *sizes, known, shape)


@cache
def _of_primitive(function: str, dtype: str, numbers: tuple[float, ...]) -> Number | None:
    if any(map(math.isnan, numbers)):
        return _number(nan)
    for row in contract.special_values(function):
        if all(contract.number(t, FORMATS[dtype]) == n for t, n in zip(row.arguments.values(), numbers, strict=True)):
            if row.value is not None and not math.isfinite(contract.number(row.value, FORMATS[dtype])):
                return _number(contract.number(row.value, FORMATS[dtype]))
            if not all(map(math.isfinite, numbers)):
                return _number(contract.number(row.value or "0", FORMATS[dtype]))
    if not all(map(math.isfinite, numbers)):
        return None
    x, *rest = numbers
    outside = {
        "special.logit": not 0 <= x <= 1,
        "special.log1mexp": x > 0,
        "special.xlogy": bool(rest) and (x == 0 or rest[0] < 0),
        "special.xlog1py": bool(rest) and (x == 0 or rest[0] < -1),
    }
    if outside.get(function):
        return _number(0.0 if len(numbers) > 1 and x == 0 else nan)
    try:
        exact = SeriesReference(definitions.PRIMITIVES[function.removeprefix("special.")]).exact(
            "value", tuple(np.array([n], np.float64) for n in numbers)
        )["value"]
    except (ArithmeticError, ValueError):
        return None
    return float(exact.high[0]), float(exact.low[0]), float(exact.scale[0])


# --- refusals -------------------------------------------------------------------------------------------------------

RANGES: dict[str, tuple[float, float, bool]] = {
    name: (option.low, option.high, option.below)
    for options in (COMMON, *(loss.options for loss in FAMILY.values()))
    for name, option in options.items()
}
"""Least and largest number of an option, and whether it has to be below the largest; all are finite."""

_RULES = FAMILY["binary_cross_entropy"].alternatives


def refusal(call: Call) -> Refused | None:
    """Return why a call must be refused, or None; of several faults the error may name any."""
    faults = list(_faults(call))
    return Refused(tuple(dict.fromkeys(n for f in faults for n in f.names)), faults[0].reason) if faults else None


def _faults(call: Call) -> Iterator[Refused]:
    first_name, first = call.arguments[0]
    for name, a in call.arguments:
        if isinstance(a, Array):
            reason = REFUSED_HOLDERS.get(a.holder)
            if reason:
                yield Refused((name, first_name) if reason == "library" else (name,), reason)
            if name == first_name and a.dtype not in FLOATS:
                yield Refused((name,), "dtype")
            if name == "where" and a.dtype != "bool":
                yield Refused((name,), "dtype")
    if not call.function.startswith("special."):
        for name, a in call.arguments[1:]:
            if isinstance(a, Array) and a.dims != () and not _fits(name, a.dims, first.dims):
                lazy = "unknown lengths" in (a.holder, first.holder)
                yield Refused((name,), "length that is not known yet" if lazy else "shape")
            both = isinstance(a, Array) and a.holder == first.holder == "unknown lengths"
            if both and a.dims == first.dims and a.filtered_chunks != first.filtered_chunks:
                yield Refused((name,), "length that is not known yet")
    numbers = [*call.options, *((n, a) for n, a in call.arguments if n == "pos_weight" and isinstance(a, Scalar))]
    for name, scalar in numbers:
        if scalar.kind.startswith(("0-d", "1-d")) or scalar.kind == "item":  # values of arrays are not looked at
            continue
        low, high, below = RANGES[name]
        if math.isinf(scalar.value):
            yield Refused((name,), "infinite option")
        if not low <= scalar.value <= high or (below and scalar.value == high):
            yield Refused((name,), "option out of its range")
    given = [name for name, _ in call.options if name in _RULES]
    if len(given) > 1:
        yield Refused(tuple(given), "two rules")
    reduction = _refused_reduction(call)
    if reduction is not None:
        yield reduction


def _fits(name: str, dims: tuple[int, ...], full: tuple[int, ...]) -> bool:
    if name == "labels":
        return dims == full
    pairs = itertools.zip_longest(reversed(dims), reversed(full))
    return len(dims) <= len(full) and all(a in (None, 1, b) for a, b in pairs)


def _refused_reduction(call: Call) -> Refused | None:
    reduction, axis = call.word("reduction", _default(call)), call.word("axis", None)
    ndim = len(call.first.dims)
    if call.word("normalize_by", "count") == "batch" and reduction == "mean":
        if ndim == 0 and call.mode != "vmap":
            return Refused(("normalize_by",), "batch of no dimension")
        if call.first.holder == "unknown lengths":
            return Refused(("normalize_by",), "batch of unknown length")
    if axis is None:
        return None
    if reduction == "none":
        return Refused(("axis",), "axis of no reduction")
    axes = axis if isinstance(axis, tuple) else (axis,)
    if any(not -ndim <= i < ndim for i in axes) or len({i % ndim for i in axes}) < len(axes):
        return Refused(("axis",), "axis")
    return None
