"""`python -m platforms.probe BACKEND`: say as JSON what computes here: versions, system, and the level of the library.

It runs as a process of its own under the variables of a platform, which libraries read once.
"""

import json
import os
import platform
import sys
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import xbce.special
from platforms.table import V2, V3, V4, numpy_features
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.results.environment import environment
from xbce_conformance.storage import digest
from xbce_conformance.subjects.backends import find_backends

_SOURCES = ("xbce", "xbce_conformance")


def facts(backend: str) -> dict[str, Any]:
    """Return what a result on a backend depends on."""
    library = backend.partition(":")[0]
    found, missing = find_backends([backend])
    if missing:
        raise ImportError(missing[backend])
    here = environment()
    return {
        "level": _LEVELS[library]() if platform.machine() == "x86_64" else platform.machine(),
        "processor": here["processor"] if platform.machine() == "x86_64" else f"QEMU, {platform.machine()}",
        "system": here["system"],
        "C library": " ".join(platform.libc_ver()),
        "Python": here["Python"],
        **{name: version(name) for name in _PACKAGES[library]},
        "sources": _sources(),
        "lacks": _lacks(found[backend]),
    }


def _numpy() -> str:
    found = numpy_features()
    if any("V4" in name or "AVX512" in name for name in found):
        return V4
    return V3 if any(name in ("X86_V3", "AVX2") for name in found) else V2


def _torch() -> str:
    import torch

    capability = torch.backends.cpu.get_cpu_capability()
    return {"NO AVX": V2, "DEFAULT": V2, "AVX2": V3, "AVX512": V4}.get(capability, capability)


def _jax() -> str:
    # XLA does not say what it compiles for: it is what the processor has, but not more than the flag.
    flag = os.environ.get("XLA_FLAGS", "").partition("--xla_cpu_max_isa=")[2].partition(" ")[0]
    return {"SSE4_2": V2, "AVX2": V3, "": _numpy()}.get(flag, flag)


_LEVELS = {"numpy": _numpy, "torch": _torch, "jax": _jax}
_PACKAGES = {"numpy": ["numpy"], "torch": ["torch", "numpy"], "jax": ["jax", "jaxlib", "numpy"]}


def _lacks(backend: Any) -> dict[str, str]:
    """Return the dtypes that the library cannot compute in here, with its errors."""
    errors = {}
    for dtype in backend.dtypes:
        try:
            backend.to_numpy(xbce.special.softplus(backend.from_numpy(FORMATS[dtype].round([0.0, 1.0, 2.0]))))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is reported
            errors[dtype] = f"{type(error).__name__}: {str(error).splitlines()[0]}"
    return errors


def _sources() -> str:
    """Return a digest of the code that is measured, and of the code that measures."""
    folders = [Path(str(files(name))) for name in _SOURCES]
    found = sorted(file for folder in folders for kind in ("*.py", "*.json") for file in folder.rglob(kind))
    return digest(file.read_bytes() for file in found)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(facts(sys.argv[1])) + "\n")
