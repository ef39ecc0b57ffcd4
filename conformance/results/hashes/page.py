"""Write README.md beside this file from the files beside it, which `xbce-conformance hashes` has written.

Given folders that it has written, put their hashes.json beside this file first, under the level and the library.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from xbce_conformance.invariance import Report, summary, table
from xbce_conformance.invariance.report import NUMPY

FOLDER = Path(__file__).parent

INTRODUCTION = """\
# The same bits everywhere

SHA-256 of what `precision="high"` returns, for every loss, method and special function, in every mode of every library:
[how it comes about](../../../docs/conformance/every-input.md#the-same-bits-everywhere). [page.py](page.py) writes this
page from the files beside it.
"""

SUMMARY = """\
## What is equal

How many functions of how many have the hash of all others. In brackets: how many results are apart. They are
subnormal, or zeros of the other sign, and differ where a library flushes subnormal numbers. “–”: not measured, or the
library has no such dtype. QEMU plays aarch64. One hash of float16 (xlog1py) has changed since JAX, Dask,
array-api-strict and compiled PyTorch were measured at x86-64-v4, and is left out there. Graphs of ONNX are left out:
onnxruntime's Where drops the sign of -0. But for that they have the same bits
([accuracy](../../../docs/accuracy.md#mlx-and-onnx)).
"""

TABLE = """\
“=”: the same bits in every dtype. In brackets: results that are apart, since the library flushes them.
"""

AGAIN = """\
## Again

```
xbce-conformance hashes --eager --backend torch:cpu --out v4
xbce-conformance hashes --backend jax --out v4-jax
NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL AVX512_SPR" ATEN_CPU_CAPABILITY=avx2 \\
  XLA_FLAGS=--xla_cpu_max_isa=AVX2 xbce-conformance hashes --eager --backend torch:cpu --out v3
NPY_DISABLE_CPU_FEATURES="X86_V3 X86_V4 AVX512_ICL" ATEN_CPU_CAPABILITY=default MKL_ENABLE_INSTRUCTIONS=SSE4_2 \\
  GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX512F,-AVX2,-AVX,-FMA,-FMA4 \\
  xbce-conformance hashes --eager --backend torch:cpu --out v2
xbce-conformance hashes --eager --backend mlx --out mlx
python conformance/results/hashes/page.py v4 v4-jax v3 v2 mlx
```

On aarch64 with Python and the packages of `platforms/emulator.py`: `xbce-conformance hashes --eager --backend numpy`.
"""


def name_of(report: Report) -> str:
    """Return level and modes of a file: those beside NumPy's, if there are any."""
    modes = dict.fromkeys(mode.replace(":", "-").partition(",")[0] for mode in report.modes)
    libraries = [mode for mode in modes if mode != NUMPY] or [NUMPY]
    compiled = any("compile" in mode or "jit" in mode for mode in report.modes)
    return "-".join([report.modes[NUMPY]["level"], *libraries, *(["compiled"] if compiled else [])])


def by_level(reports: Iterable[Report]) -> dict[str, Report]:
    """Return the reports of each level as one, without rows that several have."""
    levels: dict[str, Report] = {}
    for report in reports:
        one = levels.setdefault(report.modes[NUMPY]["level"], Report(report.environment))
        known = {(row.mode, row.dtype, row.function) for row in one.rows}
        one.rows += [row for row in report.rows if (row.mode, row.dtype, row.function) not in known]
        one.modes |= report.modes
    return dict(sorted(levels.items(), reverse=True))


def page(reports: Iterable[Report]) -> str:
    """Return the text of README.md."""
    levels = by_level(reports)
    head = summary(next(iter(levels.values())))[:2]
    lines = [INTRODUCTION, SUMMARY, *head]
    for report in levels.values():
        lines += summary(report)[2:]
    level, report = next(iter(levels.items()))
    versions = dict.fromkeys(f"{mode.partition(',')[0]} {facts['version']}" for mode, facts in report.modes.items())
    lines += ["", f"With {', '.join(versions)} on {report.environment['processor']}.", ""]
    lines += [f"## Functions and modes, {level}", "", TABLE, *table(report.rows), "", AGAIN]
    return "\n".join(lines)


def read() -> list[Report]:
    """Return the reports beside this file."""
    return [Report.read(file) for file in sorted(FOLDER.glob("*.json"))]


if __name__ == "__main__":
    for folder in map(Path, sys.argv[1:]):
        found = Report.read(folder / "hashes.json")
        found.write(FOLDER / f"{name_of(found)}.json")
    (FOLDER / "README.md").write_text(page(read()), "utf-8")
