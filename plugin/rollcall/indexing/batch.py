"""Store a batch of analysed photos in one transaction, with the corrections that were made for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sqlalchemy.orm import Session

from rollcall.corrections import reattach
from rollcall.corrections.projection import project_photo
from rollcall.errors import PictureError, RemoteError
from rollcall.indexing import moves, persist, reanalysis
from rollcall.indexing.executors.analysis import RemoteTrouble
from rollcall.indexing.run import Tools
from rollcall.inference import adaptation_store
from rollcall.inference.adaptation import Adaptation
from rollcall.media import decode
from rollcall.privacy import tombstones
from rollcall.records import Analysis, Face, FileStat, PhotoState, Picture
from rollcall.remote.copies import at_hand
from rollcall.remote.trouble import ChangedError
from rollcall.storage import change_feed
from rollcall.storage.change_feed import ChangeKind
from rollcall.storage.library import PendingPhoto, mark_photo_missing, photo_at
from rollcall.storage.tables import PhotoRow
from rollcall.xmp import store as host_metadata


class AnalysedPhoto(NamedTuple):
    """A pending photo after its analysis: its picture with its faces, or why there is none."""

    photo: PendingPhoto
    stat: FileStat  # as the file was before it was read
    picture: Picture | None = None  # without pixels if another process decoded it
    faces: tuple[Face, ...] = ()
    reason: str = ""  # why there is no picture
    failure_key: str | None = None  # see indexing/failures.py
    perceptual_hash: bytes | None = None
    unchanged: bool = False  # only the file's times changed
    remote: RemoteTrouble = ""  # why a remote file was not fetched


@dataclasses.dataclass
class _BatchState:
    """Results of queries that run once for a batch, so that most of its photos need no queries of their own."""

    unmoved: dict[int, PhotoRow]  # still at the path where they were read; held, so that they are not loaded again
    new: set[int]  # photos without any faces, tags or corrections
    movable: set[str]  # content hashes of missing and pending photos
    any_face_erased: bool
    waiting: set[str]  # content hashes that lines of the log wait for

    def is_plain(self, photo: AnalysedPhoto) -> bool:
        """Return whether a photo is new, and neither a known one that moved nor one that corrections wait for."""
        known = photo.picture is None or photo.picture.content_hash in self.movable | self.waiting
        return photo.photo.photo_id in self.new and not known


class BatchStore:
    """Stores photos that were analysed, moved, went missing or failed."""

    def __init__(self, tools: Tools) -> None:
        self.tools = tools

    def store(self, batch: Sequence[AnalysedPhoto], began: str) -> list[tuple[int, int]]:
        """Store an analysed batch in one transaction; return each photo's number and how many faces it has.

        `began`: when the run began, UTC in ISO 8601.
        """
        version = self.tools.model_version
        stored: list[tuple[int, int]] = []
        plain: list[AnalysedPhoto] = []
        with self.tools.profile("write", parallel=True), self.tools.database.write() as session:
            reanalysis.mark_begun(session, began)
            learnt = adaptation_store.current(session, version)
            state = self._state(session, batch)
            for one in batch:
                photo = one if learnt is None else one._replace(faces=tuple(map(learnt.applied, one.faces)))
                if state.is_plain(photo):
                    plain.append(photo)
                    continue
                # In the order of the batch: what is stored of a photo may make others less plain.
                stored += self._store_plain(session, plain, version, state)
                plain.clear()
                stored.append(self._store_one(session, photo, version, state))
            stored += self._store_plain(session, plain, version, state)
        return stored

    @staticmethod
    def _state(session: Session, batch: Sequence[AnalysedPhoto]) -> _BatchState:
        hashes = [photo.picture.content_hash for photo in batch if photo.picture is not None]
        unmoved = moves.unmoved(session, [photo.photo for photo in batch])
        return _BatchState(
            unmoved,
            persist.never_analysed(session, unmoved.values()),
            moves.movable_contents(session, hashes),
            tombstones.any_face_erased(session),
            reattach.waiting_contents(session, hashes),
        )

    def _store_plain(
        self, session: Session, photos: Sequence[AnalysedPhoto], version: str, state: _BatchState
    ) -> list[tuple[int, int]]:
        """Store new photos that nothing is known of; return the number of each and how many faces it has."""
        if not photos:
            return []
        new = [
            persist.NewPhoto(
                photo.photo.photo_id, photo.stat, _analysis(session, photo.photo.photo_id, photo, version, state)
            )
            for photo in photos
        ]
        persist.store_new(session, new, version, self.tools.settings.tags)
        for photo in photos:
            if self.tools.settings.xmp.read and photo.picture is not None:
                host_metadata.store_embedded(session, photo.photo.photo_id, photo.picture, new=True)
        state.new.difference_update(one.photo_id for one in new)
        return [(one.photo_id, len(one.analysis.faces)) for one in new]

    def _store_one(self, session: Session, photo: AnalysedPhoto, version: str, state: _BatchState) -> tuple[int, int]:
        """Store one analysis and reattach its corrections; return the photo's number and how many faces it has."""
        picture, settings = photo.picture, self.tools.settings.tags
        assert picture is not None
        photo_id = self._photo_of(session, photo.photo, picture.content_hash, state)
        analysis = _analysis(session, photo_id, photo, version, state)
        stored = persist.store_analysis(session, photo_id, photo.stat, analysis, settings)
        if self.tools.settings.xmp.read:
            host_metadata.store_embedded(session, photo_id, picture, new=False)
        corrected = reattach.reattach(session, photo_id, stored)
        if corrected.photo_ids:
            # Corrections of one photo may now wait for another of the batch.
            state.new.clear()
        described = self._describe(session, photo_id, picture, version)
        if described or corrected.photo_ids:
            project_photo(session, photo_id, settings)
        return photo_id, len(analysis.faces)

    def _photo_of(self, session: Session, photo: PendingPhoto, content_hash: str, state: _BatchState) -> int:
        """Return the photo that a file is: the one at its path, or a known one of this content that moved here."""
        photo_id = photo.photo_id
        if photo_id not in state.unmoved:
            photo_id = photo_at(session, photo)
        if content_hash in state.movable:
            for candidate in moves.candidates_of_content(session, content_hash, photo_id):
                if candidate.state == PhotoState.MISSING or not self._has_content(candidate.path, content_hash):
                    photo_id = moves.swap(session, candidate.photo_id, photo_id)
                    change_feed.record(session, ChangeKind.PHOTO_MOVED, photo_id)
                    state.unmoved.clear()
                    state.new.clear()
                    break
        return photo_id

    def _has_content(self, path: Path, digest: str) -> bool:
        try:
            with at_hand(path, self.tools.settings) as file:
                return decode.content_hash(file) == digest
        except RemoteError:
            return True  # as long as nothing else is known
        except OSError:
            return False

    def _describe(self, session: Session, photo_id: int, picture: Picture, version: str) -> bool:
        """Analyse the faces whose boxes a person gave; return whether there were any."""
        rows = persist.undescribed_faces(session, photo_id, version)
        whole = self._with_pixels(picture) if rows else None
        if whole is not None:
            learnt = adaptation_store.current(session, version) or Adaptation()
            for row, face in reanalysis.described(self.tools, whole, rows):
                persist.store_description(session, row, learnt.applied(face), version)
        return bool(rows)

    def _with_pixels(self, picture: Picture) -> Picture | None:
        """Return a picture with enough pixels, which another process may have left out; None if its file changed."""
        settings = self.tools.settings
        wanted = min(settings.detector.resolution, max(picture.width, picture.height))
        if max(picture.pixels.shape[:2]) >= wanted:
            return picture
        try:
            with at_hand(picture.path, settings) as file:
                whole = decode.decode(file, target=settings.detector.resolution, limits=settings.decode)
        except (PictureError, FileNotFoundError, ChangedError):
            return None
        return whole if whole.content_hash == picture.content_hash else None

    # ---- Photos that are not analysed

    def store_missing(self, photo: AnalysedPhoto) -> None:
        """Mark a photo as missing whose file was deleted while it waited."""
        with self.tools.database.write() as session:
            photo_id = photo_at(session, photo.photo)
            mark_photo_missing(session, photo_id)
            change_feed.record(session, ChangeKind.PHOTO_MISSING, photo_id)

    def store_unchanged(self, photo: AnalysedPhoto) -> None:
        """Store the times of a photo whose content is as it was."""
        with self.tools.database.write() as session:
            persist.store_unchanged(session, photo_at(session, photo.photo), photo.stat)

    def store_failure(self, photo: AnalysedPhoto) -> None:
        """Record why a photo cannot be used."""
        with self.tools.database.write() as session:
            photo_id = photo_at(session, photo.photo)
            persist.store_failure(session, photo_id, photo.stat, photo.reason, photo.failure_key)

    def relocate(self, photo: PendingPhoto, candidate: moves.MovedCandidate) -> tuple[bool, bool]:
        """Give a known photo its new path.

        Returns whether it was moved (of two copies of a missing file only the first one takes its place), and whether
        the photo at the path has still to be analysed.
        """
        with self.tools.database.write() as session:
            if not moves.is_still_at(session, candidate):
                return False, True
            pending = moves.relocate(session, candidate.photo_id, photo.photo_id, self.tools.model_version)
            change_feed.record(session, ChangeKind.PHOTO_MOVED, candidate.photo_id)
        return True, pending


def _analysis(session: Session, photo_id: int, photo: AnalysedPhoto, version: str, state: _BatchState) -> Analysis:
    """Return what is to be stored of a photo: nothing of faces that were erased."""
    picture, faces = photo.picture, photo.faces
    assert picture is not None
    if state.any_face_erased:
        faces = tombstones.without_erased(session, photo_id, picture.content_hash, faces)
    return Analysis(
        picture.width,
        picture.height,
        picture.orientation,
        picture.content_hash,
        picture.taken,
        faces,
        version,
        photo.perceptual_hash,
        picture.warnings,
        picture.video,
    )
