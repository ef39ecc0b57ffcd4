"""The one door: every argument of a public function is checked here, and the dtypes of the computation are chosen.

All error messages about arguments live here. Nothing here looks at the values in an array, so everything is raised
for traced and lazy arrays too.
"""

import functools
import math
import operator
import sys
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import array_api_compat as compat

from xbce._typing import Array, Axis, Device, DType, Namespace, NormalizeBy, ReductionKind

# In rising width. A mixture of the two half types widens to the narrowest dtype that holds both.
_FLOATS = ("float16", "bfloat16", "float32", "float64")
_HALVES = ("float16", "bfloat16")


@dataclass(frozen=True, slots=True)
class Inputs:
    """Arguments that have passed the door."""

    xp: Namespace
    device: Device
    """Device of the first argument, and so of the result."""
    dtype: DType
    """Floating dtype of the result."""
    computing: DType
    """Dtype of the computation: float32 for the half types, else `dtype`."""
    arrays: tuple[Array, ...]
    """As they came, those of the formula first; all broadcast to the shape of the first one."""
    arguments: int
    """How many of them the formula takes."""
    integers: tuple[int, ...] = ()
    """Which of them are boolean or integer."""
    weight: int | None = None
    """Which of them is the weight."""
    where: int | None = None
    """Which of them is the mask."""


def loss_inputs(
    name: str,
    scores: Array,
    labels: Array | float,
    *,
    pos_weight: Array | float | None,
    weight: Array | float | None,
    where: Array | None,
) -> Inputs:
    """Check the arrays of a loss; `name` is what the loss calls its first argument."""
    door = _Door(name, scores)
    # A scalar label stands for an array of the logits' dtype that holds it.
    door.add("labels", labels, scalar_dtype=door.first.dtype, same_shape=True)
    if pos_weight is not None:
        _require_non_negative("pos_weight", pos_weight)
        door.add("pos_weight", pos_weight)
    return door.inputs(weight=weight, where=where)


def reduce_inputs(losses: Array, *, weight: Array | float | None, where: Array | None) -> Inputs:
    """Check the arrays of a reduction."""
    return _Door("losses", losses).inputs(weight=weight, where=where)


def primitive_inputs(**arguments: Array | float) -> Inputs:
    """Check the arguments of an elementwise function of equals, one of which must be an array; any shapes."""
    scalars = (bool, int, float)
    first = next((name for name, x in arguments.items() if not isinstance(x, scalars)), next(iter(arguments)))
    door = _Door(first, arguments[first])
    for name, x in arguments.items():
        if name != first:
            door.add(name, x, equal=True)
    order = [first, *(name for name in arguments if name != first)]
    door.arrays = [door.arrays[order.index(name)] for name in arguments]
    return door.inputs()


_ARRAYS = ("pos_weight", "weight", "where")
"""Options that are arrays, in the order in which the door takes them."""


def call_key(methods: tuple[str, ...], args: Any, kwargs: Any) -> tuple[Hashable, tuple[Array, ...]] | None:
    """Return all that the checks of a call look at, and its arrays in the order of `Inputs.arrays`.

    None where this is not so simple: for arrays of other libraries than NumPy and PyTorch, for scalars in the place of
    arrays, for options that compare equal to others (True to 1), and while PyTorch compiles.
    """
    torch = sys.modules.get("torch")
    if len(args) != 2 or (torch is not None and torch.compiler.is_compiling()):
        return None
    key: list[Any] = [methods]
    for x in args:
        fingerprint = _fingerprints[type(x)]
        if fingerprint is None:
            return None
        key.append(fingerprint(x))
    for name, x in kwargs.items():
        key.append(name)
        kind = type(x)
        if name in _ARRAYS and x is not None:
            fingerprint = _fingerprints[kind]
            if fingerprint is None:
                return None
            key.append(fingerprint(x))
        elif x is None or kind in (str, int, float) or (kind is tuple and all(type(i) is int for i in x)):
            key.append((kind, x))
        else:
            return None
    return tuple(key), (*args, *(kwargs[name] for name in _ARRAYS if kwargs.get(name) is not None))


