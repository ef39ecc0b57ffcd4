"""The command `functions`: its table, its file, and that an interrupted run loses nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner

from tests.helpers import NUMPY
from xbce_conformance.cli import functions as command
from xbce_conformance.cli import main
from xbce_conformance.functions import FunctionRow, Report
from xbce_conformance.functions.measure import BINADES, Found
from xbce_conformance.functions.report import IDENTITY
from xbce_conformance.storage import CheckpointFolder
from xbce_conformance.subjects import levels
from xbce_conformance.subjects.backends import find_backends
from xbce_conformance.sweep.tally import Tally

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "functions.schema.json").read_text("utf-8"))


def invoke(out, *options):
    return CliRunner().invoke(main, ["functions", *map(str, options), "--out", str(out)])


def rows_of(out):
    return json.loads((out / "functions.json").read_text("utf-8"))["rows"]


def test_table_and_file(tmp_path):
    result = invoke(tmp_path, "--backend", "numpy", "--dtype", "float16", "--function", "exp", "--function", "sigmoid")
    assert result.exit_code == 0, result.output
    jsonschema.validate(json.loads((tmp_path / "functions.json").read_text("utf-8")), SCHEMA)
    (row,) = rows_of(tmp_path)
    assert row.keys() == FunctionRow.__dataclass_fields__.keys() == SCHEMA["$defs"]["row"]["properties"].keys()
    assert set(SCHEMA["$defs"]["row"]["required"]) == row.keys()
    identity = ("exp", "numpy:exp", np.__version__, "numpy", "cpu", "float16", True, 0)
    names = ("function", "implementation", "version", "backend", "device", "dtype", "exhaustive", "samples")
    assert tuple(row[name] for name in names) == identity
    assert row["processor"]
    assert (row["count"], row["further"], row["wrong_nonfinite"], row["flushed"]) == (2**16, 0, 0, 0)
    assert 0.1 < row["mean_ulp"] < 0.25
    assert {side: len(errors) for side, errors in row["by_binade"].items()} == dict.fromkeys(
        ("negative", "positive"), len(BINADES)
    )
    assert row["by_binade"]["positive"][list(BINADES).index(-30)] is None  # no float16
    assert 0.4 < row["by_binade"]["negative"][list(BINADES).index(2)] < 0.51
    text = " ".join(result.output.split())
    assert f"numpy (numpy {np.__version__}) =0.50" in text
    assert f"numpy: cpu; processor: {row['processor']}, used as {row['level']}" in text
    assert "absent: numpy: sigmoid, float16: it returned float64 for float16" in text
    assert not (tmp_path / "checkpoints").exists()


def test_samples_are_lower_bounds(tmp_path):
    options = ("--backend", "numpy", "--function", "exp", "--function", "logaddexp", "--samples", 4096)
    result = invoke(tmp_path, *options, "--dtype", "float32", "--dtype", "float64")
    assert result.exit_code == 0, result.output
    jsonschema.validate(json.loads((tmp_path / "functions.json").read_text("utf-8")), SCHEMA)
    assert "=" not in result.output.partition("max: ")[0]
    rows = rows_of(tmp_path)
    found = [(row["function"], row["dtype"], row["exhaustive"], row["samples"], row["count"]) for row in rows]
    assert found == [
        (name, dtype, False, 4096, 4096 + special)
        for name, special in (("exp", 21), ("logaddexp", 441))
        for dtype in ("float32", "float64")
    ]
    assert all(row["further"] >= 2**17 for row in rows)
    assert [len(row["worst_inputs"]) for row in rows] == [1, 1, 2, 2]
    assert [bool(row["by_binade"]) for row in rows] == [True, True, False, False]


def test_nothing_is_measured_twice(tmp_path, monkeypatch):
    measured = []

    def measure(function, backend, fmt, *, samples, checkpoint, progress):
        measured.append((backend.version, function.name, fmt.name, samples, checkpoint is None))
        progress(1)
        return Found(Tally(count=1, max_ulp=np.inf, worst_logit="0x1.0p+0"))

    monkeypatch.setattr(command, "measure_function", measure)
    one = ("--backend", "numpy", "--dtype", "float32", "--function", "exp")
    assert invoke(tmp_path, *one).exit_code == 0
    first = rows_of(tmp_path)
    assert first[0]["max_ulp"] == "inf"
    result = invoke(tmp_path, *one, "--function", "tanh")
    assert "=inf" in result.output
    assert [name for _, name, *_ in measured] == ["exp", "tanh"]
    assert rows_of(tmp_path)[0] == first[0]
    # Other samples, another version, and another processor level are other measurements.
    invoke(tmp_path, *one, "--samples", 3)
    monkeypatch.setattr(np, "__version__", "0.0")
    invoke(tmp_path, *one)
    monkeypatch.setattr(command, "level_of", lambda _: "x86-64-v7")
    invoke(tmp_path, *one)
    assert [(version, samples, whole) for version, _, _, samples, whole in measured[2:]] == [
        (NUMPY.version, 3, True),
        ("0.0", 0, False),
        ("0.0", 0, False),
    ]
    assert len(rows_of(tmp_path)) == 5


def test_terminated_it_keeps_what_is_done(tmp_path):
    """The same command goes on from there."""
    options = ["--backend", "numpy", "--function", "exp", "--dtype", "float16", "--dtype", "float32", "--out", "."]
    program = [sys.executable, "-m", "xbce_conformance", "functions", *options]
    with subprocess.Popen(program, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while not (tmp_path / "functions.json").exists():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Interrupted. What is done is kept in functions.json" in output
    (row,) = rows_of(tmp_path)
    assert (row["dtype"], row["count"]) == ("float16", 2**16)
    result = invoke(tmp_path, *options[:-4])
    assert result.exit_code == 0, result.output
    assert rows_of(tmp_path) == [row]


def test_interrupted_within_a_function(tmp_path):
    """Every number of float32: the chunks that are done are not measured again, and are gone with the row."""
    options = ("--backend", "numpy", "--function", "sqrt", "--dtype", "float32")
    program = [sys.executable, "-c", FEW_CHUNKS, "functions", *options, "--out", "."]
    with subprocess.Popen(program, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("checkpoints/sqrt-numpy-float32-*/chunk-00001.json")):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Interrupted" in output
    (folder,) = tmp_path.glob("checkpoints/*")
    done = {file.name: file.stat().st_mtime_ns for file in folder.glob("chunk-*")}
    assert 2 <= len(done) < 64
    assert not (tmp_path / "functions.json").exists()
    # What is in the folder counts: had any chunk been measured again, the sum would be another one.
    plan = json.loads((folder / "plan.json").read_text("utf-8"))["data"]
    kept = CheckpointFolder(folder, plan, kind="measurement", part="chunk")
    chunk = kept.get(0) | {"flushed": 7}
    for number in range(64):
        kept.keep(number, chunk)
    result = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    (row,) = rows_of(tmp_path)
    assert (row["exhaustive"], row["count"], row["flushed"]) == (True, 64 * chunk["count"], 64 * 7)
    assert not folder.exists()


FEW_CHUNKS = """
from xbce_conformance.cli import functions, main
from xbce_conformance.functions import measure
whole = measure.chunks
measure.chunks = lambda fmt: [range(c.start, c.start + 2**18) for c in whole(fmt)][:64]
main()
"""


def test_interrupted_from_the_keyboard(tmp_path, monkeypatch):
    def interrupt(function, *_, **__):
        if function.name == "log":
            raise KeyboardInterrupt
        return Found(Tally(count=1, worst_logit="0x1.0p+0"))

    monkeypatch.setattr(command, "measure_function", interrupt)
    before = signal.getsignal(signal.SIGTERM)
    result = invoke(tmp_path, "--backend", "numpy", "--dtype", "float16")
    assert result.exit_code == 130
    assert [row["function"] for row in rows_of(tmp_path)] == ["exp", "expm1"]
    assert signal.getsignal(signal.SIGTERM) == before


def test_errors_of_the_command(tmp_path, monkeypatch):
    (tmp_path / "functions.json").write_text('{"schema_version": 0}', "utf-8")
    result = invoke(tmp_path, "--backend", "numpy")
    assert result.exit_code == 4
    assert "functions.json does not hold figures of functions: " in result.output
    assert "has schema version 0; 3 is expected" in result.output
    result = invoke(tmp_path, "--backend", "dask")
    assert result.exit_code == 2
    assert "'dask' is not one of 'numpy', 'torch:cpu'" in result.output
    monkeypatch.setattr(command, "find_backends", lambda names: ({}, dict.fromkeys(names, "no CUDA device was found")))
    result = invoke(tmp_path, "--backend", "torch:cuda")
    assert result.exit_code == 3
    assert "nothing to measure (torch:cuda: no CUDA device was found)" in result.output


def test_report_travels(tmp_path):
    identity = dict.fromkeys(IDENTITY, "a") | {"exhaustive": True, "samples": 0}
    tally = Tally(count=2, max_ulp=np.inf, worst_logit="0x1p+0", worst_computed="inf", profile={0: np.inf, 60: 0.25})
    row = FunctionRow.of(Found(tally, further=3), **identity)
    assert row.by_binade["negative"][-1] == np.inf
    assert row.by_binade["positive"][4] == 0.25
    Report({"date": "today"}, rows=[row]).write(tmp_path / "functions.json")
    again = Report.going_on(tmp_path / "functions.json", {"date": "tomorrow"})
    assert again.rows == [row]
    assert again.environment == {"date": "tomorrow"}
    assert again.find(**identity) == row
    assert again.find(**identity | {"samples": 2}) is None


# --- processor levels -----------------------------------------------------------------------------------------------

FOUND = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
"""What NumPy finds here, and may be told not to use."""
BEYOND_V2 = [name for name in FOUND if name not in ("SSSE3", "SSE41", "POPCNT", "SSE42")]  # NumPy before 2.4 has these
DISABLED = os.environ.get("NPY_DISABLE_CPU_FEATURES", "").split()  # where these tests run at a lower level
BEYOND_V3 = [name for name in FOUND if "512" in name or "V4" in name]
SHOW = "from xbce_conformance.subjects.levels import level_of; from xbce_conformance.subjects.backends import *; "


@pytest.mark.parametrize(
    ("backend", "variable", "lower"),
    [
        (
            "numpy",
            "NPY_DISABLE_CPU_FEATURES",
            {
                " ".join(DISABLED + BEYOND_V3): "x86-64-v3",
                " ".join(DISABLED + BEYOND_V2): "x86-64-v2",
            },
        ),
        # tests/project/test_platforms.py asks it the same.
        pytest.param(
            "torch:cpu", "ATEN_CPU_CAPABILITY", {"avx2": "x86-64-v3", "default": "x86-64-v2"}, marks=pytest.mark.long
        ),
    ],
)
def test_level_in_use(backend, variable, lower):
    """That which the library says it uses; a processor with less than x86-64-v4 has nothing to disable."""
    if backend not in find_backends((backend,))[0]:
        pytest.skip(f"{backend} is not installed")
    highest = levels.level_of(find_backends((backend,))[0][backend])
    if not highest.startswith("x86-64-v"):
        pytest.skip(f"{highest} has no levels")
    code = f"{SHOW} print(level_of(find_backends(({backend!r},))[0][{backend!r}]))"
    for value, level in lower.items():
        environ = {**os.environ, variable: value}
        program = [sys.executable, "-W", "ignore", "-c", code]
        shown = subprocess.run(program, env=environ, capture_output=True, text=True, check=True).stdout.strip()
        assert shown == min(level, highest)


def test_level_of_jax_is_that_of_its_flag(monkeypatch, tmp_path):
    backend = replace(NUMPY, name="jax")
    if not levels.level_of(NUMPY).startswith("x86-64"):
        pytest.skip("the machine has no levels")
    info = tmp_path / "cpuinfo"
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    for level in ("x86-64-v4", "x86-64-v3", "x86-64-v2"):
        features = set().union(*(levels.NEEDS[lower] for lower in levels.NEEDS if lower <= level))
        info.write_text(f"processor: 0\nflags\t\t: fpu {' '.join(features)}\n", "utf-8")
        assert levels.level_of(backend, info) == level
        monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=x --xla_cpu_max_isa=AVX2")
        assert levels.level_of(backend, info) == min(level, "x86-64-v3")
        monkeypatch.delenv("XLA_FLAGS")
    info.write_text("flags : fpu\n", "utf-8")
    assert levels.level_of(backend, info) == "x86-64"
    assert levels.level_of(replace(backend, name="jax:cuda"), info) == "gpu"


def test_level_of_other_architectures(monkeypatch):
    monkeypatch.setattr(levels.platform, "machine", lambda: "aarch64")
    assert levels.level_of(NUMPY) == "aarch64"
