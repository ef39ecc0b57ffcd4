"""The table of what runs where: each cell is the largest error that the suite found there, and its bound."""

from collections.abc import Callable, Iterable
from pathlib import Path

from website import figures
from website.figures import DTYPES, Row

LOSSES = {
    "The loss of logits": "binary_cross_entropy_with_logits",
    "The loss of probabilities": "binary_cross_entropy",
    "Focal loss": "sigmoid_focal_loss",
    "Asymmetric loss": "asymmetric_loss",
    "The elementwise functions": "special.",
}
LIBRARIES = {
    "numpy": "NumPy",
    "torch:cpu": "PyTorch",
    "jax": "JAX",
    "dask": "Dask",
    "array-api-strict": "array-api-strict",
    "mlx": "MLX",
    "ndonnx": "ndonnx",
}
WAYS: tuple[tuple[str, Callable[[Row], bool]], ...] = (
    ("the call", lambda row: not row.way and row.quantity == "value" and not row.high),
    ("derivatives in closed form", lambda row: not row.way and row.quantity != "value" and not row.high),
    ("means and sums", lambda row: not row.compiled and not row.automatic and bool(row.way) and not row.high),
    ("automatic differentiation", lambda row: row.automatic and not row.compiled and not row.high),
    ("compiled", lambda row: bool(row.compiled) and not row.automatic and not row.high),
    ("compiled automatic differentiation", lambda row: bool(row.compiled) and row.automatic and not row.high),
    ('`precision="high"`', lambda row: row.high),
)
ON_GPUS = {"cupy": "CuPy", "torch:cuda": "PyTorch", "jax:cuda": "JAX"}


def write(source: Path) -> None:
    """Write the page below the sources of a site."""
    (source / "guide" / "capabilities.md").write_text("\n".join(_page()), "utf-8")


def cell(rows: Iterable[Row]) -> str:
    """Return the error of the row that is nearest to its bound, and that bound."""
    worst = max(rows, key=lambda row: row.share, default=None)
    if worst is None:
        return "–"
    mark = "" if worst.passed else " ✗"
    return f"{worst.max_ulp:.2f}\u00a0of\u00a0{worst.bound:g}{mark}"


def _page() -> list[str]:
    all_rows = [row for device in figures.devices() for row in figures.rows(device)]
    facts = figures.results()["environment"]
    failed = sum(not row.passed for row in all_rows)
    lines = [
        "---",
        "html_theme.sidebar_secondary.remove: true",  # for its width
        "---",
        "",
        "# What runs where",
        "",
        "Each cell has a largest error in ULP and its bound, of the row that is nearest to its bound, over all cases",
        f"and options that the suite tries: {len(all_rows):,} rows. Beyond their bound (✗): {failed}.",
        "“–” was not measured. The table is made of the [committed results](../evidence/results.md)",
        f"({facts['processor']}; {facts['system']}; {facts['date']}).",
        "",
    ]
    for title, function in LOSSES.items():
        lines += [
            f"## {title}",
            "",
            f"| library | what | {' | '.join(DTYPES)} |",
            "|---|---|" + "---|" * 4,
        ]
        for backend, library in LIBRARIES.items():
            of = [row for row in all_rows if row.backend == backend and row.function.startswith(function)]
            if function != "special.":
                of = [row for row in of if row.function == function]
            for what, fits in WAYS:
                chosen = [row for row in of if fits(row)]
                if chosen:
                    name = next((f"`{row.compiled}`" for row in chosen if row.compiled), "")
                    cells = " | ".join(cell(row for row in chosen if row.dtype == dtype) for dtype in DTYPES)
                    lines.append(f"| {library}, CPU | {what.replace('compiled', name) if name else what} | {cells} |")
        for backend, library in ON_GPUS.items():
            of = [row for row in all_rows if row.backend == backend and row.function.startswith(function)]
            cells = " | ".join(cell(row for row in of if row.dtype == dtype) for dtype in DTYPES)
            lines.append(f"| {library}, GPU | {'everything' if of else 'not measured yet'} | {cells} |")
        lines.append("")
    versions = ", ".join(
        f"{LIBRARIES[name]} {facts['version']}"
        for name, facts in figures.results()["backends"].items()
        if name in LIBRARIES
    )
    lines += [
        "## How to read it",
        "",
        f"- Versions: {versions}.",
        "- Means and sums, and derivatives of soft labels, have bounds of their own, and so have stated exceptions:",
        "  [accuracy](../evidence/accuracy.md) has them, with reasons.",
        '- `precision="high"` is judged by bounds of its own. Its bits on other libraries are compared with those of',
        "  NumPy: [the same bits](../evidence/hashes.md).",
        "- Dask computes in the library of its chunks, here NumPy. It has no automatic differentiation and no",
        "  compiler; neither have NumPy and array-api-strict. ndonnx makes graphs of ONNX, which onnxruntime runs: its",
        "  derivatives are those in closed form.",
        *_of_gpus(all_rows),
        "- The same with each [level of a processor](../evidence/platforms.md).",
        "",
    ]
    return lines


def _of_gpus(rows: Iterable[Row]) -> list[str]:
    """Return what is to be said where no GPU has been measured."""
    if any(row.backend in ON_GPUS for row in rows):
        return []
    return [
        "- On a GPU nothing has been measured yet. CuPy's kernels are compiled for GPUs in the tests, and their source",
        "  has been run on a CPU: [results](../evidence/cuda-host.md).",
    ]
