"""A run that is interrupted loses nothing, and goes on where it was; it never goes on with what is another run."""

import json
import math
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace

import pytest
from click.testing import CliRunner

from tests.helpers import leave_out_pictures
from xbce_conformance.cases import CASES
from xbce_conformance.cli import main
from xbce_conformance.cli.interrupt import interruptible
from xbce_conformance.judge.resume import RunCheckpoint
from xbce_conformance.measurement.measured import Profiles
from xbce_conformance.results.model import Results
from xbce_conformance.storage import CheckpointFolder
from xbce_conformance.subjects import selection, xbce
from xbce_conformance.subjects.model import Function, Subject

OPTIONS = ["--subject", "xbce", "--backend", "numpy", "--dtype", "float32", "--function", "special.expit"]
OPTIONS += ["--function", "special.softplus", "--function", "special.log_expit", "--function", "reduce"]


def invoke(*arguments):
    return CliRunner().invoke(main, ["run", *map(str, arguments)], catch_exceptions=False)


def data_of(out):
    return json.loads((out / "results.json").read_text("utf-8"))


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    leave_out_pictures(monkeypatch)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The results of a run that nothing interrupts, and that computes all of its exact values."""
    out = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        leave_out_pictures(patch)
        patch.delenv("XBCE_EXACT_VALUES")
        assert invoke(*OPTIONS, "--out", out).exit_code == 0
    return data_of(out)


# --- interrupted ----------------------------------------------------------------------------------------------------

# The command, which stops for good before its third job: so a signal always comes in the middle.
WAITING = """
import sys, time
from dataclasses import replace
import xbce_conformance.judge.runner as runner
from xbce_conformance.report import html
html.error_plot = html.label_plot = lambda *_: ""
measured, jobs = runner._PARTS["samples"], []
def stalled(*arrays):
    print("waiting", flush=True)
    {wait}
def waiting(job, trial, level):
    jobs.append(job)
    if len(jobs) == 3:
        job = replace(job, function=replace(job.function, call=stalled))
    return measured(job, trial, level)
runner._PARTS["samples"] = waiting
from xbce_conformance.cli import main
main()
"""
SLEEP = "time.sleep(600)"
DEAF = """
    try:
        time.sleep(600)
    except KeyboardInterrupt:
        raise ValueError("as some libraries do") from None
