"""What all of these tests share: exact values, which take most of the time of a small run of the command."""

import os

import pytest


@pytest.fixture(scope="module", autouse=True)
def _exact_values(tmp_path_factory):
    """Let every run of the command keep them in one folder of this session, also in processes of their own."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XBCE_EXACT_VALUES", str(shared / "exact-values"))
        yield
