"""The command that runs peers' own tests: what it takes for expected, and the page that it writes."""

import json
import tomllib

import pytest

from peer_tests import run

ROW = {"suite": "Peer*", "test": "t.py::test_a[*", "error": "exact", "is": "text only", "because": "words"}


def outcomes(outcome, error="", calls=1):
    return {"t.py::test_a[1]": {"outcome": outcome, "error": error, "calls": calls}}


@pytest.mark.parametrize(
    ("ours", "theirs", "rows", "problem"),
    [
        pytest.param(outcomes("passed"), outcomes("passed"), [], None, id="passes"),
        pytest.param(outcomes("failed", "exact"), outcomes("passed"), [ROW], None, id="fails as stated"),
        pytest.param(outcomes("failed", "exact"), outcomes("passed"), [], "does not say why: exact", id="unexplained"),
        pytest.param(outcomes("failed", "else"), outcomes("passed"), [ROW], "fails otherwise", id="another error"),
        pytest.param(outcomes("passed"), outcomes("passed"), [ROW], "passes, but", id="mended"),
        pytest.param(outcomes("passed"), outcomes("passed"), [{**ROW, "varies": True}], None, id="passes here"),
        pytest.param(
            outcomes("passed"),
            outcomes("passed"),
            [{**ROW, "test": "gone"}],
            "there is no test gone",
            id="a test that is gone",
        ),
        pytest.param(outcomes("passed"), outcomes("passed"), [{**ROW, "suite": "Other"}], None, id="of another suite"),
        pytest.param(outcomes("failed"), outcomes("failed"), [], None, id="fails without xbce, too"),
        pytest.param(outcomes("passed", calls=0), outcomes("passed"), [], "no test calls xbce", id="not put in"),
        pytest.param(outcomes("passed"), {}, [], "one of the two runs only", id="other tests"),
    ],
)
def test_what_is_reported(ours, theirs, rows, problem):
    _, problems = run.judge("Peer", ours, theirs, rows)
    if problem is None:
        assert problems == []
    else:
        assert problem in problems[0]


def test_counts():
    tests = ["t.py::test_a[1]", "t.py::test_a[2]", "t.py::test_b", "t.py::test_c", "t.py::test_d"]
    came = ["failed", "failed", "failed", "passed", "skipped"]
    ours = {t: {"outcome": o, "error": "not exact", "calls": o == "failed"} for t, o in zip(tests, came, strict=True)}
    theirs = {t: {**ours[t], "outcome": "passed"} for t in tests} | {tests[2]: ours[tests[2]]}
    counts, problems = run.judge("Peer", ours, theirs, [ROW])
    assert problems == []
    assert counts == {
        "tests": 5,
        "reach": 3,
        "passed": 1,
        "failed": 3,
        "skipped": 1,
        "without": {"passed": 4, "failed": 1, "skipped": 0},
        "anyway": 1,
        "failing": {"t.py::test_a[*": 2},
    }


def test_the_page_is_that_of_the_results():
    expected = tomllib.loads((run.HERE / "expected.toml").read_text())["expected"]
    assert run.PAGE.read_text() == run.page(json.loads(run.RESULTS.read_text()), expected)
