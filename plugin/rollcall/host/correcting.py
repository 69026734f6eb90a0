"""What a host offers people: corrections, review, erasure, learning, tags."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rollcall.corrections import log, review_queue, transfer, undo
from rollcall.corrections.kinds import Correction
from rollcall.corrections.log import CorrectionResult, LogEntry
from rollcall.corrections.review_queue import Question
from rollcall.corrections.transfer import ImportResult
from rollcall.host.base import PluginBase
from rollcall.inference import adaptation_store, learning
from rollcall.inference.adaptation_store import StoredAdaptation
from rollcall.inference.learning import AdaptationReport
from rollcall.privacy import erasure
from rollcall.privacy.erasure import ErasureReport
from rollcall.privacy.tombstones import ErasedContents
from rollcall.storage.database import Database
from rollcall.tags import store as tag_store
from rollcall.tags.store import TagChange, TagCount

#: How long corrections wait for the estimates of drawn and moved faces while other work runs, in seconds.
DESCRIBE_SECONDS: Final = 1.0


class CorrectingMixin(PluginBase):
    """Corrections, review, erasure, learning and tags of a plugin."""

    # ---- Corrections

    def correct(self, *given: Correction, by: str = "user", wait: float = DESCRIBE_SECONDS) -> CorrectionResult:
        """Record corrections as one batch; they are effective at once and win over every prediction from now on.

        Corrections are made by the functions of `rollcall.corrections`. The networks analyse faces that are drawn or
        moved before this returns; while other work runs they do so between two of its batches, and after `wait`
        seconds this returns without their estimates (`undescribed` names the faces).

        Raises
        ------
        NotFoundError
            If one of them is of a face or photo that is not there; then none is recorded.
        """
        with self.database.write() as session:
            result = log.record(session, given, by, self.settings.tags)
        return self._describe(result, wait)

    def undo(self, *, wait: float = DESCRIBE_SECONDS) -> CorrectionResult:
        """Undo the newest batch of corrections that is effective.

        Raises
        ------
        ConflictError
            If nothing is left to undo.
        """
        with self.database.write() as session:
            result = undo.undo(session, self.settings.tags)
        return self._describe(result, wait)

    def redo(self, *, wait: float = DESCRIBE_SECONDS) -> CorrectionResult:
        """Make the batch effective again that was undone last.

        Raises
        ------
        ConflictError
            If nothing was undone since the last correction.
        """
        with self.database.write() as session:
            result = undo.redo(session, self.settings.tags)
        return self._describe(result, wait)

    def restore(self, to: int, *, wait: float = DESCRIBE_SECONDS) -> CorrectionResult:
        """Make effective what was effective when line `to` of the log was the newest; 0: nothing.

        Raises
        ------
        NotFoundError
            If the log has no such line.
        """
        with self.database.write() as session:
            result = undo.restore(session, to, self.settings.tags)
        return self._describe(result, wait)

    def _describe(self, result: CorrectionResult, wait: float) -> CorrectionResult:
        """Make the estimates of faces whose boxes are new."""
        if result.undescribed and self.service.describe(result.photo_ids, wait):
            result.undescribed.clear()
        return result

    def corrections(self, *, limit: int | None = None, before: int | None = None) -> list[LogEntry]:
        """Return the log of corrections, the newest line first, from below line `before` on."""
        with self.database.read() as session:
            return log.entries(session, limit=limit, before=before)

    def waiting_corrections(self) -> list[LogEntry]:
        """Return the corrections whose photo or face cannot be found at present; they are kept until it is."""
        with self.database.read() as session:
            return log.waiting(session)

    def export_corrections(self) -> list[dict[str, Any]]:
        """Return the log as plain values, to be kept or imported into another database."""
        with self.database.read() as session:
            return list(transfer.export_log(session))

    def import_corrections(
        self,
        lines: Iterable[Mapping[str, Any]],
        *,
        wait: float = DESCRIBE_SECONDS,
        progress: transfer.Progress = lambda _done, _total: None,
    ) -> ImportResult:
        """Add an exported log to this database; lines that it has already are left as they are.

        It is committed in portions, and others can write in between; an import that was interrupted is completed by
        the next one. `progress` is called with how many lines were read, and how many there are.

        Raises
        ------
        InvalidCorrectionError
            If a line is not a correction; then nothing is imported.
        """
        imported = transfer.import_log(self.database, lines, self.settings.tags, ErasedContents, progress)
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
            return review_queue.left(session, self.settings.tags)

    # ---- Erasure

    def forget(
        self,
        *targets: str | Path,
        faces: Iterable[int] = (),
        photos: Iterable[int] = (),
        embeddings: bool = False,
        ages: bool = False,
        genders: bool = False,
        everything: bool = False,
        dry_run: bool = False,
        wait: float = erasure.WAIT_SECONDS,
    ) -> ErasureReport:
        """Erase data from the tables, the database's file, its journal and backups, and the caches.

        With nothing named, what an earlier call could not finish is finished.

        Parameters
        ----------
        targets
            Paths of files and folders; also ``"face:12"`` and ``"photo:3"``. None of them is stored again.
        faces, photos
            The same by number.
        embeddings, ages, genders
            All embeddings, or all predictions of this kind.
        everything
            All that the database holds.
        dry_run
            Change nothing; only report.
        wait
            For how many seconds to wait for work of this plugin, of other processes, and for readers.

        Raises
        ------
        NotFoundError, InvalidTargetError
            If something named is not there, or not named in a way that is understood; then nothing is erased.
        BusyError
            If other work does not end within `wait` seconds.
        StoreError
            If a reader keeps the journal from being emptied for longer than `wait` seconds.
        """
        request = erasure.parse_targets(
            targets,
            faces=faces,
            photos=photos,
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
        """Learn a small change of the predictions from corrections; it is kept, and applied, only if it helps.

        The networks themselves never change. With `dry_run` nothing is written.

        Raises
        ------
        ModelError
            If the networks' package cannot be used.
        """
        version = str(self.analyzer.model_version)
        return learning.learn(self.database, self.settings, version, dry_run=dry_run)

    def undo_adaptation(self) -> int | None:
        """Withdraw the newest adaptation in use; return its number, None if none is in use."""
        return learning.undo(self.database, self.settings)

    def adaptations(self) -> list[StoredAdaptation]:
        """Return every adaptation that was kept, the newest first."""
        with self.database.read() as session:
            return adaptation_store.all_adaptations(session)

    # ---- Tags

    def tags(self) -> list[TagCount]:
        """Return every tag in use with the number of photos that have it."""
        with self.database.read() as session:
            return tag_store.counts(session)

    def add_tag(self, photo_id: int, name: str) -> bool:
        """Set a tag of the host's; return False, and do nothing, if a person has rejected it.

        Raises
        ------
        NotFoundError
            If there is no such photo.
        InvalidCorrectionError
            If the name cannot be a tag.
        """
        with self.database.write() as session:
            return tag_store.add_host_tag(session, photo_id, name)

    def remove_tag(self, photo_id: int, name: str) -> bool:
        """Remove a tag of the host's; return False if it has set none. What a person decides goes through `correct`."""
        with self.database.write() as session:
            return tag_store.remove_host_tag(session, photo_id, name, self.settings.tags)

    def retag(self, *, dry_run: bool = False) -> Iterator[TagChange]:
        """Recompute the automatic tags of the whole library, portion by portion, and yield what changes.

        Needed after a change of `tags.precision` or of a tag's name. What people and hosts set, and what people
        rejected, stays as it is. With `dry_run` nothing is written.
        """
        return _retag(self.database, self.settings.tags, dry_run)


def _retag(database: Database, settings: Any, dry_run: bool) -> Iterator[TagChange]:
    after = 0
    while True:
        with database.read() as session:
            portion: tuple[int, Sequence[TagChange]] | None = next(tag_store.changes(session, settings, after), None)
        if portion is None:
            return
        after, changes = portion
        if changes and not dry_run:
            with database.write() as session:
                tag_store.recompute(session, sorted({change.photo_id for change in changes}), settings)
        yield from changes
