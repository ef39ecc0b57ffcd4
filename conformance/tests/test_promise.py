"""The promise, in every run of the tests: every case against its exact definition, on NumPy.

The command measures the other libraries and dtypes as well. A formula that is wrong is wrong here already.
"""

import os
from pathlib import Path

import pytest

from tests.helpers import NUMPY
from xbce_conformance.cases import CASES
from xbce_conformance.judge import runner
from xbce_conformance.subjects.jobs import jobs
from xbce_conformance.subjects.selection import find_subjects
from xbce_conformance.subjects.xbce import PRECISIONS

SUBJECTS = find_subjects(tuple(PRECISIONS.values()), {"numpy": NUMPY})[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.precision)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_within_the_bounds(case, subject, dtype):
    todo = [job for job in jobs([subject], (dtype,), (case.function,)) if job.function.case is case]
    kept = Path(os.environ["XBCE_EXACT_VALUES"])
    rows = [row for rows in runner.run(todo, "quick", exact_values=kept) for row in rows]
    assert {row.case for row in rows} == {case.name}
    violations = [f"{row.function}, {row.quantity}: {text}; {row.worst}" for row in rows for text in row.violations]
    assert not violations, "\n".join(violations)
