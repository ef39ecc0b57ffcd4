"""What benchmarks/device.py does besides timing: order, resumption, shares, processes, what it says."""

import dataclasses
import json
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest
from click import ClickException
from click.testing import CliRunner

from tests.helpers import NUMPY
from xbce_conformance.subjects.backends import find_backends

pytest.importorskip("sklearn._loss")
device = import_module("device")
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "device.py"
ENVIRONMENT = {"kind": "GPU", "device": "some GPU", "driver": "1.0", "date": "2026-01-01"}


@pytest.fixture(autouse=True)
def _few_samples(monkeypatch):
    monkeypatch.setattr(device, "_SAMPLING", 0.0)
    monkeypatch.setattr(device, "_BATCH", 1e-9)


def job(subject="xbce", **other):
    values = {"backend": "cupy", "dtype": "float32", "function": "mean", "subject": subject, "size": 1000}
    return device.Job(**values | other)


def test_needs_no_asv():
    code = "import sys; sys.modules.update(asv=None, asv_runner=None); import device"
    subprocess.run([sys.executable, "-c", code], cwd=SCRIPT.parent, check=True)


def test_jax_on_a_gpu_is_waited_for():
    jax = pytest.importorskip("jax")
    assert device.finisher("jax:cuda") is jax.block_until_ready


def test_what_tells_most_is_first():
    order = list(device.jobs("torch:cuda", ("float32", "float16"), (10**7, 10**3)))
    assert len(order) == len(set(order)) == 2 * 2 * 4 * 9
    assert [j.size for j in order] == [10**7] * 72 + [10**3] * 72
    assert [j.dtype for j in order[:72]] == ["float32"] * 36 + ["float16"] * 36
    assert [j.subject for j in order[:2]] == ["copy", "xbce"]
    assert all(j.subject.endswith("-compiled") == (i >= 28) for i, j in enumerate(order[:36]))


@pytest.mark.parametrize(
    ("function", "dtype", "count"),
    [
        ("elementwise", "float32", 12),
        ("mean", "float32", 8),
        ("value_and_gradient", "bfloat16", 8),
        ("training_step", "float64", 24),
    ],
)
def test_bytes_at_least(function, dtype, count):
    assert job(function=function, dtype=dtype, size=10).least_bytes == 10 * count


def test_a_share_is_that_of_the_copy_of_the_same_job(tmp_path):
    results = device.Results(tmp_path)
    results.add(job(), 4e-6)
    results.add(job("copy"), 1e-6)
    results.add(job("copy", size=10), 3e-6)
    results.add(job("textbook"), 4e-6)
    without, copy, _, row = json.loads((tmp_path / "benchmarks.json").read_text("utf-8"))["rows"]
    assert without["share"] is None
    assert (copy["bytes"], copy["gb_per_second"], copy["share"]) == (8000, 8.0, 1.0)
    assert (row["bytes"], row["gb_per_second"], row["share"], row["seconds"]) == (8000, 2.0, 0.25, 4e-6)


def test_the_copy_moves_the_least_bytes():
    lengths = []
    counting = dataclasses.replace(NUMPY, from_numpy=lambda x: lengths.append(x.nbytes) or x)
    for function in device.TITLES:
        for dtype in ("float32", "float16"):
            copy = job("copy", backend="numpy", function=function, dtype=dtype)
            device.call_of(copy, counting, device.arrays_of(NUMPY, dtype, copy.size))()
            assert 2 * lengths.pop() == copy.least_bytes, (function, dtype)


@pytest.mark.parametrize("name", ["numpy", "torch:cpu", "jax"])
def test_a_copy_is_one(name):
    found, _ = find_backends((name,))
    if name not in found:
        pytest.skip(f"{name} is not here")
    x, _ = device.arrays_of(found[name], "float32", 100)
    copy = device.copier(name, x)
    result = copy()
    if result is not None:  # NumPy's returns nothing
        assert (found[name].to_numpy(result) == found[name].to_numpy(x)).all()
        assert result is not x


def test_goes_on_where_it_was(tmp_path, monkeypatch):
    here = ("numpy", device.Results(tmp_path), ("float32",), (100,))
    assert device.time_backend(*here)
    content = (tmp_path / "benchmarks.json").read_bytes()
    rows = json.loads(content)["rows"]
    assert {row["subject"] for row in rows} >= {"copy", "xbce", "textbook", "sklearn", "traffic"}
    assert all(row["seconds"] > 0 and row["share"] > 0 for row in rows)
    monkeypatch.setattr(device, "timed", lambda *_, **__: pytest.fail("timed again"))
    assert device.time_backend("numpy", device.Results(tmp_path), ("float32",), (100,))
    assert (tmp_path / "benchmarks.json").read_bytes() == content
    monkeypatch.setattr(device, "timed", lambda *_, **__: 1.0)
    assert device.time_backend("numpy", device.Results(tmp_path), ("float32",), (100, 10))
    after = device.Results(tmp_path).rows
    assert after[: len(rows)] == rows
    assert len(after) == 2 * len(rows)
    assert [p.name for p in tmp_path.iterdir()] == ["benchmarks.json"]


