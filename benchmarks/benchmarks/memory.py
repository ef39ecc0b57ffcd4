"""The peak memory of a call in bytes, beyond the memory in use before it.

It includes the result and all temporary arrays, but not the inputs.
"""

import ctypes
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from asv_runner.benchmarks.mark import SkipNotImplemented

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


def extra_bytes(backend: str, call: Callable[[], object]) -> int:
    """Return the extra memory of a call that has been made once before."""
    if backend == "torch:cuda":
        return _torch_cuda(call)
    if backend == "cupy":
        return _cupy(call)
    if backend == "jax":
        import jax

        if jax.devices()[0].platform != "cpu":
            return _jax_device(call)
    return _resident(call)


def _torch_cuda(call: Callable[[], object]) -> int:
    import torch

    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    return torch.cuda.max_memory_allocated() - before


def _cupy(call: Callable[[], object]) -> int:
    import cupy

    # The pool grows by what a call needs and never shrinks by itself.
    pool = cupy.get_default_memory_pool()
    pool.free_all_blocks()
    before = pool.total_bytes()
    call()
    return pool.total_bytes() - before


def _jax_device(call: Callable[[], object]) -> int:
    import jax

    # The peak cannot be reset: it is the peak of the same call made before.
    device = jax.devices()[0]
    before = device.memory_stats()["bytes_in_use"]
    call()
    return device.memory_stats()["peak_bytes_in_use"] - before


def _resident(call: Callable[[], object]) -> int:
    """Measure the process, since no two libraries count their own memory alike."""
    if sys.platform != "linux":
        msg = "the peak of a process's resident memory can be reset on Linux only"
        raise SkipNotImplemented(msg)
    _return_freed_memory(call)
    # JAX frees the results of that call a little later, in a thread of its own.
    time.sleep(0.1)
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    call()
    # The resolution is a page; a smaller or negative figure means that other memory was freed meanwhile.
    return max(_status("VmHWM") - before, resource.getpagesize())


def _return_freed_memory(call: Callable[[], object]) -> None:
    """Return to the system the memory that glibc keeps from earlier calls: the next call would reuse it unnoticed."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.mallopt(_M_MMAP_THRESHOLD, 2**16)
        libc.mallopt(_M_TRIM_THRESHOLD, 0)
        # Only a thread's next `free` trims its arena.
        call()
        libc.malloc_trim(0)


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))
