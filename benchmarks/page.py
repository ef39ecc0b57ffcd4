"""Sections of a page of the documentation, each written by a command of its own."""

ON_PAPER = "## Bandwidth on paper"
SPEED = "## Targets of speed, by processor"
HALF_BINOMIAL = "## scikit-learn's HalfBinomialLoss"
BY_OTHERS = (SPEED, HALF_BINOMIAL, ON_PAPER)
"""The sections that bandwidth.py, half_binomial.py and targets.py write, in the order of the page."""


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
    # Between sections is an empty line, at the end of a page none.
    return page.replace(old, text.rstrip() + old[len(old.rstrip()) :]) if old else f"{page.rstrip()}\n\n{text}"
