"""Records, lowers and compiles functions, and keeps the result for later arrays of the same kinds."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from types import NoneType
from typing import Any, TypeVar

from .._call.kernel import Kernel, Quotient, Sums, SumSpec, library_sum, summed
from .._typing import Array, Namespace
from .lowering import PROGRAM_LOWERINGS, QUICK_LOWERINGS, lowered
from .program import Compiler, NotANumberError, Program, Target
from .recording import SAMPLE_NUMBER, Graph, Recorder, record

_T = TypeVar("_T")
_MOST = 1024
_LONGEST_PAUSE = 63
"""Calls; so of many calls that need guards, one in 64 is made twice."""


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


class Pauses:
    """How many of the next calls, or blocks, go straight to the program with guards, which are often needed again.

    After each failure in a row it is one more than twice as many. The bits are the same; threads may share it.
    """

    __slots__ = ("last", "left")

    def __init__(self) -> None:
        self.last = self.left = 0

    def skip(self) -> bool:
        """Tell whether a call is in a pause, and count it."""
        if self.left <= 0:
            return False
        self.left -= 1
        return True

    def start(self) -> None:
        """Begin a pause, after a failure."""
        self.last = self.left = min(2 * self.last + 1, _LONGEST_PAUSE)


def _within(context: Callable[..., Any] | None, function: Callable[..., _T]) -> Callable[..., _T]:
    return function if context is None else partial(context, function)


@dataclass(frozen=True)
class Compiled:
    """A function for arrays of certain dtypes and numbers of dimensions; each program is compiled when it is needed."""

    target: Target
    graph: Graph
    """The function as it was recorded."""
    arguments: int
    """Number of its arguments."""
    in_place: bool = True
    """Whether operations may work in place."""
    _pauses: Pauses = field(default_factory=Pauses, init=False, repr=False, compare=False)
    """When `quick` is tried."""

    @cached_property
    def quick(self) -> Program:
        """Omits guards against 0 times infinity, 0 / 0, infinite logarithms; `_attempt` sees if they were needed."""
        return self._program(self._lowered)

    @cached_property
    def exact(self) -> Program:
        """Includes the guards."""
        if not self._lowered.checked:
            return self.quick
        lowerings = {**PROGRAM_LOWERINGS, **self.target.lowerings}
        return self._program(lowered(self.target.xp, self.graph, lowerings, self.target.samples))

    @cached_property
    def unchecked(self) -> Program | None:
        """As `quick`, without its check, if that is of the first result: a NaN is then in the sum of that, too."""
        graph = self._lowered
        return self._program(replace(graph, checked=())) if graph.checked == graph.outputs[:1] else None

    @cached_property
    def _lowered(self) -> Graph:
        lowerings = {**PROGRAM_LOWERINGS, **QUICK_LOWERINGS, **self.target.lowerings}
        return lowered(self.target.xp, self.graph, lowerings, self.target.samples)

    def _program(self, graph: Graph) -> Program:
        return Compiler(self.target, graph, self.arguments, in_place=self.in_place).program()

    def summed(
        self,
        arrays: tuple[Any, ...],
        sums: Sums,
        sum: Callable[[Namespace, Array, SumSpec], Array] = library_sum,  # noqa: A002
    ) -> Any:
        """Return the results for arrays that are one block, summed where `sums` says so."""
        # Where a check takes time, there is none of what is summed.
        if self.target.strictly is None and sums[0] is not None and not any(sums[1:]) and not self.graph.single:
            divided: tuple[Array, ...] = self.divided(sums, sum, None, arrays[0].ndim)(arrays)
            return divided
        results = self.fresh(arrays)
        return results[0] if self.graph.single else summed(self.target.xp, results, sums, sum)

    @cached_property
    def fresh(self) -> Callable[[tuple[Any, ...]], tuple[Array, ...]]:
        """Takes arrays that are one block, and returns the results; it is quiet by itself, to make it is not."""
        exact = _within(self.target.quietly, lambda arrays: self.exact.fresh(arrays))
        return self._tried(self._attempt(self.quick.fresh), exact)

    @cached_property
    def _run(self) -> Callable[..., None]:
        def exactly(arrays: tuple[Any, ...], _scratch: list[Array], outputs: list[Array]) -> None:
            own = [self.target.empty_like(arrays[0], dtype) for dtype in self.exact.scratch]
            self.exact.run(arrays, own, outputs)

        return self._tried(self._attempt(self.quick.run), exactly)

    def _attempt(self, run: Callable[..., _T]) -> Callable[..., _T]:
        """Return what calls a function of the program `quick`, and raises NotANumberError if guards were needed."""
        target = self.target
        return _within(target.strictly if target.strictly and self._lowered.checked else target.quietly, run)

    def _tried(self, quick: Callable[..., _T], exact: Callable[..., _T]) -> Callable[..., _T]:
        """Return what calls the first function, and the second one if that raises NotANumberError, or in a pause."""
        pauses = self._pauses

        def run(*arguments: Any) -> _T:
            if pauses.skip():
                return exact(*arguments)
            try:
                found = quick(*arguments)
            except NotANumberError:
                pauses.start()
                return exact(*arguments)
            pauses.last = 0
            return found

        return run

    def divided(
        self,
        sums: Sums,
        sum: Callable[[Namespace, Array, SumSpec], Array],  # noqa: A002
        quotient: Quotient | None,
        ndim: int,
    ) -> Callable[[tuple[Any, ...]], tuple[Array, ...]]:
        """Return `summed` of a kernel as one function of its arrays; the first result may be a quotient of a sum."""
        xp, spec = self.target.xp, sums[0]  # no other result is a sum
        whole = spec is not None and len(spec.axes) == ndim
        unchecked = self.unchecked if whole else None
        if spec is None:
            return self.fresh

        def run(arrays: tuple[Any, ...]) -> tuple[Array, ...]:
            results = self.fresh(arrays)
            return with_sum(results, sum(xp, results[0], spec))

        def run_unchecked(arrays: tuple[Any, ...]) -> tuple[Array, ...]:
            results = unchecked.fresh(arrays)  # type: ignore[union-attr]  # there is one
            total = sum(xp, results[0], spec)
            if (number := total.item()) != number:
                raise NotANumberError
            return with_sum(results, total)

        def run_exact(arrays: tuple[Any, ...]) -> tuple[Array, ...]:
            results = self.exact.fresh(arrays)
            return with_sum(results, sum(xp, results[0], spec))

        def with_sum(results: tuple[Array, ...], total: Array) -> tuple[Array, ...]:
            return (total if quotient is None else quotient(xp, total), *results[1:])

        found = run if unchecked is None else self._tried(run_unchecked, run_exact)
        return _within(self.target.quietly, found)

    def scratch(self, shape: tuple[int, ...]) -> list[Array]:
        """Return scratch buffers for `run`, which may be reused."""
        return [self.target.empty(shape, dtype) for dtype in self.quick.scratch]

    def run(self, arrays: tuple[Any, ...], scratch: list[Array], outputs: list[Array]) -> None:
        """Write the results into `outputs`."""
        self._run(arrays, scratch, outputs)


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
        compiled: Compiled = known(function, kinds, not self.target.slow_in_place or math.prod(shape) != 1)
        return compiled

    def _compile(self, function: Callable[..., Any], kinds: tuple[Any, ...], in_place: bool) -> Compiled:
        recorder = Recorder(self.target.xp, self.target.samples)
        samples = tuple(self._sample(kind) for kind in kinds)
        full = tuple(isinstance(kind, tuple) and kind[2] for kind in kinds)
        graph = record(recorder, function, samples, full)
        return Compiled(self.target, graph, len(kinds), in_place)

    def _sample(self, kind: Any) -> Any:
        if isinstance(kind, tuple):
            dtype, ndim, _ = kind
            sample = self.target.empty((1,) * ndim, dtype)
            sample[...] = 1
            return sample
        return None if kind is NoneType else SAMPLE_NUMBER if kind is float else kind(1)
