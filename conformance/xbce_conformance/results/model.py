"""What a run found: plain data that is written to and read from results.json."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from xbce_conformance.measurement.measured import Worst
from xbce_conformance.storage import write_whole

SCHEMA_VERSION = 3


@dataclass(frozen=True)
class SpecialMismatch:
    """A special value that came out otherwise than the table says."""

    inputs: dict[str, str]
    computed: str
    expected: str


@dataclass(frozen=True)
class Row:
    """One function of one subject, on one backend, in one dtype.

    Errors are in ULP. `bound` maps "hard" and "soft" labels to the promise. An infinite error (not a finite number
    where one was due) is null in JSON.
    """

    subject: str
    version: str
    case: str
    """The function of xbce, with its options, whose definition and bounds these are."""
    function: str
    """What was called, as its users write it."""
    quantity: str
    backend: str
    dtype: str
    count: int
    max_ulp: float
    max_ulp_soft: float | None
    p999_ulp: float
    correctly_rounded: int
    zero_for_normal: int
    flushed: int
    wrong_nonfinite: int
    """NaN or infinite where a finite number is right, or the other way round."""
    upper_bound: bool
    """Whether all inputs were tried: else `max_ulp` is a lower bound of the true maximum."""
    special_count: int
    special_mismatches: list[SpecialMismatch]
    worst: Worst
    parts: dict[str, float]
    """Largest error per part of the inputs."""
    bound: dict[str, float]
    judged: bool
    broken: list[str]
    """What breaks the promise, in words; empty for a row that keeps it."""
    exceptions: list[str] = field(default_factory=list)
    """Where another bound is stated for this backend, and why."""
    sha256: str = ""
    """Digest of the bytes of all results; empty for a sweep, whose results are not kept."""
    reproducer: str = ""
    """One line for a shell that shows the worst result; empty for a reduction."""
    profile: dict[str, list[float | None]] = field(default_factory=dict)
    """Largest error per interval of the logit, for labels "0", "1" and "soft"; None where nothing was tried.

    Only for the elementwise rows of the plain loss."""
    label_profile: list[float | None] = field(default_factory=list)
    """Largest error per interval of log2(z / (1 - z)) for soft labels z; only for the same rows."""

    @property
    def title(self) -> str:
        """The function that it measures, and which of its results."""
        suffix = f" [{self.quantity}]" if "_and_" in self.function else ""
        return f"{self.subject}: {self.function}{suffix}"

    @property
    def key(self) -> tuple[str, ...]:
        """What tells a row from all others of a run."""
        kind = "all inputs" if self.upper_bound else "samples"
        return self.subject, self.backend, self.dtype, self.function, self.quantity, kind


@dataclass(frozen=True)
class Results:
    """One run."""

    environment: dict[str, str]
    level: str
    backends: dict[str, dict[str, str]]
    missing: dict[str, str]
    parts: dict[str, str]
    """What each part of the inputs is."""
    profile_edges: dict[str, list[float]]
    """Ends of the intervals of the profiles, per dtype."""
    label_edges: dict[str, list[float]]
    """Ends of the intervals of the profiles by label, per dtype."""
    rows: list[Row]
    schema_version: int = SCHEMA_VERSION

    @property
    def broken(self) -> list[Row]:
        """The judged rows that break the promise."""
        return [row for row in self.rows if row.judged and row.broken]

    def write(self, path: Path) -> None:
        """Write as JSON, with infinite errors as null; one row per line, so that versions can be compared by eye."""
        write_whole(path, json_of_rows(asdict(self)).encode())

    @classmethod
    def read(cls, path: Path) -> "Results":
        """Read what `write` wrote."""
        data = json.loads(path.read_text("utf-8"))
        version = data.get("schema_version")
        if version != SCHEMA_VERSION:
            msg = f"{path} has schema version {version}; {SCHEMA_VERSION} is expected"
            raise ValueError(msg)
        rows = [row_from_json(row) for row in data.pop("rows")]
        return cls(rows=rows, **data)

    @classmethod
    def merged(cls, several: list["Results"]) -> "Results":
        """Join runs, of other environments or inputs; of two rows that measure the same, the later one counts."""
        rows = {row.key: row for results in several for row in results.rows}
        found = {name for results in several for name in results.backends} | {row.subject for row in rows.values()}
        missing = _joined([results.missing for results in several])
        return cls(
            environment=_joined([results.environment for results in several]),
            level=_once([results.level for results in several]),
            backends={name: facts for results in several for name, facts in results.backends.items()},
            missing={name: reason for name, reason in missing.items() if name not in found},
            parts={name: text for results in several for name, text in results.parts.items()},
            profile_edges={name: edges for results in several for name, edges in results.profile_edges.items()},
            label_edges={name: edges for results in several for name, edges in results.label_edges.items()},
            rows=list(rows.values()),
        )


def _joined(several: list[dict[str, str]]) -> dict[str, str]:
    """Join texts by name; each different one once."""
    names = dict.fromkeys(name for texts in several for name in texts)
    return {name: _once([texts[name] for texts in several if name in texts]) for name in names}


def _once(texts: list[str]) -> str:
    """Join texts, which may be joined ones themselves."""
    return "; ".join(dict.fromkeys(part for text in texts for part in text.split("; ")))


def row_from_json(data: dict[str, Any]) -> Row:
    """Return the row that plain data stands for; null is infinite where it is no number."""
    infinite = {name: math.inf for name in ("max_ulp", "p999_ulp") if data[name] is None}
    return Row(
        **data
        | infinite
        | {
            "special_mismatches": [SpecialMismatch(**mismatch) for mismatch in data["special_mismatches"]],
            "worst": Worst(**data["worst"]),
            "parts": {name: math.inf if error is None else error for name, error in data["parts"].items()},
        }
    )


def json_of_rows(data: dict[str, Any]) -> str:
    """Return JSON with a line for each of the "rows", and infinite numbers as null."""
    data = _finite(data)
    rows = ",\n".join(json.dumps(row, allow_nan=False) for row in data.pop("rows"))
    head = json.dumps(data, indent=1, allow_nan=False).removesuffix("\n}")
    return f'{head},\n "rows": [\n{rows}\n]}}\n'


def _finite(data: Any) -> Any:
    """Replace infinite numbers by None: JSON has no infinity."""
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_finite(value) for value in data]
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return data
