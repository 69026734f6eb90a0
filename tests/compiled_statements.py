"""Statements compiled for one SQLite database serve all others of a test run.

SQLAlchemy compiles a statement once for each database. A program opens one; the tests open thousands, and to compile
the same statements for each of them took a third of their time.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.util import LRUCache


class OfAllDatabases:
    """What an engine takes for its own cache of compiled statements: one, whichever engine's dialect asks."""

    def __init__(self) -> None:
        # An engine has room for 500; this one serves tests of everything.
        self._statements: LRUCache[Any, Any] = LRUCache(4_000)

    @staticmethod
    def _key(key: tuple[Any, ...]) -> tuple[Any, ...]:
        """Name the kind of dialect instead of the one engine's: all are made alike."""
        dialect, *statement = key
        return (type(dialect), *statement)

    def get(self, key: tuple[Any, ...]) -> Any:
        return self._statements.get(self._key(key))

    def __setitem__(self, key: tuple[Any, ...], compiled: Any) -> None:
        self._statements[self._key(key)] = compiled

    def __len__(self) -> int:
        return len(self._statements)

    def clear(self) -> None:
        self._statements.clear()


def share() -> None:
    """Have every engine of SQLite that is made from now on use the one cache."""
    shared = OfAllDatabases()
    make = Engine.__init__

    def made(self: Engine, *args: Any, **values: Any) -> None:
        make(self, *args, **values)
        if self.dialect.name == "sqlite":
            self._compiled_cache = shared  # type: ignore[assignment]

    Engine.__init__ = made  # type: ignore[method-assign]
