"""Run the suite on this machine and print xbce beside the alternatives; options are passed on to `asv run`."""

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

from asv.machine import Machine, MachineCollection
from asv.results import Results
from asv.util import format_text_table, human_value

HERE = Path(__file__).parent
OTHERS = ("textbook", "native", "sklearn", "sklearn-threads")


def main() -> int:
    machine = Machine.get_defaults()
    # asv's own choice is the host's name, which has no place in published results.
    machine["machine"] = (machine["cpu"] or machine["arch"]).replace(os.sep, " ")
    MachineCollection.save(machine["machine"], machine)
    begin = 1000 * time.time()
    command = [sys.executable, "-m", "asv", "run", "--config", str(HERE / "asv.conf.json")]
    # In an existing environment asv stores results under a given commit only.
    command += ["--machine", machine["machine"], "--set-commit-hash", "HEAD", *sys.argv[1:]]
    # Wide enough for one column per implementation.
    status = subprocess.run(command, env={"COLUMNS": "200", **os.environ}, check=False).returncode  # noqa: S603
    folder = HERE / ".asv" / "results" / machine["machine"]
    for path in folder.glob("*-existing*.json"):
        results = Results.load(str(path))
        for name, started in sorted(results.started_at.items()):
            if started >= begin:
                sys.stdout.write(f"\n{name}: xbce, and the others as multiples of it\n\n{_table(results, name)}\n")
    return status


def _table(results: Results, name: str) -> str:
    params = results.get_result_params(name)
    values = results.get_result_value(name, params)
    # What was skipped is NaN. What failed is None, and asv has shown why.
    figures = {key: value for key, value in zip(itertools.product(*params), values, strict=True) if value == value}
    unit = "bytes" if name.endswith("bytes") else "seconds"
    rows = [["backend", "dtype", "size", "xbce", *OTHERS]]
    for (backend, dtype, size), jit in itertools.product(itertools.product(*params[:3]), ("", "-jit")):
        xbce, *others = (figures.get((backend, dtype, size, repr(x + jit))) for x in ("xbce", *OTHERS))
        if xbce is not None:
            ratios = ("" if other is None else f"{other / xbce:.2f}" for other in others)
            rows.append([backend.strip("'") + jit, dtype.strip("'"), size, human_value(xbce, unit), *ratios])
    return format_text_table(rows, 1)


if __name__ == "__main__":
    sys.exit(main())
