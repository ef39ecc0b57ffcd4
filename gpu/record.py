"""A pytest plugin that writes the outcome of each test at once, and skips tests that passed in an earlier run."""

import json
from pathlib import Path
from typing import Any

import pytest

FILE = "tests.jsonl"


def read(file: Path) -> dict[str, dict[str, Any]]:
    """Return the last outcome of each test; incomplete lines are ignored."""
    outcomes = {}
    for line in file.read_text("utf-8").splitlines() if file.exists() else []:
        try:
            outcome = json.loads(line)
        except ValueError:
            continue
        outcomes[outcome["test"]] = outcome
    return outcomes


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for the folder."""
    parser.addoption("--out", type=Path, help=f"Folder of {FILE}, to which each test's outcome is appended at once.")


def pytest_configure(config: pytest.Config) -> None:
    """Register `Record` if there is a folder."""
    if config.option.out is not None:
        config.pluginmanager.register(Record(config.option.out / FILE))


class Record:
    """Writes outcomes to the file, and reads those of earlier runs."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file
        self._passed = {name for name, outcome in read(file).items() if outcome["outcome"] == "passed"}

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Deselect tests that have passed."""
        passed = [item for item in items if item.nodeid in self._passed]
        items[:] = [item for item in items if item.nodeid not in self._passed]
        config.hook.pytest_deselected(items=passed)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write the outcome of a test: of its call, or a failure or skip in set-up or tear-down."""
        if report.when != "call" and report.outcome == "passed":
            return
        outcome = {"test": report.nodeid, "outcome": report.outcome, "seconds": round(report.duration, 3)}
        if report.skipped:
            outcome["reason"] = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        elif report.failed:
            outcome["reason"] = str(report.longrepr)[-4000:]
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(outcome) + "\n")

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Let a run pass in which all tests have passed before."""
        if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and self._passed:
            session.exitstatus = pytest.ExitCode.OK
