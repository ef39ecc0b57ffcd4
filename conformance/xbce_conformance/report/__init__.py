"""What a person sees of a run: a table in the terminal, and a page with plots that needs no other file."""

from xbce_conformance.report.html import write_html
from xbce_conformance.report.table import print_results

__all__ = ["print_results", "write_html"]
