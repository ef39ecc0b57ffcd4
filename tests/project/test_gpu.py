"""`make gpu` without a GPU: plan, limits, what an interruption leaves, and that a rehearsal is marked as one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gpu import gather, record, wheels
from gpu.device import NoDevice, find_device, slug
from gpu.parts import STAND_INS, Part, parts
from gpu.run import Ledger, Outcome, Runner
from gpu.screen import expected

ROOT = Path(__file__).parents[2]


def _gpu(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "gpu", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, **options
    )


def _is_here() -> bool:
    try:
        find_device()
    except NoDevice:
        return False
    return True


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(_is_here(), reason="there is a GPU")
def test_without_a_gpu_it_says_so():
    done = _gpu()
    assert done.returncode == 3
    assert done.stderr.startswith("no GPU: the CUDA driver ")
    assert done.stderr.endswith("`make gpu ARGS=--rehearse` goes the whole way on the CPU.\n")


def test_the_plan_is_printed():
    done = _gpu("--plan", "--jobs", "4", env=os.environ | {"COLUMNS": "200"})
    assert done.returncode == 0
    for part in parts(Path(), rehearsal=False):
        assert f"│ {part.name} " in done.stdout
    assert "295 s in all, 4 parts side by side where they may be" in done.stdout


def test_a_part_that_there_is_not_is_named():
    done = _gpu("--only", "conformance", "--plan")
    assert done.returncode == 2
    assert "--only: conformance is none of environment, tests, conformance-cupy, " in done.stderr


def test_it_fits_into_five_minutes_and_has_timings_last():
    every = parts(Path(), rehearsal=False)
    assert expected(every, jobs=4) <= 300
    assert [part.name for part in every if part.stage == every[-1].stage] == ["benchmarks"]
    assert [part.stage for part in every] == sorted(part.stage for part in every)


def test_a_rehearsal_has_the_same_parts_and_no_device():
    real, rehearsed = (parts(Path("work"), rehearsal=rehearsal) for rehearsal in (False, True))
    stand_in = {device.replace(":", "-"): name.replace(":", "-") for device, name in STAND_INS.items()}
    for one, other in zip(real, rehearsed, strict=True):
        kind, _, device = one.name.partition("-")
        assert other.name == (f"{kind}-{stand_in[device]}" if device else kind)
        assert not [argument for argument in other.arguments if "cuda" in argument or "cupy" in argument]


@pytest.mark.parametrize(
    ("name", "folder"), [("NVIDIA H100 80GB HBM3", "nvidia-h100-80gb-hbm3"), ("Tesla V100 (SXM2)", "tesla-v100-sxm2")]
)
def test_a_device_names_a_folder(name, folder):
    assert slug(name) == folder


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_rehearsal_goes_the_whole_way_though_it_is_interrupted(tmp_path):
    """In a copy of the tree: what was done here before would be taken up."""
    hidden = shutil.ignore_patterns(".*", "__pycache__")
    for folder in ("xbce", "conformance", "gpu", "benchmarks", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=hidden)
    shutil.rmtree(tmp_path / "conformance" / "results")
    options = {"cwd": tmp_path, "env": {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}}
    command = [sys.executable, "-m", "gpu", "--rehearse", "--seconds", "900"]
    process = subprocess.Popen(command, **options)

    def outcomes():
        found = [*tmp_path.glob(".gpu/rehearsal-*/parts.json")]
        return Ledger(found[0]).outcomes if found else {}

    while not any(part.startswith("conformance") for part in outcomes()):
        assert process.poll() is None
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    before = outcomes()
    assert subprocess.run(command, check=False, **options).returncode == 0
    after = outcomes()
    assert {part: after[part] for part, o in before.items() if o.status == "done"} == {
        part: o for part, o in before.items() if o.status == "done"
    }
    assert {o.status for o in after.values()} == {"done"}
    assert len(after) == len(parts(Path(), rehearsal=True))
    files = sorted(tmp_path.glob(".gpu/results/rehearsal-on-the-cpu/*"))
    assert [file.name for file in files] == [
        "benchmarks.json", "functions.json", "results.json", "run.json", "tests.json",
    ]  # fmt: skip


# --- the runner -----------------------------------------------------------------------------------------------------


def _part(folder: Path, name: str, code: str, *, stage: int = 0, seconds: int = 20) -> Part:
    return Part(name, "", stage, seconds, ("-c", f"out = {str(folder / name)!r}\n{code}"), folder / name / "out")


_WRITES = "open(out + '/out', 'a').write('x')"


def _run(folder: Path, *todo: Part, jobs: int = 2) -> dict[str, Outcome]:
    ledger = Ledger(folder / "parts.json")
    Runner(ledger, folder, dict(os.environ), jobs, lambda *_: None).run(todo)
    assert Ledger(folder / "parts.json").outcomes == ledger.outcomes
    return ledger.outcomes


def test_what_fails_costs_the_others_nothing(tmp_path):
    outcomes = _run(
        tmp_path,
        _part(tmp_path, "raises", "raise ValueError"),
        _part(tmp_path, "dies", f"{_WRITES}; import os; os.abort()"),
        _part(tmp_path, "writes nothing", "pass"),
        _part(tmp_path, "finds", f"{_WRITES}; raise SystemExit(1)"),
        _part(tmp_path, "works", _WRITES, stage=1),
    )
    assert {name: (o.status, o.found_faults) for name, o in outcomes.items()} == {
        "raises": ("failed", False),
        "dies": ("failed", False),
        "writes nothing": ("failed", False),
        "finds": ("done", True),
        "works": ("done", False),
    }
    assert "ValueError" in (tmp_path / "raises.log").read_text("utf-8")


def test_what_takes_too_long_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr("gpu.run._GRACE", 1.0)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    child = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {deaf!r}]); time.sleep(60)"
    begin = time.monotonic()
    outcomes = _run(
        tmp_path,
        _part(tmp_path, "deaf", deaf, seconds=1),
        _part(tmp_path, "with a child", child, seconds=1),
        _part(tmp_path, "works", _WRITES, stage=1),
    )
    assert [o.status for o in outcomes.values()] == ["cut off", "cut off", "done"]
    assert time.monotonic() - begin < 30
    assert outcomes["deaf"].code == -signal.SIGKILL


def test_parts_of_one_stage_run_side_by_side_and_of_another_after_it(tmp_path):
    """Two wait for each other; the third would wait for ever if it ran beside them."""
    meets = "import pathlib, time; pathlib.Path(out + '/here').touch()\nwhile not {other}: time.sleep(0.01)\n" + _WRITES
    here = "pathlib.Path({!r}).exists()"
    one, two = (
        _part(tmp_path, name, meets.format(other=here.format(str(tmp_path / other / "here"))))
        for name, other in (("one", "two"), ("two", "one"))
    )
    alone = f"import pathlib; assert pathlib.Path({str(tmp_path / 'two' / 'out')!r}).exists()\n{_WRITES}"
    outcomes = _run(tmp_path, one, two, _part(tmp_path, "alone", alone, stage=1), jobs=3)
    assert [o.status for o in outcomes.values()] == ["done"] * 3


def test_what_is_done_is_not_done_again(tmp_path):
    once = _part(tmp_path, "once", _WRITES)
    again = _part(tmp_path, "again", f"{_WRITES}; raise SystemExit(2)")
    for _ in range(2):
        _run(tmp_path, once, again)
    assert once.result.read_text() == "x"
    assert again.result.read_text() == "xx"
    once.result.unlink()  # without its result it is not done
    _run(tmp_path, once)
    assert once.result.exists()


_INTERRUPTED = """
import os, sys
from pathlib import Path
from gpu.run import Ledger, Runner
from tests.project.test_gpu import _part, _WRITES
folder = Path(sys.argv[1])
waits = "import pathlib, time\\nopen(out + '/out', 'a').write('x')\\n"
waits += "while not pathlib.Path(out + '/go').exists(): time.sleep(0.01)"
todo = _part(folder, "quick", _WRITES), _part(folder, "slow", waits, stage=1), _part(folder, "last", _WRITES, stage=2)
try:
    Runner(Ledger(folder / "parts.json"), folder, dict(os.environ), 2, lambda *_: None).run(todo)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.long), signal.SIGTERM])
