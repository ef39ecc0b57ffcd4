"""`run`."""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from xbce_conformance.cases import FUNCTIONS
from xbce_conformance.cli.common import (
    check_writable,
    console,
    dtypes_option,
    exact_values_option,
    find,
    nothing,
    out_option,
    reasons,
    subject_options,
)
from xbce_conformance.cli.completion import complete_regime
from xbce_conformance.cli.data import DATA_PARAMETERS, DataFile, data_options, run_on_data
from xbce_conformance.cli.exit_codes import ExitCode, NotLoaded, codes
from xbce_conformance.cli.explore import explored_cases, write_explored
from xbce_conformance.cli.help import HelpedCommand, OneOf, one_of
from xbce_conformance.cli.interrupt import interruptible
from xbce_conformance.cli.machine import json_option, print_file
from xbce_conformance.cli.progress import Progress
from xbce_conformance.cli.waivers import waiver_options
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.inputs.input_set import LEVELS
from xbce_conformance.inputs.restriction import LABELS, Labels, Restriction
from xbce_conformance.judge.apart import Apart
from xbce_conformance.judge.measure import results_of
from xbce_conformance.judge.restrict import with_inputs
from xbce_conformance.judge.resume import RunCheckpoint, plan
from xbce_conformance.judge.waivers import Waiver
from xbce_conformance.report import write_html, write_reports
from xbce_conformance.report.html import EXPLORE
from xbce_conformance.report.table import summary
from xbce_conformance.results.environment import environment
from xbce_conformance.results.model import Row
from xbce_conformance.subjects.backend import Backend
from xbce_conformance.subjects.backends import BACKEND_NAMES
from xbce_conformance.subjects.failure import CALL_LIMIT
from xbce_conformance.subjects.jobs import PARTS, Job, Part, jobs
from xbce_conformance.subjects.model import Subject
from xbce_conformance.subjects.selection import Choice
from xbce_conformance.subjects.spec import BadOption


@click.command(
    "run",
    cls=HelpedCommand,
    examples={
        "run --subject my_loss:loss": "judge the function `loss` of my_loss.py",
        "run --subject my_loss:loss --backend torch:cpu --order labels,logits": "one that takes tensors, labels first",
        'run --subject my_loss:focal --case "sigmoid_focal_loss(gamma=1.7, alpha=0.3)"': "a focal loss, with options",
        "run --backend numpy --dtype float32": "xbce and its peers, on NumPy",
        "run --data logits.npz": "what each system makes of the arrays `logits` and `labels` of a file",
        "run --subject xbce --json | jq .rows": "results for a program",
    },
    codes=codes("a row of xbce, or of a subject of your own, fails, or a waiver is out of date", "all rows pass"),
)
@subject_options
@data_options(optional=True)
@click.option(
    "--function",
    "functions",
    multiple=True,
    type=OneOf(FUNCTIONS, "FUNCTION"),
    help=f"Measure this function of xbce, and what is compared with it, only. More than once. {one_of(FUNCTIONS)}",
)
@dtypes_option
@click.option(
    "--level",
    type=click.Choice(list(LEVELS)),
    default="quick",
    show_default=True,
    help=f"Pairs per regime: {', '.join(f'{n} ({name})' for name, n in LEVELS.items())}.",
)
@click.option(
    "--labels",
    default="all",
    show_default=True,
    metavar=f"{'|'.join(LABELS)}|NAME",
    help="Labels that are tried, in all parts, at special values and in the search. hard: 0 and 1. soft: all between. "
    "A function without labels has hard ones. With --data, the column of the labels.",
)
@click.option(
    "--regime",
    "regimes",
    multiple=True,
    metavar="REGIME",
    shell_complete=complete_regime,
    help="Try this regime of the inputs only, such as 'tail, label agrees', with no special values and no search. More "
    "than once.",
)
@click.option(
    "--part",
    "parts",
    multiple=True,
    type=click.Choice(PARTS),
    default=PARTS,
    show_default=True,
    help="samples: errors at samples of the inputs. behaviour: arrays of other forms, labels of other dtypes, and what "
    "a call must not do. invariance: the same numbers called in other company, reported. More than once.",
)
@click.option(
    "--same-bits", is_flag=True, help="Judge invariance, too: results that have other bits in other company fail."
)
@click.option(
    "--call-limit",
    type=click.FloatRange(min=0, min_open=True),
    default=CALL_LIMIT,
    show_default=True,
    help="Seconds that one call of a subject of your own may take; after more than twice that its process is ended.",
)
@waiver_options
@click.option(
    "--require",
    "required",
    multiple=True,
    type=OneOf(BACKEND_NAMES, "BACKEND"),
    help="Fail if this backend is absent; without it an absent backend is only named. More than once.",
)
@click.option(
    "--checkpoint",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of what is done, job by job; the same command goes on from there.",
)
@exact_values_option
@click.option(
    "--explore",
    is_flag=True,
    help="Write explore/, too: a page in which one moves a logit and a label. `explore` writes it alone.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    help="Stop measuring so long after the start, as if interrupted; the reports are written then.",
)
@out_option
@json_option
def run_(
    choice: Choice,
    data: DataFile | None,
    functions: tuple[str, ...],
    dtypes: tuple[str, ...],
    level: str,
    labels: str,
    regimes: tuple[str, ...],
    parts: tuple[Part, ...],
    same_bits: bool,
    call_limit: float,
    waivers: list[Waiver],
    required: tuple[str, ...],
    checkpoint: Path | None,
    exact_values: Path | None,
    explore: bool,
    seconds: float | None,
    out: Path,
) -> None:
    """Measure, print a table, write results.json, report.html, report.md and systems/.

    With --data the inputs are your own arrays: what each system makes of them, whether it matters, in data.json and
    data.html.

    Interrupted, the files hold what was measured.
    """
    chosen = replace(choice, dtypes=dtypes)
    if data is not None:
        context = click.get_current_context()
        _refuse_with_data(context)
        run_on_data(data.with_labels(labels) if _given(context, "labels") else data, chosen, dtypes, out)
        return
    start = time.monotonic()
    screen = console()
    only = Restriction(_labels(labels), regimes)
    with Apart(chosen, call_limit) as apart:
        apart.load()
        subjects, missing = find(chosen, apart.refusal_of)
        _check_required(required, subjects, missing)
        todo = jobs(
            subjects,
            dtypes or tuple(FORMATS),
            functions,
            level,
            parts=parts,
            limit=call_limit,
            same_bits=same_bits,
            only=only,
        )
        try:
            todo, without = with_inputs(todo, level, only)
        except BadOption as error:
            raise click.UsageError(str(error)) from error
        missing |= without
        if not todo:
            raise nothing("measure", missing, "no subject has the chosen function and dtype")
        explored = explored_cases(choice.case, functions) if explore else ()
        if exact_values:
            check_writable(exact_values, "--exact-values")

        kept = RunCheckpoint(checkpoint, plan(todo, level, choice, environment())) if checkpoint else None
        left = None if seconds is None else seconds - (time.monotonic() - start)
        rows = _measure(todo, partial(apart.rows_of, level=level, exact_values=exact_values), kept, left, screen)
    undone = len(todo) - len(rows)
    if undone:
        missing["jobs"] = f"{undone} of {len(todo)} were not done: the run was interrupted"
    in_order = [row for number in sorted(rows) for row in rows[number]]
    results = results_of(todo, in_order, level, missing, () if undone else waivers)
    write_reports(results, out, screen)
    if explored and not undone:
        # After the reports: code of one's own is called in this process here, and may end it.
        write_explored(subjects, missing, explored, dtypes, out / Path(EXPLORE).parent, screen)
        write_html(results, out / "report.html")  # with a link
    print_file(out / "results.json")
    if undone:
        screen.print(
            Text(f"Interrupted after {len(todo) - undone} of {len(todo)} jobs. {_where_to_go_on(kept)}"), soft_wrap=True
        )
        sys.exit(ExitCode.INTERRUPTED)
    if not results.passed:
        sys.exit(ExitCode.FAILED)
    if results.judged:
        screen.print(Text(summary(results), style="bold green"))


