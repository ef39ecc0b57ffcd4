"""`hashes`."""

import sys
from pathlib import Path

import click
from rich.text import Text

from xbce_conformance.cli.common import check_writable, console, nothing, out_folder
from xbce_conformance.cli.exit_codes import ExitCode, codes
from xbce_conformance.cli.help import HelpedCommand, OneOf, one_of
from xbce_conformance.cli.machine import json_option, print_file
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.invariance import FUNCTIONS, Report, print_report, run, table, write_expected
from xbce_conformance.subjects.backends import BACKEND_NAMES, find_backends


@click.command(
    "hashes",
    cls=HelpedCommand,
    examples={
        "hashes --eager": "every library that is here, without torch.compile, which takes an hour",
        "hashes --eager --backend torch:cuda": "one library, beside NumPy",
        "hashes --eager --backend jax --dtype float32 --json | jq .rows": "what differs, for a program",
    },
    codes=codes("results differ", "all results are the same"),
)
@click.option(
    "--backend",
    "backend_names",
    multiple=True,
    type=OneOf(BACKEND_NAMES, "BACKEND"),
    help="Hash results of this backend only; NumPy's are always there, to compare with. More than once. "
    + one_of(BACKEND_NAMES),
)
@click.option("--dtype", "dtypes", multiple=True, type=click.Choice(list(FORMATS)), help="Hash this dtype only.")
@click.option(
    "--function",
    "names",
    multiple=True,
    type=OneOf([function.name for function in FUNCTIONS], "FUNCTION"),
    help="Hash results of this function only, as hashes.json names it.",
)
@click.option(
    "--compiled/--eager", default=True, show_default=True, help="With or without torch.compile, an hour, and jax.jit."
)
@click.option(
    "--expected",
    "expected_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write NumPy's hashes to this file, in the form of those that the suite expects.",
)
@out_folder("Folder for hashes.json and hashes.md.")
@json_option
def hashes_(
    backend_names: tuple[str, ...],
    dtypes: tuple[str, ...],
    names: tuple[str, ...],
    compiled: bool,
    expected_file: Path | None,
    out: Path,
) -> None:
    """Hash what precision="high" returns, and compare it between libraries and with the hashes of the suite.

    Results that are subnormal, or of subnormal inputs, may differ where a library flushes them to zero; they are
    hashed apart.
    """
    screen = console()
    backends, missing = find_backends(tuple(dict.fromkeys(("numpy", *(backend_names or BACKEND_NAMES)))))
    if backend_names and missing.keys() >= {*backend_names}:
        raise nothing("hash", missing, "")
    if expected_file:
        check_writable(expected_file.parent, "--expected")
    with screen.status("") as status:

        def progress(report: Report, text: str) -> None:
            status.update(text)
            report.write(out / "hashes.json")

        report = run(backends, dtypes or tuple(FORMATS), names, progress, compiled=compiled)
    report.missing |= missing
    report.write(out / "hashes.json")
    (out / "hashes.md").write_text("\n".join(table(report.rows)) + "\n", "utf-8")
    if expected_file:
        write_expected(report, expected_file)
    print_report(report, screen)
    screen.print(Text(f"{out / 'hashes.json'} and {out / 'hashes.md'} are written."), soft_wrap=True)
    print_file(out / "hashes.json")
    if report.failed:
        sys.exit(ExitCode.FAILED)
