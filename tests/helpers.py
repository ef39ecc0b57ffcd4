"""What several test files share."""

from typing import Any

import pytest


def approx(expected: Any, *, rel: float) -> Any:
    """Return `expected`, to be compared within the relative tolerance `rel` alone.

    ``pytest.approx`` has an absolute tolerance of 1e-12 besides, unless it is told otherwise: 0 passes for 4.2e-18, and
    for -4.2e-18. This is the only place that may call it (a lint rule keeps all others from it).
    """
    return pytest.approx(expected, rel=rel, abs=0)  # noqa: TID251
