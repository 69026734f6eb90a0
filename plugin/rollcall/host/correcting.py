"""The methods of a plugin that change data: corrections, review, erasure, learning, tags."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rollcall.corrections import archive, log, review_queue, transfer, undo
from rollcall.corrections.kinds import Correction
from rollcall.corrections.log import CorrectionResult, LogEntry
from rollcall.corrections.review_queue import Question
from rollcall.corrections.transfer import ImportResult
from rollcall.host.base import PluginBase
from rollcall.inference import adaptation_store, learning
from rollcall.inference.adaptation_store import StoredAdaptation
from rollcall.inference.learning import AdaptationReport
from rollcall.people import grouping
from rollcall.privacy import erasure
from rollcall.privacy.erasure import ErasureReport
from rollcall.privacy.tombstones import ErasedContents
from rollcall.settings import TagSettings
from rollcall.storage.database import Database
from rollcall.tags import store
from rollcall.tags.store import TagChange, TagCount

#: How long corrections wait by default for the analysis of drawn and moved faces while other work runs, in seconds.
DESCRIBE_SECONDS: Final = 1.0


class CorrectingMixin(PluginBase):
    """Corrections, review, erasure, learning and tags of a plugin."""

    # ---- Corrections

    def correct(
        self,
        *given: Correction,
        by: str = "user",
        origin: str | None = None,
        wait: float = DESCRIBE_SECONDS,
    ) -> CorrectionResult:
        """Record corrections as one batch; they are effective at once and take precedence over all predictions.

        The networks analyse faces that are drawn or moved before this returns; while other work runs, they do so
        between two of its batches.

        Parameters
        ----------
        given
            Corrections, made by the functions of `rollcall.corrections`, in their order.
        by
            The name of the person who made them, for the log.
        origin
            Where they come from, such as a window, so that `undo` can tell them from others'.
        wait
            For how many seconds to wait for the analysis of drawn and moved faces. After that this returns without
            their estimates, and `undescribed` of the result has the faces' numbers.

        Raises
        ------
        NotFoundError
            If one of them is of a face or photo that is not there; then none is recorded.
        StoreError
            If the database cannot be written.
        """
        with self.database.write() as session:
            result = log.record(session, given, by, self.settings.tags, origin)
            grouping.regroup(session, self.database, self.settings.tags)
        return self._describe(result, wait)

    def undo(
        self,
        *,
        by: str | None = None,
        origin: str | None = None,
        batches: Collection[str] | None = None,
        undone_from: str | None = None,
        wait: float = DESCRIBE_SECONDS,
    ) -> CorrectionResult:
        """Undo the newest batch of corrections that is effective.

        Parameters
        ----------
        by, origin
            Whose batch, and from where, as given to `correct`; None: anybody's, from anywhere.
        batches
            The batches of which to undo one, by `CorrectionResult.batch`; None: any.
        undone_from
            Where this undoing comes from, for the `origin` of `redo`; None: `origin`.
        wait
            For how many seconds to wait for the estimates of faces whose boxes are new.

        Raises
        ------
        ConflictError
            If nothing is left to undo.
        """
        with self.database.write() as session:
            result = undo.undo(
                session,
                self.settings.tags,
                by=by,
                origin=origin,
                batches=batches,
                undone_from=undone_from or origin,
            )
            grouping.regroup(session, self.database, self.settings.tags)
        return self._describe(result, wait)

    def redo(self, *, origin: str | None = None, wait: float = DESCRIBE_SECONDS) -> CorrectionResult:
        """Redo the batch that was undone last.

        Parameters
        ----------
        origin
            From where it was undone, as given to `undo`: what was done elsewhere since changes nothing; None: from
            anywhere.
        wait
            For how many seconds to wait for the estimates of faces whose boxes are new.

        Raises
        ------
        ConflictError
            If nothing was undone since the last correction.
        """
        with self.database.write() as session:
            result = undo.redo(session, self.settings.tags, origin=origin)
            grouping.regroup(session, self.database, self.settings.tags)
        return self._describe(result, wait)

    def restore(self, to: int, *, wait: float = DESCRIBE_SECONDS) -> CorrectionResult:
        """Undo and redo corrections until those are effective that were when line `to` of the log was the newest.

        0 undoes all corrections.

        Parameters
        ----------
        to
            The number of a line of the log (`LogEntry.id`), or 0.
        wait
            For how many seconds to wait for the estimates of faces whose boxes are new.

        Raises
        ------
        NotFoundError
            If the log has no such line.
        """
        with self.database.write() as session:
            result = undo.restore(session, to, self.settings.tags)
            grouping.regroup(session, self.database, self.settings.tags)
        return self._describe(result, wait)

    def _describe(self, result: CorrectionResult, wait: float) -> CorrectionResult:
        """Analyse the faces of a result whose boxes are new, for up to `wait` seconds."""
        archive.append(self.database)
        if result.undescribed and self.service.describe(result.photo_ids, wait):
            result.undescribed.clear()
        return result

    def corrections(self, *, limit: int | None = None, before: int | None = None) -> list[LogEntry]:
        """Return the log of corrections, the newest line first; with `before` only lines older than that number."""
        with self.database.read() as session:
            return log.entries(session, limit=limit, before=before)

    def waiting_corrections(self) -> list[LogEntry]:
        """Return the corrections whose photo or face cannot be found at present; they wait until it is found."""
        with self.database.read() as session:
            return log.waiting(session)

    def export_corrections(self) -> list[dict[str, Any]]:
        """Return the log as values that JSON can hold, the oldest line first.

        It can be stored, or imported into another database. The lines contain the embeddings and hashes by which
        photos and faces are found again.
        """
        with self.database.read() as session:
            return list(transfer.export_log(session))

    def import_corrections(
        self,
        lines: Iterable[Mapping[str, Any]],
        *,
        wait: float = DESCRIBE_SECONDS,
        progress: transfer.Progress | None = None,
    ) -> ImportResult:
        """Add an exported log to this database; lines that it has already are left as they are.

        It is committed in portions, and others can write in between; the next import completes one that was
        interrupted.

        Parameters
        ----------
        lines
            As `export_corrections` returns them.
        wait
            For how many seconds to wait for the estimates of faces whose boxes are new.
        progress
            Called with how many lines were read, and how many there are.

        Raises
        ------
        InvalidCorrectionError
            If a line is not a correction; then nothing is imported.
        """
        imported = transfer.import_log(self.database, lines, self.settings.tags, ErasedContents, progress)
        with self.database.write() as session:
            grouping.regroup(session, self.database, self.settings.tags)
        archive.append(self.database)
        if imported.photo_ids:
            self.service.describe(imported.photo_ids, wait)
        return imported

    def review(self, *, limit: int = 20, skip: Collection[int] = ()) -> list[Question]:
        """Return the faces to ask a person about next, the highest expected gain first; `skip` leaves faces out."""
        with self.database.read() as session:
            return review_queue.questions(session, self.settings.tags, limit=limit, skip=skip)

    def left_to_review(self) -> int:
        """Return how many photos have a suggested tag."""
        with self.database.read() as session:
            return review_queue.count_photos(session, self.settings.tags)

    # ---- Erasure

    def forget(
        self,
        *targets: str | Path,
        faces: Iterable[int] = (),
        photos: Iterable[int] = (),
        people: Iterable[int] = (),
        embeddings: bool = False,
        ages: bool = False,
        genders: bool = False,
        everything: bool = False,
        dry_run: bool = False,
        wait: float = erasure.WAIT_SECONDS,
    ) -> ErasureReport:
        """Erase data from the tables, the database's file, its write-ahead log and backups, and the caches.

        Without any target, an erasure that was interrupted is finished.

        Parameters
        ----------
        targets
            Paths of files and folders; also ``"face:12"``, ``"photo:3"`` and ``"person:5"``. None of them is stored
            again.
        faces, photos
            Faces and photos by number.
        people
            People by number: with all faces that are theirs, confirmed or not, their names, and all that was said.
        embeddings, ages, genders
            All embeddings, or all predictions of this kind.
        everything
            All that the database holds.
        dry_run
            Change nothing; only report.
        wait
            For how many seconds to wait for work of this plugin and of other processes, and for readers.

        Raises
        ------
        NotFoundError, InvalidTargetError
            If a target is not there, or cannot be parsed; then nothing is erased.
        BusyError
            If other work does not end within `wait` seconds.
        StoreError
            If a reader still blocks the write-ahead log after `wait` seconds, or a file cannot be removed. The rows are
            deleted; their bytes are removed at the next run.
        """
        request = erasure.parse_targets(
            targets,
            faces=faces,
            photos=photos,
            people=people,
            embeddings=embeddings,
            ages=ages,
            genders=genders,
            everything=everything,
        )
        if dry_run:
            return erasure.dry_run(self.database, self.settings, request)
        return self.service.erase(request, wait)

    # ---- Learning

    def adapt(self, *, dry_run: bool = False) -> AdaptationReport:
        """Learn an adaptation of the predictions from corrections; store and apply it only if it helps.

        Whether it helps is measured on corrected faces that were held out. The networks themselves never change.
        With `dry_run` nothing is written.

        Raises
        ------
        ModelError
            If the networks' weights are missing.
        StoreError
            If the database cannot be written.
        """
        version = str(self.analyzer.model_version)
        return learning.learn(self.database, self.settings, version, dry_run=dry_run)

    def undo_adaptation(self) -> int | None:
        """Withdraw the newest adaptation in use; return its number, None if none is in use."""
        return learning.undo(self.database, self.settings)

    def adaptations(self) -> list[StoredAdaptation]:
        """Return all stored adaptations, the newest first."""
        with self.database.read() as session:
            return adaptation_store.all_adaptations(session)

    # ---- Tags

    def tags(self) -> list[TagCount]:
        """Return every tag in use with the number of photos that have it."""
        with self.database.read() as session:
            return store.counts(session)

    def add_tag(self, photo_id: int, name: str) -> bool:
        """Set a tag for the host; return False, and do nothing, if a person has rejected it.

        `name` is the tag's full name, with '/' between levels.

        Raises
        ------
        NotFoundError
            If there is no such photo.
        InvalidCorrectionError
            If the name cannot be a tag.
        """
        with self.database.write() as session:
            return store.add_host_tag(session, photo_id, name)

    def remove_tag(self, photo_id: int, name: str) -> bool:
        """Remove the tag `name` that the host set; return False if it set none.

        What a person decides about a tag goes through `correct`.

        Raises
        ------
        InvalidCorrectionError
            If the name cannot be a tag.
        """
        with self.database.write() as session:
            return store.remove_host_tag(session, photo_id, name, self.settings.tags)

    def retag(self, *, dry_run: bool = False) -> Iterator[TagChange]:
        """Recompute the automatic tags of the whole library, portion by portion, and yield the changes.

        Needed after a change of `tags.precision` or of a tag's name. Tags that people and hosts set, and tags that
        people rejected, stay as they are. With `dry_run` nothing is written. Each portion is written before its changes
        are yielded: a caller that stops iterating leaves the rest as it is.

        Raises
        ------
        ModelError
            If the tag thresholds, which are stored with the weights, cannot be read.
        """
        return _retag(self.database, self.settings.tags, dry_run)


def _retag(database: Database, settings: TagSettings, dry_run: bool) -> Iterator[TagChange]:
    after = 0
    while True:
        with database.read() as session:
            portion: tuple[int, Sequence[TagChange]] | None = next(store.changes(session, settings, after), None)
        if portion is None:
            return
        after, changes = portion
        if changes and not dry_run:
            with database.write() as session:
                store.recompute(session, sorted({change.photo_id for change in changes}), settings)
        yield from changes
