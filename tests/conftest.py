"""Fixtures over every array library; what is absent is skipped with its reason, unless it is required."""

import gc
import getpass
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import settings

import xbce
from tests import times
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
    if "jax" in _FOUND and not config.pluginmanager.has_plugin(_WhatJaxCompiles.NAME):
        shared = _WhatJaxCompiles(config.rootpath / ".pytest_cache" / "jax")
        config.pluginmanager.register(shared, _WhatJaxCompiles.NAME)
    if "XBCE_TEST_TIMES" in os.environ and not config.pluginmanager.has_plugin(times.Recorder.NAME):
        recorder = times.Recorder(Path(os.environ["XBCE_TEST_TIMES"]))
        config.pluginmanager.register(recorder, times.Recorder.NAME)
    required = [name for name in os.environ.get("XBCE_REQUIRED_BACKENDS", "").split(",") if name]
    absent = [f"{name} ({_MISSING.get(name, 'unknown backend')})" for name in required if name not in _FOUND]
    if absent:
        msg = f"required backends are absent: {', '.join(absent)}"
        raise pytest.UsageError(msg)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what takes long, before `-m` chooses."""
    times.mark(items)


class _WhatJaxCompiles:
    """Lets JAX take from a folder what another process or an earlier run has compiled, as PyTorch's compiler does.

    It compiles every operation for each new shape, thousands in all. The name of a file is a digest of the program, the
    versions and the options. JAX does not write a file whole: so each process writes a folder of its own, and links
    there, from time to time, what others wrote a while ago.
    """

    NAME = "what JAX compiles"

    def __init__(self, folder: Path) -> None:
        import jax

        self._own = folder / os.environ.get("PYTEST_XDIST_WORKER", "alone")
        self._own.mkdir(parents=True, exist_ok=True)
        self._known: set[str] = set()
        self._next = 0.0
        self.pytest_runtest_logstart()
        jax.config.update("jax_compilation_cache_dir", str(self._own))
        # Caches of XLA's own would be in the digest, by their folder: no process would find what another has written.
        jax.config.update("jax_persistent_cache_enable_xla_caches", "none")
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)

    def pytest_runtest_logstart(self) -> None:
        """Look for what is new, not more often than every two seconds."""
        now = time.time()
        if now < self._next:
            return
        self._next = now + 2
        for path in self._own.parent.glob("*/*"):
            if path.name not in self._known and (path.parent == self._own or path.stat().st_mtime < now - 1):
                self._known.add(path.name)
                with suppress(FileExistsError):
                    (self._own / path.name).hardlink_to(path)


def pytest_collection_finish(session: pytest.Session) -> None:  # noqa: ARG001
    """Spare the collector of garbage what lives as long as the process: millions of objects, again and again."""
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
        if name in _FOUND and _FOUND[name].makes_graphs and not os.environ.get("XBCE_TEST_GRAPHS"):
            continue  # an operation takes milliseconds, a test seconds: tests/backends has tests of its graphs
        if name in _MISSING:
            skip = pytest.mark.skip(reason=f"{name}: {_MISSING[name]}")
            parameters.append(pytest.param(*[None] * len(names), id=name, marks=skip))
        elif names == ["backend"]:
            parameters.append(pytest.param(_FOUND[name], id=name))
        else:
            parameters += [pytest.param(_FOUND[name], dtype, id=f"{name}-{dtype}") for dtype in _FOUND[name].dtypes]
    metafunc.parametrize(names, parameters, scope="session")