class _Fingerprints(dict[type, Callable[[Any], Hashable] | None]):
    """What the checks see of an array, for the classes whose arrays come out of the door as they went in."""

    def __missing__(self, cls: type) -> Callable[[Any], Hashable] | None:
        numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
        found: Callable[[Any], Hashable] | None = None
        if numpy is not None and cls is numpy.ndarray:
            found = _seen_of_numpy
        elif torch is not None and cls in (torch.Tensor, torch.nn.Parameter):
            found = _seen_of_torch
        self[cls] = found
        return found


def _seen_of_numpy(x: Any) -> Hashable:
    return x.dtype, x.shape


def _seen_of_torch(x: Any) -> Hashable:
    dtype, device = x.dtype, x.device
    return dtype, x.shape, device, dtype.itemsize == 2 and autocasts(sys.modules["torch"], device)


_fingerprints = _Fingerprints()


class _Door:
    """Collects the arrays of one call, each checked against the first."""

    def __init__(self, name: str, first: Any) -> None:
        self.name = name
        self.xp = _namespace(name, first)
        self.first = _plain(name, first, self.xp)
        self.device = _device(self.xp, self.first)
        self.dtypes: dict[str, DType] = {_require_floating(name, self.first): self.first.dtype}
        self.arrays: list[Array] = [self.first]
        self.integers: list[int] = []

    def add(
        self, name: str, x: Any, *, scalar_dtype: DType = None, same_shape: bool = False, equal: bool = False
    ) -> None:
        """Check an argument. A Python scalar takes `scalar_dtype`, or else that of the computation.

        One that is `equal` to the first must be floating too, and may enlarge its shape.
        """
        if isinstance(x, (bool, int, float)):
            # 0-d, and of a dtype that is not counted in the promotion: a Python scalar never widens.
            self.arrays.append(self._scalar(x, scalar_dtype))
            return
        x = self._same_library(name, x)
        if same_shape:
            _require_same_shape(name, x, self.name, self.first)
        elif equal:
            _require_floating(name, x)
        else:
            _require_broadcastable(name, x, self.name, self.first)
        dtype = _require_real(name, x, self.xp)
        if dtype is None:
            self.integers.append(len(self.arrays))
        else:
            self.dtypes.setdefault(dtype, x.dtype)
        self.arrays.append(x)

    def mask(self, where: Any) -> Array:
        """Check the argument `where`."""
        where = self._same_library("where", where)
        _require_broadcastable("where", where, self.name, self.first)
        if not _dtype_name(where.dtype).startswith("bool"):
            msg = f"where must be boolean (True keeps an element), got {_dtype_name(where.dtype)}"
            raise TypeError(msg)
        return where

    def inputs(self, *, weight: Array | float | None = None, where: Array | None = None) -> Inputs:
        """Take the arguments that are not the formula's, and return all."""
        arguments = len(self.arrays)
        if weight is not None:
            self.add("weight", weight)
        mask = () if where is None else (self.mask(where),)
        name = functools.reduce(_promote, self.dtypes)
        if name in _HALVES and _is_torch(self.xp) and autocasts(sys.modules["torch"], self.device):
            name = "float32"
        # Not every namespace has the half types (NumPy gets bfloat16 from elsewhere): then an argument has the dtype.
        dtype = self.dtypes[name] if name in _HALVES else getattr(self.xp, name)
        return Inputs(
            xp=self.xp,
            device=self.device,
            dtype=dtype,
            computing=self.xp.float32 if name in _HALVES else dtype,
            arrays=(*self.arrays, *mask),
            arguments=arguments,
            integers=tuple(self.integers),
            weight=None if weight is None else arguments,
            where=None if where is None else len(self.arrays),
        )

    def _scalar(self, x: float, dtype: DType) -> Array:
        # float64 holds every Python float until the dtype of the computation is known; without it, float32 is that.
        if dtype is None:
            widest = accumulation_dtype(self.xp, self.xp.float32, self.device)
            return self.xp.full((), float(x), dtype=widest, device=self.device)
        return self.xp.full((), x, dtype=dtype, device=self.device)

    def _same_library(self, name: str, x: Any) -> Array:
        other = _namespace(name, x)
        if other is not self.xp:
            msg = (
                f"{name} must be an array of the same library as {self.name} ({_library(self.xp)}), got an array of "
                f"{_library(other)}; convert it first, nothing is transferred silently"
            )
            raise TypeError(msg)
        # JAX has no device while it traces, and a sharding rather than a device otherwise: it compares them itself.
        if not compat.is_jax_namespace(self.xp) and _device(self.xp, x) != self.device:
            msg = (
                f"{name} must be on the device of {self.name} ({self.device}), got {_device(self.xp, x)}; "
                "nothing is transferred silently"
            )
            raise ValueError(msg)
        return _plain(name, x, self.xp)


