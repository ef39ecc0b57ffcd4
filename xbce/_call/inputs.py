"""Validates the arguments of one call against each other, and chooses the dtypes of the computation.

No check reads the values in an array, so all errors are raised for traced and lazy arrays, too.
"""

import functools
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

import array_api_compat as compat

from .._precision import Kind
from .._typing import Array, Device, DType, Namespace, Precision
from .array_kinds import plain
from .checks import (
    Role,
    require_choice,
    require_finite,
    require_floating,
    require_non_negative,
    require_real,
    require_role,
)
from .lengths import may_be, must_be
from .numbers import array_of, as_number, is_from_numpy, is_jax, is_numpy, value_of
from .promotion import (
    HALVES,
    accumulation_dtype,
    autocasts,
    device_of,
    dtype_name,
    is_python_scalar,
    is_torch,
    jax_devices,
    library_name,
    namespace_of,
    promoted,
    rank_of,
)

_LEAST_FLOAT32 = 2.0**-126
"""The smallest normal number."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Validated arguments of one call."""

    xp: Namespace
    device: Device
    """Device of the first argument, and so of the result."""
    dtype: DType
    """Floating dtype of the result."""
    computing: DType
    """Dtype of the computation: float32 for the half types, else `dtype`."""
    arrays: tuple[Array, ...]
    """Unchanged, the arguments of the formula first; all broadcast to the shape of the first one."""
    arguments: int
    """Number of arrays that the formula takes."""
    integers: tuple[int, ...] = ()
    """Indices of arrays that are rounded to the dtype of the first: boolean, integer and Python scalar labels."""
    weight: int | None = None
    """Index of the weight."""
    where: int | None = None
    """Index of the mask."""
    names: tuple[str, ...] = ()
    """Name of each array in error texts."""
    roles: tuple[Role, ...] = ()
    """Relation of each array to the first."""
    options: tuple[str, ...] = ()
    """Names of the options that are arrays of numbers; they are the last arrays."""
    arithmetic: Kind = "native"
    """How formulas are computed."""

    def with_precision(self, precision: Precision) -> "Inputs":
        """Check the option `precision`; return the inputs of a computation of that precision."""
        require_choice("precision", precision, get_args(Precision))
        if precision == "native":
            return self
        computing = accumulation_dtype(self.xp, self.computing, self.device)
        if dtype_name(computing) != "float64":
            advice = "; set jax_enable_x64" if is_jax(self.xp) else ""
            msg = f"precision='high' needs float64, which {library_name(self.xp)} has not on {self.device}{advice}"
            raise ValueError(msg)
        # Numbers of powers are for results and options whose range float32 does not hold.
        kind: Kind = "extended" if self.computing == computing else "pairs"
        return replace(self, computing=computing, arithmetic=kind)

    @property
    def high(self) -> bool:
        """Whether the precision is high."""
        return self.arithmetic != "native"

    @property
    def option_arrays(self) -> tuple[Array, ...]:
        """The arrays of `options`."""
        return self.arrays[len(self.arrays) - len(self.options) :]


def loss_inputs(
    name: str,
    scores: Array,
    labels: Array | float,
    *,
    pos_weight: Array | float | None,
    weight: Array | float | None,
    where: Array | None,
    numbers: dict[str, float],
    options: dict[str, Array],
) -> Inputs:
    """Check the arrays of a loss; `name` is the name of its first argument.

    `numbers` are numeric options of its formula that have been checked before, `options` those that are arrays.
    """
    validator = _Validator(name, scores, labels, pos_weight, weight, where, *options.values())
    validator.add("labels", labels, same_shape=True)
    if pos_weight is not None:
        require_non_negative("pos_weight", pos_weight)
        require_finite("pos_weight", pos_weight)
        validator.add("pos_weight", pos_weight)
    validator.numbers |= numbers
    return validator.inputs(weight=weight, where=where, options=options)


