"""What a person sees of a run: a table in the terminal, pages that need no other file, and Markdown."""

from pathlib import Path

from rich.console import Console
from rich.text import Text

from xbce_conformance.report.html import write_html, write_system_pages
from xbce_conformance.report.markdown import write_markdown
from xbce_conformance.report.plots import as_file, error_plot, label_plot
from xbce_conformance.report.table import print_results
from xbce_conformance.results.model import Results

__all__ = ["print_results", "write_html", "write_markdown", "write_plots", "write_reports", "write_system_pages"]


def write_plots(results: Results, folder: Path) -> list[Path]:
    """Write each plot as an SVG file of its own: for pages that are not HTML."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, edges, plot in (("logit", results.profile_edges, error_plot), ("label", results.label_edges, label_plot)):
        for dtype in edges:
            if picture := plot(results, dtype):
                paths.append(folder / f"error-by-{name}-{dtype}.svg")
                paths[-1].write_text(as_file(picture), "utf-8")
    return paths


def write_reports(results: Results, folder: Path, console: Console) -> None:
    """Write results.json, report.html, report.md and a page per system to a folder, and print the table."""
    folder.mkdir(parents=True, exist_ok=True)
    results.write(folder / "results.json")
    write_html(results, folder / "report.html")
    write_markdown(results, folder / "report.md")
    pages = write_system_pages(results, folder / "systems")
    print_results(results, console)
    names = ", ".join(str(folder / name) for name in ("results.json", "report.html", "report.md"))
    text = f"{names} are written; pages of single systems in {folder / 'systems'}: {len(pages)}."
    console.print(Text(text), soft_wrap=True)
