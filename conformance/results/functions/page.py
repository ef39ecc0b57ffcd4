"""Write README.md and its plots beside this file from the files of platforms beside it.

Given files that `xbce-conformance functions` has written, all of a platform, put what they have beside this file first.
"""

import io
import sys
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xbce_conformance.functions import ELEMENTARY, FunctionRow, Report
from xbce_conformance.functions.report import inputs_text
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.results.figures import ulp_text

FOLDER = Path(__file__).parent
LARGE = 4.0
"""An error beyond this many ULP is a defect, which has a reason in `REASONS`: xbce promises 4 ULP by itself."""

INTRODUCTION = """\
# How accurate the functions of array libraries are

Largest and mean error of each function, in ULP of the exact result, per library, dtype and processor level: what the
array API standard [asks for](https://data-apis.org/array-api/latest/design_topics/accuracy.html), and test suites
replace by tolerances. [page.py](page.py) writes this page from the files beside it, which have every figure, with the
inputs in hexadecimal ([schema](../../../docs/functions.schema.json)); [how they come
about](../../../docs/conformance/functions.md).

In the tables a cell is the largest error, the mean error, and the share of results that are correctly rounded. “=”:
every number was tried. Without it the largest error is a lower bound: of draws evenly over binades (2^24, on aarch64
2^20; in float64 2^17), neighbourhoods of the places where implementations branch, and a search from the worst of
these. “inf”: NaN or infinite where a finite number is right, or the other way round. Mean and share are of all
numbers, or of the draws, and so of many numbers where a function is trivial; they compare libraries, not functions.
“–”: the library has no such function, or computes it in another dtype.
"""

LEVELS = """\
A level is what the library uses: by its own word for NumPy and PyTorch, by the flag of XLA for JAX. SciPy stands with
NumPy: it has one build for all processors, and so has NumPy where it calls the C library, which looks at the processor
itself. A level below that of the machine was played: `NPY_DISABLE_CPU_FEATURES`, `ATEN_CPU_CAPABILITY` with
`MKL_ENABLE_INSTRUCTIONS`, `XLA_FLAGS=--xla_cpu_max_isa`; at x86-64-v2 the C library, too, was kept from AVX and FMA
(`GLIBC_TUNABLES`). There JAX cannot compile float16. aarch64 was played by QEMU.
"""

DIFFERENCES = """\
## What depends on the level

Functions whose largest errors differ by more than 2 % among the levels where every number was tried, or by more than
10 % among all: of samples and a search they differ by chance, too. Without logaddexp near its zero.
"""

DEFECTS = f"""\
## Errors above {LARGE:g} ULP, zeros and wrong special values

The worst input of each at the worst level, and how many results are 0 for a normal number (“zeros”), or NaN or infinite
where that is wrong (“wrong”), of all inputs tried there. Another level stands beside the error where its own differs.
"""

FLUSHED = """\
## Subnormal numbers

Functions that return 0 where a subnormal number is right, or take subnormal inputs for 0; these results have no error
in ULP, and are in no maximum above. Without logaddexp, which is 0 for a subnormal number where its terms cancel, too.
"""

AGAIN = """\
## Again

```
xbce-conformance functions --samples 16777216 --out v4       # minutes
for f in exp expm1 log log1p tanh sigmoid; do                # hours; may be interrupted
  xbce-conformance functions --dtype float32 --function $f --backend numpy --backend torch:cpu --backend jax --out v4
done
NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL AVX512_SPR" ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 \\
  XLA_FLAGS=--xla_cpu_max_isa=AVX2 xbce-conformance functions --samples 16777216 --out v3
export NPY_DISABLE_CPU_FEATURES=X86_V3 ATEN_CPU_CAPABILITY=default MKL_ENABLE_INSTRUCTIONS=SSE4_2  # with AVX2 alone
export XLA_FLAGS=--xla_cpu_max_isa=SSE4_2 GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX512F,-AVX2,-AVX,-FMA,-FMA4
xbce-conformance functions --samples 16777216 --out v2
python conformance/results/functions/page.py v4/functions.json v3/functions.json v2/functions.json
```

On aarch64, in the folder that `make platforms` has made, for each LIBRARY (numpy, torch:cpu, jax; SITE: numpy, torch,
jax), for PyTorch and JAX with `--dtype` float16, bfloat16 and float32:

```
A=.platforms/aarch64
PYTHONPATH=.:conformance:$A/site-suite:$A/site-numpy:$A/site-SITE $A/qemu/usr/bin/qemu-aarch64-static -L $A/root \\
  $A/root/usr/bin/python3.11 -m xbce_conformance functions --backend LIBRARY --samples 1048576 --out aarch64-SITE
```
"""

