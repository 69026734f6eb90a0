"""The pipeline: discover, decode, analyse, store; bounded everywhere, so that memory does not grow with the library.

The queue is the database: a scan first records every new or changed file as pending, then the pending ones
are worked off. A kill at any moment loses at most the photos in flight, which are still pending.
"""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple, Protocol

from sqlalchemy.orm import Session

from rollcall import decode, discovery, events, looks, matching, names, privacy
from rollcall.adaptation import Adaptation
from rollcall.errors import LibraryError, ModelError, PictureError
from rollcall.opting_out import OptingOut, ignoring
from rollcall.pace import Pace, step_back
from rollcall.profile import Profile
from rollcall.records import Analysis, Box, Face, FileFacts, Picture, RunSummary
from rollcall.settings import Settings
from rollcall.store import adaptations, corrections, finding, forgotten, journal, kept, photos, results
from rollcall.store.database import Database
from rollcall.store.photos import PendingPhoto, Place, Seen
from rollcall.store.tables import FaceRow, Photo
from rollcall.writing import Writer

#: Says of a file, by its path and time of change in nanoseconds, whether to leave it as it is for now.
Leave = Callable[[Path, int], bool]
#: How many failures a summary names; the database has them all.
NAMED_FAILURES: Final = 20


class PictureAnalyzer(Protocol):
    """What the indexer needs of `faces.Analyzer`."""

    @property
    def model_version(self) -> str:
        """What the faces are analysed by; when it changes, photos are analysed anew."""

    def analyze(self, pictures: Sequence[Picture]) -> list[tuple[Face, ...]]:
        """Return the faces of each picture."""

    def describe(self, picture: Picture, boxes: Sequence[Box]) -> list[Face]:
        """Return what is to be said of faces whose boxes a person gave."""


class _Decoded(NamedTuple):
    photo: PendingPhoto
    size: int
    mtime_ns: int
    picture: Picture | None
    reason: str  # why there is no picture
    moved_from: photos.Lost | None = None
    look: bytes | None = None


class _Facts(NamedTuple):
    """What a batch is asked about once, so that most of its photos need not be asked about it one by one."""

    there: dict[int, Photo]  # where they were when they were read; kept, so that they are not fetched again
    blank: set[int]  # photos of which nothing is known yet
    lost: set[str]  # contents that other photos have whose files are gone, or have to be looked at
    faces_forgotten: bool  # whether any were, anywhere
    spoken_of: set[str]  # contents for which something that a person said is waiting


class _Stopped(Exception):
    """Someone asked the run to stop."""


