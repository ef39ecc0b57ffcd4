"""Namespace, device and dtype of arrays, and the promotion of dtypes."""

import sys
from typing import Any, NoReturn

import array_api_compat as compat

from .._backends import adapted
from .._typing import Array, Device, DType, Namespace
from .texts import type_name

# From narrow to wide. The two half types together promote to float32, the narrowest dtype that holds both.
FLOATS = ("float16", "bfloat16", "float32", "float64")


HALVES = ("float16", "bfloat16")


INTEGERS = frozenset({"bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (2, 4, 8, 16, 32, 64))})


_STANDARD = "2024.12"
"""The first version of the standard in which functions such as `where` take Python scalars."""


_namespaces: dict[type, Namespace] = {}
"""By array class: `array_api_compat.array_namespace` takes as long as a small loss."""


def namespace_of(name: str, x: Any) -> Namespace:
    """Return the namespace of the argument `name`; refuse arguments that are no arrays."""
    cls = type(x)
    torch = sys.modules.get("torch")
    if torch is not None and issubclass(cls, torch.Tensor):
        # torch.compile warns of the `lru_cache`s of array-api-compat, and recompiles when `_namespaces` grows.
        # https://github.com/pytorch/pytorch/issues/155352
        import array_api_compat.torch as xp

        return xp
    if cls not in _namespaces:
        try:
            _namespaces[cls] = adapted(compat.array_namespace(x))
        except TypeError:
            msg = (
                f"{name} must be an array of a library that follows the array API standard "
                f"(NumPy, CuPy, PyTorch, JAX, Dask, ...), got {type_name(x)}"
            )
            raise TypeError(msg) from None
    xp = _namespaces[cls]
    version = getattr(xp, "__array_api_version__", _STANDARD)
    if version < _STANDARD:  # not cached: array_api_strict.set_array_api_strict_flags changes it
        refuse_library(name, xp, f"follows {version}")
    return xp


def is_torch(xp: Namespace) -> bool:
    """Tell whether a namespace is that of PyTorch."""
    return bool(xp.__name__ == "array_api_compat.torch")


def is_dask(xp: Namespace) -> bool:
    """Tell whether a namespace is that of Dask; by name, for the reason given in `namespace_of`."""
    return bool(xp.__name__ == "array_api_compat.dask.array")


def device_of(name: str, xp: Namespace, x: Array) -> Device:
    """Return the device of the argument `name`."""
    if is_torch(xp):
        return x.device
    try:
        return compat.device(x)
    except AttributeError:  # MLX: https://github.com/data-apis/array-api-compat/issues/450
        if not hasattr(xp, "__array_namespace_info__"):
            refuse_library(name, xp, "has arrays without a device")
        return xp.__array_namespace_info__().default_device()


def jax_devices(x: Array) -> str | None:
    """Return the devices of a committed array; None for an array that JAX may move, and for a tracer."""
    if isinstance(x, sys.modules["jax"].core.Tracer) or not getattr(x, "committed", False):
        return None
    return ", ".join(sorted(map(str, x.devices())))


def refuse_library(name: str, xp: Namespace, reason: str) -> NoReturn:
    """Refuse an array of a library that does not follow the standard."""
    msg = (
        f"{name} must be an array of a library that follows the array API standard, version {_STANDARD} or later; "
        f"{library_name(xp)} {reason}"
    )
    raise TypeError(msg)


def library_name(xp: Namespace) -> str:
    """Return the name of a library in error messages."""
    name: str = xp.__name__.removeprefix("array_api_compat.")
    return name.partition(".")[0]


def accumulation_dtype(xp: Namespace, dtype: DType, device: Device) -> DType:
    """Return the dtype that sums run in: float64 where the device has it, else `dtype`, which is float32 there."""
    if dtype_name(dtype) == "float64":
        return dtype
    return xp.__array_namespace_info__().dtypes(device=device, kind="real floating").get("float64", dtype)


def rank_of(x: Any) -> int:
    """Return the rank of an argument in the promotion of dtypes: its dtype is ignored beside a higher rank.

    2 for an array with dimensions, 1 for one without; 0 for NumPy scalars, and for weakly typed arrays of JAX.
    """
    numpy = sys.modules.get("numpy")
    if getattr(x, "weak_type", False) or (numpy is not None and isinstance(x, numpy.generic)):
        return 0
    return 2 if getattr(x, "ndim", 0) else 1


def promoted(first: str, second: str) -> str:
    """Return the narrowest floating dtype that holds two dtypes."""
    if first != second and first in HALVES and second in HALVES:
        return "float32"
    return max(first, second, key=FLOATS.index)


def autocasts(torch: Any, device: Device) -> bool:
    """Tell whether PyTorch's autocast is on for a device, under which losses are computed in float32."""
    # torch.compile of PyTorch 2.8 cannot trace `is_autocast_available`.
    compiling = torch.compiler.is_compiling()
    available = device.type != "meta" if compiling else torch.amp.is_autocast_available(device.type)
    return bool(available and torch.is_autocast_enabled(device.type))


def dtype_name(dtype: DType) -> str:
    """Return 'float32' for numpy.float32, torch.float32, ..., also where the namespace does not know the dtype."""
    return getattr(dtype, "name", None) or str(dtype).rpartition(".")[2]


def is_python_scalar(x: Array) -> bool:
    """Tell whether this is a Python scalar that JAX traces."""
    return x.ndim == 0 and getattr(x, "weak_type", False)
