"""What xbce promises: bounds in ULP, and the results at special arguments."""

from xbce_conformance.contract.bounds import bound, exceptions, promise
from xbce_conformance.contract.special_values import SpecialValue, number, special_cases, special_values

__all__ = ["SpecialValue", "bound", "exceptions", "number", "promise", "special_cases", "special_values"]
