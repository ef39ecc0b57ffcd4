"""A bar on a terminal, lines elsewhere."""

import io
import re
import sys
import threading
import time

import pytest
from click.testing import CliRunner
from rich.console import Console

from xbce_conformance.cli import main
from xbce_conformance.cli.exit_codes import ExitCode
from xbce_conformance.cli.progress import Progress


def written(*, terminal, work, **options):
    stream = io.StringIO()
    screen = Console(file=stream, force_terminal=terminal, width=120)
    with Progress(screen, 256, unit="chunks", **options) as progress:
        work(progress)
    return stream.getvalue()


def wait_for_a_line(progress):
    progress.describe("float32")
    progress.advance(2)
    progress.advance()
    time.sleep(0.1)


def test_lines_where_there_is_no_terminal():
    lines = written(terminal=False, work=wait_for_a_line, seconds=0.03).splitlines()
    assert 1 <= len(lines) <= 4
    for line in lines:
        assert re.fullmatch(r"float32: 3 of 256 chunks, 1 %, \d+ s left", line)


def test_no_line_before_its_time():
    assert written(terminal=False, work=wait_for_a_line) == ""


def test_a_bar_on_a_terminal():
    text = written(terminal=True, work=wait_for_a_line, seconds=0.03)
    assert "3/256" in text
    assert "float32" in text
    assert "s left" not in text


def test_what_was_done_before_does_not_tell_the_time():
    progress = Progress(Console(file=io.StringIO()), 256, unit="chunks")
    progress._start -= 10
    assert progress.line() == "0 of 256 chunks, 0 %"
    progress.skip(128)
    assert progress.line() == "128 of 256 chunks, 50 %"
    progress.advance(64)
    assert progress.line() == "192 of 256 chunks, 75 %, 10 s left"


def test_work_of_unknown_length():
    progress = Progress(Console(file=io.StringIO()))
    progress.describe("torch.compile")
    progress._start -= 1234.2
    assert progress.line() == "torch.compile: 1,234 s"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no timer that interrupts")
def test_a_run_that_is_over_as_it_starts_leaves_no_thread(tmp_path, monkeypatch):
    """Such a thread would write its line every ten seconds, into whatever is the output then."""
    enter = Progress.__enter__

    def slow(self):
        entered = enter(self)
        time.sleep(0.3)
        return entered

    monkeypatch.setattr(Progress, "__enter__", slow)
    before = {*threading.enumerate()}
    options = ["--subject", "textbook", "--backend", "numpy", "--dtype", "float32", "--out", str(tmp_path)]
    result = CliRunner().invoke(main, ["run", *options, "--seconds", "0.1"])
    assert result.exit_code == ExitCode.INTERRUPTED
    assert {*threading.enumerate()} <= before
