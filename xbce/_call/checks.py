"""Checks of single arguments, with their error texts; checks of arrays apply to the chunks of a Dask array, too.

No check reads the values in an array; only `concrete_bool` does, for arrays from `eager_real`.
"""

import math
import operator
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, get_args

import array_api_compat as compat

from .._typing import Array, Axis, Device, DType, Namespace, NormalizeBy, ReductionKind
from .array_kinds import plain
from .lengths import fits_into, is_unknown, may_be, same_length, same_shape
from .numbers import as_number, is_from_numpy, new_device, value_of
from .promotion import FLOATS, INTEGERS, dtype_name, is_dask, is_torch, namespace_of
from .texts import digits_of, shown, type_name

Role = Literal["first", "same shape", "fits", "option", "may enlarge", "mask", "scalar"]
"""How shape and dtype of an argument must relate to those of the first: see `require_role`."""


def reduction_options(
    name: str, x: Array, reduction: ReductionKind, axis: Axis, normalize_by: NormalizeBy
) -> tuple[int, ...]:
    """Check how the array called `name` is to be reduced; return the axes, sorted and counted from the end."""
    ndim = x.ndim
    require_choice("reduction", reduction, get_args(ReductionKind))
    require_choice("normalize_by", normalize_by, get_args(NormalizeBy))
    if normalize_by == "batch" and reduction == "mean" and ndim == 0:
        msg = f"normalize_by='batch' divides by the length of axis 0, but {name} has 0 dimensions"
        raise ValueError(msg)
    if normalize_by == "batch" and reduction == "mean" and is_unknown(x.shape[0]):
        advice = "; call its method compute_chunk_sizes first" if compat.is_dask_array(x) else ""
        msg = f"normalize_by='batch' divides by the length of axis 0, but that of {name} is not known yet{advice}"
        raise ValueError(msg)
    if axis is None:
        return tuple(range(-ndim, 0))
    if reduction == "none":
        msg = f"axis is for reduction='mean' and reduction='sum'; got axis={axis!r} with reduction='none'"
        raise ValueError(msg)
    axes = axis if isinstance(axis, tuple) else (axis,)
    positive = []
    for given in axes:
        i = _index(given)
        if i is None:
            msg = f"axis must be an int, a tuple of ints or None, got {axis!r}"
            raise TypeError(msg)
        if not -ndim <= i < ndim:
            msg = f"axis {shown(i)} is out of bounds for {name} with {ndim} dimension{'' if ndim == 1 else 's'}"
            raise ValueError(msg)
        positive.append(i % ndim)
    if len(set(positive)) != len(positive):
        msg = f"axis must not name an axis twice, got {axis!r} for {name} with {ndim} dimensions"
        raise ValueError(msg)
    return tuple(i - ndim for i in sorted(positive))


def result_options(
    xp: Namespace,
    device: Device,
    reduction: ReductionKind,
    keepdims: bool,
    dtype: DType | None,
) -> tuple[bool, DType | None]:
    """Check what a mean or sum is to be; return whether its axes remain, and its dtype or None."""
    if not isinstance(keepdims, bool):
        msg = f"keepdims must be True or False, got {shown(keepdims)}"
        raise TypeError(msg)
    if reduction == "none" and (keepdims or dtype is not None):
        name, given = ("keepdims", keepdims) if keepdims else ("dtype", dtype)
        msg = f"{name} is for reduction='mean' and reduction='sum'; got {name}={given!r} with reduction='none'"
        raise ValueError(msg)
    return keepdims, None if dtype is None else _floating_dtype(xp, device, dtype)


def _floating_dtype(xp: Namespace, device: Device, dtype: DType) -> DType:
    """Return a dtype of the library, as its arrays have it."""
    try:
        found = xp.empty((0,), dtype=dtype, device=new_device(xp, device)).dtype
    except Exception:  # noqa: BLE001 - each library has an error of its own
        found = None
    if found is None or dtype_name(found) not in FLOATS:
        msg = f"dtype must be a floating dtype of the library of the arrays, such as {xp.float32!r}; got {shown(dtype)}"
        raise TypeError(msg)
    return found


def _index(x: Any) -> int | None:
    """Return `x` as an int; None for a boolean, for what is no integer, and for an array of several elements."""
    if isinstance(x, bool):
        return None
    if isinstance(x, int):
        # torch.compile may have made it a symbol; `operator.index` specialises the compiled code to its value.
        return operator.index(x)
    if hasattr(x, "dtype") and not dtype_name(x.dtype).startswith(("int", "uint")):
        return None
    try:
        return operator.index(x)
    except TypeError:
        return None


