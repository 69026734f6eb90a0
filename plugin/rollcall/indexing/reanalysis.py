"""Analyse faces whose boxes are new: drawn or moved by a person, or recovered after a scan."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy.orm import Session

from rollcall import events
from rollcall.corrections import recover
from rollcall.corrections.projection import project_photo
from rollcall.errors import PictureError, RemoteError, UnreadableError
from rollcall.indexing import persist
from rollcall.indexing.run import Tools
from rollcall.inference import adaptation_store
from rollcall.inference.adaptation import Adaptation
from rollcall.media import decode
from rollcall.records import SAME_FACE_IOU, Box, Face, Picture
from rollcall.remote.copies import at_hand
from rollcall.remote.trouble import ChangedError
from rollcall.settings import Settings
from rollcall.storage import change_feed, people_changes
from rollcall.storage.change_feed import ChangeKind
from rollcall.storage.library import drop_empty_roots, path_of
from rollcall.storage.tables import FaceRow, MetaRow

#: When the first run began that stored photos and did not come to recover corrections: it was stopped or killed.
_BEGUN: Final = "recover_since"


def mark_begun(session: Session, began: str) -> None:
    """Remember from when on stored photos may be those of corrections, until those are recovered."""
    if session.get(MetaRow, _BEGUN) is None:
        session.add(MetaRow(key=_BEGUN, value=began))


def recover_corrections(tools: Tools, since: str) -> None:
    """Recover the corrections of files that a scan, begun at `since` (UTC, ISO 8601), found renamed or edited.

    So are those of runs before it that did not come so far. Also prunes the change feed and the changes of people, and
    deletes empty roots.
    """
    with tools.database.write() as session:
        begun = session.get(MetaRow, _BEGUN)
        found = recover.recover(session, tools.settings.tags, since if begun is None else min(since, begun.value))
        if begun is not None:
            session.delete(begun)
        change_feed.prune(session)
        people_changes.trim(session)
        drop_empty_roots(session)
    describe_faces(tools, found.photo_ids)


def describe_faces(tools: Tools, photo_ids: Collection[int]) -> None:
    """Analyse those faces of some photos whose boxes are new.

    A photo that cannot be read becomes a warning; its new faces have no estimates until it is indexed again.
    """
    for photo_id in sorted(photo_ids):
        try:
            _describe_photo(tools, photo_id)
        except PictureError as error:
            tools.publish(events.Warned(f"{error}; its new faces are estimated when it can be read"))


def _describe_photo(tools: Tools, photo_id: int) -> None:
    version = tools.model_version
    with tools.database.read() as session:
        rows = persist.undescribed_faces(session, photo_id, version)
        boxes = {face.id: Box(face.x, face.y, face.width, face.height) for face in rows}
        session.expunge_all()
        # Back where the detector found them, after a move by hand was undone.
        returned = {face.id for face in rows if face.detected and not face.drawn}
        path = path_of(session, photo_id) if rows else None
    if path is None:
        return
    settings = tools.settings
    with _at_hand(path, settings) as file:
        # A video is not read whole for one of its frames.
        first = rows[0].video_time
        picture = decode.decode(file, target=settings.detector.resolution, limits=settings.decode, at=first)
        found = {row.id: face for row, face in described(tools, picture, rows)}
        if returned and picture.video is None:
            found |= _detected_again(tools, picture, {face_id: boxes[face_id] for face_id in returned})
    with tools.database.write() as session:
        learnt = adaptation_store.current(session, version) or Adaptation()
        for face_id, face in found.items():
            row = session.get(FaceRow, face_id)
            if row is not None:
                persist.store_description(session, row, learnt.applied(face), version)
        project_photo(session, photo_id, settings.tags)
        # Who read the embeddings since the face was drawn would never learn of its own.
        change_feed.record(session, ChangeKind.PHOTO_INDEXED, photo_id)


@contextmanager
def _at_hand(path: Path, settings: Settings) -> Iterator[Path]:
    """Give the file of a photo, a remote one as a copy; what keeps it away is a `PictureError`."""
    try:
        with at_hand(path, settings) as file:
            yield file
    except FileNotFoundError as error:
        raise UnreadableError(path, "the file is gone") from error
    except ChangedError as error:
        raise UnreadableError(path, "the file was replaced while it was read") from error
    except RemoteError as error:
        raise UnreadableError(path, error.reason) from error


def described(tools: Tools, picture: Picture, rows: Sequence[FaceRow]) -> Iterator[tuple[FaceRow, Face]]:
    """Yield some faces of a picture with their estimates, in the boxes that they have; of a video, each in its frame.

    Raises
    ------
    PictureError
        If a frame of the video cannot be read.
    """
    settings = tools.settings
    by_time: dict[float | None, list[FaceRow]] = {}
    for row in rows:
        by_time.setdefault(row.video_time if picture.video is not None else None, []).append(row)
    for seconds, together in by_time.items():
        shown = picture
        if seconds is not None:
            shown = decode.decode(picture.path, target=settings.detector.resolution, limits=settings.decode, at=seconds)
        boxes = [Box(face.x, face.y, face.width, face.height) for face in together]
        yield from zip(together, tools.analyzer.describe(shown, boxes), strict=True)


def _detected_again(tools: Tools, picture: Picture, boxes: dict[int, Box]) -> dict[int, Face]:
    """Return the detector's own faces at some boxes, by number, where it finds them there."""
    (detected,) = tools.analyzer.analyze([picture])
    found = {}
    for face_id, box in boxes.items():
        nearest = max(detected, key=lambda face: face.box.iou(box), default=None)
        if nearest is not None and nearest.box.iou(box) >= SAME_FACE_IOU:
            found[face_id] = nearest
    return found
