"""Subjects that end or hang their process: their rows fail, those of all others are there, and no process is left."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from tests.helpers import leave_out_pictures
from xbce_conformance.cli import main

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="subjects are called in the process of the command")

GOOD = """
import xbce
def good(x):
    return xbce.special.expit(x)
"""
# None of them ends where the other losses of the module are called, or where it is imported.
FATAL = """
import ctypes, itertools, os, signal
def aborts(x):
    os.abort()
def leaves(x):
    os._exit(3)
def leaves_well(x):
    os._exit(0)
def segfaults(x):
    ctypes.string_at(0)
def killed(x):
    os.kill(os.getpid(), signal.SIGKILL)
def hangs(x):
    all(itertools.repeat(True))
"""
PLACE = r" \(theirs_apart\.py, line \d+\)"
DEATHS = {
    "aborts": ("ended", rf"its process ended by signal SIGABRT{PLACE}"),
    "leaves": ("ended", "its process ended with exit code 3"),
    "leaves_well": ("ended", "its process ended with exit code 0"),
    "segfaults": ("ended", rf"its process ended by signal SIGSEGV{PLACE}"),
    "killed": ("ended", "its process ended by signal SIGKILL, as the kernel does where memory runs out"),
    "hangs": ("time-limit", rf"it did not return within 1 s, nor let itself be interrupted{PLACE}"),
}
CASE = ("--case", "special.expit", "--call-limit", "1", "--out", "out")
SAMPLES = (*CASE, "--dtype", "float32", "--part", "samples")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Work in a folder of one's own, with a module there."""
    leave_out_pictures(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    write(GOOD + FATAL)
    yield
    sys.modules.pop("theirs_apart", None)


def write(text):
    sys.modules.pop("theirs_apart", None)
    Path("theirs_apart.py").write_text(text, "utf-8")


def named(*names):
    return [part for name in names for part in ("--subject", f"theirs_apart:{name}")]


def run(*arguments):
    return CliRunner().invoke(main, ["run", *arguments], catch_exceptions=False)


def rows_by_subject():
    found = {}
    for row in json.loads(Path("out/results.json").read_text("utf-8"))["rows"]:
        found.setdefault(row["subject"].rpartition(":")[2], []).append(row)
    return found


def children():
    return psutil.Process().children(recursive=True)


# --- how a process ends ---------------------------------------------------------------------------------------------


def test_whatever_ends_the_process_costs_its_own_rows_only(capfd):
    """Each row says what happened, and where; those of others are all there, whether before or after it."""
    before = children()
    others = ("--subject", "xbce", "--backend", "numpy", "--function", "special.expit")
    result = run(*named(*DEATHS, "good"), *others, *SAMPLES)
    assert result.exit_code == 1
    rows = rows_by_subject()
    assert set(rows) == {*DEATHS, "good", "xbce"}
    for name in ("good", "xbce"):
        (row,) = rows[name]
        assert (row["failure"], row["verdict"]["violations"]) == ("", [])
        assert row["figures"]["count"] > 1000
    for name, (kind, text) in DEATHS.items():
        (row,) = rows[name]
        assert re.fullmatch(text, row["failure"]), row["failure"]
        assert row["verdict"]["violations"] == [{"name": f"failure:{kind}", "text": row["failure"], "waived": ""}]
        assert row["figures"]["count"] == 0
    shown = capfd.readouterr()
    for text in ("Fatal Python error", "Traceback", "most recent call first"):
        assert text not in result.output + shown.err + shown.out
    assert children() == before


def test_each_part_has_its_rows():
    """What was measured before the process ended is kept."""
    write("""
import os, xbce
def loss(x):
    if x.ndim == 0:
        os.abort()
    return xbce.special.expit(x)
""")
    result = run(*named("loss"), *CASE, "--dtype", "float32", "--part", "samples", "--part", "behaviour")
    assert result.exit_code == 1
    samples, behaviour = rows_by_subject()["loss"]
    assert (samples["kind"], samples["failure"]) == ("samples", "")
    assert (behaviour["kind"], behaviour["failure"][:28]) == ("behaviour", "its process ended by signal ")


def test_a_dtype_that_ends_the_process_fails():
    """Half types are tried before anything is measured: that must not end the command either."""
    write("""
import os, numpy as np, xbce
def loss(x):
    if x.dtype == np.float16:
        os.abort()
    if x.dtype.name == "bfloat16":
        raise TypeError("no")
    return xbce.special.expit(x)
""")
    result = run(*named("loss"), *CASE, "--part", "samples")
    assert result.exit_code == 1
    assert [(row["dtype"], bool(row["failure"])) for row in rows_by_subject()["loss"]] == [
        ("float16", True),
        ("float32", False),
        ("float64", False),
    ]
    assert "theirs_apart:loss in bfloat16 on numpy: TypeError: no" in result.output


def test_a_module_that_ends_the_process_cannot_be_loaded():
    write("import os\nos.abort()\n")
    result = run(*named("loss"), *SAMPLES)
    assert result.exit_code == 3
    assert result.output.startswith("Error: theirs_apart:loss: cannot be imported: its process ended by signal SIGABRT")


def test_processes_of_a_subject_do_not_hide_its_end():
    """They hold the connection open. One that is no daemon may be started, too."""
    write("""
import multiprocessing, os, time
def loss(x):
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    with open("pid", "w") as file:
        file.write(str(child.pid))
    os._exit(3)
""")
    start = time.monotonic()
    assert run(*named("loss"), *SAMPLES).exit_code == 1
    psutil.Process(int(Path("pid").read_text("utf-8"))).kill()
    assert time.monotonic() - start < 40
    (row,) = rows_by_subject()["loss"]
    assert row["failure"] == "its process ended with exit code 3"


def test_what_could_not_be_measured_is_tried_again():
    write("""
import os, xbce
def good(x):
    with open("good", "a") as file:
        file.write("x")
    return xbce.special.expit(x)
def loss(x):
    if not os.path.exists("mended"):
        os._exit(3)
    return xbce.special.expit(x)
""")
    arguments = (*named("good", "loss"), *SAMPLES, "--checkpoint", "kept")
    assert run(*arguments).exit_code == 1
    calls = Path("good").read_text("utf-8")
    Path("mended").touch()
    assert run(*arguments).exit_code == 0
    assert [row["failure"] for (row,) in rows_by_subject().values()] == ["", ""]
    assert Path("good").read_text("utf-8") == calls


# --- interrupted ----------------------------------------------------------------------------------------------------

WAITS = """
import os, time
def waits(x):
    with open("pid.new", "w") as file:
        file.write(str(os.getpid()))
    os.rename("pid.new", "pid")
    time.sleep(600)
"""


def interrupted(*options, send):
    """Start the command, wait until it waits for a subject, and return what it wrote."""
    command = [sys.executable, "-m", "xbce_conformance", "run", *named("good", "waits"), *SAMPLES, *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, start_new_session=True, **pipes) as process:
        try:
            end = time.monotonic() + 60
            while not Path("pid").exists() and time.monotonic() < end:
                time.sleep(0.05)
            send(process)
            text, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert errors == ""
    return text, process.returncode


@pytest.mark.parametrize(
    ("options", "send"),
    [
        pytest.param((), lambda process: os.killpg(process.pid, signal.SIGINT), id="Ctrl-C"),
        pytest.param((), lambda process: process.send_signal(signal.SIGTERM), id="SIGTERM"),
        pytest.param(("--seconds", "8"), lambda _: None, id="--seconds"),
    ],
)
def test_an_interrupt_leaves_no_process(options, send):
    write(GOOD + WAITS)
    text, code = interrupted("--call-limit", "600", *options, send=send)
    assert code == 130
    assert "Interrupted after 1 of 2 jobs" in text
    assert set(rows_by_subject()) == {"good"}
    assert not psutil.pid_exists(int(Path("pid").read_text("utf-8")))


def test_a_command_that_is_killed_leaves_no_process():
    """Its subject is called once more at most."""
    write(GOOD + WAITS.replace("600", "2"))
    _, code = interrupted("--call-limit", "600", send=lambda process: process.kill())
    assert code == -signal.SIGKILL
    end = time.monotonic() + 20
    while psutil.pid_exists(int(Path("pid").read_text("utf-8"))) and time.monotonic() < end:
        time.sleep(0.1)
    assert not psutil.pid_exists(int(Path("pid").read_text("utf-8")))
