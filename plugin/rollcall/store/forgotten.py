"""What was forgotten stays forgotten: asked before anything is stored, and lifted when a person names it again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from rollcall.matching import SAME_PLACE, overlap
from rollcall.records import Box, Face
from rollcall.store.tables import Forgotten


class KeptAway(NamedTuple):
    """The files and folders that are not looked at; all paths absolute, as in the database."""

    folders: frozenset[str]
    files: dict[str, tuple[int | None, int | None]]  # path to size and mtime

    def folder_over(self, path: str) -> str | None:
        """Return the forgotten folder that a path is or lies in."""
        if not self.folders:
            return None
        whole = PurePosixPath(path)
        return next((str(one) for one in (whole, *whole.parents) if str(one) in self.folders), None)

    def hides(self, path: str, size: int, mtime_ns: int) -> bool:
        """Say whether a file is not to be read: in a forgotten folder, or forgotten and unchanged since."""
        return self.files.get(path) == (size, mtime_ns) or self.folder_over(path) is not None


def kept_away(session: Session) -> KeptAway:
    """Return the files and folders that are not looked at."""
    rows = session.execute(
        select(Forgotten.kind, Forgotten.path, Forgotten.size, Forgotten.mtime_ns).where(Forgotten.path.is_not(None))
    ).all()
    return KeptAway(
        frozenset(str(path) for kind, path, _, _ in rows if kind == "folder"),
        {str(path): (size, mtime_ns) for kind, path, size, mtime_ns in rows if kind == "photo"},
    )


def contents(session: Session, hashes: Sequence[str]) -> set[str]:
    """Return which of some contents are not to be stored, wherever they turn up."""
    found = session.scalars(
        select(Forgotten.content_hash).where(Forgotten.kind == "photo", Forgotten.content_hash.in_(hashes))
    )
    return {one for one in found if one is not None}


def faces_in(session: Session) -> bool:
    """Say whether any face was forgotten."""
    return session.scalar(select(Forgotten.id).where(Forgotten.kind == "face").limit(1)) is not None


def allowed(session: Session, photo_id: int, content_hash: str, faces: Sequence[Face]) -> tuple[Face, ...]:
    """Return the faces of a photo without those that lie where one was forgotten."""
    rows = session.scalars(
        select(Forgotten.box).where(
            Forgotten.kind == "face", or_(Forgotten.photo_id == photo_id, Forgotten.content_hash == content_hash)
        )
    )
    boxes = [Box(*box) for box in rows if box is not None]
    return tuple(face for face in faces if not any(overlap(face.box, box) >= SAME_PLACE for box in boxes))


class Refused:
    """Says whether something was said of a photo, or of a face in it, that was forgotten."""

    def __init__(self, session: Session) -> None:
        self._photos: set[str] = set()
        self._faces: dict[str, list[Box]] = {}
        rows = session.execute(
            select(Forgotten.kind, Forgotten.content_hash, Forgotten.box).where(Forgotten.content_hash.is_not(None))
        )
        for kind, content_hash, box in rows:
            if kind == "photo":
                self._photos.add(str(content_hash))
            elif box is not None:
                self._faces.setdefault(str(content_hash), []).append(Box(*box))

    def __call__(self, content_hash: str | None, box: Sequence[float] | None) -> bool:
        """Ask of a content, and of a box in it where a face is meant."""
        if content_hash is None:
            return False
        boxes = self._faces.get(content_hash, []) if box is not None else []
        return content_hash in self._photos or any(overlap(Box(*(box or ())), one) >= SAME_PLACE for one in boxes)


def lift_folder(session: Session, path: str) -> bool:
    """Let a forgotten folder be looked at again; False if it was not forgotten."""
    found = session.execute(
        delete(Forgotten).where(Forgotten.kind == "folder", Forgotten.path == path).returning(Forgotten.id)
    )
    return bool(found.all())


def lift_file(session: Session, path: str, content_hash: str) -> bool:
    """Let a forgotten file, and forgotten faces in it, be stored again; False if nothing of it was forgotten."""
    found = session.execute(
        delete(Forgotten)
        .where(
            or_(Forgotten.content_hash == content_hash, (Forgotten.kind == "photo") & (Forgotten.path == path)),
        )
        .returning(Forgotten.id)
    )
    return bool(found.all())
