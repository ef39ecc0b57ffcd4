"""What all of these tests share: exact values, which take most of the time of a small run of the command."""

import os

import pytest

# For a run of this folder alone. Both may be called twice, where tests/ is run as well.
from tests.conftest import pytest_collection_finish, pytest_configure  # noqa: F401


@pytest.fixture(scope="module", autouse=True)
def _exact_values(tmp_path_factory):
    """Let every run of the command keep them in one folder of this session, also in processes of their own."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XBCE_EXACT_VALUES", str(shared / "exact-values"))
        yield
