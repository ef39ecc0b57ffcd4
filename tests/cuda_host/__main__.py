"""Run a module of Python with CuPy's kernels on this machine: `python -m tests.cuda_host xbce_conformance run ...`."""

import os
import runpy
import sys
from pathlib import Path

from tests.cuda_host.compiler import Arithmetic
from tests.cuda_host.host import install

if __name__ == "__main__":
    chosen = os.environ.get("CUDA_HOST", "")
    folder = Path(os.environ.get("CUDA_HOST_BUILDS", ".pytest_cache/cuda-host"))
    install(folder.absolute(), Arithmetic(contract="contract" in chosen, flush="flush" in chosen))
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
