"""The largest bound over all cells, by division of the cells that have it."""

import heapq
from functools import lru_cache

from proofs.native.cells import Cell, cells
from proofs.native.theorem import Bounds, Hypotheses, bounds
from xbce_conformance.inputs.formats import Format

_TOLERANCE = 2.0**-10
"""How much larger than the bound at one number that of its cell may remain, in ULP."""


def largest(fmt: Format, given: Hypotheses, *, normal_only: bool) -> dict[str, tuple[float, float]]:
    """Return, by the name of the quantity, a bound that holds at every number, and a number next to the worst one."""

    @lru_cache(maxsize=None)
    def of(cell: Cell) -> Bounds:
        return bounds(cell, given)

    whole = cells(fmt, normal_only=normal_only)
    found = {}
    for i, name in enumerate(Bounds._fields):
        heap = [(-of(cell)[i], cell.first, cell) for cell in whole]
        heapq.heapify(heap)
        while True:
            bound, first, cell = heapq.heappop(heap)
            if cell.first == cell.last or -bound - max(of(end)[i] for end in cell.ends()) <= _TOLERANCE:
                found[name] = (-bound, cell.t[0])
                break
            for half in cell.halves():
                heapq.heappush(heap, (-of(half)[i], half.first, half))
    return found
