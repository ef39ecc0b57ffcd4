"""`list`."""

from itertools import groupby

import click
from rich.table import Table
from rich.text import Text

from xbce_conformance.cli.common import console
from xbce_conformance.cli.exit_codes import codes
from xbce_conformance.cli.help import HelpedCommand
from xbce_conformance.cli.machine import json_option, print_json
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.subjects.backend import Backend
from xbce_conformance.subjects.backends import backend_facts, find_backends
from xbce_conformance.subjects.selection import ALL_BACKEND_NAMES, SUBJECT_NAMES, find_subjects


@click.command(
    "list",
    cls=HelpedCommand,
    examples={"list": "a table", "list --json | jq '.absent'": "what is absent, and why, for a program"},
    codes=codes(),
)
@json_option
def list_() -> None:
    """Show what can be measured here, what is missing, and why."""
    out = console()
    backends, missing = find_backends(ALL_BACKEND_NAMES)
    subjects, missing_subjects = find_subjects(SUBJECT_NAMES, backends)
    table = Table("backend", "version", "device", "dtypes", "flushes subnormal numbers in", title="Backends")
    for name, facts in backend_facts(backends).items():
        table.add_row(name, *facts.values())
    out.print(table)
    table = Table("subject", "version", "backends", "functions", title="Subjects")
    for (name, version), group in groupby(subjects, key=lambda subject: (subject.name, subject.version)):
        several = list(group)
        functions = Text("\n".join(dict.fromkeys(function.name for function in several[0].functions)))
        table.add_row(name, version, "\n".join(subject.backend.name for subject in several), functions)
    out.print(table)
    absent = missing_subjects | missing  # of a library that is both, why the backend is
    for name, reason in absent.items():
        out.print(Text(f"absent: {name}: {reason}", style="yellow"))
    print_json(
        {
            "backends": [_described(backend) for backend in backends.values()],
            "subjects": [
                {
                    "name": subject.name,
                    "version": subject.version,
                    "backend": subject.backend.name,
                    "dtypes": [*subject.dtypes],
                    "functions": [*dict.fromkeys(function.name for function in subject.functions)],
                }
                for subject in subjects
            ],
            "absent": absent,
        }
    )


def _described(backend: Backend) -> dict[str, object]:
    """Return what `list --json` says of a backend."""
    flushed = [dtype for dtype in backend.dtypes if backend.flushes_subnormals(FORMATS[dtype])]
    facts = {"name": backend.name, "version": backend.version, "device": backend.device}
    return {**facts, "dtypes": [*backend.dtypes], "flushes_subnormals_in": flushed}
