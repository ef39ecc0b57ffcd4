"""The tables of the page: what every system returns on the grid, beside the exact results.

The schema is docs/explore.schema.json of the repository. A result is written as its distance from the correctly rounded
one, counted in numbers of the format: most are 0, and the file stays small.
"""

import json
from collections.abc import Callable, Iterator
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from xbce_conformance.cases import Case
from xbce_conformance.explore.certified import certified, pair
from xbce_conformance.explore.grid import EXPLORED, LABELS, LOGITS
from xbce_conformance.inputs.formats import FORMATS, Floats, Format
from xbce_conformance.results.environment import environment
from xbce_conformance.storage import write_whole
from xbce_conformance.subjects.expressions import reproducer
from xbce_conformance.subjects.failure import CALL_LIMIT, Failure
from xbce_conformance.subjects.jobs import Job
from xbce_conformance.subjects.model import Function, Subject

SCHEMA_VERSION = 1
QUANTITIES = ("value", "gradient")
Table: TypeAlias = dict[str, Any]

_SHOWN = "@dtype@", {"logits": "@logits@", "labels": "@labels@"}
"""What stands for dtype and numbers in a line that shows a result again."""


def measure_tables(
    subjects: list[Subject],
    missing: dict[str, str],
    cases: tuple[Case, ...] = EXPLORED,
    dtypes: tuple[str, ...] = tuple(FORMATS),
    progress: Callable[[str], None] = lambda _: None,
) -> Table:
    """Measure subjects on the grid; return all that the page shows, as JSON holds it.

    Of a subject the first function that returns a quantity is shown. Backends of one subject that return the same, in
    the dtypes that they share, are one system.
    """
    losses, right = [], {}
    for case in cases:
        progress(f"exact values of {case.name}")
        loss, right[case.name] = _exact(case)
        losses.append(loss)
    systems: list[Table] = []
    for subject in subjects:
        progress(f"{subject.name} on {subject.backend.name}")
        if system := _system(subject, cases, dtypes, right):
            _add(systems, system)
    return {
        "schema_version": SCHEMA_VERSION,
        "environment": environment(),
        "dtypes": {name: {"precision": FORMATS[name].p, "least_exponent": FORMATS[name].emin} for name in dtypes},
        "logits": list(LOGITS),
        "labels": list(LABELS),
        "losses": losses,
        "systems": systems,
        "missing": missing,
    }


def write(table: Table, file: Path) -> None:
    """Write tables as JSON, a system's results in lines of their own."""
    write_whole(file, (json.dumps(table, indent=1, ensure_ascii=False) + "\n").encode())


def read(file: Path) -> Table:
    """Read what `write` wrote."""
    table = json.loads(file.read_text("utf-8"))
    if table["schema_version"] != SCHEMA_VERSION:
        msg = f"schema_version is {table['schema_version']}; {SCHEMA_VERSION} is expected"
        raise ValueError(msg)
    return dict(table)


# --- exact results --------------------------------------------------------------------------------------------------


def _exact(case: Case) -> tuple[Table, dict[tuple[str, str], Floats]]:
    """Return the exact results as text, and rounded to each format: an array with a row per label."""
    found = _certified(case)
    exact, scales, right = {}, {}, {}
    for i, quantity in enumerate(QUANTITIES):
        texts = [[each[i][0] for each in row] for row in found]
        exact[quantity] = [" ".join(row) for row in texts]
        scales[quantity] = [_with_runs(each[i][1] for each in row) for row in found]
        pairs = np.array([[pair(text) for text in row] for row in texts])
        for fmt in FORMATS.values():
            right[quantity, fmt.name] = fmt.round_pair(pairs[..., 0], pairs[..., 1])
    return {"case": case.name, "exact": exact, "scale_exponents": scales}, right


@cache
def _certified(case: Case) -> tuple[tuple[tuple[tuple[str, int], ...], ...], ...]:
    return tuple(tuple(certified(case.definition, (x, z)) for x in LOGITS) for z in LABELS)


# --- results of systems ---------------------------------------------------------------------------------------------


