"""AVX-512 by Bochs: which machines need it, and the suite whose calls are made in one place and judged in another."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from platforms import table
from platforms.bochs import WAIT, Bochs, cpio, mend
from platforms.calls import all_jobs, answer, answered, ask, undone
from platforms.fetch import NoEmulator
from platforms.measure import Bench, NotMeasured
from platforms.table import platforms
from xbce_conformance.judge.runner import rows_of

ROOT = Path(__file__).parents[2]
NUMPY_V4 = table.played_by_bochs(next(platform for platform in platforms() if platform.slug == "numpy-x86-64-v4"))


@pytest.mark.parametrize(("beyond", "machine", "by"), [([], "x86_64", "Bochs"), (["X86_V4"], "x86_64", ""),
                                                       ([], "aarch64", "")])  # fmt: skip
def test_a_machine_that_has_avx_512_measures_itself(monkeypatch, beyond, machine, by):
    monkeypatch.setattr(table, "beyond_v3", lambda: beyond)
    monkeypatch.setattr("platform.machine", lambda: machine)
    found = {platform.slug: platform.played_by for platform in platforms()}
    assert found["numpy-x86-64-v4"] == by
    assert found["numpy-x86-64-v3"] == found["torch-x86-64-v4"] == ""


@pytest.fixture
def asked(tmp_path):
    """Two jobs, what they call their functions with, and their rows."""
    todo, rows = all_jobs("numpy", ["bfloat16"], ["special.expit", "special.softplus"]), []
    ask(todo, tmp_path / "asked", lambda job: rows.append(rows_of(job, "quick")))
    return todo, tmp_path / "asked", rows


def test_what_is_called_elsewhere_comes_to_the_same_rows(asked, tmp_path):
    todo, folder, rows = asked
    answer(todo, range(len(todo)), folder, tmp_path / "answers")
    assert len(rows) == len(todo) == 2
    assert [rows_of(job, "quick") for job in answered(todo, folder, tmp_path / "answers")] == rows
    ask(todo, folder, lambda _: pytest.fail("what is written is not asked again"))


def test_what_is_judged_is_what_came_from_there(asked, tmp_path):
    """A job that returns other numbers there fails here; one that raises there has a row that says so."""
    todo, folder, _ = asked
    expit, softplus = todo

    def raises(_):
        raise ValueError("a fault")

    double = replace(expit, function=replace(expit.function, call=lambda x: expit.function.call(x) * x.dtype.type(2)))
    faulty = replace(softplus, function=replace(softplus.function, call=raises))
    answer([double, faulty], range(2), folder, tmp_path)
    (wrong,), (raised,) = (rows_of(job, "quick") for job in answered(todo, folder, tmp_path))
    assert wrong.figures.max_ulp > 100
    assert wrong.violations
    assert "ValueError: a fault" in raised.failure


def test_a_call_that_was_not_made_there_is_a_failure(asked, tmp_path):
    (job, _), folder, _ = asked
    answer([job], [0], folder, tmp_path)
    (there,) = answered([job], folder, tmp_path)
    (row,) = rows_of(replace(there, asked=["another"]), "quick")
    assert "it was not called with these arguments" in row.failure


def test_calls_go_on_where_they_were_interrupted(asked, tmp_path):
    todo, folder, _ = asked
    answers = tmp_path / "answers"
    assert undone(todo, answers) == [0, 1]
    answer(todo, [1], folder, answers)
    assert undone(todo, answers) == [0]
    whole = (answers / "00001.npz").read_bytes()
    for cut in (0, len(whole) // 2):
        (answers / "00001.npz").write_bytes(whole[:cut])
        assert undone(todo, answers) == [0, 1], f"a file of {cut} bytes is not whole"


class Played(Bochs):
    """Bochs's part, by this processor: it writes below `out` what the computer writes below /work/out."""

    stops_after: int | None = None

    def install(self):
        pass

    def python(self, arguments, code, given, out):
        assert set(code) == {"xbce", "conformance/xbce_conformance", "platforms"}
        out.mkdir(parents=True, exist_ok=True)
        places = {"/work/out": str(out)} | {f"/work/{name}": str(folder) for name, folder in given.items()}
        line = [sys.executable, *arguments]
        for there, here in places.items():
            line = [part.replace(there, here) for part in line]
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
        (out / "stdout").write_text(done.stdout)
        (out / "stderr").write_text(done.stderr)
        if self.stops_after is not None:
            for file in sorted((out / "answers").glob("*.npz"))[self.stops_after :]:
                file.unlink()
            raise KeyboardInterrupt
        return done.returncode


