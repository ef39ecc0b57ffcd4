"""What a run of `hashes` came to: its rows, the hashes that the suite expects, the file and the table."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.invariance.functions import FUNCTIONS
from xbce_conformance.invariance.hashes import Difference, Results, difference, grid_hash, measure, orders_that_differ
from xbce_conformance.invariance.modes import Mode, modes_of
from xbce_conformance.results.environment import environment
from xbce_conformance.storage import write_whole
from xbce_conformance.subjects.backend import Backend
from xbce_conformance.subjects.levels import level_of

NUMPY = "numpy"
"""The mode that others are compared with, element by element."""


@dataclass(frozen=True)
class Row:
    """One function in one dtype and mode."""

    function: str
    dtype: str
    mode: str
    normal: str
    """Hash of the results without what is subnormal; `Hashes` says what that is."""
    subnormal: str
    """Hash of the rest."""
    flushes: bool
    """Whether the backend flushes subnormal numbers of this dtype or of float64: the second hash may differ then."""
    expected: bool
    """Whether the first hash, and the second if it may not differ, is the one that the suite expects."""
    orders: int
    """Orders of the terms that have another sum than the first one."""
    difference: Difference
    """From NumPy's results in the same run."""

    @property
    def failed(self) -> bool:
        """Whether results are not those of all others."""
        differs = self.difference.normal or (self.difference.subnormal and not self.flushes)
        return bool(differs or self.orders or not self.expected)


@dataclass
class Report:
    """All rows of a run."""

    environment: dict[str, str]
    modes: dict[str, dict[str, str]] = field(default_factory=dict)
    """Version, device and processor level of each mode."""
    grid: dict[str, str] = field(default_factory=dict)
    """Hash of all inputs, per dtype."""
    missing: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether a row failed."""
        return any(row.failed for row in self.rows)

    def write(self, file: Path) -> None:
        """Write the file, a line per row."""
        head = {"environment": self.environment, "modes": self.modes, "grid": self.grid, "missing": self.missing}
        rows = ",\n".join(json.dumps(asdict(row)) for row in self.rows)
        write_whole(file, f'{json.dumps(head, indent=1)[:-2]},\n "rows": [\n{rows}\n]}}\n'.encode())

    @classmethod
    def read(cls, file: Path) -> "Report":
        """Return the report of a file."""
        data = json.loads(file.read_text("utf-8"))
        rows = [Row(**row | {"difference": Difference(**row["difference"])}) for row in data.pop("rows")]
        return cls(**data, rows=rows)


@cache
def expected() -> dict[str, Any]:
    """Return the hashes that the suite expects: of the inputs, and of each function in each dtype."""
    data: dict[str, Any] = json.loads(files(__package__).joinpath("hashes.json").read_text("utf-8"))
    return data


def write_expected(report: Report, file: Path) -> None:
    """Write NumPy's hashes of a report as those that the suite expects."""
    hashes: dict[str, dict[str, list[str]]] = {dtype: {} for dtype in report.grid}
    for row in report.rows:
        if row.mode == NUMPY:
            hashes[row.dtype][row.function] = [row.normal, row.subnormal]
    write_whole(file, (json.dumps({"grid": report.grid, "hashes": hashes}, indent=1) + "\n").encode())


def run(
    backends: dict[str, Backend],
    dtypes: Sequence[str],
    names: Sequence[str] = (),
    progress: Callable[[Report, str], None] = lambda *_: None,
    *,
    compiled: bool = True,
) -> Report:
    """Hash the results of all functions, or of those named, in all modes of the backends; NumPy is among them."""
    report = Report(environment())
    modes = [mode for backend in backends.values() for mode in modes_of(backend, compiled=compiled)]
    modes.sort(key=lambda mode: mode.name != NUMPY)
    for mode in modes:
        backend = mode.backend
        report.modes[mode.name] = {
            "version": backend.version,
            "device": backend.device,
            "level": level_of(backend),
        }
    for dtype in dtypes:
        report.grid[dtype] = grid_hash(dtype)
        for row in _rows([mode for mode in modes if dtype in mode.backend.dtypes], dtype, names):
            report.rows.append(row)
            progress(report, f"{row.mode}, {dtype}: {row.function}")
    return report


