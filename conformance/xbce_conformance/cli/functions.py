"""`functions`."""

import shutil
import sys
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import TaskProgressColumn, TimeElapsedColumn
from rich.text import Text

from xbce_conformance.cli.common import console, dtypes_option, nothing, out_folder, reading
from xbce_conformance.cli.exit_codes import ExitCode, codes
from xbce_conformance.cli.help import HelpedCommand, OneOf, one_of
from xbce_conformance.cli.interrupt import interruptible
from xbce_conformance.cli.machine import json_option, print_file
from xbce_conformance.cli.progress import Progress
from xbce_conformance.functions.measure import (
    CHUNK,
    DOUBLE_SAMPLES,
    SAMPLES,
    Found,
    Unmeasured,
    find_function,
    measure_function,
    samples_for,
)
from xbce_conformance.functions.report import FunctionRow, Report, checkpoint_name, print_functions
from xbce_conformance.functions.table import ELEMENTARY, LIBRARIES, Elementary
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.results.environment import environment
from xbce_conformance.storage import CheckpointFolder
from xbce_conformance.subjects.backend import Backend
from xbce_conformance.subjects.backends import BACKEND_NAMES, find_backends
from xbce_conformance.subjects.levels import level_of

_BACKENDS = [name for name in BACKEND_NAMES if name.partition(":")[0] in LIBRARIES]


@click.command(
    "functions",
    cls=HelpedCommand,
    examples={
        "functions": "every library that is here, every dtype, every number of float32: hours",
        "functions --samples 16777216": "2^24 draws instead: minutes",
        "functions --backend numpy --function exp --dtype float32": "one function",
    },
    codes=codes(),
)
@click.option(
    "--backend",
    "backend_names",
    multiple=True,
    type=OneOf(_BACKENDS, "BACKEND"),
    help=f"Measure this backend only. More than once. {one_of(_BACKENDS)}",
)
@click.option(
    "--function",
    "names",
    multiple=True,
    type=OneOf(list(ELEMENTARY), "FUNCTION"),
    help=f"Measure this function only. More than once. {one_of(list(ELEMENTARY))}",
)
@dtypes_option
@click.option(
    "--samples",
    type=click.IntRange(min=1, max=2**32),
    help=f"Draw as many inputs, evenly over binades, instead of every number of float32; for a function of two numbers "
    f"[default: {SAMPLES}]; in float64 at most {DOUBLE_SAMPLES}. Functions of one number in 16 bits take every number.",
)
@out_folder(
    "Folder for functions.json; what it holds for the same versions, device, processor level and samples is not "
    "measured again."
)
@json_option
def functions_(
    backend_names: tuple[str, ...], names: tuple[str, ...], dtypes: tuple[str, ...], samples: int | None, out: Path
) -> None:
    """Measure the functions of the libraries that losses are made of: exp, log1p, division, sigmoid and others.

    Interrupted, it keeps what is done: the same command goes on from there.
    """
    screen, file = console(), out / "functions.json"
    backends, absent = find_backends(backend_names or tuple(_BACKENDS))
    if not backends:
        raise nothing("measure", absent, "no backend is named")
    with reading(file, "figures of functions"):
        report = Report.going_on(file, environment())
    report.missing |= absent
    todo = list(product(backends.values(), [ELEMENTARY[name] for name in names or ELEMENTARY], dtypes or FORMATS))
    rows: list[FunctionRow] = []
    try:
        with interruptible() as stop_if_asked:
            for row in _measure(todo, samples or 0, report, out / "checkpoints", screen):
                rows.append(row)
                report.write(file)
                stop_if_asked()
    except KeyboardInterrupt:
        screen.print(
            Text(f"Interrupted. What is done is kept in {file}; the same command goes on from there."), soft_wrap=True
        )
        sys.exit(ExitCode.INTERRUPTED)
    report.write(file)
    print_functions(rows, report.missing, screen)
    screen.print(Text(f"{file} is written."), soft_wrap=True)
    print_file(file)


def _measure(
    todo: list[tuple[Backend, Elementary, str]], samples: int, report: Report, checkpoints: Path, screen: Console
) -> Iterator[FunctionRow]:
    """Yield a row per function that can be measured: of the report, or a new one, which is added to it."""
    drawn = [samples_for(function, FORMATS[dtype], samples) for _, function, dtype in todo]
    counts = [n or 2 ** (8 * FORMATS[dtype].dtype.itemsize) for n, (_, _, dtype) in zip(drawn, todo, strict=True)]
    columns = (TaskProgressColumn(), TimeElapsedColumn())
    with Progress(screen, sum(counts), unit="numbers", columns=columns) as progress:
        done = 0
        for (backend, function, dtype), n, count in zip(todo, drawn, counts, strict=True):
            progress.reach(done)
            progress.describe(f"{backend.name}: {function.name}, {dtype}")
            done += count
            try:
                identity = _identity(backend, function, dtype, n, report)
                row = report.find(**identity)
                if row is None:
                    folder = checkpoints / checkpoint_name(identity) if n == 0 and count > CHUNK else None
                    found = _found(backend, function, identity, folder, progress.advance)
                    row = FunctionRow.of(found, **identity)
                    report.rows.append(row)
            except Unmeasured as reason:
                report.missing[f"{backend.name}: {function.name}, {dtype}"] = str(reason)
                continue
            yield row
            shutil.rmtree(checkpoints / checkpoint_name(identity), ignore_errors=True)  # the row is written


def _found(
    backend: Backend,
    function: Elementary,
    identity: dict[str, Any],
    folder: Path | None,
    progress: Callable[[int], None],
) -> Found:
    plan = identity | {"chunk": CHUNK}
    checkpoint = CheckpointFolder(folder, plan, kind="measurement", part="chunk") if folder else None
    fmt, samples = FORMATS[identity["dtype"]], identity["samples"]
    return measure_function(function, backend, fmt, samples=samples, checkpoint=checkpoint, progress=progress)


def _identity(backend: Backend, function: Elementary, dtype: str, samples: int, report: Report) -> dict[str, Any]:
    if dtype not in backend.dtypes:
        msg = f"the backend has no {dtype}"
        raise Unmeasured(msg)
    path, _, version = find_function(function, backend)
    return {
        "function": function.name,
        "implementation": path,
        "version": version,
        "backend": backend.name,
        "device": backend.device,
        "processor": report.environment["processor"],
        "level": level_of(backend),
        "dtype": dtype,
        "exhaustive": not samples,
        "samples": samples,
    }
