"""Names for what the array API standard leaves untyped."""

from typing import Any, Literal, Protocol, TypeAlias, TypeVar

Array: TypeAlias = Any
"""An array of any library that follows the array API standard, where nothing is known of its type."""


class ArrayObject(Protocol):
    """An array in a public signature: what those of NumPy, PyTorch, JAX, CuPy and Dask have, and str and list lack."""

    @property
    def shape(self) -> Any:
        """Lengths of the axes."""

    @property
    def dtype(self) -> Any:
        """Type of the elements."""


ArrayT = TypeVar("ArrayT", bound=ArrayObject)
"""The class of an array that a public function takes, and returns an array of."""

Namespace: TypeAlias = Any
"""A module with the functions of the array API standard."""

DType: TypeAlias = Any
Device: TypeAlias = Any

Axis: TypeAlias = int | tuple[int, ...] | None
ReductionKind: TypeAlias = Literal["none", "mean", "sum"]
NormalizeBy: TypeAlias = Literal["count", "size", "weight", "nonzero", "batch"]