def _rows(modes: Sequence[Mode], dtype: str, names: Sequence[str]) -> Iterator[Row]:
    reference: dict[str, Results] = {}
    for mode in modes:
        # High precision computes in float64.
        flushes = any(mode.backend.flushes_subnormals(FORMATS[name]) for name in (dtype, "float64"))
        for function, results in measure(mode, dtype, names):
            hashes = results.hashes
            wanted = expected()["hashes"].get(dtype, {}).get(function.name, ["", ""])
            right = reference.setdefault(function.name, results)
            yield Row(
                function.name,
                dtype,
                mode.name,
                hashes.normal,
                hashes.subnormal,
                flushes,
                hashes.normal == wanted[0] and (flushes or hashes.subnormal == wanted[1]),
                orders_that_differ(results) if function.is_sum else 0,
                difference(function, dtype, results, right),
            )


# --- tables ---------------------------------------------------------------------------------------------------------


def table(rows: Sequence[Row]) -> list[str]:
    """Return the lines of a table in Markdown: functions and modes."""
    modes = list(dict.fromkeys(row.mode for row in rows))
    cells: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        cells.setdefault((row.function, row.mode), []).append(row)
    lines = [f"| function | {' | '.join(modes)} |", "|---" * (len(modes) + 1) + "|"]
    for function in FUNCTIONS:
        if any(name == function.name for name, _ in cells):
            texts = (_cell(cells.get((function.name, mode), [])) for mode in modes)
            lines.append(f"| {function.name} | {' | '.join(texts)} |")
    return lines


def _cell(rows: Sequence[Row]) -> str:
    if not rows:
        return "–"
    faults = [row for row in rows if row.failed]
    flushed = sum(row.difference.subnormal for row in rows)
    if not faults:
        return f"= ({flushed})" if flushed else "="
    return "; ".join(f"{row.dtype}: {fault(row)}" for row in faults)


def fault(row: Row) -> str:
    """Say what is wrong with a row that failed."""
    differs, texts = row.difference, []
    if differs:
        place = ", ".join(differs.inputs)
        count = differs.normal + (0 if row.flushes else differs.subnormal)
        texts.append(f"{count} differ, first at {place}: {differs.result} for {differs.expected}")
    if row.orders:
        texts.append(f"{row.orders} orders have another sum")
    if not row.expected and not differs:
        texts.append("not the expected hash")
    return ", ".join(texts)


def summary(report: Report) -> list[str]:
    """Return the lines of a table in Markdown: modes and dtypes."""
    dtypes = [name for name in FORMATS if any(row.dtype == name for row in report.rows)]
    lines = [f"| level | mode | {' | '.join(dtypes)} |", "|---" * (len(dtypes) + 2) + "|"]
    for mode in dict.fromkeys(row.mode for row in report.rows):
        cells = (_share([row for row in report.rows if (row.mode, row.dtype) == (mode, name)]) for name in dtypes)
        lines.append(f"| {report.modes[mode]['level']} | {mode} | {' | '.join(cells)} |")
    return lines


def _share(rows: Sequence[Row]) -> str:
    """Say how many rows are right and, in brackets, how many results are apart."""
    if not rows:
        return "–"
    apart = sum(row.difference.subnormal for row in rows if row.flushes)
    return f"{sum(not row.failed for row in rows)}/{len(rows)}" + (f" ({apart:,})" if apart else "")


def print_report(report: Report, screen: Console) -> None:
    """Print the summary, and what is wrong."""
    for line in summary(report):
        screen.print(Text(line))
    for name, reason in report.missing.items():
        screen.print(Text(f"absent: {name}: {reason}"))
    for row in report.rows:
        if row.failed:
            screen.print(Text(f"{row.mode}, {row.dtype}: {row.function}: {fault(row)}"))
