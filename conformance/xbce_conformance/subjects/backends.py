"""The array libraries that xbce runs on; which are here with those of peers, what is missing and why."""

import importlib.metadata
import logging
import os
import platform
import warnings
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from xbce_conformance.inputs.formats import FORMATS, Floats
from xbce_conformance.subjects.backend import Backend, Missing, dtype_in, import_library
from xbce_conformance.subjects.peers import PEER_LOADERS


def _numpy() -> Backend:
    return Backend(
        name="numpy",
        version=np.__version__,
        device="cpu",
        dtypes=tuple(FORMATS),
        from_numpy=np.array,
        to_numpy=np.asarray,
        dtype_of=lambda name: FORMATS[name].dtype,
        imports="import numpy as np, ml_dtypes",
        literal=_NUMPY_LITERAL,
    )


_NUMPY_LITERAL = "np.full(64, float.fromhex('{value}'), '{dtype}')"


def _scalar() -> Backend:
    """Python floats, one pair at a time: NumPy arrays whose elements a subject's adapter hands over."""
    return Backend(
        name="scalar",
        version=platform.python_version(),
        device="cpu",
        dtypes=("float64",),
        from_numpy=np.array,
        to_numpy=np.asarray,
        dtype_of=lambda name: FORMATS[name].dtype,
        imports="",
        literal="float.fromhex('{value}')",
    )


def _torch(device: str) -> Backend:
    torch = import_library("torch")
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
    return Backend(
        name=f"torch:{device}",
        version=torch.__version__,
        device=label,
        dtypes=tuple(FORMATS),
        from_numpy=from_numpy,
        to_numpy=to_numpy,
        dtype_of=dtype_in(torch),
        imports="import torch",
        literal=f"torch.full((64,), float.fromhex('{{value}}'), dtype=torch.{{dtype}}, device='{device}')",
        reverse_mode="(lambda {first}: torch.autograd.grad(({call}).sum(), {first})[0])"
        "({argument}.detach().clone().requires_grad_())",
    )


def _cupy() -> Backend:
    cupy = import_library("cupy")
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        msg = f"CuPy {cupy.__version__} is installed, but there is no CUDA device: {error}"
        raise Missing(msg) from None
    if count == 0:
        msg = f"CuPy {cupy.__version__} is installed, but there is no CUDA device"
        raise Missing(msg)
    name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    return Backend(
        name="cupy",
        version=cupy.__version__,
        device=name,
        dtypes=("float16", "float32", "float64"),
        from_numpy=cupy.asarray,
        to_numpy=cupy.asnumpy,
        dtype_of=dtype_in(cupy),
        imports="import cupy",
        literal="cupy.full(64, float.fromhex('{value}'), '{dtype}')",
    )


def _jax(platform: str) -> Backend:
    # By itself JAX takes three quarters of a GPU's memory at once, which others use, too.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    jax = import_library("jax")
    # Without it JAX has no float64 at all. It must be set before the first array is made.
    jax.config.update("jax_enable_x64", True)
    device = _jax_device(jax, platform)
    name = "jax" if platform == "cpu" else f"jax:{platform}"

    def to_numpy(x: Any) -> Floats:
        # JAX computes where its arguments are; what depends on none of them is on its default device.
        if isinstance(x, jax.Array) and device not in x.devices():
            found = ", ".join(sorted(map(str, x.devices())))
            msg = f"the result is on {found}; {name} computes on {device}"
            raise RuntimeError(msg)
        return np.asarray(x)

    return Backend(
        name=name,
        version=jax.__version__,
        device=str(device) if platform == "cpu" else device.device_kind,
        dtypes=tuple(FORMATS),
        from_numpy=lambda x: jax.device_put(x, device),
        to_numpy=to_numpy,
        dtype_of=dtype_in(jax.numpy),
        imports="import jax; jax.config.update('jax_enable_x64', True)",
        literal=f"jax.numpy.full(64, float.fromhex('{{value}}'), '{{dtype}}', device=jax.devices('{platform}')[0])",
        reverse_mode="jax.grad(lambda {first}: ({call}).sum())({argument})",
    )


def _jax_device(jax: Any, platform: str) -> Any:
    """Return JAX's first device of a platform, which need not be its default one."""
    logger = logging.getLogger("jax")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # it logs what platforms lack, and says so again in what it raises
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return jax.devices(platform)[0]
    except RuntimeError as error:
        msg = f"JAX has no {platform.upper()} device: {error}"
        raise Missing(msg) from None
    finally:
        logger.setLevel(level)