def reduction_options(
    name: str, shape: Sequence[Any], reduction: ReductionKind, axis: Axis, normalize_by: NormalizeBy
) -> tuple[int, ...]:
    """Check how the array called `name` is to be reduced; return the axes, sorted and counted from the end."""
    ndim = len(shape)
    _require_choice("reduction", reduction, get_args(ReductionKind))
    _require_choice("normalize_by", normalize_by, get_args(NormalizeBy))
    if normalize_by == "batch" and reduction == "mean" and ndim == 0:
        msg = f"normalize_by='batch' divides by the length of axis 0, but {name} has 0 dimensions"
        raise ValueError(msg)
    if normalize_by == "batch" and reduction == "mean" and _unknown(shape[0]):
        msg = (
            f"normalize_by='batch' divides by the length of axis 0, but that of {name} is not known yet; "
            "call its method compute_chunk_sizes first"
        )
        raise ValueError(msg)
    if axis is None:
        return tuple(range(-ndim, 0))
    if reduction == "none":
        msg = f"axis is for reduction='mean' and reduction='sum'; got axis={axis!r} with reduction='none'"
        raise ValueError(msg)
    axes = axis if isinstance(axis, tuple) else (axis,)
    positive = []
    for i in axes:
        if isinstance(i, bool) or not (isinstance(i, int) or hasattr(i, "__index__")):
            msg = f"axis must be an int, a tuple of ints or None, got {axis!r}"
            raise TypeError(msg)
        if not -ndim <= i < ndim:
            msg = f"axis {i} is out of bounds for {name} with {ndim} dimension{'' if ndim == 1 else 's'}"
            raise ValueError(msg)
        # torch.compile may have taken it for a number that changes; it is compiled for this one.
        positive.append(operator.index(i) % ndim)
    if len(set(positive)) != len(positive):
        msg = f"axis must not name an axis twice, got {axis!r} for {name} with {ndim} dimensions"
        raise ValueError(msg)
    return tuple(i - ndim for i in sorted(positive))


def number_in(name: str, x: Any, low: float = -math.inf, high: float = math.inf, *, below: bool = False) -> float:
    """Check a static option: a number from `low` to `high`, or below `high`; return it as a float."""
    if isinstance(x, bool) or not isinstance(x, (int, float)):
        msg = f"{name} must be a Python number, got {_type_name(x)}"
        raise TypeError(msg)
    if low <= x <= high and not (below and x == high):
        return float(x)
    bounds = [f"at least {low:g}"] if low > -math.inf else []
    if high < math.inf:
        bounds.append(f"below {high:g}" if below else f"at most {high:g}")
    msg = f"{name} must be {' and '.join(bounds)}, got {x!r}"
    raise ValueError(msg)


def count_of(name: str, n: Any) -> int:
    """Check a positive number of things."""
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        msg = f"{name} must be an int, got {_type_name(n)}"
        raise TypeError(msg)
    if n.__index__() < 1:
        msg = f"{name} must be at least 1, got {n}"
        raise ValueError(msg)
    return int(n.__index__())


def at_most_one(**options: Any) -> None:
    """Check that at most one of the options is given."""
    given = [name for name, x in options.items() if x is not None]
    if len(given) > 1:
        msg = f"at most one of {', '.join(options)} may be given, got {' and '.join(given)}"
        raise ValueError(msg)


def eager_real(name: str, x: Any) -> tuple[Namespace, Array]:
    """Check an argument whose values are to be looked at; return its namespace and it, booleans as 0 and 1."""
    xp = _namespace(name, x)
    x = _plain(name, x, xp)
    _require_real(name, x, xp)
    return xp, xp.astype(x, xp.uint8) if _dtype_name(x.dtype).startswith("bool") else x


def accumulation_dtype(xp: Namespace, dtype: DType, device: Device) -> DType:
    """Return the dtype that sums run in: float64 where the device has it, else `dtype`, which is float32 there."""
    if _dtype_name(dtype) == "float64":
        return dtype
    return xp.__array_namespace_info__().dtypes(device=device, kind="real floating").get("float64", dtype)


