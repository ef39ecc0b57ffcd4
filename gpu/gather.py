"""Gathers the results of the parts in one folder that can be committed: few files, none of them large."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gpu.parts import Part
from gpu.record import FILE, read
from gpu.run import Outcome
from xbce_conformance.results.model import Results

MOST_FILES, MOST_BYTES = 8, 16 * 2**20
"""Limits of machines from which results are copied."""

_REHEARSAL = "a rehearsal on the CPU: no device"


def gather(
    parts: tuple[Part, ...], outcomes: dict[str, Outcome], work: Path, out: Path, *, rehearsal: bool
) -> list[Path]:
    """Write the results that exist; return the files. Each file says whether it is from a rehearsal."""
    out.mkdir(parents=True, exist_ok=True)
    files = {"run.json": _run(parts, outcomes, work)}
    tests = read(work / "tests" / FILE)
    if tests:
        files["tests.json"] = {"tests": list(tests.values())}
    for name in ("functions", "benchmarks"):
        file = work / name / f"{name}.json"
        if file.exists():
            files[file.name] = json.loads(file.read_text("utf-8"))
    for name, data in files.items():
        marked = {"rehearsal": rehearsal, **({"device": _REHEARSAL} if rehearsal else {}), **data}
        (out / name).write_text(json.dumps(marked, indent=1) + "\n", "utf-8")
    rows = [part.result for part in parts if part.result.name == "results.json" and part.result.exists()]
    if rows:
        results = Results.merged([Results.read(file) for file in rows])
        if rehearsal:
            results.environment["device"] = _REHEARSAL
        results.write(out / "results.json")
    written = sorted(out.iterdir())
    for file in written:
        if file.stat().st_size > MOST_BYTES:
            msg = f"{file} has {file.stat().st_size:,} bytes; at most {MOST_BYTES:,} can be brought back"
            raise RuntimeError(msg)
    if len(written) > MOST_FILES:
        msg = f"{out} has {len(written)} files; at most {MOST_FILES} can be brought back"
        raise RuntimeError(msg)
    return written


def _run(parts: tuple[Part, ...], outcomes: dict[str, Outcome], work: Path) -> dict[str, Any]:
    """Return the environment of a run and the outcome of each part, with the end of the log of a failed part."""
    file = work / "environment" / "environment.json"
    data: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    data["parts"] = {}
    for part in parts:
        outcome = outcomes.get(part.name)
        entry: dict[str, Any] = {"what": part.what, "expected_seconds": part.seconds}
        entry |= {"status": "not run"} if outcome is None else asdict(outcome)
        if outcome is not None and (outcome.status != "done" or outcome.found_faults):
            log = work / "logs" / f"{part.name}.log"
            entry["log"] = log.read_text("utf-8", errors="replace")[-4000:] if log.exists() else ""
        data["parts"][part.name] = entry
    return data
