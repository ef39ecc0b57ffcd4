"""What NVRTC makes of the same sources for real GPUs: contracted operations, and conversions that flush.

`python -m tests.cuda_host.ptx FILE SOURCES...` adds what it finds of the sources that `measure.py` has written.
"""

import json
import re
import sys
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.cuda_host.compiler import KERNEL

ARCHITECTURES = ("80", "90", "100")
_CONTRACTED = re.compile(r"\bfma\.rn\.[\w.]*|\bmad\.rn\.[\w.]*")
_FLUSHING = re.compile(r"\bcvt\.(?:\w+\.)*ftz\.[\w.]*")


def ptx(source: str, options: tuple[str, ...], architecture: str) -> str:
    """Return the PTX of a source, compiled as CuPy compiles it, with the options that it gives."""
    import cupy

    nvrtc: Any = cupy.cuda.nvrtc
    nvidia = getattr(find_spec("nvidia"), "submodule_search_locations", None) or []
    folders = [Path(cupy.__file__).parent / "_core" / "include", *(Path(p) / "cu13" / "include" for p in nvidia)]
    program = nvrtc.createProgram(source, "kernel.cu", [], [])
    given = (*options, "-ftz=true", f"-arch=compute_{architecture}", *(f"-I{folder}" for folder in folders))
    try:
        nvrtc.compileProgram(program, given)
        return str(nvrtc.getPTX(program).decode())
    except nvrtc.NVRTCError as error:
        msg = f"{error}\n{nvrtc.getProgramLog(program)}\n{source}"
        raise RuntimeError(msg) from None
    finally:
        nvrtc.destroyProgram(program)


def contracted(text: str) -> list[str]:
    """Return the operations of a PTX that round a product and a sum once."""
    return _CONTRACTED.findall(text)


def flushing(text: str) -> list[str]:
    """Return the conversions of a PTX that take subnormal numbers of float32 for 0."""
    return _FLUSHING.findall(text)


@dataclass(frozen=True)
class Compiled:
    """What NVRTC makes of the kernels of one precision for one architecture."""

    precision: str
    architecture: str
    kernels: int
    contracted: int
    """Kernels with a contracted operation."""
    flushing: tuple[str, ...]
    """Kernels whose conversions take subnormal numbers of float32 for 0."""


def compiled(precision: str, sources: list[tuple[str, tuple[str, ...]]], architecture: str) -> Compiled:
    """Compile all sources for an architecture, and look for such operations."""
    texts = {source: ptx(source, tuple(options), architecture) for source, options in sources}
    names = sorted({name for source, text in texts.items() if flushing(text) for name in KERNEL.findall(source)})
    return Compiled(precision, architecture, len(texts), sum(bool(contracted(t)) for t in texts.values()), tuple(names))


if __name__ == "__main__":
    for given in map(Path, sys.argv[2:]):
        target = Path(sys.argv[1])
        rows = json.loads(target.read_text("utf-8")) if target.exists() else []
        for architecture in ARCHITECTURES:
            found = compiled(given.name.partition(".")[0], json.loads(given.read_text("utf-8")), architecture)
            rows.append(asdict(found))
        target.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
