"""The table of what was compared: per row of the conventions, with what, and how often.

Every differential test carries ``@pytest.mark.compared(row, package)``. The counts travel with the test reports, so the
table is the same with any number of workers. `XBCE_CONVENTIONS_TABLE=1` writes it into docs/conventions.md, and the
table of modules, too.
"""

import os
import warnings
from collections import Counter, defaultdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from tests.conventions.differential import TALLY
from tests.conventions.gathered import table_of_modules

PAGE = Path(__file__).parents[2] / "docs" / "conventions.md"


@pytest.fixture(autouse=True)
def _tally(request, record_property):
    TALLY.clear()
    yield
    mark = request.node.get_closest_marker("compared")
    if mark is not None:
        row, package = mark.args
        record_property("compared", [row, package, TALLY.cases, TALLY.errors, sum(TALLY.stated.values())])
        assert TALLY.cases, "this test compared nothing"


@pytest.fixture(scope="session")
def tf():
    """TensorFlow, imported late, without its messages and its dependencies' warnings."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("tensorflow")


def named(package):
    """Add the version of a package; what is not installed is compared by its published definition."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return package


def pytest_terminal_summary(terminalreporter):
    """Print the table; write it where asked. Only the process that sees all reports does."""
    if hasattr(terminalreporter.config, "workerinput"):
        return
    failed = {report.nodeid for report in terminalreporter.stats.get("failed", [])}
    rows = defaultdict(Counter)
    for report in terminalreporter.stats.get("", []):  # setups and teardowns that passed
        for name, value in report.user_properties if report.when == "teardown" else []:
            if name == "compared":
                row, package, cases, errors, stated = value
                rows[row, package] += Counter(
                    cases=cases, errors=errors, stated=stated, failed=int(report.nodeid in failed)
                )
    if not rows:
        return
    lines = [
        "| convention | compared with | cases | errors | stated differences | unexplained differences |",
        "|---|---|---|---|---|---|",
    ]
    for (row, package), n in sorted(rows.items()):
        counts = " | ".join(str(n[name]) for name in ("cases", "errors", "stated", "failed"))
        lines.append(f"| `{row}` | {named(package)} | {counts} |")
    terminalreporter.section("conventions compared with their originals")
    terminalreporter.write_line("\n".join(lines))
    if os.environ.get("XBCE_CONVENTIONS_TABLE"):
        page = PAGE.read_text("utf-8")
        for name, table in (("modules", table_of_modules()), ("compared", lines)):
            head, _, rest = page.partition(f"<!-- {name}: begin -->\n")
            tail = rest.partition(f"<!-- {name}: end -->\n")[2]
            page = "\n".join((f"{head}<!-- {name}: begin -->", *table, f"<!-- {name}: end -->", tail))
        PAGE.write_text(page, "utf-8")