_HALF = ("float16", "bfloat16")
_WIDE = ("float32", "float64")


@dataclass(frozen=True)
class Reason:
    """Why functions of some libraries have large errors in some dtypes."""

    functions: tuple[str, ...]
    libraries: tuple[str, ...]
    dtypes: tuple[str, ...]
    text: str

    def fits(self, row: FunctionRow) -> bool:
        """Tell whether it is that of a row."""
        return row.function in self.functions and library(row) in self.libraries and row.dtype in self.dtypes


_SUM = "the sum of the powers is near 1 and the result near 0: the two terms cancel, and their errors are left"
_DIFFERENCE = "the difference of the arguments is rounded before exp, which multiplies that error by the difference"
_FLUSHED_TERM = "a term near the smallest normal number is flushed to 0, and the other one is not larger"

REASONS = (
    Reason(("exp",), ("jax",), ("float32",), "above 88.5 only, where 2^n no longer fits: up to 1.01 ULP below"),
    Reason(("expm1",), ("jax",), (*_HALF, *_WIDE), "between 1e-4 and 0.5 in magnitude: computed from tanh(x / 2)"),
    Reason(("tanh",), ("jax",), ("float32",), "a rational function, off by as much from 3e-4 to 9"),
    Reason(("tanh",), ("jax",), ("float64",), "grows from 5 to 20, beyond which it is 1; on [0, 5] up to 4 ULP"),
    Reason(("log1p",), ("jax",), ("float64",), "from 1 - sqrt(2) to -0.3; elsewhere up to 2 ULP"),
    Reason(("softplus",), ("torch",), ("float64",), "from the threshold 20 on it returns x, without exp(-x)"),
    Reason(("logit",), ("torch", "jax"), (*_HALF, *_WIDE), "near 1/2: log(p / (1 - p)), whose quotient is rounded"),
    Reason(("logaddexp",), ("numpy", "torch", "jax", "cupy"), (*_HALF, *_WIDE), _SUM),
    Reason(("logaddexp-by-term",), ("jax",), ("float16",), "each step is rounded to 16 bits, not the result alone"),
    Reason(("logaddexp-by-term",), ("jax",), ("bfloat16", "float32"), _FLUSHED_TERM),
    Reason(("logaddexp-by-term",), ("numpy", "torch", "jax", "cupy"), _WIDE, _DIFFERENCE),
    Reason(("xlogy",), ("torch", "jax"), _HALF, "the logarithm is rounded to 16 bits, and the product overflows"),
)


def library(row: FunctionRow) -> str:
    """Return the package that has the function."""
    return row.implementation.partition(":")[0].partition(".")[0]


def reason_of(row: FunctionRow) -> str:
    """Return why a row has large errors; empty where nobody has looked."""
    return next((reason.text for reason in REASONS if reason.fits(row)), "")


def is_defect(row: FunctionRow) -> bool:
    """Tell whether a row has errors that need a reason."""
    return row.max_ulp > LARGE or row.zero_for_normal > 0 or row.wrong_nonfinite > 0


# --- the files ------------------------------------------------------------------------------------------------------


def platform_of(report: Report) -> str:
    """Return system and level of a file, which are those of all its rows."""
    (level,) = {row.level for row in report.rows}
    return f"{report.environment['system'].split()[0].lower()}-{level}"


def best_rows(rows: list[FunctionRow]) -> list[FunctionRow]:
    """Return the rows without those of fewer inputs than another one of the same function has."""
    best: dict[tuple[str, ...], FunctionRow] = {}
    for row in rows:
        key = row.function, row.backend, row.dtype
        if key not in best or (row.exhaustive, row.samples) >= (best[key].exhaustive, best[key].samples):
            best[key] = row
    order = list(ELEMENTARY)
    return sorted(best.values(), key=lambda row: (list(FORMATS).index(row.dtype), order.index(row.function)))


def _on_its_processor(row: FunctionRow) -> FunctionRow:
    """Name QEMU, which shows the processor of the machine."""
    played = row.level == "aarch64" and row.processor.startswith(("AMD", "Intel"))
    return replace(row, processor=f"QEMU on {row.processor}") if played else row


def taken(files: list[Path]) -> dict[str, Report]:
    """Return what files have, those of one platform as one."""
    found: dict[str, Report] = {}
    for report in map(Report.read, files):
        name = platform_of(report)
        first = found.setdefault(name, replace(report, rows=[], missing={}))
        rows = best_rows([*first.rows, *map(_on_its_processor, report.rows)])
        found[name] = replace(first, rows=rows, missing=first.missing | report.missing)
    return found


