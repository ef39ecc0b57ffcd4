"""Times xbce beside what people would use instead, and says of each target whether it is met, or by how much not.

    python benchmarks/targets.py            # this processor as it is, in less than four minutes: `make bench`
    python benchmarks/targets.py --full     # every level that it can play; writes results and a section of the page
    python benchmarks/targets.py --section  # only writes the section, from the results that are there

Speed is shown, never asserted: the exit code does not depend on it.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import click
from page import SPEED, with_section
from processes import RESULTS, Found, committed, described, level_here, measure, on_two_processors, playable
from series import TARGETS, verdict
from targets_page import section

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
_LIBRARIES = ("numpy", "torch", "jax", "jaxlib", "scikit-learn", "optax", "xbce")
_QUICK_SECONDS = 200
"""Processes that do not end take a few more."""


def verdicts(found: Found, *, quick: bool = False) -> list[str]:
    """Return a line for each target, and one that counts them."""
    lines = []
    for key in TARGETS:
        # Of what is compiled, nearly nothing is measured quickly.
        if quick and key not in found.figures and key not in found.reasons:
            continue
        reason = found.reasons.get(key)
        lines.append(verdict(key, found.figures.get(key)) + (f" ({reason})" if reason else ""))
    met = sum(line.startswith("met") for line in lines)
    return [*lines, f"{met} of {len(lines)} targets are met"]


def as_json(level: str, threads: int, load: float, found: Found) -> dict[str, Any]:
    """Return what is committed."""
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for (name, dtype, size), figure in found.figures.items():
        figures.setdefault(name, {}).setdefault(dtype, {})[str(size)] = figure
    return described(level, threads, load, _LIBRARIES) | {"figures": figures}


def write_section() -> None:
    """Write the section of the page, from the results of all levels."""
    before = json.loads((RESULTS / "targets-before.json").read_text("utf-8"))
    text = section(before, committed("targets-[!b]*.json"))
    PAGE.write_text(with_section(PAGE.read_text("utf-8"), SPEED, text), "utf-8")


@click.command()
@click.option("--full", is_flag=True, help="Every target at every level that the processor can play; written.")
@click.option("--section", "only_section", is_flag=True, help="Measure nothing; write the section of the page anew.")
def main(*, full: bool, only_section: bool) -> None:
    """Time xbce beside its peers, and say which targets are met."""
    if not only_section:
        threads, level = on_two_processors(), level_here()
        load = os.getloadavg()[0]  # before it measures: what is other work
        if not full:
            found = measure(level, {}, quick=True, seconds=_QUICK_SECONDS)
            click.echo(
                "\n".join(["", f"{level}, {threads} processors, {load:.1f} busy before:", *verdicts(found, quick=True)])
            )
            return
        for name, variables in playable(level).items():
            found = measure(name, variables, quick=False)
            click.echo("\n".join(["", f"{name}, {threads} processors, {load:.1f} busy before:", *verdicts(found), ""]))
            results = as_json(name, threads, load, found)
            (RESULTS / f"targets-{name}.json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    write_section()


if __name__ == "__main__":
    sys.exit(main())
