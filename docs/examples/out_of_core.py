"""The log loss of predictions on disk that are larger than the memory a process may take, with xbce and Dask.

Run it as ``python out_of_core.py [DIRECTORY]``; it writes out_of_core.json and out_of_core.png there, or where it is
called, and prints what it found. It needs record_example.py beside it, Dask, scikit-learn, psutil, matplotlib, Linux
for the limit, 1 GB of disk, and some minutes. `File` and `log_loss` are what to copy, or to import. The other ways run
beside it, each in a process of its own whose memory is watched.
"""

import multiprocessing
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

import xbce

CHUNK = 4_000_000
LIMIT = 600_000_000
THREADS = os.cpu_count()
NAMES = ("probabilities", "labels")


class File:
    """An array in a file, of which only what is asked for is read: Dask would copy a memory map as a whole."""

    def __init__(self, path, stop=None):
        self.path, array = path, np.load(path, mmap_mode="r")[:stop]
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, part):
        return np.load(self.path, mmap_mode="r")[part]


def dask_arrays(folder, stop=None, chunk=CHUNK):
    """Return probabilities (float32) and labels (int8) of two files, or the first of them; nothing is read yet."""
    import dask.array as da

    return (da.from_array(File(Path(folder) / f"{name}.npy", stop), chunks=chunk) for name in NAMES)


def log_loss(folder, stop=None, chunk=CHUNK, **options):
    """Return the mean log loss of two files, read chunk by chunk."""
    mean = xbce.binary_cross_entropy(*dask_arrays(folder, stop, chunk), reduction="mean", **options)
    return float(mean.compute(scheduler="threads", num_workers=THREADS))


def memory_maps(folder, stop=None):
    """Return the same as arrays of NumPy, which the system reads where they are used."""
    return (np.load(Path(folder) / f"{name}.npy", mmap_mode="r")[:stop] for name in NAMES)


def textbook(folder, stop=None):
    """Return the mean of the textbook's formula."""
    p, y = memory_maps(folder, stop)
    return float(np.mean(-(y * np.log(p) + (1 - y) * np.log(1 - p))))


def textbook_on_dask(folder, stop=None):
    """Return the same, read chunk by chunk."""
    import dask.array as da

    p, y = dask_arrays(folder, stop)
    mean = da.mean(-(y * da.log(p) + (1 - y) * da.log(1 - p)))
    return float(mean.compute(scheduler="threads", num_workers=THREADS))


def sklearn_by_parts(folder, stop=None):
    """Return the mean of scikit-learn's log losses of parts that fit."""
    from sklearn import metrics

    p, y = memory_maps(folder, stop)
    parts = [(p[start : start + CHUNK], y[start : start + CHUNK]) for start in range(0, len(p), CHUNK)]
    return float(sum(len(y) * metrics.log_loss(y, p, labels=[0, 1]) for p, y in parts) / len(p))


def write(folder, n):
    """Write predictions of a model that is too sure, chunk by chunk: some of its float32 probabilities are 1."""
    rng = np.random.default_rng(0)
    files = zip(NAMES, (np.float32, np.int8), strict=True)
    p, y = (np.lib.format.open_memmap(Path(folder) / f"{name}.npy", "w+", dtype, (n,)) for name, dtype in files)
    for start in range(0, n, CHUNK):
        logits = rng.normal(-2, 4, min(CHUNK, n - start)).astype(np.float32)
        part = slice(start, start + len(logits))
        p[part] = xbce.special.expit(logits)
        y[part] = rng.random(len(logits), np.float32) < xbce.special.expit(np.float32(0.8) * logits)


def child(connection, way, folder, limit):
    """Run a way in this process, which may take so much memory more than it has, and send what came."""
    import resource

    import dask.array  # noqa: F401  # here, so that it is no memory of the way
    import psutil
    import sklearn.metrics  # noqa: F401

    warnings.simplefilter("ignore", RuntimeWarning)  # the textbook's logarithm of 0
    if limit:
        resource.setrlimit(resource.RLIMIT_DATA, (limit + psutil.Process().memory_info().data,) * 2)
    connection.send("ready")
    connection.recv()
    start = time.process_time()
    try:
        result = way(folder)
    except MemoryError:
        result = "MemoryError"
    connection.send((result, time.process_time() - start))


