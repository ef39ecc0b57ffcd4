"""The gallery of the section "Examples": a card for each page of docs/examples, made of the page itself.

``python -m website.gallery`` writes the same as a list, for the forge: docs/examples/README.md.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from posixpath import normpath

from website.stage import ROOT

FOLDER = "docs/examples"
LIST = f"{FOLDER}/README.md"


@dataclass(frozen=True)
class Card:
    """What the gallery shows of a page."""

    page: str
    title: str
    sentence: str
    picture: str
    """Where it is in the repository."""


class NoCard(Exception):  # noqa: N818  # what it is about is a page
    """A page has no heading, no sentence after it, or no picture."""


def cards() -> list[Card]:
    """Return the card of each page, in the order of the titles."""
    return sorted((card(path) for path in pages()), key=lambda one: one.title.casefold())


def pages() -> list[Path]:
    """Return the pages of examples: not the list of them."""
    return sorted(path for path in (ROOT / FOLDER).glob("*.md") if path != ROOT / LIST)


def card(path: Path) -> Card:
    """Return a page's card: its first heading, the first sentence of its first paragraph, its first picture."""
    text = path.read_text("utf-8")
    heading = re.match(r"# (.+)\n\n", text)
    paragraph = re.match(r"((?:[^#\n`|!<-].*\n)+)", text[heading.end() :]) if heading else None
    sentence = re.match(r".+?[.?!](?=\s|$)", " ".join(paragraph[1].split())) if paragraph else None
    picture = re.search(r"^!\[[^\]]+\]\(([^()\s]+)\)$", text, re.MULTILINE)
    for name, found in (("heading", heading), ("sentence below its heading", sentence), ("picture", picture)):
        if found is None:
            msg = f"{path.name} has no {name}"
            raise NoCard(msg)
    assert heading and sentence and picture  # noqa: PT018, S101
    return Card(path.stem, heading[1], _plain(sentence[0]), normpath(f"{FOLDER}/{picture[1]}"))


def _plain(text: str) -> str:
    """Return a text without links: a card is one itself."""
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)


def write(source: Path) -> None:
    """Add the cards to the section's index, below the sources of a site."""
    lines, all_cards = ["::::{grid} 1 2 2 3", ":gutter: 3", ""], cards()
    for one in all_cards:
        # The picture's text stands in its page; here it would be read beside the title that says the same.
        lines += [
            f":::{{grid-item-card}} {one.title}",
            f":link: {one.page}",
            ":link-type: doc",
            f":img-top: ../files/{one.picture}",
            ':img-alt: ""',
            ":class-img-top: thumbnail",
            one.sentence,
            ":::",
        ]
    lines += ["::::", "", "```{toctree}", ":hidden:", "", *(one.page for one in all_cards), "```", ""]
    with (source / "examples" / "index.md").open("a", encoding="utf-8") as file:
        file.write("\n".join(lines))


def listing() -> str:
    """Return the list of the pages that stands in their folder."""
    lines = [f"- [{one.title}]({one.page}.md). {one.sentence}" for one in cards()]
    head = "Scripts that were run, each with a page, a picture of what came out, and a verdict."
    return "\n".join(["# Examples", "", head, "", *lines, ""])


if __name__ == "__main__":
    (ROOT / LIST).write_text(listing(), "utf-8")
