"""What a run comes to for a reader who wants one picture and one sentence per system."""

import math
from dataclasses import dataclass
from functools import cached_property

from xbce_conformance.cases import PLAIN
from xbce_conformance.inputs.datasets import BREAST_CANCER, DIGITS
from xbce_conformance.measurement.measured import slug
from xbce_conformance.report.digits import beside, cancels, digits_lost, digits_of, digits_text, inputs_text, share_lost
from xbce_conformance.report.league import QUANTITIES
from xbce_conformance.results.figures import share_text
from xbce_conformance.results.model import Results, Row

MATTERS, MAY_MATTER, DOES_NOT_MATTER = "matters", "may matter", "does not matter"
"""Whether what a system loses matters, the worst first."""
_LEVELS = (MATTERS, MAY_MATTER, DOES_NOT_MATTER)
OFTEN = 1e-4
"""A fault of at least this share of results matters."""
_FAULTS = {
    "zero_for_normal": "are 0 where a normal number is right",
    "wrong_nonfinite": "are NaN or infinite where that is wrong, or the reverse",
}
"""What ULP must not hide, by the name of the figure."""
_DTYPES = ("float32", "float64", "float16", "bfloat16")
"""Of several dtypes in which as much is lost, the sentence tells of the first of these."""


@dataclass(frozen=True)
class Bar:
    """How many digits a system keeps of a quantity in a dtype."""

    dtype: str
    quantity: str
    rows: list[Row]

    @property
    def holds(self) -> float:
        """The digits that the format holds."""
        return digits_of(self.dtype)

    @property
    def at_worst(self) -> float:
        """The digits that are kept at the worst input."""
        return self.holds - digits_lost(max(row.figures.max_ulp for row in self.rows), self.dtype)

    @property
    def mostly(self) -> float:
        """The digits that are kept in 999 of 1,000 results."""
        return self.holds - digits_lost(max(row.figures.p999_ulp for row in self.rows), self.dtype)

    @property
    def rounded(self) -> str:
        """The share of results that are correctly rounded."""
        counts = sum(row.figures.count for row in self.rows)
        return share_text(sum(row.figures.correctly_rounded for row in self.rows) / counts if counts else 0.0)

    @property
    def promise(self) -> str:
        """Whether errors are within the bound that is promised; none is of a system that is reported only."""
        if not any(row.judged for row in self.rows):
            return "reported"
        return "outside its bound" if any(row.violations for row in self.rows) else "within its bound"

    @property
    def text(self) -> str:
        """The bar in words."""
        worst, mostly, holds = map(digits_text, (self.at_worst, self.mostly, self.holds))
        return (
            f"{self.dtype} {_words(self.quantity)}: {worst} of {holds} digits are kept at worst, "
            f"{mostly} in 999 of 1,000 results; {self.rounded} of them are correctly rounded; {self.promise}"
        )