def platforms(folder: Path = FOLDER) -> dict[str, Report]:
    """Return all files by platform, the highest level first."""
    return {file.stem: Report.read(file) for file in sorted(folder.glob("*.json"), reverse=True)}


# --- tables ---------------------------------------------------------------------------------------------------------


def cell(row: FunctionRow | None) -> str:
    """Return the figures of a row."""
    if row is None:
        return "–"
    share = row.correctly_rounded / row.count
    return f"{'=' * row.exhaustive}{ulp_text(row.max_ulp)} / {row.mean_ulp:.2g} / {share:.1%}"


def table(rows: list[FunctionRow], dtype: str) -> str:
    """Return the table of a dtype: functions by libraries."""
    mine = {(row.function, row.backend): row for row in rows if row.dtype == dtype}
    backends = list(dict.fromkeys(backend for _, backend in mine))
    lines = [f"**{dtype}**", "", f"| | {' | '.join(map(_heading, backends))} |", "|---|" + "---|" * len(backends)]
    lines += [
        f"| {function} | {' | '.join(cell(mine.get((function, backend))) for backend in backends)} |"
        for function in ELEMENTARY
        if any((function, backend) in mine for backend in backends)
    ]
    return "\n".join(lines) + "\n"


def _heading(backend: str) -> str:
    return "numpy, scipy" if backend == "numpy" else backend


def platform_section(name: str, report: Report) -> str:
    """Return the section of a platform."""
    versions = ", ".join(sorted({f"{library(row)} {row.version}" for row in report.rows}))
    processors = ", ".join(sorted({row.processor for row in report.rows}))
    head = f"## {name}\n\n{versions}; {processors}; [{name}.json]({name}.json)\n"
    return "\n".join([head, *(table(report.rows, dtype) for dtype in FORMATS)])


def differences(reports: dict[str, Report]) -> str:
    """Return the table of functions whose figures depend on the level."""
    names = list(reports)
    if len(names) < 2:
        return ""
    lines = [
        DIFFERENCES,
        f"| function | library | dtype | {' | '.join(names)} |",
        "|---|---|---|" + "---|" * len(names),
    ]
    for row in reports[names[0]].rows:
        others = [_same(report, row) for report in reports.values()]
        measured = [other for other in others if other is not None]
        errors = [other.max_ulp for other in measured]
        by_chance = ELEMENTARY[row.function].cancels and not ELEMENTARY[row.function].scale
        tried = [other.max_ulp for other in measured if other.exhaustive]
        differ = max(errors) > 1.1 * min(errors) or (bool(tried) and max(tried) > 1.02 * min(tried))
        if differ and not by_chance:
            cells = " | ".join(map(cell, others))
            lines.append(f"| {row.function} | {library(row)} | {row.dtype} | {cells} |")
    return "\n".join(lines) + "\n"


def _same(report: Report, row: FunctionRow) -> FunctionRow | None:
    key = row.function, row.backend, row.dtype
    return next((other for other in report.rows if (other.function, other.backend, other.dtype) == key), None)


def defects(reports: dict[str, Report]) -> str:
    """Return the table of rows that need a reason: of each function of a library in a dtype the worst level."""
    found: dict[tuple[str, ...], list[tuple[str, FunctionRow]]] = {}
    for name, report in reports.items():
        for row in report.rows:
            found.setdefault((row.function, row.backend, row.dtype), []).append((name, row))
    lines = [DEFECTS, "| function | library | dtype | max ULP | at | returns | exact | zeros | wrong | why |"]
    lines.append("|---|---|---|---|---|---|---|---|---|---|")
    order = list(ELEMENTARY)
    for levels in sorted(found.values(), key=lambda levels: order.index(levels[0][1].function)):
        _, row = max(levels, key=lambda level: level[1].max_ulp)
        if not is_defect(row):
            continue
        largest = ulp_text(row.max_ulp)
        others = [f"; {name}: {text}" for name, other in levels if (text := ulp_text(other.max_ulp)) != largest]
        lines.append(
            f"| {row.function} | {library(row)} {row.version} | {row.dtype} | {largest}{''.join(others)} "
            f"| `{'`, `'.join(row.worst_inputs)}` = {inputs_text(row)} | {_number(row, row.worst_computed)} "
            f"| {_number(row, row.worst_exact)} | {row.zero_for_normal} | {row.wrong_nonfinite} | {reason_of(row)} |"
        )
    return "\n".join(lines) + "\n"


