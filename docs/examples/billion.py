"""Loss and gradient of a billion elements that never exist in memory at once, on a Dask cluster in this machine.

Run it as ``python billion.py`` (or with another number of elements). A logistic model with one feature, whose data are
made chunk by chunk: the mean loss and its gradient in slope and intercept, as a step of training needs them.
"""

import resource
import sys
import time

import dask
import dask.array as da
from dask.distributed import Client, LocalCluster

import xbce

CHUNK = 4_000_000


def lazy_step(n, slope, intercept):
    """Return the mean loss and its gradient in slope and intercept, of which nothing is computed yet."""
    random = da.random.default_rng(0)
    feature = random.standard_normal(n, chunks=CHUNK, dtype="float32")
    labels = random.random(n, chunks=CHUNK, dtype="float32") < xbce.special.expit(1.5 * feature - 0.5)
    logits = (slope * feature + intercept).astype("float32")
    mean, gradient = xbce.binary_cross_entropy_with_logits.value_and_gradient(logits, labels, reduction="mean")
    return mean, (gradient * feature).sum(dtype="float64"), gradient.sum(dtype="float64")


def peak_bytes():
    """Return the most memory that this process ever held."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(n):
    """Compute one step and say what it took."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        start = time.perf_counter()
        mean, in_slope, in_intercept = dask.compute(*lazy_step(n, slope=1.0, intercept=0.0))
        seconds = time.perf_counter() - start
        workers = client.run(peak_bytes).values()
    print(f"{n:,} elements, {4 * n / 1e9:.3g} GB for each float32 array of them")  # noqa: T201
    print(f"mean loss {mean:.6f}, gradient in the slope {in_slope:.6f}, in the intercept {in_intercept:.6f}")  # noqa: T201
    print(f"{seconds:.1f} s; most memory held by one worker: {max(workers) / 1e9:.2f} GB")  # noqa: T201


if __name__ == "__main__":
    main(int(float(sys.argv[1])) if len(sys.argv) > 1 else 10**9)
