"""What was asked of a sweep and cannot be measured fails: a row that says why, with the pair that shows it."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from xbce_conformance.cli import main
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.measurement.profile import profile_edges
from xbce_conformance.sweep.device import numpy_device
from xbce_conformance.sweep.kernel import Measured, measure_chunk
from xbce_conformance.sweep.plan import Chunk

SINGLE = FORMATS["float32"]
RANGE = "3f800000:3f800400"
THEIRS = """
import itertools, os
import numpy as np

def right(x, z):
    return np.where(z == 1, np.log1p(np.exp(-x)), np.logaddexp(0, x))

def gradient(x, z):
    return (1 / (1 + np.exp(-x.astype(np.float64))) - z).astype(x.dtype)

def raises(x, z):
    if (x > np.float32(1.00001)).any():
        raise OverflowError("too large")
    return right(x, z)

def wide(x, z):
    return right(x, z).astype(np.float64) if x.size > 2 else right(x, z)

def column(x, z):
    return right(x, z)[:, None] if x.size > 2 else right(x, z)

def scalar(x, z):
    return right(x, z).sum() if x.size > 2 else right(x, z)

def nothing(x, z):
    return None if x.size > 2 else right(x, z)

def ends(x, z):
    if x.size > 2 and x.max() > 1.0001:
        os._exit(3)
    return right(x, z)

def hangs(x, z):
    return all(itertools.repeat(True)) if x.size > 2 and x.max() > 1.0001 else right(x, z)

def only_wide(x, z):
    return right(x, z).astype(np.float64)

