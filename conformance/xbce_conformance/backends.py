"""The array libraries that xbce is tested on: which are here, on which device, and what is missing and why."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from xbce_conformance.formats import FORMATS, Floats, Format


class Missing(Exception):  # noqa: N818
    """A backend is not here; the message says why."""


@dataclass(frozen=True)
class Backend:
    """One array library on one device."""

    name: str
    version: str
    device: str
    dtypes: tuple[str, ...]
    from_numpy: Callable[[Floats], Any]
    """Copy a NumPy array of one of `dtypes` to the backend."""
    to_numpy: Callable[[Any], Floats]
    """Copy back; computes what is lazy."""
    dtype_of: Callable[[str], Any]
    """Return the backend's dtype object of that name."""

    def flushes_subnormals(self, fmt: Format) -> bool:
        """Tell whether the backend's product of subnormal numbers is zero where it should be subnormal."""
        x = self.from_numpy(fmt.round([fmt.tiny / 2, fmt.tiny]))
        factor = self.from_numpy(fmt.round([1.0, 0.5]))
        product = np.asarray(self.to_numpy(x * factor), np.float64)
        return bool((product == 0).any())


def _dtype_in(namespace: Any) -> Callable[[str], Any]:
    return lambda name: getattr(namespace, name)


def _import(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        missing = isinstance(error, ModuleNotFoundError) and error.name == package
        msg = f"{package} is not installed" if missing else f"{module} cannot be imported: {error}"
        raise Missing(msg) from None


def _numpy() -> Backend:
    return Backend(
        "numpy", np.__version__, "cpu", tuple(FORMATS), np.array, np.asarray, lambda name: FORMATS[name].dtype
    )


def _torch(device: str) -> Backend:
    torch = _import("torch")
    if device == "cuda" and not torch.cuda.is_available():
        msg = "no CUDA device was found"
        raise Missing(msg)

    # NumPy's bfloat16 is unknown to PyTorch: its bits travel as integers.
    def from_numpy(x: Floats) -> Any:
        if x.dtype == ml_dtypes.bfloat16:
            return torch.tensor(x.view(np.int16), device=device).view(torch.bfloat16)
        return torch.tensor(x, device=device)

    def to_numpy(x: Any) -> Floats:
        x = x.detach().cpu()
        if x.dtype == torch.bfloat16:
            return np.asarray(x.view(torch.int16).numpy().view(ml_dtypes.bfloat16))
        return np.asarray(x.numpy())

    label = torch.cuda.get_device_name() if device == "cuda" else device
    return Backend(f"torch:{device}", torch.__version__, label, tuple(FORMATS), from_numpy, to_numpy, _dtype_in(torch))


def _cupy() -> Backend:
    cupy = _import("cupy")
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        msg = f"CuPy {cupy.__version__} is installed, but there is no CUDA device: {error}"
        raise Missing(msg) from None
    if count == 0:
        msg = f"CuPy {cupy.__version__} is installed, but there is no CUDA device"
        raise Missing(msg)
    name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    dtypes = ("float16", "float32", "float64")
    return Backend("cupy", cupy.__version__, name, dtypes, cupy.asarray, cupy.asnumpy, _dtype_in(cupy))


def _jax() -> Backend:
    jax = _import("jax")
    # Without it JAX has no float64 at all. It must be set before the first array is made.
    jax.config.update("jax_enable_x64", True)
    return Backend(
        "jax",
        jax.__version__,
        str(jax.devices()[0]),
        tuple(FORMATS),
        jax.numpy.asarray,
        np.asarray,
        _dtype_in(jax.numpy),
    )


def _dask() -> Backend:
    array, version = _import("dask.array"), _import("dask").__version__

    def from_numpy(x: Floats) -> Any:
        return array.from_array(x, chunks="auto" if x.size < 4 else tuple(-(-n // 2) or 1 for n in x.shape))

    dtypes = ("float16", "float32", "float64")
    return Backend("dask", version, "cpu", dtypes, from_numpy, np.asarray, lambda name: FORMATS[name].dtype)


def _strict() -> Backend:
    strict = _import("array_api_strict")

    def to_numpy(x: Any) -> Floats:
        return np.asarray(np.from_dlpack(x)) if x.ndim else np.asarray(x)

    return Backend(
        "array-api-strict",
        strict.__version__,
        "cpu",
        ("float32", "float64"),
        strict.asarray,
        to_numpy,
        _dtype_in(strict),
    )


_LOADERS: dict[str, Callable[[], Backend]] = {
    "numpy": _numpy,
    "torch:cpu": lambda: _torch("cpu"),
    "torch:cuda": lambda: _torch("cuda"),
    "cupy": _cupy,
    "jax": _jax,
    "dask": _dask,
    "array-api-strict": _strict,
}
BACKEND_NAMES = tuple(_LOADERS)


def find_backends(names: tuple[str, ...] = BACKEND_NAMES) -> tuple[dict[str, Backend], dict[str, str]]:
    """Return the named backends that work here, and for each of the others the reason why it does not."""
    found: dict[str, Backend] = {}
    missing: dict[str, str] = {}
    for name in names:
        try:
            found[name] = _LOADERS[name]()
        except Missing as reason:
            missing[name] = str(reason)
    return found, missing
