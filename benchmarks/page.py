"""Sections of a page of the documentation, which several commands write."""

ON_PAPER = "## Bandwidth on paper"


def section(page: str, heading: str) -> str:
    """Return a section with its heading, up to the next heading like it; nothing if it is not there."""
    begin = page.find(f"{heading}\n")
    if begin < 0:
        return ""
    end = page.find("\n## ", begin)
    return page[begin:] if end < 0 else page[begin : end + 1]


def with_section(page: str, heading: str, text: str) -> str:
    """Return a page with another section under a heading, at the end if there was none."""
    old = section(page, heading)
    return page.replace(old, text) if old else f"{page.rstrip()}\n\n{text}"
