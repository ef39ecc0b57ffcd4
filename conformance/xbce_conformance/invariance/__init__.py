"""That results of precision="high" have the same bits with every library: hashes of a fixed set of inputs."""

from xbce_conformance.invariance.functions import FUNCTIONS
from xbce_conformance.invariance.report import Report, Row, expected, print_report, run, summary, table, write_expected

__all__ = ["FUNCTIONS", "Report", "Row", "expected", "print_report", "run", "summary", "table", "write_expected"]
