"""`make platforms`: levels that are really played, what goes on after an interruption, and the committed results."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from platforms import table
from platforms.condensed import Condensed, Line, condense
from platforms.emulator import Emulator
from platforms.fetch import Fetched, NoEmulator, run
from platforms.measure import Bench, Interrupted, NotMeasured, nothing, read_tests
from platforms.page import FOLDER, page
from platforms.table import V2, V3, V4, numpy_features, platforms
from tests.helpers import some_long
from xbce_conformance import measure

ROOT = Path(__file__).parents[2]
FILES = sorted(FOLDER.glob("*.json"))
SCHEMA = json.loads((ROOT / "docs" / "platforms.schema.json").read_text("utf-8"))
BY_SLUG = {platform.slug: platform for platform in platforms()}
NUMPY_V2 = BY_SLUG["numpy-x86-64-v2"]

if os.environ.get("NPY_DISABLE_CPU_FEATURES"):
    pytest.skip("NumPy is kept from instructions already", allow_module_level=True)


def command(*arguments, **options):
    line = [sys.executable, "-m", "platforms", *arguments]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, **options)


# --- levels ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not numpy_features(), reason="NumPy finds nothing here to leave out")
def test_numpy_is_kept_at_a_level():
    """What NumPy is told not to use is what it has code for: exp of v2 has other bits than that of this processor."""
    line = "import numpy as np; print(np.exp(np.linspace(-1, 0, 4096, dtype=np.float32)).tobytes().hex())"
    plain, v2 = (
        subprocess.run([sys.executable, "-c", line], env=os.environ | more, capture_output=True, check=True).stdout
        for more in ({}, NUMPY_V2.environment)
    )
    assert plain != v2


PROBED = {slug: slug for slug, platform in BY_SLUG.items() if not platform.played_by}
# Every level by NumPy, and one by each variable that tells the others.
USUAL = {slug for slug in PROBED if slug.startswith("numpy-")} | {"torch-x86-64-v2", "jax-x86-64-v3"}


@pytest.mark.parametrize("slug", some_long(PROBED, USUAL))
def test_a_probe_finds_the_level_or_says_why_not(slug, tmp_path):
    platform, why_not = BY_SLUG[slug], ""
    try:
        facts, _ = Bench(tmp_path).facts(platform)
    except NotMeasured as reason:
        why_not = str(reason)
    if why_not:
        assert platform.level != V2, f"every processor that NumPy runs on has this level: {why_not}"
        assert why_not.endswith(f"not at {platform.level}")
    else:
        assert facts["level"] == platform.level
        assert facts["numpy"] == np.__version__


def test_a_level_that_is_not_reached_is_named(tmp_path):
    kept_too_low = replace(BY_SLUG["numpy-x86-64-v4"], environment=NUMPY_V2.environment, played_by="")
    with pytest.raises(NotMeasured, match=f"the library computes at {V2}, not at {V4}"):
        Bench(tmp_path).facts(kept_too_low)


def test_a_library_that_is_absent_is_named(tmp_path):
    absent = replace(NUMPY_V2, backend="torch:cuda")
    with pytest.raises(NotMeasured, match="ImportError: no CUDA device was found"):
        Bench(tmp_path).facts(absent)


def test_every_library_has_every_level():
    assert {(p.library, p.level) for p in BY_SLUG.values()} == {
        (library, level) for library in ("numpy", "torch", "jax") for level in (V2, V3, V4, "aarch64")
    }


# --- the command ----------------------------------------------------------------------------------------------------


def test_a_trial_measures_resumes_and_writes_a_page(tmp_path, monkeypatch):
    monkeypatch.setattr("platforms.measure.TESTS", ("tests/special/test_special.py",))
    bench = Bench(tmp_path / "work", dtypes=("float32",), functions=("special.expit",))
    facts, lacks = bench.facts(NUMPY_V2)
    monkeypatch.setattr(Bench, "_tests", lambda *_: None)
    found = bench.measure(NUMPY_V2, facts, lacks)
    assert not lacks
    assert [(line.case, line.dtype) for line in found.rows] == [("special.expit", "float32")]
    assert not found.fails
    assert found.summary == "all 1 quantities pass"
    (checkpoint,) = (tmp_path / "work").glob("*/checkpoint-*")
    kept = {file: file.stat().st_mtime_ns for file in checkpoint.iterdir()}
    assert bench.measure(NUMPY_V2, facts, lacks).rows == found.rows
    assert {file: file.stat().st_mtime_ns for file in checkpoint.iterdir()} == kept
    found.write(tmp_path / "numpy-x86-64-v2.json")
    assert Condensed.read(tmp_path / "numpy-x86-64-v2.json") == found
    (line,) = found.rows
    assert f"| special.expit, value | 4.00 | {line.ulp:.2f} |" in page(tmp_path)


def test_what_is_done_is_not_measured_again(tmp_path, monkeypatch):
    from platforms.__main__ import _measured

    bench, file = Bench(tmp_path), tmp_path / "x.json"
    monkeypatch.setattr(bench, "facts", lambda _: ({"numpy": "1", "sources": "a"}, {}))
    known = replace(nothing(NUMPY_V2, ""), facts={"numpy": "1", "sources": "a"})
    known.write(file)
    assert _measured(bench, NUMPY_V2, file, again=False) == known
    monkeypatch.setattr(bench, "measure", lambda *_: replace(known, absent="measured"))
    assert _measured(bench, NUMPY_V2, file, again=True).absent == "measured"
    known.write(file)
    monkeypatch.setattr(bench, "facts", lambda _: ({"numpy": "1", "sources": "b"}, {}))
    assert _measured(bench, NUMPY_V2, file, again=False).absent == "measured"


@pytest.mark.parametrize("code", [130, 2])
def test_a_suite_that_does_not_end_is_no_result(tmp_path, monkeypatch, code):
    bench = Bench(tmp_path)
    monkeypatch.setattr(bench, "_python", lambda *_, **__: subprocess.CompletedProcess([], code))
    with pytest.raises(Interrupted if code == 130 else NotMeasured):
        bench.measure(NUMPY_V2, {"numpy": "1"}, {})


def test_the_plan_is_printed():
    done = command("--plan", env=os.environ | {"COLUMNS": "120"})
    assert done.returncode == 0
    assert all(slug in done.stdout for slug in BY_SLUG)


def test_a_trial_never_overwrites_results():
    done = command("--only", "numpy-x86-64-v2", "--dtype", "float32")
    assert done.returncode == 2
    assert "a trial needs --out" in done.stderr


def test_tests_are_counted(tmp_path):
    report = tmp_path / "tests.xml"
    report.write_text(
        '<testsuites><testsuite><testcase classname="a" name="1"/>'
        '<testcase classname="a" name="2"><failure/></testcase><testcase classname="a" name="3"><skipped/></testcase>'
        '<testcase classname="a" name="4"><error/></testcase></testsuite></testsuites>'
    )
    found = read_tests(report)
    assert (found.passed, found.skipped, found.failed) == (1, 1, ["a::2", "a::4"])


def test_an_emulator_that_cannot_be_fetched_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NoEmulator, match="apt-get is not installed"):
        Emulator(tmp_path, ROOT / "constraints.txt").install("numpy")
    with pytest.raises(NotMeasured, match=r"not installed, and needed to build Bochs: apt-get, make, g\+\+"):
        Bench(tmp_path).facts(table.played_by_bochs(BY_SLUG["numpy-x86-64-v4"]))
    assert not [*tmp_path.glob("*.done")]
    assert not (tmp_path / "bochs").exists(), "it was asked for before anything was fetched"


def test_a_part_is_made_anew_where_an_attempt_did_not_end(tmp_path):
    fetched, part = Fetched(tmp_path, ROOT / "constraints.txt"), tmp_path / "site"

    def killed():
        (part / "half").mkdir()
        raise KeyboardInterrupt

    def whole():
        assert not [*part.iterdir()], "pip keeps a folder that is there, however little is in it"
        (part / "whole").touch()

    with pytest.raises(KeyboardInterrupt):
        fetched.once("site", killed)
    assert (part / "half").is_dir()
    fetched.once("site", whole)
    fetched.once("site", lambda: pytest.fail("it is done"))
    with pytest.raises(KeyboardInterrupt):
        fetched.once("site", killed, "another recipe")
    assert [file.name for file in tmp_path.iterdir()] == ["site"], "what was done is so no more"
    fetched.once("site", whole, "another recipe")
    assert [file.name for file in part.iterdir()] == ["whole"]


SAID = {
    "autoconf": ("configure: error: no compiler\nSee `config.log' for more details\n", "configure: error: no compiler"),
    "apt": (
        "W: old\nE: Failed to fetch a\nE: Failed to fetch b\nE: Some failed\n",
        "E: Failed to fetch a; E: Some failed",
    ),
    "pip": ("ERROR: No matching distribution\n\n[notice] a new release\n", "ERROR: No matching distribution"),
    "nothing of an error": ("one\ntwo\n", "two"),
    "blank": ("\n", "exit code 3"),
}


@pytest.mark.parametrize("stream", [1, 2])
@pytest.mark.parametrize("name", SAID)
def test_a_command_that_fails_says_why(name, stream):
    said, reason = SAID[name]
    with pytest.raises(NoEmulator) as raised:
        run(["sh", "-c", f'printf %s "$1" >&{stream}; exit 3', "sh", said])
    assert str(raised.value).endswith(f" ...: {reason}")


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt-get is not installed")
def test_lists_that_cannot_be_fetched_are_no_success(tmp_path):
    """An archive that cannot be reached: apt-get itself ends with 0."""
    listed = tmp_path / "source.list"
    listed.write_text("deb [trusted=yes] http://127.0.0.1:9/debian bookworm main\n")
    options = Fetched(tmp_path, ROOT / "constraints.txt").apt("apt", "amd64")
    options += ["-o", f"Dir::Etc::SourceList={listed}", "-o", "Dir::Etc::SourceParts=/dev/null"]
    options += ["-o", "Acquire::Retries=0", "-o", "Acquire::http::Proxy=DIRECT"]
    with pytest.raises(NoEmulator, match=r"E: Failed to fetch http://127\.0\.0\.1:9/.*[Cc]onnect"):
        run(["apt-get", *options, "update"])


# --- what is kept ---------------------------------------------------------------------------------------------------


def halved(logits, labels):
    return (np.logaddexp(0, logits) - logits * labels) / 2


def test_the_worst_function_stands_for_a_quantity():
    results = measure(halved, dtypes=["float32"], parts=["samples"])
    (row,) = results.rows
    better = replace(row, function="better", figures=replace(row.figures, max_ulp=0.25))
    (line,) = condense(replace(results, rows=[better, row]))
    assert (line.function, line.functions, line.violations) == (row.function, 2, row.violations)
    assert line.violations
    passing = replace(row, function="passing", verdict=replace(row.verdict, violations=[]))
    (line,) = condense(replace(results, rows=[replace(passing, figures=row.figures), better]))
    assert line.violations == better.violations, "what fails counts, however small its error is"


def test_forms_of_arrays_count_where_they_fail():
    """Their errors are those of the samples again."""
    results = measure(halved, dtypes=["float32"], parts=["samples", "behaviour"])
    row, forms = results.rows
    right = replace(forms, verdict=replace(forms.verdict, violations=[]), figures=replace(row.figures, max_ulp=np.inf))
    (line,) = condense(replace(results, rows=[row, right]))
    assert (line.functions, line.ulp) == (1, round(row.figures.max_ulp, 4))
    passing = replace(row, verdict=replace(row.verdict, violations=[]))
    (line,) = condense(replace(results, rows=[passing, forms]))
    assert (line.functions, line.violations) == (1, forms.violations)


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_committed_results_have_the_schema(file):
    data = json.loads(file.read_text("utf-8"))
    jsonschema.validate(data, SCHEMA)
    found = Condensed.read(file)
    assert found.slug == file.stem
    assert bool(found.rows) != bool(found.absent)
    assert file.stat().st_size < 400_000


def test_the_page_is_that_of_the_results():
    assert (FOLDER / "README.md").read_text("utf-8") == page()


def test_all_platforms_are_on_the_page():
    text = (FOLDER / "README.md").read_text("utf-8")
    assert {file.stem for file in FILES} == {*BY_SLUG}
    for name in ("Windows", "macOS", "musl"):
        assert f"| {name} | | | not measured: " in text


def test_a_failure_stands_on_the_page(tmp_path):
    line = Line("c", "value", "float32", 1, "f", 5.0, {"hard": 4.0, "soft": 4.0}, ["5 ULP"], "", {"logits": "0x1p+0"})
    facts = {"processor": "p", "numpy": "1"}
    replace(nothing(NUMPY_V2, ""), date="2026-01-31", facts=facts, rows=[line]).write(tmp_path / "a.json")
    absent = nothing(BY_SLUG["numpy-x86-64-v3"], "why not")
    absent.write(tmp_path / "b.json")
    text = page(tmp_path)
    assert "- numpy-x86-64-v2: f [value], float32: 5 ULP; at logits = 0x1p+0" in text
    assert "| c, value | 4.00 | **5.00 FAIL** |" in text
    assert f"| numpy-x86-64-v3 | {absent.date} | numpy | not measured: why not |" in text
    assert "| [numpy-x86-64-v2](numpy-x86-64-v2.json) | 2026-01-31 | numpy 1 on p |" in text
