"""The life cycle of a plugin: how its parts are wired, start and stop, and checks against misuse."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

from rollcall import events
from rollcall.errors import LifecycleError
from rollcall.indexing.profile import Profile
from rollcall.indexing.run import PictureAnalyzer
from rollcall.indexing.service import IndexingService
from rollcall.inference.analyzer import Analyzer
from rollcall.remote.paths import named
from rollcall.search.columns import columns_of
from rollcall.settings import Settings, load
from rollcall.storage.change_feed import Change, ChangeKind
from rollcall.storage.database import Database, open_database

State = Literal["stopped", "idle", "indexing", "watching"]


class Status(NamedTuple):
    """The state of a plugin, and the content of its database."""

    state: State
    database: str
    photos: Mapping[str, int]  # by state: pending, indexed, failed, missing
    faces: int
    error: str | None  # why watching ended, or why it waits


class PluginBase:
    """The composition root: the only place that wires the parts of a plugin.

    Parameters
    ----------
    values
        Settings by their dotted names, as in plugin.toml; `database.url` is where everything is stored.
    listener
        Is called with events (`rollcall.events`); `subscribe` adds others.
    settings
        Loaded settings, in place of `values`.
    analyzer
        Finds faces and predicts their attributes, in place of the shipped networks.

    Raises
    ------
    SettingsError
        If a name or value in `values`, the settings file or the environment is not understood.
    """

    def __init__(
        self,
        values: Mapping[str, Any] | None = None,
        listener: events.Listener | None = None,
        *,
        settings: Settings | None = None,
        analyzer: PictureAnalyzer | None = None,
    ) -> None:
        self.settings = settings or load(None, values)
        self.profile = Profile()
        self.analyzer: PictureAnalyzer = analyzer or Analyzer(self.settings)
        self._bus = events.EventBus()
        self._database: Database | None = None
        self._service: IndexingService | None = None
        self._pid = os.getpid()
        if listener is not None:
            self._bus.subscribe(listener)

    # ---- Life cycle

    def start(self, watch: Sequence[Path | str] = (), *, read_only: bool = False) -> None:
        """Open the database; with `watch` keep it in step with folders from now on, on a thread.

        May be called again: a database that is open stays open, and a plugin that watches goes on with its folders.

        Parameters
        ----------
        watch
            Folders to watch. While a watcher waits for another process that indexes, `status().error` says so.
        read_only
            Open a database that exists, and change nothing. Otherwise it is created or migrated as needed.

        Raises
        ------
        StoreError
            If the database cannot be opened.
        LifecycleError
            If this process was forked from the one that created the plugin.
        """
        self._check_process()
        if self._database is None:
            self._database = open_database(
                self.settings.database_url,
                read_only=read_only,
                backups=self.settings.database.backups,
                cache=self.settings.cache_folder,
            )
            self._database.on_commit = self._publish_changes
            columns_of(self._database).progress = self._say_preparing
            self._service = IndexingService(
                self._database, self.analyzer, self.settings, self._bus.publish, self.profile
            )
        if watch:
            self.service.watch(list(map(named, watch)))

    def stop(self) -> None:
        """End all work after the photos in flight, and close the database; may be called more than once."""
        if self._service is not None:
            self._service.stop()
            self._service = None
        if self._database is not None:
            self._database.close()
            self._database = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def subscribe(self, listener: events.Listener) -> events.Unsubscribe:
        """Call `listener` with every event of this plugin from now on; return a function that ends the subscription.

        Listeners are called on the thread that does the work, after it is committed. An error in a listener is
        logged, and nothing stops because of it. A listener may read and correct; a call of `index`, `forget` or
        `warm_up` from a listener that runs inside such work raises `BusyError`, since it would wait for itself.
        Changes by other processes are found in the view v1_events only.
        """
        return self._bus.subscribe(listener)

    # ---- Parts

    @property
    def database(self) -> Database:
        """The open database: for reading with SQLAlchemy; what is not a view may change with any version.

        Raises
        ------
        LifecycleError
            If the plugin is not started, or was started in another process.
        """
        self._check_process()
        if self._database is None:
            raise LifecycleError("the plugin is not started; call start() first")
        return self._database

    @property
    def service(self) -> IndexingService:
        """The indexing service, which does one piece of work at a time; the methods above and below call it.

        Raises
        ------
        LifecycleError
            If the plugin is not started, or was started in another process.
        """
        self._check_process()
        if self._service is None:
            raise LifecycleError("the plugin is not started; call start() first")
        return self._service

    def _check_process(self) -> None:
        # Threads, locks and the runtime of the networks do not survive a fork: a child that uses them hangs.
        if os.getpid() != self._pid:
            raise LifecycleError(
                "this plugin was created in another process, from which this one was forked; create a plugin of its own"
                " here, in a process started with the method 'spawn'"
            )

    def _say_preparing(self, missing: int, parts: int) -> None:
        """Say that a search has to read much of the library first."""
        self._bus.publish(
            events.Warned(
                f"searches are being prepared, once: {missing} of {parts} parts of the library have to be read, which"
                " takes a second or two each; what is done stays done if this is interrupted"
            )
        )

    def _publish_changes(self, changes: Sequence[Change]) -> None:
        """Publish committed changes for which no part publishes an event itself."""
        for kind, photo_id, face_id in changes:
            if kind == ChangeKind.PEOPLE_CHANGED:
                self._bus.publish(events.PeopleChanged())
            elif kind == ChangeKind.ALBUMS_CHANGED:
                self._bus.publish(events.AlbumsChanged())
            if photo_id is None:
                continue
            if kind == ChangeKind.TAGS_CHANGED:
                self._bus.publish(events.TagsChanged(photo_id))
            elif kind == ChangeKind.REVIEW_NEEDED:
                self._bus.publish(events.ReviewNeeded(photo_id))
            elif kind == ChangeKind.CORRECTED:
                self._bus.publish(events.Corrected(photo_id, face_id))
