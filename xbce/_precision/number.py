"""What numbers of other arithmetics have in common with arrays."""

from typing import Any

from .._typing import DType


class Number:
    """A number of a namespace `xp`, with the operators that follow from those of its class."""

    __slots__ = ("xp",)
    xp: Any

    @property
    def dtype(self) -> DType:
        """Dtype of the parts."""
        return self.xp.float64

    def __bool__(self) -> bool:
        msg = "a formula must not look at the values in an array"
        raise TypeError(msg)

    def __radd__(self, other: Any) -> Any:
        return self.xp.number(other) + self

    def __rsub__(self, other: Any) -> Any:
        return self.xp.number(other) - self

    def __rmul__(self, other: Any) -> Any:
        return self.xp.number(other) * self

    def __rtruediv__(self, other: Any) -> Any:
        return self.xp.number(other) / self

    def __pow__(self, other: Any) -> Any:
        return self.xp.pow(self, other)
