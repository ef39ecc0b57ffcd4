"""What a subject is: a set of functions of one system on one backend."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from xbce_conformance.cases import PLAIN, Case, Quantity
from xbce_conformance.subjects.backend import Backend


@dataclass(frozen=True)
class Function:
    """One function of a subject."""

    name: str
    """As its users write it."""
    quantities: tuple[Quantity, ...]
    """What it returns: one array, or a tuple of arrays."""
    call: Callable[..., Any]
    """Takes the arrays of the case by position."""
    hard_labels_only: bool = False
    case: Case = PLAIN
    """What it should compute."""
    denominator: str = "count"
    """What a mean divides by."""
    of_weighted_mean: bool = False
    """Whether its quantity is a derivative of the mean."""
    code: str = ""
    """The call as an expression, with the names of the arguments of the case in braces: for reproducers."""
    imports: str = ""
    """Statement that the expression needs besides those of the backend."""
    dtypes: tuple[str, ...] = ()
    """Those that it takes, if not all of the subject."""
    autodiff: bool = False
    """Whether it is found by a library's automatic differentiation."""
    quick: tuple[str, ...] | None = None
    """Dtypes that are measured at the level "quick", if not all: for what takes long to compile."""
    compiled: bool = False
    """Whether a compiler makes it, anew for each shape: special values then come in as many elements as inputs."""

    @property
    def reduces(self) -> bool:
        """Whether it returns one number for all elements."""
        return self.quantities[0] in ("sum", "mean")


@dataclass(frozen=True)
class Subject:
    """One system on one backend."""

    name: str
    version: str
    backend: Backend
    dtypes: tuple[str, ...]
    functions: tuple[Function, ...]
    judged: bool = field(default=False)
    bound: float | None = None
    """Bound in ULP that its user sets, in place of the contract's."""
    precision: str = "native"
    """Whose bounds of the contract it is judged by."""
    own: bool = False
    """Whether its user names it, and no table has it."""
