"""The largest bound over all cells, by division of the cells that have it."""

import heapq
from functools import cache

from proofs.native.cells import Cell, cells
from proofs.native.single import bounds_at
from proofs.native.theorem import Bounds, Hypotheses, bounds
from xbce_conformance.inputs.formats import Format

_TOLERANCE = 2.0**-10
"""How much larger than the bound at one number that of its cell may remain, in ULP."""


_NEAR = 32.0
"""Distance to a power of two, in ULP, at which numbers are looked at one by one."""
_LEAST = 2.0**-10
"""Not for smaller t: q and q (1 - q) are next to a power of two for all of them."""


def _is_settled(cell: Cell, spread: float) -> bool:
    """Tell whether the parts of a cell have nearly the same bound, by how much more that of the cell is."""
    rooms = (value.room for value in (cell.log, cell.q, cell.h, cell.loss))
    return spread <= _TOLERANCE and (cell.t[0] < _LEAST or min(rooms) > _NEAR)


def largest(fmt: Format, given: Hypotheses, *, normal_only: bool) -> dict[str, tuple[float, float]]:
    """Return, by the name of the quantity, a bound that holds at every number, and a number next to the worst one."""

    @cache
    def general(cell: Cell) -> Bounds:
        return bounds(cell, given)

    @cache
    def of(cell: Cell) -> Bounds:
        return bounds_at(cell, given) if cell.first == cell.last else general(cell)

    whole = cells(fmt, normal_only=normal_only)
    found = {}
    for i, name in enumerate(Bounds._fields):
        heap = [(-of(cell)[i], cell.first, cell) for cell in whole]
        heapq.heapify(heap)
        while True:
            bound, _first, cell = heapq.heappop(heap)
            if cell.first == cell.last or _is_settled(cell, -bound - max(general(end)[i] for end in cell.ends())):
                found[name] = (-bound, cell.t[0])
                break
            for half in cell.halves():
                heapq.heappush(heap, (-of(half)[i], half.first, half))
    return found
