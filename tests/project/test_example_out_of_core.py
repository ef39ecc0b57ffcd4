"""The example of data on disk: one mean however it is read, and memory that stays small."""

import sys

import numpy as np
import out_of_core as example
import pytest

import xbce
from tests.helpers import approx
from tests.project.test_examples import found_by, written

da = pytest.importorskip("dask.array", reason="Dask is not installed")
for package in ("psutil", "sklearn"):
    pytest.importorskip(package, reason=f"{package} is not installed")
N = 50_000
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the data of a process")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with predictions, of which one has the probability 1."""
    path = tmp_path_factory.mktemp("predictions")
    example.write(path, N)
    p, y = (np.load(path / f"{name}.npy", mmap_mode="r+") for name in example.NAMES)
    p[17], y[17] = 1, 1
    return path


def test_the_files_hold_what_the_page_says(folder):
    p, y = example.memory_maps(folder)
    assert (p.dtype, y.dtype, p.shape, y.shape) == (np.float32, np.int8, (N,), (N,))
    assert 0.3 < y.mean() < 0.4
    assert xbce.binary_cross_entropy(p, y, reduction="mean") < xbce.binary_cross_entropy(
        0.4 + 0 * p, y, reduction="mean"
    )


def test_one_mean_however_it_is_read(folder):
    p, y = (np.asarray(one) for one in example.memory_maps(folder))
    exact = xbce.binary_cross_entropy(p, y, reduction="mean", precision="high", dtype=np.float64)
    assert example.log_loss(folder, chunk=7_000) == approx(exact, rel=2e-7)
    assert example.sklearn_by_parts(folder) == approx(exact, rel=2e-7)
    high = {
        example.log_loss(folder, 4_000, chunk, precision="high", dtype=np.float64) for chunk in (4_000, 1_500, 999, 333)
    }
    assert len(high) == 1


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_textbook_is_nan(folder):
    """In threads of Dask, too, where NumPy's own setting may not hold."""
    assert np.isnan(example.textbook(folder))
    assert np.isnan(example.textbook_on_dask(folder))


def test_a_file_is_read_by_slices_where_a_memory_map_is_copied(folder, monkeypatch):
    class Map(np.memmap):
        copies = 0

        def copy(self, order="C"):
            Map.copies += 1
            return super().copy(order)

    path = folder / "probabilities.npy"
    da.from_array(np.load(path, mmap_mode="r").view(Map), chunks=1000)
    assert Map.copies, "Dask copies no more: docs/examples/out_of_core.md says that it does"
    file, read = example.File(path), []
    assert (file.shape, file.dtype, file.ndim) == ((N,), np.float32, 1)
    monkeypatch.setattr(example.File, "__getitem__", lambda self, part: read.append(part) or np.load(self.path)[part])
    array = da.from_array(file, chunks=20_000)
    assert [part for part in read if part != (slice(0, 0, None),)] == []
    read.clear()
    assert array.compute(scheduler="sync").shape == (N,)
    assert sorted(part[0].stop - part[0].start for part in read) == [10_000, 20_000, 20_000]


@linux
@pytest.mark.long
def test_a_process_with_a_limit_ends_where_the_formula_needs_more(tmp_path):
    """The textbook's arrays of 30 million are 120 MB each."""
    example.write(tmp_path, 30_000_000)
    limited = example.watched(example.textbook, tmp_path, 200_000_000)
    assert limited["result"] == "MemoryError"
    whole, chunked = (example.watched(way, tmp_path) for way in (example.textbook, example.log_loss))
    assert np.isnan(whole["result"])
    assert whole["memory"].max() > 240e6 > 100e6 > chunked["memory"].max()
    assert example.watched(example.log_loss, tmp_path, 200_000_000)["result"] == approx(chunked["result"], rel=2e-7)


def test_the_page_names_what_was_found():
    found = written("out_of_core")["found"]
    assert found["textbook with the limit: mean"] == "MemoryError"
    assert found["textbook: mean"] == found["textbook on Dask: mean"] == "nan"
    assert found["xbce on Dask: megabytes"] < 0.1 * found["textbook: megabytes"]
    assert float(found["xbce on Dask: mean"]) == approx(float(found["scikit-learn by parts: mean"]), rel=1e-7)
    holds(found)


def holds(found):
    """Assert what a small run shows, too."""
    assert found["different means for chunks of four lengths, high"] == 1
    assert all(value < 2e-7 for name, value in found.items() if name.startswith("relative error"))


@linux
@pytest.mark.long
def test_the_script(tmp_path):
    holds(found_by("out_of_core", tmp_path, n=1_000_000, part=20_000))
