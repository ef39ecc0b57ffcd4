"""`search`."""

import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.progress import TimeElapsedColumn
from rich.text import Text

from xbce_conformance.cases import PLAIN, case_named
from xbce_conformance.cli.common import (
    check_writable,
    console,
    find,
    nothing,
    quantity_option,
    reading,
    subject_options,
)
from xbce_conformance.cli.exit_codes import ExitCode, codes
from xbce_conformance.cli.help import HelpedCommand
from xbce_conformance.cli.machine import json_option, print_json
from xbce_conformance.cli.progress import Progress
from xbce_conformance.exact_values.exact import Exact
from xbce_conformance.inputs.formats import FORMATS, Floats, Format
from xbce_conformance.inputs.input_set import InputSet
from xbce_conformance.inputs.worst_cases import WorstCase, add, load
from xbce_conformance.measurement.trial import Trial
from xbce_conformance.search.climb import Loss, Peak, climb
from xbce_conformance.subjects.backend import Backend
from xbce_conformance.subjects.model import Function, Subject
from xbce_conformance.subjects.selection import Choice


@click.command(
    "search",
    cls=HelpedCommand,
    examples={
        "search --subject my_loss:loss --seconds 600": "ten minutes for each function of a loss of your own",
        "search --backend numpy --dtype float32 --quantity gradient": "xbce on NumPy, the gradient alone",
        'search --backend numpy --case "sigmoid_focal_loss(gamma=1.7, alpha=0.3)"': "another loss, with its options",
    },
    codes=codes(),
)
@subject_options
@click.option(
    "--dtype", type=click.Choice(list(FORMATS)), default="float64", show_default=True, help="Search in this dtype."
)
@quantity_option
@click.option("--seconds", type=click.FloatRange(min=0), default=60.0, show_default=True, help="For each function.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random places that it starts from.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=Path("conformance-search", "worst_cases.json"),
    show_default=True,
    help="File that what is found is appended to, and that is made if it is not there. Every run tries what is in the "
    "package's own, inputs/worst_cases.json: name that of a checkout to add to it.",
)
@json_option
def search(choice: Choice, dtype: str, quantities: tuple[str, ...], seconds: float, seed: int, data: Path) -> None:
    """Look for the inputs with the largest errors by hill climbing: of the plain loss, or of a --case.

    What is found is printed, and kept if it is worse than what the file has of the same function.
    """
    screen = console()
    subjects, missing = find(choice if choice.subjects else replace(choice, subjects=("xbce",)))
    case = case_named(choice.case) if choice.case else PLAIN
    todo = [
        (subject, function)
        for subject in subjects
        for function in subject.functions
        if dtype in subject.dtypes
        and function.case is case
        and function.quantities in {(q,) for q in quantities}
        and not function.of_weighted_mean
    ]
    if not todo:
        raise nothing(f"search in {dtype}", missing, f"no subject has {case.name}, the quantity and the dtype")
    _open(data)
    told = []
    for subject, function in todo:
        peak, interrupted = _climb(subject, function, FORMATS[dtype], seconds, seed, screen)
        numbers = peak.inputs or (0.0,) * len(case.arguments)
        found = WorstCase(
            case.name,
            function.quantities[0],
            dtype,
            subject.name,
            subject.version,
            subject.backend.name,
            {name: number.hex() for name, number in zip(case.arguments, numbers, strict=True)},
            peak.computed.hex(),
            float(f"{peak.ulp:.6g}"),
        )
        new = bool(peak.tried) and add(found, data)
        told.append({**asdict(found), "tried": peak.tried, "new": new})
        news = f"new, in {data}" if new else f"not worse than what is in {data}"
        screen.print(
            Text(
                f"{subject.name}, {subject.backend.name}, {function.name}: {found.ulp:.4g} ULP "
                f"at {', '.join(f'{name}={number}' for name, number in found.inputs.items())} "
                f"({news}; {peak.tried:,} inputs were tried)"
            ),
            soft_wrap=True,
        )
        if interrupted:
            print_json(told)
            sys.exit(ExitCode.INTERRUPTED)
    print_json(told)


def _open(data: Path) -> None:
    """Make the file if it is not there; refuse one that cannot be written to, or that holds something else."""
    check_writable(data.parent, "--data")
    with reading(data, "worst cases"):
        if not data.exists():
            data.write_text('{"cases": []}\n', "utf-8")
        load(data)


def _climb(
    subject: Subject, function: Function, fmt: Format, seconds: float, seed: int, screen: Console
) -> tuple[Peak, bool]:
    """Return what was found in the time, and whether it was cut short."""
    case, quantity = function.case, function.quantities[0]

    def exactly(arrays: tuple[Floats, ...]) -> Exact:
        inputs = InputSet(fmt, dict(zip(case.arguments, arrays, strict=True)), {})
        return Trial(case, fmt, "quick", inputs=inputs).exact(quantity)

    peaks = climb(
        _in_numpy(function, subject.backend),
        exactly,
        fmt,
        tuple(case.inputs(fmt, "quick").arrays.values()),
        np.random.default_rng(seed),
        flushes=subject.backend.flushes_subnormals(fmt),
    )
    peak, start = Peak(), time.monotonic()
    with Progress(screen, seconds, unit="s", columns=(TimeElapsedColumn(),)) as progress:
        try:
            for peak in peaks:
                passed = time.monotonic() - start
                progress.reach(passed)
                progress.describe(f"{function.name}: {peak.ulp:.4g} ULP")
                if passed >= seconds:
                    break
        except KeyboardInterrupt:
            return peak, True
    return peak, False


def _in_numpy(function: Function, backend: Backend) -> Loss:
    def loss(*arrays: Floats) -> Floats:
        return backend.to_numpy(function.call(*map(backend.from_numpy, arrays)))

    return loss
