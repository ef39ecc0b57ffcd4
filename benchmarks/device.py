"""Time xbce and its peers on a GPU, with a copy of the same bytes as the baseline; without asv.

Each backend has a process of its own. FOLDER/benchmarks.json is written after each measurement. Jobs that it holds are
not measured a second time, so a run that was stopped can be continued.
"""

import itertools
import json
import math
import shutil
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from benchmarks.calls import ARRAYS_MOVED, TITLES, NotMeasured, arrays_of, find_backend, finisher, function_of, versions
from benchmarks.subjects import SUBJECTS
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from xbce_conformance.cli.common import console
from xbce_conformance.cli.interrupt import interruptible
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.results.environment import environment
from xbce_conformance.storage import write_whole
from xbce_conformance.subjects.backend import Backend
from xbce_conformance.subjects.backends import BACKEND_NAMES

SIZES = (10**7, 10**8, 10**5, 10**3)
"""The most informative sizes first, for a run that is stopped."""
COPY = "copy"
"""The baseline, in place of a subject: copies an array of such a length that it moves the least bytes of a function."""
STOPPED = 130
_BATCH = 0.002
"""Least number of seconds between two synchronisations, or else these would dominate the time."""
_SAMPLING = 0.2
_SAMPLES = (5, 100)
_GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL."""


@dataclass(frozen=True)
class Job:
    """One measurement."""

    backend: str
    dtype: str
    function: str
    subject: str
    size: int

    @property
    def least_bytes(self) -> int:
        """The least number of bytes that are moved."""
        return ARRAYS_MOVED[self.function] * self.size * np.dtype(FORMATS[self.dtype].dtype).itemsize


def jobs(backend: str, dtypes: tuple[str, ...], sizes: tuple[int, ...]) -> Iterator[Job]:
    """Yield the jobs in order: the copy before the subjects, and subjects that take long to compile last."""
    names = SUBJECTS[backend.partition(":")[0]]
    quick = [name for name in names if not name.endswith("-compiled")]
    groups = ([COPY, *quick], [name for name in names if name not in quick])
    for size, dtype, group in itertools.product(sizes, dtypes, groups):
        for function, name in itertools.product(TITLES, group):
            yield Job(backend, dtype, function, name, size)


class Results:
    """The results file of a folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "benchmarks.json"
        self.environments: dict[str, dict[str, Any]] = {}
        self.rows: list[dict[str, Any]] = []
        self.failures: list[dict[str, Any]] = []
        if self.path.exists():
            content = json.loads(self.path.read_text("utf-8"))
            self.environments, self.rows, self.failures = (content[k] for k in ("environments", "rows", "failures"))

    def enter(self, backend: str, here: dict[str, Any]) -> None:
        """Accept measurements of a backend; refuse if the file has some from another environment."""
        there = self.environments.setdefault(backend, here)
        other = [k for k in sorted(here.keys() | there.keys()) if k != "date" and here.get(k) != there.get(k)]
        if other:
            differences = "; ".join(f"{k}: {there.get(k)} there, {here.get(k)} here" for k in other)
            msg = f"{self.path} holds times of {backend} from elsewhere ({differences}): give another folder as --out"
            raise click.ClickException(msg)
        self.failures = [row for row in self.failures if row["backend"] != backend]

    def seconds(self, job: Job) -> float | None:
        """Return the measured time of a job."""
        return next((row["seconds"] for row in self.rows if all(row[k] == v for k, v in asdict(job).items())), None)

    def add(self, job: Job, seconds: float) -> None:
        """Write a time, with its share of the bandwidth of the copy, if the copy has been timed."""
        copy = seconds if job.subject == COPY else self.seconds(Job(**asdict(job) | {"subject": COPY}))
        self.rows.append(
            {
                **asdict(job),
                "seconds": _rounded(seconds),
                "bytes": job.least_bytes,
                "gb_per_second": _rounded(job.least_bytes / seconds / 1e9),
                "share": None if copy is None else _rounded(copy / seconds),
            }
        )
        self.write()

    def fail(self, job: Job, reason: str) -> None:
        """Write the reason why a job has no time."""
        self.failures.append({**asdict(job), "reason": reason})
        self.write()

    def write(self) -> None:
        """Write the file atomically, so that a killed process leaves a complete one."""
        content = {"environments": self.environments, "rows": self.rows, "failures": self.failures}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, (json.dumps(content, indent=1) + "\n").encode())


