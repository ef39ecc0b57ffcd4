"""What a run found: plain data that is written to and read from results.json."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from xbce_conformance.measurement.errors import Figures
from xbce_conformance.measurement.measured import Profiles, Violation, Worst
from xbce_conformance.results import earlier
from xbce_conformance.storage import write_whole
from xbce_conformance.subjects.jobs import Kind

SCHEMA_VERSION = 5


@dataclass(frozen=True)
class SpecialMismatch:
    """A special value that came out otherwise than the table says."""

    inputs: dict[str, str]
    computed: str
    expected: str


@dataclass(frozen=True)
class SpecialValues:
    """How many special values were tried, and those that are wrong."""

    count: int = 0
    mismatches: list[SpecialMismatch] = field(default_factory=list)

    @property
    def right(self) -> str:
        """How many of them are right; empty if none was tried."""
        return f"{self.count - len(self.mismatches)}/{self.count}" if self.count else ""


@dataclass(frozen=True)
class Verdict:
    """What a row is judged by, and how it fares."""

    bound: dict[str, float]
    """The largest error that is allowed, in ULP, for "hard" and "soft" labels."""
    violations: list[Violation]
    """Why the row fails, if they are not waived; empty if all is right."""
    exceptions: list[str]
    """Where another bound is stated for this backend, and why."""


@dataclass(frozen=True)
class Row:
    """One result of one function of one subject, on one backend, in one dtype. Errors are in ULP."""

    subject: str
    version: str
    case: str
    """The function of xbce, with its options, whose definition and bounds these are."""
    function: str
    """What was called, as its users write it."""
    quantity: str
    backend: str
    dtype: str
    kind: Kind
    """What was tried.

    "samples": the largest error is a lower bound of the true one. "all inputs": it is the largest one. "behaviour":
    `regimes` are forms of arrays. "invariance": `regimes` are calls in other company, errors are distances from the
    result of one call with all inputs, and `correctly_rounded` counts results with the same bits.
    """
    figures: Figures
    special: SpecialValues
    worst: Worst
    regimes: dict[str, float]
    """Largest error per regime."""
    verdict: Verdict | None
    """None for a peer, which is reported and not judged."""
    failure: str = ""
    """The exception that the function raised, or why its results are none: nothing is measured then."""
    sha256: str = ""
    """Digest of the bytes of all results; empty for a sweep, whose results are not kept."""
    reproducer: str = ""
    """One line for a shell that shows the worst result; empty for a reduction."""
    profiles: Profiles = field(default_factory=Profiles)
    """Where errors are; only for the elementwise rows of the plain loss."""
    remarks: list[str] = field(default_factory=list)
    """What a reader should know, and no promise is about."""

    @property
    def called(self) -> str:
        """The function that it measures, and which of its results; a function that a user names is its own subject."""
        suffix = f" [{self.quantity}]" if "_and_" in self.function else ""
        own = self.function.partition(", ")[0] == self.subject
        return f"{self.function}{suffix}" if own else f"{self.subject}: {self.function}{suffix}"

    @property
    def title(self) -> str:
        """The same, and what was tried if not errors."""
        return self.called if self.of_errors else f"{self.called}, {self.kind}"

    @property
    def name(self) -> str:
        """The title, and where it was measured."""
        return f"{self.title}, {self.backend}, {self.dtype}{', all inputs' * self.exhaustive}"

    @property
    def key(self) -> tuple[str, ...]:
        """What tells a row from all others of a run."""
        return self.subject, self.backend, self.dtype, self.function, self.quantity, self.kind

    @property
    def exhaustive(self) -> bool:
        """Whether all inputs were tried."""
        return self.kind == "all inputs"

    @property
    def of_errors(self) -> bool:
        """Whether it is of errors over regimes of the inputs."""
        return self.kind in ("samples", "all inputs")

    @property
    def judged(self) -> bool:
        """Whether it passes or fails."""
        return self.verdict is not None

    @property
    def violations(self) -> list[str]:
        """Why it fails, in words; empty for a row that passes, and for a peer's."""
        return [v.text for v in self.verdict.violations if not v.waived] if self.verdict else []

    @property
    def waived(self) -> list[Violation]:
        """What would fail it, and is allowed."""
        return [v for v in self.verdict.violations if v.waived] if self.verdict else []


