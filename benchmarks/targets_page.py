"""The section of docs/benchmarks.md that `targets.py` writes, from committed results."""

from typing import Any

from page import SPEED
from series import BY_NAME, DTYPES, SERIES, SIZES, TARGETS, power, verdict

Results = dict[str, Any]


def section(before: Results, levels: list[Results]) -> str:
    """Return the section: for each level, two tables and the verdicts."""
    parts = [
        SPEED,
        "",
        "Made by `python benchmarks/targets.py --full`: time of the other divided by the time of xbce, so above 1 xbce",
        "is quicker; medians of pairs of calls in one run, on two threads if nothing else is said. The stable formula,",
        "`maximum(x, 0) - x z + log1p(exp(-abs(x)))`, uses one thread in NumPy, and so does the careful formula of",
        "probabilities, `-(z log(p) + (1 - z) log1p(-p))` and `(1 - z) / (1 - p) - z / p`. An arrow leads from the",
        "figure before the work on these targets to that of now.",
        "",
        f"Before: {before['source']}.",
        "",
    ]
    for now in levels:
        parts += _of_level(before["figures"].get(now["level"], {}), now)
    return "\n".join(parts)


def _of_level(before: Results, now: Results) -> list[str]:
    level, names = now["level"], ", ".join(f"{name} {version}" for name, version in now["versions"].items())
    played = ", played by a processor with more" if now["played"] else ""
    everywhere = [series for series in SERIES if series.sizes == SIZES]
    columns = [(series.name, dtype) for series in everywhere for dtype in DTYPES]
    rest = [(s.name, size) for s in SERIES if s not in everywhere for size in s.sizes]

    def cell(name: str, dtype: str, size: int) -> str:
        old, new = (found.get(name, {}).get(dtype, {}).get(str(size)) for found in (before, now["figures"]))
        shown = "–" if new is None else f"{new:.2f}"
        return shown if old is None else f"{old:.2f} → {shown}"

    figures = {
        (n, d, int(s)): f for n, dtypes in now["figures"].items() for d, of in dtypes.items() for s, f in of.items()
    }
    verdicts = [verdict(key, figures.get(key)) for key in TARGETS]
    met = [line for line in verdicts if line.startswith("met")]
    load = f"with {now['load']} processors busy before"
    return [
        f"### {level}",
        "",
        f"Measured on: {now['processor']}{played}, {now['threads']} threads, {now['date']}, {load}; {names}.",
        "",
        *_table(
            ["elements", *(f"{name} / {BY_NAME[name].baseline}, {dtype}" for name, dtype in columns)],
            [[power(size), *(cell(name, dtype, size) for name, dtype in columns)] for size in SIZES],
        ),
        "",
        *_table(
            ["", "against", "elements", *DTYPES],
            [
                [
                    name,
                    BY_NAME[name].baseline or "a known call, ms",
                    power(size),
                    *(cell(name, d, size) for d in DTYPES),
                ]
                for name, size in rest
            ],
        ),
        "",
        f"{len(met)} of {len(verdicts)} targets are met:",
        "",
        "```",
        *verdicts,
        "```",
        "",
    ]


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(row)} |" for row in rows)]