def _number(row: FunctionRow, text: str) -> str:
    return f"{float.fromhex(text):.{17 if row.dtype == 'float64' else 9}g}"


def flushed(reports: dict[str, Report]) -> str:
    """Return which functions lose subnormal numbers, by library."""
    rows = [
        row
        for report in reports.values()
        for row in report.rows
        if row.flushed and not ELEMENTARY[row.function].cancels
    ]
    lines = [FLUSHED]
    for (name, dtype), same in groupby(sorted(rows, key=_by_library), key=_by_library):
        functions = sorted({row.function for row in same}, key=list(ELEMENTARY).index)
        lines.append(f"- {name}, {dtype}: {', '.join(functions)}")
    return "\n".join(lines) + "\n"


def _by_library(row: FunctionRow) -> tuple[str, str]:
    return library(row), row.dtype


# --- plots ----------------------------------------------------------------------------------------------------------

DRAWN = ("exp", "expm1", "log", "log1p", "tanh", "sigmoid", "log-sigmoid", "softplus")
COLOURS = {"numpy": "#4c72b0", "scipy": "#4c72b0", "torch": "#dd4c3a", "jax": "#7b4ba0", "cupy": "#3f9b5f"}
LINES = ("-", "--", ":", "-.")
LEAST = 0.1
"""Errors below are drawn here: the axis is logarithmic."""


def plot(reports: dict[str, Report], dtype: str) -> str:
    """Return an SVG of the largest error by binade of the input, negative and positive."""
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "xbce", "font.family": "sans-serif", "font.size": 9}):
        figure = Figure(figsize=(12, 9), layout="constrained")
        grid = figure.subplots(4, 2, sharey=True)
        legend = {}
        for axes, function in zip(grid.flat, DRAWN, strict=True):
            _draw(axes, reports, function, dtype)
            legend |= {name: line for line, name in zip(*axes.get_legend_handles_labels(), strict=True)}
        figure.legend(legend.values(), legend.keys(), loc="outside upper center", ncols=4, frameon=False)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _draw(axes: Axes, reports: dict[str, Report], function: str, dtype: str) -> None:
    for (name, report), line in zip(reports.items(), LINES, strict=False):
        exponents = report.binades
        for row in report.rows:
            if (row.function, row.dtype) == (function, dtype):
                nothing: list[float | None] = [None] * len(exponents)
                both = row.by_binade.get("negative", nothing)[::-1] + row.by_binade["positive"]
                errors = [np.nan if e is None else max(e, LEAST) for e in both]
                axes.plot(errors, line, color=COLOURS[library(row)], label=f"{row.backend}, {name}", linewidth=1.1)
    n = len(exponents)
    ticks = [k for k in range(1, n) if exponents[k] % 10 == 0]
    places = [n - 1 - k for k in reversed(ticks)] + [n - 0.5] + [n + k for k in ticks]
    negative, positive = ([f"{sign}2^{exponents[k]}" for k in ticks] for sign in ("-", ""))
    axes.set_xticks(places, [*reversed(negative), "0", *positive])
    axes.tick_params(axis="x", labelsize=7)
    axes.axvline(n - 0.5, color="#bbbbbb", linewidth=0.8)
    axes.axhline(0.5, color="#bbbbbb", linestyle=":", linewidth=0.8)
    axes.set_yscale("log")
    axes.set_title(function, loc="left", fontsize=9)
    axes.set_ylabel("max error (ULP)")
    axes.spines[["top", "right"]].set_visible(False)


# --- the page -------------------------------------------------------------------------------------------------------


def page(reports: dict[str, Report]) -> str:
    """Return the page."""
    pictures = [f"![Largest error by binade, {dtype}](by-binade-{dtype}.svg)\n" for dtype in ("float32", "float64")]
    return "\n".join(
        [
            INTRODUCTION,
            LEVELS,
            "Largest error by binade of the input:\n",
            *pictures,
            *(platform_section(name, report) for name, report in reports.items()),
            *filter(None, [differences(reports)]),
            defects(reports),
            flushed(reports),
            AGAIN,
        ]
    )


if __name__ == "__main__":
    for platform, report in taken([Path(path) for path in sys.argv[1:]]).items():
        report.write(FOLDER / f"{platform}.json")
    found = platforms()
    (FOLDER / "README.md").write_text(page(found), "utf-8")
    for name in ("float32", "float64"):
        (FOLDER / f"by-binade-{name}.svg").write_text(plot(found, name), "utf-8")
