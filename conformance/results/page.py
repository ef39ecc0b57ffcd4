"""Write README.md beside this file from the results in the folders beside it."""

from pathlib import Path

from xbce_conformance.report.league import Entry, leagues
from xbce_conformance.report.markdown import league_cell
from xbce_conformance.report.table import ulp_text
from xbce_conformance.results import Results, Row

FOLDER = Path(__file__).parent
DTYPES = ("float16", "bfloat16", "float32", "float64")

INTRODUCTION = """\
# Results on this project's machines

One folder per device; `cpu` is two cores of the processors that `results.json` names. No GPU was at hand.
[page.py](page.py) writes this page from them.

- [cpu/report.md](cpu/report.md): every row, with worst cases and environment
- [cpu/results.json](cpu/results.json): the same as data ([schema](../../docs/results.schema.json))
- [findings in released systems](../../docs/findings.md)
"""

PLOTS = """\
![Largest error against the logit, float32](cpu/error-by-logit-float32.svg)

![Largest error against the soft label, float32](cpu/error-by-label-float32.svg)

## League tables

The largest error in ULP of the plain loss, over hard and soft labels: a lower bound, found among 65,536 samples per
regime, everything that was found by search, and the sweeps below. “inf”: NaN or infinite where a finite one is right.
"""

SWEEPS = """\
## Every input

float32: every one of the 2^32 bit patterns as logit, with labels 0 and 1. float16 and bfloat16: every logit with the
labels k/256, k from 0 to 256. All maxima are the true ones. “zeros”: 0 where a normal number is right. “FTZ”: subnormal
results flushed to zero. “NaN”: NaN or infinite where that is wrong; all of these are at infinite logits.

| subject | quantity | dtype | results | max ULP | at (logit, label) | correctly rounded | zeros | FTZ | NaN |
|---|---|---|---|---|---|---|---|---|---|
"""

AGAIN = """
The float32 sweep of these seven functions took 40 minutes on two cores that had other work, 4,747 s of its two workers.
That of xbce on NumPy alone, value and gradient, took 3 min 41 s on the same two cores.

## Again

```
make peers ARGS="--level full"
xbce-conformance sweep --subject xbce --subject torch --backend numpy --backend torch:cpu \\
  --out conformance-report/parts/sweep-float32
for dtype in float16 bfloat16; do
  xbce-conformance sweep --dtype $dtype --subject xbce --subject torch --subject optax --subject tf-formula \\
    --backend numpy --backend torch:cpu --backend jax --out conformance-report/parts/sweep-$dtype
done
xbce-conformance report conformance-report/parts/*/results.json --plots --out conformance/results/cpu
python conformance/results/page.py
```
"""


def verdict(results: Results) -> str:
    """Say in how many rows the promise is kept, and name the others."""
    judged = [row for row in results.rows if row.judged]
    broken = results.broken
    kept = f"The promise is kept in {len(judged) - len(broken):,} of {len(judged):,} rows of xbce"
    if not broken:
        return f"{kept}.\n"
    lines = (f"- {row.function} on {row.backend} in {row.dtype}: {'; '.join(row.broken)}" for row in broken)
    return f"{kept}. Broken:\n\n" + "\n".join(lines) + "\n"


def league(quantity: str, entries: list[Entry]) -> str:
    """Return the table of a quantity."""
    lines = [
        f"### {quantity.capitalize()}",
        "",
        f"| subject | {' | '.join(DTYPES)} | special values |",
        "|---|" + "---|" * (len(DTYPES) + 1),
    ]
    for entry in entries:
        cells = " | ".join(league_cell(entry, dtype) for dtype in DTYPES)
        lines.append(f"| {entry.name} | {cells} | {entry.special} |")
    return "\n".join(lines) + "\n"


def sweep(row: Row) -> str:
    """Return the line of an exhaustive sweep."""
    function = row.function.rpartition(", ")[2] if row.function.endswith("mode") else row.quantity
    label = float.fromhex(row.worst.inputs["labels"])
    return (
        f"| {row.subject} on {row.backend} | {function} | {row.dtype} | {row.count:,} | {ulp_text(row.max_ulp)} "
        f"| `{row.worst.inputs['logits']}`, {label:g} | {row.rounded / row.count:.2%} "
        f"| {row.gross:,} | {row.flushed:,} | {row.mismatched} |"
    )


def page(results: Results) -> str:
    """Return the page."""
    tables = [league(quantity, entries) for quantity, entries in leagues(results).items()]
    swept = sorted((row for row in results.rows if row.upper_bound), key=lambda row: -row.count)
    return "\n".join(
        [INTRODUCTION, verdict(results), PLOTS, *tables, SWEEPS + "\n".join(map(sweep, swept)) + "\n" + AGAIN]
    )


if __name__ == "__main__":
    (FOLDER / "README.md").write_text(page(Results.read(FOLDER / "cpu" / "results.json")), "utf-8")
