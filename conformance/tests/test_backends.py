"""The array libraries: which device their arrays are on, and what is said where there is none."""

import subprocess
import sys

import pytest

from xbce_conformance.subjects.backends import find_backends
from xbce_conformance.subjects.selection import find_subjects

# JAX with two devices, each in turn the default one; the second plays a GPU.
PROGRAM = """
import os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
import jax
import numpy as np
first, second = devices = jax.devices("cpu")
jax.devices = lambda platform: {"cpu": [first], "cuda": [second]}[platform]
from xbce_conformance.subjects.backends import find_backends
from xbce_conformance.cases import PLAIN
from xbce_conformance.subjects.backends import backend_facts
from xbce_conformance.subjects.selection import find_subjects

found, missing = find_backends(("jax", "jax:cuda"))
assert not missing
for name, default in (("jax", second), ("jax:cuda", first)):
    jax.config.update("jax_default_device", default)
    backend = found[name]
    device = {"jax": first, "jax:cuda": second}[name]
    assert backend.from_numpy(np.zeros(3)).devices() == {device}
    literal = eval(backend.array_code("0x1p-3", "float32"), {"jax": jax})
    assert literal.devices() == {device} and literal.tolist() == [0.125] * 64
    subjects, _ = find_subjects(("xbce", "optax"), {name: backend})
    functions = [function for subject in subjects for function in subject.functions if function.case is PLAIN]
    x, z = backend.from_numpy(np.float32([-20, 0.5])), backend.from_numpy(np.float32([0, 1]))
    for function in functions:
        results = function.call(x, z)
        for result in results if isinstance(results, tuple) else (results,):
            backend.to_numpy(result)
    print(name, [(subject.name, subject.backend.name) for subject in subjects], backend_facts(found)[name]["device"])
    print(*(any(text in f.name for f in functions) for text in ("jax.jit", "jax.grad", "reverse mode", "mean")))
    try:
        backend.to_numpy(jax.numpy.zeros(2))
    except RuntimeError as error:
        print(error)
"""


def test_jax_computes_on_the_device_of_its_backend():
    """Whatever device is JAX's default one: each result is on the backend's, or `to_numpy` raises."""
    pytest.importorskip("jax")
    pytest.importorskip("optax")
    run = subprocess.run([sys.executable, "-W", "error", "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [
        "jax [('xbce', 'jax'), ('optax', 'jax')] cpu:0",
        "True True True True",
        "the result is on cpu:1; jax computes on cpu:0",
        "jax:cuda [('xbce', 'jax:cuda'), ('optax', 'jax:cuda')] cpu",
        "True True True True",
        "the result is on cpu:0; jax:cuda computes on cpu:1",
    ]


def test_jax_without_a_cuda_device():
    """Said, quickly, and without a word of JAX's own."""
    pytest.importorskip("jax")
    program = "from xbce_conformance.subjects.backends import find_backends; print(find_backends(('jax:cuda',)))"
    run = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    if "Backend(" in run.stdout:
        pytest.skip("JAX has a CUDA device")
    assert run.stdout.startswith("({}, {'jax:cuda': \"JAX has no CUDA device: Unknown backend cuda.")
    assert run.stderr == ""


def test_reproducers_name_the_device_of_jax():
    found, _ = find_backends(("jax",))
    if not found:
        pytest.skip("JAX is not installed")
    code = found["jax"].array_code("0x1p+0", "float32")
    assert code == "jax.numpy.full(64, float.fromhex('0x1p+0'), 'float32', device=jax.devices('cpu')[0])"


def test_what_runs_on_jax_runs_on_its_cuda_device():
    _, missing = find_subjects(("optax",), {})
    assert missing == {"optax": "needs optax and the backend jax or jax:cuda"}