@dataclass(frozen=True)
class Results:
    """One run, or several that were merged.

    ``Results.read(path)`` reads a file that the command has written, also one of schema version 3 or 4.
    """

    environment: dict[str, str]
    level: str
    """Which inputs: quick or full samples, and which labels and regimes of them, if not all; or all logits."""
    backends: dict[str, dict[str, str]]
    missing: dict[str, str]
    """What was not measured, and why."""
    regimes: dict[str, str]
    """What each regime is."""
    profile_edges: dict[str, list[float]]
    """Ends of the intervals of the profiles by logit, per dtype."""
    label_edges: dict[str, list[float]]
    """Ends of the intervals of the profiles by label, per dtype."""
    rows: list[Row]
    waivers: list[str] = field(default_factory=list)
    """What is wrong with waivers: one that is not needed any more, or whose time is over."""
    schema_version: int = SCHEMA_VERSION

    @property
    def judged(self) -> list[Row]:
        """The rows that pass or fail."""
        return [row for row in self.rows if row.judged]

    @property
    def failed(self) -> list[Row]:
        """The rows that fail."""
        return [row for row in self.rows if row.violations]

    @property
    def passed(self) -> bool:
        """Whether no row fails, and no waiver is out of date."""
        return not self.failed and not self.waivers

    def write(self, path: Path) -> None:
        """Write as JSON; one row per line, so that versions can be compared by eye."""
        write_whole(path, json_of_rows(asdict(self)).encode())

    @classmethod
    def read(cls, path: Path) -> "Results":
        """Read what `write` wrote, also under an earlier schema version."""
        data = earlier.converted(json.loads(path.read_text("utf-8")))
        version = data.get("schema_version")
        if version != SCHEMA_VERSION:
            known = [*map(str, earlier.CONVERTERS), str(SCHEMA_VERSION)]
            msg = f"{path} has schema version {version}; one of {', '.join(known)} is expected"
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
            regimes={name: text for results in several for name, text in results.regimes.items()},
            profile_edges={name: edges for results in several for name, edges in results.profile_edges.items()},
            label_edges={name: edges for results in several for name, edges in results.label_edges.items()},
            rows=list(rows.values()),
            waivers=list(dict.fromkeys(text for results in several for text in results.waivers)),
        )


def _joined(several: list[dict[str, str]]) -> dict[str, str]:
    """Join texts by name; each different one once."""
    names = dict.fromkeys(name for texts in several for name in texts)
    return {name: _once([texts[name] for texts in several if name in texts]) for name in names}


def _once(texts: list[str]) -> str:
    """Join texts, which may be joined ones themselves."""
    return "; ".join(dict.fromkeys(part for text in texts for part in text.split("; ")))


def row_from_json(data: dict[str, Any]) -> Row:
    """Return the row that plain data stands for."""
    special, verdict, profiles = data["special"], data["verdict"], data["profiles"]
    mismatches = [SpecialMismatch(**mismatch) for mismatch in special["mismatches"]]
    logit = {name: [error_from_json(e) for e in errors] for name, errors in profiles["logit"].items()}
    return Row(
        **data
        | {
            "figures": Figures(**{name: error_from_json(figure) for name, figure in data["figures"].items()}),
            "special": SpecialValues(special["count"], mismatches),
            "worst": Worst(**data["worst"]),
            "regimes": {name: error_from_json(error) for name, error in data["regimes"].items()},
            "verdict": verdict if verdict is None else _verdict(**verdict),
            "profiles": Profiles(logit, [error_from_json(e) for e in profiles["label"]]),
        }
    )


def _verdict(violations: list[dict[str, str]], **rest: Any) -> Verdict:
    return Verdict(violations=[Violation(**violation) for violation in violations], **rest)


INFINITE = "inf"
"""An infinite error in JSON, which has no infinity: not a finite number where one was due."""


def error_from_json(figure: Any) -> Any:
    """Return a figure as it was before `json_of_rows` wrote it."""
    return math.inf if figure == INFINITE else figure


def json_of_rows(data: dict[str, Any]) -> str:
    """Return JSON with a line for each of the "rows", and infinite numbers as "inf"."""
    data = _written(data)
    rows = ",\n".join(json.dumps(row, allow_nan=False) for row in data.pop("rows"))
    head = json.dumps(data, indent=1, allow_nan=False).removesuffix("\n}")
    return f'{head},\n "rows": [\n{rows}\n]}}\n'


def _written(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _written(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_written(value) for value in data]
    return INFINITE if data == math.inf else data
