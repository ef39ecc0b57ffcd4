"""The table: step, domain, bound, margin."""

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

_HEAD = """# What is proved

`make proofs` writes this. The bound is what Gappa finds, or Sollya, or Arb over every entry of a table. It must be
at most what is used: what the steps after it take as given, or what the promise needs ([README.md](README.md)).

| by | what | domain | bound | used | margin, bits |
|---|---|---|---|---|---|
"""


class Row(NamedTuple):
    """What is proved of one quantity."""

    by: str
    what: str
    domain: str
    found: Fraction
    used: Fraction


def table(rows: Iterable[Row]) -> str:
    """Return the table."""
    return _HEAD + "".join(f"| {' | '.join(_cells(row))} |\n" for row in rows)


def _cells(row: Row) -> tuple[str, ...]:
    words = (text.replace("|", "\\|") for text in (row.by, row.what, row.domain))
    margin = math.floor(100 * math.log2(row.used / row.found)) / 100
    return (*words, _power(row.found), _power(row.used), f"{margin:.2f}")


def _power(x: Fraction) -> str:
    """Return a number as a power of two, rounded up."""
    return f"2^{math.ceil(100 * math.log2(x)) / 100:.2f}".removesuffix(".00")
