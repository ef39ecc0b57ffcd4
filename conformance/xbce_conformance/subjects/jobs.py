"""Jobs: which function of which subject is measured in which dtype, and the bound that it is measured by."""

from dataclasses import dataclass, replace
from typing import Any

from xbce_conformance import contract
from xbce_conformance.cases import Quantity
from xbce_conformance.inputs.formats import Floats
from xbce_conformance.subjects.model import Function, Subject


@dataclass(frozen=True)
class Job:
    """One function of one subject in one dtype: one or more rows."""

    subject: Subject
    function: Function
    dtype: str

    def __str__(self) -> str:
        return f"{self.subject.name} {self.subject.backend.name} {self.dtype} {self.function.name}"

    def call(self, arrays: tuple[Floats, ...]) -> list[Floats]:
        """Call the function on its backend; return its results in NumPy."""
        backend = self.subject.backend
        results = self.function.call(*map(backend.from_numpy, arrays))
        if not isinstance(results, tuple):
            results = (results,)
        back = [backend.to_numpy(result) for result in results]
        for array in back:
            if array.dtype != arrays[0].dtype:
                msg = f"{self} returned {array.dtype} for {arrays[0].dtype}"
                raise TypeError(msg)
        return back

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

    def exceptions(self, quantity: Quantity) -> list[dict[str, Any]]:
        """Return the stated exceptions from the bound of a quantity; none where its user sets the bound."""
        if self.subject.bound is not None:
            return []
        return contract.exceptions(
            quantity,
            self.dtype,
            self.subject.backend.name,
            self.function.case,
            precision=self.subject.precision,
            compiled=self.function.compiled,
        )


def jobs(
    subjects: list[Subject], dtypes: tuple[str, ...], functions: tuple[str, ...] = (), level: str = "full"
) -> list[Job]:
    """Return what a level has to do, case by case and dtype by dtype; only for the named functions, if any."""
    todo = [
        Job(subject, function, dtype)
        for dtype in dtypes
        for subject in subjects
        if dtype in subject.dtypes
        for function in subject.functions
        if not functions or function.case.function in functions
        if not function.dtypes or dtype in function.dtypes
        if level != "quick" or function.quick is None or dtype in function.quick
    ]
    order = {name: i for i, name in enumerate(dict.fromkeys(job.function.case.name for job in todo))}
    return sorted(todo, key=lambda job: order[job.function.case.name])
