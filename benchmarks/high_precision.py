"""Times the plain loss in high precision beside native precision, at every level that this processor can play.

    python benchmarks/high_precision.py            # writes results and the section of docs/precision.md
    python benchmarks/high_precision.py --section  # only writes the section, from the results that are there

A figure is a median of calls in one process, in ns per element, of native and of high precision. NumPy and PyTorch use
one thread; what JAX and torch.compile compile uses two processors. Nothing else should run meanwhile.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from benchmarks.calls import find_backend, finisher
from page import with_section
from processes import RESULTS, committed, described, level_here, on_two_processors, playable

import xbce

PAGE = Path(__file__).parents[1] / "docs" / "precision.md"
FILES = "high-precision-*.json"
HEADING = "## What it costs"
QUANTITIES = ("value", "gradient", "hessian", "mean")
LABELS = ("hard", "soft", "distilled")
SIZE = 10**6
COMPILED = "torch.compile"
_LIBRARIES = ("numpy", "torch", "jax", "xbce")
_BACKENDS = {"NumPy": "numpy", "PyTorch": "torch:cpu", "JAX": "jax", COMPILED: "torch:cpu"}
_CALLS = {"native": 7, "high": 5}

Case = tuple[str, str, str, str, int]
"""A library, a dtype, a quantity, a kind of labels, and a number of elements."""
CASES: tuple[Case, ...] = (
    *((lib, "float32", q, labels, SIZE) for lib in ("NumPy", "PyTorch") for q in QUANTITIES for labels in LABELS),
    *((lib, "float64", q, "hard", SIZE) for lib in ("NumPy", "PyTorch") for q in QUANTITIES),
    *((lib, "float32", "value", "hard", 1) for lib in ("NumPy", "PyTorch")),
    ("PyTorch", "float32", "step", "hard", SIZE),
    *(("JAX", dtype, q, "hard", SIZE) for dtype in ("float32", "float64") for q in QUANTITIES),
    *((COMPILED, "float32", q, "hard", SIZE) for q in ("value", "gradient")),
)


def arrays(dtype: str, labels: str, size: int) -> tuple[Any, Any]:
    """Return logits and labels: 0 and 1, even in [0, 1], or the float32 nearest to sigmoid(x), a teacher's."""
    rng = np.random.default_rng(0)
    x = rng.normal(0, 4, size).astype(dtype)
    match labels:
        case "hard":
            z = rng.integers(0, 2, size)
        case "soft":
            z = rng.random(size)
        case _:
            z = 1 / (1 + np.exp(-x.astype(np.float64)))
    return x, z.astype(dtype)


def call_of(case: Case, precision: str) -> Callable[[], Any]:
    """Return a call that waits for its result."""
    library, dtype, quantity, labels, size = case
    backend = find_backend(_BACKENDS[library])
    x, z = (backend.from_numpy(a) for a in arrays(dtype, labels, size))
    loss = xbce.binary_cross_entropy_with_logits
    function: Callable[..., Any] = partial(
        {"gradient": loss.gradient, "hessian": loss.hessian}.get(quantity, loss),
        precision=precision,
        **({"reduction": "mean"} if quantity in ("mean", "step") else {}),
    )
    if library in ("PyTorch", COMPILED):
        import torch

        torch.set_num_threads(1 if library == "PyTorch" else 2)
        if quantity == "step":
            x.requires_grad_(True)
            return lambda: torch.autograd.grad(function(x, z), x)
        if library == COMPILED:
            torch.compiler.reset()
            function = torch.compile(function)
    elif library == "JAX":
        import jax

        function = jax.jit(function)
    else:
        xbce.set_num_threads(1)
    finish = finisher(_BACKENDS[library])
    return lambda: finish(function(x, z))


