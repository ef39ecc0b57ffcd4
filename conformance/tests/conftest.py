"""What all of these tests share: exact values, which take most of the time of a small run, a wide screen, a browser."""

import pytest

# For a run of this folder alone. All may be called twice, where tests/ is run as well.
from tests.conftest import (
    pytest_collection_finish,  # noqa: F401
    pytest_collection_modifyitems,  # noqa: F401
    pytest_configure,  # noqa: F401
)
from tests.helpers import chromium


@pytest.fixture(scope="module", autouse=True)
def _surroundings(pytestconfig):
    """Let every run of the command keep them in one folder, also in processes of their own and for later sessions.

    The names of the files are digests, of the code that computes them, too, and they are written whole.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XBCE_EXACT_VALUES", str(pytestconfig.rootpath / ".pytest_cache" / "exact-values"))
        # pytest-xdist sets it: the command then has 80 columns, and what is looked for is on two lines.
        patch.delenv("COLUMNS", raising=False)
        yield


@pytest.fixture(scope="module")
def browser():
    """Chromium; of one module, as its loop of asyncio runs until it is closed."""
    with chromium() as started:
        yield started
