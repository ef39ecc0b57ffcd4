"""Makes tables of ratios, plots, and the page of the documentation from asv's results."""

import itertools
import json
import math
import platform
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt
from asv.results import Results
from asv.util import format_text_table, human_value
from page import BY_OTHERS, section

from benchmarks import calls, subjects
from xbce_conformance.results.figures import ulp_text

TITLES = {function.title().replace("_", ""): title for function, title in calls.TITLES.items()}
"""By the name of the benchmark's class."""
TABLES = {
    **TITLES,
    **{
        f"{loss}{name}": f"{loss.lower()} loss, {title}"
        for loss in subjects.TABLES
        if loss
        for name, title in TITLES.items()
    },
    "ChangingGamma": "focal loss, mean and gradient, with one gamma or another in each step",
    "ArrayGamma": "focal loss, all losses, with gamma a number or an array",
    "HighElementwise": "native and high precision, all losses, one thread (JAX: all)",
    "HighGradient": "native and high precision, all gradients, one thread (JAX: all)",
    "HighMean": "native and high precision, mean, one thread (JAX: all)",
}
"""Benchmarks with a table; plots show only functions that every subject has."""


_UNITS = {"bytes": "bytes", "max_ulp": "largest ULP", "mean_ulp": "mean ULP"}
"""By the end of a benchmark's name."""


def describe(machine: dict[str, Any]) -> dict[str, Any]:
    """Return the CPU, Python and library versions of the measurements, without the name of the machine."""
    return {
        "cpu": machine["cpu"],
        "cores": int(machine["num_cpu"]),
        "python": platform.python_version(),
        "versions": calls.versions(),
    }


def rows_of(results: Results, *, since: float) -> list[dict[str, Any]]:
    """Return what asv measured since a time in milliseconds: a row per benchmark, backend, dtype, subject and size."""
    rows = []
    for name, started in sorted(results.started_at.items()):
        if started < since:
            continue
        params = results.get_result_params(name)
        figures = results.get_result_value(name, params)
        for (measured, size), figure in zip(itertools.product(*params), figures, strict=True):
            if figure is None or figure != figure:  # failed, or skipped
                continue
            backend, dtype, subject = measured.strip("'").split()
            rows.append(
                {
                    "benchmark": name.split(".")[1],
                    "unit": next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), "seconds"),
                    "backend": backend,
                    "dtype": dtype,
                    "subject": subject,
                    "size": int(size),
                    "figure": "inf" if math.isinf(figure) else float(f"{figure:.4g}"),
                }
            )
    return rows


def tables(results: dict[str, Any]) -> list[tuple[str, list[list[str]]]]:
    """Return a title and rows per benchmark and backend: the figure of xbce, and the ratios of the others to it."""
    found = []
    key = ("benchmark", "unit", "backend")
    costs = [row for row in results["rows"] if row["unit"] in ("bytes", "seconds")]
    rows = sorted(costs, key=lambda row: tuple(row[k] for k in key))
    for (benchmark, unit, backend), group in itertools.groupby(rows, lambda row: tuple(row[k] for k in key)):
        mine = list(group)
        figures = {(r["dtype"], r["size"], r["subject"]): r["figure"] for r in mine}
        names = list(dict.fromkeys(r["subject"] for r in mine))
        for xbce in (name for name in names if name.startswith("xbce")):
            suffix = xbce.removeprefix("xbce")
            others = [name for name in names if name != xbce and _belongs(name, suffix)]
            table = [["dtype", "size", xbce, *others]]
            for dtype, size in sorted({(r["dtype"], r["size"]) for r in mine if r["subject"] == xbce}):
                base = figures[dtype, size, xbce]
                ratios = (figures.get((dtype, size, name)) for name in others)
                cells = ("" if ratio is None else f"{ratio / base:.2f} x" for ratio in ratios)
                table.append([dtype, _power(size), human_value(base, unit), *cells])
            what = "memory beyond the arguments" if unit == "bytes" else "time"
            found.append((f"{backend}: {TABLES[benchmark]}, {what}", table))
    return found


def errors(results: dict[str, Any]) -> list[tuple[str, list[list[str]]]]:
    """Return a title and rows per benchmark: the largest and the mean error of each subject on each backend."""
    rows = [row for row in results["rows"] if row["unit"].endswith("ULP")]
    found = []
    for benchmark in dict.fromkeys(row["benchmark"] for row in rows):
        mine = {
            (row["dtype"], row["backend"], row["subject"], row["unit"]): float(row["figure"])
            for row in rows
            if row["benchmark"] == benchmark
        }
        units = [unit for unit in _UNITS.values() if any(row["unit"] == unit for row in rows)]
        table = [["backend", "subject", *(f"{dtype}, {unit}" for dtype in _dtypes(rows) for unit in units)]]
        for backend, subject in dict.fromkeys((backend, subject) for _, backend, subject, _ in mine):
            figures = [mine.get((dtype, backend, subject, unit)) for dtype in _dtypes(rows) for unit in units]
            table.append([backend, subject, *map(ulp_text, figures)])
        found.append((f"{TABLES[benchmark]}, errors", table))
    return found