def test_what_fails_leaves_the_others_and_is_tried_again(tmp_path, monkeypatch):
    def fail(name):
        def call_of(job, *_):
            if job.subject == name:
                raise MemoryError("out of memory\nand more")
            return lambda: None

        return call_of

    monkeypatch.setattr(device, "call_of", fail("xbce"))
    assert not device.time_backend("numpy", device.Results(tmp_path), ("float32",), (10,))
    results = device.Results(tmp_path)
    assert {row["reason"] for row in results.failures} == {"MemoryError: out of memory"}
    assert {row["subject"] for row in results.failures} == {"xbce"}
    count = len(results.rows)
    monkeypatch.setattr(device, "call_of", fail(None))
    assert device.time_backend("numpy", device.Results(tmp_path), ("float32",), (10,))
    results = device.Results(tmp_path)
    assert not results.failures
    assert len(results.rows) == count + len(device.TITLES)


def test_times_from_elsewhere_are_not_added_to(tmp_path):
    results = device.Results(tmp_path)
    results.enter("cupy", ENVIRONMENT)
    results.add(job(), 1.0)
    device.Results(tmp_path).enter("cupy", ENVIRONMENT | {"date": "2026-01-02"})
    with pytest.raises(ClickException) as error:
        device.Results(tmp_path).enter("cupy", ENVIRONMENT | {"driver": "2.0", "gpu": "other"})
    assert error.value.message == (
        f"{tmp_path / 'benchmarks.json'} holds times of cupy from elsewhere (driver: 1.0 there, 2.0 here; gpu: None "
        "there, other here): give another folder as --out"
    )


@pytest.mark.parametrize("name", ["numpy", "torch:cpu", "jax"])
def test_a_cpu_is_named_as_one(name):
    found, _ = find_backends((name,))
    if name not in found:
        pytest.skip(f"{name} is not here")
    said = device.described(dataclasses.replace(found[name], device={"jax": "TFRT_CPU_0"}.get(name, "cpu")))
    assert said["kind"] == "CPU"
    assert said["device"].startswith("CPU: ")
    said = device.described(dataclasses.replace(found[name], device="NVIDIA H100"))
    assert (said["kind"], said["device"]) == ("GPU", "NVIDIA H100")


@pytest.mark.parametrize("batches", [True, False])
def test_short_calls_are_timed_in_batches(batches, monkeypatch):
    monkeypatch.setattr(device, "_BATCH", 0.01)
    runs, finished = [], []
    assert device.timed(lambda: runs.append(0), finished.append, batches=batches) > 0
    assert len(finished) == 2 + 5
    assert (len(runs) > 2 * len(finished)) if batches else (len(runs) == len(finished))


def test_a_table_has_multiples_and_shares(tmp_path):
    results = device.Results(tmp_path)
    results.enter("cupy", ENVIRONMENT)
    for name, seconds in (("copy", 1e-6), ("xbce", 2e-6), ("textbook", 5e-6)):
        results.add(job(name), seconds)
    made = device.table(results, "cupy", "float32")
    assert made.title == "cupy, float32, some GPU"
    assert [column.header for column in made.columns] == ["function", "size", "copy", "xbce", "textbook"]
    cells = [next(iter(column.cells)) for column in made.columns]
    assert cells == ["mean", "1e3", "8 GB/s", "2 us 50%", "2.50 x 20%"]


def invoke(*arguments):
    result = CliRunner().invoke(device.main, arguments)
    return result.exit_code, " ".join(result.output.split())


def test_an_unknown_backend_is_named(tmp_path):
    code, text = invoke("--backend", "torch:rocm", "--out", str(tmp_path))
    assert code == 2
    assert (
        "Invalid value for '--backend': 'torch:rocm' is not one of 'numpy', 'torch:cpu', 'torch:cuda', 'cupy'" in text
    )


def test_a_backend_that_is_not_here_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.calls.find_backends", lambda names: ({}, {names[0]: "no CUDA device was found"}))
    code, text = invoke("--backend", "torch:cuda", "--out", str(tmp_path), "--here")
    assert (code, text) == (1, "Error: torch:cuda: no CUDA device was found")


def processes(code, backends, seconds=None):
    return device.in_processes([sys.executable, "-c", code], backends, seconds)


def test_each_backend_has_a_process(tmp_path, capfd):
    log = tmp_path / "log"
    code = f"import sys; open({str(log)!r}, 'a').write(sys.argv[2] + ' '); sys.exit(3 * (sys.argv[2] == 'jax'))"
    assert processes(code, ("numpy", "jax", "cupy")) == 1
    assert log.read_text().split() == ["numpy", "jax", "cupy"]
    assert capfd.readouterr().err == "jax: its process ended with 3\n"
    assert processes("", ("numpy",)) == 0


def test_the_time_is_shared_and_ends(tmp_path):
    log = tmp_path / "log"
    code = (
        f"import sys, time; open({str(log)!r}, 'a').write(sys.argv[2] + ' '); time.sleep(600 * (sys.argv[2] == 'jax'))"
    )
    assert processes(code, ("jax", "numpy"), 2.0) == 130
    # What NumPy leaves is for JAX again.
    assert log.read_text().split() == ["jax", "numpy", "jax"]


def test_stopped_it_loses_nothing(tmp_path):
    command = [sys.executable, SCRIPT, "--backend", "numpy", "--out", tmp_path, "--size", "1000", "--size", "10000000"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    path = tmp_path / "benchmarks.json"
    end = time.monotonic() + 120
    while not path.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 130
    results = json.loads(path.read_text("utf-8"))
    assert results["environments"]["numpy"]["kind"] == "CPU"
    assert results["rows"]
