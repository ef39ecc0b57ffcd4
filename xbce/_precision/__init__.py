"""The arithmetic of `precision="high"`: results are exact but for one rounding, and the same on every library.

`HighPrecision` is a namespace of numbers that are sums of two doubles. A formula that gets it in place of the library's
namespace computes exactly, up to 2^-70 or so. It uses nothing that IEEE 754 does not define: sums, products, quotients,
comparisons, selections, conversions, and tables that are computed with Python's `decimal`. `Estimates` is a namespace
of doubles and the library's own functions: it has the same results where no error can change them, and says where.
"""

from .arithmetic import HighPrecision, Kind, over
from .estimates import Estimates, UnsupportedError
from .sums import BITS, FIELDS, LEAST, PLACES, exact_sum, in_units, merged, partial_sum, rounded_sum, unpacked
from .tables import TABLES, Table, lookup

__all__ = [
    "BITS",
    "FIELDS",
    "LEAST",
    "PLACES",
    "TABLES",
    "Estimates",
    "HighPrecision",
    "Kind",
    "Table",
    "UnsupportedError",
    "exact_sum",
    "in_units",
    "lookup",
    "merged",
    "over",
    "partial_sum",
    "rounded_sum",
    "unpacked",
]
