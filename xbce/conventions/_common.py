"""What several conventions share: no formulas, no names of systems."""

from typing import Any

import array_api_compat as compat

from xbce._inputs import fits_into, same_length, same_shape
from xbce._typing import Array, DType, Namespace, NormalizeBy
from xbce.steps import check_labels, reduce

__all__ = [
    "cast",
    "compatible",
    "first_outside",
    "fits_into",
    "is_floating",
    "namespace",
    "same_shape",
    "zero_of_nothing",
]


def namespace(name: str, x: Any) -> Namespace:
    """Return the namespace of an array; refuse what is none."""
    try:
        return compat.array_namespace(x)
    except TypeError:
        msg = f"{name} must be an array of a library that follows the array API standard, got {type(x).__qualname__}"
        raise TypeError(msg) from None


def is_floating(x: Array) -> bool:
    """Return whether an array is of a real floating dtype; isdtype does not know NumPy's bfloat16."""
    return "float" in str(x.dtype)


def cast(x: Array, dtype: DType) -> Array:
    """Return an array in a dtype."""
    return x if x.dtype == dtype else compat.array_namespace(x).astype(x, dtype)


def compatible(x: Array, y: Array) -> bool:
    """Return whether two arrays broadcast against each other."""
    pairs = zip(reversed(x.shape), reversed(y.shape), strict=False)
    return all(1 in (a, b) or same_length(a, b) for a, b in pairs)


def zero_of_nothing(
    mean: Array,
    like: Array,
    *,
    weight: Array | None = None,
    where: Array | None = None,
    normalize_by: NormalizeBy,
) -> Array:
    """Return a mean of losses of the shape of `like`, but 0 where it was divided by 0, whatever was."""
    xp = compat.array_namespace(mean)
    if 0 in like.shape:
        return xp.zeros_like(mean)
    if normalize_by == "nonzero" and weight is not None:
        where = weight != 0 if where is None else (weight != 0) & where
    summed = weight if normalize_by == "weight" else None
    counted = where if normalize_by in ("count", "weight", "nonzero") else None
    if summed is None and counted is None:
        return mean
    denominator = reduce(xp.ones_like(like), weight=summed, where=counted, reduction="sum")
    return xp.where(denominator == 0, xp.zeros_like(mean), mean)[()]  # in NumPy a scalar, as every mean is


def first_outside(name: str, x: Array) -> str | None:
    """Describe the first value that is not in [0, 1]; None without one, or where values cannot be looked at."""
    if compat.is_torch_array(x):
        import torch

        if torch.compiler.is_compiling():
            return None
    try:
        check_labels(x)
    except ValueError as error:
        return str(error).replace("labels", name, 1)
    except (TypeError, RuntimeError):  # lazy (Dask), traced (JAX), or inside torch.func
        return None
    return None
