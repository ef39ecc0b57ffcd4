"""What is known of the functions of libraries: functions.json, and a table in the terminal."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from xbce_conformance.functions.measure import BINADES, Found
from xbce_conformance.results.figures import ulp_text
from xbce_conformance.results.model import error_from_json, json_of_rows
from xbce_conformance.storage import digest, write_whole

SCHEMA_VERSION = 3


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
    level: str
    """That of the processor which the library uses: x86-64-v2, -v3 or -v4; or an architecture; "gpu" on one."""
    dtype: str
    exhaustive: bool
    """Whether every number was tried: otherwise the largest error is a lower bound of the true one."""
    samples: int
    """Inputs that were drawn evenly over binades; 0 where every number was tried."""
    count: int
    """Inputs that the mean, the quantile and the shares are of: every number, or the draws and special values."""
    further: int
    """Inputs besides, that were chosen for large errors: of these faults and the largest error count."""
    max_ulp: float
    """Infinite ("inf" in JSON) if a result for a finite number is NaN or infinite where that is wrong."""
    worst_inputs: list[str]
    """Where the error is largest; numbers as `float.hex` writes them."""
    worst_computed: str
    worst_exact: str
    mean_ulp: float
    """The mean of the errors that are finite; flushed results, NaN and infinities have none."""
    p999_ulp: float
    """An error that 99.9 % do not exceed: the upper edge of a bin of 1/8 of a power of two."""
    correctly_rounded: int
    """Of `count`; NaN and infinities that are right among them."""
    zero_for_normal: int
    """Results that are 0 where a normal number is right; this and what follows of all inputs tried."""
    flushed: int
    """Results that are 0 where a subnormal number is right, or right for 0 in the place of subnormal inputs."""
    wrong_nonfinite: int
    """Wrong results for NaN and infinities, and wrong NaN and infinities; the sign of a zero does not count."""
    by_binade: dict[str, list[float | None]]
    """Largest errors for "negative" and "positive" inputs by their exponent; see `Report.binades`."""

    @classmethod
    def of(cls, found: Found, **identity: Any) -> "FunctionRow":
        """Return the row of what was found; `identity` says what was measured, up to `samples`."""
        tally, n = found.tally, len(BINADES)
        profile = [_short(tally.profile.get(i)) for i in range(2 * n)]
        sides = {"negative": profile[:n][::-1], "positive": profile[n:]}
        return cls(
            **identity,
            count=tally.count,
            further=found.further,
            max_ulp=tally.max_ulp,
            worst_inputs=[x for x in (tally.worst_logit, tally.worst_label) if x],
            worst_computed=tally.worst_computed,
            worst_exact=tally.worst_exact,
            mean_ulp=tally.mean_ulp,
            p999_ulp=tally.quantile(0.999),
            correctly_rounded=tally.correctly_rounded,
            zero_for_normal=tally.zero_for_normal,
            flushed=tally.flushed,
            wrong_nonfinite=tally.wrong_nonfinite,
            by_binade={side: errors for side, errors in sides.items() if any(error is not None for error in errors)},
        )

    @property
    def key(self) -> dict[str, Any]:
        """What tells the row from all others."""
        return {name: getattr(self, name) for name in IDENTITY}


IDENTITY = tuple(FunctionRow.__dataclass_fields__)[: list(FunctionRow.__dataclass_fields__).index("count")]
"""The fields that say what was measured."""


def _short(error: float | None) -> float | None:
    return error if error is None or math.isinf(error) else float(f"{error:.3g}")


@dataclass
class Report:
    """The rows of one file."""

    environment: dict[str, str]
    """That of the last run; what a row depends on is in the row."""
    missing: dict[str, str] = field(default_factory=dict)
    """What the last run could not measure, and why."""
    rows: list[FunctionRow] = field(default_factory=list)
    binades: list[int] = field(default_factory=lambda: list(BINADES))
    """Exponents of `by_binade`; the first one stands for all below, too, and the last one for all above."""
    schema_version: int = SCHEMA_VERSION

    @classmethod
    def going_on(cls, file: Path, environment: dict[str, str]) -> "Report":
        """Return the report of a new run, with the rows of earlier ones if the file is there."""
        return cls(environment, rows=cls.read(file).rows) if file.exists() else cls(environment)

    @classmethod
    def read(cls, file: Path) -> "Report":
        """Return what `write` has written."""
        data = json.loads(file.read_text("utf-8"))
        version = data.get("schema_version")
        if version != SCHEMA_VERSION:
            msg = f"{file} has schema version {version}; {SCHEMA_VERSION} is expected"
            raise ValueError(msg)
        return cls(**data | {"rows": [_row(row) for row in data["rows"]]})

    def find(self, **identity: Any) -> FunctionRow | None:
        """Return the row with these fields, if there is one."""
        return next((row for row in self.rows if row.key == identity), None)

    def write(self, file: Path) -> None:
        """Write as JSON, a row per line."""
        write_whole(file, json_of_rows(asdict(self)).encode())


def _row(data: dict[str, Any]) -> FunctionRow:
    sides = {side: list(map(error_from_json, errors)) for side, errors in data["by_binade"].items()}
    errors = {name: error_from_json(data[name]) for name in ("max_ulp", "p999_ulp")}  # a result that is "inf" is text
    return FunctionRow(**data | errors | {"by_binade": sides})


def checkpoint_name(identity: dict[str, Any]) -> str:
    """Return the name of the folder that an interrupted measurement goes on from."""
    names = [str(identity[name]) for name in ("function", "backend", "dtype")]
    return "-".join([*names, digest([json.dumps(identity).encode()])]).replace(":", "-")


def inputs_text(row: FunctionRow) -> str:
    """Return the inputs of a row, written out."""
    return "".join(f", {float.fromhex(x):.9g}" if len(row.worst_inputs) == 1 else f", {float.fromhex(x):.6g}"
                   for x in row.worst_inputs).removeprefix(", ")  # fmt: skip


def print_functions(rows: list[FunctionRow], missing: dict[str, str], console: Console) -> None:
    """Print a line per function, dtype and backend."""
    console.print(Text("Errors in ULP of the exact result", style="bold"))
    table = Table(box=None, padding=(0, 1, 0, 0))
    for heading in ("function", "dtype", "backend"):
        table.add_column(heading, no_wrap=True)
    for heading in ("max", "at", "mean", "p99.9", "rounded", "zeros", "FTZ", "wrong"):
        table.add_column(heading, justify="right", no_wrap=heading != "at")
    for row in sorted(rows, key=lambda row: (row.function, row.dtype)):
        table.add_row(
            row.function,
            row.dtype,
            f"{row.backend} ({row.implementation.partition(':')[0].partition('.')[0]} {row.version})",
            f"{'=' * row.exhaustive}{ulp_text(row.max_ulp)}",
            inputs_text(row),
            ulp_text(row.mean_ulp),
            ulp_text(row.p999_ulp),
            f"{row.correctly_rounded / row.count:.2%}",
            str(row.zero_for_normal),
            str(row.flushed),
            str(row.wrong_nonfinite),
        )
    console.print(table)
    console.print(
        "max: “=” over every number, else a lower bound: of samples, of inputs where implementations branch, and of a "
        "search.  at: where.  rounded: correctly rounded.  zeros: 0 where a normal number is right.  FTZ: subnormal "
        "results or inputs flushed to 0.  wrong: wrong for or as NaN and infinities.",
        style="dim",
    )
    places = (f"{row.backend}: {row.device}; processor: {row.processor}, used as {row.level}" for row in rows)
    for text in dict.fromkeys(places):
        console.print(Text(text, style="dim"))
    for name, reason in missing.items():
        console.print(Text(f"absent: {name}: {reason}", style="yellow"))