"""


def interrupt(number, arguments, cwd, wait=SLEEP):
    """Start the command, send it a signal when it has done two jobs, and return what it wrote and its exit code."""
    command = [sys.executable, "-c", WAITING.format(wait=wait), "run", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=cwd, **pipes) as process:
        try:
            line = process.stdout.readline()
            assert line == "waiting\n", process.communicate(timeout=120)
            process.send_signal(number)
            text, errors = process.communicate(timeout=120)
        finally:
            process.kill()
    assert errors == ""
    return text, process.returncode


@pytest.mark.parametrize(
    ("number", "wait"),
    [
        pytest.param(signal.SIGINT, SLEEP, id="SIGINT, heard", marks=pytest.mark.long),
        pytest.param(signal.SIGTERM, SLEEP, id="SIGTERM, heard"),
        pytest.param(signal.SIGINT, DEAF, id="SIGINT, turned into an error"),
        pytest.param(signal.SIGTERM, DEAF, id="SIGTERM, turned into an error", marks=pytest.mark.long),
    ],
)
def test_an_interrupted_run_goes_on(whole, tmp_path, monkeypatch, number, wait):
    """Its rows are those of a run without an interruption, in the same order; what was done is not done again."""
    arguments = [*OPTIONS, "--checkpoint", "kept", "--out", "out"]
    text, code = interrupt(number, arguments, tmp_path, wait)
    assert code == 130
    total = len(whole["rows"])
    assert f"Interrupted after 2 of {total} jobs. What is done is kept in kept; the same command goes on" in text
    assert "rows of xbce pass" not in text
    data = data_of(tmp_path / "out")
    assert data["rows"] == whole["rows"][:2]
    assert data["missing"]["jobs"] == f"{total - 2} of {total} were not done: the run was interrupted"
    assert f"jobs: absent: {total - 2} of {total} were not done" in (tmp_path / "out" / "report.md").read_text("utf-8")
    assert (tmp_path / "out" / "report.html").exists()
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "kept").glob("job-*.json")}
    assert sorted(file.name for file in kept) == ["job-00000.json", "job-00001.json"]

    monkeypatch.chdir(tmp_path)
    again = invoke(*arguments)
    assert again.exit_code == 0, again.output
    assert "rows of xbce pass" in again.output
    data = data_of(tmp_path / "out")
    assert data["rows"] == whole["rows"]
    assert data["missing"] == whole["missing"]
    assert kept == {file: file.stat().st_mtime_ns for file in kept}


def test_without_a_checkpoint_the_rows_are_written(whole, tmp_path):
    text, code = interrupt(signal.SIGTERM, [*OPTIONS, "--out", "out"], tmp_path)
    assert code == 130
    assert "Nothing is kept to go on from: --checkpoint FOLDER was not given." in text
    assert data_of(tmp_path / "out")["rows"] == whole["rows"][:2]


def test_time_that_is_over_interrupts(whole, tmp_path):
    """In the middle of a job that would last ten minutes."""
    arguments = [*OPTIONS, "--out", "out", "--checkpoint", "kept", "--seconds", "4"]
    command = [sys.executable, "-c", WAITING.format(wait=SLEEP), "run", *arguments]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert run.returncode == 130
    assert run.stderr == ""
    done = len(list((tmp_path / "kept").glob("job-*.json")))
    assert f"Interrupted after {done} of {len(whole['rows'])} jobs" in run.stdout
    assert data_of(tmp_path / "out")["rows"] == whole["rows"][:done]


def test_time_that_is_over_at_once(whole, tmp_path):
    """No row, and reports that say so; the same folder is gone on with."""
    arguments = (*OPTIONS, "--checkpoint", tmp_path / "kept", "--out", tmp_path)
    result = invoke(*arguments, "--seconds", "1e-6")
    assert result.exit_code == 130
    total = len(whole["rows"])
    assert f"Interrupted after 0 of {total} jobs" in " ".join(result.output.split())
    assert data_of(tmp_path)["rows"] == []
    assert f"{total} of {total} were not done" in (tmp_path / "report.html").read_text("utf-8")
    assert invoke(*arguments).exit_code == 0
    assert data_of(tmp_path)["rows"] == whole["rows"]


def test_signals_are_given_back():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]
    with suppress(KeyboardInterrupt), interruptible(1e-3) as stop_if_asked:
        time.sleep(600)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)] == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    with pytest.raises(KeyboardInterrupt):
        stop_if_asked()


# --- another run ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The folder of a run of which nothing was done."""
    folder = tmp_path_factory.mktemp("kept")
    assert invoke(*OPTIONS, "--checkpoint", folder, "--out", folder, "--seconds", "1e-6").exit_code == 130
    return folder


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--level", "full"], r"level: quick there, full now"),
        (["--dtype", "float64"], r"dtypes: \['float32'\] there, \['float32', 'float64'\] now"),
        (["--function", "special.logit"], r"'special.logit', 'reduce'\] now; jobs: 9 \(\w+\) there, 10 \(\w+\) now"),
        (["--subject", "scipy"], r"'xbce \S+ on numpy \S+, cpu', 'scipy \S+ on numpy \S+, cpu'\] now"),
    ],
)
def test_another_run_is_refused(kept, tmp_path, options, reason):
    result = invoke(*OPTIONS, *options, "--checkpoint", kept, "--out", tmp_path)
    assert result.exit_code == 4
    text = " ".join(result.output.split())
    assert re.search(
        rf"{re.escape(str(kept))} holds another run \(.*{reason}.*\); name another folder, or remove it", text
    )
    assert not (tmp_path / "results.json").exists()


def test_other_code_is_another_run(kept, tmp_path):
    """A change that leaves the version as it was."""
    plan = json.loads((kept / "plan.json").read_text("utf-8"))["data"]
    assert set(plan) >= {"xbce", "Python", "processor", "sources", "order", "gradient", "case", "bound"}
    CheckpointFolder(tmp_path / "other", plan | {"sources": "0123456789abcdef"}, kind="run", part="job")
    result = invoke(*OPTIONS, "--checkpoint", tmp_path / "other", "--out", tmp_path)
    assert result.exit_code == 4
    assert f"sources: 0123456789abcdef there, {plan['sources']} now" in " ".join(result.output.split())


def test_other_code_of_ones_own_is_another_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    arguments = ("--subject", "own_sigmoid:f", "--case", "special.expit", "--dtype", "float32", "--checkpoint", "kept")
    (tmp_path / "own_sigmoid.py").write_text("import xbce.special\nf = xbce.special.expit\n", "utf-8")
    assert invoke(*arguments, "--out", "first").exit_code == 0
    (tmp_path / "own_sigmoid.py").write_text("def f(x):\n    return 0 * x\n", "utf-8")
    result = invoke(*arguments, "--out", "second")
    assert result.exit_code == 4
    assert re.search(
        r"own code: \['own_sigmoid:f \w+'\] there, \['own_sigmoid:f \w+'\] now", " ".join(result.output.split())
    )


# --- what is kept ---------------------------------------------------------------------------------------------------


