"""Tombstones: what was erased is not stored again. They are read before anything is stored, and lifted on request."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath, PurePosixPath
from typing import NamedTuple

from sqlalchemy import delete, insert, or_, select
from sqlalchemy.orm import Session

from rollcall.records import SAME_FACE_IOU, Box, Face
from rollcall.remote.address import is_address
from rollcall.remote.paths import RemotePath
from rollcall.storage.library import now
from rollcall.storage.tables import TombstoneRow


class ErasedPaths(NamedTuple):
    """The erased files and folders, by absolute paths as in the database."""

    folders: frozenset[str]
    files: dict[str, tuple[int | None, int | None]]  # path to size and mtime

    def folder_above(self, path: str) -> str | None:
        """Return the erased folder that a path is or lies in; None if there is none."""
        if not self.folders:
            return None
        whole: PurePath = RemotePath(path) if is_address(path) else PurePosixPath(path)
        return next((str(one) for one in (whole, *whole.parents) if str(one) in self.folders), None)

    def covers(self, path: str, size: int, mtime_ns: int) -> bool:
        """Return whether a file must not be read: it lies in an erased folder, or was erased and is unchanged."""
        return self.files.get(path) == (size, mtime_ns) or self.folder_above(path) is not None


def erased_paths(session: Session) -> ErasedPaths:
    """Return the erased files and folders."""
    rows = session.execute(
        select(TombstoneRow.kind, TombstoneRow.path, TombstoneRow.size, TombstoneRow.mtime_ns).where(
            TombstoneRow.path.is_not(None)
        )
    ).all()
    return ErasedPaths(
        frozenset(str(path) for kind, path, _, _ in rows if kind == "folder"),
        {str(path): (size, mtime_ns) for kind, path, size, mtime_ns in rows if kind == "photo"},
    )


def erased_contents(session: Session, hashes: Sequence[str]) -> set[str]:
    """Return which of some content hashes are those of erased photos."""
    found = session.scalars(
        select(TombstoneRow.content_hash).where(TombstoneRow.kind == "photo", TombstoneRow.content_hash.in_(hashes))
    )
    return {one for one in found if one is not None}


def contents_of_size(session: Session, size: int) -> set[str]:
    """Return the content hashes of erased photos that may be of a file of so many bytes."""
    found = session.scalars(
        select(TombstoneRow.content_hash).where(
            TombstoneRow.kind == "photo", or_(TombstoneRow.size == size, TombstoneRow.size.is_(None))
        )
    )
    return {one for one in found if one is not None}


def any_photo_erased(session: Session) -> bool:
    """Return whether any photo was erased."""
    return session.scalar(select(TombstoneRow.id).where(TombstoneRow.kind == "photo").limit(1)) is not None


def any_face_erased(session: Session) -> bool:
    """Return whether any single face was erased."""
    return session.scalar(select(TombstoneRow.id).where(TombstoneRow.kind == "face").limit(1)) is not None


def without_erased(session: Session, photo_id: int, content_hash: str, faces: Sequence[Face]) -> tuple[Face, ...]:
    """Return the faces of a photo without those at the box of an erased one."""
    rows = session.execute(
        select(TombstoneRow.box, TombstoneRow.video_time).where(
            TombstoneRow.kind == "face",
            or_(TombstoneRow.photo_id == photo_id, TombstoneRow.content_hash == content_hash),
        )
    )
    places = [(Box(*box), video_time) for box, video_time in rows if box is not None]
    return tuple(face for face in faces if not any(face.is_at(*place) for place in places))


class ErasedContents:
    """A predicate of imported corrections: whether their photo or face was erased. Reads all tombstones once."""

    def __init__(self, session: Session) -> None:
        self._photos: set[str] = set()
        self._faces: dict[str, list[Box]] = {}
        rows = session.execute(
            select(TombstoneRow.kind, TombstoneRow.content_hash, TombstoneRow.box).where(
                TombstoneRow.content_hash.is_not(None)
            )
        )
        for kind, content_hash, box in rows:
            if kind == "photo":
                self._photos.add(str(content_hash))
            elif box is not None:
                self._faces.setdefault(str(content_hash), []).append(Box(*box))

    def __call__(self, content_hash: str | None, box: Sequence[float] | None) -> bool:
        """Return whether the photo of a content was erased, or a face in it at a box."""
        if content_hash is None:
            return False
        boxes = self._faces.get(content_hash, []) if box is not None else []
        return content_hash in self._photos or any(Box(*(box or ())).iou(one) >= SAME_FACE_IOU for one in boxes)


# ---- Setting and lifting


def add_photo(session: Session, path: str, size: int, mtime_ns: int, content_hash: str | None) -> None:
    """Set the tombstone of a photo, which is known by its path and by its content."""
    session.execute(delete(TombstoneRow).where(TombstoneRow.kind == "photo", TombstoneRow.path == path))
    session.execute(
        insert(TombstoneRow).values(
            made_at=now(), kind="photo", path=path, size=size, mtime_ns=mtime_ns, content_hash=content_hash
        )
    )


def add_folder(session: Session, path: str) -> None:
    """Set the tombstone of a folder in place of those of files and folders in it."""
    inside = path.rstrip("/") + "/"
    session.execute(
        delete(TombstoneRow).where(
            or_(TombstoneRow.path == path, TombstoneRow.path.startswith(inside, autoescape=True))
        )
    )
    session.add(TombstoneRow(made_at=now(), kind="folder", path=path))


def add_face(
    session: Session, photo_id: int, content_hash: str | None, box: Box, video_time: float | None = None
) -> None:
    """Set the tombstone of a face at a box of a photo, in a video at a time, and of copies of the photo."""
    place = {"content_hash": content_hash, "photo_id": photo_id, "box": list(box), "video_time": video_time}
    session.add(TombstoneRow(made_at=now(), kind="face", **place))


def lift_folder(session: Session, path: str) -> None:
    """Remove the tombstone of a folder, so that it can be indexed again."""
    session.execute(delete(TombstoneRow).where(TombstoneRow.kind == "folder", TombstoneRow.path == path))


def lift_file(session: Session, path: str, content_hash: str) -> None:
    """Remove the tombstones of a file and of faces in it, so that they can be stored again."""
    session.execute(
        delete(TombstoneRow).where(
            or_(
                TombstoneRow.content_hash == content_hash,
                (TombstoneRow.kind == "photo") & (TombstoneRow.path == path),
            )
        )
    )
