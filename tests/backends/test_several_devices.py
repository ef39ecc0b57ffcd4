"""Four devices of JAX, and two processes of PyTorch: what `four_devices.py` and `two_processes.py` find.

Both need processes of their own. Each test takes all checks of one, since every worker would start them anew.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.backends.checks import failures

ROOT = Path(__file__).parents[2]


def found_by(module, *arguments):
    """Run the checks of a module; return their number, and what failed."""
    command = [sys.executable, "-m", f"tests.backends.{module}", *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    return len(found), failures(found)


@pytest.mark.parametrize("arguments", [(), pytest.param(("--all",), marks=pytest.mark.long)], ids=["some", "all"])
def test_four_devices_of_jax(arguments):
    pytest.importorskip("jax")
    count, failed = found_by("four_devices", *arguments)
    assert not failed, failed
    assert count == 7 + len(arguments)


@pytest.mark.parametrize("arguments", [(), pytest.param(("--all",), marks=pytest.mark.long)], ids=["some", "all"])
def test_two_processes_of_pytorch(tmp_path, arguments):
    torch = pytest.importorskip("torch")
    if not torch.distributed.is_available() or not hasattr(torch.distributed, "is_gloo_available"):
        pytest.skip("PyTorch without gloo")
    count, failed = found_by("two_processes", str(tmp_path), *arguments)
    assert not failed, failed
    assert count == 8


def test_example_on_four_devices():
    pytest.importorskip("jax")
    command = [sys.executable, ROOT / "docs" / "examples" / "sharded.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)
    mean, devices = done.stdout.splitlines()
    words = mean.replace(",", "").split()
    assert abs(float(words[1]) - float(words[-1])) <= 2e-5
    assert devices == "the gradient is on 4 devices"
