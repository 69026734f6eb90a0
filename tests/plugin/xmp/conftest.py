"""Fixtures: a plugin with drawn photos that writes sidecars, and helpers to look at what it knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from blobs import BlobAnalyzer
from rollcall import Plugin, events


class Library:
    """A plugin on a folder of drawn photos, and views of what it knows."""

    def __init__(self, plugin: Plugin, folder: Path, warnings: list[str]) -> None:
        self.plugin, self.folder, self.warnings = plugin, folder, warnings

    def index(self) -> None:
        self.plugin.index(self.folder)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.plugin.database.read() as session:
            return [tuple(row) for row in session.execute(text(sql))]

    def tags(self, name: str = "a.png") -> dict[str, tuple[str, str]]:
        """Return source and state of the tags of a photo."""
        found = self.rows(
            f"SELECT t.tag, t.source, t.state FROM v1_tags t JOIN v1_photos p USING (photo_id) WHERE p.path = '{name}'"
        )
        return {tag: (source, state) for tag, source, state in found}

    def applied(self, name: str = "a.png") -> set[str]:
        return {tag for tag, (_, state) in self.tags(name).items() if state == "applied"}

    def faces(self) -> list[tuple[str | None, str | None, str]]:
        """Return the confirmed name, who gave it, and who gave the face, of all faces from left to right."""
        found = self.rows("SELECT person, person_source, source, person_state FROM v1_faces ORDER BY photo_id, x")
        # Grouping may propose the name for other faces.
        return [
            (name, by, source) if state == "confirmed" else (None, None, source) for name, by, source, state in found
        ]

    def photo_id(self, name: str = "a.png") -> int:
        return int(self.rows(f"SELECT photo_id FROM v1_photos WHERE path = '{name}'")[0][0])

    def log(self) -> list[tuple[str, str]]:
        return [(entry.made_by, entry.kind) for entry in reversed(self.plugin.corrections())]


@pytest.fixture
def make_library(tmp_path: Path) -> Iterator[Callable[..., Library]]:
    folder = tmp_path / "photos"
    folder.mkdir(exist_ok=True)
    with ExitStack() as open_plugins:

        def make(database: str = "rollcall.db", **values: Any) -> Library:
            warnings: list[str] = []

            def listen(event: events.Event) -> None:
                if isinstance(event, events.Warned):
                    warnings.append(event.message)

            settings = {f"xmp.{name}": value for name, value in values.items()}
            url = str(tmp_path / "data" / database)
            plugin = Plugin({"database.url": url, **settings}, listener=listen, analyzer=BlobAnalyzer())
            return Library(open_plugins.enter_context(plugin), folder, warnings)

        yield make


@pytest.fixture
def library(make_library: Callable[..., Library]) -> Library:
    """A library that reads, and writes sidecars of all photos."""
    return make_library(write_photos=True)
