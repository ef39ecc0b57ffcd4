"""`python -m tests.fuzz`: search for calls that do not do what they have to; exit 1 if there are any."""

import argparse
import datetime as dt
import random
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

_FINDINGS = Path(".hypothesis") / "fuzz-findings.txt"


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=None, help="of all that is drawn; a new one by default")
    parser.add_argument("--library", action="append", help="only this one; may be repeated")
    parser.add_argument("--mode", action="append", help="only this one; may be repeated")
    arguments = parser.parse_args()
    _two_devices_of_jax()
    from tests.fuzz.calls import MODES
    from tests.fuzz.check import libraries
    from tests.fuzz.hunt import Hunt
    from tests.fuzz.pinned import PINNED

    seed = random.SystemRandom().getrandbits(32) if arguments.seed is None else arguments.seed
    runners = tuple(
        (library, mode)
        for library, mode in MODES
        if library in libraries() and library in (arguments.library or [library])
        if mode in (arguments.mode or [mode])
    )
    if not runners:
        parser.error("there is no such library here, or no such mode")
    console = Console()
    console.print(f"{len(runners)} modes of {len({*(r[0] for r in runners)})} libraries, seed {seed}")
    hunt = Hunt(runners, arguments.minutes * 60, seed)
    hunt.know(pinned.call for pinned in PINNED if pinned.open and pinned.call.library in libraries())
    try:
        _watch(hunt, console)
    except KeyboardInterrupt:
        hunt.stopped = True
    if hunt.stopped:
        console.print("stopped")
    console.print(_summary(hunt))
    if hunt.found:
        console.print(_kinds(hunt), f"written to {_FINDINGS}")
    else:
        console.print(f"no finding in {hunt.calls} calls")
    return 1 if hunt.found else 0


def _two_devices_of_jax() -> None:
    """Give JAX two devices to shard arrays over; this must come before its first array."""
    try:
        import jax
    except ImportError:
        return
    jax.config.update("jax_num_cpu_devices", 2)


def _watch(hunt, console: Console) -> None:
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("starting", total=hunt.seconds)
        for (library, mode), new in hunt.rounds():
            description = f"{hunt.calls} calls, {len(hunt.found)} findings; {library}, {mode}"
            progress.update(task, completed=hunt.elapsed, description=description)
            for classified in new:
                text = _text(classified)
                progress.console.print(text, markup=False, highlight=False, soft_wrap=True)
                _keep(text)


def _text(classified) -> str:
    from tests.fuzz.kinds import KINDS

    kind = classified.kind
    title = f"--- kind {kind}, {KINDS[kind]}; after {classified.seconds:.0f} s and {classified.calls} calls"
    return f"{title}\n{classified.finding}# {classified.finding.call!r}\n"


def _keep(text: str) -> None:
    _FINDINGS.parent.mkdir(exist_ok=True)
    with _FINDINGS.open("a", encoding="utf-8") as file:
        file.write(f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} {text}\n")


def _summary(hunt) -> Table:
    table = Table("library", "mode", "seconds", "calls", "findings")
    for (library, mode), tally in hunt.tallies.items():
        table.add_row(library, mode, f"{tally.seconds:.0f}", str(tally.calls), str(tally.findings))
    return table


def _kinds(hunt) -> Table:
    """Return for each kind of fault when it was first found, and how often."""
    from tests.fuzz.kinds import KINDS

    table = Table("kind", "", "first after", "calls", "findings", "in")
    for kind, name in KINDS.items():
        mine = [c for c in hunt.found if c.kind == kind]
        if mine:
            where = sorted({f"{c.finding.call.library}, {c.finding.call.mode}" for c in mine})
            first = mine[0]
            table.add_row(str(kind), name, f"{first.seconds:.0f} s", str(first.calls), str(len(mine)), "; ".join(where))
    return table


if __name__ == "__main__":
    sys.exit(main())
