"""The pipeline: read pending photos, decode them on threads, analyse them in batches, store them.

The queue is the database, and every stage is bounded, so that memory does not grow with the library. A kill at any
moment loses at most the photos in flight, which are still pending.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Final

from rollcall import events
from rollcall.errors import PictureError, RollcallError
from rollcall.indexing import classify, moves, throttle
from rollcall.indexing.batch import BatchStore, DecodedPhoto
from rollcall.indexing.failures import analysis_key, failure_key
from rollcall.indexing.run import Run, StoppedError, Tools
from rollcall.indexing.throttle import Throttle
from rollcall.indexing.writer import Writer
from rollcall.inference import videos
from rollcall.media import decode, perceptual_hash, worker
from rollcall.privacy.exclusions import FileIdentity
from rollcall.records import FileStat, PhotoState
from rollcall.storage.library import CHUNK, PendingPhoto, Place

log = logging.getLogger(__name__)
#: How many failures a summary lists; the database has all of them.
NAMED_FAILURES: Final = 20
#: How often a run that waits for decoding looks whether it was stopped, in seconds.
_STOP_CHECK_SECONDS: Final = 0.1


class Pipeline:
    """Analyses pending photos. Use from one thread at a time."""

    def __init__(self, tools: Tools) -> None:
        self.tools = tools
        self.database, self.settings, self.publish = tools.database, tools.settings, tools.publish
        self.store = BatchStore(tools)
        self.exclusions = tools.exclusions
        # A database in memory has one connection, which two threads cannot share.
        self.writer = Writer(threaded=tools.database.threads)

    def process(self, places: Sequence[Place], run: Run) -> None:
        """Analyse all pending photos of some places."""
        if not places:
            return
        with self.database.read() as session:
            pending = classify.count_pending(session, places)
        self.publish(events.Discovered(pending, finished=True))
        threads, size = self.settings.decode_threads, self.settings.detector.batch
        # With few photos the analysis waits for decoding; with many, decoding threads must not slow the analysis down.
        initializer = throttle.lower_thread_priority if pending > size else None
        power = Throttle(self.settings.power, self.publish)
        batch: list[DecodedPhoto] = []
        pool = ThreadPoolExecutor(threads, thread_name_prefix="decode", initializer=initializer)
        with self.writer.running():
            try:
                for photo in self._decoded(pool, threads + size, places, run):
                    if photo.picture is None:
                        self._store_unanalysed(photo, run)
                        continue
                    if photo.picture.video is not None:
                        self._analyze_video(photo, run)
                        run.between_batches()
                        continue
                    batch.append(photo)
                    if len(batch) >= size:
                        began = time.perf_counter()
                        self._analyze(batch, run)
                        batch = []
                        power.wait_after(time.perf_counter() - began, run.stop)
                        run.between_batches()
                if batch:
                    self._analyze(batch, run)
                self.writer.finish()
            finally:
                # A run that was stopped does not wait for a file that takes long to decode; what its thread still
                # decodes nobody stores.
                pool.shutdown(wait=False, cancel_futures=True)

    # ---- Decoding

    def _decoded(
        self, pool: ThreadPoolExecutor, ahead: int, places: Sequence[Place], run: Run
    ) -> Iterator[DecodedPhoto]:
        """Yield pending photos decoded, in their order, with at most `ahead` of them decoded in advance."""
        waiting: deque[Future[DecodedPhoto]] = deque()
        source = self._pending(places, run)
        while True:
            while len(waiting) < ahead:
                photo = next(source, None)
                if photo is None:
                    break
                waiting.append(pool.submit(self._decode, photo))
            if not waiting:
                break
            with self.tools.profile("waiting for decoding"):
                decoded = self._result(waiting.popleft(), run)
            yield decoded
        run.check()

    @staticmethod
    def _result(decoding: Future[DecodedPhoto], run: Run) -> DecodedPhoto:
        """Wait for a decoded photo, or for the run to be stopped.

        Raises
        ------
        StoppedError
            If the run was stopped.
        """
        while not run.stopping:
            if wait([decoding], timeout=_STOP_CHECK_SECONDS).done:
                return decoding.result()
        raise StoppedError

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

    def _decode(self, photo: PendingPhoto) -> DecodedPhoto:
        """Decode one photo; runs on a thread of the pool."""
        stat = FileStat("", photo.size, 0)
        try:
            # Taken before the file is read: what is written to it later shows in the next scan.
            stat = FileStat.of("", photo.path.stat())
            moved_from = self._moved_from(photo, stat.size) if photo.may_have_moved or stat.size != photo.size else None
            if moved_from is not None:
                return DecodedPhoto(photo, stat, moved_from=moved_from)
            if photo.verified_hash is not None and decode.content_hash(photo.path) == photo.verified_hash:
                return DecodedPhoto(photo, stat, unchanged=True)
            with self.tools.profile("decode", parallel=True):
                picture = decode.decode(
                    photo.path,
                    target=self.settings.detector.resolution,
                    limits=self.settings.decode,
                )
            # Videos begin alike, in black: none is found again by its first picture.
            seen = None if picture.video is not None else perceptual_hash.compute(picture.pixels)
            return DecodedPhoto(photo, stat, picture, perceptual_hash=seen)
        except OSError as error:
            return DecodedPhoto(photo, stat, reason=f"the file cannot be read ({error.strerror or error})")
        except PictureError as error:
            return self._failed(DecodedPhoto(photo, stat), error)

    def _failed(self, photo: DecodedPhoto, error: PictureError) -> DecodedPhoto:
        reason = error.reason + (f"; {error.hint}" if error.hint else "")
        key = failure_key(error, self.settings.decode)
        return photo._replace(picture=None, reason=reason, failure_key=key)

    def _moved_from(self, photo: PendingPhoto, size: int) -> moves.MovedCandidate | None:
        """Return the known photo of this content whose file is gone; None if there is none."""
        with self.database.read() as session:
            if not moves.is_new(session, photo.photo_id):
                return None
            candidates = moves.candidates_of_size(session, size, photo.photo_id)
        candidates = [one for one in candidates if one.state == PhotoState.MISSING or not one.path.exists()]
        if not candidates:
            return None
        digest = decode.content_hash(photo.path)
        return next((one for one in candidates if one.content_hash == digest), None)

    # ---- Analysing

    def _analyze(self, batch: list[DecodedPhoto], run: Run) -> None:
        """Analyse a batch and store it in one transaction; if it fails, find the photo that makes it fail."""
        batch = self._without_erased(batch, run)
        pictures = [photo.picture for photo in batch if photo.picture is not None]
        if not pictures:
            return
        try:
            with self.tools.profile("detect and estimate"):
                found = self.tools.analyzer.analyze(pictures)
        except (RollcallError, MemoryError):
            # Trouble of the machine or the installation is not the photo's.
            raise
        except Exception as error:  # one bad photo never stops a run
            if len(batch) > 1:
                for photo in batch:
                    self._analyze([photo], run)
                return
            reason = f"the analysis failed ({type(error).__name__}: {error}); please report this photo"
            self._store_unanalysed(batch[0]._replace(picture=None, reason=reason, failure_key=analysis_key()), run)
            return
        with self.tools.profile("waiting for writing"):
            self.writer.submit(partial(self.store.store, batch, found), partial(self._report, batch, run))

    def _analyze_video(self, photo: DecodedPhoto, run: Run) -> None:
        """Analyse a video, whose frames are decoded as they are needed, and store it.

        Raises
        ------
        StoppedError
            If the run was stopped meanwhile; the video stays pending.
        """
        if not self._without_erased([photo], run) or photo.picture is None:
            return
        try:
            with self.tools.profile("detect and estimate"):
                found = videos.analyze(
                    self.tools.analyzer, photo.picture, self.settings, self.tools.model_version, run.stop
                )
        except worker.Interrupted as error:
            raise StoppedError from error
        except PictureError as error:
            self._store_unanalysed(self._failed(photo, error), run)
            return
        except (RollcallError, MemoryError):
            raise
        except Exception as error:  # one bad video never stops a run
            reason = f"the analysis failed ({type(error).__name__}: {error}); please report this video"
            self._store_unanalysed(photo._replace(picture=None, reason=reason, failure_key=analysis_key()), run)
            return
        photo = photo._replace(picture=found.picture)
        self.writer.submit(partial(self.store.store, [photo], [found.faces]), partial(self._report, [photo], run))

    def _without_erased(self, batch: list[DecodedPhoto], run: Run) -> list[DecodedPhoto]:
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
        self.writer.finish()
        self.exclusions.drop(gone)
        run.summary.skipped += len(gone)
        self.publish(events.PhotosSkipped(len(gone)))
        return [photo for photo in batch if photo.photo not in gone]

    def _report(self, batch: Sequence[DecodedPhoto], run: Run, stored: Sequence[tuple[int, int]]) -> None:
        """Count the photos of a stored batch, and publish them."""
        for photo, (photo_id, face_count) in zip(batch, stored, strict=True):
            run.summary.indexed += 1
            run.summary.moved += photo_id != photo.photo.photo_id
            run.summary.faces += face_count
            self._show(photo)
            self.publish(events.PhotoIndexed(photo_id, photo.photo.path, face_count))

    def _show(self, photo: DecodedPhoto) -> None:
        if photo.picture is None:
            return
        try:
            self.tools.picture_listener(photo.picture)
        except Exception:
            log.exception("%s: a listener failed with the picture; the run goes on", photo.photo.path)

    # ---- Photos that are not analysed

    def _store_unanalysed(self, photo: DecodedPhoto, run: Run) -> None:
        """Store a photo that is unchanged, moved, gone, or failed."""
        self.writer.finish()
        path = photo.photo.path
        if photo.unchanged:
            self.store.store_unchanged(photo)
            run.summary.skipped += 1
            self.publish(events.PhotosSkipped(1))
        elif photo.moved_from is not None:
            self._relocate(photo, photo.moved_from, run)
        elif not path.exists():
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

    def _relocate(self, photo: DecodedPhoto, moved_from: moves.MovedCandidate, run: Run) -> None:
        """Give a known photo its new path, and analyse it if that is still needed."""
        moved, pending = self.store.relocate(photo, moved_from)
        if moved:
            run.summary.moved += 1
            self.publish(events.PhotoMoved(moved_from.photo_id, moved_from.path, photo.photo.path))
        if not pending:
            return
        again = self._decode(photo.photo._replace(photo_id=moved_from.photo_id) if moved else photo.photo)
        if again.picture is not None and again.picture.video is not None:
            self._analyze_video(again, run)
        elif again.picture is not None:
            self._analyze([again], run)
        else:
            self._store_unanalysed(again, run)
