"""The object that a photo manager creates from plugin.toml."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sqlalchemy import text

from rollcall import events, query, settings
from rollcall.errors import RollcallError
from rollcall.faces import Analyzer
from rollcall.indexer import Indexer
from rollcall.records import RunSummary
from rollcall.store.database import Database, open_database

State = Literal["stopped", "idle", "indexing", "watching"]


class Status(NamedTuple):
    """What the plugin does, and what the database holds."""

    state: State
    database: str
    photos: Mapping[str, int]  # by state: pending, indexed, failed, missing
    faces: int
    error: str | None  # why watching ended, if it did


class Plugin:
    """Rollcall inside a host. All methods may be called from any thread; indexing runs one at a time.

    Parameters
    ----------
    values
        Settings by their dotted names, as in plugin.toml; `database.url` says where everything is kept.
    listener
        Is told of every photo indexed, failed, moved; called on the thread that indexes.
    """

    def __init__(self, values: Mapping[str, Any] | None = None, listener: events.Listener = events.ignore) -> None:
        self.settings = settings.load(None, values)
        self.listener = listener
        self._database: Database | None = None
        self._analyzer = Analyzer(self.settings)
        self._indexing = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: str | None = None

    @property
    def database(self) -> Database:
        """The open database.

        Raises
        ------
        RollcallError
            If the plugin was not started.
        """
        if self._database is None:
            raise RollcallError("the plugin is not started; call start() first")
        return self._database

    def start(self, watch: Sequence[Path] = ()) -> None:
        """Open the database, made or migrated as needed; with `watch` keep it in step with folders from now on."""
        if self._database is None:
            self._database = open_database(self.settings.database_url, backups=self.settings.database.backups)
        if watch and self._thread is None:
            self._stop.clear()
            self._thread = threading.Thread(target=self._watch, args=(list(watch),), name="rollcall", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End what is going on after the photos in flight, and close the database."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        with self._indexing:
            if self._database is not None:
                self._database.close()
                self._database = None
        self._stop.clear()

    def index(self, folders: Sequence[Path], *, force: bool = False) -> RunSummary:
        """Analyse what is new or changed in folders; returns when done, or when `stop()` was called."""
        with self._indexing:
            indexer = Indexer(self.database, self._analyzer, self.settings, self.listener)
            return indexer.run(folders, force=force, stop=self._stop)

    def search(
        self,
        words: str,
        *,
        limit: int | None = None,
        offset: int = 0,
        min_probability: float = query.MIN_PROBABILITY,
    ) -> list[query.Hit]:
        """Return the photos that a query means, the likeliest first; see docs/search.md."""
        return query.search(self.database, words, limit=limit, offset=offset, min_probability=min_probability)

    def status(self) -> Status:
        """Return what the plugin does and what the database holds."""
        if self._database is None:
            return Status("stopped", "", {}, 0, self._error)
        with self._database.read() as session:
            states = session.execute(text("SELECT state, COUNT(*) FROM v1_photos GROUP BY state")).all()
            faces = session.execute(text("SELECT COUNT(*) FROM v1_faces")).scalar()
        state: State = "idle"
        if self._thread is not None and self._thread.is_alive():
            state = "watching"
        elif self._indexing.locked():
            state = "indexing"
        return Status(state, self._database.url, {row[0]: row[1] for row in states}, int(faces or 0), self._error)

    def _watch(self, folders: list[Path]) -> None:
        from rollcall.watcher import Watcher

        try:
            self._analyzer.warm_up()
            Watcher(_Locked(self), folders, self.settings, self.listener).run(self._stop)
        except Exception as error:  # the host's process goes on; it asks status()
            self._error = str(error)
            self.listener(events.Warned(f"watching ended: {error}"))


class _Locked:
    """The indexer as the watcher sees it: one piece of work at a time, also beside index()."""

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin
        self.indexer = Indexer(plugin.database, plugin._analyzer, plugin.settings, plugin.listener)

    def run(self, roots: Sequence[Path], *, force: bool = False, stop: threading.Event | None = None) -> RunSummary:
        with self.plugin._indexing:
            return self.indexer.run(roots, force=force, stop=stop)

    def update(self, paths: Any, *, stop: threading.Event | None = None) -> RunSummary:
        with self.plugin._indexing:
            return self.indexer.update(paths, stop=stop)