def test_the_computer_is_asked_for_what_is_left(tmp_path, monkeypatch):
    bench = Bench(tmp_path, dtypes=("bfloat16",), functions=("special.expit", "special.softplus"))
    played = Played(tmp_path / "bochs", ROOT / "constraints.txt")
    monkeypatch.setattr(bench, "_bochs", played)
    platform, facts = NUMPY_V4, {"numpy": "1"}
    played.stops_after = 1
    with pytest.raises(KeyboardInterrupt):
        bench.measure(platform, facts, {})
    played.stops_after = None
    (kept,) = tmp_path.glob("numpy-*/answers-*/00000.npz")
    before = kept.stat().st_mtime_ns
    found = bench.measure(platform, facts, {})
    assert [line.case for line in found.rows] == ["special.expit", "special.softplus"]
    assert not found.fails
    assert found.tests is None
    assert kept.stat().st_mtime_ns == before


def test_the_first_files_are_an_archive_that_linux_reads(tmp_path):
    cpio_there = shutil.which("cpio")
    archive = cpio([("bin", 0o40755, b""), ("bin/a", 0o100755, b"12345")])
    assert len(archive) % 4 == 0
    assert archive.startswith(b"070701")
    assert archive.count(b"070701") == 3
    assert b"TRAILER!!!" in archive
    if cpio_there:
        subprocess.run([cpio_there, "-id", "--quiet"], cwd=tmp_path, input=archive, check=True)
        assert (tmp_path / "bin" / "a").read_bytes() == b"12345"


def test_another_source_of_bochs_is_refused(tmp_path):
    decoder = tmp_path / "fetchdecode32.cc"
    decoder.write_text("before\n  i->setSibIndex(i->sibIndex() | (vvv & 0x10));\nafter\n")
    mend(decoder)
    assert decoder.read_text() == "before\n  i->setSibIndex(i->sibIndex() | (vvv & 0x10)); vvv &= 0xf;\nafter\n"
    decoder.write_text("rewritten\n")
    with pytest.raises(NoEmulator, match="has 0 places like"):
        mend(decoder)


