"""One test per function and dtype of each subject."""

from collections.abc import Callable

import pytest

from xbce_conformance.judge.runner import run
from xbce_conformance.subjects.jobs import Job


def test_conformance(
    conformance_job: Job, pytestconfig: pytest.Config, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """The bounds are kept, no normal result is lost, and the special values are right."""
    (rows,) = run([conformance_job], pytestconfig.getoption("--xbce-level"))
    said = []
    for row in rows:
        for name in ("max_ulp", "p999_ulp", "zero_for_normal", "flushed", "wrong_nonfinite"):
            record_testsuite_property(f"{conformance_job} {row.quantity} {name}", getattr(row, name))
        if row.broken:
            said += [*row.broken, f"worst: {row.worst.place}: {row.worst.computed}, exact {row.worst.exact}"]
            said += [f"again: {row.reproducer}"] * bool(row.reproducer)
            said += [f"special: {m.inputs}: {m.computed}, right is {m.expected}" for m in row.special_mismatches]
    if not rows[0].judged:
        pytest.skip(f"reported, not judged: {'; '.join(said) or 'it keeps the promise'}")
    if said:
        pytest.fail("\n".join(said), pytrace=False)
