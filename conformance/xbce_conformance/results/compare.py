"""What changed between two runs, row by row, and whether for the worse."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from xbce_conformance.results.figures import share_text, ulp_text
from xbce_conformance.results.model import Results, Row

Direction: TypeAlias = Literal["worse", "better", "other"]

_ERRORS = {"max_ulp": "largest error", "p999_ulp": "99.9th percentile"}
_COUNTS = {"zero_for_normal": "zeros for normal numbers", "flushed": "flushed", "wrong_nonfinite": "NaN or inf"}


@dataclass(frozen=True)
class Change:
    """One figure of one row that differs."""

    row: str
    figure: str
    """Its name in results.json; "row" where a whole row comes or goes."""
    what: str
    """The change in words."""
    direction: Direction

    @property
    def worse(self) -> bool:
        """Whether it is a regression."""
        return self.direction == "worse"


def compare(old: Results, new: Results, tolerance: float = 0.0) -> list[Change]:
    """Return all changes; a missing row is a regression.

    What is written the same is the same: no change is reported that a reader could not see. `tolerance` is by which
    share an error may grow, and so may the share of results that are not correctly rounded.
    """
    before, after = ({row.key: row for row in results.rows} for results in (old, new))
    changes = [
        Change(row.name, "row", "is not measured any more", "worse") for key, row in before.items() if key not in after
    ]
    for key, row in after.items():
        if key in before:
            changes += _of_row(before[key], row, tolerance)
        else:
            figures = row.failure or f"{ulp_text(row.figures.max_ulp)} ULP"
            changes.append(Change(row.name, "row", f"is new: {figures}", "worse" if row.violations else "other"))
    return changes


def under_one_name(old: Results, new: Results, names: Mapping[str, str]) -> tuple[Results, Results]:
    """Return both runs with the subjects of the old one under the names of those that they are compared with.

    `names` are those of the new run, by those of the old one. A row that would be without its counterpart is left out:
    of the old run those of a subject of `names.values()`, of the new one those of a subject of `names`.

    Raises
    ------
    ValueError
        If one of the runs has no row of a subject.
    """
    for which, results, wanted in (("old", old, names.keys()), ("new", new, names.values())):
        here = dict.fromkeys(row.subject for row in results.rows)
        for name in wanted:
            if name not in here:
                msg = f"the {which} results have no subject {name!r}; they have {', '.join(here) or 'none'}"
                raise ValueError(msg)
    renamed = [
        _renamed(row, names.get(row.subject, row.subject))
        for row in old.rows
        if row.subject in names or row.subject not in names.values()
    ]
    others = [row for row in new.rows if row.subject not in names or row.subject in names.values()]
    return replace(old, rows=renamed), replace(new, rows=others)


def _renamed(row: Row, name: str) -> Row:
    """Return a row under another subject's name, with which the functions of one's own subjects begin."""
    function = row.function
    if function == row.subject or function.startswith(f"{row.subject}, "):
        function = name + function.removeprefix(row.subject)
    return replace(row, subject=name, function=function)


# --- one row --------------------------------------------------------------------------------------------------------


def _of_row(old: Row, new: Row, tolerance: float) -> Iterator[Change]:
    if old.failure or new.failure:
        yield from _of_failures(old, new)
        return
    yield from _of_figures(old, new, tolerance)
    if old.sha256 and new.sha256 and old.sha256 != new.sha256:
        yield Change(new.name, "sha256", "other bits", "other")
    yield from _of_special_values(old, new)
    if old.judged and not new.judged:
        yield Change(new.name, "verdict", "is not judged any more", "worse")
    elif new.violations and not old.violations:
        yield Change(new.name, "verdict", f"fails: {'; '.join(new.violations)}", "worse")
    elif old.violations and not new.violations:
        yield Change(new.name, "verdict", "passes", "better")


def _of_failures(old: Row, new: Row) -> Iterator[Change]:
    """Compare where one has no figures: then it is no change of a figure."""
    if new.failure and not old.failure:
        yield Change(new.name, "failure", f"is not measured: {new.failure}", "worse")
    elif old.failure and not new.failure:
        text = f"is measured again: {ulp_text(new.figures.max_ulp)} ULP"
        yield Change(new.name, "failure", text, "other" if new.violations else "better")
    elif old.failure != new.failure:
        yield Change(new.name, "failure", f"is not measured: {new.failure}", "other")


def _of_figures(old: Row, new: Row, tolerance: float) -> Iterator[Change]:
    for figure, label in _ERRORS.items():
        a, b = getattr(old.figures, figure), getattr(new.figures, figure)
        texts = ulp_text(a), ulp_text(b)
        yield from _of_error(new.name, figure, f"{label}: {texts[0]} -> {texts[1]} ULP", texts, (a, b), tolerance)
    shares = old.figures.rounded_share, new.figures.rounded_share
    texts = share_text(shares[0]), share_text(shares[1])
    text = f"correctly rounded: {texts[0]} -> {texts[1]}"
    yield from _of_error(new.name, "correctly_rounded", text, texts, (1 - shares[0], 1 - shares[1]), tolerance)
    for figure, label in _COUNTS.items():
        a, b = getattr(old.figures, figure), getattr(new.figures, figure)
        if a != b:
            yield Change(new.name, figure, f"{label}: {a} -> {b}", "worse" if b > a else "better")


def _of_error(
    row: str, figure: str, what: str, texts: tuple[str, str], errors: tuple[float, float], tolerance: float
) -> Iterator[Change]:
    """Yield the change of a figure that is the worse the larger it is, unless both are written the same."""
    old, new = errors
    if texts[0] == texts[1]:
        return
    if new < old:
        yield Change(row, figure, what, "better")
    elif new > old * (1 + tolerance):
        yield Change(row, figure, what, "worse")
    else:
        yield Change(row, figure, f"{what}, within the tolerance", "other")


def _of_special_values(old: Row, new: Row) -> Iterator[Change]:
    """Compare which of them are wrong: of another one as many are wrong as before."""
    before, after = ({tuple(m.inputs.items()) for m in row.special.mismatches} for row in (old, new))
    if before != after:
        direction: Direction = "worse" if after - before else "better"
        yield Change(new.name, "special", f"wrong special values: {len(before)} -> {len(after)}", direction)
