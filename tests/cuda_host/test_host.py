"""That the host plays a device: arrays, reductions, half precision, contraction, flushing, barriers, and refusals."""

import pytest

from tests.cuda_host.process import needs_tools, run, succeed

pytestmark = needs_tools


def test_arrays_are_read_and_written_by_their_strides(builds):
    succeed(
        """
x = np.arange(4 * 6 * 5, dtype=np.float64).reshape(4, 6, 5)
views = {
    "whole": lambda a: a, "transposed": lambda a: a.T, "reversed": lambda a: a[::-1, :, ::-2],
    "swapped": lambda a: a.swapaxes(0, 1)[1:, :3], "empty": lambda a: a[:0], "0-d": lambda a: a[1, 2, 3],
    "broadcast": lambda a: a[:, :1] * a,
}
for name, view in views.items():
    mine, numpys = view(cp.asarray(x)), view(x)
    assert np.array_equal(cp.asnumpy(mine + 1), numpys + 1), name
    for axis in (None, *range(numpys.ndim), *([(0, 2)] if numpys.ndim == 3 else [])):
        assert np.array_equal(cp.asnumpy(mine.sum(axis=axis)), numpys.sum(axis=axis)), (name, axis)
long = np.arange(100_003, dtype=np.int64)
assert int(cp.asarray(long).sum()) == long.sum() and int(cp.asarray(long).max()) == long.max()
""",
        builds,
    )


def test_half_precision_rounds_as_numpy_does(builds):
    succeed(
        """
halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
there = cp.asarray(halves)
for wide in (np.float32, np.float64):
    mine = cp.asnumpy(there.astype(wide))
    assert np.array_equal(mine, halves.astype(wide), equal_nan=True), wide
    finite = np.sort(halves[np.isfinite(halves)].astype(wide))
    middles = (finite[:-1] + finite[1:]) / 2
    beside = [np.nextafter(middles, wide(end)) for end in (-9e9, 9e9)]
    numbers = np.concatenate([finite, middles, *beside, wide([7e4, np.inf])])
    with np.errstate(over="ignore"):
        assert np.array_equal(cp.asnumpy(cp.asarray(numbers).astype(np.float16)), numbers.astype(np.float16)), wide
""",
        builds,
    )


@pytest.mark.parametrize("as_cupy", [False, True])
def test_products_are_contracted_and_float32_is_flushed_only_where_it_is_asked_for(builds, as_cupy):
    printed = succeed(
        """
kernel = cp.ElementwiseKernel("float64 x, float64 y, float64 z", "float64 out", "out = x * y + z")
print(kernel(*(cp.asarray([x]) for x in (1 + 2.0**-30, 1 - 2.0**-30, -1.0))).item().hex())
single, double = cp.asarray(np.float32([2.0**-140])), cp.asarray([2.0**-140])
products, narrow, wide = single * np.float32(2), double.astype(np.float32), single.astype(np.float64)
print(*(bool((x == 0).all()) for x in (products, narrow, wide, cp.asarray([2.0**-1060]) * 2)))
""",
        builds,
        contract=as_cupy,
        flush=as_cupy,
    )
    contracted = "-0x1.0000000000000p-60" if as_cupy else "0x0.0p+0"
    assert printed.split() == [contracted, *[str(as_cupy)] * 3, "False"]


def test_a_barrier_that_some_threads_do_not_reach_ends_the_process(builds):
    done = run(
        """
kernel = cp.RawKernel('extern "C" __global__ void halved() { if (threadIdx.x < 8) return; __syncthreads(); }', "halved")
kernel((1,), (32,), ())
""",
        builds,
    )
    assert done.returncode == -6
    assert "a barrier that 8 of 32 threads do not reach" in done.stderr


def test_another_cupy_is_refused_and_one_that_is_there_already(builds):
    done = run(
        """
from tests.cuda_host import host
from cupy_backends.cuda.api import runtime
for attempt in (lambda: host._replace(runtime.__pyx_capi__["memcpy"], "int (int)", None), lambda: install(Path("."))):
    try:
        attempt()
    except RuntimeError as error:
        print(error)
""",
        builds,
    )
    of_signature, of_module = done.stdout.splitlines()
    assert of_signature.startswith("this CuPy has the signature 'PyObject *(intptr_t, intptr_t, size_t")
    assert of_signature.endswith("device.cpp has 'int (int)'")
    assert of_module == "CuPy has been imported: its modules have bound CUDA's functions"