def test_an_interruption_loses_nothing(tmp_path, number):
    command = [sys.executable, "-c", _INTERRUPTED, str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT)
    slow = tmp_path / "slow" / "out"
    while not slow.exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait(30) == 130
    outcomes = Ledger(tmp_path / "parts.json").outcomes
    assert [(name, o.status) for name, o in outcomes.items()] == [("quick", "done"), ("slow", "interrupted")]
    (tmp_path / "slow" / "go").touch()
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0
    assert [o.status for o in Ledger(tmp_path / "parts.json").outcomes.values()] == ["done"] * 3
    assert [(tmp_path / name / "out").read_text() for name in ("quick", "slow", "last")] == ["x", "xx", "x"]


# --- the results ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rehearsal", [True, False])
def test_every_file_says_whether_it_is_of_a_rehearsal(tmp_path, rehearsal):
    work, out = tmp_path / "work", tmp_path / "out"
    every = parts(work, rehearsal=rehearsal)
    for name, text in {
        "environment/environment.json": '{"driver": []}',
        "functions/functions.json": '{"rows": []}',
        "benchmarks/benchmarks.json": '{"rows": []}',
        "tests/tests.jsonl": '{"test": "a", "outcome": "passed", "seconds": 0}\n{"test": "b", "outc',
    }.items():
        (work / name).parent.mkdir(parents=True)
        (work / name).write_text(text)
    results = json.loads((ROOT / "conformance" / "results" / "cpu" / "results.json").read_text("utf-8"))
    swept = next(part for part in every if part.name.startswith("sweep"))
    swept.result.parent.mkdir(parents=True)
    swept.result.write_text(json.dumps(results | {"rows": results["rows"][:3]}))
    (work / "logs").mkdir()
    (work / "logs" / "tests.log").write_text("why it failed")
    files = gather.gather(every, {"tests": Outcome("failed", 3, 1.0)}, work, out, rehearsal=rehearsal)
    assert [file.name for file in files] == [
        "benchmarks.json", "functions.json", "results.json", "run.json", "tests.json",
    ]  # fmt: skip
    for file in files:
        data = json.loads(file.read_text("utf-8"))
        marked = data["environment"].get("device", "") if file.name == "results.json" else data.get("device", "")
        assert (marked == "a rehearsal on the CPU: no device") is rehearsal
        assert file.name == "results.json" or data["rehearsal"] is rehearsal
    run = json.loads((out / "run.json").read_text("utf-8"))["parts"]
    assert run["tests"]["log"] == "why it failed"
    assert run["functions"]["status"] == "not run"
    assert json.loads((out / "tests.json").read_text("utf-8"))["tests"] == [
        {"test": "a", "outcome": "passed", "seconds": 0}
    ]


