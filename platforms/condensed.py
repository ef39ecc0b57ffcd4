"""What a platform came to, small enough to be committed: of the functions that compute the same, the worst."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xbce_conformance.results.model import Results, Row, error_from_json, json_of_rows
from xbce_conformance.storage import write_whole

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Line:
    """One quantity of one case in one dtype."""

    case: str
    quantity: str
    dtype: str
    functions: int
    """How many functions compute it: methods, compiled ones, automatic differentiation."""
    function: str
    """The one whose figures these are: one that fails, else the one with the largest error."""
    ulp: float
    """Its largest error; infinite where it raises."""
    bound: dict[str, float]
    """The largest error that is allowed, for "hard" and "soft" labels."""
    violations: list[str]
    """Why it fails; empty if all functions pass."""
    sha256: str
    """Digest of all its results."""
    worst: dict[str, str]
    """Inputs of the largest error."""


@dataclass(frozen=True)
class Tests:
    """What the tests came to."""

    passed: int
    skipped: int
    failed: list[str]
    """Names of those that failed."""


@dataclass(frozen=True)
class Condensed:
    """One platform."""

    slug: str
    backend: str
    level: str
    date: str
    facts: dict[str, str]
    """Processor, versions, system, digest of the sources: where these are the same, nothing is measured again."""
    absent: str
    """Why nothing could be measured; empty otherwise."""
    lacks: dict[str, str]
    """Dtypes, or parts of the suite, that could not be measured, and why."""
    environment: dict[str, str]
    """Variables that kept the library at the level."""
    tests: Tests | None
    """None where they were not run."""
    rows: list[Line]
    schema_version: int = SCHEMA_VERSION

    @property
    def failed(self) -> list[Line]:
        """The lines that fail."""
        return [line for line in self.rows if line.violations]

    @property
    def fails(self) -> bool:
        """Whether a line or a test fails."""
        return bool(self.failed or (self.tests and self.tests.failed))

    @property
    def summary(self) -> str:
        """What it came to, in a line."""
        if self.absent:
            return f"not measured: {self.absent}"
        said = [f"{len(self.failed)} of {len(self.rows)} quantities fail" if self.failed else
                f"all {len(self.rows)} quantities pass"]  # fmt: skip
        if self.tests:
            wrong = f"{len(self.tests.failed)} tests fail, " * bool(self.tests.failed)
            said.append(f"{wrong}{self.tests.passed} tests pass")
        said += [f"without {name}" for name in self.lacks]
        return "; ".join(said)

    def write(self, path: Path) -> None:
        """Write as JSON, with a line for each of the rows."""
        write_whole(path, json_of_rows(asdict(self)).encode())

    @classmethod
    def read(cls, path: Path) -> "Condensed":
        """Read what `write` wrote."""
        data: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if data["schema_version"] != SCHEMA_VERSION:
            msg = f"{path} has schema version {data['schema_version']}; {SCHEMA_VERSION} is expected"
            raise ValueError(msg)
        rows = [Line(**row | {"ulp": error_from_json(row["ulp"])}) for row in data.pop("rows")]
        tests = data.pop("tests")
        return cls(rows=rows, tests=tests and Tests(**tests), **data)


def condense(results: Results) -> list[Line]:
    """Return a line for each case, quantity and dtype; rows of other kinds than errors count where they fail."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in results.judged:
        if not row.of_errors and not row.violations:
            continue
        groups.setdefault((row.case, row.quantity, row.dtype), []).append(row)
    return [_line(rows) for rows in groups.values()]


def _line(rows: list[Row]) -> Line:
    worst = max(rows, key=lambda row: (bool(row.violations), row.figures.max_ulp))
    return Line(
        case=worst.case,
        quantity=worst.quantity,
        dtype=worst.dtype,
        functions=len({row.function for row in rows}),
        function=worst.function,
        ulp=worst.figures.max_ulp if math.isinf(worst.figures.max_ulp) else round(worst.figures.max_ulp, 4),
        bound=worst.verdict.bound if worst.verdict else {},
        violations=worst.violations,
        sha256=worst.sha256,
        worst=worst.worst.inputs,
    )
