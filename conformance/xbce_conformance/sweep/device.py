"""Where numbers are made and results are measured: in NumPy for all libraries on the CPU, on a GPU where they are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import array_api_compat
import array_api_compat.numpy
import ml_dtypes
import numpy as np

from xbce_conformance.inputs.formats import Doubles, Floats, Format
from xbce_conformance.subjects.backend import ON_DEVICE, Backend
from xbce_conformance.subjects.failure import Failure
from xbce_conformance.sweep.plan import BLOCK, DEVICE_BLOCK

Array: TypeAlias = Any


@dataclass(frozen=True)
class Device:
    """Where numbers are made and results are measured."""

    xp: Any
    """Namespace of the measuring."""
    block: int
    """Numbers that are measured at once."""
    numbers: Callable[[int, int], Array]
    """Make the numbers with the bit patterns from the first to before the second."""
    to_function: Callable[[Array], Array]
    """Turn an array of `xp` into one that the functions take."""
    from_function: Callable[[Array], Array]
    """Turn a result into an array of `xp`, in float64."""
    round: Callable[[Array], Array]
    """Round float64 to the format, and widen again."""
    to_numpy: Callable[[Array], Doubles]
    """Copy an array of `xp` to the host: waits for all that was asked of a GPU."""


def numpy_device(fmt: Format) -> Device:
    """Return the device of everything on the CPU."""
    return Device(
        xp=array_api_compat.numpy,
        block=BLOCK,
        numbers=lambda first, stop: fmt.from_bits(np.arange(first, stop, dtype=np.uint32)),
        to_function=lambda x: x.astype(fmt.dtype),
        from_function=lambda x: x.astype(np.float64),
        round=lambda x: fmt.round(x).astype(np.float64),
        to_numpy=lambda x: x,
    )


def array_device(backend: Backend, fmt: Format) -> Device:
    """Return a device that measures in the backend's own namespace."""
    sample = backend.from_numpy(np.zeros(1, np.float32 if fmt.dtype == ml_dtypes.bfloat16 else fmt.dtype))
    xp: Any = array_api_compat.array_namespace(sample)
    own = array_api_compat.device(sample)
    dtype = backend.dtype_of(fmt.name)
    integers = {2: xp.int16, 4: xp.int32}[fmt.dtype.itemsize]

    def numbers(first: int, stop: int) -> Array:
        return xp.astype(xp.arange(first, stop, dtype=xp.int64, device=own), integers).view(dtype)

    return Device(
        xp=xp,
        block=DEVICE_BLOCK,
        numbers=numbers,
        to_function=lambda x: xp.astype(x, dtype),
        from_function=lambda x: xp.astype(x, xp.float64),
        round=lambda x: rounded(xp, x, fmt) if fmt.dtype.itemsize == 2 else xp.astype(xp.astype(x, dtype), xp.float64),
        to_numpy=backend.to_numpy,
    )


def ulp_of(xp: Any, x: Array, fmt: Format) -> Array:
    """Return the ULP of each number of float64: its exponent bits are a power of two."""
    powers = (xp.abs(x).view(xp.int64) & 0x7FF0000000000000).view(xp.float64)
    return xp.maximum(powers, xp.full_like(powers, fmt.tiny)) * 2.0 ** (1 - fmt.p)


def rounded(xp: Any, x: Array, fmt: Format) -> Array:
    """Round float64 to a format of 16 bits.

    PyTorch, JAX and ml_dtypes convert by way of float32, and round twice: 1 + 2^-8 + 2^-40 becomes 1 in bfloat16. So
    would a library that computes in float32, and it would seem right.
    """
    ulp = ulp_of(xp, x, fmt)
    nearest = xp.where(xp.isfinite(x), xp.round(x / ulp) * ulp, x)  # infinity over infinity would be NaN
    return xp.where(xp.abs(nearest) > fmt.max, nearest * np.inf, nearest)


_Adapt = Callable[[Callable[..., Array]], Callable[..., Array]]


def place(backend: Backend, fmt: Format) -> tuple[str, _Adapt]:
    """Return where a backend is measured, and what turns its functions into ones of that place's arrays."""
    if backend.name in ON_DEVICE:
        return backend.name, lambda call: call

    def adapt(call: Callable[..., Array]) -> Callable[..., Floats]:
        def on_numpy(*arrays: Floats) -> Floats:
            returned = call(*map(backend.from_numpy, arrays))
            if returned is None:
                raise Failure("nothing", "it returned None; an array is expected")
            result = backend.to_numpy(returned)
            if result.dtype != fmt.dtype:
                msg = f"it returned {result.dtype}; {fmt.name} is expected"
                raise Failure("dtype", msg)
            return result

        return on_numpy

    return "numpy", adapt


def device_at(name: str, backend: Backend, fmt: Format) -> Device:
    """Return the device of a name that `place` gave."""
    return numpy_device(fmt) if name == "numpy" else array_device(backend, fmt)
