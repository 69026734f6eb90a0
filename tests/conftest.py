"""Fixtures of all tests."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def compiled(pytestconfig: pytest.Config) -> Path:
    """Return the folder of the compilation cache, which is the same for all runs."""
    cache = pytestconfig.cache
    assert cache is not None
    return Path(cache.mkdir("compiled"))
