"""The pytest plugin: `pytest --pyargs xbce_conformance --xbce-subject module:callable --xbce-backend torch:cuda`.

One test per function and dtype; it fails where a bound is broken, with a line that shows the worst result again. It is
loaded by every run of pytest beside which xbce-conformance is installed, so it imports nothing until its tests are
asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from xbce_conformance.subjects.jobs import Job

_SUITE = Path(__file__).parent / "suite"
_DEFAULTS: dict[str, object] = {
    "subject": [],
    "backend": [],
    "dtype": [],
    "function": [],
    "precision": [],
    "order": "",
    "gradient": None,
    "case": None,
    "bound": None,
    "level": "quick",
    "labels": "all",
    "regime": [],
    "part": [],
    "call-limit": None,
    "waive": [],
    "waivers": None,
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the command `xbce-conformance run`."""
    group = parser.getgroup(
        "xbce conformance", "conformance of binary cross-entropy (pytest --pyargs xbce_conformance)"
    )
    for name, text in {
        "subject": "measure this subject: a name of `xbce-conformance list`, or module:callable",
        "backend": "measure on this backend; for module:callable the arrays that it takes",
        "dtype": "measure this dtype only",
        "function": "measure this function, such as special.expit, only",
        "precision": "call xbce in this precision, native or high",
        "part": "try this only: samples, behaviour or invariance; without it samples and behaviour",
        "regime": "try this regime of the inputs only, such as 'tail, label agrees'",
        "waive": "NAME=REASON: allow a violation that is known",
    }.items():
        group.addoption(f"--xbce-{name}", action="append", default=[], metavar=name.upper(), help=text)
    group.addoption("--xbce-order", default="", help="arguments as module:callable takes them: labels,logits")
    group.addoption("--xbce-gradient", help="module:callable of the gradient")
    group.addoption("--xbce-case", help="what all subjects should compute: sigmoid_focal_loss(gamma=1.7)")
    group.addoption("--xbce-bound", type=float, help="judge module:callable by this bound in ULP")
    group.addoption(
        "--xbce-call-limit", type=float, help="seconds that one call may take, in the process of pytest; without it 30"
    )
    group.addoption("--xbce-waivers", type=Path, help="TOML file with a table [waive] of names and reasons")
    group.addoption("--xbce-level", default="quick", choices=("quick", "full"), help="how many samples")
    group.addoption("--xbce-labels", default="all", choices=("all", "hard", "soft"), help="which labels are tried")


@pytest.fixture(scope="session")
def assert_conforms() -> Callable[..., None]:
    """Return `xbce_conformance.assert_conforms`: a test of one's own passes a loss to it."""
    from xbce_conformance.data.python import assert_conforms

    return assert_conforms


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the suite alone unless it is asked for, by --pyargs or by an option of its own."""
    asked = config.option.pyargs or config.getoption("--xbce-subject") or config.getoption("--xbce-backend")
    return True if collection_path == _SUITE and not asked else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the suite's test once for each function and dtype of the chosen subjects."""
    if "conformance_job" in metafunc.fixturenames:
        found = _jobs(metafunc.config)
        metafunc.parametrize("conformance_job", found, ids=[str(job).replace(" ", "-") for job in found])


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse options of the suite in a run without it, which would be green and say nothing of the subject."""
    if not hasattr(session.config, "workerinput"):
        _refuse_options_without_tests(session.config, [item.nodeid for item in session.items])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: list[str]) -> None:
    """Do the same where pytest-xdist runs the tests: an error of its workers would not be shown as what it is."""
    _refuse_options_without_tests(node.config, ids)


def _refuse_options_without_tests(config: pytest.Config, ids: list[str]) -> None:
    given = [f"--xbce-{name}" for name, default in _DEFAULTS.items() if config.getoption(f"--xbce-{name}") != default]
    if given and not any(f"{_SUITE.name}/test_conformance.py::" in name for name in ids):
        msg = f"{', '.join(given)}: the suite is not among the tests of this run; add --pyargs xbce_conformance"
        raise pytest.UsageError(msg)


def _jobs(config: pytest.Config) -> list[Job]:
    from xbce_conformance.inputs.formats import FORMATS
    from xbce_conformance.inputs.restriction import Restriction
    from xbce_conformance.judge.restrict import with_inputs
    from xbce_conformance.subjects.failure import CALL_LIMIT
    from xbce_conformance.subjects.jobs import PARTS, jobs
    from xbce_conformance.subjects.selection import Choice
    from xbce_conformance.subjects.spec import BadSubject

    option = config.getoption
    choice = Choice(
        tuple(option("--xbce-subject")) or ("xbce",),
        tuple(option("--xbce-backend")),
        tuple(filter(None, option("--xbce-order").split(","))),
        option("--xbce-gradient"),
        option("--xbce-case"),
        option("--xbce-bound"),
        tuple(option("--xbce-precision")),
        tuple(option("--xbce-dtype")),
    )
    try:
        subjects, missing = choice.find()
    except BadSubject as error:
        raise pytest.UsageError(str(error)) from error
    only = Restriction(option("--xbce-labels"), tuple(option("--xbce-regime")))
    dtypes, functions = tuple(option("--xbce-dtype")) or tuple(FORMATS), tuple(option("--xbce-function"))
    found = jobs(
        subjects,
        dtypes,
        functions,
        option("--xbce-level"),
        parts=tuple(option("--xbce-part")) or PARTS[:2],
        limit=option("--xbce-call-limit") or CALL_LIMIT,
        only=only,
    )
    try:
        found, without = with_inputs(found, option("--xbce-level"), only)
    except BadSubject as error:
        raise pytest.UsageError(str(error)) from error
    missing |= without
    if not found:  # a run of no tests would look like success
        reasons = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
        msg = f"nothing to measure ({reasons or 'no subject has the chosen function and dtype'})"
        raise pytest.UsageError(msg)
    return found
