"""What all of these tests share: exact values, which take most of the time of a small run, a wide screen, a browser."""

import shutil

import pytest

# For a run of this folder alone. Both may be called twice, where tests/ is run as well.
from tests.conftest import pytest_collection_finish, pytest_configure  # noqa: F401


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
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("no chromium is here: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()
