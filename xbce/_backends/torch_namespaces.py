"""The namespaces that kernels of PyTorch are called with: when torch.compile traces, of high precision, and of sums."""

import math
import sys
from types import FunctionType
from typing import Any

import torch
from array_api_compat import torch as namespace

from .._call.array_kinds import is_distributed
from .._call.kernel import Arguments, is_native
from .._formulas import WithForms
from .._formulas.idioms import vanishes
from .._formulas.series import log1p_unit_by_series
from .._precision import TABLES, Table
from .._typing import Array, Namespace
from . import torch_cpu


def called(function: Any, xp: Namespace, arrays: Arguments) -> Any:
    """Return `function(xp, *arrays)`.

    Before PyTorch 2.13, torch.compile fails to call an object that it has made itself and whose hash reads its fields.
    """
    call = function if isinstance(function, FunctionType) else function.__call__
    if is_native(function):
        if torch.compiler.is_compiling() and not _traced_in_transform():
            return call(_FUSED, *arrays)
        kinds = [a.device.type for a in arrays if isinstance(a, torch.Tensor)]
        return call(EAGER if all(kind == "cpu" for kind in kinds) else xp, *arrays)
    return call(_HIGH, *arrays)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _traced_in_transform() -> bool:
    """Tell whether torch.compile traces inside a transform of torch.func, which differentiates the operations."""
    return torch_cpu.in_transform()


def _log1p_unit(xp: Namespace, e: Array) -> Array:
    """Use the series on CPUs: with log1p the code of a loss takes 1.4 to 1.9 times as long (AVX2, AVX-512)."""
    result: Array = log1p_unit_by_series(xp, e) if e.device.type == "cpu" else xp.log1p(e)
    return result


def _product(xp: Namespace, x: Array, factor: Array) -> Array:
    """Guard x by selections, one inside the other, instead of a conjunction of conditions.

    In torch.compile's code for CPUs "and" and "or" of conditions on float64 narrow their masks to 32 bits, and a
    selection widens them again: losses in float64 take 1.6 times as long (AVX-512).
    """
    return xp.where(vanishes(xp, factor), xp.where(xp.abs(x) == math.inf, 0.0, x), x) * factor


class _FusedNamespace(WithForms):
    """The namespace of PyTorch, in forms that torch.compile has quick code for.

    They have the derivatives of the plain ones: PyTorch differentiates what torch.export wrote operation by operation.
    """

    def isinf(self, x: Array) -> Array:
        """Compare with infinity: torch.compile's code for isinf looks at one element at a time."""
        return self.abs(x) == math.inf


_FUSED = _FusedNamespace(namespace, {"log1p_unit": _log1p_unit, "product": _product})
"""What torch.compile traces."""


EAGER = WithForms(namespace, torch_cpu.FORMS)
"""What is called directly on a CPU: the bits of programs."""


class _HighNamespace:
    """The namespace of PyTorch, and the tables of high precision."""

    def __init__(self) -> None:
        self._tables: dict[tuple[str, Any], Array] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(namespace, name)

    def where(self, condition: Array, a: Any, b: Any) -> Array:
        """Select; for torch.compile into memory.

        Its code generator computes anew what is used twice: hundreds of operations would become millions.
        """
        result: Array = namespace.where(condition, a, b)
        return result.as_strided(result.shape, result.stride()) if torch.compiler.is_compiling() else result

    def lookup(self, table: Table, index: Array) -> Array:
        """Return the doubles of a table at an index."""
        device = index.device
        if torch.compiler.is_compiling():
            _made_before_tracing()
            return self._tables[table.name, _CPU].to(device)[index]
        if torch_cpu.in_transform() or torch._C._len_torch_dispatch_stack():  # noqa: SLF001
            return table.array(namespace, device)[index]
        return _at(self.kept(table, device), index)

    def kept(self, table: Table, device: Any) -> Array:
        """Return a table, which is made once for each device."""
        known = self._tables.get((table.name, device))
        if known is None:
            known = self._tables[table.name, device] = table.array(namespace, device)
        return known


class _SummingNamespace:
    """The namespace of PyTorch, with sums of DTensors that every process has whole.

    A process has a part of a sum until it is needed; what rounding leaves of a part is not a part of what it leaves.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(namespace, name)

    def sums(self, terms: list[Array], axes: tuple[int, ...]) -> list[Array]:
        """Return the sum of each array along axes, which are kept."""
        found = [namespace.sum(x, axis=axes, keepdims=True) for x in terms]
        if not is_distributed(found[0]):
            return found
        both = torch.stack(found)  # they are sent at once
        replicate = sys.modules["torch.distributed.tensor"].Replicate()
        places = [replicate if place.is_partial() else place for place in both.placements]
        return list(both.redistribute(placements=places).unbind())


SUMMING = _SummingNamespace()


def _at(table: Array, index: Array) -> Array:
    """Return a table at an index; at a DTensor, which refuses other tensors beside it, in each process by itself."""
    if not is_distributed(index):
        return table[index]
    like = {"shape": index.shape, "stride": index.stride()}
    return index.from_local(table[index.to_local()], index.device_mesh, index.placements, run_check=False, **like)


_CPU = torch.device("cpu")


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _made_before_tracing() -> bool:
    """Make all tables: torch.compile calls this while it traces, since it cannot trace how tables are computed."""
    with torch.utils._python_dispatch._disable_current_modes():  # noqa: SLF001
        for table in TABLES.values():
            _HIGH.kept(table, _CPU)
    return True


_HIGH = _HighNamespace()