def test_rows_travel_whole(whole, tmp_path):
    """Infinite errors, too."""
    (tmp_path / "results.json").write_text(json.dumps(whole), "utf-8")
    row = Results.read(tmp_path / "results.json").rows[0]
    row = replace(
        row,
        figures=replace(row.figures, max_ulp=math.inf, max_ulp_soft=math.inf),
        regimes={"a": math.inf},
        profiles=Profiles({"0": [None, math.inf]}, [math.inf, None]),
    )
    peer = replace(row, verdict=None, failure="ValueError: no")
    checkpoint = RunCheckpoint(tmp_path / "kept", {})
    checkpoint.keep(7, [row])
    checkpoint.keep(11, [peer])
    assert RunCheckpoint(tmp_path / "kept", {}).rows() == {7: [row], 11: [peer]}
    written = replace(Results.read(tmp_path / "results.json"), rows=[row, peer])
    written.write(tmp_path / "again.json")
    assert Results.read(tmp_path / "again.json") == written


def test_a_corrupt_job_is_named_and_done_again(whole, tmp_path):
    arguments = (*OPTIONS, "--checkpoint", tmp_path / "kept", "--out", tmp_path)
    assert invoke(*arguments).exit_code == 0
    file = tmp_path / "kept" / "job-00001.json"
    kept = file.read_bytes()
    file.write_bytes(kept[:-100])
    result = invoke(*arguments)
    assert result.exit_code == 0
    assert "job-00001.json is corrupt (it is no JSON: " in result.output
    assert data_of(tmp_path)["rows"] == whole["rows"]
    assert file.read_bytes() == kept


def test_a_corrupt_plan_is_named(kept, tmp_path):
    (tmp_path / "plan.json").write_bytes((kept / "plan.json").read_bytes()[:-1])
    result = invoke(*OPTIONS, "--checkpoint", tmp_path, "--out", tmp_path)
    assert result.exit_code == 4
    assert "name another folder, or remove it" in " ".join(result.output.split())


def raising(_x):
    msg = "out of memory"
    raise MemoryError(msg)


def test_a_function_that_fails_costs_its_own_rows_only(tmp_path, monkeypatch):
    """It is named, the exit code is 1, and it is tried again when the run goes on."""
    right = xbce.function_of(next(case for case in CASES if case.name == "special.expit"))
    calls = {"first": raising, "second": right}

    def two(backends, _case):
        case = next(case for case in CASES if case.name == "special.expit")
        functions = tuple(Function(name, ("value",), lambda x, n=name: calls[n](x), case=case) for name in calls)
        yield Subject("xbce", "0", backends["numpy"], ("float32",), functions, judged=True)

    monkeypatch.setitem(selection._FINDERS, "xbce", two)
    options = ("--subject", "xbce", "--backend", "numpy", "--checkpoint", tmp_path / "kept", "--out", tmp_path)
    result = invoke(*options)
    assert result.exit_code == 1
    assert "FAIL: xbce: first, numpy, float32\n    MemoryError: out of memory [failure:raised]\n" in result.output
    assert "rows of xbce pass" not in result.output
    first, second = data_of(tmp_path)["rows"]
    assert (first["failure"], first["figures"]["count"]) == ("MemoryError: out of memory", 0)
    failure = {"name": "failure:raised", "text": "MemoryError: out of memory", "waived": ""}
    assert first["verdict"]["violations"] == [failure]
    assert (second["failure"], second["verdict"]["violations"]) == ("", [])
    calls["first"] = right
    result = invoke(*options)
    assert result.exit_code == 0
    assert [(row["function"], row["failure"]) for row in data_of(tmp_path)["rows"]] == [("first", ""), ("second", "")]


def test_what_a_peer_refuses_is_kept(tmp_path, monkeypatch):
    calls = []

    def one(backends, _case):
        case = next(case for case in CASES if case.name == "special.expit")
        function = Function("f", ("value",), lambda x: (calls.append(x), raising(x)), case=case)
        yield Subject("scipy", "0", backends["numpy"], ("float32",), (function,))

    monkeypatch.setitem(selection._FINDERS, "scipy", one)
    options = ("--subject", "scipy", "--backend", "numpy", "--checkpoint", tmp_path / "kept", "--out", tmp_path)
    for _ in range(2):
        assert invoke(*options).exit_code == 0
        (row,) = data_of(tmp_path)["rows"]
        assert (row["failure"], row["verdict"]) == ("MemoryError: out of memory", None)
    assert len(calls) == 1


def test_rows_with_exact_values_that_are_kept(whole, tmp_path):
    folder = tmp_path / "exact"
    files = []
    for out in ("first", "second"):
        assert invoke(*OPTIONS, "--exact-values", folder, "--out", tmp_path / out).exit_code == 0
        assert data_of(tmp_path / out)["rows"] == whole["rows"]
        files.append({file: file.stat().st_mtime_ns for file in folder.iterdir()})
    assert len(files[0]) == 4  # one per case: all its rows share them
    assert files[0] == files[1]
