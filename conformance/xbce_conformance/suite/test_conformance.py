"""One test per function and dtype of each subject."""

import traceback
from collections.abc import Callable

import pytest

from xbce_conformance.judge.runner import rows_of
from xbce_conformance.report.failures import block, details
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
        pytest.skip(f"reported, not judged: {'; '.join(text for row in rows for text in details(row))}")
    failed = [row for row in rows if row.violations]
    if failed:
        pytest.fail("\n".join(map(block, failed)), pytrace=False)
