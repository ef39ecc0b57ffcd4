"""Runs Python in a process of its own in which CuPy has this machine for a device."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_HEADER = """\
import os
from pathlib import Path
from tests.cuda_host.compiler import Arithmetic
from tests.cuda_host.host import install
compiler = install(Path(os.environ["CUDA_HOST_BUILDS"]), Arithmetic({contract}, {flush}))
import cupy as cp
import numpy as np
"""

needs_tools = pytest.mark.skipif(
    not (shutil.which("g++") and find_spec("cupy") and sys.platform == "linux"),
    reason="CuPy's kernels on the host need CuPy, a C++ compiler (apt install g++) and Linux",
)


def environment(builds: Path) -> dict[str, str]:
    """Return the variables of a process that keeps what it builds in a folder."""
    path = os.pathsep.join(map(str, (ROOT, ROOT / "conformance")))
    return {**os.environ, "CUDA_HOST_BUILDS": str(builds), "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}


def run(code: str, builds: Path, *, contract: bool = False, flush: bool = False) -> subprocess.CompletedProcess[str]:
    """Run code that knows `cp`, `np` and `compiler`."""
    text = _HEADER.format(contract=contract, flush=flush) + code
    return subprocess.run(
        [sys.executable, "-c", text],
        cwd=ROOT,
        env=environment(builds),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def succeed(code: str, builds: Path, *, contract: bool = False, flush: bool = False) -> str:
    """Run code that must not fail; return what it prints."""
    done = run(code, builds, contract=contract, flush=flush)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
