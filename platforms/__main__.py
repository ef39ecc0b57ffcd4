"""`python -m platforms`: the suite and tests at every level that this machine can play.

Exit code 0: all that was measured passes; what could not be is named. 1: something fails. 130: interrupted; the same
command goes on from there.
"""

import argparse
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from platforms.condensed import Condensed
from platforms.measure import REPOSITORY, Bench, Interrupted, NotMeasured, nothing
from platforms.page import FOLDER, page
from platforms.table import Platform, platforms
from xbce_conformance.cases import FUNCTIONS
from xbce_conformance.inputs.formats import FORMATS

WORK = REPOSITORY / ".platforms"
"""Checkpoints, logs, exact values and the machines that are played: never committed."""
_INTERRUPTED = 130


def main() -> int:
    """Run the command."""
    every = {platform.slug: platform for platform in platforms()}
    parser = argparse.ArgumentParser(prog="make platforms", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--plan", action="store_true", help="print the platforms, and measure nothing")
    parser.add_argument("--only", action="append", choices=every, help="measure this platform; may be repeated")
    parser.add_argument("--again", action="store_true", help="measure again what is done for these versions and code")
    parser.add_argument("--dtype", action="append", choices=FORMATS, default=[], help="this dtype only: a trial")
    parser.add_argument("--function", action="append", choices=FUNCTIONS, default=[], help="this one only: a trial")
    parser.add_argument("--work", type=Path, default=WORK, help="folder of checkpoints and logs")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the results")
    arguments = parser.parse_args()
    chosen = [every[slug] for slug in arguments.only or every]
    screen = Console(width=None if sys.stdout.isatty() else 120)
    if arguments.plan:
        screen.print(_plan(chosen))
        return 0
    if (arguments.dtype or arguments.function) and arguments.out == FOLDER:
        parser.error("a trial needs --out: it is no result of a platform")
    arguments.out.mkdir(parents=True, exist_ok=True)
    bench = Bench(arguments.work.resolve(), dtypes=tuple(arguments.dtype), functions=tuple(arguments.function))
    failed = False
    for number, platform in enumerate(chosen, 1):
        head = f"{number} of {len(chosen)}, {platform.slug}"
        start = time.monotonic()
        try:
            with screen.status(head):
                found = _measured(bench, platform, arguments.out / f"{platform.slug}.json", again=arguments.again)
        except (KeyboardInterrupt, Interrupted):
            screen.print(Text(f"{head}: interrupted, with nothing lost; the same command goes on from there"))
            return _INTERRUPTED
        screen.print(Text(f"{head}, {time.monotonic() - start:.0f} s: {found.summary}"))
        failed |= found.fails
    (arguments.out / "README.md").write_text(page(arguments.out), "utf-8")
    return int(failed)


def _measured(bench: Bench, platform: Platform, file: Path, *, again: bool) -> Condensed:
    """Return what a platform came to: from its file, if it is of the same versions, processor and code."""
    try:
        facts, lacks = bench.facts(platform)
        if file.exists() and not again:
            known = Condensed.read(file)
            if known.facts == facts:
                return known
        found = bench.measure(platform, facts, lacks)
    except NotMeasured as reason:
        found = nothing(platform, str(reason))
    found.write(file)
    return found


def _plan(chosen: list[Platform]) -> Table:
    table = Table("platform", "backend", "variables")
    for platform in chosen:
        variables = "\n".join(f"{name}={text}" for name, text in platform.environment.items())
        table.add_row(platform.slug, platform.backend, Text(platform.played_by or variables))
    return table


if __name__ == "__main__":
    sys.exit(main())
