"""`sweep`."""

import sys
import time
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from xbce_conformance.cases import PLAIN
from xbce_conformance.cli.common import console, find, nothing, out_option, quantity_option, subject_options
from xbce_conformance.cli.exit_codes import ExitCode
from xbce_conformance.cli.interrupt import interruptible
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.measurement.profile import profile_edges
from xbce_conformance.report import write_reports
from xbce_conformance.results.environment import environment
from xbce_conformance.results.model import Results
from xbce_conformance.subjects.backends import backend_facts
from xbce_conformance.subjects.selection import Choice
from xbce_conformance.sweep.plan import CHUNK, DEVICE_CHUNK, Plan, Target
from xbce_conformance.sweep.run import REGIMES, merged, sweep, sweep_results


class BitPatterns(click.ParamType[tuple[int, int]]):
    """A range of bit patterns, FIRST:STOP in hexadecimal."""

    name = "first:stop"

    def convert(
        self, value: str | tuple[int, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Parse the range."""
        if isinstance(value, tuple):
            return value
        try:
            first, stop = (int(part, 16) for part in value.split(":"))
        except ValueError:
            self.fail(f"{value!r} is not FIRST:STOP in hexadecimal, such as 3f800000:40000000", param, ctx)
        return first, stop


@click.command("sweep")
@subject_options
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float16", "bfloat16"]),
    default="float32",
    show_default=True,
    help="float32: every logit with labels 0 and 1; 16 bits: every logit with the labels k/256.",
)
@click.option(
    "--function", type=click.Choice([PLAIN.function]), expose_value=False, help="What is swept; there is one."
)
@quantity_option
@click.option("--closed-forms", is_flag=True, help="Leave out derivatives by automatic differentiation.")
@click.option("--bits", type=BitPatterns(), help="Sweep these bit patterns of logits only: FIRST:STOP, hexadecimal.")
@click.option(
    "--chunk",
    type=click.IntRange(min=2),
    help=f"Pairs of logit and label between two checkpoints.  [default: {CHUNK}; {DEVICE_CHUNK} on a GPU]",
)
@click.option(
    "--checkpoint",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of what is done; the same command goes on from there.  [default: OUT/checkpoint-DTYPE]",
)
@click.option("--scheduler", help="Address of a dask scheduler; by default a cluster of this machine's own is started.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes of the cluster that is started.  [default: one per core; 1 on a GPU]",
)
@out_option
def sweep_(
    choice: Choice,
    dtype: str,
    quantities: tuple[str, ...],
    closed_forms: bool,
    bits: tuple[int, int] | None,
    chunk: int | None,
    checkpoint: Path | None,
    scheduler: str | None,
    workers: int | None,
    out: Path,
) -> None:
    """Measure every logit of a format: no maximum is missed.

    Exit with 1 if a row of xbce, or of a subject of your own, fails; with 130 if interrupted, with nothing lost.
    """
    if choice.case not in (None, PLAIN.name):
        msg = f"only {PLAIN.name} is swept"
        raise click.UsageError(msg)
    screen = console()
    subjects, missing = find(choice if choice.subjects else replace(choice, subjects=("xbce",)))
    subjects = [subject for subject in subjects if dtype in subject.dtypes]
    if not subjects:
        raise nothing(f"sweep in {dtype}", missing, "no subject takes it")
    targets = tuple(Target(s.name, s.version, s.backend.name, choice.order, choice.gradient, s.bound) for s in subjects)
    first, stop = bits or (0, 2 ** (8 * FORMATS[dtype].dtype.itemsize))
    plan = Plan(dtype, targets, quantities, first, stop, closed_forms=closed_forms)
    plan = replace(plan, chunk=chunk or (DEVICE_CHUNK if plan.on_device else CHUNK))
    folder = checkpoint or out / f"checkpoint-{dtype}"
    try:
        with interruptible():
            _run(plan, folder, scheduler, workers, screen)
    except KeyboardInterrupt:
        screen.print(Text(f"Interrupted. What is done is kept in {folder}; the same command goes on from there."))
        sys.exit(ExitCode.INTERRUPTED)
    rows = sweep_results(plan, folder)
    results = Results(
        environment=environment(),
        level="all logits" if plan.exhaustive else f"bit patterns {plan.first:#x} to {plan.stop:#x}",
        backends=backend_facts({subject.backend.name: subject.backend for subject in subjects}),
        missing=missing,
        regimes={name: f"{name}: {plan.stop - plan.first} bit patterns" for name in REGIMES.values()},
        profile_edges={dtype: profile_edges(plan.fmt).tolist()},
        label_edges={},
        rows=rows,
    )
    write_reports(results, out, screen)
    if results.failed:
        sys.exit(ExitCode.FAILED)


class _Throughput(ProgressColumn):
    """Pairs of logit and label per second, of all subjects together."""

    def render(self, task: Task) -> Text:
        return Text(f"{(task.speed or 0.0) / 1e6:.1f} million pairs/s")


def _run(plan: Plan, folder: Path, scheduler: str | None, workers: int | None, screen: Console) -> None:
    pairs = sum(chunk.pairs for chunk in plan.chunks)
    start = time.perf_counter()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        _Throughput(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=screen) as progress:
        task = progress.add_task(f"{plan.dtype}, {len(plan.chunks)} chunks", total=pairs)
        sweep(plan, folder, scheduler=scheduler, workers=workers, progress=lambda _, n: progress.advance(task, n))
    _, seconds, chunks = merged(plan, folder)
    screen.print(
        Text(
            f"{pairs:,} pairs in {chunks} chunks: {seconds:.0f} s of the workers, "
            f"{time.perf_counter() - start:.0f} s since this start."
        )
    )
