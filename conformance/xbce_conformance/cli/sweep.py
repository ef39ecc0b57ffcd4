"""`sweep`."""

import sys
import time
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.progress import MofNCompleteColumn, ProgressColumn, Task, TaskProgressColumn, TimeRemainingColumn
from rich.text import Text

from xbce_conformance.cases import PLAIN, Quantity
from xbce_conformance.cli.common import console, find, nothing, out_folder, quantity_option, subject_options
from xbce_conformance.cli.exit_codes import ExitCode, NotLoaded, codes
from xbce_conformance.cli.help import HelpedCommand
from xbce_conformance.cli.interrupt import interruptible
from xbce_conformance.cli.machine import json_option, print_file
from xbce_conformance.cli.progress import Progress
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.inputs.restriction import Labels
from xbce_conformance.measurement.profile import profile_edges
from xbce_conformance.report import write_reports
from xbce_conformance.results.environment import environment
from xbce_conformance.results.model import Results
from xbce_conformance.subjects.backends import backend_facts
from xbce_conformance.subjects.failure import CALL_LIMIT
from xbce_conformance.subjects.model import Subject
from xbce_conformance.subjects.selection import Choice
from xbce_conformance.subjects.xbce import PRECISIONS
from xbce_conformance.sweep.facts import OtherCode, target_of
from xbce_conformance.sweep.plan import CHUNK, DEVICE_CHUNK, Plan
from xbce_conformance.sweep.run import NoWorker, merged, sweep, sweep_results


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