def test_a_disk_that_does_not_come_ends_the_computer():
    told = 'b=told; told() { if [ "$1" = poweroff ]; then echo "$@"; exit; fi; }'
    wait = WAIT.replace("/dev/sdb", "/dev/no-such-disk")
    done = subprocess.run(["/bin/sh", "-c", f"{told}\n{wait}"], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "no second disk in ten seconds\npoweroff -f\n"


class Stands(Bochs):
    """The computer with a program in the place of Bochs, and with a disk that reads as the text that is in it."""

    silence = 0.9

    def __init__(self, folder, program):
        super().__init__(folder, ROOT / "constraints.txt")
        for name in ("bochs", "disks"):
            (folder / name).mkdir(parents=True)
        (folder / "disks" / "system.img").touch()
        (folder / "bochs" / "bochs").write_text(f"#!/bin/sh\necho $$ >pid\n{program}\n")
        (folder / "bochs" / "bochs").chmod(0o755)

    def _disk(self, _, image):
        image.touch()

    def _read(self, image, out):
        out.mkdir()
        (out / "code").write_text(image.read_text())

    def ended(self):
        with pytest.raises(ProcessLookupError):
            os.kill(int((self.folder / "pid").read_text()), 0)
        return True


@pytest.mark.parametrize(("says", "last"), [("echo one >console; echo two >>console", "two"), (":", "nothing")])
def test_a_computer_that_hangs_is_ended_and_named(tmp_path, says, last):
    played = Stands(tmp_path / "bochs", f"echo 5 >work.img; {says}; exec sleep 60")
    with pytest.raises(NoEmulator, match=rf"hangs: it did nothing for 0\.015 minutes; it last said {last}$"):
        played.python([], {}, {}, tmp_path / "out")
    assert played.ended()
    assert (tmp_path / "out" / "code").read_text() == "5\n", "what it wrote before is there"


def test_of_a_panic_the_reason_is_named(tmp_path):
    program = "echo '[ 1.0] Kernel panic - not syncing: why' >console; echo '[ 1.1] R10: 0' >>console; exit 1"
    played = Stands(tmp_path / "bochs", program)
    played._read = lambda _, out: out.mkdir()
    with pytest.raises(NoEmulator, match=r"stopped; it said .* Kernel panic - not syncing: why$"):
        played.python([], {}, {}, tmp_path / "out")


@pytest.mark.parametrize("file", ["console", "work.img"])
def test_a_computer_that_works_is_not_ended(tmp_path, file):
    """It takes longer than the time in which it must do something."""
    program = f"for i in $(seq 15); do echo >>{file}; sleep 0.2; done; echo 7 >work.img; exit 1"
    played = Stands(tmp_path / "bochs", program)
    played.silence = 2.5  # far more than the sleeps: a busy machine lets a process wait
    assert played.python([], {}, {}, tmp_path / "out") == 7


def test_a_computer_ends_where_it_is_interrupted(tmp_path, monkeypatch):
    def interrupted(*_):
        while not (played.folder / "work.img").read_text():
            time.sleep(0.01)
        raise KeyboardInterrupt

    played = Stands(tmp_path / "bochs", "echo 5 >work.img; exec sleep 60")
    monkeypatch.setattr("platforms.bochs._changes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        played.python([], {}, {}, tmp_path / "out")
    assert played.ended()
    assert (tmp_path / "out" / "code").read_text() == "5\n"


def test_a_computer_that_hangs_is_not_measured(tmp_path, monkeypatch):
    bench = Bench(tmp_path)
    played = Stands(tmp_path / "bochs", "exec sleep 60")
    monkeypatch.setattr(played, "install", lambda: None)
    monkeypatch.setattr(bench, "_bochs", played)
    with pytest.raises(NotMeasured, match="Bochs plays hangs"):
        bench.facts(NUMPY_V4)


AT_THE_WORST = """
import json, sys, numpy as np
found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
with np.errstate(all="ignore"):
    results = [[getattr(np, name)(np.full(n, float.fromhex(x), dtype)).tolist() for n in (1, 37)]
               for name, dtype, x in json.loads(sys.argv[1])]
print(json.dumps({"version": np.__version__, "found": found, "results": results}))
"""


@pytest.mark.long
def test_numpy_computes_as_with_avx_512(tmp_path):
    """Where errors of processors with AVX-512 are largest; some of the results are others without it.

    In the folder of `make platforms`: the computer takes ten minutes to make.
    """
    folder = ROOT / ".platforms" / "bochs"
    if not (folder / "disks.done").exists():
        pytest.skip("Bochs is not there; `make platforms` on a machine without AVX-512 builds it")
    rows = [
        (row["function"], row["dtype"], row["worst_inputs"][0], float.fromhex(row["worst_computed"]), row["version"])
        for row in json.loads((ROOT / "conformance/results/functions/linux-x86-64-v4.json").read_text("utf-8"))["rows"]
        if row["implementation"].startswith("numpy:") and row["function"] in ("exp", "expm1", "log", "log1p", "tanh")
        if row["dtype"] in ("float32", "float64")
    ]
    arguments = ["-c", AT_THE_WORST, json.dumps([row[:3] for row in rows])]
    assert Bochs(folder, ROOT / "constraints.txt").python(arguments, {}, {}, tmp_path / "out") == 0
    there = json.loads((tmp_path / "out" / "stdout").read_text("utf-8"))
    assert "X86_V4" in there["found"]
    assert {row[-1] for row in rows} == {there["version"]}, "the functions were measured with another NumPy"
    assert len(rows) == len(there["results"]) == 10
    for (function, dtype, at, right, _), (alone, many) in zip(rows, there["results"], strict=True):
        assert (alone, many) == ([right], [right] * 37), f"{function} of {dtype} at {at}"
