"""PyTorch on a second device: nothing is made on the CPU, copied from it or compared with it.

`second_device.py` does the work, in a process of its own, on the device that `played_device.py` plays.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.backends.checks import failures
from xbce_conformance.cases import WITH_NUMBERS

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(
    not hasattr(torch._C, "_acc") or not hasattr(torch._C._acc, "create_empty_tensor"),
    reason=f"PyTorch {torch.__version__} cannot play a device from Python",
)
ROOT = Path(__file__).parents[2]
CHECKS = (
    "tables_of_high_precision",
    "high_precision_watched",
    "options_that_are_arrays",
    "numbers_of_all_kinds",
    "dtypes_of_results",
    "functions_that_are_no_losses",
    "values_are_read_by_scalars",
    "transforms",
    "modules_and_conventions",
    "a_training_step",
    "errors_name_the_devices",
    *(case.name for case in WITH_NUMBERS),
)


def found_by(*arguments):
    """Run checks in a process of their own; return what came of each."""
    command = [sys.executable, "-m", "tests.backends.second_device", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_on_a_second_device():
    """All at once: each test of a worker would run them anew."""
    found = found_by()
    assert tuple(sorted(found)) == tuple(sorted(CHECKS))
    assert not failures(found), failures(found)
    watched = {name: result["result"] for name, result in found.items()}
    assert all(watched[case.name] > 1000 for case in WITH_NUMBERS), watched
    assert watched["high_precision_watched"] > 3000
    assert watched["errors_name_the_devices"] == 25


@pytest.mark.long
def test_every_option_on_a_second_device():
    found = found_by("--all")
    assert len(found) == len(CHECKS) + len(WITH_NUMBERS) - 1
    assert not failures(found), failures(found)
    assert sum(result["result"] for result in found.values()) > 100_000
