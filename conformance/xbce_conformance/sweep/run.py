"""Runs a sweep over dask.distributed, and turns its tallies into rows."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from xbce_conformance.cases import Quantity
from xbce_conformance.judge.verdict import failed_row, row_of
from xbce_conformance.measurement.measured import Compared, Measured, Profiles, Worst
from xbce_conformance.measurement.profile import profile_edges
from xbce_conformance.results.model import Row
from xbce_conformance.subjects.failure import CALL_LIMIT, Failure
from xbce_conformance.subjects.jobs import Job
from xbce_conformance.subjects.model import Function
from xbce_conformance.sweep.checkpoint import Checkpoint
from xbce_conformance.sweep.kernel import kind, tally_key
from xbce_conformance.sweep.outcome import Failed, Outcome
from xbce_conformance.sweep.plan import Plan, Target
from xbce_conformance.sweep.tally import Tally
from xbce_conformance.sweep.worker import key, measure, subject_of, swept_functions

_RETRIES = 2
"""Of a chunk whose computation raises; one whose worker has died is taken up by another anyway."""

_PATIENCE = 30.0
"""Seconds between two looks at whether a worker is there, while nothing is completed."""


class NoWorker(Exception):  # noqa: N818
    """Nobody is left to measure anything."""


def sweep(
    plan: Plan,
    folder: Path,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    call_limit: float = CALL_LIMIT,
    progress: Callable[[int, bool], None] = lambda _chunks, _before: None,
    say: Callable[[str], None] = lambda _text: None,
) -> None:
    """Measure all chunks that the folder does not hold yet, or not as they are now.

    A function that ends its worker, or does not return within `call_limit` seconds, fails, and is called no more.
    `progress` is told how many chunks are done, and whether they were done before; `say`, what is done again, and why.
    """
    checkpoint = Checkpoint(folder, plan, say)
    todo = checkpoint.todo()
    progress(len(plan.chunks) - len(todo), True)
    if not todo:
        return
    deaths: dict[str, Failed] = {}

    def keep(number: int, seconds: float, outcomes: dict[Target, Outcome]) -> None:
        del todo[number]
        checkpoint.keep(number, outcomes, seconds)
        progress(1, False)

    # Processes that share a GPU would only share its time, and JAX takes most of its memory for itself.
    with _client(scheduler, workers or (1 if plan.on_device else None)) as client:
        asked = _Asked(client, plan, call_limit, str(Path.cwd()), own_workers=scheduler is None)
        while todo:
            suspect = _first_death(asked, todo, deaths, keep)
            if suspect is not None:
                keep(*_alone(asked, suspect, todo[suspect], deaths))


@dataclass(frozen=True)
class _Asked:
    """What is asked of the workers."""

    client: Any
    plan: Plan
    call_limit: float
    here: str
    own_workers: bool
    """Whether they were started for this sweep: others may still come."""

    def submit(self, number: int, targets: tuple[Target, ...], without: Mapping[str, Failed], only: str = "") -> Any:
        """Have a chunk measured; functions that have failed for good have that failure."""
        plan, names = replace(self.plan, targets=targets), dict(without)
        return self.client.submit(
            measure, plan, number, self.here, self.call_limit, names, only, pure=False, retries=_RETRIES
        )

    def completed(self, futures: Iterable[Any]) -> Iterator[Any]:
        """Yield futures as they complete; raise `NoWorker` where a minute passes without any worker to wait for."""
        from distributed import wait

        left, alone = set(futures), False
        while left:
            try:
                done = wait(left, timeout=_PATIENCE, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                nobody = self.own_workers and not self.client.scheduler_info()["workers"]
                if nobody and alone:
                    msg = "no worker is left, and none could be started again"
                    raise NoWorker(msg) from None
                alone = nobody
                continue
            left -= done
            yield from done


def _first_death(
    asked: _Asked,
    todo: dict[int, tuple[Target, ...]],
    deaths: dict[str, Failed],
    keep: Callable[[int, float, dict[Target, Outcome]], None],
) -> int | None:
    """Have all chunks measured until one of them ends each worker that it is given to; return that one."""
    from distributed import KilledWorker

    futures = {asked.submit(number, targets, deaths): number for number, targets in todo.items()}
    for future in asked.completed(futures):
        try:
            result = future.result()
        except KilledWorker:
            asked.client.cancel(list(futures))
            return futures[future]
        keep(*result)
        future.release()
    return None


def _alone(
    asked: _Asked, number: int, targets: tuple[Target, ...], deaths: dict[str, Failed]
) -> tuple[int, float, dict[Target, Outcome]]:
    """Have a chunk measured function by function, with nothing beside, to find those that end their workers."""
    from distributed import KilledWorker

    chunk, total = asked.plan.chunks[number], 0.0
    outcomes = {target: Outcome() for target in targets}
    for target in targets:
        for name in (key(target, function) for function in swept_functions(asked.plan, target)):
            (future,) = asked.completed([asked.submit(number, (target,), deaths, only=name)])
            try:
                _, seconds, found = future.result()
            except KilledWorker:
                text = (
                    f"it ended its process, or did not return within {asked.call_limit:g} s, "
                    f"in the {chunk.pairs:,} pairs that begin with this one"
                )
                logit = float(asked.plan.fmt.from_bits(np.array([chunk.first]))[0]).hex()
                deaths[name] = Failed("ended", text, logit, (chunk.labels[0] or 0.0).hex())
                found, seconds = {target: Outcome(failures={name: deaths[name]})}, 0.0
            outcomes[target].merge(found[target])
            total += seconds
    return number, total, outcomes


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


def merged(plan: Plan, folder: Path) -> tuple[Outcome, float, int]:
    """Return the outcome of all chunks that are done, the seconds that they took, and their number."""
    total = Outcome()
    seconds, count = 0.0, 0
    for took, outcome in Checkpoint(folder, plan).chunks():
        seconds, count = seconds + took, count + 1
        total.merge(outcome)
    return total, seconds, count


def sweep_results(
    plan: Plan, folder: Path, asked: Sequence[Quantity] = (), missing: Mapping[str, str] | None = None
) -> list[Row]:
    """Return a row per function, and one that fails per quantity that was `asked` for and that a target has not.

    `missing` says why functions are not there.
    """
    total, _, count = merged(plan, folder)
    if count != len(plan.chunks):
        msg = f"{count} of {len(plan.chunks)} chunks are in {folder}"
        raise RuntimeError(msg)
    rows = []
    for target in plan.targets:
        functions = list(swept_functions(plan, target))
        rows += [row for function in functions for row in _rows_of(plan, target, function, total)]
        have = {function.quantities[0] for function in functions}
        rows += [_absent(plan, target, quantity, missing or {}) for quantity in asked if quantity not in have]
    return rows


def _absent(plan: Plan, target: Target, quantity: Quantity, missing: Mapping[str, str]) -> Row:
    """Return the row of a quantity that was asked for, and that a target has not."""
    subject = subject_of(target)
    name = subject.name if quantity == "value" else f"{subject.name}, {quantity}"
    reason = missing.get(f"{name} in {plan.dtype} on {target.backend}", "it has none")
    function = Function(name, (quantity,), lambda *_: None)
    text = f"the {quantity} was asked for, and cannot be measured in {plan.dtype}: {reason}"
    return failed_row(Job(subject, function, plan.dtype), quantity, Failure("absent", text))


def _rows_of(plan: Plan, target: Target, function: Function, total: Outcome) -> list[Row]:
    """Return the rows of a function: of its tallies, or of the failure that it has in any chunk.

    Soft labels that are not all have a row of their own: the other one is of all hard labels.
    """
    name = key(target, function)
    failure = total.failures.get(name)
    if failure is not None:
        return [_failed(plan, target, function, failure)]
    tallies = {kind(z): total.tallies[tally_key(name, z)] for z in plan.labels}
    if plan.all_labels:
        return [_row(plan, target, function, tallies)]
    hard = {name: tally for name, tally in tallies.items() if name != "soft"}
    rows = [_row(plan, target, function, hard)] if hard else []
    if "soft" in tallies:
        soft = replace(function, name=f"soft labels, {function.name}")
        rows.append(_row(plan, target, soft, {"soft": tallies["soft"]}))
    return rows


def _failed(plan: Plan, target: Target, function: Function, failed: Failed) -> Row:
    inputs = {"logits": failed.logit, "labels": failed.label}
    text = f"{failed.reason}, for logit {failed.logit}, label {failed.label}"
    job = Job(subject_of(target), function, plan.dtype)
    row = failed_row(job, function.quantities[0], Failure(failed.name, text, inputs))
    return replace(row, worst=replace(row.worst, regime=plan.regimes[kind(float.fromhex(failed.label))]))


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
            plan.regimes[kind(float.fromhex(total.worst_label))], arguments, total.worst_computed, total.worst_exact
        ),
        regimes={plan.regimes[name]: tally.max_ulp for name, tally in tallies.items()},
        bounds=bounds,
        compared=[
            Compared(
                f"accuracy:{'soft' if name == 'soft' else 'hard'}-labels",
                f"for {plan.regimes[name]}",
                tally.max_ulp,
                bounds["soft" if name == "soft" else "hard"],
            )
            for name, tally in tallies.items()
        ],
        kind="all inputs" if plan.exhaustive and (plan.all_labels or "soft" not in tallies) else "samples",
        profiles=Profiles(
            {
                name: [_figure(tallies[name].profile.get(i)) if name in tallies else None for i in range(intervals)]
                for name in plan.regimes
            }
        ),
    )
    return row_of(job, measured)


def _figure(error: float | None) -> float | None:
    return None if error is None or not math.isfinite(error) else float(f"{error:.3g}")