def reduce_inputs(losses: Array, *, weight: Array | float | None, where: Array | None) -> Inputs:
    """Check the arrays of a reduction."""
    return _Validator("losses", losses, weight, where).inputs(weight=weight, where=where)


def primitive_inputs(**arguments: Array | float) -> Inputs:
    """Check the arguments of an elementwise function, which broadcast against each other; one must be an array."""
    arrays = {name: x for name, x in arguments.items() if as_number(x) is None}
    if not arrays:  # NumPy scalars count as arrays if there are no others
        arrays = {name: x for name, x in arguments.items() if is_from_numpy(x)}
    ranks = {name: rank_of(x) for name, x in (arrays or arguments).items()}
    first = next(name for name, rank in ranks.items() if rank == max(ranks.values()))
    validator = _Validator(first, arguments[first], *arguments.values())
    for name, x in arguments.items():
        if name != first:
            validator.add(name, x, may_enlarge=True)
    order = [first, *(name for name in arguments if name != first)]
    positions = [order.index(name) for name in arguments]
    validator.arrays = [validator.arrays[i] for i in positions]
    validator.names, validator.roles = list(arguments), [validator.roles[i] for i in positions]
    return validator.inputs()


def one_library(**arguments: Any) -> tuple[Any, ...]:
    """Check that arrays are of the library and on the device of the first one; return them converted as for losses.

    For callers with their own rules for dtypes and shapes. Numbers and None are returned unchanged.
    """
    (name, first), *others = arguments.items()
    validator = _Validator(name, first, *(x for _, x in others), floating=False)
    return validator.first, *validator.beside(dict(others))


def fits_float32(x: float) -> bool:
    """Tell whether a number is 0 or in the normal range of float32; True for a symbol of PyTorch's tracers."""
    return may_be(x == 0) or (may_be(abs(x) >= _LEAST_FLOAT32) and may_be(abs(x) < 2.0**128))


