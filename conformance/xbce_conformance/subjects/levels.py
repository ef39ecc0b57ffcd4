"""The processor level that a library's functions run on: how accurate they are depends on it.

A processor has a level; a library may be told to use a lower one, or have no code for the highest.
"""

import importlib
import os
import platform
import re
import sys
from pathlib import Path

from xbce_conformance.subjects.backend import ON_DEVICE, Backend

V2, V3, V4 = (f"x86-64-v{n}" for n in (2, 3, 4))

NEEDS = {
    V4: {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
    V3: {"avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"},
    V2: {"cx16", "popcnt", "sse4_1", "sse4_2", "ssse3"},
}
"""Features of Linux's /proc/cpuinfo."""
_NUMPY = {V4: ("X86_V4", "AVX512_SKX"), V3: ("X86_V3", "AVX2"), V2: ("X86_V2", "SSE42")}
"""Features of NumPy: from 2.4 on, and before."""
_TORCH = {"AVX512": V4, "AVX2": V3, "DEFAULT": V2, "NO AVX": V2}
_XLA = {"AVX512": V4, "AVX2": V3, "AVX": V2, "SSE4_2": V2}


def level_of(backend: Backend, cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the level that a backend's functions run on: "gpu" on one, the architecture where it has no levels."""
    if backend.name in ON_DEVICE:
        return "gpu"
    machine = platform.machine().lower()
    if machine not in ("x86_64", "amd64"):
        return machine
    highest = _of_machine(cpuinfo)
    library = backend.name.partition(":")[0]
    if library == "torch":
        return _TORCH.get(sys.modules["torch"].backends.cpu.get_cpu_capability(), highest)
    if library == "jax":
        allowed = re.findall(r"--xla_cpu_max_isa=(\w+)", os.environ.get("XLA_FLAGS", ""))
        limit = next((level for name, level in _XLA.items() if allowed and allowed[-1].startswith(name)), highest)
        return min(limit, highest)
    return _of_numpy()


def _of_machine(cpuinfo: Path) -> str:
    if not cpuinfo.exists():
        return "x86-64"
    flags = set(re.search(r"^flags\s*:(.*)$", cpuinfo.read_text("utf-8"), re.MULTILINE)[1].split())  # type: ignore[index]
    return next((level for level, needed in NEEDS.items() if needed <= flags), "x86-64")


def _of_numpy() -> str:
    """Return what NumPy has enabled, which is what it has code for, the processor has, and nobody has disabled."""
    features = importlib.import_module("numpy._core._multiarray_umath").__cpu_features__
    return next((level for level, (new, old) in _NUMPY.items() if features.get(new, features.get(old))), "x86-64")
