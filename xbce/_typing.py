"""Types of arrays, namespaces and options; the array API standard defines none for arrays."""

from typing import Any, Literal, Protocol, TypeAlias, TypeVar

Array: TypeAlias = Any
"""An array of any library that follows the array API standard."""


class ArrayObject(Protocol):
    """An array in a public signature: it has attributes that arrays of all libraries have, and str and list lack."""

    @property
    def shape(self) -> Any:
        """Lengths of the axes."""

    @property
    def dtype(self) -> Any:
        """Type of the elements."""


ArrayT = TypeVar("ArrayT", bound=ArrayObject)
"""The array class of an argument of a public function, which is that of the result, too."""

Namespace: TypeAlias = Any
"""A module with the functions of the array API standard."""

DType: TypeAlias = Any
Device: TypeAlias = Any

Axis: TypeAlias = int | tuple[int, ...] | None
ReductionKind: TypeAlias = Literal["none", "mean", "sum"]
NormalizeBy: TypeAlias = Literal["count", "size", "weight", "nonzero", "batch"]
Precision: TypeAlias = Literal["native", "high"]