def nanoseconds(call: Callable[[], Any], calls: int, size: int) -> float:
    """Return the median time of calls after the first, per element, to three digits."""
    call()
    batch = max(1, 200 // size)  # of one element, a clock sees several calls
    found = []
    for _ in range(calls * (100 if size == 1 else 1)):
        start = time.perf_counter()
        for _ in range(batch):
            call()
        found.append((time.perf_counter() - start) / batch)
    return float(f"{1e9 * statistics.median(found) / size:.3g}")


def measured(case: Case) -> list[float]:
    """Return the ns per element in native and in high precision."""
    return [nanoseconds(call_of(case, precision), calls, case[4]) for precision, calls in _CALLS.items()]


def _level(name: str, variables: dict[str, str], threads: int) -> dict[str, Any]:
    head = described(name, threads, os.getloadavg()[0], _LIBRARIES)  # before it measures: what is other work
    return head | {"figures": [row for library in _BACKENDS for row in _process(library, variables)]}


def _process(library: str, variables: dict[str, str]) -> Iterator[list[Any]]:
    """Measure a library in a process of its own; yield its cases with their two figures."""
    command = [sys.executable, __file__, "--library", library]
    with subprocess.Popen(command, env=os.environ | variables, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        for line in process.stdout or ():
            click.echo(line, nl=False, err=True)
            yield json.loads(line)
    if process.returncode:
        msg = f"{library}: exit code {process.returncode}"
        raise click.ClickException(msg)


def _text(number: float) -> str:
    return f"{number:.3g}" if number >= 100 else f"{number:.1f}"


def _ratio(native: float, high: float) -> str:
    return f"{high / native:.0f}" if high >= 10 * native else f"{high / native:.1f}"


def _pair(native: float, high: float) -> str:
    return f"{_text(native)}, {_text(high)} ({_ratio(native, high)})"


def _of_level(results: dict[str, Any]) -> list[str]:
    figures = {tuple(row[:5]): (row[5], row[6]) for row in results["figures"]}
    libraries = ", ".join(f"{name} {text}" for name, text in results["versions"].items())
    played = ", played by a processor with more" if results["played"] else ""
    lines = [
        f"### {results['level']}",
        "",
        f"Measured on: {results['processor']}{played}, {results['date']}, with {results['load']} processors",
        f"busy before; {libraries}.",
    ]
    for library in ("NumPy", "PyTorch"):
        lines += ["", f"| {library}, float32 | native | " + " | ".join(LABELS) + " |", "|---|" + "--:|" * 4]
        for quantity in QUANTITIES:
            found = [figures[library, "float32", quantity, labels, SIZE] for labels in LABELS]
            cells = [f"{_text(high)} ({_ratio(native, high)})" for native, high in found]
            lines.append(f"| {quantity} | {_text(found[0][0])} | {' | '.join(cells)} |")
    columns = [*((library, "float64") for library in ("NumPy", "PyTorch"))]
    columns += [("JAX", "float32"), ("JAX", "float64"), (COMPILED, "float32")]
    lines += ["", "| hard labels: native, high | " + " | ".join(", ".join(c) for c in columns) + " |"]
    lines += ["|---|" + "--:|" * len(columns)]
    for quantity in QUANTITIES:
        found = [figures.get((*column, quantity, "hard", SIZE)) for column in columns]
        lines.append(f"| {quantity} | " + " | ".join("–" if pair is None else _pair(*pair) for pair in found) + " |")
    step = figures["PyTorch", "float32", "step", "hard", SIZE]
    one = [figures[library, "float32", "value", "hard", 1] for library in ("NumPy", "PyTorch")]
    numpy, torch = (f"{high / 1000:.0f} (native {native / 1000:.0f})" for native, high in one)
    return [
        *lines,
        "",
        "A step of training in PyTorch, the mean and its gradient by automatic differentiation, takes",
        f"{_text(step[1])} ns per element of float32 in place of {_text(step[0])} ({_ratio(*step)}; hard labels,",
        f"one thread). The loss of one element takes {numpy} microseconds on NumPy, and {torch} on PyTorch.",
        "",
    ]


def section(levels: list[dict[str, Any]]) -> str:
    """Return the section of the page."""
    head = [
        HEADING,
        "",
        "Made by `python benchmarks/high_precision.py`: nanoseconds per element of the plain loss, native and high,",
        "and in parentheses high divided by native. 10^6 elements, one thread for NumPy and PyTorch, two processors",
        "for what JAX and `torch.compile` compile; medians of seven native and five high calls in one process.",
        "Labels are 0 and 1 (hard), even in [0, 1] (soft), or the float32 nearest to sigmoid(x) (distilled), which",
        "is the worst case of a gradient. “native” is with hard labels; the ratios are to native precision with the",
        "same labels.",
        "",
    ]
    return "\n".join([*head, *(line for results in levels for line in _of_level(results))])


def write_section() -> None:
    """Write the section of the page, from the results of all levels."""
    PAGE.write_text(with_section(PAGE.read_text("utf-8"), HEADING, section(committed(FILES))), "utf-8")


@click.command()
@click.option("--section", "only_section", is_flag=True, help="Measure nothing; write the section of the page anew.")
@click.option(
    "--library", type=click.Choice(list(_BACKENDS)), help="Measure a library here; print a line for each case."
)
def main(*, only_section: bool, library: str | None) -> None:
    """Time high precision beside native precision."""
    if library:
        for case in CASES:
            if case[0] == library:
                click.echo(json.dumps([*case, *measured(case)]))
        return
    if not only_section:
        threads = on_two_processors()
        for name, variables in playable(level_here()).items():
            results = _level(name, variables, threads)
            (RESULTS / f"high-precision-{name}.json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    write_section()


if __name__ == "__main__":
    main()
