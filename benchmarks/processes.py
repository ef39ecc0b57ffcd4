"""Runs `pairs.py` for each backend, in a process that is kept to a level of the processor and to two processors."""

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import Any

from benchmarks.calls import versions
from pairs import weights
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from series import DTYPES, SERIES, Key, power

from xbce_conformance.results.environment import environment
from xbce_conformance.subjects.backends import find_backends
from xbce_conformance.subjects.levels import V3, V4, level_of

RESULTS = Path(__file__).parent / "results"
BACKENDS = tuple(dict.fromkeys(series.backend for series in SERIES))
_NAMES = {V4: "AVX-512", V3: "AVX2"}
_AVX2 = {
    # All that NumPy has code of its own for beyond AVX2; what the processor lacks, it ignores.
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    # PyTorch's compiler would take code from its cache that was generated for the whole processor.
    "TORCHINDUCTOR_CACHE_DIR": str(Path(tempfile.gettempdir(), f"torchinductor_{os.getuid()}_avx2")),
}
_ALWAYS = {
    # OpenMP's threads wait in a loop for their next work, up to milliseconds, which keeps the processor from xbce's
    # threads, and from themselves where other work takes a processor. So they end it after some 50 µs.
    "GOMP_SPINCOUNT": "2000",
    # A pool of compilers would still start while the first figures are measured.
    "TORCHINDUCTOR_COMPILE_THREADS": "1",
}
_GRACE, _LONGEST = 10, 3600
"""Seconds beyond its time, and in all, after which a process is killed."""


@dataclass
class Found:
    """What was measured at a level, and why the rest was not."""

    figures: dict[Key, float] = field(default_factory=dict)
    reasons: dict[Key, str] = field(default_factory=dict)


def level_here() -> str:
    """Return the level of this processor; on others than x86-64, the architecture."""
    level = level_of(find_backends(("numpy",))[0]["numpy"])
    return _NAMES.get(level, level)


def playable(level: str) -> dict[str, dict[str, str]]:
    """Return the environments of the levels that a processor can play, by their names."""
    return {"AVX-512": {}, "AVX2": _AVX2} if level == "AVX-512" else {level: {}}


def described(level: str, threads: int, load: float, libraries: tuple[str, ...]) -> dict[str, Any]:
    """Return what results of a level are of, as it is committed: no name of the machine."""
    here = environment()
    return {
        "level": level,
        "played": level != level_here(),
        "processor": here["processor"],
        "threads": threads,
        "load": round(load, 1),
        "date": here["date"],
        "versions": {name: text for name, text in versions().items() if name in libraries},
    }


def committed(pattern: str) -> list[dict[str, Any]]:
    """Return the results of all levels that files of a folder have, AVX-512 first."""
    levels = [json.loads(path.read_text("utf-8")) for path in sorted(RESULTS.glob(pattern), reverse=True)]
    return sorted(levels, key=lambda results: results["level"] != "AVX-512")


def on_two_processors() -> int:
    """Keep this process and its children to two processors, as the targets are; return how many it has."""
    processors = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, processors)
    return len(processors)


def measure(level: str, environment: dict[str, str], *, quick: bool, seconds: float = math.inf) -> Found:
    """Measure all backends within so many seconds; show the progress, or without a terminal a line per series."""
    found, end = Found(), time.monotonic() + seconds
    waiting = {name: [k for s in SERIES if s.backend == name for k in s.figures(quick=quick)] for name in BACKENDS}
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(level, total=sum(map(len, waiting.values())))
        while waiting:
            backend = next(iter(waiting))
            left = end - time.monotonic()
            share = left * weights(waiting[backend]) / sum(map(weights, waiting.values()))
            keys = waiting.pop(backend)
            for key in _process(backend, keys, environment, found, quick=quick, seconds=share):
                name, dtype, size = key
                progress.update(task, description=f"{level}: {name}, {dtype}, {power(size)}", advance=1)
                if key == [k for k in keys if k[0] == name][-1]:
                    progress.console.print(line(name, found), highlight=False, soft_wrap=True)
    return found


def _process(
    backend: str, keys: list[Key], environment: dict[str, str], found: Found, *, quick: bool, seconds: float
) -> Iterator[Key]:
    """Measure a backend in a process; yield each figure's key when it is known."""
    command = [sys.executable, str(Path(__file__).with_name("pairs.py")), backend, str(seconds)]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(  # noqa: S603
            command + ["--quick"] * quick,
            env=os.environ | _ALWAYS | environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        timer = Timer(min(seconds + _GRACE, _LONGEST), process.kill)
        timer.start()
        try:
            for text in process.stdout or ():
                row = json.loads(text)
                name, dtype, size = row["key"]
                if "figure" in row:
                    found.figures[name, dtype, size] = row["figure"]
                else:
                    found.reasons[name, dtype, size] = row["reason"]
                yield name, dtype, size
        finally:
            timer.cancel()
            process.kill()
            status = process.wait()
        errors.seek(0)
        last = (errors.read().strip().splitlines() or [""])[-1]
    for key in keys:
        if key not in found.figures:
            found.reasons.setdefault(key, f"the process of {backend} ended with {status}. {last}".strip())


def line(name: str, found: Found) -> str:
    """Return the figures of a series, and one reason if some lack."""
    parts = []
    for dtype in DTYPES:
        cells = [f"{power(k[2])}: {figure:.3g}" for k, figure in found.figures.items() if k[:2] == (name, dtype)]
        parts += [f"{dtype} {', '.join(cells)}"] if cells else []
    parts += [f"not measured: {reason}" for key, reason in found.reasons.items() if key[0] == name][:1]
    return f"{name}: {'; '.join(parts)}"
