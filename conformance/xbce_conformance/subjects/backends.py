"""The array libraries: those that xbce runs on, and those of peers; which are here, what is missing and why."""

import importlib
import importlib.metadata
import logging
import os
import platform
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from xbce_conformance.inputs.formats import FORMATS, Floats, Format


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
    imports: str
    """Statements after which `literal` can be evaluated."""
    literal: str
    """Expression of an array that repeats {value}, in hexadecimal, in {dtype}.

    It is long enough for vector instructions, which round otherwise than scalar ones in some libraries."""
    reverse_mode: str = ""
    """Expression of the gradient of {call} in the variable {first} at {argument}; empty without such a mode."""

    def array_code(self, value: str, dtype: str) -> str:
        """Return the expression of an array that repeats a number."""
        return self.literal.format(value=value, dtype=dtype)

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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large frameworks about each other
            return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        missing = isinstance(error, ModuleNotFoundError) and error.name == package
        msg = f"{package} is not installed" if missing else f"{module} cannot be imported: {error}"
        raise Missing(msg) from None


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
    return Backend(
        name=f"torch:{device}",
        version=torch.__version__,
        device=label,
        dtypes=tuple(FORMATS),
        from_numpy=from_numpy,
        to_numpy=to_numpy,
        dtype_of=_dtype_in(torch),
        imports="import torch",
        literal=f"torch.full((64,), float.fromhex('{{value}}'), dtype=torch.{{dtype}}, device='{device}')",
        reverse_mode="(lambda {first}: torch.autograd.grad(({call}).sum(), {first})[0])"
        "({argument}.detach().clone().requires_grad_())",
    )


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
    return Backend(
        name="cupy",
        version=cupy.__version__,
        device=name,
        dtypes=("float16", "float32", "float64"),
        from_numpy=cupy.asarray,
        to_numpy=cupy.asnumpy,
        dtype_of=_dtype_in(cupy),
        imports="import cupy",
        literal="cupy.full(64, float.fromhex('{value}'), '{dtype}')",
    )


def _jax(platform: str) -> Backend:
    # By itself JAX takes three quarters of a GPU's memory at once, which others use, too.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    jax = _import("jax")
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
        dtype_of=_dtype_in(jax.numpy),
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
    array, version = _import("dask.array"), _import("dask").__version__

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
    strict = _import("array_api_strict")

    def to_numpy(x: Any) -> Floats:
        return np.asarray(np.from_dlpack(x)) if x.ndim else np.asarray(x)

    return Backend(
        name="array-api-strict",
        version=strict.__version__,
        device="cpu",
        dtypes=("float32", "float64"),
        from_numpy=strict.asarray,
        to_numpy=to_numpy,
        dtype_of=_dtype_in(strict),
        imports="import numpy as np, array_api_strict",
        literal=f"array_api_strict.asarray({_NUMPY_LITERAL})",
    )


def _tensorflow() -> Backend:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    tf = _import("tensorflow")
    return Backend(
        name="tensorflow",
        version=tf.__version__,
        device="cpu",
        dtypes=tuple(FORMATS),
        from_numpy=tf.constant,
        to_numpy=np.asarray,
        dtype_of=_dtype_in(tf),
        imports="import tensorflow as tf",
        literal="tf.fill([64], tf.cast(tf.constant(float.fromhex('{value}'), 'float64'), '{dtype}'))",
        reverse_mode="(lambda {first}, t: (t.__enter__(), t.watch({first}), t.gradient({call}, {first}))[-1])"
        "({argument}, tf.GradientTape())",
    )


def _paddle() -> Backend:
    paddle = _import("paddle")
    return Backend(
        name="paddle",
        version=paddle.__version__,
        device="cpu",
        dtypes=("float32", "float64"),
        from_numpy=lambda x: paddle.to_tensor(x, place=paddle.CPUPlace()),
        to_numpy=lambda x: np.asarray(x.numpy()),
        dtype_of=_dtype_in(paddle),
        imports="import paddle",
        literal="paddle.full([64], float.fromhex('{value}'), '{dtype}')",
        reverse_mode="(lambda {first}: (setattr({first}, 'stop_gradient', False), "
        "paddle.grad(({call}).sum(), {first})[0])[-1])({argument}.clone())",
    )


def _mlx() -> Backend:
    core, version = _import("mlx.core"), importlib.metadata.version("mlx")
    core.set_default_device(core.cpu)

    # NumPy has no bfloat16 that MLX knows: such numbers travel as float32, exactly.
    def from_numpy(x: Floats) -> Any:
        if x.dtype == ml_dtypes.bfloat16:
            return core.array(x.astype(np.float32)).astype(core.bfloat16)
        return core.array(x)

    def to_numpy(x: Any) -> Floats:
        if x.dtype == core.bfloat16:
            return np.array(x.astype(core.float32)).astype(ml_dtypes.bfloat16)
        return np.array(x)

    return Backend(
        name="mlx",
        version=version,
        device="cpu",
        dtypes=("float16", "bfloat16", "float32"),
        from_numpy=from_numpy,
        to_numpy=to_numpy,
        dtype_of=_dtype_in(core),
        imports="import mlx.core as mx, mlx.nn; mx.set_default_device(mx.cpu)",
        literal="mx.full((64,), float.fromhex('{value}'), mx.{dtype})",
        reverse_mode="mx.grad(lambda {first}: ({call}).sum())({argument})",
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
}
_PEER_LOADERS: dict[str, Callable[[], Backend]] = {
    "tensorflow": _tensorflow,
    "paddle": _paddle,
    "mlx": _mlx,
    "scalar": _scalar,
}
BACKEND_NAMES = tuple(_LOADERS)
"""Those that xbce runs on."""
PEER_BACKEND_NAMES = tuple(_PEER_LOADERS)
"""Those that only other subjects run on; "scalar" is Python floats, one pair at a time."""


def find_backends(names: tuple[str, ...] = BACKEND_NAMES) -> tuple[dict[str, Backend], dict[str, str]]:
    """Return the named backends that work here, and for each of the others the reason why it does not."""
    found: dict[str, Backend] = {}
    missing: dict[str, str] = {}
    for name in names:
        try:
            found[name] = (_LOADERS | _PEER_LOADERS)[name]()
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