def _system(
    subject: Subject,
    cases: tuple[Case, ...],
    dtypes: tuple[str, ...],
    right: dict[str, dict[tuple[str, str], Floats]],
) -> Table | None:
    results = [
        _results(subject, function, quantity, dtypes, right[case.name])
        for case in cases
        for quantity in QUANTITIES
        if (function := function_of(subject, case, quantity))
    ]
    backend = subject.backend
    if not results:
        return None
    return {
        "subject": subject.name,
        "version": subject.version,
        "judged": subject.judged,
        "flushes": [name for name in subject.dtypes if backend.flushes_subnormals(FORMATS[name])],
        "backends": [
            {
                "name": backend.name,
                "version": backend.version,
                "device": backend.device,
                "dtypes": [name for name in dtypes if name in subject.dtypes],
            }
        ],
        "results": results,
    }


def function_of(subject: Subject, case: Case, quantity: str) -> Function | None:
    """Return the first function of a subject that returns a quantity of a case, and as little else as possible."""
    able = [f for f in subject.functions if f.case.key == case.key and quantity in f.quantities]
    eager = [f for f in able if not f.compiled]
    return min(eager, key=lambda f: len(f.quantities), default=None)


def _results(
    subject: Subject,
    function: Function,
    quantity: str,
    dtypes: tuple[str, ...],
    right: dict[tuple[str, str], Floats],
) -> Table:
    steps, failures = {}, {}
    for dtype in dtypes:
        if dtype in subject.dtypes and dtype in (function.dtypes or dtypes):
            try:
                steps[dtype] = _steps(Job(subject, function, dtype, limit=CALL_LIMIT), quantity, right[quantity, dtype])
            except Failure as failure:
                failures[dtype] = str(failure)
    dtype, numbers = _SHOWN
    return {
        "case": function.case.name,
        "quantity": quantity,
        "function": function.name,
        "code": [reproducer(function, subject.backend, dtype, numbers)],
        "steps": steps,
        "failures": failures,
    }


def _steps(job: Job, quantity: str, right: Floats) -> list[str | None]:
    """Return a text per label; None where the function does not take that label."""
    fmt = FORMATS[job.dtype]
    taken = [not job.function.hard_labels_only or z in (0, 1) for z in LABELS]
    labels = [z for z, takes in zip(LABELS, taken, strict=True) if takes]
    x, z = np.tile(fmt.round(LOGITS), len(labels)), np.repeat(fmt.round(labels), len(LOGITS))
    computed = job.call((x, z))[job.function.quantities.index(quantity)]
    rows = iter(computed.reshape(len(labels), len(LOGITS)))
    return [_distances(fmt, next(rows), right[i]) if takes else None for i, takes in enumerate(taken)]


def _distances(fmt: Format, computed: Floats, right: Floats) -> str:
    nan = np.isnan(np.asarray(computed, np.float64)).tolist()
    pairs = zip(nan, _places(fmt, computed), _places(fmt, right), strict=True)
    return _with_runs("nan" if is_nan else a - b for is_nan, a, b in pairs)


def _places(fmt: Format, x: Floats) -> list[int]:
    """Return the place of each number in the order of its format: 0 and -0 have 0, the smallest positive one has 1."""
    bits, sign = x.view(fmt.bits).tolist(), 1 << (8 * fmt.dtype.itemsize - 1)
    return [-(each - sign) if each & sign else each for each in bits]


def expand(text: str) -> list[str]:
    """Return the numbers of a text, of which N*M is N times M."""
    runs = (run.rpartition("*") for run in text.split())
    return [number for count, _, number in runs for _ in range(int(count or 1))]


def _with_runs(numbers: Iterator[int | str]) -> str:
    """Write numbers; N*M is N times M."""
    runs = ((number, len([*same])) for number, same in groupby(numbers))
    return " ".join(f"{count}*{number}" if count > 1 else f"{number}" for number, count in runs)


def _add(systems: list[Table], system: Table) -> None:
    """Add a system, or its backend to that of the same subject whose results are the same in the dtypes of both."""
    for other in systems:
        if _same(other, system):
            other["backends"] += system["backends"]
            for mine, added in zip(other["results"], system["results"], strict=True):
                mine["code"] += added["code"]
                for part in ("steps", "failures"):
                    mine[part] |= added[part]
            return
    systems.append(system)


def _same(a: Table, b: Table) -> bool:
    facts = ("subject", "version", "judged", "flushes")
    if any(a[name] != b[name] for name in facts) or len(a["results"]) != len(b["results"]):
        return False
    return all(
        mine["function"] == added["function"] and all(_agree(mine[part], added[part]) for part in ("steps", "failures"))
        for mine, added in zip(a["results"], b["results"], strict=True)
    )


def _agree(a: Table, b: Table) -> bool:
    return all(a[dtype] == b[dtype] for dtype in a.keys() & b.keys())
