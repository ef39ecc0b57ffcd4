"""The same as HTML: a fragment for notebooks, and a page that stands alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import singledispatch
from pathlib import Path
from typing import Any

from xbce_conformance.data import show
from xbce_conformance.data.difference import Comparison
from xbce_conformance.data.measure import OnData
from xbce_conformance.data.picture import WIDTH, Picture, picture
from xbce_conformance.data.replay import Replay
from xbce_conformance.data.verdict import Verdict, verdicts
from xbce_conformance.report.templates import templates


@dataclass(frozen=True)
class Block:
    """Lines, and a table."""

    lines: list[str] = field(default_factory=list)
    caption: str = ""
    head: tuple[str, ...] = ()
    rows: list[list[str]] = field(default_factory=list)


@dataclass(frozen=True)
class Part:
    """What is shown of one result."""

    heading: str
    notes: list[str]
    verdicts: list[Verdict]
    blocks: list[Block]
    after: list[str] = field(default_factory=list)

    @property
    def picture(self) -> Picture:
        """What is drawn of the verdicts."""
        return picture(self.verdicts)


def fragment(result: object) -> str:
    """Return HTML for a notebook."""
    return _render([part(result)], title="", whole=False)


def write_page(title: str, results: Sequence[Any], file: Path) -> None:
    """Write a page that needs no other file."""
    file.write_text(_render([part(result) for result in results], title=title, whole=True), "utf-8")


def _render(parts: list[Part], *, title: str, whole: bool) -> str:
    template = templates("data").get_template("page.html.j2")
    return template.render(parts=parts, title=title, whole=whole, width=WIDTH).strip() + "\n"


@singledispatch
def part(result: object) -> Part:
    """Return what is shown of a result."""
    raise NotImplementedError(type(result))


@part.register
def _(result: OnData) -> Part:
    blocks = [
        Block([], f"{quantity} in {dtype}", show.COLUMNS, show.rows(outcomes))
        for dtype, quantity, outcomes in show.tables(result)
    ]
    after = [*show.worst_lines(result), show.LEGEND]
    return Part(show.heading(result), show.notes(result), verdicts(result.outcomes), blocks, after)


@part.register
def _(result: Comparison) -> Part:
    blocks = []
    for difference in result.differences:
        lines = [difference.text]
        if difference.differing:
            lines += [show.distance_text(difference), *map(show.side_text, difference.sides)]
        head = show.example_columns(difference)
        caption = f"farthest apart: {difference.quantity} in {difference.dtype}"
        blocks.append(Block(lines, caption, head, list(show.example_rows(difference))))
    return Part(show.comparison_heading(result), result.notes, [], blocks)


@part.register
def _(result: Replay) -> Part:
    block = Block([], "recorded losses", show.replay_columns(result), list(show.replay_rows(result)))
    return Part("Recorded losses", show.replay_notes(result), show.replay_verdicts(result), [block])
