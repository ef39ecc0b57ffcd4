"""Builds the source of a CUDA kernel with the C++ compiler of the host."""

import hashlib
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
KERNEL = re.compile(r'extern "C"\s+__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\(')
_COMPUTES_IN_DOUBLE = re.compile(r"\bdouble\s*&|CArray<double\b")
"""Arrays of float64, and functions of such numbers: constants alone are converted to the dtype that they meet."""
_LOGARITHM = re.compile(r"\blog\(")
_FLUSHING_LOGARITHM = """\
static inline float host_log(float x) {
  unsigned bits = host_bits<unsigned>(x);
  return logf((bits & 0x7f800000u) == 0 ? host_bits<float>(bits & 0x80000000u) : x);
}
static inline double host_log(double x) { return log(x); }
#define log(x) host_log(x)
"""
"""Takes a subnormal number for 0 before the C library scales it, which fails where subnormal numbers are flushed."""
_OPTIONS = ("-std=c++17", "-O2", "-fPIC", "-w", "-fno-strict-aliasing", "-pthread")


@dataclass(frozen=True)
class Arithmetic:
    """How a kernel is compiled."""

    contract: bool = False
    """Products and the sums after them are rounded once, as NVRTC does it without --fmad=false."""
    flush: bool = False
    """Subnormal numbers of float32 are 0, as -ftz=true has it, which CuPy gives: in kernels without float64, and in
    conversions. A kernel that computes in both keeps them."""

    @property
    def options(self) -> tuple[str, ...]:
        """The options of the compiler; what is contracted must be in one function."""
        contracting = ("-ffp-contract=fast", "-mfma", "-fno-semantic-interposition")
        return contracting if self.contract else ("-ffp-contract=off",)


IEEE = Arithmetic()


class Compiler:
    """Takes NVRTC's place in CuPy, and keeps in a folder what was built."""

    def __init__(self, folder: Path, arithmetic: Arithmetic) -> None:
        self.command = shutil.which("g++")
        if self.command is None:
            msg = "there is no C++ compiler: apt install g++"
            raise RuntimeError(msg)
        self.arithmetic = arithmetic
        self.folder = folder
        self.sources: dict[str, tuple[str, ...]] = {}
        """Each source that was asked for, and the options that CuPy has for it."""
        folder.mkdir(parents=True, exist_ok=True)

    @cached_property
    def version(self) -> str:
        """The compiler in words."""
        return subprocess.run([str(self.command), "--version"], capture_output=True, text=True).stdout.splitlines()[0]

    def __call__(self, source: str, options: tuple[str, ...], *_: Any, **_options: Any) -> Any:
        """Return CuPy's module of a source; its image is the path of a shared object."""
        from cupy.cuda.function import Module

        self.sources[source] = options
        module = Module()
        module.load(bytes(self.kernel(source)))
        return module

    def device(self) -> Path:
        """Return the library that has CUDA's functions."""
        return self._built("device", ".so", (HERE / "device.cpp").read_text("utf-8"), "-shared", "-ldl")

    def kernel(self, source: str) -> Path:
        """Return the shared object of the kernels of a source."""
        header = self._built("kernel", ".hpp.gch", '#include "kernel.hpp"\n', *self._common, kind="c++-header")
        return self._built(
            "", ".so", translated(source, self.arithmetic), "-shared", "-include", str(header)[:-4], *self._common
        )

    @cached_property
    def _common(self) -> tuple[str, ...]:
        import cupy

        folders = (HERE / "include", Path(cupy.__file__).parent / "_core" / "include")
        return (*self.arithmetic.options, *(f"-I{folder}" for folder in folders))

    @cached_property
    def _headers(self) -> str:
        """The text of our headers: with it changes what is built."""
        return "".join(file.read_text("utf-8") for file in sorted(HERE.rglob("include/**/*")) if file.is_file())

    def _built(self, name: str, suffix: str, text: str, *options: str, kind: str = "c++") -> Path:
        """Return what a text is compiled to, compiled once."""
        known = repr((text, options, self._headers, self.version))
        target = self.folder / f"{name}{hashlib.sha256(known.encode()).hexdigest()[:24]}{suffix}"
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=self.folder) as own:  # another process may build the same
                given, made = Path(own, "source"), Path(own, "made")
                given.write_text(text, "utf-8")
                command = [str(self.command), "-x", kind, str(given), *_OPTIONS, *options, "-o", str(made)]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode != 0:
                    msg = f"{' '.join(command)}\n{done.stderr[:3000]}\n{text}"
                    raise RuntimeError(msg)
                made.rename(target)
        return target


def translated(source: str, arithmetic: Arithmetic) -> str:
    """Return a source with an entry for each of its kernels, which plays the grid."""
    barriers = str("__syncthreads" in source).lower()
    names = KERNEL.findall(source)
    converts = all(name.startswith("cupy_copy__") for name in names)
    flush = arithmetic.flush and (converts or not _COMPUTES_IN_DOUBLE.search(source))
    before = [_FLUSHING_LOGARITHM] if flush and _LOGARITHM.search(source) else []
    entries = [
        f'extern "C" void host_entry_{name}(void** arguments, const unsigned* grid, const unsigned* block) '
        f"{{ host::play<{name}>(arguments, grid, block, {barriers}, {str(flush).lower()}); }}"
        for name in names
    ]
    return "\n".join((*before, source, *entries, ""))
