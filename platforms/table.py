"""The platforms: a library at a level of instructions, and what makes it compute at that level.

A level is played by what keeps a library from more: it runs its code for lesser processors, as they would.
"""

import platform as system
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from xbce_conformance.cases import FUNCTIONS

V2, V3, V4 = "x86-64-v2", "x86-64-v3", "x86-64-v4"
LEVELS = (V2, V3, V4)

# What keeps the C library from instructions beyond a level: PyTorch and NumPy call its exp and log in places.
_GLIBC = {V2: "glibc.cpu.hwcaps=-AVX512F,-AVX2,-AVX,-FMA,-FMA4", V3: "glibc.cpu.hwcaps=-AVX512F", V4: ""}
_MKL = {V2: "SSE4_2", V3: "AVX2", V4: ""}
_ATEN = {V2: "default", V3: "avx2", V4: "avx512"}
_XLA = {V2: "SSE4_2", V3: "AVX2", V4: ""}


_UNCOMPILED = tuple(name for name in FUNCTIONS if name.startswith("special."))
"""What the level "quick" gives to no compiler of PyTorch, which would need a C++ one."""


@dataclass(frozen=True)
class Platform:
    """One of them."""

    slug: str
    backend: str
    """Of the suite."""
    level: str
    """As the probe names it."""
    environment: dict[str, str] = field(default_factory=dict)
    """Variables that keep the library at this level."""
    played_by: Literal["", "QEMU", "Bochs"] = ""
    """What plays the processor, if this machine does not have it."""
    functions: tuple[str, ...] = ()
    """Of xbce, if not all are measured."""

    @property
    def library(self) -> str:
        """Name of the library, without the device."""
        return self.backend.partition(":")[0]


_OF_V2 = ("SSSE3", "SSE41", "POPCNT", "SSE42")
"""What NumPy before 2.4 may be told not to use, though x86-64-v2 has it."""


def numpy_features() -> list[str]:
    """Return what NumPy finds here beyond x86-64-v2, has code of its own for, and may be told not to use."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    return [name for name in found if name not in _OF_V2]


def beyond_v3() -> list[str]:
    """Return the same beyond x86-64-v3."""
    return [name for name in numpy_features() if "512" in name or "V4" in name]


def platforms() -> tuple[Platform, ...]:
    """Return all."""
    beyond = {
        V2: numpy_features(),
        V3: beyond_v3(),
        V4: [],
    }
    native = [
        *(("numpy", level, {"NPY_DISABLE_CPU_FEATURES": " ".join(beyond[level])}) for level in LEVELS),
        *(
            ("torch:cpu", level, {"ATEN_CPU_CAPABILITY": _ATEN[level], "MKL_ENABLE_INSTRUCTIONS": _MKL[level]})
            for level in LEVELS
        ),
        *(("jax", level, {"XLA_FLAGS": f"--xla_cpu_max_isa={_XLA[level]}" if _XLA[level] else ""}) for level in LEVELS),
    ]
    made = [
        Platform(
            slug=f"{backend.partition(':')[0]}-{level}",
            backend=backend,
            level=level,
            environment={name: text for name, text in (variables | {"GLIBC_TUNABLES": _GLIBC[level]}).items() if text},
        )
        for backend, level, variables in native
    ]
    made += [
        Platform(f"{backend.partition(':')[0]}-aarch64", backend, "aarch64", played_by="QEMU", functions=functions)
        for backend, functions in (("numpy", ()), ("torch:cpu", _UNCOMPILED), ("jax", _UNCOMPILED))
    ]
    return tuple(played_by_bochs(each) if each.slug == f"numpy-{V4}" and not has_v4() else each for each in made)


def has_v4() -> bool:
    """Tell whether this processor has AVX-512, or is none of those that may: on these Bochs is of no use."""
    return bool(beyond_v3()) or system.machine() != "x86_64"


def played_by_bochs(platform: Platform) -> Platform:
    """Return a platform as it is measured on a machine that does not have its processor."""
    return replace(platform, played_by="Bochs", environment={})


NOT_MEASURED = {
    "Windows": "no machine with it",
    "macOS": "no machine with it",
    "musl": "no C library but glibc",
}
"""Systems that no platform stands for, and why."""
