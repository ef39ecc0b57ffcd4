"""Numbers in double precision whose errors have a bound.

Of a number v only |v - exact| <= k 2^-53 M is known. k is a Python number that follows from the operations alone. M is
|v|, or an array where terms of different signs may cancel; neither |v| nor the magnitude of the exact number exceeds M,
up to a factor of 1 + k 2^-53. What is of second order in k 2^-53 is in `SLACK`.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._formulas import is_array
from .._typing import Array
from .number import Number

if TYPE_CHECKING:
    from .estimates import Estimates

UNIT = 2.0**-53
"""The unit of bounds: half of the relative distance of two doubles."""
SLACK = 2.0
"""Units added to each bound: for the arithmetic of the test, and for what is of second order."""


class Estimate(Number):
    """A number with the bound of its error, and the operators of an array."""

    __slots__ = ("bound", "is_sign", "k", "loose", "most", "one_less", "positive", "single_bit", "size", "value")

    def __init__(
        self,
        xp: "Estimates",
        value: Array,
        k: float = 0.0,
        bound: Array | None = None,
        *,
        positive: bool = False,
        most: float = math.inf,
        single_bit: bool = False,
        size: Array | None = None,
        loose: bool | None = None,
        is_sign: bool = False,
    ) -> None:
        self.xp, self.value, self.k, self.bound = xp, value, k, bound
        """`bound` is M; None for |value|, and then the number has the sign of the exact one, and is 0 if that is."""
        self.positive = positive
        """Whether the number is known not to be negative."""
        self.most = most
        """What a number that is not negative does not exceed."""
        self.single_bit = single_bit
        """Whether the magnitude is known to be 0 or a power of two near 1, so that products are exact."""
        self.size = size
        """The magnitude, if it is known without an operation."""
        self.one_less: Estimate | None = None
        """The number that is smaller by 1, if this is such a sum."""
        self.loose = k > 0 and not positive if loose is None else loose
        """Whether a zero may have a sign, which that of pairs has not: their sums and products are never -0."""
        self.is_sign = is_sign
        """Whether the number is known to be -1 or 1."""

    @property
    def ndim(self) -> int:
        """Number of dimensions; numbers have none."""
        ndim: int = self.value.ndim
        return ndim

    @property
    def magnitude(self) -> Array:
        """M."""
        if self.bound is None and self.size is None:
            self.size = self.value if self.positive else abs(self.value)
        return self.size if self.bound is None else self.bound

    @property
    def settled(self) -> Array:
        """The number with the sign of zero that pairs have."""
        return self.value + 0.0 if self.loose else self.value

    def __neg__(self) -> "Estimate":
        size = self.value if self.positive else self.size
        return Estimate(self.xp, -self.settled, self.k, self.bound, single_bit=self.single_bit, size=size, loose=False)

    def __add__(self, other: Any) -> "Estimate":
        a, b = self, self.xp.number(other)
        for x, y in ((a, b), (b, a)):
            if _is_zero(x) and is_array(y.value):
                return Estimate(self.xp, y.value + 0.0, y.k, y.bound, positive=y.positive, most=y.most)
        result = _sum(a, b, a.value + b.value, cancels=not (a.positive and b.positive))
        for x, y in ((a, b), (b, a)):
            if isinstance(x.value, float) and x.value == 1:
                result.one_less = y
        return result

    def __sub__(self, other: Any) -> "Estimate":
        a, b = self, self.xp.number(other)
        if isinstance(a.value, float) and b.positive and 2 * b.most <= a.value and b.bound is None:
            return Estimate(self.xp, a.value - b.value, b.k + 1, positive=True, most=a.value)
        return _sum(a, b, a.value - b.value, cancels=True)

    def __mul__(self, other: Any) -> "Estimate":
        a, b = self, self.xp.number(other)
        exact = a.single_bit or b.single_bit
        bound = None if a.bound is None and b.bound is None else a.magnitude * b.magnitude
        positive = a.positive and b.positive
        signed = b if a.is_sign else a if b.is_sign else None
        return Estimate(
            self.xp,
            a.settled * b.settled if exact else a.value * b.value,
            a.k + b.k + (not exact),
            bound,
            positive=positive,
            single_bit=a.single_bit and b.single_bit,
            size=signed.magnitude if signed is not None and bound is None else None,
            loose=not exact and not positive,
        )

    def __truediv__(self, other: Any) -> "Estimate":
        a, b = self, self.xp.number(other)
        value, k, bound = a.value / b.value, a.k + b.k + 1, None
        if isinstance(b.value, float) and b.single_bit:
            k -= 1
        if b.bound is not None:
            self.xp.doubt(b)
            bound = 2 * (a.magnitude / abs(b.value)) * (b.bound / abs(b.value))
        elif a.bound is not None:
            bound = a.bound / b.magnitude
        if not b.positive:  # the sign of a zero
            self.xp.doubts.append(value == 0)
        most = a.most / (1 + a.most) if a.positive and b.one_less is a and a.most < math.inf else math.inf
        return Estimate(self.xp, value, k, bound, positive=a.positive and b.positive, most=most)

    def __lt__(self, other: Any) -> Array:
        return self._compared(other, lambda a, b: a < b)

    def __le__(self, other: Any) -> Array:
        return self._compared(other, lambda a, b: a <= b)

    def __gt__(self, other: Any) -> Array:
        return self._compared(other, lambda a, b: a > b)

    def __ge__(self, other: Any) -> Array:
        return self._compared(other, lambda a, b: a >= b)

    def __eq__(self, other: object) -> Array:
        return self._compared(other, lambda a, b: a == b)

    def __ne__(self, other: object) -> Array:
        return self._compared(other, lambda a, b: a != b)

    __hash__ = None  # type: ignore[assignment]

    def _compared(self, other: Any, compare: Callable[[Array, Array], Array]) -> Array:
        """Return a comparison; it is in doubt where errors may change it."""
        a, b = self, self.xp.number(other)
        far = isinstance(b.value, float) and (b.value == 0 or math.isinf(b.value)) and a.bound is None
        if b is not a and not far and (a.k or b.k):
            self.xp.doubt(a - b)
        return compare(a.value, b.value)


def _sum(a: Estimate, b: Estimate, value: Array, *, cancels: bool) -> Estimate:
    """Return a + b or a - b, given its value; it cancels unless terms of one sign are added."""
    k = max(a.k, b.k) + 1
    if a.bound is None and b.bound is None and (k == 1 or not cancels):
        return Estimate(a.xp, value, k, positive=not cancels, loose=cancels and (a.k > 0 or b.k > 0))
    return Estimate(a.xp, value, k, a.magnitude + b.magnitude)


def _is_zero(x: Estimate) -> bool:
    return isinstance(x.value, float) and x.value == 0
