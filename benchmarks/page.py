"""Sections of a page of the documentation, each written by a command of its own."""

ON_PAPER = "## Bandwidth on paper"
BY_LEVEL = "## What people would write, by processor"
BY_OTHERS = (BY_LEVEL, ON_PAPER)
"""The sections that bandwidth.py and levels.py write, in the order of the page."""


def section(page: str, heading: str) -> str:
    """Return a section with its heading, up to the next heading of the same level; "" if there is none."""
    begin = page.find(f"{heading}\n")
    if begin < 0:
        return ""
    end = page.find("\n## ", begin)
    return page[begin:] if end < 0 else page[begin : end + 1]


def with_section(page: str, heading: str, text: str) -> str:
    """Return a page with the section under a heading replaced, or added at the end."""
    old = section(page, heading)
    return page.replace(old, text) if old else f"{page.rstrip()}\n\n{text}"
