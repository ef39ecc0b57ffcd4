"""Functions made ready to run: recorded, rewritten, compiled, and kept for the next arrays of the same kinds."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from types import NoneType
from typing import Any

from .._call.kernel import Kernel
from .._typing import Array
from .identity_cache import IdentityCache
from .lowering import PROGRAM_LOWERINGS, QUICK_LOWERINGS, lowered
from .program import Compiler, NotANumberError, Program, Target
from .recording import Recorder, record


@dataclass(frozen=True, slots=True)
class Compiled:
    """A function made ready for arrays of certain dtypes and numbers of dimensions."""

    target: Target
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
        return [self.target.empty(shape, dtype) for dtype in self.quick.scratch]

    def run(self, arrays: tuple[Any, ...], scratch: list[Array], outputs: list[Array]) -> None:
        """Write the results into `outputs`."""
        try:
            self.quick.run(arrays, scratch, outputs)
        except NotANumberError:
            scratch = [self.target.empty_like(arrays[0], dtype) for dtype in self.exact.scratch]
            self.exact.run(arrays, scratch, outputs)


class CompiledCache:
    """The functions of one library that are compiled."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._equal = lru_cache(maxsize=1024)(self._compile)
        self._known = IdentityCache(self._equal)

    def compiled(self, function: Callable[..., Any], arrays: tuple[Any, ...]) -> Compiled:
        """Return a function made ready for arrays like these; the first one has the full shape."""
        shape = arrays[0].shape
        kinds = tuple([(a.dtype, a.ndim, a.shape == shape) if hasattr(a, "ndim") else type(a) for a in arrays])
        # Kernels are kept by those who call them; of other functions there are new ones, if equal, in each call.
        known = self._known if isinstance(function, Kernel) else self._equal
        compiled: Compiled = known(function, kinds)
        return compiled

    def _compile(self, function: Callable[..., Any], kinds: tuple[Any, ...]) -> Compiled:
        recorder = Recorder(self.target.xp)
        samples = tuple(self._sample(kind) for kind in kinds)
        full = tuple(isinstance(kind, tuple) and kind[2] for kind in kinds)
        graph = record(recorder, function, samples, full)
        lowerings = {**PROGRAM_LOWERINGS, **self.target.lowerings}
        quick = lowered(self.target.xp, graph, {**lowerings, **QUICK_LOWERINGS})
        exact = lowered(self.target.xp, graph, lowerings) if quick.checked else quick
        programs = {graph: Compiler(self.target, graph, len(kinds)).program() for graph in {quick, exact}}
        return Compiled(self.target, programs[quick], programs[exact], graph.single)

    def _sample(self, kind: Any) -> Any:
        if isinstance(kind, tuple):
            dtype, ndim, _ = kind
            sample = self.target.empty((1,) * ndim, dtype)
            sample[...] = 1
            return sample
        # Not 1, which a formula may subtract from a number that it divides by.
        return None if kind is NoneType else 0.75 if kind is float else kind(1)
