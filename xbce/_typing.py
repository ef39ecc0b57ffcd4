"""Names for what the array API standard leaves untyped."""

from typing import Any, Literal, TypeAlias

Array: TypeAlias = Any
"""An array of any library that follows the array API standard."""

Namespace: TypeAlias = Any
"""A module with the functions of the array API standard."""

DType: TypeAlias = Any
Device: TypeAlias = Any

Axis: TypeAlias = int | tuple[int, ...] | None
ReductionKind: TypeAlias = Literal["none", "mean", "sum"]
NormalizeBy: TypeAlias = Literal["count", "size", "weight", "nonzero", "batch"]
