"""The one door: every argument of a public function is checked, promoted and brought to one dtype here.

All error messages about arguments live here. Nothing here looks at the values in an array, so everything is raised
for traced and lazy arrays too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import array_api_compat as compat

from xbce._typing import Array, Axis, Device, DType, Namespace, ReductionKind

# In rising width. A mixture of the two half types widens to the narrowest dtype that holds both.
_FLOATS = ("float16", "bfloat16", "float32", "float64")
_HALVES = ("float16", "bfloat16")


@dataclass(frozen=True, slots=True)
class Inputs:
    """Arguments that have passed the door."""

    xp: Namespace
    device: Device
    """Device of the logits, and so of the result."""
    dtype: DType
    """Floating dtype of the result."""
    arrays: tuple[Array, ...]
    """The arrays in the dtype that formulas are computed in: float32 for the half types, else `dtype`."""


def losses_inputs(logits: Array, labels: Array) -> Inputs:
    """Check the arrays of a loss and bring them to one dtype."""
    xp = _namespace("logits", logits)
    logits = _plain("logits", logits, xp)
    logits_float = _require_floating("logits", logits)
    device = compat.device(logits)
    if isinstance(labels, (bool, int, float)):
        # As an array of the logits' dtype holding that number would be taken: a Python scalar never widens.
        labels = xp.full((), labels, dtype=logits.dtype, device=device)
    else:
        _require_same_library("labels", labels, xp, device)
        labels = _plain("labels", labels, xp)
        _require_same_shape("labels", labels, logits)
    labels_float = _require_real("labels", labels, xp)

    name = _promote(logits_float, labels_float)
    # The half types are not in every namespace (NumPy gets bfloat16 from elsewhere): then an operand has the dtype.
    dtype = getattr(xp, name, None) or (logits.dtype if logits_float == name else labels.dtype)
    computing = xp.float32 if name in _HALVES else dtype
    if labels_float is None:
        labels = _cast(xp, labels, logits.dtype)  # an integer label is rounded to the dtype of the logits
    return Inputs(xp, device, dtype, (_cast(xp, logits, computing), _cast(xp, labels, computing)))


def reduction_axes(reduction: ReductionKind, axis: Axis, ndim: int) -> tuple[int, ...]:
    """Check `reduction` and `axis`; return the axes as sorted non-negative integers (all of them for None)."""
    kinds = get_args(ReductionKind)
    if reduction not in kinds:
        msg = f"reduction must be one of {', '.join(map(repr, kinds))}, got {reduction!r}"
        raise ValueError(msg)
    if axis is None:
        return tuple(range(ndim))
    if reduction == "none":
        msg = f"axis is for reduction='mean' and reduction='sum'; got axis={axis!r} with reduction='none'"
        raise ValueError(msg)
    axes = axis if isinstance(axis, tuple) else (axis,)
    for i in axes:
        if isinstance(i, bool) or not hasattr(i, "__index__"):
            msg = f"axis must be an int, a tuple of ints or None, got {axis!r}"
            raise TypeError(msg)
        if not -ndim <= i < ndim:
            msg = f"axis {i} is out of bounds for logits with {ndim} dimension{'' if ndim == 1 else 's'}"
            raise ValueError(msg)
    positive = sorted(i.__index__() % ndim for i in axes)
    if len(set(positive)) != len(positive):
        msg = f"axis must not name an axis twice, got {axis!r} for logits with {ndim} dimensions"
        raise ValueError(msg)
    return tuple(positive)


def accumulation_dtype(xp: Namespace, dtype: DType, device: Device) -> DType:
    """Return the dtype that sums run in: float64 where the device has it, else `dtype`, which is float32 there."""
    if _dtype_name(dtype) == "float64":
        return dtype
    return xp.__array_namespace_info__().dtypes(device=device, kind="real floating").get("float64", dtype)


def _namespace(name: str, x: Any) -> Namespace:
    try:
        return compat.array_namespace(x)
    except TypeError:
        msg = (
            f"{name} must be an array of a library that follows the array API standard "
            f"(NumPy, CuPy, PyTorch, JAX, Dask, ...), got {_type_name(x)}"
        )
        raise TypeError(msg) from None


def _plain(name: str, x: Array, xp: Namespace) -> Array:
    """Return a NumPy subclass as the array it is; refuse one whose meaning would be lost."""
    if xp.__name__ != "array_api_compat.numpy" or type(x) is xp.ndarray:
        return x
    if hasattr(x, "mask") and hasattr(x, "filled"):
        msg = f"{name} must not be a masked array: its mask would be ignored"
        raise TypeError(msg)
    return xp.asarray(x)  # numpy.matrix has another meaning of `*`; a NumPy scalar becomes a 0-d array


def _require_same_library(name: str, x: Any, xp: Namespace, device: Device) -> None:
    other = _namespace(name, x)
    if other is not xp:
        msg = (
            f"{name} must be an array of the same library as logits ({_library(xp)}), got an array of "
            f"{_library(other)}; convert it first, nothing is transferred silently"
        )
        raise TypeError(msg)
    # JAX has no device while it traces, and a sharding rather than a device otherwise: it compares them itself.
    if not compat.is_jax_namespace(xp) and compat.device(x) != device:
        msg = (
            f"{name} must be on the device of logits ({device}), got {compat.device(x)}; "
            "nothing is transferred silently"
        )
        raise ValueError(msg)


def _require_same_shape(name: str, x: Array, logits: Array) -> None:
    if len(x.shape) == len(logits.shape) and all(map(_same_length, x.shape, logits.shape)):
        return
    msg = f"{name} must have the shape of logits, got {name} {_shape(x)} and logits {_shape(logits)}"
    raise ValueError(msg)


def _same_length(a: Any, b: Any) -> bool:
    """Compare two dimensions; one that is unknown (None, or NaN in Dask) is left to the library."""
    return _unknown(a) or _unknown(b) or bool(a == b)


def _unknown(length: Any) -> bool:
    return length is None or (isinstance(length, float) and math.isnan(length))


def _require_floating(name: str, x: Array) -> str:
    dtype = _dtype_name(x.dtype)
    if dtype not in _FLOATS:
        msg = f"{name} must have one of the dtypes {', '.join(_FLOATS)}, got {dtype}"
        raise TypeError(msg)
    return dtype


def _require_real(name: str, x: Array, xp: Namespace) -> str | None:
    """Return the floating dtype's name, or None for a boolean or integer array."""
    dtype = _dtype_name(x.dtype)
    if dtype in _FLOATS:
        return dtype
    if dtype.startswith(("bool", "int", "uint")) and xp.isdtype(x.dtype, ("bool", "integral")):
        return None
    msg = f"{name} must be boolean, integer or one of {', '.join(_FLOATS)}, got {dtype}"
    raise TypeError(msg)


def _promote(first: str, second: str | None) -> str:
    if second is None or second == first:
        return first
    if first in _HALVES and second in _HALVES:
        return "float32"
    return max(first, second, key=_FLOATS.index)


def _cast(xp: Namespace, x: Array, dtype: DType) -> Array:
    return x if x.dtype == dtype else xp.astype(x, dtype)


def _dtype_name(dtype: DType) -> str:
    """Return 'float32' for numpy.float32, torch.float32, ..., also where the namespace does not know the dtype."""
    return getattr(dtype, "name", None) or str(dtype).rpartition(".")[2]


def _library(xp: Namespace) -> str:
    name: str = xp.__name__.removeprefix("array_api_compat.")
    return name.partition(".")[0]


def _type_name(x: Any) -> str:
    cls = type(x)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _shape(x: Array) -> Sequence[Any]:
    return tuple(x.shape)
