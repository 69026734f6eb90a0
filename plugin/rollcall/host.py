"""The object that a photo manager creates from plugin.toml."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sqlalchemy import text

from rollcall import adapt, events, forget, query, review, settings
from rollcall.adapt import AdaptReport
from rollcall.corrections import Correction
from rollcall.errors import RollcallError
from rollcall.faces import Analyzer
from rollcall.forget import Forgotten
from rollcall.indexer import Indexer, Leave
from rollcall.query import details, similar
from rollcall.query.details import FaceDetails, PhotoDetails
from rollcall.records import RunSummary
from rollcall.review import Question
from rollcall.store import adaptations, carrying, photos, tags, undoing
from rollcall.store import corrections as log
from rollcall.store.adaptations import Learnt
from rollcall.store.carrying import Imported
from rollcall.store.corrections import Done, Entry
from rollcall.store.database import Database, open_database
from rollcall.store.journal import Noted
from rollcall.store.tags import TagCount

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
        Is told what happens (`rollcall.events`): photos indexed, failed, moved, tags changed, and so on; called on
        the thread that does it, after it is stored. What other processes do stands in the view v1_events alone.
    loaded
        Settings that were loaded already, in place of `values`.
    """

    def __init__(
        self,
        values: Mapping[str, Any] | None = None,
        listener: events.Listener = events.ignore,
        *,
        loaded: settings.Settings | None = None,
    ) -> None:
        self.settings = loaded or settings.load(None, values)
        self.listener = listener
        self._database: Database | None = None
        self._analyzer = Analyzer(self.settings)
        self._indexing = threading.Lock()
        self._undescribed: set[int] = set()
        self._running = False
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
            self._database.told = self._tell
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

    def index(
        self,
        folders: Sequence[Path],
        *,
        force: bool = False,
        again: bool = False,
        stop: threading.Event | None = None,
    ) -> RunSummary:
        """Analyse what is new or changed in folders; returns when done, or soon after `stop` is set.

        Without a `stop` of one's own, the method `stop()` ends it. With `again` the folders are looked at even if
        they were forgotten; single files may then be named, too.
        """
        with self._indexing:
            indexer = Indexer(self.database, self._analyzer, self.settings, self.listener)
            if again:
                indexer.remember(folders)
            self._running = True
            try:
                summary = indexer.run(folders, force=force, stop=stop or self._stop)
            finally:
                self._running = False
            waiting, self._undescribed = self._undescribed, set()
            indexer.describe_undescribed(waiting)
            return summary

    def warm_up(self) -> None:
        """Load the networks now, so that the first face that is drawn is looked at at once."""
        with self._indexing:
            self._analyzer.warm_up()

    def folders(self) -> list[Path]:
        """Return the folders that were indexed before."""
        with self.database.read() as session:
            return [place.root for place in photos.places(session)]

    def retry(self) -> int:
        """Let photos that failed be tried again by the next run; return how many there are."""
        with self.database.write() as session:
            return photos.retry(session)

    def search(
        self,
        words: str,
        *,
        limit: int | None = None,
        offset: int = 0,
        min_probability: float = query.MIN_PROBABILITY,
    ) -> list[query.Hit]:
        """Return the photos that a query means, the likeliest first; see docs/search.md.

        The listener is warned where the query needs ages, genders or embeddings that are switched off.
        """
        for notice in query.notices(self.database, words, self.settings.attributes):
            self.listener(events.Warned(notice))
        return query.search(self.database, words, limit=limit, offset=offset, min_probability=min_probability)

    # ---- What a person says

    def correct(self, *said: Correction, by: str = "user") -> Done:
        """Record what a person says, all in one go; it holds at once and wins over every estimate from now on.

        Corrections are made by the functions of `rollcall.corrections`. Faces that are drawn or moved are looked
        at by the networks before this returns.

        Raises
        ------
        CorrectionError
            If one of them cannot be, or speaks of a face or photo that is not there; then none is recorded.
        """
        with self.database.write() as session:
            done = log.say(session, said, by, self.settings.tags)
        return self._described(done)

    def undo(self) -> Done:
        """Undo what was said last, all that was said in one go.

        Raises
        ------
        CorrectionError
            If nothing is left to undo.
        """
        with self.database.write() as session:
            done = undoing.undo(session, self.settings.tags)
        return self._described(done)

    def redo(self) -> Done:
        """Let hold again what was undone last.

        Raises
        ------
        CorrectionError
            If nothing was undone since something was last said.
        """
        with self.database.write() as session:
            done = undoing.redo(session, self.settings.tags)
        return self._described(done)

    def restore(self, to: int) -> Done:
        """Let hold what held when line `to` of the log was the newest; 0: nothing.

        Raises
        ------
        CorrectionError
            If the log has no such line.
        """
        with self.database.write() as session:
            done = undoing.restore(session, to, self.settings.tags)
        return self._described(done)

    def corrections(self, *, limit: int | None = None, before: int | None = None) -> list[Entry]:
        """Return the log of corrections, the newest first, from below line `before` on."""
        with self.database.read() as session:
            return log.entries(session, limit=limit, before=before)

    def waiting_corrections(self) -> list[Entry]:
        """Return the corrections whose photo or face cannot be found at present; they are kept until it is."""
        with self.database.read() as session:
            return log.waiting(session)

    def export_corrections(self) -> list[dict[str, Any]]:
        """Return the log as plain values, to be kept or carried to another database."""
        with self.database.read() as session:
            return list(carrying.export(session))

    def import_corrections(self, lines: Sequence[Mapping[str, Any]]) -> Imported:
        """Add an exported log to this database; what it has already is left as it is.

        Raises
        ------
        CorrectionError
            If a line is none; then nothing is imported.
        """
        with self.database.write() as session:
            imported = carrying.import_(session, lines, self.settings.tags)
        self._describe(imported.photo_ids)
        return imported

    def review(self, *, limit: int = 20, skip: Collection[int] = ()) -> list[Question]:
        """Return the faces to ask a person about next, the most telling first, but those whose number is in `skip`."""
        with self.database.read() as session:
            return review.questions(session, self.settings.tags, limit=limit, skip=skip)

    def left_to_review(self) -> int:
        """Return how many photos have a tag that waits for a person."""
        with self.database.read() as session:
            return review.left(session, self.settings.tags)

    # ---- What is to be forgotten

    def forget(
        self,
        *targets: str | Path,
        embeddings: bool = False,
        ages: bool = False,
        genders: bool = False,
        everything: bool = False,
        dry_run: bool = False,
        wait: float = forget.WAIT,
    ) -> Forgotten:
        """Remove something for good: from the tables, the database's file, its journal and backups, and the caches.

        Parameters
        ----------
        targets
            ``"face:12"``, ``"photo:3"``, or the path of a file or folder; none of them is stored again.
        embeddings, ages, genders
            All estimates of this kind.
        everything
            All that the database holds.
        dry_run
            Only count.
        wait
            For how many seconds others that use the database are waited for.

        With nothing named, what an earlier call could not finish is finished.

        Raises
        ------
        ForgetError
            If something named is not there; then nothing is removed.
        StoreError
            If another process indexes, or keeps reading an old state, for longer than `wait` seconds.
        """
        wanted = forget.wish(targets, embeddings=embeddings, ages=ages, genders=genders, everything=everything)
        if dry_run:
            return forget.forget(self.database, self.settings, wanted, dry_run=True)
        with self._indexing:
            return forget.forget(self.database, self.settings, wanted, wait=wait, listener=self.listener)

    # ---- Learning

    def adapt(self, *, keep: bool = True) -> AdaptReport:
        """Learn a small correction of the estimates from what was said; it is kept, and applied, only if it helps.

        With `keep` False nothing is written. The networks themselves never change.
        """
        return adapt.learn(self.database, self.settings, self._analyzer.model_version, keep=keep)

    def undo_adaptation(self) -> int | None:
        """Take back the newest correction of the estimates that is in use; return its number, None if none is."""
        return adapt.undo(self.database, self.settings)

    def adaptations(self) -> list[Learnt]:
        """Return every correction of the estimates that was kept, the newest first."""
        with self.database.read() as session:
            return adaptations.all_of_them(session)

    # ---- Tags

    def tags(self) -> list[TagCount]:
        """Return every tag in use with the number of photos that have it."""
        with self.database.read() as session:
            return tags.counts(session)

    def add_tag(self, photo_id: int, name: str) -> bool:
        """Set a tag of the host's; False, and nothing is done, if a person has rejected it.

        Raises
        ------
        CorrectionError
            If there is no such photo, or the name is empty.
        """
        with self.database.write() as session:
            return tags.add(session, photo_id, name)

    def remove_tag(self, photo_id: int, name: str) -> bool:
        """Take away a tag of the host's; False if it has set none. What a person says goes through `correct`."""
        with self.database.write() as session:
            return tags.remove(session, photo_id, name, self.settings.tags)

    # ---- Looking

    def similar(self, face_id: int, *, limit: int = 24) -> list[tuple[int, float]]:
        """Return the faces that look most like one, and how likely each shows the same person.

        Raises
        ------
        RollcallError
            If the face is not known, or has no embedding.
        """
        with self.database.read() as session:
            return similar.faces_like(self.database, session, face_id, limit)

    def photo(self, photo_id: int) -> PhotoDetails:
        """Return a photo with its faces and tags.

        Raises
        ------
        CorrectionError
            If there is no such photo.
        """
        with self.database.read() as session:
            return details.photo(session, photo_id)

    def photos(self, photo_ids: Sequence[int]) -> list[PhotoDetails]:
        """Return some photos with their faces and tags, in the order asked for; unknown numbers are left out."""
        with self.database.read() as session:
            return details.photos(session, photo_ids)

    def face(self, face_id: int) -> FaceDetails:
        """Return one face that is shown.

        Raises
        ------
        CorrectionError
            If there is no such face, or it was dismissed.
        """
        with self.database.read() as session:
            return details.face(session, face_id)

    def _described(self, done: Done) -> Done:
        """Let the networks look at faces whose box is new."""
        if done.undescribed:
            self._describe(done.photo_ids)
        return done

    def _describe(self, photo_ids: Collection[int]) -> None:
        # A person does not wait for a run over the library: what was drawn meanwhile is looked at when it ends.
        self._undescribed |= set(photo_ids)
        if not self._indexing.acquire(timeout=1 if self._running else 60):
            return
        try:
            waiting, self._undescribed = self._undescribed, set()
            Indexer(self.database, self._analyzer, self.settings, self.listener).describe_undescribed(waiting)
        finally:
            self._indexing.release()

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

    def _tell(self, noted: Sequence[Noted]) -> None:
        for kind, photo_id, face_id in noted:
            if photo_id is None:
                continue
            if kind == "tags_changed":
                self.listener(events.TagsChanged(photo_id))
            elif kind == "review_needed":
                self.listener(events.ReviewNeeded(photo_id))
            elif kind == "corrected":
                self.listener(events.Corrected(photo_id, face_id))

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

    def run(
        self,
        roots: Sequence[Path],
        *,
        force: bool = False,
        stop: threading.Event | None = None,
        leave: Leave | None = None,
    ) -> RunSummary:
        with self.plugin._indexing:
            return self.indexer.run(roots, force=force, stop=stop, leave=leave)

    def update(self, paths: Any, *, stop: threading.Event | None = None) -> RunSummary:
        with self.plugin._indexing:
            return self.indexer.update(paths, stop=stop)
