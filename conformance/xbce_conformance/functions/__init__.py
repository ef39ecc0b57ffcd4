"""How accurate the functions are that a library offers: exp and others, at every number or at chosen ones."""

from xbce_conformance.functions.measure import Found, Unmeasured, measure_function
from xbce_conformance.functions.report import FunctionRow, Report
from xbce_conformance.functions.table import ELEMENTARY, LIBRARIES, Elementary

__all__ = ["ELEMENTARY", "LIBRARIES", "Elementary", "Found", "FunctionRow", "Report", "Unmeasured", "measure_function"]
