"""One index run: scan folders, process what is pending, recover corrections, scrub what was erased."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from rollcall import events
from rollcall.errors import reason_of
from rollcall.indexing.pipeline import Pipeline
from rollcall.indexing.profile import Profile
from rollcall.indexing.reanalysis import describe_faces, recover_corrections
from rollcall.indexing.remote_places import RemotePlaces
from rollcall.indexing.run import LeaveAlone, Meanwhile, Noticed, PictureAnalyzer, Run, StoppedError, Tools
from rollcall.indexing.scan import Scanner
from rollcall.media import paths
from rollcall.people import grouping
from rollcall.privacy.switches import retained_notices
from rollcall.records import RunSummary
from rollcall.remote import homes
from rollcall.search.columns import columns_of
from rollcall.settings import Settings
from rollcall.storage import backups, pgvector
from rollcall.storage.database import Database
from rollcall.storage.library import Place, locate
from rollcall.xmp.sync import Sidecars


class Indexer:
    """Keeps a database in step with folders of photos. Use from one thread at a time.

    Its methods hold the database's lock for indexing while they work, except `describe`.
    """

    def __init__(
        self,
        database: Database,
        analyzer: PictureAnalyzer,
        settings: Settings,
        publish: events.Listener = events.ignore,
        profile: Profile | None = None,
        between_batches: Callable[[], None] = lambda: None,
    ) -> None:
        self.tools = Tools(database, analyzer, settings, publish, profile or Profile())
        self.between_batches = between_batches
        self.scanner = Scanner(self.tools)
        self.pipeline = Pipeline(self.tools)
        self.sidecars = Sidecars(database, settings, publish)

    def run(
        self,
        roots: Sequence[Path],
        *,
        force: bool = False,
        stop: threading.Event | None = None,
        leave_alone: LeaveAlone | None = None,
        meanwhile: Meanwhile | None = None,
    ) -> RunSummary:
        """Scan folders completely and analyse new and changed photos; return what was done.

        Parameters
        ----------
        force
            Analyse unchanged photos again, too.
        stop
            When set, the run ends after the photos in flight; what is left stays pending.
        leave_alone
            Called with each file's path and time of change in nanoseconds; the scan skips files for which it returns
            True.
        meanwhile
            Called between batches; new files among what it returns become pending photos, and part of this run.

        Raises
        ------
        LibraryError
            If none of the folders can be used.
        BusyError
            If another process indexes into this database.
        StoreError, ModelError
            If the database or the networks fail.
        """
        began = time.perf_counter()
        run = Run(force, stop, leave_alone, between_batches=self.between_batches)
        with self.tools.database.indexing():
            places = self.scanner.places(roots, run)
            try:
                remote = RemotePlaces(places, run, self.tools.publish)
                for place in places:
                    if place.prefix and paths.is_file(place.folder):
                        self.scanner.check_paths(place._replace(prefix=""), [place.folder], run)
                    else:
                        remote.attempt(place, self.scanner.scan)
                self._process(remote.local, run, meanwhile)
                for place in list(remote.serving):
                    remote.attempt(place, lambda place, run: self._process([place], run, None))
                remote.finish()
                recover_corrections(self.tools, run.began)
                # Names that other programs gave are known when faces are grouped.
                self._follow(run)
                self._group()
                whole = True
            except StoppedError:
                whole = False
            finally:
                homes.sweep(self.tools.settings)
            self.tools.exclusions.scrub_if_due(self.tools.publish)
            if whole:
                self._prepare_searches()
            self._warn_of_retained(run)
            self._back_up(run)
        run.summary.seconds = time.perf_counter() - began
        return run.summary

    def _prepare_searches(self) -> None:
        """Bring what searches read up to date, so that no search has to wait for much of it."""
        pgvector.prepare(self.tools.database)
        with self.tools.database.read() as session:
            columns_of(self.tools.database).tidy(session)

    def update(
        self, paths: Iterable[Path], *, stop: threading.Event | None = None, meanwhile: Meanwhile | None = None
    ) -> RunSummary:
        """Compare single files and folders with the database, and analyse new and changed photos.

        Paths outside of all roots are ignored. `meanwhile` is that of `run`.

        Raises
        ------
        BusyError
            If another process indexes into this database.
        StoreError, ModelError
            If the database or the networks fail.
        """
        began = time.perf_counter()
        run = Run(stop=stop, between_batches=self.between_batches)
        with self.tools.database.indexing():
            by_root = self._by_root(paths)
            try:
                for root, changed in by_root.items():
                    self.scanner.check_paths(root, changed, run)
                self._process(list(by_root), run, meanwhile)
                if run.summary.indexed:
                    recover_corrections(self.tools, run.began)
                self._follow(run)
                if run.summary.indexed or run.sidecars:
                    self._group()
            except StoppedError:
                pass
            self.tools.exclusions.scrub_if_due(self.tools.publish)
        run.summary.seconds = time.perf_counter() - began
        return run.summary

    def _process(self, places: Sequence[Place], run: Run, meanwhile: Meanwhile | None) -> None:
        """Analyse what is pending, and add what is new between the batches."""
        if meanwhile is None:
            self.pipeline.process(places, run)
            return

        def between_batches() -> None:
            self.between_batches()
            self._add_new(places, meanwhile(), run)

        run.between_batches = between_batches
        try:
            self.pipeline.process(places, run)
        finally:
            run.between_batches = self.between_batches

    def _add_new(self, places: Sequence[Place], noticed: Noticed, run: Run) -> None:
        if noticed.lost:
            for place in places:
                self.scanner.add_new(place._replace(prefix=""), [place.folder], run, noticed.leave_alone)
        elif noticed.paths:
            for root, changed in self._by_root(noticed.paths).items():
                self.scanner.add_new(root, changed, run)

    def _by_root(self, changed: Iterable[Path]) -> dict[Place, list[Path]]:
        """Return paths by the place of their whole root, without those that no root holds."""
        result: dict[Place, list[Path]] = {}
        with self.tools.database.read() as session:
            for path in changed:
                # A link may lead out of all roots; what lies behind it belongs to the root all the same.
                place = locate(session, path) or locate(session, path, resolve=False)
                if place is not None:
                    result.setdefault(place._replace(prefix=""), []).append(place.folder)
        return result

    def _follow(self, run: Run) -> None:
        """Bring photos and sidecars in line with each other."""
        xmp = self.tools.settings.xmp
        if xmp.read or xmp.writes:
            with self.tools.profile("sidecars"):
                undescribed = self.sidecars.follow(run.sidecars, run.stop)
            describe_faces(self.tools, undescribed)

    def follow(self, stop: threading.Event | None = None) -> None:
        """Bring sidecars in line with what changed since the last run; does nothing if nothing did.

        Raises
        ------
        BusyError
            If another process indexes into this database.
        StoreError
            If the database fails.
        """
        if self.sidecars.is_due():
            with self.tools.database.indexing():
                self._follow(Run(stop=stop))

    def lift_erasure(self, paths: Iterable[Path]) -> None:
        """Remove the tombstones of folders and files that a person names, so that they are indexed again.

        Raises
        ------
        BusyError
            If another process indexes into this database.
        """
        with self.tools.database.indexing():
            self.tools.exclusions.lift(paths)

    def describe(self, photo_ids: Collection[int]) -> None:
        """Analyse those faces of some photos whose boxes are new.

        Raises
        ------
        StoreError, ModelError
            If the database or the networks fail.
        """
        describe_faces(self.tools, photo_ids)

    def _group(self) -> None:
        """Find out who the new faces are."""
        if self.tools.settings.people.group == "on":
            with self.tools.profile("group"):
                grouping.group_new(self.tools.database, self.tools.settings.tags)

    def _back_up(self, run: Run) -> None:
        """Make the backup of the day, if it is due."""
        file = self.tools.database.file
        if file is None:
            return
        try:
            backups.make_daily(file, self.tools.settings.database.daily_backups)
        except (OSError, sqlite3.Error) as error:
            run.warn(f"{file}: the backup of the day cannot be written ({reason_of(error)})", self.tools.publish)

    def _warn_of_retained(self, run: Run) -> None:
        """Warn of stored estimates whose switch is off: switching off does not remove them."""
        if self.tools.settings.attributes.switched_off:
            with self.tools.database.read() as session:
                notices = retained_notices(session, self.tools.settings.attributes)
            for notice in notices:
                run.warn(notice, self.tools.publish)
