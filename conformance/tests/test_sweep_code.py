"""A sweep is of the code of now: checkpoints of other code are done again, and workers import what has changed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from xbce_conformance.cli import main
from xbce_conformance.subjects.backends import find_backends
from xbce_conformance.subjects.selection import Choice
from xbce_conformance.subjects.source import digest_of_modules, own_modules
from xbce_conformance.subjects.xbce import find_xbce
from xbce_conformance.sweep import Plan, sweep, sweep_results, target_of
from xbce_conformance.sweep.checkpoint import Checkpoint
from xbce_conformance.sweep.facts import OtherCode, changed
from xbce_conformance.sweep.outcome import Failed, Outcome
from xbce_conformance.sweep.tally import Tally

RANGE = (0x3F800000, 0x3F800400)
RIGHT = "import numpy as np\ndef f(x, z):\n    return np.where(z == 1, np.log1p(np.exp(-x)), np.logaddexp(0, x))\n"
ZEROS = "import numpy as np\ndef f(x, z):\n    return np.zeros_like(x)\n"
XBCE = target_of(next(find_xbce(find_backends(("numpy",))[0])))


@pytest.fixture(scope="module")
def scheduler():
    """A cluster that outlives sweeps: one worker, a process of its own."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def swept(scheduler, spec, *options):
    """Return the exit code, the output and the rows of a sweep of 1,024 logits in four chunks."""
    bits = ("--bits", ":".join(f"{end:x}" for end in RANGE), "--chunk", "512", "--labels", "hard")
    arguments = ("--subject", spec, *bits, "--quantity", "value", "--scheduler", scheduler, *options)
    result = CliRunner().invoke(main, ["sweep", *arguments], catch_exceptions=False)
    rows = json.loads(Path("conformance-sweep/results.json").read_text("utf-8"))["rows"]
    return result.exit_code, " ".join(result.output.split()), rows


def times():
    return {file.name: file.stat().st_mtime_ns for file in Path("conformance-sweep").rglob("chunk-*.json")}


# --- checkpoints of other code --------------------------------------------------------------------------------------


def test_other_source_is_done_again_and_said(here, scheduler):
    """By a worker that has imported the module as it was, too."""
    (here / "good_or_not.py").write_text(RIGHT, "utf-8")
    code, output, (row,) = swept(scheduler, "good_or_not:f")
    assert code == 0, output
    assert "done again" not in output
    assert (row["figures"]["count"], row["verdict"]["violations"]) == (2048, [])
    before = times()
    assert len(before) == 4

    code, output, _ = swept(scheduler, "good_or_not:f")
    assert (code, times()) == (0, before)

    (here / "good_or_not.py").write_text(ZEROS, "utf-8")
    code, output, (row,) = swept(scheduler, "good_or_not:f")
    said = "float32 sweep of good_or_not:f on numpy: its source changed since the checkpoint; 4 chunks are done again"
    assert said in output
    assert code == 1
    assert row["figures"]["zero_for_normal"] == 2048

    (here / "good_or_not.py").write_text(RIGHT, "utf-8")
    code, output, (row,) = swept(scheduler, "good_or_not:f")
    assert said in output
    assert (code, row["verdict"]["violations"]) == (0, [])


def test_source_beside_is_source_too(here, scheduler):
    """Of a package all its files, and a module in the same folder that it imports."""
    package = here / "packed"
    package.mkdir()
    (package / "__init__.py").write_text("from packed.inner import f\n", "utf-8")
    (package / "inner.py").write_text("import beside\nfrom . import outer\nf = beside.f\n", "utf-8")
    (package / "outer.py").write_text("", "utf-8")
    (here / "beside.py").write_text(RIGHT, "utf-8")
    assert swept(scheduler, "packed:f")[0] == 0
    digests = {digest_of_modules(("packed",))}
    (package / "outer.py").write_text("# changed\n", "utf-8")
    digests.add(digest_of_modules(("packed",)))
    (here / "beside.py").write_text(ZEROS, "utf-8")
    digests.add(digest_of_modules(("packed",)))
    assert len(digests) == 3
    code, output, (row,) = swept(scheduler, "packed:f")
    assert "its source changed since the checkpoint; 4 chunks are done again" in output
    assert (code, row["figures"]["zero_for_normal"]) == (1, 2048)


def test_which_modules_are_ones_own(monkeypatch):
    monkeypatch.setattr("xbce_conformance.subjects.source.entry_points", lambda: {"theirs": "their.losses:loss"})
    assert own_modules("mine.inner:loss", "slopes:gradient") == ("mine", "slopes")
    assert own_modules("theirs") == ("their",)
    assert own_modules("xbce") == own_modules("torch", "slopes:gradient") == ()


def test_facts_name_what_figures_depend_on():
    facts = dict(XBCE.facts)
    assert facts.keys() == {
        "suite", "source", "xbce", "numpy", "array-api-compat", "Python", "device", "processor level",
    }  # fmt: skip
    others = {"numpy": "1.0", "source": "0" * 16}
    before = tuple((name, others.get(name, text)) for name, text in XBCE.facts)
    assert changed(before, XBCE.facts) == f"numpy (1.0, now {facts['numpy']}), its source"
    assert changed(XBCE.facts, XBCE.facts) == ""


