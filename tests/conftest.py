"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def compiled(pytestconfig: pytest.Config) -> Path:
    """Return the folder of the compilation cache, kept from run to run."""
    cache = pytestconfig.cache
    assert cache is not None
    return Path(cache.mkdir("compiled"))
