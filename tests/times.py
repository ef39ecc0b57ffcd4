"""Which tests take long: the ones that long.txt names, by the processor time that they took when it was written.

    XBCE_TEST_TIMES=.times make test ARGS="-m 'long or not long'"
    .venv/bin/python -m tests.times .times/*

writes it anew. Processor time does not depend on what else the machine does. A test function keeps its quickest case in
`make test`, if that takes less than `AT_MOST` seconds.
"""

import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

LIST = Path(__file__).with_name("long.txt")
LONG = 0.2
"""Seconds of processor time from which a test is long."""
AT_MOST = 3.0
"""Seconds that the quickest case of a function may take to stay in `make test` all the same."""


def spent() -> float:
    """Return the seconds of processor time of this process and those that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


class Recorder:
    """Writes what each test takes, a file per process."""

    NAME = "times of tests"

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / f"{os.getpid()}.jsonl").open("a", buffering=1, encoding="utf-8")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        before = spent()
        result = yield
        self._file.write(json.dumps([item.nodeid, spent() - before]) + "\n")
        return result


def mark(items: list[pytest.Item]) -> None:
    """Mark the tests of the list as long."""
    names = {*LIST.read_text("utf-8").splitlines()}
    for item in items:
        if item.nodeid in names:
            item.add_marker(pytest.mark.long)


def long_ones(times: dict[str, float]) -> list[str]:
    """Return which tests are long."""
    cases = defaultdict(list)
    for name in times:
        cases[name.partition("[")[0]].append(name)
    chosen = []
    for names in cases.values():
        quickest = min(names, key=times.__getitem__)
        kept = quickest if times[quickest] < AT_MOST else ""
        chosen += [name for name in names if times[name] >= LONG and name != kept]
    return sorted(chosen)


def main(files: list[str]) -> None:
    """Write the list; of several times of a test the last one counts."""
    times = dict(json.loads(line)[:2] for file in files for line in Path(file).read_text("utf-8").splitlines())
    LIST.write_text("".join(f"{name}\n" for name in long_ones(times)), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