def test_a_folder_that_cannot_be_brought_back_is_refused(tmp_path, monkeypatch):
    every = parts(tmp_path / "work", rehearsal=True)
    monkeypatch.setattr(gather, "MOST_BYTES", 10)
    with pytest.raises(RuntimeError, match=r"run.json has [\d,]+ bytes; at most 10 can be brought back"):
        gather.gather(every, {}, tmp_path / "work", tmp_path / "out", rehearsal=True)
    monkeypatch.setattr(gather, "MOST_BYTES", 10**9)
    monkeypatch.setattr(gather, "MOST_FILES", 0)
    with pytest.raises(RuntimeError, match="has 1 files; at most 0 can be brought back"):
        gather.gather(every, {}, tmp_path / "work", tmp_path / "out", rehearsal=True)


_TESTS = """
import pytest

def test_passes(): pass
def test_fails(): assert 1 == 2
@pytest.mark.skip(reason="no reason")
def test_skips(): pass
@pytest.fixture
def broken(): raise OSError
def test_errs(broken): pass
"""


def test_each_test_is_recorded_and_what_has_passed_is_not_run_again(tmp_path):
    (tmp_path / "test_some.py").write_text(_TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "gpu.record", "-p", "no:cacheprovider", "-c", os.devnull]
    command += [f"--rootdir={tmp_path}", f"--out={tmp_path / 'out'}", str(tmp_path)]
    for tests in ("1 passed", "1 deselected"):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert tests in done.stdout
    outcomes = record.read(tmp_path / "out" / record.FILE)
    assert {name.rpartition("::")[2]: outcome["outcome"] for name, outcome in outcomes.items()} == {
        "test_passes": "passed",
        "test_fails": "failed",
        "test_skips": "skipped",
        "test_errs": "failed",
    }
    reasons = {name.rpartition("::")[2]: outcome.get("reason", "") for name, outcome in outcomes.items()}
    assert "assert 1 == 2" in reasons["test_fails"]
    assert "OSError" in reasons["test_errs"]
    assert "no reason" in reasons["test_skips"]
    (tmp_path / "test_some.py").write_text("def test_passes(): pass")
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0


# --- wheels ---------------------------------------------------------------------------------------------------------


def test_every_wheel_is_known_and_has_a_version():
    lines = (ROOT / "gpu" / "wheels.txt").read_text("utf-8").splitlines()
    names = [line for line in lines if not line.startswith("#")]
    assert names == [*wheels._MODULES]
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    assert {name.replace("-", "_") for name in names} <= {line.partition("==")[0].replace("-", "_") for line in lines}


def test_what_a_machine_must_have_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(wheels, "_GIVEN", ("numpy", "xbce_not_there", "nor_this"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(wheels.NoWheel, match=" has no xbce_not_there, nor_this; `make test` makes an environment "):
        wheels.install(tmp_path, tmp_path / "site")


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(wheels, "_MODULES", {"not-there": "xbce_not_there"})
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(wheels.NoWheel, match=r"not-there is not installed, and .* has no wheel of it; `make "):
        wheels.install(tmp_path, tmp_path / "site")
