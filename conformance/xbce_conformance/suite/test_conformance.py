"""One test per function and dtype of each subject, and one of the waivers that they have."""

from collections.abc import Callable

import pytest

from xbce_conformance.judge.runner import rows_of
from xbce_conformance.judge.waivers import Waiver, apply, read_waivers, waiver
from xbce_conformance.report.failures import block, details
from xbce_conformance.results.model import Row
from xbce_conformance.subjects.jobs import Job


@pytest.fixture(scope="session")
def waivers(pytestconfig: pytest.Config) -> list[Waiver]:
    """Return the waivers of the options."""
    file = pytestconfig.getoption("--xbce-waivers")
    given = (text.partition("=") for text in pytestconfig.getoption("--xbce-waive"))
    return [*(read_waivers(file) if file else ()), *(waiver(name, reason) for name, _, reason in given)]


@pytest.fixture(scope="session")
def measured() -> list[Row]:
    """Return the rows of all tests of this process."""
    return []


def test_conformance(
    conformance_job: Job,
    pytestconfig: pytest.Config,
    record_testsuite_property: Callable[[str, object], None],
    waivers: list[Waiver],
    measured: list[Row],
) -> None:
    """The errors are within the bounds, no normal result is lost, the special values and the behaviour are right."""
    rows = rows_of(conformance_job, pytestconfig.getoption("--xbce-level"))
    measured += rows
    for row in rows:
        for name in ("max_ulp", "p999_ulp", "zero_for_normal", "flushed", "wrong_nonfinite"):
            key = f"{conformance_job} {row.quantity} {'' if row.of_errors else f'{row.kind} '}{name}"
            record_testsuite_property(key, getattr(row.figures, name))
    if not conformance_job.subject.judged:
        pytest.skip(f"reported, not judged: {'; '.join(text for row in rows for text in details(row))}")
    failed = [row for row in apply(rows, waivers)[0] if row.violations]
    if failed:
        pytest.fail("\n".join(map(block, failed)), pytrace=False)


def test_waivers_are_needed(pytestconfig: pytest.Config, waivers: list[Waiver], measured: list[Row]) -> None:
    """What is waived is still wrong, and no time is over."""
    if not waivers:
        pytest.skip("there are no waivers")
    if hasattr(pytestconfig, "workerinput"):
        pytest.skip("each process of pytest-xdist has measured some of the rows only")
    wrong = apply(measured, waivers)[1]
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)
