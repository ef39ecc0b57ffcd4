"""CuPy on a machine without CUDA: its own arrays, launches and sources of kernels, which a C++ compiler builds.

`install` puts the functions of device.cpp in the place of those that CuPy calls of CUDA's runtime and driver, before
CuPy's other modules bind them, and a compiler of the host in the place of NVRTC. It is for a process of its own: in
any other one CuPy has no device.
"""

import ctypes
import importlib
import os
import sys
from pathlib import Path
from typing import Any

from tests.cuda_host.compiler import IEEE, Arithmetic, Compiler

_RUNTIME, _DRIVER = "cupy_backends.cuda.api.runtime", "cupy_backends.cuda.api.driver"
_SKIP = "int __pyx_skip_dispatch"
_OBJECT = "PyObject *"
FUNCTIONS = {
    _RUNTIME: {
        "getDeviceCount": f"int ({_SKIP})",
        "getDevice": f"int ({_SKIP})",
        "setDevice": f"{_OBJECT}(int, {_SKIP})",
        "deviceGetAttribute": f"int (int, int, {_SKIP})",
        "pointerGetMemoryType": f"int (intptr_t, {_SKIP})",
        "_ensure_context": f"{_OBJECT}(void)",
        "driverGetVersion": f"int ({_SKIP})",
        "runtimeGetVersion": f"int ({_SKIP})",
        "deviceSynchronize": f"{_OBJECT}({_SKIP})",
        "streamSynchronize": f"{_OBJECT}(intptr_t, {_SKIP})",
        "streamIsCapturing": f"int (intptr_t, {_SKIP})",
        "eventCreate": f"intptr_t ({_SKIP})",
        "eventCreateWithFlags": f"intptr_t (unsigned int, {_SKIP})",
        "eventRecord": f"{_OBJECT}(intptr_t, intptr_t, {_SKIP})",
        "eventQuery": f"{_OBJECT}(intptr_t, {_SKIP})",
        "eventSynchronize": f"{_OBJECT}(intptr_t, {_SKIP})",
        "eventDestroy": f"{_OBJECT}(intptr_t, {_SKIP})",
        "malloc": f"intptr_t (size_t, {_SKIP})",
        "hostAlloc": f"intptr_t (size_t, unsigned int, {_SKIP})",
        "free": f"{_OBJECT}(intptr_t, {_SKIP})",
        "freeHost": f"{_OBJECT}(intptr_t, {_SKIP})",
        "memcpy": f"{_OBJECT}(intptr_t, intptr_t, size_t, int, {_SKIP})",
        "memcpyAsync": f"{_OBJECT}(intptr_t, intptr_t, size_t, int, intptr_t, {_SKIP})",
        "memset": f"{_OBJECT}(intptr_t, int, size_t, {_SKIP})",
        "memsetAsync": f"{_OBJECT}(intptr_t, int, size_t, intptr_t, {_SKIP})",
    },
    _DRIVER: {
        "moduleLoadData": f"intptr_t ({_OBJECT}, {_SKIP})",
        "moduleUnload": f"{_OBJECT}(intptr_t, {_SKIP})",
        "moduleGetFunction": f"intptr_t (intptr_t, {_OBJECT}, {_SKIP})",
        "launchKernel": f"{_OBJECT}(intptr_t, {'unsigned int, ' * 7}intptr_t, intptr_t, intptr_t, {_SKIP})",
    },
}
"""What CuPy's modules call of CUDA by a pointer, with the signature under which CuPy gives it away."""


def install(folder: Path, arithmetic: Arithmetic = IEEE) -> Compiler:
    """Give CuPy, which must not have been imported yet, this machine for a device; builds go to `folder`."""
    if "cupy" in sys.modules:
        msg = "CuPy has been imported: its modules have bound CUDA's functions"
        raise RuntimeError(msg)
    os.environ["CUPY_ACCELERATORS"] = ""  # CUB's sums are compiled for a GPU, in CuPy itself
    compiler = Compiler(folder, arithmetic)
    library = ctypes.PyDLL(str(compiler.device()))
    for name, functions in FUNCTIONS.items():
        module: Any = importlib.import_module(name)
        for function, signature in functions.items():
            _replace(module.__pyx_capi__[function], signature, library[f"host_{function}"])
    runtime: Any = importlib.import_module(_RUNTIME)
    runtime.getDeviceCount = lambda: 1
    runtime.getDeviceProperties = lambda _device: {"name": b"host"}
    cuda: Any = importlib.import_module("cupy.cuda.compiler")
    cuda._compile_with_cache_cuda = compiler
    return compiler


def compiler() -> Compiler:
    """Return what `install` has put in NVRTC's place."""
    cuda: Any = importlib.import_module("cupy.cuda.compiler")
    found: Compiler = cuda._compile_with_cache_cuda
    return found


def _replace(capsule: Any, signature: str, function: Any) -> None:
    """Put another function of the same signature in the place of the one in a capsule."""
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_SetPointer.argtypes = [ctypes.py_object, ctypes.c_void_p]
    found = api.PyCapsule_GetName(capsule).decode()
    if found != signature:
        msg = f"this CuPy has the signature {found!r}, device.cpp has {signature!r}"
        raise RuntimeError(msg)
    api.PyCapsule_SetPointer(capsule, ctypes.cast(function, ctypes.c_void_p))
