"""Times `xbce.conventions.sklearn.HalfBinomialLoss` beside scikit-learn's compiled class, alone and in its fits.

    python benchmarks/half_binomial.py            # prints the section
    python benchmarks/half_binomial.py --write    # writes the results and the section of docs/benchmarks.md
    python benchmarks/half_binomial.py --section  # only writes the section, from the results that are there

A ratio is the time of xbce divided by that of scikit-learn, of pairs of calls, one right after the other: the median,
and the quartiles, between which half of the pairs are. Above 1 scikit-learn is faster. One thread is timed by the time
that the processor spends on it, which other work changes little; several by the clock, and only where none runs.
"""

import json
import os
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
from benchmarks.calls import versions
from page import HALF_BINOMIAL, with_section
from pairs import Call, ratios
from sklearn._loss.loss import HalfBinomialLoss as Theirs
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, _logistic
from threadpoolctl import threadpool_limits

from xbce.conventions.sklearn import HalfBinomialLoss as Ours
from xbce_conformance.results.environment import environment

RESULTS = Path(__file__).parent / "results" / "half-binomial.json"
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
METHODS = ("loss_gradient", "gradient_hessian")
DTYPES = ("float32", "float64")
SIZES = (10**3, 10**4, 10**5, 10**6)
SOLVERS = ("lbfgs", "newton-cg", "newton-cholesky")
SAMPLES = (1_000, 100_000)
_FEATURES = 20
_LEAST_PAIRS = 7
_QUIET = 0.5
"""Most processors that other work may keep busy where several threads are timed."""

Quartiles = tuple[float, float, float]
Clock = Callable[[], float]


def quartiles(ours: Call, theirs: Call, seconds: float, clock: Clock = time.process_time) -> Quartiles:
    """Return the quartiles of the ratios of pairs of calls."""
    low, middle, high = statistics.quantiles(ratios(ours, theirs, seconds, clock, _LEAST_PAIRS), n=4)
    return low, middle, high


def of_method(method: str, dtype: str, size: int, threads: int, seconds: float) -> Quartiles:
    """Measure a method that writes into arrays, as scikit-learn calls it."""
    rng = np.random.default_rng(0)
    x, z = rng.normal(0, 4, size).astype(dtype), (rng.random(size) < 0.5).astype(dtype)
    outs = np.empty(size, dtype), np.empty(size, dtype)

    def call(loss: Any) -> Call:
        run = getattr(loss, method)
        return lambda: run(z, x, None, *outs, threads)

    return quartiles(call(Ours()), call(Theirs()), seconds, time.process_time if threads == 1 else time.perf_counter)


def data_of(samples: int) -> tuple[Any, Any]:
    """Return features and labels."""
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (samples, _FEATURES))
    return x, (rng.random(samples) < 1 / (1 + np.exp(-x @ rng.normal(0, 1, _FEATURES)))).astype(int)


def fitted(loss: Any, solver: str, x: Any, z: Any) -> Any:
    """Return a fitted LogisticRegression with a class in the place of scikit-learn's."""
    before = _logistic.HalfBinomialLoss
    _logistic.HalfBinomialLoss = loss
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            return LogisticRegression(solver=solver, tol=1e-6, max_iter=500).fit(x, z)
    finally:
        _logistic.HalfBinomialLoss = before


def of_fit(solver: str, samples: int, seconds: float) -> tuple[Quartiles, float]:
    """Measure a fit; return also the largest relative difference between the coefficients."""
    x, z = data_of(samples)
    found = [fitted(loss, solver, x, z).coef_ for loss in (Ours, Theirs)]
    difference = float(np.max(np.abs(found[0] - found[1])) / np.max(np.abs(found[1])))
    ours, theirs = (lambda loss=loss: fitted(loss, solver, x, z) for loss in (Ours, Theirs))
    with threadpool_limits(1):
        return quartiles(ours, theirs, seconds), difference