def _rounded(x: float) -> float:
    return float(f"{x:.4g}")


def described(backend: Backend) -> dict[str, Any]:
    """Return the environment that the times of a backend depend on; `kind` is CPU or GPU."""
    here: dict[str, Any] = {**environment(), "versions": versions()}
    # The device of PyTorch is "cpu", of JAX "TFRT_CPU_0".
    if "cpu" in backend.device.lower():
        return {"kind": "CPU", "device": f"CPU: {here['processor']}", **here}
    return {"kind": "GPU", "device": backend.device, **_nvidia(), **here}


def _nvidia() -> dict[str, str]:
    """Return name and driver of the first GPU, from nvidia-smi."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return {}
    command = [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603
    name, _, driver = said.partition("\n")[0].partition(", ")
    return {"gpu": name, "driver": driver}


def timed(run: Callable[[], Any], finish: Callable[[Any], Any], *, batches: bool) -> float:
    """Return the median time of a call. Short calls are timed in batches with one synchronisation at the end."""
    # The first call compiles, and starts threads.
    finish(run())
    begin = time.perf_counter()
    finish(run())
    once = time.perf_counter() - begin
    calls = max(1, math.ceil(_BATCH / once)) if batches else 1
    samples: list[float] = []
    end = time.perf_counter() + _SAMPLING
    least, most = _SAMPLES
    while len(samples) < least or (len(samples) < most and time.perf_counter() < end):
        begin = time.perf_counter()
        for _ in range(calls):
            result = run()
        finish(result)
        samples.append((time.perf_counter() - begin) / calls)
    return statistics.median(samples)


def call_of(job: Job, backend: Backend, arrays: tuple[Any, Any]) -> Callable[[], Any]:
    """Return the function, without arguments, that a job times."""
    if job.subject == COPY:
        x = arrays[0]
        # A copy reads and writes, so the array has half of the bytes.
        length = max(1, job.least_bytes * len(x) // (2 * x.nbytes))
        return copier(job.backend, backend.from_numpy(FORMATS[job.dtype].round(np.ones(length))))
    if job.subject.endswith("-compiled"):
        import torch

        # Or else torch.compile would make code for all sizes when it meets a second one.
        torch.compiler.reset()
    run = function_of(job.backend, job.subject, job.function)
    return lambda: run(*arrays)


def copier(backend: str, x: Any) -> Callable[[], Any]:
    """Return a function that copies an array."""
    match backend.partition(":")[0]:
        case "torch":
            import torch

            out = torch.empty_like(x)
            return lambda: out.copy_(x)
        case "jax":
            import jax

            copy = jax.jit(jax.numpy.copy)
            return lambda: copy(x)
        case "cupy":
            import cupy

            out = cupy.empty_like(x)
            return lambda: cupy.copyto(out, x)
    out = np.empty_like(x)
    return lambda: np.copyto(out, x)


def time_backend(name: str, results: Results, dtypes: tuple[str, ...], sizes: tuple[int, ...]) -> bool:
    """Time one backend in this process; tell whether nothing failed."""
    backend, finish = find_backend(name), finisher(name)
    results.enter(name, described(backend))
    todo = [job for job in jobs(name, dtypes, sizes) if results.seconds(job) is None]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=len(todo))
        for (size, dtype), group in itertools.groupby(todo, lambda job: (job.size, job.dtype)):
            arrays = arrays_of(backend, dtype, size)
            finish(arrays)
            for job in group:
                progress.update(task, description=f"{name} {size} {dtype} {job.function} {job.subject}")
                try:
                    # Calls of JAX on a CPU may overlap, and the last call may not be the last to end.
                    results.add(job, timed(call_of(job, backend, arrays), finish, batches=name != "jax"))
                except NotMeasured:
                    pass
                except Exception as error:  # noqa: BLE001 - the failure of one subject costs no other
                    reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
                    results.fail(job, reason)
                progress.advance(task)
    return not any(row["backend"] == name for row in results.failures)


def table(results: Results, backend: str, dtype: str) -> Table:
    """Return the time of xbce, ratios to it, and shares of the copy's bandwidth."""
    rows = [row for row in results.rows if (row["backend"], row["dtype"]) == (backend, dtype)]
    names = list(dict.fromkeys(row["subject"] for row in rows if row["subject"] != COPY))
    found = {(row["function"], row["size"], row["subject"]): row for row in rows}
    title = f"{backend}, {dtype}, {results.environments[backend]['device']}"
    made = Table(title=title, caption="x: ratio to the time of the first subject; %: share of the bandwidth of a copy")
    for name in ("function", "size", COPY, *names):
        made.add_column(name, justify="left" if name == "function" else "right", no_wrap=name == "function")
    for function, size in itertools.product(TITLES, sorted({row["size"] for row in rows})):
        here = {name: found.get((function, size, name)) for name in (COPY, *names)}
        if any(here.values()):
            first = here[names[0]] if names else None
            cells = (_cell(row, None if row is first or name == COPY else first) for name, row in here.items())
            made.add_row(function, f"{size:.0e}".replace("e+0", "e"), *cells)
    return made


