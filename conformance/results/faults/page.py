"""Write README.md beside this file: each planted fault is measured at both levels, which takes minutes."""

import sys
from pathlib import Path

from rich.progress import track

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parents[2]))

from tests.planted import FAULTS, RIGHT, caught  # noqa: E402 - beside the tests
from xbce_conformance import measure  # noqa: E402
from xbce_conformance.results.environment import environment  # noqa: E402

INTRODUCTION = """\
# Planted faults

Losses that are wrong in one way each ([planted.py](../../../tests/planted.py)), measured in float32 on NumPy: at each
level the violations that catch them, by the name that a waiver has. The tests measure all of them again.
[page.py](page.py) writes this page.
"""


def line(*cells: str) -> str:
    """Return a line of a table."""
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure and write."""
    lines = [INTRODUCTION, line("fault", "quick", "full", ""), "|---|---|---|---|"]
    for name in track(list(FAULTS), "planted faults"):
        quick, full = (caught(name, level) for level in ("quick", "full"))
        cells = ("; ".join(found[:3]) or "–" for found in (quick, full))
        lines.append(line(name.replace("_", " "), *cells, "caught" if full else "MISSED"))
    right = [measure(RIGHT, dtypes=["float32"], level=level).failed for level in ("quick", "full")]
    lines.append(line("the right loss", *("fails" if failed else "passes" for failed in right), ""))
    facts = environment()
    lines += ["", f"{len(FAULTS)} faults; {', '.join(facts[name] for name in ('date', 'processor', 'system'))}.", ""]
    (FOLDER / "README.md").write_text("\n".join(lines), "utf-8")


if __name__ == "__main__":
    main()