@click.command(
    "sweep",
    cls=HelpedCommand,
    examples={
        "sweep --subject my_loss:loss": "all 2^32 float32 logits with labels 0 and 1, and a soft one",
        "sweep --subject my_loss:loss --labels hard": "labels 0 and 1 only: half of the time",
        "sweep --dtype bfloat16 --backend jax": "all logits with the 257 labels k/256",
        "sweep --bits 3f800000:40000000": "the logits from 1 to 2 only",
    },
    codes=codes("a row of xbce, or of a subject of your own, fails"),
)
@subject_options
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float16", "bfloat16"]),
    default="float32",
    show_default=True,
    help="float32: every logit with labels 0 and 1, and a soft one; 16 bits: every logit with the labels k/256.",
)
@click.option(
    "--labels",
    "which",
    type=click.Choice(["all", "hard", "soft"]),
    default="all",
    show_default=True,
    help="In float32: labels 0 and 1 only, or only a soft label for each logit.",
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
@click.option(
    "--call-limit",
    type=click.FloatRange(min=0, min_open=True),
    default=CALL_LIMIT,
    show_default=True,
    help="Seconds that one call may take; after that its process is ended, and its function fails.",
)
@out_folder("Folder for results.json, report.html, report.md and systems/.", "conformance-sweep")
@json_option
@click.pass_context
def sweep_(
    context: click.Context,
    choice: Choice,
    dtype: str,
    which: Labels,
    quantities: tuple[Quantity, ...],
    closed_forms: bool,
    bits: tuple[int, int] | None,
    chunk: int | None,
    checkpoint: Path | None,
    scheduler: str | None,
    workers: int | None,
    call_limit: float,
    out: Path,
) -> None:
    """Measure every logit of a format: no maximum is missed.

    Interrupted, it loses nothing: the same command goes on.
    """
    if choice.case not in (None, PLAIN.name):
        msg = f"only {PLAIN.name} is swept"
        raise click.UsageError(msg)
    if which != "all" and dtype != "float32":
        msg = f"--labels is for float32; in {dtype} every logit is tried with all labels"
        raise click.UsageError(msg)
    first, stop = _checked(bits, dtype)
    screen = console()
    choice = choice if choice.subjects else replace(choice, subjects=("xbce",))
    subjects, missing = find(choice)
    subjects = [subject for subject in subjects if dtype in subject.dtypes]
    _check_all_are_here(choice, subjects, missing, dtype)
    targets = tuple(target_of(subject, choice.order, choice.gradient) for subject in subjects)
    plan = Plan(dtype, targets, quantities, first, stop, closed_forms=closed_forms, which=which)
    plan = replace(plan, chunk=chunk or (DEVICE_CHUNK if plan.on_device else CHUNK))
    folder = checkpoint or out / f"checkpoint-{dtype}"
    try:
        with interruptible():
            _run(plan, folder, scheduler, workers, call_limit, screen)
    except (OtherCode, NoWorker) as error:
        raise NotLoaded(str(error)) from error
    except KeyboardInterrupt:
        screen.print(Text(f"Interrupted. What is done is kept in {folder}; the same command goes on from there."))
        sys.exit(ExitCode.INTERRUPTED)
    by_name = context.get_parameter_source("quantities") is click.core.ParameterSource.COMMANDLINE
    rows = sweep_results(plan, folder, asked=quantities if by_name else (), missing=missing)
    results = Results(
        environment=environment(),
        level="all logits" if plan.exhaustive else f"bit patterns {plan.first:#x} to {plan.stop:#x}",
        backends=backend_facts({subject.backend.name: subject.backend for subject in subjects}),
        missing=missing,
        regimes={name: f"{name}: {plan.stop - plan.first} bit patterns" for name in plan.regimes.values()},
        profile_edges={dtype: profile_edges(plan.fmt).tolist()},
        label_edges={},
        rows=rows,
    )
    write_reports(results, out, screen)
    print_file(out / "results.json")
    if results.failed:
        sys.exit(ExitCode.FAILED)
    if all(row.failure for row in rows):
        reasons = "; ".join(dict.fromkeys(row.failure for row in rows))
        msg = f"nothing was measured ({reasons or 'no subject has a function for ' + ' or '.join(quantities)})"
        raise NotLoaded(msg)


def _checked(bits: tuple[int, int] | None, dtype: str) -> tuple[int, int]:
    """Return the range of bit patterns, all of them by default; refuse what is none of the dtype."""
    end = 2 ** (8 * FORMATS[dtype].dtype.itemsize)
    first, stop = bits or (0, end)
    if not 0 <= first < stop <= end:
        msg = f"{first:x}:{stop:x} is no range of {dtype}; 0 <= FIRST < STOP <= {end:x}, in hexadecimal, is expected"
        raise click.BadParameter(msg, param_hint="--bits")
    return first, stop


def _check_all_are_here(choice: Choice, subjects: list[Subject], missing: dict[str, str], dtype: str) -> None:
    """Refuse to begin where a subject or a backend that was named is not among those to be swept."""
    here = {subject.name for subject in subjects} | {subject.backend.name for subject in subjects}
    here |= {"xbce"} if here & {*PRECISIONS.values()} else set()
    absent = [name for name in (*choice.subjects, *choice.backends) if name not in here]
    if absent:
        raise nothing(f"sweep of {', '.join(absent)} in {dtype}", missing, "no subject takes it")


class _Throughput(ProgressColumn):
    """Pairs of logit and label per second, of all subjects together."""

    def __init__(self, pairs: float) -> None:
        super().__init__()
        self._pairs = pairs
        """Pairs of a chunk."""

    def render(self, task: Task) -> Text:
        return Text(f"{(task.speed or 0.0) * self._pairs / 1e6:.1f} million pairs/s")


def _run(
    plan: Plan, folder: Path, scheduler: str | None, workers: int | None, call_limit: float, screen: Console
) -> None:
    pairs, chunks = sum(chunk.pairs for chunk in plan.chunks), len(plan.chunks)
    start = time.perf_counter()
    columns = (
        MofNCompleteColumn(),
        TaskProgressColumn(),
        _Throughput(pairs / chunks),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(screen, chunks, unit="chunks", columns=columns) as progress:
        progress.describe(plan.dtype)
        sweep(
            plan,
            folder,
            scheduler=scheduler,
            workers=workers,
            call_limit=call_limit,
            progress=lambda count, before: progress.skip(count) if before else progress.advance(count),
            say=lambda text: screen.print(Text(text, style="yellow")),
        )
    _, seconds, chunks = merged(plan, folder)
    screen.print(
        Text(
            f"{pairs:,} pairs in {chunks} chunks: {seconds:.0f} s of the workers, "
            f"{time.perf_counter() - start:.0f} s since this start."
        )
    )