def _dtypes(rows: list[dict[str, Any]]) -> list[str]:
    return sorted({row["dtype"] for row in rows})


def _belongs(name: str, suffix: str) -> bool:
    return name.endswith(suffix) if suffix else not name.endswith(("-compiled", "-jit"))


def _power(size: int) -> str:
    return f"10^{len(str(size)) - 1}" if size > 1 else "1"


def text(results: dict[str, Any]) -> str:
    """Return the tables for a terminal."""
    return "".join(
        f"\n{title}\n\n{format_text_table(table, 1)}\n" for title, table in tables(results) + errors(results)
    )


def plot(results: dict[str, Any], folder: Path, suffix: str = "png") -> list[Path]:
    """Draw time per element against size, a picture for each backend; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    timed = [row for row in results["rows"] if row["unit"] == "seconds"]
    for backend in dict.fromkeys(row["backend"] for row in timed):
        dtypes = sorted({row["dtype"] for row in timed if row["backend"] == backend})
        figure, axes = plt.subplots(
            len(dtypes), len(TITLES), figsize=(4 * len(TITLES), 3.4 * len(dtypes)), squeeze=False, sharex=True
        )
        for (i, dtype), (j, benchmark) in itertools.product(enumerate(dtypes), enumerate(TITLES)):
            rows = [r for r in timed if (r["backend"], r["dtype"], r["benchmark"]) == (backend, dtype, benchmark)]
            ax = axes[i][j]
            for name in dict.fromkeys(r["subject"] for r in rows):
                line = sorted((r["size"], r["figure"]) for r in rows if r["subject"] == name)
                style = {"color": "0.6", "linestyle": ":"} if name.startswith("traffic") else {}
                style |= {"linewidth": 2.5} if name.startswith("xbce") else {}
                ax.plot([n for n, _ in line], [1e9 * t / n for n, t in line], label=name, marker=".", **style)
            ax.set(xscale="log", yscale="log", title=f"{TITLES[benchmark]}, {dtype}")
            ax.title.set_fontsize(9)
            ax.grid(alpha=0.3)
            if rows:
                ax.legend(fontsize=7)
        for ax in axes[-1]:
            ax.set_xlabel("elements")
        for row in axes:
            row[0].set_ylabel("ns per element")
        figure.tight_layout()
        path = folder / f"speed-{backend.replace(':', '-')}.{suffix}"
        figure.savefig(path, metadata={"Date": None} if suffix == "svg" else None)
        plt.close(figure)
        paths.append(path)
    return paths


def publish(results: dict[str, Any], folder: Path, docs: Path) -> None:
    """Write the results, and the page of the documentation with its plots."""
    folder.mkdir(exist_ok=True)
    name = "-".join(results["machine"]["cpu"].lower().replace("(r)", "").split())
    (folder / f"{name}.json").write_text(json.dumps(results, indent=1, allow_nan=False) + "\n", "utf-8")
    plots = plot(results, docs / "images", "svg")
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    parts = [
        "# Benchmarks",
        "",
        "Made by `make bench-full`; what each name means, and how to read the figures, is in",
        "[benchmarks/README.md](../benchmarks/README.md). In each table xbce is the baseline: it has a figure, and the",
        "other subjects have the ratio of theirs to it. 2.00 x takes twice the time or memory of xbce, 0.50 x half.",
        "`traffic` reads and writes the same bytes with hardly any computation. Errors are in ULP of the exact result.",
        "",
        f"Measured on: {machine['cpu']}, {machine['cores']} cores; Python {machine['python']}; {versions}.",
        "",
    ]
    for path in plots:
        parts += [f"![{path.stem}](images/{path.name})", ""]
    for title, table in tables(results) + errors(results):
        head, *rows = ("| " + " | ".join(row) + " |" for row in table)
        parts += [f"## {title}", "", head, "|" + "---|" * len(table[0]), *rows, ""]
    page = docs / "benchmarks.md"
    old = page.read_text("utf-8") if page.exists() else ""
    kept = [f"{section(old, heading).rstrip()}\n" for heading in BY_OTHERS if section(old, heading)]
    page.write_text("\n".join([*parts, *kept]), "utf-8")


if __name__ == "__main__":
    publish(
        json.loads(Path(sys.argv[1]).read_text("utf-8")), Path(sys.argv[1]).parent, Path(__file__).parents[1] / "docs"
    )
