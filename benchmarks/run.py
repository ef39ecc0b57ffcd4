"""Run the suite on this machine, print xbce beside its peers and draw speed against size.

With ``--publish`` the results, the page and the plots of the documentation are written too. Other options are passed on
to ``asv run``.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import report
from asv.machine import Machine, MachineCollection
from asv.results import Results

HERE = Path(__file__).parent


def machine_here() -> dict[str, Any]:
    """Return what asv knows of this machine, under the name of its processor."""
    machine = Machine.get_defaults()
    # asv's own choice is the host's name, which has no place in published results.
    machine["machine"] = (machine["cpu"] or machine["arch"]).replace(os.sep, " ")
    MachineCollection.save(machine["machine"], machine)
    return machine


def measure(commit: str, options: list[str], environment: dict[str, str]) -> int:
    """Run the suite, and keep its results under a commit."""
    command = [sys.executable, "-m", "asv", "run", "--config", str(HERE / "asv.conf.json")]
    # In an existing environment asv stores results under a given commit only.
    command += ["--machine", machine_here()["machine"], "--set-commit-hash", commit, *options]
    return subprocess.run(command, env={"COLUMNS": "200", **os.environ, **environment}, check=False).returncode  # noqa: S603


def main() -> int:
    arguments = sys.argv[1:]
    publish = "--publish" in arguments
    machine = machine_here()
    begin = 1000 * time.time()
    status = measure("HEAD", [a for a in arguments if a != "--publish"], {})
    folder = HERE / ".asv" / "results" / machine["machine"]
    measured = [
        row for path in folder.glob("*-existing*.json") for row in report.rows_of(Results.load(str(path)), since=begin)
    ]
    results = {"machine": report.describe(machine), "rows": measured}
    sys.stdout.write(report.text(results))
    plots = HERE / ".asv" / "plots"
    for path in report.plot(results, plots):
        sys.stdout.write(f"{path.relative_to(HERE.parent)}\n")
    if publish:
        report.publish(results, HERE / "results", HERE.parent / "docs")
    return status


if __name__ == "__main__":
    sys.exit(main())