def _dask() -> Backend:
    array, version = import_library("dask.array"), import_library("dask").__version__

    def from_numpy(x: Floats) -> Any:
        return array.from_array(x, chunks="auto" if x.size < 4 else tuple(-(-n // 2) or 1 for n in x.shape))

    return Backend(
        name="dask",
        version=version,
        device="cpu",
        dtypes=("float16", "float32", "float64"),
        from_numpy=from_numpy,
        to_numpy=np.asarray,
        dtype_of=lambda name: FORMATS[name].dtype,
        imports="import numpy as np, dask.array",
        literal=f"dask.array.from_array({_NUMPY_LITERAL})",
    )


def _strict() -> Backend:
    strict = import_library("array_api_strict")

    def to_numpy(x: Any) -> Floats:
        return np.asarray(np.from_dlpack(x)) if x.ndim else np.asarray(x)

    return Backend(
        name="array-api-strict",
        version=strict.__version__,
        device="cpu",
        dtypes=("float32", "float64"),
        from_numpy=lambda x: strict.asarray(x, copy=True),
        to_numpy=to_numpy,
        dtype_of=dtype_in(strict),
        imports="import numpy as np, array_api_strict",
        literal=f"array_api_strict.asarray({_NUMPY_LITERAL})",
    )


def _mlx() -> Backend:
    core, version = import_library("mlx.core"), importlib.metadata.version("mlx")
    core.set_default_device(core.cpu)

    # NumPy has no bfloat16 that MLX knows: such numbers travel as float32, exactly.
    def from_numpy(x: Floats) -> Any:
        if x.dtype == ml_dtypes.bfloat16:
            return core.array(x.astype(np.float32)).astype(core.bfloat16)
        return core.array(x, dtype=core.float64 if x.dtype == np.float64 else None)  # else it would be float32

    def to_numpy(x: Any) -> Floats:
        if x.dtype == core.bfloat16:
            return np.array(x.astype(core.float32)).astype(ml_dtypes.bfloat16)
        return np.array(x)

    return Backend(
        name="mlx",
        version=version,
        device="cpu",
        dtypes=tuple(FORMATS),
        from_numpy=from_numpy,
        to_numpy=to_numpy,
        dtype_of=dtype_in(core),
        imports="import mlx.core as mx, mlx.nn; mx.set_default_device(mx.cpu)",
        literal="mx.full((64,), float.fromhex('{value}'), mx.{dtype})",
        reverse_mode="mx.grad(lambda {first}: ({call}).sum())({argument})",
    )


def _ndonnx() -> Backend:
    ndonnx = import_library("ndonnx")
    import_library("onnxruntime")  # runs what is not run by constants alone
    return Backend(
        name="ndonnx",
        version=ndonnx.__version__,
        device="cpu",
        dtypes=("float16", "float32", "float64"),
        from_numpy=ndonnx.asarray,
        to_numpy=lambda x: np.asarray(x.unwrap_numpy()),
        dtype_of=dtype_in(ndonnx),
        imports="import numpy as np, ndonnx",
        literal=f"ndonnx.asarray({_NUMPY_LITERAL})",
        makes_graphs=True,
    )


_LOADERS: dict[str, Callable[[], Backend]] = {
    "numpy": _numpy,
    "torch:cpu": lambda: _torch("cpu"),
    "torch:cuda": lambda: _torch("cuda"),
    "cupy": _cupy,
    "jax": lambda: _jax("cpu"),
    "jax:cuda": lambda: _jax("cuda"),
    "dask": _dask,
    "array-api-strict": _strict,
    "mlx": _mlx,
    "ndonnx": _ndonnx,
}
BACKEND_NAMES = tuple(_LOADERS)
"""Those that xbce runs on."""
_OTHERS = {**PEER_LOADERS, "scalar": _scalar}
PEER_BACKEND_NAMES = tuple(_OTHERS)
"""Those that only other subjects run on; "scalar" is Python floats, one pair at a time."""


def find_backends(names: tuple[str, ...] = BACKEND_NAMES) -> tuple[dict[str, Backend], dict[str, str]]:
    """Return the named backends that work here, and for each of the others the reason why it does not."""
    found: dict[str, Backend] = {}
    missing: dict[str, str] = {}
    for name in names:
        try:
            found[name] = (_LOADERS | _OTHERS)[name]()
        except Missing as reason:
            missing[name] = str(reason)
    return found, missing


def backend_facts(backends: dict[str, Backend]) -> dict[str, dict[str, str]]:
    """Return version, device and which dtypes lose subnormal numbers, per backend."""
    facts = {}
    for name, backend in backends.items():
        flushed = [dtype for dtype in backend.dtypes if backend.flushes_subnormals(FORMATS[dtype])]
        facts[name] = {
            "version": backend.version,
            "device": backend.device,
            "dtypes": ", ".join(backend.dtypes),
            "flushes subnormal numbers in": ", ".join(flushed) or "none",
        }
    return facts