class Indexer:
    """Keeps a database in step with folders of photos. Use from one thread at a time."""

    def __init__(
        self,
        database: Database,
        analyzer: PictureAnalyzer,
        settings: Settings,
        listener: events.Listener = events.ignore,
        profile: Profile | None = None,
    ) -> None:
        self.database = database
        self.analyzer = analyzer
        self.settings = settings
        self.listener = listener
        self.profile = profile or Profile()
        self._opting_out = OptingOut(database, settings)
        # One connection cannot be shared, and a database in memory has but one.
        self._writer = Writer(beside=database.file is not None)

    def run(
        self,
        roots: Sequence[Path],
        *,
        force: bool = False,
        stop: threading.Event | None = None,
        leave: Leave | None = None,
    ) -> RunSummary:
        """Scan folders wholly and analyse what is new or changed; returns what was done.

        `force` analyses everything anew. When `stop` is set the run ends after the photos in flight; what is
        left stays pending. `leave` is asked of each file, by its path and time of change in nanoseconds, whether
        to leave it as it is for now.

        Raises
        ------
        LibraryError
            If none of the folders can be used.
        StoreError, ModelError
            If the database or the networks fail.
        """
        began, started = time.perf_counter(), photos.now()
        summary = RunSummary()
        with self.database.indexing():
            places = self._places(roots, summary, watching=leave is not None)
            try:
                for place in places:
                    if place.prefix and place.folder.is_file():
                        self._look_at(place._replace(prefix=""), [place.folder], summary, stop, force)
                    else:
                        self._scan(place, force, summary, stop, leave)
                self._work_off(places, summary, stop)
                self._find_lost(started)
            except _Stopped:
                pass
            self._opting_out.finish(self.listener)
            self._tell_of_kept(summary)
        summary.seconds = time.perf_counter() - began
        return summary

    def update(self, paths: Iterable[Path], *, stop: threading.Event | None = None) -> RunSummary:
        """Look at single files and folders, new, changed or gone, and analyse what needs it."""
        began, started = time.perf_counter(), photos.now()
        summary = RunSummary()
        with self.database.indexing():
            by_root: dict[Place, list[Path]] = {}
            with self.database.read() as session:
                for path in paths:
                    place = photos.place_of(session, path)
                    if place is not None:
                        by_root.setdefault(place._replace(prefix=""), []).append(place.folder)
            try:
                for root, hinted in by_root.items():
                    self._look_at(root, hinted, summary, stop)
                self._work_off(list(by_root), summary, stop)
                if summary.indexed:
                    self._find_lost(started)
            except _Stopped:
                pass
            self._opting_out.finish(self.listener)
        summary.seconds = time.perf_counter() - began
        return summary

    def remember(self, paths: Iterable[Path]) -> None:
        """Let folders and files that a person names be indexed again though they were forgotten."""
        with self.database.indexing():
            self._opting_out.remember(paths)

    # ---- Which photos there are

    def _places(self, roots: Sequence[Path], summary: RunSummary, watching: bool) -> list[Place]:
        result: list[Place] = []
        problems: list[LibraryError] = []
        for root in roots:
            try:
                place = self._place(root, watching)
            except LibraryError as error:
                problems.append(error)
            else:
                if place not in result:
                    result.append(place)
        if problems and not result:
            raise problems[0]
        for problem in problems:
            self._warn(str(problem), summary)
        # A folder inside another of the same run would be looked at twice.
        return [one for one in result if not any(one != big and _holds(big, one) for big in result)]

    def _place(self, root: Path, watching: bool) -> Place:
        """Return where a folder, or a file in one that is known, lies in the library; a new folder becomes a root.

        One that is watched becomes a root even while it is empty: its first photo shall be found.

        Raises
        ------
        LibraryError
            If it is not there, is empty, or was forgotten.
        """
        folder = Path(os.path.realpath(root))
        with self.database.read() as session:
            known = photos.place_of(session, folder)
        over = self._opting_out.kept_away().folder_over(names.to_text(str(folder)))
        if over is not None:
            raise LibraryError(
                root, f"the folder {names.from_text(over)} was forgotten; index that one by its name to have it again"
            )
        if folder.is_file():
            if known is None:
                raise LibraryError(root, "this is a file outside of all folders of the library; index its folder")
            return known
        if not discovery.is_available(folder):
            what = "is empty or cannot be read" if folder.is_dir() else "is not there"
            hint = (
                "nothing was marked as missing; plug the disk in or mount the share, and run again"
                if known
                else "check the path"
            )
            if watching and known is None and folder.is_dir():
                with self.database.write() as session:
                    photos.add_root(session, folder)
                hint = "its photos are looked at as they come"
            raise LibraryError(root, f"the folder {what}; {hint}")
        with self.database.write() as session:
            return photos.add_root(session, folder)

    def _scan(
        self,
        place: Place,
        force: bool,
        summary: RunSummary,
        stop: threading.Event | None,
        leave: Leave | None = None,
    ) -> None:
        """Compare a whole folder with the database; mark what is gone, and forget what opted out."""
        seen = Seen()
        unreadable: list[str] = []
        ignored: list[str] = []
        below = PurePosixPath(names.from_text(place.prefix))
        above = ignoring(place)

        def on_unreadable(path: str, reason: str) -> None:
            unreadable.append(path)
            shown = place.root / names.from_text(path)
            self._warn(
                f"{shown}: the folder cannot be read ({reason}); what lies below it was left as it is",
                summary,
            )

        version = self.analyzer.model_version
        found: Iterator[FileFacts] = iter(())
        if above is not None:
            ignored.append(above)
        elif not place.prefix or discovery.is_included(place.root, below, self.settings.library):
            found = discovery.discover(
                place.root, self.settings.library, on_unreadable, below=below, on_ignored=ignored.append
            )
        else:
            self._warn(f"{place.folder}: the folder is left out of the library, by its name or a file in it", summary)
        files = self._opting_out.visible(place, found, self._opting_out.kept_away())
        while part := list(islice(files, photos.CHUNK)):
            _check(stop)
            if leave is not None:
                left = {one for one in part if leave(place.root / names.from_text(one.relative_path), one.mtime_ns)}
                unreadable += [one.relative_path for one in left]
                part = [one for one in part if one not in left]
            with self.profile("scan"), self.database.write() as session:
                unchanged, waiting = photos.classify(session, place, part, version, force, seen)
                _note_back(session, seen)
            summary.photos += len(part)
            summary.skipped += unchanged
            self.listener(events.PhotosSkipped(unchanged))
            self.listener(events.Discovered(waiting, finished=False))
        if not discovery.is_available(place.root):
            self._warn(f"{place.root}: the folder went away during the scan; nothing was marked as missing", summary)
            return
        self._left(place, ignored, summary)
        with self.profile("scan"), self.database.write() as session:
            gone = self._mark_missing(session, place, seen, unreadable)
        self._gone(gone, summary)

    def _look_at(
        self,
        root: Place,
        hinted: list[Path],
        summary: RunSummary,
        stop: threading.Event | None,
        force: bool = False,
    ) -> None:
        """Compare hinted files and folders below one root with the database."""
        if not discovery.is_available(root.root):
            self._warn(f"{root.root}: the folder is gone or empty; nothing was marked as missing", summary)
            return
        files = []
        for path in hinted:
            _check(stop)
            below = path.relative_to(root.root)
            place = root._replace(prefix="" if below == Path() else names.to_text(below.as_posix()))
            relative = PurePosixPath(below.as_posix())
            inside = place.prefix == "" or discovery.is_included(root.root, relative, self.settings.library)
            if path.is_dir() and inside:
                self._scan(place, False, summary, stop)
                continue
            above = ignoring(place)
            if above is not None:
                self._left(place, [above], summary)
                continue
            one = discovery.facts(root.root, path, self.settings.library)
            if one is not None:
                files.append(one)
            else:
                with self.database.write() as session:
                    gone = self._mark_missing(session, place, Seen(), ())
                self._gone(gone, summary)
        files = list(self._opting_out.visible(root, files, self._opting_out.kept_away()))
        with self.database.write() as session:
            seen = Seen()
            unchanged, _ = photos.classify(session, root, files, self.analyzer.model_version, force, seen)
            _note_back(session, seen)
        summary.photos += len(files)
        summary.skipped += unchanged

    def _left(self, place: Place, folders: Sequence[str], summary: RunSummary) -> None:
        """Forget what is stored of folders that opted out, and tell."""
        for folder, count in self._opting_out.leave(place, folders):
            summary.forgotten += count
            self._warn(f"{folder}: it holds a file {discovery.IGNORE}, so what was stored of it was removed", summary)
            self.listener(events.Forgotten(count, 0))

    @staticmethod
    def _mark_missing(session: Session, place: Place, seen: Seen, unreadable: Iterable[str]) -> int:
        gone = photos.mark_missing(session, place, seen, unreadable)
        for photo_id in gone:
            journal.note(session, "photo_missing", photo_id)
        return len(gone)

    def _gone(self, count: int, summary: RunSummary) -> None:
        if count:
            summary.missing += count
            self.listener(events.PhotosMissing(count))

    # ---- What is in them

    def _work_off(self, where: Sequence[Place], summary: RunSummary, stop: threading.Event | None) -> None:
        """Analyse all pending photos of some places."""
        if not where:
            return
        with self.database.read() as session:
            pending = photos.count_pending(session, where)
        self.listener(events.Discovered(pending, finished=True))
        threads = self.settings.decode_threads
        # Of a few photos decoding is what all wait for.
        many = pending > self.settings.detector.batch
        pace = Pace(self.settings.power, self.listener)
        batch: list[_Decoded] = []
        decoding = ThreadPoolExecutor(threads, thread_name_prefix="decode", initializer=step_back if many else None)
        with decoding as pool, self._writer.running():
            try:
                for one in self._decoded(pool, threads + self.settings.detector.batch, where, stop):
                    if one.picture is None:
                        self._store_unusable(one, summary)
                        continue
                    batch.append(one)
                    if len(batch) >= self.settings.detector.batch:
                        began = time.perf_counter()
                        self._analyze(batch, summary)
                        batch = []
                        pace.keep(time.perf_counter() - began, stop)
                if batch:
                    self._analyze(batch, summary)
                self._writer.finish()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _decoded(
        self, pool: ThreadPoolExecutor, ahead: int, where: Sequence[Place], stop: threading.Event | None
    ) -> Iterator[_Decoded]:
        """Yield pending photos decoded, in their order, with at most `ahead` of them decoded in advance."""
        waiting: deque[Future[_Decoded]] = deque()
        source = self._pending(where)
        while True:
            while len(waiting) < ahead and not (stop is not None and stop.is_set()):
                photo = next(source, None)
                if photo is None:
                    break
                waiting.append(pool.submit(self._read, photo))
            if not waiting:
                break
            with self.profile("waiting for decoding"):
                one = waiting.popleft().result()
            yield one
        _check(stop)

    def _pending(self, where: Sequence[Place]) -> Iterator[PendingPhoto]:
        after = 0
        while True:
            with self.database.read() as session:
                part = photos.pending(session, where, after, photos.CHUNK)
            if not part:
                return
            yield from part
            after = part[-1].photo_id

    def _read(self, photo: PendingPhoto) -> _Decoded:
        """Decode one photo; runs on a thread of the pool."""
        size, mtime_ns = photo.size, photo.mtime_ns
        try:
            info = photo.path.stat()
            # As it is now, before it is read: what is written to it later shows in the next scan.
            size, mtime_ns = info.st_size, info.st_mtime_ns
            moved_from = self._moved_from(photo, size) if photo.may_have_moved or size != photo.size else None
            if moved_from is not None:
                return _Decoded(photo, size, mtime_ns, None, "", moved_from)
            with self.profile("decode", parallel=True):
                picture = decode.decode(
                    photo.path,
                    target=self.settings.detector.resolution,
                    max_megapixels=self.settings.decode.max_megapixels,
                )
            look = looks.look(picture.pixels)
            return _Decoded(photo, size, mtime_ns, picture, "", None, look)
        except OSError as error:
            return _Decoded(photo, size, mtime_ns, None, f"the file cannot be read ({error.strerror or error})")
        except PictureError as error:
            return _Decoded(photo, size, mtime_ns, None, error.reason + (f"; {error.hint}" if error.hint else ""))

    def _moved_from(self, photo: PendingPhoto, size: int) -> photos.Lost | None:
        """Return the known photo that this file is, if it only has another path now."""
        with self.database.read() as session:
            if not photos.is_new(session, photo.photo_id):
                return None
            candidates = photos.lost_of_size(session, size, photo.photo_id)
        candidates = [one for one in candidates if one.state == "missing" or not one.path.exists()]
        if not candidates:
            return None
        digest = decode.content_hash(photo.path)
        return next((one for one in candidates if one.content_hash == digest), None)

    def _analyze(self, batch: list[_Decoded], summary: RunSummary) -> None:
        """Analyse a batch and store it in one transaction; if it fails, find the one that makes it fail."""
        batch = self._without_forgotten(batch, summary)
        pictures = [one.picture for one in batch if one.picture is not None]
        if not pictures:
            return
        try:
            with self.profile("detect and estimate"):
                found = self.analyzer.analyze(pictures)
        except ModelError:
            raise
        except Exception as error:  # one bad photo never stops a run
            if len(batch) > 1:
                for one in batch:
                    self._analyze([one], summary)
                return
            reason = f"the analysis failed ({type(error).__name__}: {error}); please report this photo"
            self._store_unusable(batch[0]._replace(picture=None, reason=reason), summary)
            return
        with self.profile("waiting for writing"):
            self._writer.submit(partial(self._store, batch, found), partial(self._tell_of_stored, batch, summary))

    def _store(self, batch: Sequence[_Decoded], found: Sequence[tuple[Face, ...]]) -> list[tuple[int, int]]:
        """Store an analysed batch in one transaction; return the photos' numbers and how many faces each has."""
        version = self.analyzer.model_version
        stored = []
        with self.profile("write", parallel=True), self.database.write() as session:
            learnt = adaptations.current(session, version)
            if learnt is not None:
                found = [tuple(map(learnt.applied, faces)) for faces in found]
            facts = self._facts(session, batch)
            for one, faces in zip(batch, found, strict=True):
                picture = one.picture
                assert picture is not None
                analysis = Analysis(
                    picture.width,
                    picture.height,
                    picture.orientation,
                    picture.content_hash,
                    picture.taken,
                    faces,
                    version,
                    one.look,
                )
                stored.append(self._save(session, one, picture, analysis, facts))
        return stored

    @staticmethod
    def _facts(session: Session, batch: Sequence[_Decoded]) -> _Facts:
        hashes = [one.picture.content_hash for one in batch if one.picture is not None]
        there = photos.still_there(session, [one.photo for one in batch])
        return _Facts(
            there,
            results.blank(session, there.values()),
            photos.lost_contents(session, hashes),
            forgotten.faces_in(session),
            finding.waiting_contents(session, hashes),
        )

    def _tell_of_stored(
        self, batch: Sequence[_Decoded], summary: RunSummary, stored: Sequence[tuple[int, int]]
    ) -> None:
        for one, (photo_id, count) in zip(batch, stored, strict=True):
            summary.indexed += 1
            summary.moved += photo_id != one.photo.photo_id
            summary.faces += count
            self.listener(events.PhotoIndexed(photo_id, one.photo.path, count))

    def _without_forgotten(self, batch: list[_Decoded], summary: RunSummary) -> list[_Decoded]:
        """Return a batch without the photos that were forgotten, wherever their files lie now."""
        hashes = {one.photo: one.picture.content_hash for one in batch if one.picture is not None}
        hidden = self._opting_out.hidden(list(hashes.values()))
        if not hidden:
            return batch
        gone = {one.photo: (one.size, one.mtime_ns, hashes[one.photo]) for one in batch if hashes[one.photo] in hidden}
        self._writer.finish()
        self._opting_out.drop(gone)
        summary.skipped += len(gone)
        self.listener(events.PhotosSkipped(len(gone)))
        return [one for one in batch if one.photo not in gone]

    def _save(
        self, session: Session, one: _Decoded, picture: Picture, analysis: Analysis, facts: _Facts
    ) -> tuple[int, int]:
        """Store an analysis, lay over it what a person has said; return the photo's number and how many faces."""
        photo_id, tag_settings = one.photo.photo_id, self.settings.tags
        if photo_id not in facts.there:
            photo_id = photos.at(session, one.photo)
        if analysis.content_hash in facts.lost:
            for lost in photos.of_content(session, analysis.content_hash, photo_id):
                # Names were exchanged: a known photo is here now, and no longer where it was.
                if lost.state == "missing" or not _has_content(lost.path, lost.content_hash):
                    photo_id = photos.swap(session, lost.photo_id, photo_id)
                    journal.note(session, "photo_moved", photo_id)
                    facts.there.clear()
                    facts.blank.clear()
                    break
        blank = photo_id in facts.blank
        if facts.faces_forgotten:
            faces = forgotten.allowed(session, photo_id, analysis.content_hash, analysis.faces)
            analysis = dataclasses.replace(analysis, faces=faces)
        saved = results.save(session, photo_id, one.size, one.mtime_ns, analysis, tag_settings, blank=blank)
        if blank and analysis.content_hash not in facts.spoken_of:
            return photo_id, len(analysis.faces)
        said = finding.follow(session, photo_id, saved)
        if said.photo_ids:
            facts.blank.clear()  # what was said of one photo may be waiting for another of the batch now
        drawn = results.undescribed(session, photo_id, analysis.model_version)
        if drawn:
            boxes = [Box(face.x, face.y, face.width, face.height) for face in drawn]
            learnt = adaptations.current(session, analysis.model_version) or Adaptation()
            for row, face in zip(drawn, self.analyzer.describe(picture, boxes), strict=True):
                results.describe(session, row, learnt.applied(face), analysis.model_version)
        if drawn or said.photo_ids:
            corrections.settle(session, photo_id, tag_settings)
        return photo_id, len(analysis.faces)

    def _find_lost(self, began: str) -> None:
        """Find again what a person said of files that were renamed and written anew, now that the scan is over."""
        with self.database.write() as session:
            found = finding.find_lost(session, self.settings.tags, began)
            journal.prune(session)
            photos.drop_left_roots(session)
        self.describe_undescribed(found.photo_ids)

    def describe_undescribed(self, photo_ids: Collection[int]) -> None:
        """Let the networks look at those faces of some photos whose place is new; others are left as they are.

        The listener is warned of a photo that cannot be read; its new faces are then without estimates until it is
        indexed again.
        """
        for photo_id in sorted(photo_ids):
            try:
                self._describe(photo_id)
            except PictureError as error:
                self.listener(events.Warned(f"{error}; its new faces are estimated when it can be read"))

    def _describe(self, photo_id: int) -> None:
        version = self.analyzer.model_version
        with self.database.read() as session:
            wanted = results.undescribed(session, photo_id, version)
            boxes = {face.id: Box(face.x, face.y, face.width, face.height) for face in wanted}
            back = {face.id for face in wanted if face.detected and not face.drawn}
            path = photos.path_of(session, photo_id) if wanted else None
        if path is None:
            return
        picture = decode.decode(
            path, target=self.settings.detector.resolution, max_megapixels=self.settings.decode.max_megapixels
        )
        found = dict(zip(boxes, self.analyzer.describe(picture, list(boxes.values())), strict=True))
        if back:
            # They are where the detector saw them, after a move by hand was undone: what it said then holds again.
            (seen,) = self.analyzer.analyze([picture])
            for face_id in back:
                near = max(seen, key=lambda face: matching.overlap(face.box, boxes[face_id]), default=None)
                if near is not None and matching.overlap(near.box, boxes[face_id]) >= matching.SAME_PLACE:
                    found[face_id] = near
        with self.database.write() as session:
            learnt = adaptations.current(session, version) or Adaptation()
            for face_id, face in found.items():
                row = session.get(FaceRow, face_id)
                if row is not None:
                    results.describe(session, row, learnt.applied(face), version)
            corrections.settle(session, photo_id, self.settings.tags)

    def _tell_of_kept(self, summary: RunSummary) -> None:
        """Tell that switching something off does not remove what is stored of it."""
        switched_off = privacy.off(self.settings.attributes)
        if switched_off:
            with self.database.read() as session:
                found = kept.notices(session, switched_off)
            for notice in found:
                self._warn(notice, summary)

    def _store_unusable(self, one: _Decoded, summary: RunSummary) -> None:
        """Store a photo that moved, or one that failed."""
        self._writer.finish()
        path = one.photo.path
        if one.moved_from is not None:
            again = self._relocate(one, one.moved_from, summary)
            if again is not None:
                if again.picture is not None:
                    self._analyze([again], summary)
                else:
                    self._store_unusable(again, summary)
            return
        if not path.exists():
            # It went while it waited: that is no fault of the file's.
            with self.database.write() as session:
                photo_id = photos.at(session, one.photo)
                photos.gone(session, photo_id)
                journal.note(session, "photo_missing", photo_id)
            self._gone(1, summary)
            return
        with self.database.write() as session:
            results.fail(session, photos.at(session, one.photo), one.size, one.mtime_ns, one.reason)
        summary.failed += 1
        if len(summary.failures) < NAMED_FAILURES:
            summary.failures.append((str(path), one.reason))
        self.listener(events.PhotoFailed(path, one.reason))

    def _relocate(self, one: _Decoded, lost: photos.Lost, summary: RunSummary) -> _Decoded | None:
        """Move what is known to the new path; return the photo decoded if it needs analysis all the same."""
        with self.database.write() as session:
            # Of two copies of a lost file only the first is the lost one.
            taken = not photos.is_lost(session, lost)
            waiting = taken or photos.relocate(session, lost.photo_id, one.photo.photo_id, self.analyzer.model_version)
            if not taken:
                journal.note(session, "photo_moved", lost.photo_id)
        if not taken:
            summary.moved += 1
            self.listener(events.PhotoMoved(lost.photo_id, lost.path, one.photo.path))
        if not waiting:
            return None
        return self._read(one.photo if taken else one.photo._replace(photo_id=lost.photo_id))

    def _warn(self, message: str, summary: RunSummary) -> None:
        summary.warnings.append(message)
        self.listener(events.Warned(message))


def _check(stop: threading.Event | None) -> None:
    if stop is not None and stop.is_set():
        raise _Stopped


def _has_content(path: Path, digest: str) -> bool:
    try:
        return decode.content_hash(path) == digest
    except OSError:
        return False


def _note_back(session: Session, seen: Seen) -> None:
    for photo_id in seen.back:
        journal.note(session, "photo_indexed", photo_id)
    seen.back.clear()


def _holds(big: Place, small: Place) -> bool:
    return big.root_id == small.root_id and (not big.prefix or small.prefix.startswith(big.prefix + "/"))
