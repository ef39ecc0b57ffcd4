"""Times xbce beside what people would write, at each level of the processor; writes a section of docs/benchmarks.md.

    python benchmarks/levels.py

A level below that of the machine is played: libraries are kept from its instructions. Each figure is the median of the
ratios of pairs of calls, one of the other and one of xbce right after it, so that other work on the machine hits both.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.calls import arrays_of, find_backend, function_of, versions
from page import BY_LEVEL, with_section

import xbce
from xbce_conformance.results.environment import environment

HERE = Path(__file__).parent
LEVELS = {
    "AVX-512": {},
    "AVX2": {"NPY_DISABLE_CPU_FEATURES": "X86_V4", "ATEN_CPU_CAPABILITY": "avx2"},
}
"""The environment that plays each level on a processor with AVX-512."""
SIZES = (1, 10**3, 10**4, 10**5, 10**6, 10**7)
COLUMNS = {
    "NumPy, losses, 1 thread": ("numpy", "stable", "elementwise", 1),
    "NumPy, losses and gradient, 1 thread": ("numpy", "stable", "value_and_gradient", 1),
    "NumPy, losses, 2 threads": ("numpy", "stable", "elementwise", 2),
    "PyTorch, losses, 2 threads": ("torch:cpu", "native", "elementwise", 2),
    "PyTorch, step, 2 threads": ("torch:cpu", "native", "training_step", 2),
}
"""Backend, the other subject, function, and threads of xbce and of PyTorch; NumPy's own functions use one."""
_SECONDS = 1.0
"""Time for the pairs of one figure."""


def ratio(other: Callable[[], Any], ours: Callable[[], Any]) -> float:
    """Return how many times as long the other takes, as the median over pairs of calls."""
    for call in (other, ours):
        call()
    begin = time.perf_counter()
    other()
    calls = max(1, int(1e-3 / (time.perf_counter() - begin)))
    ratios: list[float] = []
    end = time.perf_counter() + _SECONDS
    while len(ratios) < 5 or time.perf_counter() < end:
        times = []
        for call in (other, ours):
            begin = time.perf_counter()
            for _ in range(calls):
                call()
            times.append(time.perf_counter() - begin)
        ratios.append(times[0] / times[1])
    return statistics.median(ratios)


def measured() -> dict[str, dict[str, list[float]]]:
    """Return the ratios by column, dtype and size, of this process."""
    import torch

    found: dict[str, dict[str, list[float]]] = {}
    for column, (name, other, function, threads) in COLUMNS.items():
        xbce.set_num_threads(threads)
        torch.set_num_threads(threads)
        found[column] = {}
        for dtype in ("float32", "float64"):
            runs = [function_of(name, subject, function) for subject in (other, "xbce")]
            ratios = []
            for size in SIZES:
                arrays = arrays_of(find_backend(name), dtype, size)
                ratios.append(ratio(*(lambda run=run, arrays=arrays: run(*arrays) for run in runs)))
            found[column][dtype] = [float(f"{r:.3g}") for r in ratios]
    return found


def of_level(level: str) -> dict[str, dict[str, list[float]]]:
    """Return the ratios of a process that is kept to a level."""
    command = [sys.executable, str(Path(__file__)), "--here"]
    shown = subprocess.run(command, env=os.environ | LEVELS[level], capture_output=True, text=True, check=True)  # noqa: S603
    found: dict[str, dict[str, list[float]]] = json.loads(shown.stdout)
    return found


def section(results: dict[str, Any]) -> str:
    """Return the section of the page."""
    names = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    parts = [
        BY_LEVEL,
        "",
        "Made by `python benchmarks/levels.py`: time of the other divided by the time of xbce, so above 1 xbce is",
        "quicker; medians of pairs of calls in one run. The other is what people would write: in NumPy the stable",
        "formula `maximum(x, 0) - x z + log1p(exp(-abs(x)))`, which uses one thread; in PyTorch the native loss, on",
        "as many threads as xbce. float32 / float64.",
        "",
        f"Measured on: {results['processor']}; {names}. AVX2 is played, by `NPY_DISABLE_CPU_FEATURES` and",
        "`ATEN_CPU_CAPABILITY`.",
        "",
    ]
    head = ["elements", *(f"{column} ({level})" for column in COLUMNS for level in LEVELS)]
    parts += [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for i, size in enumerate(SIZES):
        cells = [
            " / ".join(f"{results['ratios'][level][column][dtype][i]:.2f}" for dtype in ("float32", "float64"))
            for column in COLUMNS
            for level in LEVELS
        ]
        parts.append(f"| {'1' if size == 1 else f'10^{len(str(size)) - 1}'} | {' | '.join(cells)} |")
    return "\n".join([*parts, ""])


def main() -> None:
    """Measure every level, and write the section."""
    results = {
        "processor": environment()["processor"],
        "versions": {name: text for name, text in versions().items() if name in ("numpy", "torch", "xbce")},
        "ratios": {level: of_level(level) for level in LEVELS},
    }
    (HERE / "results" / "levels.json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    page = HERE.parent / "docs" / "benchmarks.md"
    page.write_text(with_section(page.read_text("utf-8"), BY_LEVEL, section(results)), "utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["--here"]:
        sys.stdout.write(json.dumps(measured()))
    else:
        main()
