"""The output on the screen: the plan, the progress of the parts, and their outcomes."""

from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from gpu.gather import gather
from gpu.parts import Part
from gpu.run import DONE, Ledger, Outcome, Runner

_INTERRUPTED = 130


def plan(parts: tuple[Part, ...], jobs: int) -> None:
    """Print the parts and their seconds."""
    table = Table("part", "what", "seconds", "side by side with")
    for _, stage in groupby(parts, key=lambda part: part.stage):
        together = list(stage)
        for part in together:
            beside = ", ".join(other.name for other in together if other is not part) if jobs > 1 else ""
            table.add_row(part.name, part.what, str(part.seconds), beside)
    console = Console()
    console.print(table)
    console.print(f"{expected(parts, jobs)} s in all, {jobs} parts side by side where they may be")


def expected(parts: tuple[Part, ...], jobs: int) -> int:
    """Return the seconds that all parts take: each job takes the next part as soon as it is free."""
    total = 0
    for _, stage in groupby(parts, key=lambda part: part.stage):
        free = [0] * jobs
        for part in stage:
            free[free.index(min(free))] += part.seconds
        total += max(free)
    return total


def run(
    parts: tuple[Part, ...],
    chosen: tuple[Part, ...],
    *,
    work: Path,
    out: Path,
    environment: dict[str, str],
    share: float,
    jobs: int,
    rehearsal: bool,
) -> int:
    """Run the chosen parts, gather the results of all parts, and return the exit code."""
    console = Console()
    logs = work / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(work / "parts.json")
    interrupted = False
    columns = TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[state]}")
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, TaskID] = {}
        for part in chosen:
            done = ledger.is_done(part)
            state = "done before" if done else "waits"
            tasks[part.name] = progress.add_task(part.name, total=part.seconds * share, state=state)
            if done:
                progress.update(tasks[part.name], completed=part.seconds * share)

        def report(part: Part, status: str, seconds: float) -> None:
            limit = part.seconds * share
            state = f"{seconds:.0f} of {limit:.0f} s" if status == "runs" else f"{status}, {seconds:.0f} s"
            completed = limit if status == DONE else seconds
            progress.update(tasks[part.name], completed=completed, state=state)
            if status not in ("runs", DONE):
                progress.console.print(Text(f"{part.name}: {status}; see {logs / part.name}.log", style="red"))

        try:
            Runner(ledger, logs, environment, jobs, report).run(chosen, share)
        except KeyboardInterrupt:
            interrupted = True
    files = gather(parts, ledger.outcomes, work, out, rehearsal=rehearsal)
    console.print(_summary(parts, ledger.outcomes))
    console.print(Text(f"{'A rehearsal, no results of a device: ' if rehearsal else ''}{len(files)} files in {out}"))
    if interrupted:
        console.print("Interrupted, with nothing lost: the same command goes on from there.")
        return _INTERRUPTED
    outcomes = [ledger.outcomes[part.name] for part in chosen]
    return 0 if all(outcome.status == DONE and not outcome.found_faults for outcome in outcomes) else 1


def _summary(parts: tuple[Part, ...], outcomes: dict[str, Outcome]) -> Table:
    table = Table("part", "", "seconds", "expected")
    for part in parts:
        outcome = outcomes.get(part.name)
        if outcome is None:
            table.add_row(part.name, "not run", "", str(part.seconds))
        else:
            status = "done; something is not as it should be" if outcome.found_faults else outcome.status
            style = "" if status == DONE else "red"
            table.add_row(part.name, Text(status, style=style), f"{outcome.seconds:.0f}", str(part.seconds))
    return table
