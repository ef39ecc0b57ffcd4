"""Jobs: which function of which subject is measured in which dtype and how, and the bound that it is measured by."""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from xbce_conformance import contract
from xbce_conformance.cases import PLAIN, Quantity
from xbce_conformance.contract import SpecialValue
from xbce_conformance.inputs.formats import Floats
from xbce_conformance.inputs.restriction import ALL_INPUTS, Restriction
from xbce_conformance.subjects.failure import CALL_LIMIT, Failure, time_limit
from xbce_conformance.subjects.model import Function, Subject

Kind: TypeAlias = Literal["samples", "all inputs", "behaviour", "invariance"]
"""What a row is of: errors at samples of the inputs, or at all of them; what other arrays, and calls in other company,
make of the results."""
Part: TypeAlias = Literal["samples", "behaviour", "invariance"]
PARTS: tuple[Part, ...] = ("samples", "behaviour", "invariance")
"""What a run is made of: errors at samples of the inputs; other forms of arrays; calls in other company."""

_COMPILING = 20
"""How many times the limit of a call a compiled function may take: its first call compiles it."""


@dataclass(frozen=True)
class Job:
    """One function of one subject in one dtype: one or more rows."""

    subject: Subject
    function: Function
    dtype: str
    parts: tuple[Part, ...] = ("samples",)
    """What it is tried in: each makes rows of its own."""
    limit: float = CALL_LIMIT
    """Seconds that one call may take; xbce and its peers are waited for: their compilers take minutes."""
    same_bits: bool = False
    """Whether invariance is judged."""
    only: Restriction = ALL_INPUTS
    """Which of the inputs are tried."""

    def __str__(self) -> str:
        return f"{self.subject.name} {self.subject.backend.name} {self.dtype} {self.function.name}"

    def judges(self, kind: Kind) -> bool:
        """Tell whether its rows of a kind pass or fail: the same bits are promised in high precision alone."""
        if kind == "invariance":
            return self.subject.judged and (self.same_bits or self.subject.precision == "high")
        return self.subject.judged

    def call(self, arrays: tuple[Floats, ...]) -> list[Floats]:
        """Call the function on its backend; return its results in NumPy.

        Raises
        ------
        Failure
            If it raises, takes too long, or returns what is no array of the dtype and shape of the first argument.
        """
        try:
            there = tuple(map(self.subject.backend.from_numpy, arrays))
        except Exception as error:
            msg = f"{self.subject.backend.name} has no such arrays: {type(error).__name__}: {error}"
            raise Failure("raised", msg) from error
        return self.called_with(there, arrays[0])

    def called_with(self, arrays: tuple[Any, ...], like: Floats) -> list[Floats]:
        """Call the function with arrays of its backend; `like` has the dtype and shape of the first one."""
        results = self.results(arrays)
        shape = () if self.function.reduces else like.shape
        for array in results:
            if array.dtype != like.dtype:
                msg = f"it returned {array.dtype}; {like.dtype} is expected, the dtype of its first argument"
                raise Failure("dtype", msg)
            if array.shape != shape:
                raise Failure("shape", f"it returned the shape {array.shape}; {shape} is expected")
        return results

    def results(self, arrays: tuple[Any, ...]) -> list[Floats]:
        """Call the function with arrays of its backend; return what comes, of any dtype and shape, in NumPy."""
        limit = self.limit * (_COMPILING if self.function.compiled else 1)
        try:
            with time_limit(limit):
                results = self.function.call(*arrays)
                if not isinstance(results, tuple):
                    results = (results,)
                _check_place(results, arrays[0])
                return [self.subject.backend.to_numpy(result) for result in results]
        except Failure:
            raise
        except (Exception, SystemExit) as error:
            msg = f"{type(error).__name__}: {error}"
            raise Failure("raised", msg) from error

    def bound(
        self,
        quantity: Quantity,
        *,
        hard: bool,
        regime: str = "",
        excepted: bool = True,
        exponent: float | None = None,
    ) -> float:
        """Return the bound in ULP: the one that its user sets, or that of the contract, with the stated exceptions.

        `exponent` stands for that of the case, where each element has its own.
        """
        if self.subject.bound is not None:
            return self.subject.bound
        case = self.function.case if exponent is None else replace(self.function.case, exponent=exponent)
        return contract.bound(
            quantity,
            self.dtype,
            hard=hard,
            case=case,
            backend=self.subject.backend.name if excepted else "",
            regime=regime,
            of_weighted_mean=self.function.of_weighted_mean,
            precision=self.subject.precision,
            compiled=self.function.compiled,
        )

    @property
    def special_values(self) -> tuple[SpecialValue, ...]:
        """The special values that are tried."""
        return contract.special_values(self.function.case.name, self.only)

    def exceptions(self, quantity: Quantity) -> list[dict[str, Any]]:
        """Return the stated exceptions from the bound of a quantity; none where its user sets the bound."""
        if self.subject.bound is not None:
            return []
        return contract.exceptions(
            quantity,
            self.dtype,
            self.subject.backend.name,
            self.function.case,
            of_weighted_mean=self.function.of_weighted_mean,
            precision=self.subject.precision,
            compiled=self.function.compiled,
        )


def _check_place(results: tuple[Any, ...], argument: Any) -> None:
    """Refuse what is no array, or is one on another device."""
    if any(result is None for result in results):
        raise Failure("nothing", "it returned None; an array is expected")
    here, there = getattr(argument, "device", None), getattr(results[0], "device", None)
    if here is not None and there is not None and here != there:
        raise Failure("device", f"its result is on {there}; {here} is expected, where its arguments are")


def jobs(
    subjects: list[Subject],
    dtypes: tuple[str, ...],
    functions: tuple[str, ...] = (),
    level: str = "full",
    *,
    parts: Collection[Part] = PARTS[:1],
    limit: float = CALL_LIMIT,
    same_bits: bool = False,
    only: Restriction = ALL_INPUTS,
) -> list[Job]:
    """Return what a level has to do, case by case and dtype by dtype; only for the named functions, if any."""
    todo = [
        Job(subject, function, dtype, mine, limit if subject.own else math.inf, same_bits, only)
        for dtype in dtypes
        for subject in subjects
        if dtype in subject.dtypes
        for function in subject.functions
        if not functions or function.case.function in functions
        if not function.dtypes or dtype in function.dtypes
        if level != "quick" or function.quick is None or dtype in function.quick
        if (mine := tuple(part for part in _parts(subject, function, dtype, level) if part in parts))
    ]
    order = {name: i for i, name in enumerate(dict.fromkeys(job.function.case.name for job in todo))}
    return sorted(todo, key=lambda job: order[job.function.case.name])


def _parts(subject: Subject, function: Function, dtype: str, level: str) -> Iterator[Part]:
    """Yield what a function is tried in.

    Each of a user's own; of xbce and its peers the plain loss, which stands for all losses: they share what arrays are
    brought to and cut into. Python floats have no form, and what is compiled or differentiated is the same function.
    """
    yield "samples"
    apart = function.compiled or function.autodiff or function.of_weighted_mean or len(function.quantities) > 1
    if apart or subject.backend.name == "scalar":
        return
    if subject.own or (function.case is PLAIN and (level == "full" or dtype == "float32")):
        if not function.reduces:
            yield "behaviour"
        yield "invariance"
