"""Functions made ready to run: recorded, rewritten, compiled, and kept for the next arrays of the same kinds."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from types import NoneType
from typing import Any

from .._kernel import Kernel
from .._typing import Array
from ._graph import Recorder, record
from ._lowering import PROGRAM_LOWERINGS, QUICK_LOWERINGS, lowered
from ._memory import ByIdentity
from ._program import Compiler, Library, NotANumberError, Program


@dataclass(frozen=True, slots=True)
class Prepared:
    """A function made ready for arrays of certain dtypes and numbers of dimensions."""

    library: Library
    quick: Program
    """Fails where something is NaN that seldom is."""
    exact: Program
    single: bool
    """Whether the function returns an array, not a tuple of them."""

    def results(self, arrays: tuple[Any, ...]) -> tuple[Array, ...]:
        """Return the results for arrays that are one block."""
        try:
            return self.quick.fresh(arrays)
        except NotANumberError:
            return self.exact.fresh(arrays)

    def scratch(self, shape: tuple[int, ...]) -> list[Array]:
        """Return what `run` takes, any number of times."""
        return [self.library.empty(shape, dtype) for dtype in self.quick.scratch]

    def run(self, arrays: tuple[Any, ...], scratch: list[Array], outputs: list[Array]) -> None:
        """Write the results into `outputs`."""
        try:
            self.quick.run(arrays, scratch, outputs)
        except NotANumberError:
            scratch = [self.library.empty_like(arrays[0], dtype) for dtype in self.exact.scratch]
            self.exact.run(arrays, scratch, outputs)


class Programs:
    """The functions that one library runs."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self._equal = lru_cache(maxsize=1024)(self._prepare)
        self._known = ByIdentity(self._equal)

    def prepared(self, function: Callable[..., Any], arrays: tuple[Any, ...]) -> Prepared:
        """Return a function made ready for arrays like these; the first one has the full shape."""
        shape = arrays[0].shape
        kinds = tuple([(a.dtype, a.ndim, a.shape == shape) if hasattr(a, "ndim") else type(a) for a in arrays])
        # Kernels are kept by those who call them; of other functions there are new ones, if equal, in each call.
        known = self._known if isinstance(function, Kernel) else self._equal
        prepared: Prepared = known(function, kinds)
        return prepared

    def _prepare(self, function: Callable[..., Any], kinds: tuple[Any, ...]) -> Prepared:
        recorder = Recorder(self.library.xp)
        samples = tuple(self._sample(kind) for kind in kinds)
        full = tuple(isinstance(kind, tuple) and kind[2] for kind in kinds)
        graph = record(recorder, function, samples, full)
        lowerings = {**PROGRAM_LOWERINGS, **self.library.lowerings}
        quick = lowered(self.library.xp, graph, {**lowerings, **QUICK_LOWERINGS})
        exact = lowered(self.library.xp, graph, lowerings) if quick.checked else quick
        programs = {graph: Compiler(self.library, graph, len(kinds)).program() for graph in {quick, exact}}
        return Prepared(self.library, programs[quick], programs[exact], graph.single)

    def _sample(self, kind: Any) -> Any:
        if isinstance(kind, tuple):
            dtype, ndim, _ = kind
            sample = self.library.empty((1,) * ndim, dtype)
            sample[...] = 1
            return sample
        return None if kind is NoneType else kind(1)