def option_in(
    name: str, x: Any, low: float = -math.inf, high: float = math.inf, *, below: bool = False, zero: bool = True
) -> Any:
    """Check an option that may be an array, whose values are not read; return a number as a float.

    Without `zero` a number that is 0 gives None: it turns the option off.
    """
    if is_array_option(x):
        return x
    if as_number(x) is None or isinstance(as_number(x), bool):
        msg = f"{name} must be a number or an array, got {type_name(x)}"
        raise TypeError(msg)
    number = number_in(name, x, low, high, below=below)
    return number if zero or number != 0 else None


def is_array_option(x: Any) -> bool:
    """Tell whether an option is an array; one of NumPy without dimensions is a number."""
    if isinstance(x, (int, float)) and not is_from_numpy(x):  # torch.compile does not support `hasattr` of its symbols
        return False
    return hasattr(x, "dtype") and hasattr(x, "shape") and (bool(x.shape) or not is_from_numpy(x))


def number_in(name: str, x: Any, low: float = -math.inf, high: float = math.inf, *, below: bool = False) -> float:
    """Check a static option: a number from `low` to `high`, or below `high`; return it as a float."""
    number = as_number(x)
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        msg = f"{name} must be a Python or NumPy number, got {type_name(x)}"
        raise TypeError(msg)
    infinite = number in (-math.inf, math.inf)
    if low <= number <= high and not infinite and not (below and number == high):
        return _as_float(name, number) + 0.0  # -0.0 equals 0.0, so both must have the same results
    bounds = [f"at least {low:g}"] if low > -math.inf else []
    if high < math.inf:
        bounds.append(f"below {high:g}" if below else f"at most {high:g}")
    if infinite and math.inf in (-low, high):
        bounds.append("finite")
    msg = f"{name} must be {' and '.join(bounds)}, got {shown(x)}"
    raise ValueError(msg)


def _as_float(name: str, x: float) -> float:
    try:
        return float(x)
    except OverflowError:
        msg = f"{name} must be a number that float64 can hold, got {shown(x)}"
        raise ValueError(msg) from None


def count_of(name: str, n: Any) -> int:
    """Check a positive int; return it."""
    number = _index(n)
    if number is None:
        msg = f"{name} must be an int, got {type_name(n)}"
        raise TypeError(msg)
    if number < 1:
        msg = f"{name} must be at least 1, got {shown(number)}"
        raise ValueError(msg)
    return number


def at_most_one(**options: Any) -> None:
    """Check that at most one of the options is given."""
    given = [name for name, x in options.items() if x is not None]
    if len(given) > 1:
        msg = f"at most one of {', '.join(options)} may be given, got {' and '.join(given)}"
        raise ValueError(msg)


def eager_real(name: str, x: Any) -> tuple[Namespace, Array]:
    """Check an argument whose values will be read; return its namespace, and the array in a dtype with comparisons."""
    xp = namespace_of(name, x)
    x = plain(name, x)
    if require_real(name, x) is None:
        dtype = dtype_name(x.dtype)
        if dtype == "bool":
            x = xp.astype(x, xp.uint8)
        elif is_torch(xp) and dtype in ("uint16", "uint32", "uint64"):
            # PyTorch compares none of these: https://github.com/pytorch/pytorch/issues/58734
            x = xp.astype(x, xp.int64)  # numbers above 2^63 become negative, and stay outside of [0, 1]
    return xp, x.detach() if is_torch(xp) else x


def digits(x: Array, dtype: DType) -> str:
    """Return digits that identify the value of a 0-d array; `dtype` is its dtype before `eager_real`."""
    name = dtype_name(dtype)
    if name in FLOATS:
        return digits_of(float(x), name)
    number = int(x)
    return str(number + 2**64 if number < 0 and name == "uint64" else number)


def concrete_bool(name: str, x: Array) -> bool:
    """Return the value of a 0-d array that was computed from the argument `name`; refuse lazy and traced arrays."""
    if is_dask(namespace_of(name, x)):  # it could be computed, but not as a side effect of a check
        raise TypeError(_without_values(name))
    with values_of(name):
        return bool(x)


@contextmanager
def values_of(name: str) -> Iterator[None]:
    """Say which argument it is whose values are read in the block, if it has none."""
    try:
        yield
    except (TypeError, RuntimeError, ValueError) as error:
        # JAX and MLX, while they trace; ndonnx; PyTorch's meta and fake tensors, and vmap
        raise TypeError(_without_values(name)) from error


