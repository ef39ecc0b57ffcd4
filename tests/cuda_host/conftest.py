"""What the tests of this folder share: a folder for builds, kept from session to session."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def builds(request: pytest.FixtureRequest) -> Path:
    """Return the folder that shared objects are kept in, each by what it was compiled of."""
    cache = request.config.cache
    assert cache is not None
    return Path(cache.mkdir("cuda-host"))
