"""`python -m platforms.page`: write README.md beside the results of platforms."""

from pathlib import Path

from platforms.condensed import Condensed, Line
from platforms.table import LEVELS, NOT_MEASURED
from xbce_conformance.results.figures import ulp_text

FOLDER = Path(__file__).parents[1] / "conformance" / "results" / "platforms"
DTYPES = ("float32", "float64", "float16", "bfloat16")

INTRODUCTION = """\
# The promise on other processors

xbce at every level of instructions that one machine can play, by `make platforms`; aarch64 by QEMU, and NumPy's
x86-64-v4 by Bochs where the machine has no AVX-512. A library kept from instructions runs the code that it has for
processors without them. Written by `python -m platforms.page`;
[platforms.schema.json](../../../docs/platforms.schema.json) describes the JSON files.

Inputs of the suite's level "quick": the largest error in ULP is a lower bound. **FAIL**: beyond the bound of
[the contract](../../xbce_conformance/contract/data/README.md), which is the same on all processors.
Each platform was measured on the day that the table says, and its figures are of the code of that day; they are judged
by the contract as it is now.
"""


def page(folder: Path = FOLDER) -> str:
    """Return the page."""
    every = sorted((Condensed.read(file) for file in folder.glob("*.json")), key=_order)
    measured = [found for found in every if not found.absent]
    parts = [INTRODUCTION, _platforms(every), _failures(measured)]
    parts += [_table(dtype, measured) for dtype in DTYPES]
    return "\n".join(parts)


def _order(found: Condensed) -> tuple[int, int]:
    levels = (*LEVELS, "aarch64")
    return ["numpy", "torch:cpu", "jax"].index(found.backend), levels.index(found.level)


def _platforms(every: list[Condensed]) -> str:
    head = "| platform | measured | library | suite | tests | lacks |"
    lines = ["## Platforms", "", head, "|---|---|---|---|---|---|"]
    for found in every:
        if found.absent:
            lines.append(f"| {found.slug} | {found.date} | {found.backend} | not measured: {_cell(found.absent)} | | |")
            continue
        versions = ", ".join(f"{name} {found.facts[name]}" for name in ("numpy", "torch", "jax") if name in found.facts)
        suite = f"**{len(found.failed)} of {len(found.rows)} FAIL**" if found.failed else f"all {len(found.rows)} pass"
        tests = "not run"
        if found.tests:
            tests = f"**{len(found.tests.failed)} FAIL**, " * bool(found.tests.failed) + f"{found.tests.passed} pass"
        lacks = "; ".join(f"{name}: {_cell(reason)}" for name, reason in found.lacks.items())
        where = found.facts["processor"]
        name = f"[{found.slug}]({found.slug}.json) | {found.date}"
        lines.append(f"| {name} | {versions} on {where} | {suite} | {tests} | {lacks} |")
    lines += [f"| {name} | | | not measured: {reason} | | |" for name, reason in NOT_MEASURED.items()]
    return "\n".join([*lines, ""])


def _failures(measured: list[Condensed]) -> str:
    lines = [
        f"- {found.slug}: {line.function} [{line.quantity}], {line.dtype}: {'; '.join(line.violations)}; at "
        + ", ".join(f"{name} = {text}" for name, text in line.worst.items())
        for found in measured
        for line in found.failed
    ]
    lines += [f"- {found.slug}: {name}" for found in measured if found.tests for name in found.tests.failed]
    return "\n".join(["## What fails", "", *(lines or ["Nothing."]), ""])


def _table(dtype: str, measured: list[Condensed]) -> str:
    """Return the largest errors of a dtype: a line for each quantity, a column for each platform."""
    here = [found for found in measured if any(line.dtype == dtype for line in found.rows)]
    by_platform = [{(line.case, line.quantity): line for line in found.rows if line.dtype == dtype} for found in here]
    keys = dict.fromkeys(key for lines in by_platform for key in lines)
    head = " | ".join(found.slug for found in here)
    lines = [f"## {dtype}", "", f"| function | bound | {head} |", "|---|---|" + "---|" * len(here)]
    for key in keys:
        found = [lines.get(key) for lines in by_platform]
        case, quantity = key
        bounds = sorted({bound for line in found if line for bound in line.bound.values()})
        bound = " to ".join(dict.fromkeys(ulp_text(b) for b in (bounds[0], bounds[-1])))
        lines.append(f"| {case}, {quantity} | {bound} | {' | '.join(_figure(line) for line in found)} |")
    return "\n".join([*lines, ""])


def _figure(line: Line | None) -> str:
    if line is None:
        return "–"
    return f"**{ulp_text(line.ulp)} FAIL**" if line.violations else ulp_text(line.ulp)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    (FOLDER / "README.md").write_text(page(), "utf-8")
