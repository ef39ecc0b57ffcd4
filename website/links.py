"""Links of a built site that lead nowhere: to a file that is not there, or to a place that its page has not.

Links that leave the site are not followed: a build needs no network.
"""

from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

GENERATED_BY_SCRIPT = {"search.html"}
"""Pages whose anchors a script makes."""


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            if name in ("href", "src") and value is not None:
                self.links.append(value)


@cache
def _page(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text("utf-8"))
    return page


def pages(site: Path) -> list[Path]:
    """Return the pages of a site."""
    return sorted(page for page in site.rglob("*.html") if "_static" not in page.parts)


def internal(page: Path) -> list[str]:
    """Return the links of a page that stay in the site."""
    return [link for link in _page(page).links if not urlsplit(link).scheme and not urlsplit(link).netloc]


def count(site: Path) -> int:
    """Return how many internal links a site has."""
    return sum(len(internal(page)) for page in pages(site))


def broken(site: Path) -> list[str]:
    """Return the internal links that lead nowhere, each with its page."""
    found = []
    for page in pages(site):
        for link in internal(page):
            parts = urlsplit(link)
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page.resolve()
            if target.is_dir():
                target /= "index.html"
            if not target.exists():
                found.append(f"{page.relative_to(site)}: {link}: no such file")
            elif not _has(target, unquote(parts.fragment)):
                found.append(f"{page.relative_to(site)}: {link}: no such place in the page")
    return found


def _has(target: Path, place: str) -> bool:
    """Tell whether a file has a place; where that is not known, say that it has.

    What has an equals sign is no place, but what a script is to show.
    """
    known = target.suffix == ".html" and target.name not in GENERATED_BY_SCRIPT and "=" not in place
    return not place or not known or place in _page(target).ids
