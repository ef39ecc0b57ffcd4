"""Fixtures over every array library; what is absent is skipped with its reason, unless it is required."""

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from xbce_conformance.backends import BACKEND_NAMES, Backend, find_backends

settings.register_profile("default", deadline=None, derandomize=True, max_examples=60)
settings.register_profile(
    "nightly", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile(os.environ.get("XBCE_HYPOTHESIS_PROFILE", "default"))

_FOUND, _MISSING = find_backends()


def pytest_configure(config: pytest.Config) -> None:  # noqa: ARG001
    """Stop before the first test if a backend that should be here is not: a skip would hide it."""
    required = [name for name in os.environ.get("XBCE_REQUIRED_BACKENDS", "").split(",") if name]
    absent = [f"{name} ({_MISSING.get(name, 'unknown backend')})" for name in required if name not in _FOUND]
    if absent:
        msg = f"required backends are absent: {', '.join(absent)}"
        raise pytest.UsageError(msg)


def pytest_report_header(config: pytest.Config) -> list[str]:  # noqa: ARG001
    """Name the backends, present and absent."""
    lines = [f"backend {name}: {backend.version} on {backend.device}" for name, backend in _FOUND.items()]
    return lines + [f"backend {name}: absent, {reason}" for name, reason in _MISSING.items()]


@pytest.fixture(scope="session", params=BACKEND_NAMES)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each array library on each device."""
    if request.param in _MISSING:
        pytest.skip(f"{request.param}: {_MISSING[request.param]}")
    return _FOUND[request.param]


@pytest.fixture(scope="session", params=["float16", "bfloat16", "float32", "float64"])
def dtype(request: pytest.FixtureRequest, backend: Backend) -> Any:
    """Each floating dtype that the backend has."""
    if request.param not in backend.dtypes:
        pytest.skip(f"{backend.name} has no {request.param}")
    return request.param
