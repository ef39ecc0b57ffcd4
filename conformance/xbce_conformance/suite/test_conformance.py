"""One test per function and dtype of each subject."""

import traceback
from collections.abc import Callable

import pytest

from xbce_conformance.judge.runner import rows_of
from xbce_conformance.results.figures import ulp_text
from xbce_conformance.results.model import Row
from xbce_conformance.subjects.jobs import Job


def test_conformance(
    conformance_job: Job, pytestconfig: pytest.Config, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """The errors are within the bounds, no normal result is lost, and the special values are right."""
    rows = rows_of(conformance_job, pytestconfig.getoption("--xbce-level"), raised=traceback.print_exception)
    for row in rows:
        for name in ("max_ulp", "p999_ulp", "zero_for_normal", "flushed", "wrong_nonfinite"):
            record_testsuite_property(f"{conformance_job} {row.quantity} {name}", getattr(row.figures, name))
    if not conformance_job.subject.judged:
        pytest.skip(f"reported, not judged: {'; '.join(text for row in rows for text in _worst(row))}")
    failed = [row for row in rows if row.violations]
    if failed:
        pytest.fail("\n".join(text for row in failed for text in (*row.violations, *_worst(row))), pytrace=False)


def _worst(row: Row) -> list[str]:
    """Say where the row is worst, how to see it again, and which special values are wrong."""
    if row.failure:
        return [row.failure]
    error = ulp_text(row.figures.max_ulp)
    return [
        f"worst: {error} ULP in {row.worst.place}: {row.worst.computed}, exact {row.worst.exact}",
        *[f"again: {row.reproducer}"] * bool(row.reproducer),
        *(f"special: {m.inputs}: {m.computed}, right is {m.expected}" for m in row.special.mismatches),
    ]
