"""What is known of the functions of libraries: functions.json, and a table in the terminal."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from xbce_conformance.results.figures import ulp_text
from xbce_conformance.results.model import error_from_json, json_of_rows
from xbce_conformance.storage import write_whole
from xbce_conformance.sweep.tally import Tally

SCHEMA_VERSION = 2


@dataclass(frozen=True)
class FunctionRow:
    """One function of one library, on one device, in one dtype. Errors are in ULP of the exact result."""

    function: str
    implementation: str
    """module:attribute of what was called."""
    version: str
    """That of the package which has it."""
    backend: str
    device: str
    processor: str
    dtype: str
    stride: int
    """Every `stride`-th bit pattern was tried: with 1 all numbers, else samples and lower bounds."""
    count: int
    max_ulp: float
    """Infinite ("inf" in JSON) if a result for a finite number is NaN or infinite where that is wrong."""
    worst_input: str
    """Where the error is largest; numbers as `float.hex` writes them."""
    worst_computed: str
    worst_exact: str
    p999_ulp: float
    """An error that 99.9 % do not exceed: the upper edge of a bin of 1/8 of a power of two."""
    correctly_rounded: int
    zero_for_normal: int
    """Results that are 0 where a normal number is right."""
    flushed: int
    """Results that are 0 where a subnormal number is right; they have no error in ULP."""
    special_wrong: int
    """Wrong results for NaN and infinities, and wrong NaN and infinities; the sign of a zero does not count."""

    @classmethod
    def of(cls, tally: Tally, **identity: Any) -> "FunctionRow":
        """Return the row of a tally; `identity` says what was measured, up to the stride."""
        return cls(
            **identity,
            count=tally.count,
            max_ulp=tally.max_ulp,
            worst_input=tally.worst_logit,
            worst_computed=tally.worst_computed,
            worst_exact=tally.worst_exact,
            p999_ulp=tally.quantile(0.999),
            correctly_rounded=tally.correctly_rounded,
            zero_for_normal=tally.zero_for_normal,
            flushed=tally.flushed,
            special_wrong=tally.wrong_nonfinite,
        )


@dataclass
class Report:
    """The rows of one file."""

    environment: dict[str, str]
    """That of the last run; what a row depends on is in the row."""
    missing: dict[str, str] = field(default_factory=dict)
    """What the last run could not measure, and why."""
    rows: list[FunctionRow] = field(default_factory=list)
    schema_version: int = SCHEMA_VERSION

    @classmethod
    def going_on(cls, file: Path, environment: dict[str, str]) -> "Report":
        """Return the report of a new run, with the rows of earlier ones if the file is there."""
        if not file.exists():
            return cls(environment)
        data = json.loads(file.read_text("utf-8"))
        version = data.get("schema_version")
        if version != SCHEMA_VERSION:
            msg = f"{file} has schema version {version}; {SCHEMA_VERSION} is expected"
            raise ValueError(msg)
        return cls(environment, rows=[_row(row) for row in data["rows"]])

    def find(self, **identity: Any) -> FunctionRow | None:
        """Return the row with these fields, if there is one."""
        return next(
            (row for row in self.rows if all(getattr(row, name) == is_ for name, is_ in identity.items())), None
        )

    def write(self, file: Path) -> None:
        """Write as JSON, a row per line."""
        write_whole(file, json_of_rows(asdict(self)).encode())


def _row(data: dict[str, Any]) -> FunctionRow:
    return FunctionRow(**{name: error_from_json(value) for name, value in data.items()})


def print_functions(rows: list[FunctionRow], missing: dict[str, str], console: Console) -> None:
    """Print a line per function, dtype and backend."""
    strides = ", ".join(str(n) for n in sorted({row.stride for row in rows} - {1}))
    inputs = f"1 of {strides} bit patterns: samples, a lower bound" if strides else "every number"
    console.print(Text(f"Errors in ULP of the exact result. Inputs: {inputs}", style="bold"))
    table = Table(box=None)
    for heading in ("function", "dtype", "backend"):
        table.add_column(heading, no_wrap=True)
    for heading in ("max", "at", "p99.9", "rounded", "zeros", "FTZ", "special"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in sorted(rows, key=lambda row: (row.function, row.dtype)):
        table.add_row(
            row.function,
            row.dtype,
            f"{row.backend} ({row.implementation.partition(':')[0].partition('.')[0]} {row.version})",
            f"{'=' * (row.stride == 1)}{ulp_text(row.max_ulp)}",
            f"{float.fromhex(row.worst_input):.9g}",
            ulp_text(row.p999_ulp),
            f"{row.correctly_rounded / row.count:.2%}",
            str(row.zero_for_normal),
            str(row.flushed),
            str(row.special_wrong),
        )
    console.print(table)
    console.print(
        "max: “=” over all inputs, else a lower bound.  at: where.  rounded: correctly rounded.  zeros: 0 where a "
        "normal number is right.  FTZ: subnormal results flushed to 0.  special: wrong for or as NaN and infinities.",
        style="dim",
    )
    for text in dict.fromkeys(f"{row.backend}: {row.device}; processor: {row.processor}" for row in rows):
        console.print(Text(text, style="dim"))
    for name, reason in missing.items():
        console.print(Text(f"absent: {name}: {reason}", style="yellow"))
