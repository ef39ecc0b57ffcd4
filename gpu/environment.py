"""`python -m gpu.environment`: what a run is made on, and how fast each library copies memory there."""

import argparse
import json
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from xbce_conformance.backends import find_backends
from xbce_conformance.cli.common import environment

_REPEATS = 20


def main() -> int:
    """Write environment.json; exit with 1 if a backend is absent."""
    parser = argparse.ArgumentParser(prog="python -m gpu.environment", description=__doc__)
    parser.add_argument("--backend", action="append", required=True)
    parser.add_argument("--bytes", type=int, default=2**30, help="how much each library copies")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    found, missing = find_backends(tuple(arguments.backend))
    data: dict[str, Any] = {"environment": environment(), "driver": _driver(), "missing": missing, "backends": {}}
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, backend in found.items():
        array = backend.from_numpy(np.zeros(arguments.bytes // 4, np.float32))
        seconds = _median(lambda array=array, name=name: _COPIES[name.partition(":")[0]](array))
        facts = {"version": backend.version, "device": backend.device}
        # Each byte is read and written.
        facts |= {"copied_bytes": arguments.bytes, "copy_bytes_per_second": 2 * arguments.bytes / seconds}
        data["backends"][name] = facts
        (arguments.out / "environment.json").write_text(json.dumps(data, indent=1), "utf-8")
    return 1 if missing else 0


def _driver() -> list[str]:
    """Return what nvidia-smi says of each device."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    query = "--query-gpu=name,driver_version,memory.total,clocks.max.sm,clocks.max.memory,power.limit"
    asked = subprocess.run([command, query, "--format=csv"], capture_output=True, text=True, check=False)  # noqa: S603
    return asked.stdout.splitlines()


def _median(call: Callable[[], object]) -> float:
    call()
    samples = []
    for _ in range(_REPEATS):
        begin = time.perf_counter()
        call()
        samples.append(time.perf_counter() - begin)
    return statistics.median(samples)


def _numpy(x: Any) -> None:
    x.copy()


def _torch(x: Any) -> None:
    x.clone()
    if x.is_cuda:
        import torch

        torch.cuda.synchronize()


def _cupy(x: Any) -> None:
    import cupy

    x.copy()
    cupy.cuda.get_current_stream().synchronize()


def _jax(x: Any) -> None:
    import jax

    jax.block_until_ready(jax.numpy.array(x, copy=True))


_COPIES: dict[str, Callable[[Any], None]] = {"numpy": _numpy, "torch": _torch, "cupy": _cupy, "jax": _jax}


if __name__ == "__main__":
    raise SystemExit(main())
