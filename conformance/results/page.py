"""Write README.md beside this file from the results in the folders beside it."""

import json
from collections import Counter
from pathlib import Path

from xbce_conformance.report.league import Entry, leagues
from xbce_conformance.report.markdown import league_cell
from xbce_conformance.report.table import summary
from xbce_conformance.results.figures import ulp_text
from xbce_conformance.results.model import Results, Row

FOLDER = Path(__file__).parent
DTYPES = ("float16", "bfloat16", "float32", "float64")

INTRODUCTION = """\
# Results on this project's machines

One folder per device; `cpu` is two cores of the processors that `results.json` names; `make gpu` makes those of GPUs.
[page.py](page.py) writes this page from them.

- [cpu/report.md](cpu/report.md): every row, with worst cases and environment; judged by the contract as it is now,
  whenever it was measured
- [cpu/results.json](cpu/results.json): the same as data ([schema](../../docs/results.schema.json))
- [functions](functions/README.md): how accurate exp, log1p and the like of each library are
- [platforms](platforms/README.md): xbce at every level of a processor, and on aarch64
- [hashes](hashes/README.md): the same bits of `precision="high"` with every library, at every level
- [findings in released systems](../../docs/findings.md), and [what they come to on data](findings/README.md)
"""

PLOTS = """\
![Largest error against the logit, float32](cpu/error-by-logit-float32.svg)

![Largest error against the soft label, float32](cpu/error-by-label-float32.svg)

## League tables

The largest error in ULP of the plain loss, over hard and soft labels: a lower bound, found among 65,536 samples per
regime (xbce (high): 4,096), everything that was found by search, and the sweeps below. “inf”: NaN or infinite where a
finite one is right.
"""

SWEEPS = """\
## Every input on a CPU

float32: every one of the 2^32 bit patterns as logit, with labels 0 and 1. float16 and bfloat16: every logit with the
labels k/256, k from 0 to 256. All maxima are the true ones. “zeros”: 0 where a normal number is right. “FTZ”: subnormal
results flushed to zero. “NaN”: NaN or infinite where that is wrong; all of these are at infinite logits.

"""

COLUMNS = """\
| subject | quantity | dtype | results | max ULP | at (logit, label) | correctly rounded | zeros | FTZ | NaN |
|---|---|---|---|---|---|---|---|---|---|
"""

NO_GPU = """\
## GPUs

None was at hand so far: nothing here was measured on one. CuPy's kernels have been run [on a
CPU](cuda-host/README.md).
"""

AGAIN = """
The float32 sweep of the seven native functions took 40 minutes on two cores that had other work, 4,747 s of its two
workers. That of xbce on NumPy alone, value and gradient, took 3 min 41 s on the same two cores. The rows of xbce on
NumPy, PyTorch and JAX are of a processor with AVX2; with AVX-512 NumPy has 3.30, 3.64 and 4.39 ULP (value, gradient,
hessian; all 2^32 logits, labels 0 and 1, 2026-11-28), of which only the value is another. Of xbce (high) each result
is the correctly rounded one, but for subnormal ones that JAX flushes; its sweeps ran on a processor with AVX2, those
of other subjects and in the half types with AVX-512.

The rows of MLX and ndonnx, of the plain loss on JAX, and of NumPy in bfloat16 are the latest, measured on a processor
with AVX2. Older, and measured with AVX-512: JAX's other rows and its sweeps in the half types, from before it had
series in the place of XLA's functions; the rows of PyTorch in bfloat16. Of xbce (high) MLX has all cases in float32,
ndonnx those of the loss of logits with weights, a mask and smoothed labels.

## Again

```
make peers ARGS="--level full"
for backend in mlx ndonnx jax; do
  xbce-conformance run --level full --part samples --subject xbce --backend $backend \\
    --out conformance-report/parts/$backend
done
for backend in mlx ndonnx; do
  xbce-conformance run --precision high --part samples --subject xbce --backend $backend \\
    --out conformance-report/parts/$backend-high
done
xbce-conformance sweep --labels hard --subject xbce --subject torch --backend numpy --backend torch:cpu \\
  --out conformance-report/parts/sweep-float32
for dtype in float16 bfloat16; do
  xbce-conformance sweep --dtype $dtype --subject xbce --subject torch --subject optax --subject tf-formula \\
    --backend numpy --backend torch:cpu --backend jax --out conformance-report/parts/sweep-$dtype
done
for backend in numpy torch:cpu jax; do
  xbce-conformance sweep --labels hard --precision high --closed-forms --backend $backend \\
    --quantity value --quantity gradient --quantity hessian --out conformance-report/parts/sweep-high-$backend
done
xbce-conformance report conformance-report/parts/*/results.json --plots --out conformance/results/cpu
python conformance/results/page.py
```
"""


def verdict(results: Results) -> str:
    """Say how many rows pass, and name those that fail."""
    return "\n".join([summary(results), *(f"- {row.name}: {'; '.join(row.violations)}" for row in results.failed), ""])


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
    label, figures = float.fromhex(row.worst.inputs["labels"]), row.figures
    return (
        f"| {row.subject} on {row.backend} | {function} | {row.dtype} | {figures.count:,} "
        f"| {ulp_text(figures.max_ulp)} | `{row.worst.inputs['logits']}`, {label:g} | {figures.rounded_share:.2%} "
        f"| {figures.zero_for_normal:,} | {figures.flushed:,} | {figures.wrong_nonfinite} |"
    )


def sweeps(results: Results) -> str:
    """Return the table of the exhaustive sweeps."""
    swept = sorted((row for row in results.rows if row.exhaustive), key=lambda row: -row.figures.count)
    return COLUMNS + "\n".join(map(sweep, swept)) + "\n"


def device(folder: Path) -> str:
    """Return the section of a GPU: what `make gpu` has left in its folder."""
    run = json.loads((folder / "run.json").read_text("utf-8"))
    if run["rehearsal"]:
        msg = f"{folder} holds a rehearsal, which is no result of a device"
        raise ValueError(msg)
    lines = [f"## {folder.name}", "", *(f"- {line}" for line in run.get("driver", []))]
    lines += [f"- {name} {facts['version']} on {facts['device']}" for name, facts in run.get("backends", {}).items()]
    lines += [f"- {name}: {part['status']}" for name, part in run["parts"].items() if part["status"] != "done"]
    if (tests := folder / "tests.json").exists():
        counts = Counter(test["outcome"] for test in json.loads(tests.read_text("utf-8"))["tests"])
        lines += [f"- tests: {', '.join(f'{n} {outcome}' for outcome, n in sorted(counts.items()))}"]
    lines += [f"- [{file.name}]({folder.name}/{file.name})" for file in sorted(folder.glob("*.json"))]
    if (file := folder / "results.json").exists():
        results = Results.read(file)
        lines += ["", verdict(results), sweeps(results) if any(row.exhaustive for row in results.rows) else ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def page(folder: Path = FOLDER) -> str:
    """Return the page."""
    results = Results.read(folder / "cpu" / "results.json")
    tables = [league(quantity, entries) for quantity, entries in leagues(results).items()]
    gpus = [device(path.parent) for path in sorted(folder.glob("*/run.json"))] or [NO_GPU]
    return "\n".join([INTRODUCTION, verdict(results), PLOTS, *tables, SWEEPS + sweeps(results) + AGAIN, *gpus])


if __name__ == "__main__":
    (FOLDER / "README.md").write_text(page(), "utf-8")