@dataclass(frozen=True)
class System:
    """One subject on one backend, or one that is judged, on all of its backends."""

    name: str
    rows: list[Row]
    """All that was measured of it."""
    page: str = ""
    """The name of the file about it alone."""

    @cached_property
    def judged(self) -> list[Row]:
        """The rows that pass or fail."""
        return [row for row in self.rows if row.judged]

    @property
    def failed(self) -> list[Row]:
        """The rows that fail."""
        return [row for row in self.rows if row.violations]

    @property
    def verdict(self) -> str:
        """How many of its rows pass."""
        return f"{len(self.judged) - len(self.failed):,} of {len(self.judged):,} rows pass."

    @cached_property
    def shown(self) -> list[Row]:
        """The rows that the picture and the sentence are of."""
        of_errors = [row for row in self.rows if row.of_errors]
        plain = [row for row in of_errors if row.case == PLAIN.name and row.quantity in QUANTITIES]
        return plain or of_errors or self.rows

    @cached_property
    def bars(self) -> dict[str, list[Bar]]:
        """The bars of each dtype."""
        dtypes = sorted({row.dtype for row in self.shown}, key=_DTYPES.index)
        return {dtype: self._bars([row for row in self.shown if row.dtype == dtype]) for dtype in dtypes}

    @staticmethod
    def _bars(rows: list[Row]) -> list[Bar]:
        quantities = dict.fromkeys(row.quantity for row in rows)
        return [Bar(rows[0].dtype, name, [row for row in rows if row.quantity == name]) for name in quantities]

    @cached_property
    def worst(self) -> Row:
        """The row that the sentence is of."""
        return min(self.shown, key=lambda row: (not row.failure, -_share_lost(row), _rank(row), _distance(row)))

    @cached_property
    def on_real_data(self) -> tuple[Row, float] | None:
        """The row that loses most digits on logits of real models, and its error there; None if none was tried."""
        regimes = (BREAST_CANCER, DIGITS)
        tried = [(row, row.regimes[name]) for row in self.shown for name in regimes if name in row.regimes]
        return min(tried, key=lambda found: (-share_lost(found[1], found[0].dtype), _rank(found[0])), default=None)

    @cached_property
    def faults(self) -> dict[str, Row]:
        """For each kind of fault that occurs, the row that has the largest share of it."""
        largest = {name: max(self.shown, key=lambda row: _share(row, name)) for name in _FAULTS}
        return {name: row for name, row in largest.items() if _share(row, name)}

    @cached_property
    def matter(self) -> str:
        """Whether it matters, by the rules."""
        if self.worst.failure or any(_share(row, name) >= OFTEN for name, row in self.faults.items()):
            return MATTERS
        if self.on_real_data and share_lost(self.on_real_data[1], self.on_real_data[0].dtype) > 1 / 2:
            return MATTERS
        lost = max(digits_lost(row.figures.max_ulp, row.dtype) for row in self.shown)
        wrong = any(row.special.mismatches for row in self.shown)
        return MAY_MATTER if lost > 1 or self.faults or wrong else DOES_NOT_MATTER

    @cached_property
    def sentence(self) -> str:
        """What it loses, where, and whether that matters."""
        if self.worst.failure:
            return f"Its {self.worst.dtype} {self.worst.quantity} could not be measured: {self.worst.failure}"
        return f"{self._lost}: {self._where}. It {self.matter}: {'; '.join(self._reasons)}."

    @property
    def _lost(self) -> str:
        row = self.worst
        dtypes = [dtype for dtype in self.bars if any(bar.at_worst == 0 for bar in self.bars[dtype])]
        if dtypes:
            return f"Loses all digits in {_and(dtypes)}"
        lost = digits_text(digits_lost(row.figures.max_ulp, row.dtype))
        if lost == "0.0":
            return "Loses no digit to anything but rounding"
        return f"Loses at most {lost} of the {digits_text(digits_of(row.dtype))} digits of {row.dtype}"

    @property
    def _where(self) -> str:
        row = self.worst
        several = {other.function for other in self.shown if other.quantity == row.quantity and not row.judged}
        function = f" of {row.function}" if len(several) > 1 else ""
        regime = f"regime “{row.worst.regime}”"
        place = f"at {inputs_text(row.worst.inputs)} ({regime})" if row.worst.inputs else f"of the {regime}"
        computed, exact = beside(row.worst.computed, row.worst.exact)
        note = " (the difference of nearly equal numbers; its digits count as those of these)" if cancels(row) else ""
        return f"its {row.dtype} {_words(row.quantity)}{function} {place} came as {computed}, right is {exact}{note}"

    @property
    def _reasons(self) -> list[str]:
        reasons = []
        if self.on_real_data and self.matter != DOES_NOT_MATTER:
            row, error = self.on_real_data
            lost = f"{digits_text(digits_lost(error, row.dtype))} of {digits_text(digits_of(row.dtype))} digits"
            reasons.append(f"on logits of real models it loses up to {lost} ({row.dtype} {_words(row.quantity)})")
        for name, row in self.faults.items():
            count = f"{getattr(row.figures, name):,} of {row.figures.count:,}"
            share = _share(row, name)
            part = f"{share_text(share)} ({count})" if share >= OFTEN else count
            reasons.append(f"{part} of its {row.dtype} {_words(row.quantity)}s {_FAULTS[name]}")
        wrong = sum(len(row.special.mismatches) for row in self.shown)
        if wrong:
            reasons.append(f"{wrong:,} of {sum(row.special.count for row in self.shown):,} special values are wrong")
        return reasons or ["no result loses more, and none is wrongly 0, NaN or infinite"]


def systems(results: Results) -> list[System]:
    """Return what was measured by system: those that are judged, then the others, the best first."""
    backends: dict[str, set[str]] = {}
    for row in results.judged:
        backends.setdefault(row.subject, set()).add(row.backend)
    named: dict[str, list[Row]] = {}
    for row in results.rows:
        several = len(backends.get(row.subject, ())) > 1
        name = f"{row.subject}, all backends" if several else f"{row.subject} on {row.backend}"
        named.setdefault(name, []).append(row)
    pages: dict[str, str] = {}  # by name; two names may differ in signs alone, which no file name has
    for name in named:
        pages[name] = slug(name)
        while list(pages.values()).count(pages[name]) > 1:
            pages[name] += "-again"
    return sorted((System(name, rows, f"{pages[name]}.html") for name, rows in named.items()), key=_order)


def _order(system: System) -> tuple[bool, int, float, str]:
    return not system.judged, -_LEVELS.index(system.matter), _share_lost(system.worst), system.name


def _rank(row: Row) -> int:
    return _DTYPES.index(row.dtype)


def _distance(row: Row) -> float:
    """Return how far out the worst input of a row is."""
    return max((abs(float.fromhex(text)) for text in row.worst.inputs.values()), default=math.inf)


def _share_lost(row: Row) -> float:
    return share_lost(row.figures.max_ulp, row.dtype)


def _share(row: Row, fault: str) -> float:
    """Return the share of results that have a fault."""
    count: int = getattr(row.figures, fault)
    return count / row.figures.count if row.figures.count else 0.0


def _words(quantity: str) -> str:
    return quantity.replace("_", " ")


def _and(names: list[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
