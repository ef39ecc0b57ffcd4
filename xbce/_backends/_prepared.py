"""Functions made ready to run: recorded, rewritten, compiled, and kept for the next arrays of the same kinds."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import lru_cache
from types import NoneType
from typing import Any

from xbce._backends._graph import Recorder, record
from xbce._backends._program import Compiler, Library, NotANumberError, Program
from xbce._backends._rewriting import minus_absolute, rewritten, same_condition, unguarded
from xbce._typing import Array

_MOST_RECENT = 1024


@dataclass(frozen=True, slots=True)
class Prepared:
    """A function made ready for arrays of certain dtypes and numbers of dimensions."""

    quick: Program
    """Fails where something is NaN that seldom is."""
    exact: Program
    single: bool
    """Whether the function returns an array, not a tuple of them."""


@dataclass(slots=True)
class Worker:
    """Runs a function on one block after another, on one thread, in scratch of its own."""

    library: Library
    prepared: Prepared
    shape: tuple[int, ...]
    """Of the largest block; the others have fewer rows."""
    scratch: dict[int, list[Array]] = field(default_factory=dict)
    """Of each program that has run."""

    def run(self, arrays: tuple[Any, ...], outputs: list[Array]) -> None:
        """Write the results for the arrays of a block into `outputs`."""
        try:
            self._run(self.prepared.quick, arrays, outputs)
        except NotANumberError:
            self._run(self.prepared.exact, arrays, outputs)

    def _run(self, program: Program, arrays: tuple[Any, ...], outputs: list[Array]) -> None:
        scratch = self.scratch.get(id(program))
        if scratch is None:
            scratch = [self.library.empty(self.shape, dtype) for dtype in program.scratch]
            self.scratch[id(program)] = scratch
        shape = tuple(arrays[0].shape)
        if shape != self.shape:
            scratch = [x[: shape[0]] for x in scratch]
        program.run(arrays, scratch, outputs)


@dataclass(frozen=True, slots=True)
class Programs:
    """The functions that one library runs."""

    library: Library
    recent: dict[Hashable, tuple[Any, Prepared]] = field(default_factory=dict)
    """By identity, which is quicker to find than equality; each function is kept, so that its identity is its own."""

    def prepared(self, function: Callable[..., Any], arrays: tuple[Any, ...]) -> Prepared:
        """Return a function made ready for arrays like these; the first one has the full shape."""
        shape = arrays[0].shape
        kinds = tuple([(a.dtype, a.ndim, a.shape == shape) if hasattr(a, "ndim") else type(a) for a in arrays])
        key = (id(function), kinds)
        found = self.recent.get(key)
        if found is None:
            found = (function, _prepare(self.library, function, kinds))
            if len(self.recent) >= _MOST_RECENT:
                self.recent.clear()
            self.recent[key] = found
        return found[1]


@lru_cache(maxsize=_MOST_RECENT)
def _prepare(library: Library, function: Callable[..., Any], kinds: tuple[Any, ...]) -> Prepared:
    recorder = Recorder(library.xp)
    graph = record(
        recorder,
        function,
        tuple(_sample(library, kind) for kind in kinds),
        tuple(isinstance(kind, tuple) and kind[2] for kind in kinds),
    )
    rules = (same_condition, minus_absolute)
    quick = rewritten(recorder, graph, (*rules, unguarded, *library.rules))
    exact = rewritten(recorder, graph, (*rules, *library.rules)) if quick.checked else quick
    programs = [Compiler(library, graph, len(kinds)).program() for graph in dict.fromkeys((quick, exact))]
    return Prepared(programs[0], programs[-1], graph.single)


def _sample(library: Library, kind: Any) -> Any:
    if isinstance(kind, tuple):
        dtype, ndim, _ = kind
        return library.sample(ndim, dtype)
    return None if kind is NoneType else kind(1)
