"""The interface of formulas."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import repeat
from typing import Any, ClassVar, Self, TypeAlias

from .._typing import Array, Namespace

Number: TypeAlias = Any
"""A Python float, a `TracedArray` while a program is recorded, or an array that broadcasts to the scores."""


class Fixed:
    """Base of fields that choose operations although they hold numbers; such a field is no argument of a kernel."""

    __slots__ = ()


class Formula:
    """A loss as a pure function of arrays of one floating dtype that broadcast to the shape of the first.

    The arrays are scores (logits or probabilities), labels and, if there are any, weights of the positive term.
    Derivatives are elementwise.

    Its options are its fields: numbers, tuples of numbers, and fields that choose operations (None, booleans, instances
    of `Fixed`). Formulas that differ in their numbers alone have the same operations.
    """

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def apart(self) -> tuple[Self, tuple[Number, ...]]:
        """Return this formula with 1 in place of each number, which is the same for all numbers; and the numbers."""
        numbers: list[Number] = []
        ones: dict[str, Any] = {}
        for name in self.__dataclass_fields__:
            field = getattr(self, name)
            if not _chooses(field):
                of_field = field if isinstance(field, tuple) else (field,)
                numbers += of_field
                ones[name] = _filled(field, repeat(1.0))
        return (replace(self, **ones) if ones else self), tuple(numbers)

    def with_numbers(self, numbers: tuple[Number, ...]) -> Self:
        """Return this formula with other numbers."""
        rest = iter(numbers)
        return replace(self, **{name: _filled(getattr(self, name), rest) for name in self.__dataclass_fields__})

    def options(self) -> tuple[str, ...]:
        """Return the name of the field of each number; of an array there is one number."""
        names: list[str] = []
        for name in self.__dataclass_fields__:
            field = getattr(self, name)
            if not _chooses(field):
                names += [name] * (len(field) if isinstance(field, tuple) else 1)
        return tuple(names)

    def derivative_in(self, option: str, method: str) -> "tuple[Formula, str] | None":  # noqa: ARG002
        """Return formula and method of the derivative of a method in an option, or None without a closed form."""
        return None

    def provides(self, method: str) -> bool:  # noqa: ARG002
        """Tell whether this formula has a method; a derivative in an option may lack some."""
        return True

    def value(self, xp: Namespace, /, *arrays: Array) -> Array:
        """Return the loss."""
        raise NotImplementedError

    def gradient(self, xp: Namespace, /, *arrays: Array) -> Array:
        """Return the first derivative in the scores."""
        raise NotImplementedError

    def hessian(self, xp: Namespace, /, *arrays: Array) -> Array:
        """Return the second derivative in the scores."""
        raise NotImplementedError

    def label_gradient(self, xp: Namespace, /, *arrays: Array) -> Array:
        """Return the first derivative in the labels."""
        raise NotImplementedError

    def pos_weight_gradient(self, xp: Namespace, /, *arrays: Array) -> Array:
        """Return the first derivative in the weights of the positive term."""
        raise NotImplementedError

    def value_and_gradient(self, xp: Namespace, /, *arrays: Array) -> tuple[Array, Array]:
        """Return both, sharing the work if they have some in common."""
        return self.value(xp, *arrays), self.gradient(xp, *arrays)

    def gradient_and_hessian(self, xp: Namespace, /, *arrays: Array) -> tuple[Array, Array]:
        """Return both, sharing the work if they have some in common."""
        return self.gradient(xp, *arrays), self.hessian(xp, *arrays)


def _filled(field: Any, numbers: Iterator[Number]) -> Any:
    if _chooses(field):
        return field
    return type(field)(*(next(numbers) for _ in field)) if isinstance(field, tuple) else next(numbers)


def _chooses(field: Any) -> bool:
    """Tell whether a field chooses operations; if not, it holds numbers."""
    return field is None or isinstance(field, (bool, Fixed))
