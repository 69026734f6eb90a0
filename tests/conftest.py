"""Fixtures of all tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import compiled_statements

#: Files whose tests are few and long: begun last, they would keep one processor busy while the others wait.
FIRST = (
    "tests/soak",
    "tests/model/training",
    "tests/plugin/commands/test_cli.py",
    "tests/plugin/indexing",
    "tests/web",
)

# The same examples in each run, however long a busy machine takes for one. `pytest --hypothesis-profile=anew` looks for
# others.
settings.register_profile("anew", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", settings.get_profile("anew"), derandomize=True)
settings.load_profile("same")

# Many tests start programs: without bytecode each of them compiles all its libraries again, for 4 s of a processor.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
compiled_statements.share()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files with long tests first."""
    root = Path(__file__).parents[1]

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(root).as_posix()
        return next((at for at, prefix in enumerate(FIRST) if path.startswith(prefix)), len(FIRST))

    items.sort(key=place)


@pytest.fixture(scope="session")
def compiled(pytestconfig: pytest.Config) -> Path:
    """Return the folder of the compilation cache, which is the same for all runs."""
    cache = pytestconfig.cache
    assert cache is not None
    return Path(cache.mkdir("compiled"))