def concrete_bool(name: str, x: Array) -> bool:
    """Return the value of a 0-d array that was made from the argument `name`, if it has one yet."""
    msg = f"{name} must have values that can be looked at, got a lazy or traced array"
    if compat.is_dask_array(x):  # it could be computed, but not as a side effect of a check
        raise TypeError(msg)
    try:
        return bool(x)
    except TypeError:  # JAX, while it traces
        raise TypeError(msg) from None


_namespaces: dict[type, Namespace] = {}
"""Of the classes of arrays met so far: asking array-api-compat again takes as long as a small loss."""


def _namespace(name: str, x: Any) -> Namespace:
    cls = type(x)
    torch = sys.modules.get("torch")
    if torch is not None and issubclass(cls, torch.Tensor):
        # torch.compile warns of the caches of array-api-compat, and would compile again when ours grows.
        import array_api_compat.torch as xp

        return xp
    if cls not in _namespaces:
        try:
            _namespaces[cls] = compat.array_namespace(x)
        except TypeError:
            msg = (
                f"{name} must be an array of a library that follows the array API standard "
                f"(NumPy, CuPy, PyTorch, JAX, Dask, ...), got {_type_name(x)}"
            )
            raise TypeError(msg) from None
    return _namespaces[cls]


def _is_torch(xp: Namespace) -> bool:
    return bool(xp.__name__ == "array_api_compat.torch")


def _device(xp: Namespace, x: Array) -> Device:
    return x.device if _is_torch(xp) else compat.device(x)


def _plain(name: str, x: Array, xp: Namespace) -> Array:
    """Return a NumPy subclass as the array it is; refuse one whose meaning would be lost."""
    if xp.__name__ != "array_api_compat.numpy" or type(x) is xp.ndarray:
        return x
    if hasattr(x, "mask") and hasattr(x, "filled"):
        msg = f"{name} must not be a masked array: its mask would be ignored"
        raise TypeError(msg)
    return xp.asarray(x)  # numpy.matrix has another meaning of `*`; a NumPy scalar becomes a 0-d array


def same_shape(x: Array, y: Array) -> bool:
    """Compare two shapes; a length that is not known yet agrees with any, and is left to the library."""
    return len(x.shape) == len(y.shape) and all(map(same_length, x.shape, y.shape))


def fits_into(x: Array, y: Array) -> bool:
    """Tell whether an array broadcasts to the shape of another without enlarging it."""
    pairs = zip(reversed(x.shape), reversed(y.shape), strict=False)
    return len(x.shape) <= len(y.shape) and all(a == 1 or same_length(a, b) for a, b in pairs)


def _require_same_shape(name: str, x: Array, first_name: str, first: Array) -> None:
    if not same_shape(x, first):
        msg = f"{name} must have the shape of {first_name}, got {name} {_shape(x)} and {first_name} {_shape(first)}"
        raise ValueError(msg)


def _require_broadcastable(name: str, x: Array, first_name: str, first: Array) -> None:
    """Nothing may enlarge the shape of the first argument."""
    if not fits_into(x, first):
        msg = (
            f"{name} must broadcast to the shape of {first_name} without enlarging it, "
            f"got {name} {_shape(x)} and {first_name} {_shape(first)}"
        )
        raise ValueError(msg)


def _require_choice(name: str, x: Any, choices: tuple[Any, ...]) -> None:
    if x not in choices:
        msg = f"{name} must be one of {', '.join(map(repr, choices))}, got {x!r}"
        raise ValueError(msg)


def _require_non_negative(name: str, x: Array | float) -> None:
    """Check a Python scalar; the values of an array are not looked at."""
    if isinstance(x, (int, float)) and not x >= 0:
        msg = f"{name} must not be negative or NaN, got {x!r}"
        raise ValueError(msg)


def same_length(a: Any, b: Any) -> bool:
    """Compare two dimensions; one that is unknown (None, or NaN in Dask) agrees with any."""
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


def _promote(first: str, second: str) -> str:
    if first != second and first in _HALVES and second in _HALVES:
        return "float32"
    return max(first, second, key=_FLOATS.index)


def autocasts(torch: Any, device: Device) -> bool:
    """Tell whether PyTorch is to compute losses of a device in float32, whatever it is given."""
    return bool(torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type))


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
