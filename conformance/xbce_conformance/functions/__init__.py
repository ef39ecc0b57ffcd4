"""How accurate the functions are that a library offers: exp and others, at every number of a format."""

from xbce_conformance.functions.measure import Unmeasured, measure_function
from xbce_conformance.functions.report import FunctionRow, Report
from xbce_conformance.functions.table import ELEMENTARY, LIBRARIES, Elementary

__all__ = ["ELEMENTARY", "LIBRARIES", "Elementary", "FunctionRow", "Report", "Unmeasured", "measure_function"]
