"""Write README.md beside this file from the files beside it, which tests/cuda_host has written."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
TITLES = ("### By IEEE", "### As CuPy compiles")
DTYPES = ("float16", "float32", "float64")
THEOREM = FOLDER.parents[2] / "proofs" / "native" / "table.md"

INTRODUCTION = """\
# CuPy's kernels, run on a host

**No GPU result.** CuPy runs as its users have it: its arrays, its fusion, its launches, and the CUDA source of every
kernel. But its memory is the host's, and a C++ compiler builds the source, with a
[header](../../../tests/cuda_host/include/host.hpp) that says what CUDA's words mean; a loop plays the grid. So these
are xbce's formulas as CuPy writes them down, by IEEE operations, with the C library's exp, log and log1p in place of
CUDA's. They are compared with the results of NumPy's kernels on all inputs of the suite's level "quick".

[page.py](page.py) writes this page from the JSON files beside it, which have a row for each function with its options.
"""

HIGH = """\
## High precision

“=”: every result has NumPy's bits. In brackets: results that are apart, since -ftz=true, which CuPy gives to NVRTC,
makes subnormal numbers of float32 zeros, as arguments and as results.
"""

NATIVE = """\
## Native precision

The largest difference from NumPy's result, in ULP of the exact one (of sums: of NumPy's), and behind the semicolon the
largest error and the share of its bound in [the contract](../../xbce_conformance/contract/data/README.md) that it
takes up. The difference is that of two libraries' exp and log1p, and of the order of sums.
"""

PTX = """\
## What NVRTC makes of the same source

Kernels with a product and a sum that are rounded once (`fma.rn`), as NVRTC has it where it is not told otherwise, and
CuPy does not tell it. In high precision CuPy runs one kernel per operation, and so there is nothing to contract. The
theorem for native precision allows for it.
"""

AGAIN = """\
## Again

```
for precision in high native; do
  python -m tests.cuda_host tests.cuda_host.measure $precision $precision.json
  CUDA_HOST=contract,flush python -m tests.cuda_host tests.cuda_host.measure $precision $precision-as-cupy.json
done
python -m tests.cuda_host tests.cuda_host.measure native "native, each loss once.json" --few
python -m tests.cuda_host.ptx ptx.json high.sources.json "native, each loss once.sources.json"
python conformance/results/cuda-host/page.py
```

It needs CuPy (no driver, no GPU) and g++. `tests/cuda_host` runs a part of it in `make test`. The suite itself runs
there as well: `python -m tests.cuda_host xbce_conformance run --backend cupy`.
"""


def read(name: str) -> Any:
    """Return the contents of a file beside this one."""
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


def groups(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, list[dict[str, Any]]]]:
    """Return rows by function without its options, by quantity, and by dtype."""
    found: dict[tuple[str, str], dict[str, list[dict[str, Any]]]] = {}
    for row in rows:
        (function,) = re.findall(r"^(?:special\.\w+|\w+)", row["function"])
        found.setdefault((function, row["quantity"]), {}).setdefault(row["dtype"], []).append(row)
    return found


def table(rows: list[dict[str, Any]], cell: Any) -> Iterator[str]:
    """Yield the lines of a table of functions and dtypes."""
    yield f"| function | {' | '.join(DTYPES)} | results |"
    yield "|---|---|---|---|---|"
    for (function, quantity), by_dtype in groups(rows).items():
        cells = [cell(by_dtype[dtype]) if dtype in by_dtype else "–" for dtype in DTYPES]
        count = sum(row["count"] for of_dtype in by_dtype.values() for row in of_dtype)
        yield f"| {function}, {quantity.replace('_', ' ')} | {' | '.join(cells)} | {count:,} |"


def high_cell(rows: list[dict[str, Any]]) -> str:
    """Return “=” and how many are flushed, or how many differ."""
    differ, flushed = (sum(row[name] for row in rows) for name in ("differ", "flushed"))
    wrong = differ - flushed
    return (f"**{wrong:,} differ**" if wrong else "=") + (f" ({flushed:,})" if flushed else "")


def native_cell(rows: list[dict[str, Any]]) -> str:
    """Return the largest difference, error and share."""
    difference = f"{max(row['ulp'] for row in rows):.2f}"
    measured = [row for row in rows if row["error"] is not None]
    if not measured:
        return difference
    error, share = (max(row[name] for row in measured) for name in ("error", "share"))
    return f"{difference}; {error:.2f}, {share:.0%}"


def theorem() -> dict[tuple[str, str], float]:
    """Return the bounds of the native theorem for the plain loss and CUDA's functions, by dtype and quantity."""
    bounds: dict[tuple[str, str], float] = {}
    for line in THEOREM.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == "CUDA":
            key = cells[2], cells[5]
            bounds[key] = max(bounds.get(key, 0.0), float(cells[7].strip("*")))
    return bounds


