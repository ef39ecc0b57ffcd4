"""`python -m gpu.environment`: records driver, libraries and devices of a run."""

import argparse
import json
import shutil
import subprocess
from pathlib import Path

from xbce_conformance.results.environment import environment
from xbce_conformance.subjects.backends import find_backends


def main() -> int:
    """Write environment.json; exit with 1 if a backend is absent."""
    parser = argparse.ArgumentParser(prog="python -m gpu.environment", description=__doc__)
    parser.add_argument("--backend", action="append", required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    found, missing = find_backends(tuple(arguments.backend))
    backends = {name: {"version": backend.version, "device": backend.device} for name, backend in found.items()}
    data = {"environment": environment(), "driver": _driver(), "missing": missing, "backends": backends}
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "environment.json").write_text(json.dumps(data, indent=1), "utf-8")
    return 1 if missing else 0


def _driver() -> list[str]:
    """Return the lines of nvidia-smi, one for each device after the header."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    query = "--query-gpu=name,driver_version,memory.total,clocks.max.sm,clocks.max.memory,power.limit"
    asked = subprocess.run([command, query, "--format=csv"], capture_output=True, text=True, check=False)  # noqa: S603
    return asked.stdout.splitlines()


if __name__ == "__main__":
    raise SystemExit(main())