def _cell(row: dict[str, Any] | None, first: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    if row["subject"] == COPY:
        return f"{row['gb_per_second']:.3g} GB/s"
    time_ = f"{1e6 * row['seconds']:.4g} us" if first is None else f"{row['seconds'] / first['seconds']:.2f} x"
    return time_ if row["share"] is None else f"{time_} {row['share']:.0%}"


def in_processes(command: list[str], backends: tuple[str, ...], seconds: float | None) -> int:
    """Time each backend in a process of its own; return the exit code.

    Each has an equal share of the seconds; unused seconds go to backends that were stopped.
    """
    end = math.inf if seconds is None else time.monotonic() + seconds
    status, waiting = 0, deque(backends)
    while waiting and time.monotonic() < end:
        backend = waiting.popleft()
        share = (end - time.monotonic()) / (len(waiting) + 1)
        code = _run([*command, "--backend", backend, "--here"], None if share == math.inf else share)
        if code is None:
            waiting.append(backend)
        elif code:
            status = 1
            if code != 1:  # with 1 it has printed the reason
                click.echo(f"{backend}: its process ended with {code}", err=True)
    return STOPPED if waiting else status


def _run(command: list[str], seconds: float | None) -> int | None:
    """Return the exit code of a process, or None if it was stopped."""
    process = subprocess.Popen(command)  # noqa: S603
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@click.command()
@click.option(
    "--backend",
    "backends",
    multiple=True,
    required=True,
    type=click.Choice([name for name in BACKEND_NAMES if name.partition(":")[0] in ("numpy", "torch", "jax", "cupy")]),
    help="Backends to time, one after the other: for example torch:cuda; torch:cpu for a rehearsal. More than once.",
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="For benchmarks.json.")
@click.option("--size", "sizes", multiple=True, type=click.IntRange(1), default=SIZES, show_default=True)
@click.option("--dtype", "dtypes", multiple=True, type=click.Choice(list(FORMATS)), default=("float32",))
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Stop after this time, with exit code 130.")
@click.option("--here", is_flag=True, hidden=True)
def main(
    backends: tuple[str, ...],
    out: Path,
    sizes: tuple[int, ...],
    dtypes: tuple[str, ...],
    seconds: float | None,
    *,
    here: bool,
) -> None:
    """Time xbce, its peers and a copy of the same bytes; write FOLDER/benchmarks.json."""
    try:
        with interruptible():
            if here:
                sys.exit(not time_backend(backends[0], Results(out), dtypes, sizes))
            command = [sys.executable, __file__, "--out", str(out)]
            command += [f"--size={size}" for size in sizes] + [f"--dtype={dtype}" for dtype in dtypes]
            status = in_processes(command, backends, seconds)
    except NotMeasured as reason:
        raise click.ClickException(f"{backends[0]}: {reason}") from None
    except KeyboardInterrupt:
        status = STOPPED
    if here:
        sys.exit(status)
    results = Results(out)
    for backend, dtype in itertools.product(results.environments, dtypes):
        console().print(table(results, backend, dtype))
    for row in results.failures:
        click.echo(" ".join(str(value) for value in row.values()), err=True)
    sys.exit(status)


if __name__ == "__main__":
    main()