def watched(way, folder, limit=None):
    """Run a way in a process of its own; return result, times, and the memory that it took more than before."""
    import psutil

    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=child, args=(there, way, folder, limit))
    process.start()
    there.close()
    here.recv()
    times, held, start = [], [], time.perf_counter()
    while not here.poll(0.01):
        memory = psutil.Process(process.pid).memory_info()
        times.append(time.perf_counter() - start)
        held.append(memory.rss - memory.shared)  # pages of the files are not the process's own
        if len(held) == 1:
            here.send("go")
    result, seconds = here.recv()
    process.join()
    memory = np.asarray(held) - held[0]
    return {"result": result, "processor seconds": seconds, "times": np.asarray(times), "memory": memory}


WAYS = {
    "xbce on Dask": (log_loss, LIMIT),
    "textbook": (textbook, None),
    "textbook with the limit": (textbook, LIMIT),
    "textbook on Dask": (textbook_on_dask, LIMIT),
    "scikit-learn by parts": (sklearn_by_parts, LIMIT),
}


def errors(folder, part):
    """Return relative errors of the mean of a part of the data, which fits; exact is what `precision="high"` says."""
    from sklearn import metrics

    exact = log_loss(folder, part, precision="high", dtype=np.float64)
    p, y = (np.asarray(one) for one in memory_maps(folder, part))
    clipped = np.clip(p, np.float32(1e-7), np.float32(1 - 1e-7))
    means = {
        "xbce, float32": log_loss(folder, part),
        "xbce, summed in float64": log_loss(folder, part, dtype=np.float64),
        "scikit-learn, float32": metrics.log_loss(y, p),
        "scikit-learn, float64": metrics.log_loss(y, p.astype(np.float64)),
        "textbook, clipped at 1e-7": float(np.mean(-(y * np.log(clipped) + (1 - y) * np.log(1 - clipped)))),
    }
    return {name: abs(mean - exact) / exact for name, mean in means.items()}


def bits(folder, part, chunks=(4_000_000, 1_000_000, 300_007, 30_001)):
    """Return how many different means there are, for chunks of several lengths."""
    return {
        precision: len({log_loss(folder, part, chunk, dtype=np.float64, precision=precision) for chunk in chunks})
        for precision in ("native", "high")
    }


def plot(runs, wrong, n):
    """Draw memory over time, and errors."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    for name, run in runs.items():
        if run["result"] != "MemoryError":
            progress, megabytes = run["times"] / run["times"][-1], np.maximum(run["memory"] / 1e6, 1)
            left.semilogy(progress, megabytes, linewidth=1, label=f"{name}: {run['result']:.6f}")
    left.axhline(LIMIT / 1e6, color="black", linestyle=":", label="limit; with it the textbook is a MemoryError")
    left.set(title=f"Mean log loss of {n:,} predictions on disk", xlabel="share of a run's time")
    left.set(ylabel="memory, megabytes", ylim=(1, 2e4))
    left.legend(fontsize="small", ncols=2, loc="upper right")
    right.semilogx(np.maximum(list(wrong.values()), 1e-17), list(wrong), "o")
    right.set(title="A part that fits: relative error of the mean", xlabel="relative error", xlim=(1e-18, 1e-6))
    return figure


def main(directory=".", n=200_000_000, part=4_000_000):
    """Run, record, draw."""
    from record_example import save, writable

    directory = writable(directory)
    with tempfile.TemporaryDirectory() as folder:
        write(folder, n)
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
        runs = {name: watched(way, folder, limit) for name, (way, limit) in WAYS.items()}
        wrong, different = errors(folder, part), bits(folder, part)
    found = {}
    for name, run in runs.items():
        found[f"{name}: mean"] = str(run["result"])  # which may be nan, or MemoryError
        found[f"{name}: processor seconds"] = run["processor seconds"]
        found[f"{name}: megabytes"] = float(run["memory"].max()) / 1e6
    found |= {f"relative error of a part, {name}": error for name, error in wrong.items()}
    found |= {f"different means for chunks of four lengths, {name}": number for name, number in different.items()}
    save(
        __file__,
        found,
        plot(runs, wrong, n),
        settings={"elements": n, "of a part": part, "gigabytes on disk": size / 1e9, "limit in megabytes": LIMIT / 1e6},
        threads=THREADS,
        packages=("dask", "numpy", "scikit-learn"),
        directory=directory,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