def _differing(rows: list[dict[str, Any]]) -> str:
    """Return how many results of float64, of which none is flushed, have other bits than NumPy's, and of how many."""
    of_dtype = [row for row in rows if row["dtype"] == "float64"]
    differ, count = (sum(row[name] for row in of_dtype) for name in ("differ", "count"))
    return f"{differ:,} of {count:,}"


def _by_theorem(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "| plain loss | found, IEEE | found, as CuPy compiles | theorem |"
    yield "|---|---|---|---|"
    plain = [
        [r for r in of_mode if r["function"].split(".")[0] == "binary_cross_entropy_with_logits"] for of_mode in rows
    ]
    for (dtype, quantity), bound in theorem().items():
        errors = [max(r["error"] for r in mode if (r["dtype"], r["quantity"]) == (dtype, quantity)) for mode in plain]
        yield f"| {dtype}, {quantity} | {errors[0]:.2f} | {errors[1]:.2f} | {bound:.2f} |"


def page() -> str:
    """Return the text of README.md."""
    high, native = ([read(f"{name}{mode}") for mode in ("", "-as-cupy")] for name in ("high", "native"))
    facts = high[0]
    lines = [
        INTRODUCTION,
        f"{facts['compiler']}; CuPy {facts['cupy']}, NumPy {facts['numpy']}, {facts['libc']}, on {facts['processor']}.",
        "Kernels are built twice: by IEEE (`-ffp-contract=off`), and as CuPy has NVRTC compile them, with products and",
        "sums contracted and subnormal numbers of float32 flushed.",
        "",
        HIGH,
    ]
    for title, of_mode in zip(TITLES, high, strict=True):
        lines += [title, "", *table(of_mode["rows"], high_cell), ""]
    lines.append(NATIVE)
    for title, of_mode in zip(TITLES, native, strict=True):
        lines += [title, "", *table(of_mode["rows"], native_cell), ""]
    lines += [
        f"Of the results of float64 {_differing(native[0]['rows'])} have other bits than NumPy's by IEEE, and",
        f"{_differing(native[1]['rows'])} as CuPy compiles: contraction changes bits natively, and keeps the bounds.",
        "",
        "### The theorem",
        "",
        "Errors in ULP beside [the theorem](../../../proofs/native/README.md), with the errors that NVIDIA publishes",
        "of exp and log1p. Those of the C library are smaller: a GPU's errors may be larger, up to the theorem's.",
        "",
        *_by_theorem([of_mode["rows"] for of_mode in native]),
        "",
        PTX,
        "| precision | architecture | kernels | with a contracted operation | conversions that flush |",
        "|---|---|---|---|---|",
    ]
    for row in read("ptx"):
        few = len(row["flushing"]) < 8
        names = ", ".join(f"`{name}`" for name in row["flushing"]) if few else f"in {len(row['flushing'])}"
        name = f"sm_{row['architecture']}"
        lines.append(f"| {row['precision']} | {name} | {row['kernels']} | {row['contracted']} | {names} |")
    return "\n".join([*lines, "", AGAIN])


if __name__ == "__main__":
    (FOLDER / "README.md").write_text(page(), "utf-8")
