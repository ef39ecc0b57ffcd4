"""Compares the results of CuPy's kernels, played on this machine, with NumPy's, on the inputs of the suite.

`python -m tests.cuda_host tests.cuda_host.measure PRECISION FILE` writes the figures of one precision, and beside them
the sources of all kernels that have run.
"""

import argparse
import json
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from tests.cuda_host import host
from xbce_conformance.cases import CASES, FAMILY, Case
from xbce_conformance.inputs.formats import FORMATS, Floats, Format
from xbce_conformance.inputs.input_set import drawn_set
from xbce_conformance.measurement.elementwise import bound_of, errors_of
from xbce_conformance.measurement.reductions import reduced_regimes
from xbce_conformance.measurement.trial import Trial
from xbce_conformance.results.environment import environment
from xbce_conformance.subjects.backends import find_backends
from xbce_conformance.subjects.jobs import Job, jobs
from xbce_conformance.subjects.xbce import find_xbce


@dataclass(frozen=True)
class Figures:
    """One quantity of one function in one dtype: CuPy's results against NumPy's."""

    function: str
    """What is called, with its options."""
    quantity: str
    dtype: str
    count: int
    """How many results were compared."""
    differ: int
    """How many have other bits, but for NaN."""
    flushed: int
    """Of those: what flushing of subnormal numbers explains, results of subnormal arguments among them."""
    ulp: float
    """The largest difference of all others, in ULP of the exact result (of sums: of NumPy's)."""
    error: float | None = None
    """The largest error of CuPy's results in ULP, native; None where none is measured."""
    share: float | None = None
    """The largest error as a share of its bound in the contract."""


def measured(precision: str, *, few: bool = False, kept: Path | None = None) -> Iterator[Figures]:
    """Yield the figures of all functions that both libraries have, or of a few that `make test` has time for."""
    backends, missing = find_backends(("numpy", "cupy"))
    if missing:
        raise RuntimeError(str(missing))
    on = {s.backend.name: s for s in find_xbce(backends, precision=precision)}
    others = {(job.function.name, job.dtype): job for job in jobs([on["numpy"]], tuple(FORMATS), level="quick")}
    trials: dict[Any, Trial] = {}
    for job in jobs([on["cupy"]], on["cupy"].dtypes, level="quick"):
        if not few or _among_few(job):
            key = job.function.case.key, job.dtype
            if key not in trials:
                trials = {key: _trial(job.function.case, FORMATS[job.dtype], kept, few=few)}
            yield from _figures(job, others[job.function.name, job.dtype], trials[key])


def _trial(case: Case, fmt: Format, kept: Path | None, *, few: bool) -> Trial:
    """Return the inputs of a case: those of the level "quick", or some of each regime."""
    inputs = drawn_set(fmt, 64, case.regimes, case.arguments) if few else None
    return Trial(case, fmt, "quick", kept, inputs=inputs)


_FEW = tuple(next(case for case in CASES if case.function == name) for name in FAMILY)
"""Each loss once."""


def _among_few(job: Job) -> bool:
    """Tell whether a job is among the few: in high precision of one dtype, since all have the same kernels."""
    native = job.subject.precision == "native"
    quantities = (("value",), ("gradient",), ("hessian",), ("sum",))
    return job.function.case in _FEW and job.function.quantities in quantities and (native or job.dtype == "float32")


def _figures(job: Job, other: Job, trial: Trial) -> Iterator[Figures]:
    native = job.subject.precision == "native"
    if job.function.reduces:
        regimes = [trial.inputs.regimes[name] for name in reduced_regimes(job, trial)]
        parts = [tuple(a[regime] for a in trial.called_with) for regime in regimes]
        (mine, numpys) = (np.array([j.call(part)[0].reshape(()) for part in parts]) for j in (job, other))
        small = np.array([any(_small(a, trial.fmt).any() for a in part) for part in parts])
        yield _row(job, job.function.quantities[0], mine, numpys, np.abs(np.float64(numpys)), small)
        return
    small = np.any([_small(a, trial.fmt) for a in trial.called_with], axis=0)
    computed = zip(job.function.quantities, job.call(trial.called_with), other.call(trial.called_with), strict=True)
    for quantity, mine, numpys in computed:
        if not native:
            yield _row(job, quantity, mine, numpys, np.abs(np.float64(numpys)), small)
            continue
        exact = trial.exact(quantity)
        if job.function.of_weighted_mean:  # the suite measures its errors, regime by regime
            total = np.float64(trial.inputs.arrays["weight"])[trial.where].sum()
            yield _row(job, quantity, mine, numpys, np.abs(exact.scale) / total, small)
            continue
        errors = errors_of(job, trial, quantity, mine, exact)
        share = float((errors.ulp / bound_of(job, trial, quantity)).max())
        apart = small | errors.flushed
        yield _row(job, quantity, mine, numpys, np.abs(exact.scale), apart, float(errors.ulp.max()), share)


def _small(a: Floats, fmt: Format) -> Any:
    return (np.abs(np.float64(a)) < fmt.tiny) & (a != 0)


def _row(
    job: Job,
    quantity: str,
    mine: Floats,
    numpys: Floats,
    scale: Any,
    small: Any,
    error: float | None = None,
    share: float | None = None,
) -> Figures:
    fmt = FORMATS[job.dtype]
    differ = (mine.view(fmt.bits) != numpys.view(fmt.bits)) & ~(np.isnan(mine) & np.isnan(numpys))
    flushes = job.subject.backend.flushes_subnormals(fmt)
    flushed = differ & (_small(numpys, fmt) | small) if flushes else np.zeros_like(differ)
    with np.errstate(invalid="ignore"):
        ulp = np.abs(np.float64(mine) - np.float64(numpys)) / fmt.ulp(scale)
    apart = np.where(np.isnan(ulp), np.inf, ulp)[differ & ~flushed]
    return Figures(
        function=job.function.name,
        quantity=quantity,
        dtype=job.dtype,
        count=differ.size,
        differ=int(differ.sum()),
        flushed=int(flushed.sum()),
        ulp=float(apart.max(initial=0.0)),
        error=error,
        share=share,
    )


def main(precision: str, target: Path, *, few: bool = False, kept: Path | None = None) -> None:
    """Write figures and sources."""
    rows = []
    for row in measured(precision, few=few, kept=kept):
        rows.append(json.dumps(asdict(row)))
        sys.stderr.write(f"{rows[-1]}\n")
    compiler = host.compiler()
    facts = {
        "precision": precision,
        "compiler": compiler.version,
        "contract": compiler.arithmetic.contract,
        "flush": compiler.arithmetic.flush,
        "kernels": len(compiler.sources),
        "cupy": metadata.version("cupy-cuda13x"),
        "numpy": np.__version__,
        "libc": " ".join(platform.libc_ver()),
        "processor": environment()["processor"],
    }
    lines = ",\n".join(rows)
    target.write_text(f'{json.dumps(facts, indent=1)[:-2]},\n "rows": [\n{lines}\n]}}\n', "utf-8")
    target.with_suffix(".sources.json").write_text(json.dumps(list(compiler.sources.items())), "utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("precision", choices=("native", "high"))
    parser.add_argument("target", type=Path)
    parser.add_argument("--few", action="store_true")
    parser.add_argument("--exact-values", type=Path)
    chosen = parser.parse_args()
    main(chosen.precision, chosen.target, few=chosen.few, kept=chosen.exact_values)