def test_only_what_differs_is_done_again(tmp_path):
    """A target of other versions, in the chunks that have it; a failure is tried again."""
    other = replace(XBCE, subject="other")
    old = replace(other, facts=tuple((name, "1.0" if name == "numpy" else text) for name, text in other.facts))
    plan = Plan("float32", (XBCE, other), ("value",), 0, 2**25)
    said = []
    checkpoint = Checkpoint(tmp_path, plan, said.append)
    good, failed = Outcome({"a": Tally(count=1)}), Outcome(failures={"a": Failed("raised", "no", "0x0p+0", "0x0p+0")})
    checkpoint.keep(0, {XBCE: good, other: good}, 1.0)
    checkpoint.keep(1, {XBCE: good, old: good}, 1.0)
    checkpoint.keep(2, {XBCE: failed, other: good}, 1.0)
    assert checkpoint.todo() == {1: (other,), 2: (XBCE,), 3: (XBCE, other)}
    version = f"numpy (1.0, now {dict(other.facts)['numpy']})"
    assert said == [
        f"float32 sweep of other on numpy: {version} changed since the checkpoint; 1 chunk is done again",
        "float32 sweep of xbce on numpy: it failed; 1 chunk is done again",
    ]
    assert len(list(checkpoint.chunks())) == 2
    checkpoint.keep(1, {other: good}, 0.5)
    assert checkpoint.todo().keys() == {2, 3}
    assert [seconds for seconds, _ in checkpoint.chunks()] == [1.0, 1.5, 1.0]


def test_a_corrupt_chunk_is_named_and_done_again(here, scheduler):
    (here / "corrupted.py").write_text(RIGHT, "utf-8")
    _, _, rows = swept(scheduler, "corrupted:f")
    before = times()
    file = Path("conformance-sweep/checkpoint-float32/chunk-00002.json")
    file.write_text(file.read_text("utf-8").replace('"count": 256', '"count": 257'), "utf-8")
    code, output, again = swept(scheduler, "corrupted:f")
    assert code == 0
    assert f"{file} is corrupt (its checksum is another); its chunk is done again" in output
    assert again == rows
    assert [name for name, time in times().items() if time != before[name]] == [file.name]


def test_a_corrupt_plan_is_named(here, scheduler):
    (here / "corrupted.py").write_text(RIGHT, "utf-8")
    swept(scheduler, "corrupted:f")
    Path("conformance-sweep/checkpoint-float32/plan.json").write_text("{", "utf-8")
    code, output, _ = swept(scheduler, "corrupted:f")
    assert code == 4
    assert "plan.json is corrupt" in output
    assert "name another folder, or remove it" in output


# --- workers with other code ----------------------------------------------------------------------------------------


def target_named(spec):
    (subject,), _ = Choice((spec,)).find()
    return target_of(subject)


def test_a_worker_with_other_files_fails_the_sweep(here, scheduler):
    """As on a machine whose copy of the module is an older one."""
    (here / "elsewhere.py").write_text(RIGHT, "utf-8")
    target = target_named("elsewhere:f")
    found = digest_of_modules(("elsewhere",))
    sent = replace(target, facts=tuple((n, "0" * 16 if n == "source" else text) for n, text in target.facts))
    message = rf"the source of elsewhere is another on the worker .*: the digest {found} there, 0{{16}} where"
    with pytest.raises(OtherCode, match=message):
        sweep(Plan("float32", (sent,), ("value",), *RANGE), here / "kept", scheduler=scheduler)
    assert list((here / "kept").glob("chunk-*")) == []


def test_the_command_says_what_a_worker_lacks(here, scheduler, monkeypatch):
    (here / "elsewhere.py").write_text(RIGHT, "utf-8")
    swept(scheduler, "elsewhere:f")
    monkeypatch.setattr("xbce_conformance.sweep.facts.level_of", lambda _backend: "x86-64-v9")
    code, output, _ = swept(scheduler, "elsewhere:f")
    assert code == 3
    assert "processor level is another on the worker" in output
    assert "x86-64-v9 where the sweep was started" in output
    assert "Traceback" not in output


def test_two_folders_with_modules_of_one_name(tmp_path, scheduler, monkeypatch):
    """One living worker sweeps both, and the first one again."""
    counts = []
    for folder, text in (("a", RIGHT), ("b", ZEROS), ("a", RIGHT)):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "same_name.py").write_text(text, "utf-8")
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path / folder)
            patch.syspath_prepend(str(tmp_path / folder))
            plan = Plan("float32", (target_named("same_name:f"),), ("value",), *RANGE)
            out = tmp_path / f"kept-{len(counts)}"
            sweep(plan, out, scheduler=scheduler)
            counts.append(sweep_results(plan, out)[0].figures.zero_for_normal)
    assert counts[0] == counts[2] == 0
    assert counts[1] > 0
