"""Functions that several conventions share; they contain no formulas and no names of systems."""

import sys
from typing import Any

import array_api_compat as compat

from .._call.inputs import one_library
from .._call.kernel import is_floating
from .._call.lengths import fits_into, may_be, must_be, same_length, same_shape
from .._call.numbers import new_device
from .._call.promotion import device_of
from .._call.promotion import namespace_of as namespace
from .._typing import Array, Device, DType, Namespace, NormalizeBy
from ..labels import check_labels
from ..reduction import reduce

__all__ = [
    "arrays_of_one_library",
    "cast",
    "compatible",
    "device_beside",
    "dtype_named",
    "first_outside",
    "fits_into",
    "is_floating",
    "is_number",
    "is_torch",
    "namespace",
    "namespace_of",
    "one_library",
    "same_shape",
    "zero_of_nothing",
]


def namespace_of(x: Array) -> Namespace:
    """Return the namespace of an array that has been checked before."""
    return namespace("argument", x)


def is_torch(x: Array) -> bool:
    """Tell whether an array is PyTorch's; torch.compile warns of array-api-compat's own function, which is cached."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)


def is_number(x: Any) -> bool:
    """Tell whether an argument is a number, not an array."""
    return isinstance(x, (bool, int, float))


def device_beside(x: Array) -> Device:
    """Return the device argument for a new array that is combined with `x`."""
    xp = namespace_of(x)
    return new_device(xp, device_of("argument", xp, x))


def arrays_of_one_library(name: str, first: Array, **others: Any) -> tuple[Any, ...]:
    """Check as `one_library` does, and convert numbers, lists and data frames to arrays like the first argument."""
    made = {other: x for other, x in others.items() if _becomes_an_array(x)}
    arrays = {other: x for other, x in others.items() if other not in made}
    first, *rest = one_library(**{name: first}, **arrays)
    xp, device = namespace(name, first), device_beside(first)
    taken = made | dict(zip(arrays, rest, strict=True))  # one_library makes Python numbers of NumPy scalars
    taken = {other: xp.asarray(x, device=device) if _becomes_an_array(x) else x for other, x in taken.items()}
    return first, *(taken[other] for other in others)


def _becomes_an_array(x: Any) -> bool:
    if is_number(x) or isinstance(x, (list, tuple)):
        return True
    return not is_torch(x) and hasattr(x, "__array__") and not compat.is_array_api_obj(x)


def dtype_named(argument: str, name: str, like: Array) -> DType:
    """Return the dtype with a name, in the library of the array `like`; `argument` is for error texts.

    NumPy has bfloat16 where the package ml_dtypes is installed, as in Keras.
    """
    xp = namespace_of(like)
    dtype = getattr(xp, name, None)
    if dtype is not None:
        return dtype
    if compat.is_dask_namespace(xp):  # its namespace lacks some dtypes of its chunks
        return dtype_named(argument, name, like._meta)  # noqa: SLF001
    if name == "bfloat16" and compat.is_numpy_namespace(xp):
        try:
            import ml_dtypes
        except ImportError:
            msg = f"{argument}={name!r} needs the package ml_dtypes for NumPy's arrays, and it is not installed"
            raise ValueError(msg) from None
        return ml_dtypes.bfloat16
    msg = f"{argument} must be a dtype of the arrays' library, got {name!r}, which {xp.__name__} does not have"
    raise ValueError(msg)


def cast(x: Array, dtype: DType) -> Array:
    """Return an array in a dtype of its library; for arguments after `one_library`."""
    return x if x.dtype == dtype else namespace_of(x).astype(x, dtype)


def compatible(x: Array, y: Array) -> bool:
    """Tell whether two arrays broadcast against each other."""
    pairs = zip(reversed(x.shape), reversed(y.shape), strict=False)
    return all(must_be(a == 1) or must_be(b == 1) or same_length(a, b) for a, b in pairs)


def zero_of_nothing(
    mean: Array,
    like: Array,
    *,
    weight: Array | None = None,
    where: Array | None = None,
    normalize_by: NormalizeBy,
) -> Array:
    """Return a mean of losses of the shape of `like`, but 0 where its denominator is 0."""
    xp = namespace_of(mean)
    if any(must_be(n == 0) for n in like.shape):
        return xp.zeros_like(mean)
    if normalize_by == "nonzero" and weight is not None:
        where = weight != 0 if where is None else (weight != 0) & where
    summed = weight if normalize_by == "weight" else None
    counted = where if normalize_by in ("count", "weight", "nonzero") else None
    if summed is None and counted is None and not any(may_be(n == 0) for n in like.shape):
        return mean
    denominator = reduce(xp.ones_like(like), weight=summed, where=counted, reduction="sum")
    return xp.where(denominator == 0, xp.zeros_like(mean), mean)[()]  # in NumPy a scalar, as every mean is


def first_outside(name: str, x: Array) -> str | None:
    """Describe the first value that is not in [0, 1]; None if there is none, or if values cannot be read."""
    if is_torch(x):
        import torch

        if torch.compiler.is_compiling() or torch.jit.is_tracing():
            return None
    try:
        check_labels(x)
    except ValueError as error:
        return str(error).replace("labels", name, 1)
    except (TypeError, RuntimeError):  # lazy (Dask), traced (JAX), or inside torch.func
        return None
    return None
