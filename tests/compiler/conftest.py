"""Fixtures of the tests of programs."""

import pytest

import xbce
from tests.helpers import forget_plans
from xbce._compiler.cache import CompiledCache


@pytest.fixture
def own_log1p(request, monkeypatch):
    """Programs of NumPy with the series for log1p, or without it, whatever this processor has; without by default."""
    runner = pytest.importorskip("xbce._backends.numpy")
    monkeypatch.setattr(runner, "_CACHE", CompiledCache(runner._CACHE.target))
    monkeypatch.setattr(runner, "_OWN_LOG1P", getattr(request, "param", False))
    forget_plans(xbce.binary_cross_entropy_with_logits)
    yield
    forget_plans(xbce.binary_cross_entropy_with_logits)
