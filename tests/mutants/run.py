"""Apply each mutant to a copy of the repository and see that the tests named beside it fail: `make mutants`.

A mutant is a fault that all tests once let pass. `mutants.toml` has the text that it replaces; a text that is not
there exactly once stops the run, so that no mutant is lost when the code changes.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from shutil import copy2

from rich.progress import Progress

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@dataclass(frozen=True)
class Mutant:
    """A replacement in one file, and the tests that must notice it."""

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]

    def apply(self, tree: Path) -> None:
        """Replace the text."""
        path = tree / self.file
        text = path.read_text("utf-8")
        if text.count(self.before) != 1:
            msg = f"{self.name}: its text occurs {text.count(self.before)} times in {self.file}, not once"
            raise ValueError(msg)
        path.write_text(text.replace(self.before, self.after), "utf-8")


def load() -> list[Mutant]:
    """Read the table."""
    table = tomllib.loads((HERE / "mutants.toml").read_text("utf-8"))
    return [Mutant(name, **row | {"tests": tuple(row["tests"])}) for name, row in table.items()]


def copy_repository(tree: Path) -> None:
    """Copy every file that git tracks."""
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        copy2(ROOT / name, target)


def test(tree: Path, tests: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Run tests in a copy, on its own packages."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    path = os.pathsep.join([str(tree), str(tree / "conformance")])
    return subprocess.run(
        command, cwd=tree, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )


def survives(mutant: Mutant) -> str:
    """Return why a mutant is not killed, or nothing."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        copy_repository(tree)
        before = test(tree, mutant.tests)
        if before.returncode != 0:
            return f"its tests fail without it:\n{before.stdout[-2000:]}"
        mutant.apply(tree)
        after = test(tree, mutant.tests)
    # 1 is "tests failed"; anything else, such as an error while collecting, tells nothing about the mutant.
    return "" if after.returncode == 1 else f"its tests end with {after.returncode}:\n{after.stdout[-2000:]}"


def main() -> int:
    """Run the mutants named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="parts of names")
    names = parser.parse_args().names
    mutants = [m for m in load() if not names or any(name in m.name for name in names)]
    survivors: dict[str, str] = {}
    with Progress() as progress, ThreadPoolExecutor(os.cpu_count()) as pool:
        task = progress.add_task("mutants", total=len(mutants))
        for mutant, reason in zip(mutants, pool.map(survives, mutants), strict=True):
            progress.console.print(f"{'SURVIVES' if reason else 'killed  '} {mutant.name}")
            progress.advance(task)
            if reason:
                survivors[mutant.name] = reason
        for name, reason in survivors.items():
            progress.console.print(f"\n{name}: {reason}", markup=False)
    print(f"{len(mutants) - len(survivors)} of {len(mutants)} mutants are killed")  # noqa: T201
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
