"""The pipeline: read pending photos, have them analysed by an executor, store them in batches.

The queue is the database, and every stage is bounded, so that memory does not grow with the library. A kill at any
moment loses at most the photos in flight, which are still pending.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from typing import Final, NamedTuple

from rollcall import events
from rollcall.errors import PictureError, RemoteError
from rollcall.indexing import classify, discovery, moves, remote_discovery, throttle
from rollcall.indexing.batch import AnalysedPhoto, BatchStore
from rollcall.indexing.executors.analysis import Outcome, Task
from rollcall.indexing.executors.base import Executor, result_of
from rollcall.indexing.executors.choosing import Work, executor_for
from rollcall.indexing.run import Run, Tools, no_listener
from rollcall.indexing.throttle import Throttle
from rollcall.indexing.writer import Writer
from rollcall.media import decode, video
from rollcall.media.paths import to_text
from rollcall.privacy import tombstones
from rollcall.privacy.exclusions import FileIdentity
from rollcall.records import FileStat
from rollcall.remote.copies import SHARED
from rollcall.remote.files import RemoteStat
from rollcall.sentences import Sentence
from rollcall.storage.library import CHUNK, PendingPhoto, Place

log = logging.getLogger(__name__)
#: How many failures a summary lists; the database has all of them.
NAMED_FAILURES: Final = 20
#: In a run over so many batches of the networks, so many are stored in one transaction: by 16 photos writing took
#: 0.50 ms of a processor a photo instead of 0.70 by 8. Short runs show each batch sooner, and pixels that are kept
#: would take twice the memory.
_LONG: Final = 8
_STORED: Final = 2


class _Moved(NamedTuple):
    """A photo whose file was found to be that of another one, under a new path."""

    photo: PendingPhoto
    stat: FileStat
    candidate: moves.MovedCandidate


class _Erased(NamedTuple):
    """A photo whose content was erased: the networks do not see it."""

    photo: PendingPhoto
    file: FileIdentity


class Pipeline:
    """Has pending photos analysed, and stores them. Use from one thread at a time."""

    def __init__(self, tools: Tools) -> None:
        self.tools = tools
        self.database, self.settings, self.publish = tools.database, tools.settings, tools.publish
        self.store = BatchStore(tools)
        self.exclusions = tools.exclusions
        self._any_erased = False
        # A database in memory has one connection, which two threads cannot share.
        self.writer = Writer(threaded=tools.database.threads)

    def process(self, places: Sequence[Place], run: Run) -> None:
        """Analyse all pending photos of some places."""
        if not places:
            return
        with self.database.read() as session:
            pending = classify.count_pending(session, places)
            self._any_erased = tombstones.any_photo_erased(session)
        self.publish(events.Discovered(pending, finished=True))
        if not pending:
            return
        size = self.settings.detector.batch
        if pending >= _LONG * size and not self._shows:
            size *= _STORED
        power = Throttle(self.settings.power, self.publish)
        batch: list[AnalysedPhoto] = []
        photos: dict[int, PendingPhoto] = {}
        with (
            self.writer.running(),
            closing(self._executor(pending, power, run)) as executor,
            self._tasks(pending, places, run, photos) as tasks,
        ):
            began = time.perf_counter()
            for outcome in self._outcomes(executor, tasks, run, batch):
                photo = _photo(photos.pop(outcome.number), outcome)
                if photo.picture is None:
                    self._store_unanalysed(photo, places, run)
                    continue
                batch.append(photo)
                if len(batch) >= size:
                    self._submit(batch[:], run)
                    batch.clear()
                    power.wait_after(time.perf_counter() - began, run.stop)
                    run.between_batches()
                    began = time.perf_counter()
            run.check()
            if batch:
                self._submit(batch, run)
            self.writer.finish()

    def _outcomes(
        self, executor: Executor, tasks: Iterator[Task], run: Run, batch: list[AnalysedPhoto]
    ) -> Iterator[Outcome]:
        """Yield the outcomes; if a server of photos stops serving, what is in the batch is stored before the error."""
        try:
            yield from executor.outcomes(tasks, lambda: run.stopping)
        except RemoteError:
            if batch:
                self._submit(batch, run)
            self.writer.finish()
            raise
        finally:
            SHARED.clear()

    @property
    def _shows(self) -> bool:
        """Whether someone wants to see the pictures, so that they keep their pixels until they are stored."""
        return self.tools.picture_listener is not no_listener

    def _executor(self, pending: int, power: Throttle, run: Run) -> Executor:
        return executor_for(
            Work(
                self.tools.analyzer,
                self.settings,
                self.tools.profile,
                pending,
                self._shows,
                power.resting,
                lambda message: self.publish(events.Warned(message)),
                run.stop,
            )
        )

    # ---- What is to be analysed

    @contextmanager
    def _tasks(
        self, pending: int, places: Sequence[Place], run: Run, photos: dict[int, PendingPhoto]
    ) -> Iterator[Iterator[Task]]:
        """Give the pending photos as tasks; `photos` gets each of them by its task's number.

        Photos that only moved are stored while the tasks are taken.
        """
        threads, size = self.settings.decode_threads, self.settings.detector.batch
        initializer = throttle.lower_thread_priority if pending > size else None
        pool = ThreadPoolExecutor(threads, thread_name_prefix="moves", initializer=initializer)

        def tasks() -> Iterator[Task]:
            numbers = itertools.count()
            for found in self._compared(pool, threads + size, places, run):
                if isinstance(found, _Erased):
                    self._drop({found.photo: found.file}, run)
                    continue
                photo = self._relocated(found, run) if isinstance(found, _Moved) else found
                if photo is not None:
                    number = next(numbers)
                    photos[number] = photo
                    yield Task(number, photo.path, photo.size, photo.verified_hash, photo.listed)

        try:
            yield tasks()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _compared(
        self, pool: ThreadPoolExecutor, ahead: int, places: Sequence[Place], run: Run
    ) -> Iterator[PendingPhoto | _Moved | _Erased]:
        """Yield pending photos in their order, compared with known photos whose files are gone."""
        waiting: deque[Future[PendingPhoto | _Moved | _Erased]] = deque()
        source = self._pending(places, run)
        while True:
            waiting.extend(
                pool.submit(self._compare, photo) for photo in itertools.islice(source, ahead - len(waiting))
            )
            if not waiting:
                return
            yield result_of(waiting.popleft(), lambda: run.stopping)

    def _pending(self, places: Sequence[Place], run: Run) -> Iterator[PendingPhoto]:
        after = 0
        version = None if run.force else self.tools.model_version
        while True:
            with self.database.read() as session:
                part = classify.pending(session, places, after, CHUNK, version)
            if not part:
                return
            yield from part
            after = part[-1].photo_id

    def _compare(self, photo: PendingPhoto) -> PendingPhoto | _Moved | _Erased:
        """Find out whether a photo is a known one under another path; runs on a thread of the pool."""
        if photo.listed is not None:
            return self._compare_remote(photo, photo.listed)
        try:
            stat = FileStat.of("", photo.path.stat())
            erased = self.exclusions.erased_file(photo.path, stat) if self._any_erased else None
            if erased is not None:
                return _Erased(photo, erased)
            if photo.may_have_moved or stat.size != photo.size:
                candidate = self._moved_from(photo, stat.size)
                if candidate is not None:
                    return _Moved(photo, stat, candidate)
        except (OSError, PictureError):
            pass  # whoever analyses it finds the same, and says so
        return photo

    def _compare_remote(self, photo: PendingPhoto, stat: FileStat) -> PendingPhoto | _Moved | _Erased:
        """Do the same with a remote file, which is fetched only if a photo of its size was erased or may have moved."""
        with self.database.read() as session:
            same_size = self._any_erased and bool(tombstones.contents_of_size(session, stat.size))
        if not (same_size or photo.may_have_moved):
            return photo
        try:
            listed = RemoteStat(photo.path.name, stat.size, stat.mtime_ns, stat.ctime_ns)
            with SHARED.at_hand(photo.path, self.settings, listed=listed) as file:
                erased = self.exclusions.erased_file(file, stat) if same_size else None
                if erased is not None:
                    return _Erased(photo, erased)
                candidate = self._moved_from(photo._replace(path=file), stat.size) if photo.may_have_moved else None
                return photo if candidate is None else _Moved(photo, stat, candidate)
        except (OSError, PictureError, RemoteError):
            return photo  # whoever analyses it finds the same, and says so

    def _moved_from(self, photo: PendingPhoto, size: int) -> moves.MovedCandidate | None:
        """Return the known photo of this content whose file is gone; None if there is none."""
        with self.database.read() as session:
            if not moves.is_new(session, photo.photo_id):
                return None
            candidates = moves.candidates_of_size(session, size, photo.photo_id)
        candidates = [one for one in candidates if one.is_gone]
        if not candidates:
            return None
        digest = decode.content_hash(photo.path)
        return next((one for one in candidates if one.content_hash == digest), None)

    # ---- Storing

    def _submit(self, batch: list[AnalysedPhoto], run: Run) -> None:
        """Have a batch stored in one transaction, while the next one is analysed."""
        batch = self._without_erased(batch, run)
        if not batch:
            return
        with self.tools.profile("waiting for writing"):
            self.writer.submit(partial(self.store.store, batch, run.began), partial(self._report, batch, run))

    def _without_erased(self, batch: list[AnalysedPhoto], run: Run) -> list[AnalysedPhoto]:
        """Return a batch without the photos whose content was erased, whatever their path is now."""
        hashes = {photo.photo: photo.picture.content_hash for photo in batch if photo.picture is not None}
        erased = self.exclusions.erased_contents(list(hashes.values()))
        if not erased:
            return batch
        gone = {
            photo.photo: FileIdentity(photo.stat.size, photo.stat.mtime_ns, hashes[photo.photo])
            for photo in batch
            if hashes[photo.photo] in erased
        }
        self._drop(gone, run)
        return [photo for photo in batch if photo.photo not in gone]

    def _drop(self, gone: Mapping[PendingPhoto, FileIdentity], run: Run) -> None:
        """Forget photos whose content was erased, under the paths that they have now."""
        self.writer.finish()
        self.exclusions.drop(gone)
        run.summary.skipped += len(gone)
        self.publish(events.PhotosSkipped(len(gone)))

    def _report(self, batch: Sequence[AnalysedPhoto], run: Run, stored: Sequence[tuple[int, int]]) -> None:
        """Count the photos of a stored batch, and publish them."""
        for photo, (photo_id, face_count) in zip(batch, stored, strict=True):
            run.summary.indexed += 1
            run.summary.videos += video.is_video(photo.photo.path)
            if photo_id != photo.photo.photo_id:
                run.count_moved(photo_id)
            run.summary.faces += face_count
            self._show(photo)
            self.publish(events.PhotoIndexed(photo_id, photo.photo.path, face_count))

    def _show(self, photo: AnalysedPhoto) -> None:
        if photo.picture is None or not photo.picture.pixels.size:
            return
        try:
            self.tools.picture_listener(photo.picture)
        except Exception:
            log.exception("%s: a listener failed with the picture; the run goes on", photo.photo.path)

    # ---- Photos that are not analysed

    def _store_unanalysed(self, photo: AnalysedPhoto, places: Sequence[Place], run: Run) -> None:
        """Store a photo that is unchanged, gone, or failed."""
        self.writer.finish()
        path = photo.photo.path
        if photo.unchanged:
            self.store.store_unchanged(photo)
            run.summary.skipped += 1
            self.publish(events.PhotosSkipped(1))
        elif photo.remote == "changed" or self._is_away(photo, places, run):
            # It stays pending: the next listing has it as it is now, and a folder that is away comes back.
            run.summary.skipped += 1
            self.publish(events.PhotosSkipped(1))
        elif self._is_gone(photo, places):
            # It was deleted while it waited, which is no failure of the file.
            self.store.store_missing(photo)
            run.summary.missing += 1
            self.publish(events.PhotosMissing(1))
        else:
            self.store.store_failure(photo)
            run.summary.failed += 1
            if len(run.summary.failures) < NAMED_FAILURES:
                run.summary.failures.append((str(path), photo.reason))
            self.publish(events.PhotoFailed(path, photo.reason))

    def _is_away(self, photo: AnalysedPhoto, places: Sequence[Place], run: Run) -> bool:
        """Return whether the whole local folder that holds a photo went away, so that nothing is known of the photo."""
        path = photo.photo.path
        root = next((place.root for place in places if path.is_relative_to(place.root)), None)
        if photo.photo.listed is not None or root is None or path.exists() or discovery.is_available(root):
            return False
        if root not in run.away:
            run.away.add(root)
            warning = Sentence(
                "%(folder)s: the folder went away during the run; the photos that are left wait until it is back",
                folder=to_text(str(root)),
            )
            run.warn(warning, self.publish)
        return True

    def _is_gone(self, photo: AnalysedPhoto, places: Sequence[Place]) -> bool:
        """Return whether a file is not there.

        Raises
        ------
        RemoteError
            If it is the whole remote root that is not there, so that nothing is known of its photos.
        """
        path = photo.photo.path
        if photo.photo.listed is None:
            return not path.exists()
        if photo.remote == "gone":
            for place in places:
                if path.is_relative_to(place.root):
                    remote_discovery.check(place.root)
        return photo.remote == "gone"

    def _relocated(self, found: _Moved, run: Run) -> PendingPhoto | None:
        """Give a known photo its new path; return what has still to be analysed."""
        photo, candidate = found.photo, found.candidate
        self.writer.finish()
        moved, pending = self.store.relocate(photo, candidate)
        if moved:
            run.count_moved(candidate.photo_id)
            self.publish(events.PhotoMoved(candidate.photo_id, candidate.path, photo.path))
        if not pending:
            return None
        return photo._replace(photo_id=candidate.photo_id) if moved else photo


def _photo(photo: PendingPhoto, outcome: Outcome) -> AnalysedPhoto:
    return AnalysedPhoto(
        photo,
        outcome.stat,
        outcome.picture,
        outcome.faces,
        outcome.reason,
        outcome.failure_key,
        outcome.perceptual_hash,
        outcome.unchanged,
        outcome.remote,
    )