class _Validator:
    """Collects the arrays of one call, each checked against the first."""

    def __init__(self, name: str, first: Any, *others: Any, floating: bool = True) -> None:
        self.name = name
        self.xp = namespace_of(name, first)
        self.rank = rank_of(first)
        self.first = plain(name, first)
        if floating:
            require_floating(name, self.first)
        if is_numpy(self.xp) and "jax" in sys.modules:
            beside = next(filter(compat.is_jax_array, others), None)
            if beside is not None:
                self.xp = namespace_of(name, beside)
                self.first = self._own(self.first)
        self.device = device_of(name, self.xp, self.first)
        self.dtypes: dict[str, DType] = {dtype_name(self.first.dtype): self.first.dtype}
        self.arrays: list[Array] = [self.first]
        self.integers: list[int] = []
        self.names: list[str] = [name]
        self.roles: list[Role] = ["first"]
        self.numbers: dict[str, float] = {}
        """Numbers that the computing dtype must hold; not labels, which are rounded to the dtype of the first array."""
        self.wide = False
        """Whether an option is an array of float64, which the computing dtype must hold, too."""

    def add(self, name: str, x: Any, *, same_shape: bool = False, may_enlarge: bool = False) -> None:
        """Check an argument, a number or an array, and add it.

        With `same_shape` an array must have the shape of the first, or no dimensions. With `may_enlarge` it must be
        floating, and may enlarge the shape of the first. A number does not widen the dtype of the result, and neither
        does an array without dimensions, unless the first has none either.
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
        rank = rank_of(x)
        x = self._same_library(name, x)
        # An array without dimensions is treated as a number.
        self.roles.append(
            "fits" if not x.ndim else "same shape" if same_shape else "may enlarge" if may_enlarge else "fits"
        )
        require_role(name, x, self.roles[-1], self.name, self.first)
        floating = require_real(name, x) is not None
        if same_shape and (not floating or is_python_scalar(x)):
            self.integers.append(len(self.arrays))
        x = self._own(x)
        if floating and rank >= (self.rank if may_enlarge else 2 if self.first.ndim else 1):
            self.dtypes.setdefault(dtype_name(x.dtype), x.dtype)
        self.arrays.append(x)

    def beside(self, arguments: dict[str, Any]) -> tuple[Any, ...]:
        """Return numbers as Python numbers, and arrays as arrays of this library."""
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

    def option(self, name: str, x: Any) -> Array:
        """Check an option that is an array of numbers."""
        x = self._same_library(name, x)
        self.names.append(name)
        self.roles.append("option")
        require_role(name, x, "option", self.name, self.first)
        self.wide = self.wide or dtype_name(x.dtype) == "float64"
        return self._own(x)

    def inputs(
        self,
        *,
        weight: Array | float | None = None,
        where: Array | None = None,
        options: Mapping[str, Array] | None = None,
    ) -> Inputs:
        """Add weight, mask and options that are arrays, and return the validated arguments."""
        arguments = len(self.arrays)
        if weight is not None:
            require_finite("weight", weight)
            self.add("weight", weight)
        mask = () if where is None else (self.mask(where),)
        options = {} if options is None else options
        of_options = [self.option(option, x) for option, x in options.items()]
        name = functools.reduce(promoted, self.dtypes)
        if name in HALVES and is_torch(self.xp) and autocasts(sys.modules["torch"], self.device):
            name = "float32"
        # A namespace may lack a half type (NumPy's bfloat16 comes from ml_dtypes); then an argument has the dtype.
        dtype = getattr(self.xp, name, None) or self.dtypes[name]
        return Inputs(
            xp=self.xp,
            device=self.device,
            dtype=dtype,
            computing=dtype if name == "float64" else self._holding_numbers(self.xp.float32),
            arrays=(*self.arrays, *mask, *of_options),
            arguments=arguments,
            integers=tuple(self.integers),
            weight=None if weight is None else arguments,
            where=None if where is None else len(self.arrays),
            names=tuple(self.names),
            roles=tuple(self.roles),
            options=tuple(options),
        )

    def _holding_numbers(self, float32: DType) -> DType:
        """Return float32, or float64 if an option has it, or a number is too large or too small for float32."""
        if self.wide:
            return self.xp.float64
        for name, x in self.numbers.items():
            if not fits_float32(x):
                wide = accumulation_dtype(self.xp, float32, self.device)
                if wide != float32:
                    return wide
                msg = f"{name} must be 0 or of a magnitude that float32 can hold where there is no float64, got {x!r}"
                raise ValueError(msg)
        return float32

    def _scalar(self, name: str, number: Any) -> Array:
        # The computing dtype is not known yet, so a number is held in float64; without float64 it is float32.
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
        """Return a NumPy array as a JAX array if that is the library, in the dtype that JAX chooses."""
        if is_jax(self.xp) and not compat.is_jax_array(x):
            # A copy: JAX may share the memory of a NumPy array and compute later, after the caller has written to it.
            # https://github.com/jax-ml/jax/issues/37830
            return self.xp.array(x.astype(x.dtype.newbyteorder("="), copy=False))
        return x

    def _same_library(self, name: str, x: Any) -> Array:
        other = namespace_of(name, x)
        # NumPy arrays are accepted beside JAX arrays, as by JAX itself.
        if other is not self.xp and not (is_jax(self.xp) and is_numpy(other)):
            msg = (
                f"{name} must be an array of the same library as {self.name} ({library_name(self.xp)}), "
                f"got an array of {library_name(other)}; convert it first, nothing is transferred silently"
            )
            raise TypeError(msg)
        if is_jax(self.xp):
            device, expected = jax_devices(x), jax_devices(self.first)
        else:
            device, expected = device_of(name, self.xp, x), self.device
        if device is not None and expected is not None and device != expected:
            msg = (
                f"{name} must be on the device of {self.name} ({expected}), got {device}; "
                "nothing is transferred silently"
            )
            raise ValueError(msg)
        return plain(name, x)
