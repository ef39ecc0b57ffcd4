"""Every system's value and gradient on a grid of logits and labels, and the page in which one moves through them."""

from xbce_conformance.explore.grid import EXPLORED, LABELS, LOGITS
from xbce_conformance.explore.page import write_page
from xbce_conformance.explore.tables import SCHEMA_VERSION, expand, measure_tables, read, write

__all__ = ["EXPLORED", "LABELS", "LOGITS", "SCHEMA_VERSION", "expand", "measure_tables", "read", "write", "write_page"]
