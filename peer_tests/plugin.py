"""pytest plugin of one run of a peer's tests: puts xbce in, and writes what came of each test.

Environment variables say what: `XBCE_STAND_IN` (a name in `peer_tests.stand_ins`; empty: the peer as it is),
`XBCE_PEER` (its distribution) and `XBCE_OUTCOMES` (the file to write).
"""

import json
import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from peer_tests.stand_ins import CALLS, STAND_INS

_OUTCOMES: dict[str, dict[str, Any]] = {}


def pytest_configure() -> None:
    """Put xbce in before a module of tests is imported, so that its imports find it."""
    if stand_in := os.environ["XBCE_STAND_IN"]:
        STAND_INS[stand_in]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Note whether a test called xbce."""
    before = CALLS.total()
    try:
        return (yield)
    finally:
        item.user_properties.append(("calls", CALLS.total() - before))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep a test's outcome: that of its call, or of what ended it before or after."""
    if report.when != "call" and report.passed:
        return
    name = report.nodeid.partition("::")[2]
    crash = getattr(report.longrepr, "reprcrash", None) if report.failed else None
    _OUTCOMES[f"{Path(report.location[0]).name}::{name}"] = {
        "outcome": report.outcome,
        "calls": dict(report.user_properties).get("calls", 0),
        "error": crash.message if crash else str(report.longrepr) if report.failed else "",
    }


def pytest_sessionfinish() -> None:
    """Write what came of each test."""
    outcomes = {"version": version(os.environ["XBCE_PEER"]), "tests": _OUTCOMES}
    Path(os.environ["XBCE_OUTCOMES"]).write_text(json.dumps(outcomes))