_WITH_DATA = {
    "labels",
    "subject_names",
    "backend_names",
    "order",
    "gradient",
    "case",
    "bound",
    "precisions",
    "dtypes",
    "out",
}
"""Parameters that a run on a user's data takes, besides those of the data."""


def _refuse_with_data(context: click.Context) -> None:
    """Refuse options that choose inputs, or say how they are tried, where a file has them."""
    given = [name for name in context.params if _given(context, name)]
    known = {name for name in given if name in _WITH_DATA or name in DATA_PARAMETERS}
    names = [param.opts[0] for param in context.command.params if param.name in given and param.name not in known]
    if names:
        msg = f"{', '.join(names)}: not with --data, whose file has the inputs"
        raise click.UsageError(msg)


def _given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def _labels(text: str) -> Labels:
    if text not in LABELS:
        msg = f"{text!r} is not one of {', '.join(map(repr, LABELS))}; a column of a file needs --data FILE"
        raise click.BadParameter(msg, param_hint="'--labels'")
    return text


def _check_required(required: tuple[str, ...], subjects: list[Subject], missing: dict[str, str]) -> None:
    here = _backends(subjects)
    absent = [name for name in required if name not in here]
    if absent:
        msg = f"required backends are absent: {reasons({name: missing.get(name, 'not asked for') for name in absent})}"
        raise NotLoaded(msg)


def _backends(subjects: list[Subject]) -> dict[str, Backend]:
    return {subject.backend.name: subject.backend for subject in subjects}


def _where_to_go_on(checkpoint: RunCheckpoint | None) -> str:
    if checkpoint is None:
        return "Nothing is kept to go on from: --checkpoint FOLDER was not given."
    return f"What is done is kept in {checkpoint.path}; the same command goes on from there."


def _measure(
    todo: list[Job],
    measure: Callable[..., list[Row]],
    checkpoint: RunCheckpoint | None,
    seconds: float | None,
    screen: Console,
) -> dict[int, list[Row]]:
    """Return the rows of the jobs, by number; not of all of them, if interrupted."""
    rows = checkpoint.rows() if checkpoint else {}
    with (
        suppress(KeyboardInterrupt),
        # First: an interrupt while it starts would leave its thread to write lines for ever.
        Progress(screen, len(todo), unit="jobs") as progress,
        interruptible(seconds) as stop_if_asked,
    ):
        progress.skip(len(rows))

        for number, job in enumerate(todo):
            if number in rows:
                continue
            progress.describe(str(job))
            # Some libraries make an error of an interrupt.
            measured = measure(job, raised=lambda _: stop_if_asked())
            stop_if_asked()
            if checkpoint:
                checkpoint.keep(number, measured)
            rows[number] = measured
            progress.advance()
    return rows