def _without_values(name: str) -> str:
    return f"{name} must have values that can be looked at, got a lazy or traced array"


def _require_same_shape(name: str, x: Array, first_name: str, first: Array) -> None:
    if not same_shape(x, first):
        msg = f"{name} must have the shape of {first_name}, got {name} {_shape(x)} and {first_name} {_shape(first)}"
        raise ValueError(msg)


def _require_broadcastable(name: str, x: Array, first_name: str, first: Array) -> None:
    """Check that an array broadcasts to the shape of the first argument."""
    if not fits_into(x, first):
        msg = (
            f"{name} must broadcast to the shape of {first_name} without enlarging it, "
            f"got {name} {_shape(x)} and {first_name} {_shape(first)}"
        )
        raise ValueError(msg)


def _require_mutual(name: str, x: Array, first_name: str, first: Array) -> None:
    """Check that two arrays broadcast against each other."""
    pairs = zip(reversed(x.shape), reversed(first.shape), strict=False)
    if not all(same_length(a, b) or a == 1 or b == 1 for a, b in pairs):
        msg = (
            f"{name} and {first_name} must broadcast together, got {name} {_shape(x)} and {first_name} {_shape(first)}"
        )
        raise ValueError(msg)


def require_role(name: str, x: Array, role: Role, first_name: str, first: Array) -> None:
    """Check the shape and the dtype of an array, or of a chunk of one, beside the first array or its chunk."""
    match role:
        case "first":
            require_floating(name, x)
        case "same shape":
            _require_same_shape(name, x, first_name, first)
            require_real(name, x)
        case "fits":
            _require_broadcastable(name, x, first_name, first)
            require_real(name, x)
        case "option":
            _require_broadcastable(name, x, first_name, first)
            if dtype_name(x.dtype) not in (*FLOATS, *INTEGERS - {"bool"}):
                msg = f"{name} must be integer or one of {', '.join(FLOATS)}, got {dtype_name(x.dtype)}"
                raise TypeError(msg)
        case "may enlarge":
            require_floating(name, x)
            _require_mutual(name, x, first_name, first)
        case "mask":
            _require_broadcastable(name, x, first_name, first)
            if not dtype_name(x.dtype).startswith("bool"):
                msg = f"{name} must be boolean (True keeps an element), got {dtype_name(x.dtype)}"
                raise TypeError(msg)


def require_choice(name: str, x: Any, choices: tuple[Any, ...]) -> None:
    if not isinstance(x, str) or x not in choices:
        msg = f"{name} must be one of {', '.join(map(repr, choices))}, got {x!r}"
        raise ValueError(msg)


def require_non_negative(name: str, x: Array | float) -> None:
    """Check that a number is not negative; the values in an array are not read."""
    number = value_of(x)
    if number is not None and not may_be(number >= 0):
        msg = f"{name} must not be negative or NaN, got {shown(x)}"
        raise ValueError(msg)


def require_finite(name: str, x: Array | float) -> None:
    """Check that a number is finite; the values in an array are not read."""
    number = value_of(x)
    if isinstance(number, float) and not may_be(abs(number) <= sys.float_info.max):
        msg = f"{name} must be finite, got {shown(x)}"
        raise ValueError(msg)


def require_floating(name: str, x: Array) -> str:
    """Return the floating dtype's name."""
    dtype = dtype_name(x.dtype)
    if dtype not in FLOATS:
        msg = f"{name} must have one of the dtypes {', '.join(FLOATS)}, got {dtype}{_cast_hint(dtype)}"
        raise TypeError(msg)
    return dtype


def require_real(name: str, x: Array) -> str | None:
    """Return the floating dtype's name, or None for a boolean or integer array."""
    dtype = dtype_name(x.dtype)
    if dtype in FLOATS:
        return dtype
    # By name: a namespace may lack the integer dtypes of ml_dtypes, although its arrays can have and convert them.
    if dtype in INTEGERS:
        return None
    msg = f"{name} must be boolean, integer or one of {', '.join(FLOATS)}, got {dtype}{_cast_hint(dtype)}"
    raise TypeError(msg)


def _cast_hint(dtype: str) -> str:
    """Say what to do with the narrow floats of ml_dtypes and PyTorch: float32 holds all of their numbers."""
    return "; cast it to float32, which holds its numbers" if dtype.startswith(("float8", "float6", "float4")) else ""


def _shape(x: Array) -> Sequence[Any]:
    return tuple(x.shape)
