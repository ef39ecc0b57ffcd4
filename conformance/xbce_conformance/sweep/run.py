"""Runs a sweep over dask.distributed, and turns its tallies into rows."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from xbce_conformance.judge.verdict import row_of
from xbce_conformance.measurement.measured import Compared, Measured, Profiles, Worst
from xbce_conformance.measurement.profile import profile_edges
from xbce_conformance.results.model import Row
from xbce_conformance.subjects.jobs import Job
from xbce_conformance.subjects.model import Function
from xbce_conformance.sweep.checkpoint import Checkpoint
from xbce_conformance.sweep.kernel import kind, tally_key
from xbce_conformance.sweep.plan import Plan, Target
from xbce_conformance.sweep.tally import Tally
from xbce_conformance.sweep.worker import key, measure, subject_of, swept_functions

_RETRIES = 2
"""Of a chunk whose computation raises; one whose worker was killed is taken up by another anyway."""


def sweep(
    plan: Plan,
    folder: Path,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] = lambda _done, _pairs: None,
) -> None:
    """Measure all chunks that the folder does not hold yet.

    `progress` is told the number of each chunk that is done, and of its pairs; first of those done before.
    """
    from distributed import as_completed

    checkpoint = Checkpoint(folder, plan)
    chunks = plan.chunks
    before = checkpoint.done()
    for number in before:
        progress(number, chunks[number].pairs)
    todo = [number for number in range(len(chunks)) if number not in before]
    if not todo:
        return
    # Processes that share a GPU would only share its time, and JAX takes most of its memory for itself.
    with _client(scheduler, workers or (1 if plan.on_device else None)) as client:
        here = str(Path.cwd())
        futures = [client.submit(measure, plan, number, here, pure=False, retries=_RETRIES) for number in todo]
        for future in as_completed(futures):
            number, seconds, tallies = future.result()
            checkpoint.keep(number, tallies, seconds)
            progress(number, chunks[number].pairs)
            future.release()


@contextmanager
def _client(scheduler: str | None, workers: int | None) -> Iterator[Any]:
    import dask
    from distributed import Client, LocalCluster

    if scheduler is not None:
        with Client(scheduler) as client:
            yield client
        return
    # A process per core, each with one thread: the libraries hold the interpreter's lock too long for more. Dask tells
    # malloc to return freed blocks to the system, which costs these arrays twice their arithmetic: not here.
    keep = dict.fromkeys(("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"), 2**30)
    environ = dask.config.get("distributed.nanny.pre-spawn-environ") | keep
    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ": environ}),
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0", silence_logs="ERROR") as cluster,
        Client(cluster) as client,
    ):
        yield client


def merged(plan: Plan, folder: Path) -> tuple[dict[str, Tally], float, int]:
    """Return the tallies of all chunks that are done, the seconds that they took, and their number."""
    totals: dict[str, Tally] = {}
    seconds, count = 0.0, 0
    for took, tallies in Checkpoint(folder, plan).chunks():
        seconds, count = seconds + took, count + 1
        for name, tally in tallies.items():
            totals.setdefault(name, Tally()).merge(tally)
    return totals, seconds, count


def sweep_results(plan: Plan, folder: Path) -> list[Row]:
    """Return a row per function."""
    totals, _, count = merged(plan, folder)
    if count != len(plan.chunks):
        msg = f"{count} of {len(plan.chunks)} chunks are in {folder}"
        raise RuntimeError(msg)
    return [
        _row(plan, target, function, {kind(z): totals[tally_key(key(target, function), z)] for z in plan.labels})
        for target in plan.targets
        for function in swept_functions(plan, target)
    ]


def _row(plan: Plan, target: Target, function: Function, tallies: dict[str, Tally]) -> Row:
    subject, quantity = subject_of(target), function.quantities[0]
    job = Job(subject, function, plan.dtype)
    total = Tally()
    for tally in tallies.values():
        total.merge(tally)
    bounds = {labels: job.bound(quantity, hard=labels == "hard") for labels in ("hard", "soft")}
    intervals = len(profile_edges(plan.fmt)) - 1
    arguments = {"logits": total.worst_logit, "labels": total.worst_label}
    measured = Measured(
        quantity=quantity,
        figures=replace(total.figures, max_ulp_soft=tallies["soft"].max_ulp if "soft" in tallies else None),
        worst=Worst(
            REGIMES[kind(float.fromhex(total.worst_label))], arguments, total.worst_computed, total.worst_exact
        ),
        regimes={REGIMES[name]: tally.max_ulp for name, tally in tallies.items()},
        bounds=bounds,
        compared=[
            Compared(
                f"accuracy:{'soft' if name == 'soft' else 'hard'}-labels",
                f"for {REGIMES[name]}",
                tally.max_ulp,
                bounds["soft" if name == "soft" else "hard"],
            )
            for name, tally in tallies.items()
        ],
        kind="all inputs" if plan.exhaustive else "samples",
        profiles=Profiles(
            {
                name: [_figure(tallies[name].profile.get(i)) if name in tallies else None for i in range(intervals)]
                for name in REGIMES
            }
        ),
    )
    return row_of(job, measured)


REGIMES = {"0": "every logit, label 0", "1": "every logit, label 1", "soft": "every logit, labels k/256"}
"""Names of the regimes of a sweep."""


def _figure(error: float | None) -> float | None:
    return None if error is None or not math.isfinite(error) else float(f"{error:.3g}")