only_wide.gradient = gradient
"""


@pytest.fixture(scope="module")
def scheduler():
    import dask
    from distributed import LocalCluster

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),  # not 3: each death of a worker takes seconds
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0", silence_logs="ERROR") as cluster,
    ):
        yield cluster.scheduler_address


@pytest.fixture(scope="module")
def _theirs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("theirs")
    (folder / "failing_losses.py").write_text(THEIRS, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        yield


def swept(scheduler, out, *options):
    """Return the exit code, the output and the rows by name."""
    arguments = ("--bits", RANGE, "--scheduler", scheduler, "--out", str(out), *options)
    result = CliRunner().invoke(main, ["sweep", *arguments], catch_exceptions=False)
    assert "Traceback" not in result.output
    file = Path(out) / "results.json"
    rows = json.loads(file.read_text("utf-8"))["rows"] if file.exists() else []
    return result.exit_code, " ".join(result.output.split()), {row["function"]: row for row in rows}


@pytest.mark.parametrize(
    ("name", "kind", "failure"),
    [
        ("raises", "failure:raised", "OverflowError: too large, for logit 0x1.0000aa0000000p+0, label "),
        ("wide", "failure:dtype", "it returned float64; float32 is expected (in an array of 4 that begins with"),
        ("column", "failure:shape", "it returned float32 of shape (4, 1) for float32 of shape (4,) (in an array of 4"),
        ("scalar", "failure:shape", "it returned float32 of shape () for float32 of shape (4,) (in an array of 4"),
        ("nothing", "failure:nothing", "it returned None; an array is expected (in an array of 4"),
    ],
)
@pytest.mark.usefixtures("_theirs")
def test_what_fails_in_the_middle_has_a_row(scheduler, tmp_path, name, kind, failure):
    """The other subject is measured all the same."""
    spec = f"failing_losses:{name}"
    code, output, rows = swept(
        scheduler, tmp_path, "--subject", spec, "--subject", "failing_losses:right", "--quantity", "value"
    )
    row = rows[spec]
    assert code == 1
    assert row["failure"].startswith(failure), row["failure"]
    (violation,) = row["verdict"]["violations"]
    assert violation == {"name": kind, "text": row["failure"], "waived": ""}
    assert row["figures"]["count"] == 0
    assert 1 <= float.fromhex(row["worst"]["inputs"]["logits"]) < 1.0002
    assert row["worst"]["regime"].startswith("every logit")
    assert f"FAIL: {spec}, numpy, float32 {failure[:30]}" in output
    assert f" [{kind}] worst: {row['worst']['regime']}: logits " in output
    assert rows["failing_losses:right"]["figures"]["count"] >= 2048
    assert rows["failing_losses:right"]["failure"] == ""


@pytest.mark.long
@pytest.mark.parametrize("name", ["ends", "hangs"])
@pytest.mark.usefixtures("_theirs")
def test_what_ends_its_worker_has_a_row(scheduler, tmp_path, name):
    """The other subject is measured all the same, and so are the chunks before; no worker is given it again."""
    spec, chunks = f"failing_losses:{name}", ("--chunk", "1024", "--labels", "hard")
    options = ("--subject", spec, "--subject", "failing_losses:right", "--quantity", "value", "--call-limit", "2")
    code, output, rows = swept(scheduler, tmp_path, *options, *chunks)
    assert code == 1
    assert rows[spec]["failure"] == (
        "it ended its process, or did not return within 2 s, in the 1,024 pairs that begin with this one, "
        "for logit 0x1.0004000000000p+0, label 0x0.0p+0"
    )
    assert f"FAIL: {spec}, numpy, float32 it ended its process" in output
    assert rows["failing_losses:right"]["figures"]["count"] == 2048
    assert rows["failing_losses:right"]["failure"] == ""


@pytest.mark.usefixtures("_theirs")
def test_a_failure_is_tried_again(scheduler, tmp_path):
    options = ("--subject", "failing_losses:raises", "--quantity", "value")
    first = swept(scheduler, tmp_path, *options)
    code, output, rows = swept(scheduler, tmp_path, *options)
    assert (code, rows) == (1, first[2])
    assert "float32 sweep of failing_losses:raises on numpy: it failed; 1 chunk is done again" in output


@pytest.mark.usefixtures("_theirs")
def test_a_quantity_that_was_asked_for_and_is_not_there_fails(scheduler, tmp_path):
    options = ("--subject", "failing_losses:right", "--labels", "hard")
    code, _, rows = swept(scheduler, tmp_path / "default", *options)
    assert (code, list(rows)) == (0, ["failing_losses:right"])
    code, output, rows = swept(scheduler, tmp_path / "asked", *options, "--quantity", "value", "--quantity", "gradient")
    assert code == 1
    reason = "the gradient was asked for, and cannot be measured in float32: it has none"
    assert rows["failing_losses:right, gradient"]["verdict"]["violations"] == [
        {"name": "failure:absent", "text": reason, "waived": ""}
    ]
    assert rows["failing_losses:right"]["verdict"]["violations"] == []
    assert reason in output


@pytest.mark.usefixtures("_theirs")
def test_a_value_that_is_refused_from_the_start_fails(scheduler, tmp_path):
    """It returns float64 for float32, but its gradient is one that can be measured."""
    code, output, rows = swept(scheduler, tmp_path, "--subject", "failing_losses:only_wide", "--quantity", "value")
    assert code == 1
    assert list(rows) == ["failing_losses:only_wide"]
    assert "float64" in rows["failing_losses:only_wide"]["failure"]
    assert "FAIL: failing_losses:only_wide" in output


@pytest.mark.usefixtures("_theirs")
def test_no_row_is_no_success(scheduler, tmp_path):
    """Of a peer, which nobody judges, too."""
    code, output, rows = swept(scheduler, tmp_path / "peer", "--subject", "torch", "--quantity", "hessian")
    assert code != 0
    assert "nothing was measured (the hessian was asked for, and cannot be measured in float32: it has none)" in output
    assert len(rows) == 1


def test_a_subject_that_was_named_and_cannot_be_swept_is_refused(tmp_path):
    options = ("--subject", "xbce", "--subject", "torch", "--backend", "numpy")
    result = CliRunner().invoke(main, ["sweep", *options, "--out", str(tmp_path)])
    assert result.exit_code != 0
    assert "nothing to sweep of torch in float32 (torch: needs the backend torch:cpu" in result.output
    assert list(tmp_path.iterdir()) == []


# --- the pair that shows it -----------------------------------------------------------------------------------------


def failure_of(call, chunk):
    functions = [Measured("f", "value", call, flushes=False), Measured("g", "value", np.add, flushes=False)]
    with np.errstate(all="ignore"):
        outcome = measure_chunk(chunk, SINGLE, numpy_device(SINGLE), functions, profile_edges(SINGLE))
    assert {name.partition("|")[0] for name in outcome.tallies} >= {"g"}
    assert sum(tally.count for name, tally in outcome.tallies.items() if name.startswith("g")) == chunk.pairs
    return outcome.failures["f"]


@pytest.mark.parametrize("place", [0, 1, 0x1234, 2**17, 2**18 - 1])
def test_bisection_finds_the_pair(place):
    chunk = Chunk(0x3F800000, 0x3F800000 + 2**18, (0.0, 1.0))
    bad = SINGLE.from_bits(np.array([chunk.first + place], np.uint32))[0]

    def fails_at_one(x, z):
        if ((x == bad) & (z == 1)).any():
            raise ZeroDivisionError
        return x

    failure = failure_of(fails_at_one, chunk)
    assert (failure.reason, failure.logit, failure.label) == (
        "ZeroDivisionError: ",
        float(bad).hex(),
        "0x1.0000000000000p+0",
    )


def test_what_fails_in_large_arrays_only():
    def fails_from_1000_on(x, z):
        if x.size > 1000:
            raise MemoryError
        return x + z

    failure = failure_of(fails_from_1000_on, Chunk(0x3F800000, 0x3F800000 + 2**12, (0.0,)))
    assert failure.reason == "MemoryError:  (in an array of 1,024 that begins with this pair)"
    assert failure.logit == float(1).hex()
