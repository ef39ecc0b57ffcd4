"""Records, lowers and compiles functions, and keeps the result for later arrays of the same kinds."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from types import NoneType
from typing import Any

from .._call.kernel import Kernel, Sums, SumSpec, library_sum, summed
from .._typing import Array, Namespace
from .lowering import PROGRAM_LOWERINGS, QUICK_LOWERINGS, lowered
from .program import Compiler, NotANumberError, Program, Target
from .recording import SAMPLE_NUMBER, Recorder, record

_MOST = 1024


class IdentityCache:
    """Keeps what a function returns for a key and other arguments.

    Keyed by `id()`, which is faster than hashing; the key is kept alive, so that its id is not reused.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._known: dict[tuple[Any, ...], tuple[Any, Any]] = {}

    def __call__(self, key: Any, *rest: Any) -> Any:
        """Return `function(key, *rest)`."""
        found = self._known.get((id(key), *rest))
        if found is None:
            if len(self._known) >= _MOST:
                self._known.clear()
            found = self._known[(id(key), *rest)] = (key, self._function(key, *rest))
        return found[1]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A function compiled for arrays of certain dtypes and numbers of dimensions."""

    target: Target
    quick: Program
    """Omits the guards against 0 times infinity; raises NotANumberError if they were needed."""
    exact: Program
    """Includes the guards."""
    single: bool
    """Whether the function returns an array, not a tuple of them."""

    def summed(
        self,
        arrays: tuple[Any, ...],
        sums: Sums,
        sum: Callable[[Namespace, Array, SumSpec], Array] = library_sum,  # noqa: A002
    ) -> Any:
        """Return the results for arrays that are one block, summed where `sums` says so."""
        try:
            results = self.quick.fresh(arrays)
        except NotANumberError:
            results = self.exact.fresh(arrays)
        return results[0] if self.single else summed(self.target.xp, results, sums, sum)

    def scratch(self, shape: tuple[int, ...]) -> list[Array]:
        """Return scratch buffers for `run`, which may be reused."""
        return [self.target.empty(shape, dtype) for dtype in self.quick.scratch]

    def run(self, arrays: tuple[Any, ...], scratch: list[Array], outputs: list[Array]) -> None:
        """Write the results into `outputs`."""
        try:
            self.quick.run(arrays, scratch, outputs)
        except NotANumberError:
            scratch = [self.target.empty_like(arrays[0], dtype) for dtype in self.exact.scratch]
            self.exact.run(arrays, scratch, outputs)


class CompiledCache:
    """The compiled functions of one library."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._equal = lru_cache(maxsize=1024)(self._compile)
        self._known = IdentityCache(self._equal)

    def compiled(self, function: Callable[..., Any], arrays: tuple[Any, ...]) -> Compiled:
        """Return a function compiled for arrays like these; the first one has the full shape."""
        shape = arrays[0].shape
        kinds = tuple([(a.dtype, a.ndim, a.shape == shape) if hasattr(a, "ndim") else type(a) for a in arrays])
        # Kernels live long: cache by identity. Other callables are rebuilt per call: cache by equality.
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
        return None if kind is NoneType else SAMPLE_NUMBER if kind is float else kind(1)
