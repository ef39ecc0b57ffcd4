"""Fixtures over every array library; what is absent is skipped with its reason, unless it is required."""

import gc
import getpass
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

import xbce
from xbce_conformance.cases import WITH_NUMBERS
from xbce_conformance.subjects.backends import BACKEND_NAMES, find_backends

gc.disable()  # until all is imported and collected: nearly nothing of that is ever garbage
settings.register_profile("default", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("default")

# Before any library starts threads: those of OpenMP wait for each other in a loop, which takes the processor from the
# others where there are more threads than processors (an operation of PyTorch took 2 ms).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
_FOUND, _MISSING = find_backends()
# name: loss, options, does it take probabilities
_FAMILY = {
    case.name: (getattr(xbce, case.function), dict(case.options), case.arguments[0] == "probabilities")
    for case in WITH_NUMBERS
}


def pytest_configure(config: pytest.Config) -> None:
    """Stop before the first test if a backend that should be here is not: a skip would hide it."""
    capability = os.environ.get("ATEN_CPU_CAPABILITY")
    if capability:
        # PyTorch's compiler would take code from its cache that was generated for the whole processor.
        folder = Path(tempfile.gettempdir(), f"torchinductor_{getpass.getuser()}_{capability}")
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))
    if "jax" in _FOUND:
        _keep_what_jax_compiles(config.rootpath / ".pytest_cache")
    required = [name for name in os.environ.get("XBCE_REQUIRED_BACKENDS", "").split(",") if name]
    absent = [f"{name} ({_MISSING.get(name, 'unknown backend')})" for name in required if name not in _FOUND]
    if absent:
        msg = f"required backends are absent: {', '.join(absent)}"
        raise pytest.UsageError(msg)


def _keep_what_jax_compiles(folder: Path) -> None:
    """Let JAX take from a folder what an earlier run has compiled, as PyTorch's compiler does of itself.

    It compiles every operation for each new shape, thousands in all. The name of a file is a digest of the program, the
    versions and the options. No two processes write the same folder at once: JAX does not write a file whole. So the
    first process gathers what all have written, before it starts others; each of these begins with all of that.
    """
    import jax

    worker = os.environ.get("PYTEST_XDIST_WORKER", "alone")
    own = folder / "jax" / worker
    own.mkdir(parents=True, exist_ok=True)
    known = {path.name for path in own.iterdir()}
    for path in (folder / "jax").glob("*/*" if worker == "alone" else "alone/*"):
        if path.name not in known:
            known.add(path.name)
            (own / path.name).hardlink_to(path)
    jax.config.update("jax_compilation_cache_dir", str(own))
    # Caches of XLA's own would be in the digest, by their folder: no process would find what another has written.
    jax.config.update("jax_persistent_cache_enable_xla_caches", "none")
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def pytest_collection_finish(session: pytest.Session) -> None:  # noqa: ARG001
    """Spare the collector of garbage what lives as long as the process: millions of objects, again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 200)
    gc.enable()


def pytest_report_header(config: pytest.Config) -> list[str]:  # noqa: ARG001
    """Name the backends, present and absent."""
    lines = [f"backend {name}: {backend.version} on {backend.device}" for name, backend in _FOUND.items()]
    return lines + [f"backend {name}: absent, {reason}" for name, reason in _MISSING.items()]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests once for each of what they ask for.

    That is `backend` (and `dtype`), where absent backends are skipped with their reason; and `loss`, `options` and
    `probabilities`, the family of losses.
    """
    family = ("loss", "options", "probabilities")
    if {*family} <= {*metafunc.fixturenames}:
        metafunc.parametrize(family, _FAMILY.values(), ids=_FAMILY)
    names = [name for name in ("backend", "dtype") if name in metafunc.fixturenames]
    if "backend" not in names:
        return
    parameters = []
    for name in BACKEND_NAMES:
        if name in _MISSING:
            skip = pytest.mark.skip(reason=f"{name}: {_MISSING[name]}")
            parameters.append(pytest.param(*[None] * len(names), id=name, marks=skip))
        elif names == ["backend"]:
            parameters.append(pytest.param(_FOUND[name], id=name))
        else:
            parameters += [pytest.param(_FOUND[name], dtype, id=f"{name}-{dtype}") for dtype in _FOUND[name].dtypes]
    metafunc.parametrize(names, parameters, scope="session")
