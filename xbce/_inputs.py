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
from typing import Any, Literal, NoReturn, get_args

import array_api_compat as compat

from ._array_kinds import plain
from ._lengths import is_unknown, may_be, must_be
from ._numbers import array_of, as_number, is_from_numpy, is_jax, is_numpy, value_of
from ._options import ARRAYS
from ._texts import digits_of, shown, type_name
from ._typing import Array, Axis, Device, DType, Namespace, NormalizeBy, ReductionKind

# In rising width. A mixture of the two half types widens to the narrowest dtype that holds both.
_FLOATS = ("float16", "bfloat16", "float32", "float64")
_HALVES = ("float16", "bfloat16")
_LEAST_FLOAT32 = 2.0**-126
"""The least normal number."""
_INTEGERS = frozenset({"bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (2, 4, 8, 16, 32, 64))})
_STANDARD = "2024.12"
"""The first version of the standard in which functions such as `where` take Python scalars."""


Role = Literal["first", "same shape", "fits", "equal", "mask", "scalar"]
"""What an argument must be beside the first: of its shape, broadcast to it, one that may enlarge it, a boolean mask."""


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
    """Which of them are rounded to the dtype of the first: labels that are boolean, integer or Python scalars."""
    weight: int | None = None
    """Which of them is the weight."""
    where: int | None = None
    """Which of them is the mask."""
    names: tuple[str, ...] = ()
    roles: tuple[Role, ...] = ()
    """What each of them must be beside the first."""


def loss_inputs(
    name: str,
    scores: Array,
    labels: Array | float,
    *,
    pos_weight: Array | float | None,
    weight: Array | float | None,
    where: Array | None,
    numbers: dict[str, float | None],
) -> Inputs:
    """Check the arrays of a loss; `name` is what the loss calls its first argument.

    `numbers` are options of its formula, checked before.
    """
    door = _Door(name, scores, labels, pos_weight, weight, where)
    door.add("labels", labels, same_shape=True)
    if pos_weight is not None:
        _require_non_negative("pos_weight", pos_weight)
        _require_finite("pos_weight", pos_weight)
        door.add("pos_weight", pos_weight)
    door.numbers |= {option: x for option, x in numbers.items() if x is not None}
    return door.inputs(weight=weight, where=where)


def reduce_inputs(losses: Array, *, weight: Array | float | None, where: Array | None) -> Inputs:
    """Check the arrays of a reduction."""
    return _Door("losses", losses, weight, where).inputs(weight=weight, where=where)


def primitive_inputs(**arguments: Array | float) -> Inputs:
    """Check the arguments of an elementwise function of equals, one of which must be an array; any shapes."""
    arrays = {name: x for name, x in arguments.items() if as_number(x) is None}
    if not arrays:  # NumPy's scalars are arrays where there are no others
        arrays = {name: x for name, x in arguments.items() if is_from_numpy(x)}
    ranks = {name: _rank(x) for name, x in (arrays or arguments).items()}
    first = next(name for name, rank in ranks.items() if rank == max(ranks.values()))
    door = _Door(first, arguments[first], *arguments.values())
    for name, x in arguments.items():
        if name != first:
            door.add(name, x, equal=True)
    order = [first, *(name for name in arguments if name != first)]
    positions = [order.index(name) for name in arguments]
    door.arrays = [door.arrays[i] for i in positions]
    door.names, door.roles = list(arguments), [door.roles[i] for i in positions]
    return door.inputs()


def one_library(**arguments: Any) -> tuple[Any, ...]:
    """Check that arrays are of the library and on the device of the first one; return them as the losses take them.

    For callers that have rules of their own for dtypes and shapes. Numbers and None come back as they are.
    """
    (name, first), *others = arguments.items()
    door = _Door(name, first, *(x for _, x in others), floating=False)
    return door.first, *door.beside(dict(others))


def call_key(methods: tuple[str, ...], args: Any, kwargs: Any) -> tuple[Hashable, tuple[Array, ...]] | None:
    """Return all that the checks of a call look at, and its arrays in the order of `Inputs.arrays`.

    None where this is not so simple: for arrays of other libraries than NumPy and PyTorch, for scalars in the place of
    arrays, for options that compare equal to others (True to 1), and while PyTorch compiles.
    """
    torch = sys.modules.get("torch")
    if len(args) != 2 or (torch is not None and torch.compiler.is_compiling()):
        return None
    key: list[Any] = [methods]
    library = _fingerprints[type(args[0])]
    for x in args:
        fingerprint = _fingerprints[type(x)]
        if fingerprint is None or fingerprint is not library:
            return None
        key.append(fingerprint(x))
    for name, x in kwargs.items():
        key.append(name)
        kind = type(x)
        if name in ARRAYS and x is not None:
            fingerprint = _fingerprints[kind]
            if fingerprint is None or fingerprint is not library:
                return None
            key.append(fingerprint(x))
        elif x is None or kind in (str, int, float) or (kind is tuple and all(type(i) is int for i in x)):
            key.append((kind, x))
        else:
            return None
    return tuple(key), (*args, *(kwargs[name] for name in ARRAYS if kwargs.get(name) is not None))


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
    half = dtype.itemsize == 2 and autocasts(sys.modules["torch"], device)
    # Sparse tensors are of the same class, and so are nested ones, which have no shape.
    return x.layout, dtype, x.is_nested or x.shape, device, half


_fingerprints = _Fingerprints()


class _Door:
    """Collects the arrays of one call, each checked against the first."""

    def __init__(self, name: str, first: Any, *others: Any, floating: bool = True) -> None:
        self.name = name
        self.xp = _namespace(name, first)
        self.rank = _rank(first)
        self.first = plain(name, first)
        if floating:
            _require_floating(name, self.first)
        if is_numpy(self.xp) and "jax" in sys.modules:
            beside = next(filter(compat.is_jax_array, others), None)
            if beside is not None:
                self.xp = _namespace(name, beside)
                self.first = self._own(self.first)
        self.device = _device(name, self.xp, self.first)
        self.dtypes: dict[str, DType] = {_dtype_name(self.first.dtype): self.first.dtype}
        self.arrays: list[Array] = [self.first]
        self.integers: list[int] = []
        self.names: list[str] = [name]
        self.roles: list[Role] = ["first"]
        self.numbers: dict[str, float] = {}
        """What the computation must hold. Labels are rounded to the dtype of the first argument before."""

    def add(self, name: str, x: Any, *, same_shape: bool = False, equal: bool = False) -> None:
        """Check an argument: a number, or an array.

        It must have the `same_shape` as the first, as labels have, or no dimensions. One that is `equal` to the first
        must be floating too, and may enlarge its shape. No number widens, and no array without dimensions, unless the
        first has none either.
        """
        self.names.append(name)
        number, value = as_number(x), value_of(x)
        if isinstance(value, (int, float)) and not same_shape:
            self.numbers[name] = value
        if number is not None and not (is_from_numpy(x) and is_numpy(self.xp)):
            self.roles.append("scalar")
            if same_shape and (isinstance(number, int) or not is_from_numpy(x)):
                self.integers.append(len(self.arrays))
            self.arrays.append(self._scalar(name, number))
            return
        rank = _rank(x)
        x = self._same_library(name, x)
        # One without dimensions stands for a number.
        self.roles.append("fits" if not x.ndim else "same shape" if same_shape else "equal" if equal else "fits")
        require_role(name, x, self.roles[-1], self.name, self.first)
        floating = _require_real(name, x) is not None
        if same_shape and (not floating or _is_python_scalar(x)):
            self.integers.append(len(self.arrays))
        x = self._own(x)
        if floating and rank >= (self.rank if equal else 2 if self.first.ndim else 1):
            self.dtypes.setdefault(_dtype_name(x.dtype), x.dtype)
        self.arrays.append(x)

    def beside(self, arguments: dict[str, Any]) -> tuple[Any, ...]:
        """Return arguments: numbers as Python's, arrays as arrays of this library."""
        return tuple(x if x is None else self._beside(name, x) for name, x in arguments.items())

    def _beside(self, name: str, x: Any) -> Any:
        number = None if is_from_numpy(x) and is_numpy(self.xp) else as_number(x)
        return self._own(self._same_library(name, x)) if number is None else number

    def mask(self, where: Any) -> Array:
        """Check the argument `where`."""
        where = self._same_library("where", where)
        self.names.append("where")
        self.roles.append("mask")
        require_role("where", where, "mask", self.name, self.first)
        return self._own(where)

    def inputs(self, *, weight: Array | float | None = None, where: Array | None = None) -> Inputs:
        """Take the arguments that are not the formula's, and return all."""
        arguments = len(self.arrays)
        if weight is not None:
            _require_finite("weight", weight)
            self.add("weight", weight)
        mask = () if where is None else (self.mask(where),)
        name = functools.reduce(_promote, self.dtypes)
        if name in _HALVES and _is_torch(self.xp) and autocasts(sys.modules["torch"], self.device):
            name = "float32"
        # Not every namespace has the half types (NumPy gets bfloat16 from elsewhere): then an argument has the dtype.
        dtype = getattr(self.xp, name, None) or self.dtypes[name]
        return Inputs(
            xp=self.xp,
            device=self.device,
            dtype=dtype,
            computing=dtype if name == "float64" else self._holding_numbers(self.xp.float32),
            arrays=(*self.arrays, *mask),
            arguments=arguments,
            integers=tuple(self.integers),
            weight=None if weight is None else arguments,
            where=None if where is None else len(self.arrays),
            names=tuple(self.names),
            roles=tuple(self.roles),
        )

    def _holding_numbers(self, float32: DType) -> DType:
        """Return float32, or float64 if a number is too large or too small for that."""
        for name, x in self.numbers.items():
            # What PyTorch does not know while it traces is taken to fit.
            if not (may_be(x == 0) or (may_be(abs(x) >= _LEAST_FLOAT32) and may_be(abs(x) < 2.0**128))):
                wide = accumulation_dtype(self.xp, float32, self.device)
                if wide != float32:
                    return wide
                msg = f"{name} must be 0 or of a magnitude that float32 can hold where there is no float64, got {x!r}"
                raise ValueError(msg)
        return float32

    def _scalar(self, name: str, number: Any) -> Array:
        # float64 holds every float until the dtype of the computation is known; without it, float32 is that.
        widest = accumulation_dtype(self.xp, self.xp.float32, self.device)
        if widest == self.xp.float32:
            self._holding_numbers(widest)
            if isinstance(number, (int, float)) and must_be(abs(number) >= 2**128):  # a label: JAX would warn
                number = math.copysign(math.inf, number)
        try:
            return array_of(self.xp, number, widest, self.device)
        except OverflowError:
            msg = f"{name} must be a number that float64 can hold, got an int of {number.bit_length()} bits"
            raise ValueError(msg) from None

    def _own(self, x: Array) -> Array:
        """Return an array of NumPy as one of JAX, if that is the library; in the dtype that JAX gives it."""
        if is_jax(self.xp) and not compat.is_jax_array(x):
            # A copy: JAX computes while the caller may write into the array.
            return self.xp.array(x.astype(x.dtype.newbyteorder("="), copy=False))
        return x

    def _same_library(self, name: str, x: Any) -> Array:
        other = _namespace(name, x)
        # NumPy's are taken beside JAX's, as JAX itself takes them.
        if other is not self.xp and not (is_jax(self.xp) and is_numpy(other)):
            msg = (
                f"{name} must be an array of the same library as {self.name} ({_library(self.xp)}), got an array of "
                f"{_library(other)}; convert it first, nothing is transferred silently"
            )
            raise TypeError(msg)
        if is_jax(self.xp):
            device, expected = _jax_devices(x), _jax_devices(self.first)
        else:
            device, expected = _device(name, self.xp, x), self.device
        if device is not None and expected is not None and device != expected:
            msg = (
                f"{name} must be on the device of {self.name} ({expected}), got {device}; "
                "nothing is transferred silently"
            )
            raise ValueError(msg)
        return plain(name, x)


def reduction_options(
    name: str, x: Array, reduction: ReductionKind, axis: Axis, normalize_by: NormalizeBy
) -> tuple[int, ...]:
    """Check how the array called `name` is to be reduced; return the axes, sorted and counted from the end."""
    ndim = x.ndim
    _require_choice("reduction", reduction, get_args(ReductionKind))
    _require_choice("normalize_by", normalize_by, get_args(NormalizeBy))
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


def _index(x: Any) -> int | None:
    """Return an int, or None if `x` is not one, or an array of several or of booleans."""
    if isinstance(x, bool):
        return None
    if isinstance(x, int):
        # torch.compile may have taken it for a number that changes, and asks it nothing; it is compiled for this one.
        return operator.index(x)
    if hasattr(x, "dtype") and not _dtype_name(x.dtype).startswith(("int", "uint")):
        return None
    try:
        return operator.index(x)
    except TypeError:
        return None


def number_in(name: str, x: Any, low: float = -math.inf, high: float = math.inf, *, below: bool = False) -> float:
    """Check a static option: a number from `low` to `high`, or below `high`; return it as a float."""
    number = as_number(x)
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        msg = f"{name} must be a Python or NumPy number, got {type_name(x)}"
        raise TypeError(msg)
    infinite = number in (-math.inf, math.inf)
    if low <= number <= high and not infinite and not (below and number == high):
        return _as_float(name, number) + 0.0  # -0.0 is equal to 0.0, and so it must do the same
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
    """Check a positive number of things."""
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
    """Check an argument whose values are to be looked at; return its namespace and it, in a dtype that compares."""
    xp = _namespace(name, x)
    x = plain(name, x)
    if _require_real(name, x) is None:
        dtype = _dtype_name(x.dtype)
        if dtype == "bool":
            x = xp.astype(x, xp.uint8)
        elif _is_torch(xp) and dtype in ("uint16", "uint32", "uint64"):
            x = xp.astype(x, xp.int64)  # above 2^63 they become negative, and are outside of [0, 1] as before
    return xp, x.detach() if _is_torch(xp) else x


def accumulation_dtype(xp: Namespace, dtype: DType, device: Device) -> DType:
    """Return the dtype that sums run in: float64 where the device has it, else `dtype`, which is float32 there."""
    if _dtype_name(dtype) == "float64":
        return dtype
    return xp.__array_namespace_info__().dtypes(device=device, kind="real floating").get("float64", dtype)


def digits(x: Array, dtype: DType) -> str:
    """Return the value of a 0-d array in digits that tell it apart from any other of its dtype, as it was before."""
    name = _dtype_name(dtype)
    if name in _FLOATS:
        return digits_of(float(x), name)
    number = int(x)
    return str(number + 2**64 if number < 0 and name == "uint64" else number)


def concrete_bool(name: str, x: Array) -> bool:
    """Return the value of a 0-d array that was made from the argument `name`, if it has one yet."""
    msg = f"{name} must have values that can be looked at, got a lazy or traced array"
    if is_dask(_namespace(name, x)):  # it could be computed, but not as a side effect of a check
        raise TypeError(msg)
    try:
        return bool(x)
    except (TypeError, RuntimeError) as error:  # JAX, while it traces; PyTorch's meta and fake tensors, and vmap
        raise TypeError(msg) from error


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
                f"(NumPy, CuPy, PyTorch, JAX, Dask, ...), got {type_name(x)}"
            )
            raise TypeError(msg) from None
    xp = _namespaces[cls]
    version = getattr(xp, "__array_api_version__", _STANDARD)
    if version < _STANDARD:  # array-api-strict changes it at any time
        _refuse_library(name, xp, f"follows {version}")
    return xp


def _is_torch(xp: Namespace) -> bool:
    return bool(xp.__name__ == "array_api_compat.torch")


def is_dask(xp: Namespace) -> bool:
    """Tell whether arrays are Dask's. torch.compile warns of array-api-compat's own test, which is cached."""
    return bool(xp.__name__ == "array_api_compat.dask.array")


def _device(name: str, xp: Namespace, x: Array) -> Device:
    if _is_torch(xp):
        return x.device
    try:
        return compat.device(x)
    except AttributeError:  # MLX
        _refuse_library(name, xp, "has arrays without a device")


def _jax_devices(x: Array) -> str | None:
    """Return the devices that an array was put on; None for one that JAX may move, and while JAX traces."""
    if isinstance(x, sys.modules["jax"].core.Tracer) or not getattr(x, "committed", False):
        return None
    return ", ".join(sorted(map(str, x.devices())))


def _refuse_library(name: str, xp: Namespace, reason: str) -> NoReturn:
    msg = (
        f"{name} must be an array of a library that follows the array API standard, version {_STANDARD} or later; "
        f"{_library(xp)} {reason}"
    )
    raise TypeError(msg)


def same_shape(x: Array, y: Array) -> bool:
    """Compare two shapes; a length that is not known yet agrees with any, and is left to the library."""
    return len(x.shape) == len(y.shape) and all(map(same_length, x.shape, y.shape))


def fits_into(x: Array, y: Array) -> bool:
    """Tell whether an array broadcasts to the shape of another without enlarging it."""
    pairs = zip(reversed(x.shape), reversed(y.shape), strict=False)
    return len(x.shape) <= len(y.shape) and all(must_be(a == 1) or same_length(a, b) for a, b in pairs)


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


def _require_mutual(name: str, x: Array, first_name: str, first: Array) -> None:
    """Either may enlarge the other."""
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
            _require_floating(name, x)
        case "same shape":
            _require_same_shape(name, x, first_name, first)
            _require_real(name, x)
        case "fits":
            _require_broadcastable(name, x, first_name, first)
            _require_real(name, x)
        case "equal":
            _require_floating(name, x)
            _require_mutual(name, x, first_name, first)
        case "mask":
            _require_broadcastable(name, x, first_name, first)
            if not _dtype_name(x.dtype).startswith("bool"):
                msg = f"{name} must be boolean (True keeps an element), got {_dtype_name(x.dtype)}"
                raise TypeError(msg)


def _require_choice(name: str, x: Any, choices: tuple[Any, ...]) -> None:
    if not isinstance(x, str) or x not in choices:
        msg = f"{name} must be one of {', '.join(map(repr, choices))}, got {x!r}"
        raise ValueError(msg)


def _require_non_negative(name: str, x: Array | float) -> None:
    """Check a number; the values of an array are not looked at."""
    number = value_of(x)
    if number is not None and not may_be(number >= 0):
        msg = f"{name} must not be negative or NaN, got {shown(x)}"
        raise ValueError(msg)


def _require_finite(name: str, x: Array | float) -> None:
    """Check a number; the values of an array are not looked at."""
    number = value_of(x)
    if isinstance(number, float) and not may_be(abs(number) <= sys.float_info.max):
        msg = f"{name} must be finite, got {shown(x)}"
        raise ValueError(msg)


def same_length(a: Any, b: Any) -> bool:
    """Compare two dimensions; one that is unknown (None, or NaN in Dask) agrees with any."""
    return is_unknown(a) or is_unknown(b) or may_be(a == b)


def _rank(x: Any) -> int:
    """Return how much the dtype of an argument counts: not beside one of a higher rank.

    2 with dimensions, 1 without; 0 of NumPy's scalars, and of what JAX calls weakly typed as it came from Python's.
    """
    numpy = sys.modules.get("numpy")
    if getattr(x, "weak_type", False) or (numpy is not None and isinstance(x, numpy.generic)):
        return 0
    return 2 if getattr(x, "ndim", 0) else 1


def _is_python_scalar(x: Array) -> bool:
    """Tell whether this is a Python scalar that JAX traces."""
    return x.ndim == 0 and getattr(x, "weak_type", False)


def _require_floating(name: str, x: Array) -> str:
    dtype = _dtype_name(x.dtype)
    if dtype not in _FLOATS:
        msg = f"{name} must have one of the dtypes {', '.join(_FLOATS)}, got {dtype}"
        raise TypeError(msg)
    return dtype


def _require_real(name: str, x: Array) -> str | None:
    """Return the floating dtype's name, or None for a boolean or integer array."""
    dtype = _dtype_name(x.dtype)
    if dtype in _FLOATS:
        return dtype
    # By their names: not every namespace knows the integers of ml_dtypes, which it can convert.
    if dtype in _INTEGERS:
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


def _shape(x: Array) -> Sequence[Any]:
    return tuple(x.shape)