def measured(seconds: float) -> dict[str, Any]:
    """Measure everything."""
    here, load = environment(), os.getloadavg()[0]
    threads = len(os.sched_getaffinity(0))
    counts = sorted({1, threads}) if load <= _QUIET else [1]
    return {
        "processor": here["processor"],
        "date": here["date"],
        "load": round(load, 1),
        "threads": threads,
        "versions": {name: text for name, text in versions().items() if name in ("numpy", "scikit-learn", "xbce")},
        "methods": [
            [method, dtype, size, count, *of_method(method, dtype, size, count, seconds)]
            for method in METHODS
            for dtype in DTYPES
            for count in counts
            for size in SIZES
        ],
        "fits": [
            [solver, samples, *found, difference]
            for solver in SOLVERS
            for samples in SAMPLES
            for found, difference in [of_fit(solver, samples, 3 * seconds)]
        ],
    }


_NOT_QUIET = "More threads are not measured: other work was running."


def _text(low: float, middle: float, high: float) -> str:
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def section(results: dict[str, Any]) -> str:
    """Return the section of the page."""
    libraries = ", ".join(f"{name} {text}" for name, text in results["versions"].items())
    lines = [
        HALF_BINOMIAL,
        "",
        "Made by `python benchmarks/half_binomial.py --write`: time of `xbce.conventions.sklearn.HalfBinomialLoss`",
        "divided by that of scikit-learn's compiled class, in whose place it is; above 1 scikit-learn is faster.",
        "Each figure is the median over pairs of calls, one right after the other, with the quartiles in parentheses:",
        "half of the pairs are between them. One thread is timed by what the processor spends on it, several by the",
        "clock, where no other work runs. All calls write into arrays that are given, as scikit-learn's do; labels are",
        "0 and 1.",
        "",
        f"Measured on: {results['processor']}, {results['date']}, with {results['load']} processors busy before;",
        f"{libraries}.",
        *([] if any(row[3] > 1 for row in results["methods"]) else ["", _NOT_QUIET]),
        "",
        "| method | dtype | threads | " + " | ".join(f"{size:,}" for size in SIZES) + " |",
        "|---|---|--:|" + "--:|" * len(SIZES),
    ]
    rows: dict[tuple[str, str, int], list[str]] = {}
    for method, dtype, _, threads, *found in results["methods"]:
        rows.setdefault((method, dtype, threads), []).append(_text(*found))
    lines += [f"| `{m}` | {d} | {n} | " + " | ".join(texts) + " |" for (m, d, n), texts in rows.items()]
    lines += [
        "",
        f"Fits of `LogisticRegression` with {_FEATURES} features in float64, `tol=1e-6`, with the class of xbce,",
        "beside fits with scikit-learn's own, all on one thread. The last column is the largest difference between the",
        "coefficients, relative to the largest coefficient.",
        "",
        "| solver | samples | time of the fit | difference |",
        "|---|--:|--:|--:|",
    ]
    for solver, samples, *found, difference in results["fits"]:
        lines.append(f"| {solver} | {samples:,} | {_text(*found)} | {difference:.1e} |")
    return "\n".join([*lines, ""])


@click.command()
@click.option("--write", is_flag=True, help="Write the results and the section of the page.")
@click.option("--section", "only_section", is_flag=True, help="Measure nothing; write the section of the page anew.")
@click.option("--seconds", default=1.0, show_default=True, help="Least time for a figure.")
def main(*, write: bool, only_section: bool, seconds: float) -> None:
    """Time xbce's HalfBinomialLoss beside scikit-learn's."""
    if not only_section:
        results = measured(seconds)
        if not write:
            click.echo(section(results))
            return
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    results = json.loads(RESULTS.read_text("utf-8"))
    PAGE.write_text(with_section(PAGE.read_text("utf-8"), HALF_BINOMIAL, section(results)), "utf-8")


if __name__ == "__main__":
    main()
