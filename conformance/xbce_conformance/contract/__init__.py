"""The contract: bounds in ULP, and the results at special arguments."""

from xbce_conformance.contract.bounds import bound, bound_row, exceptions, holds_for
from xbce_conformance.contract.special_values import SpecialValue, number, special_cases, special_values

__all__ = ["SpecialValue", "bound", "bound_row", "exceptions", "holds_for", "number", "special_cases", "special_values"]
