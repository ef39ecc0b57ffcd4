"""`python -m proofs`: prove the error bounds of `precision="high"`, and write the table.

Exit code 0: everything is proved, by the committed scripts. 1: a bound is not proved, a committed script is not what
the code gives, or Gappa or Sollya is missing.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

from proofs import powers, series, transformations
from proofs.facts import facts
from proofs.script import UnprovedError
from proofs.steps import Step, every_step
from proofs.table import Row, table

FOLDER = Path(__file__).parent
SCRIPTS = FOLDER / "scripts"
_METHODS = ("loss_value", "loss_gradient", "loss_hessian")
PROMISES = {**dict.fromkeys(_METHODS, Fraction(1, 2**77)), "sum": Fraction(1, 2**54)}
"""What the results need, by the step (README.md says why)."""
_DIGITS = (4, 5)
"""Binary digits of the formats in which the error-free transformations are tried."""


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="make proofs", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--renew", action="store_true", help="write the scripts that the code gives, and prove those")
    arguments = parser.parse_args()
    missing = [name for name in ("gappa", "sollya") if shutil.which(name) is None]
    if missing:
        sys.stderr.write(f"{' and '.join(missing)} not found: apt install {' '.join(missing)}\n")
        return 1
    steps = every_step()
    if arguments.renew:
        _renew(steps)
    complaints = [*drift(steps), *_without_rows()]
    rows = []
    for found in _rows(steps):
        if isinstance(found, Row):
            rows.append(found)
        else:
            complaints.append(found)
    sys.stdout.write(f"proved: {len(rows)}, not proved: {len(complaints)}\n")
    sys.stderr.writelines(f"{complaint}\n" for complaint in complaints)
    if complaints:
        return 1
    (FOLDER / "table.md").write_text(table(rows), "utf-8")
    return 0


def path_of(step: Step) -> Path:
    """Return the file of a step's script."""
    return SCRIPTS / f"{step.slug}.gappa"


def drift(steps: list[Step]) -> list[str]:
    """Return which committed scripts are not those that the code gives."""
    texts = {path_of(step): step.text() for step in steps}
    committed = {path: path.read_text("utf-8") for path in SCRIPTS.glob("*.gappa")}
    paths = sorted(texts.keys() | committed.keys())
    return [f"{path.name} is not what the code gives" for path in paths if texts.get(path) != committed.get(path)]


def _renew(steps: list[Step]) -> None:
    for path in SCRIPTS.glob("*.gappa"):
        path.unlink()
    for step in steps:
        path_of(step).write_text(step.text(), "utf-8")


def _without_rows() -> Iterator[str]:
    """Yield what is wrong with what the proofs rest on."""
    if series.computed() != series.COMMITTED.read_text("utf-8"):
        yield f"{series.COMMITTED.name} is not what Sollya prints"
    yield from powers.wrong()
    for digits in _DIGITS:
        yield from transformations.wrong(digits)


def _rows(steps: list[Step]) -> Iterator[Row | str]:
    """Yield a row for what is proved, and a complaint for what is not."""
    for fact in facts():
        size = fact.magnitude()
        row = Row("Arb", fact.what, fact.domain, size, fact.bound)
        yield row if size <= fact.bound else f"{fact.what}: {float(size)}"
    for label, found in series.SERIES.items():
        what = f"{label.replace('_', ' ')}: what the series leaves out"
        yield Row("Sollya", what, f"up to {float(found.most):.3g}", found.error, found.error)
    with ThreadPoolExecutor(2) as pool:  # Gappa works, Python waits
        yield from pool.map(_row, steps)


def _row(step: Step) -> Row | str:
    try:
        found = step.proved()
    except UnprovedError as reason:
        return f"{step.slug}.gappa: {reason}"
    return Row("Gappa", step.what, step.domain, found, PROMISES.get(step.slug, step.bound))


if __name__ == "__main__":
    sys.exit(main())
