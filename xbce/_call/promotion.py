"""What an array tells about a computation: its namespace, device and dtype, and how dtypes are promoted."""

import sys
from typing import Any, NoReturn

import array_api_compat as compat

from .._typing import Array, Device, DType, Namespace
from .texts import type_name

# In rising width. A mixture of the two half types widens to the narrowest dtype that holds both.
FLOATS = ("float16", "bfloat16", "float32", "float64")


HALVES = ("float16", "bfloat16")


INTEGERS = frozenset({"bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (2, 4, 8, 16, 32, 64))})


_STANDARD = "2024.12"
"""The first version of the standard in which functions such as `where` take Python scalars."""


_namespaces: dict[type, Namespace] = {}
"""Of the classes of arrays met so far: asking array-api-compat again takes as long as a small loss."""


def namespace_of(name: str, x: Any) -> Namespace:
    """Return the namespace of the argument `name`; refuse what is no array."""
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
        refuse_library(name, xp, f"follows {version}")
    return xp


def is_torch(xp: Namespace) -> bool:
    """Tell whether a namespace is that of PyTorch."""
    return bool(xp.__name__ == "array_api_compat.torch")


def is_dask(xp: Namespace) -> bool:
    """Tell whether arrays are Dask's. torch.compile warns of array-api-compat's own test, which is cached."""
    return bool(xp.__name__ == "array_api_compat.dask.array")


def device_of(name: str, xp: Namespace, x: Array) -> Device:
    """Return the device of the argument `name`."""
    if is_torch(xp):
        return x.device
    try:
        return compat.device(x)
    except AttributeError:  # MLX
        refuse_library(name, xp, "has arrays without a device")


def jax_devices(x: Array) -> str | None:
    """Return the devices that an array was put on; None for one that JAX may move, and while JAX traces."""
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
    """Return how error messages call a library."""
    name: str = xp.__name__.removeprefix("array_api_compat.")
    return name.partition(".")[0]


def accumulation_dtype(xp: Namespace, dtype: DType, device: Device) -> DType:
    """Return the dtype that sums run in: float64 where the device has it, else `dtype`, which is float32 there."""
    if dtype_name(dtype) == "float64":
        return dtype
    return xp.__array_namespace_info__().dtypes(device=device, kind="real floating").get("float64", dtype)


def rank_of(x: Any) -> int:
    """Return how much the dtype of an argument counts: not beside one of a higher rank.

    2 with dimensions, 1 without; 0 of NumPy's scalars, and of what JAX calls weakly typed as it came from Python's.
    """
    numpy = sys.modules.get("numpy")
    if getattr(x, "weak_type", False) or (numpy is not None and isinstance(x, numpy.generic)):
        return 0
    return 2 if getattr(x, "ndim", 0) else 1


def promoted(first: str, second: str) -> str:
    """Return the narrowest floating dtype that holds two."""
    if first != second and first in HALVES and second in HALVES:
        return "float32"
    return max(first, second, key=FLOATS.index)


def autocasts(torch: Any, device: Device) -> bool:
    """Tell whether PyTorch is to compute losses of a device in float32, whatever it is given."""
    return bool(torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type))


def dtype_name(dtype: DType) -> str:
    """Return 'float32' for numpy.float32, torch.float32, ..., also where the namespace does not know the dtype."""
    return getattr(dtype, "name", None) or str(dtype).rpartition(".")[2]


def is_python_scalar(x: Array) -> bool:
    """Tell whether this is a Python scalar that JAX traces."""
    return x.ndim == 0 and getattr(x, "weak_type", False)
