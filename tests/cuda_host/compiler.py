"""Builds the source of a CUDA kernel with the C++ compiler of the host."""

import hashlib
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
_KERNEL = re.compile(r'extern "C"\s+__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\(')
_OPTIONS = ("-std=c++17", "-O2", "-fPIC", "-shared", "-w", "-fno-strict-aliasing", "-frounding-math", "-pthread")


@dataclass(frozen=True)
class Arithmetic:
    """How a kernel is compiled."""

    contract: bool = False
    """Products and the sums after them are rounded once, as NVRTC does it without --fmad=false."""
    flush: bool = False
    """Subnormal numbers of float32 are 0, as -ftz=true has it, which CuPy gives."""


class Compiler:
    """Takes NVRTC's place in CuPy, and keeps what was built, and of what, in a folder."""

    def __init__(self, folder: Path, arithmetic: Arithmetic) -> None:
        self.command = shutil.which("g++") or ""
        self.arithmetic = arithmetic
        self.folder = folder
        self.sources: dict[str, tuple[str, tuple[str, ...]]] = {}
        """By kernel and digest: source, and the options that CuPy gives NVRTC."""
        folder.mkdir(parents=True, exist_ok=True)

    def device(self) -> Path:
        """Return the library of CUDA's functions."""
        target = self.folder / "device.so"
        self._run(str(HERE / "device.cpp"), "-std=c++17", "-O2", "-fPIC", "-shared", "-ldl", "-o", str(target))
        return target

    def __call__(self, source: str, options: tuple[str, ...], *_others: Any, **_options: Any) -> Any:
        """Return CuPy's module of a source."""
        from cupy.cuda.function import Module

        module = Module()
        module.load(bytes(self.built(source, options)))
        return module

    def built(self, source: str, options: tuple[str, ...]) -> Path:
        """Return the shared object of a source."""
        digest = hashlib.sha256(repr((source, options, self.arithmetic)).encode()).hexdigest()[:24]
        names = _KERNEL.findall(source)
        self.sources[digest] = source, options
        target = self.folder / f"{digest}.so"
        if not target.exists():
            self._run("-x", "c++", "-", *_OPTIONS, *self._flags(options), "-o", str(target), text=self.translated(source, names))
        return target

    def translated(self, source, names):
        barriers = "true" if "__syncthreads" in source else "false"
        flush = "true" if self.arithmetic.flush else "false"
        entries = [
            f'extern "C" void host_entry_{name}(void** a, const unsigned* g, const unsigned* b) '
            f"{{ host::play<{name}>(a, g, b, {barriers}, {flush}); }}"
            for name in names
        ]
        return "\n".join((source, *entries, ""))

    def _flags(self, options):
        import cupy

        nvidia = [Path(p) / "cu13" / "include" for p in getattr(find_spec("nvidia"), "submodule_search_locations", None) or []]
        folders = [HERE / "include", Path(cupy.__file__).parent / "_core" / "include", *nvidia]
        contract = ("-ffp-contract=fast", "-mfma") if self.arithmetic.contract else ("-ffp-contract=off",)
        return (*contract, *(o for o in options if o.startswith("-D")), *(f"-I{f}" for f in folders), "-include", "host.hpp")

    def _run(self, *arguments: str, text: str | None = None) -> None:
        done = subprocess.run([self.command, *arguments], input=text, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            msg = f"{' '.join(arguments)}\n{done.stderr[:3000]}\n{text}"
            raise RuntimeError(msg)
