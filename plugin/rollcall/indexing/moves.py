"""Files that were moved or renamed: known photos that are recognised by content under another path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from rollcall.media import file_names, paths
from rollcall.model_version import ModelVersion
from rollcall.records import PhotoState
from rollcall.remote.paths import is_remote
from rollcall.storage.library import CHUNK, PendingPhoto, path_of_text, roots
from rollcall.storage.tables import PhotoRow, RootRow

#: The size of a photo whose own file is not known at present; no file has it.
UNKNOWN_SIZE: Final = -1
#: Where capture times come from that the name of a file goes before.
_NO_BETTER: Final = (None, "file name", "file time")


class MovedCandidate(NamedTuple):
    """A photo whose file may no longer be at its stored path."""

    photo_id: int
    path: Path
    content_hash: str
    state: str

    @property
    def is_gone(self) -> bool:
        """Whether its file is not there; of a remote one the last listing knows it."""
        return self.state == PhotoState.MISSING or not (is_remote(self.path) or self.path.exists())


def candidates_of_size(session: Session, size: int, exclude: int) -> list[MovedCandidate]:
    """Return the known photos of a size in bytes that may have moved, missing ones first, without photo `exclude`."""
    folders = {place.root_id: place.root for place in roots(session)}
    rows = session.execute(
        select(PhotoRow.id, PhotoRow.root_id, PhotoRow.path, PhotoRow.content_hash, PhotoRow.state)
        .where(
            PhotoRow.size == size,
            PhotoRow.id != exclude,
            PhotoRow.content_hash.is_not(None),
            PhotoRow.state != PhotoState.PENDING,
        )
        .order_by(PhotoRow.state != PhotoState.MISSING, PhotoRow.id)
        .limit(CHUNK)
    )
    return [
        MovedCandidate(photo_id, folders[root_id] / paths.from_text(path), content_hash, state)
        for photo_id, root_id, path, content_hash, state in rows
        if content_hash is not None
    ]


def relocate(session: Session, old_id: int, new_id: int, model_version: str) -> bool:
    """Give a known photo the path of a new photo of the same content, whose row is deleted.

    Returns whether the photo has still to be analysed.
    """
    new = session.get_one(PhotoRow, new_id)
    old = session.get_one(PhotoRow, old_id)
    root_id, path = new.root_id, new.path
    size, mtime_ns, ctime_ns = new.size, new.mtime_ns, new.ctime_ns
    session.delete(new)
    session.flush()
    old.root_id, old.path, old.size, old.mtime_ns, old.ctime_ns = root_id, path, size, mtime_ns, ctime_ns
    _take_time_of_name(old)
    done = old.indexed_at is not None and old.model_version in ModelVersion.parse(model_version).sufficient
    old.state = PhotoState.INDEXED if done else PhotoState.FAILED if old.error else PhotoState.PENDING
    return old.state == PhotoState.PENDING


def _take_time_of_name(photo: PhotoRow) -> None:
    """Take over the time that the new name of a photo holds, where only a name or less told when it was taken.

    A name without one leaves what the former name said: that is all that is known.
    """
    taken = file_names.guess(paths.from_text(photo.path).rpartition("/")[2])
    if taken is None or photo.taken_source not in _NO_BETTER:
        return
    utc = taken.utc()
    photo.taken_local, photo.taken_offset_minutes = taken.local.isoformat(), taken.offset_minutes
    photo.taken_utc = f"{utc.isoformat()}Z" if utc else None
    photo.taken_source = taken.source


def movable_contents(session: Session, hashes: Sequence[str]) -> set[str]:
    """Return which of some content hashes missing or pending photos have."""
    found = session.scalars(
        select(PhotoRow.content_hash).where(
            PhotoRow.content_hash.in_(hashes), PhotoRow.state.in_((PhotoState.MISSING, PhotoState.PENDING))
        )
    )
    return {one for one in found if one is not None}


def candidates_of_content(session: Session, content_hash: str, exclude: int) -> list[MovedCandidate]:
    """Return the missing and pending photos of a content, without photo `exclude`; none if that has the content."""
    if session.scalar(select(PhotoRow.content_hash).where(PhotoRow.id == exclude)) == content_hash:
        return []
    folders = {place.root_id: place.root for place in roots(session)}
    rows = session.execute(
        select(PhotoRow.id, PhotoRow.root_id, PhotoRow.path, PhotoRow.state)
        .where(
            PhotoRow.content_hash == content_hash,
            PhotoRow.id != exclude,
            PhotoRow.state.in_((PhotoState.MISSING, PhotoState.PENDING)),
        )
        .order_by(PhotoRow.state != PhotoState.MISSING, PhotoRow.id)
        .limit(CHUNK)
    )
    return [
        MovedCandidate(photo_id, folders[root_id] / paths.from_text(path), content_hash, state)
        for photo_id, root_id, path, state in rows
    ]


def unmoved(session: Session, photos: Sequence[PendingPhoto]) -> dict[int, PhotoRow]:
    """Return, by number, the rows of those photos that are still stored at the paths where they were read."""
    by_id = {one.photo_id: one for one in photos}
    folders = {place.root_id: place.root for place in roots(session)}
    rows = session.scalars(select(PhotoRow).where(PhotoRow.id.in_(by_id)))
    return {row.id: row for row in rows if folders[row.root_id] / paths.from_text(row.path) == by_id[row.id].path}


def swap(session: Session, known_id: int, here_id: int) -> int:
    """Swap the paths of a known photo, whose file is here now, and of the photo that is stored here.

    Returns the number of the known photo.
    """
    known, here = session.get_one(PhotoRow, known_id), session.get_one(PhotoRow, here_id)
    if here.content_hash is None:
        # It was never analysed.
        relocate(session, known_id, here_id, "")
        return known_id
    known_root, known_path, known_state = known.root_id, known.path, known.state
    here_root, here_path = here.root_id, here.path
    stat = (here.size, here.mtime_ns, here.ctime_ns)
    # A path is never at two photos, not even for a moment; no file has an empty one.
    here.path = f"/{here.id}"
    session.flush()
    known.root_id, known.path = here_root, here_path
    known.size, known.mtime_ns, known.ctime_ns = stat
    _take_time_of_name(known)
    session.flush()
    here.root_id, here.path, here.state = known_root, known_path, known_state
    # The file at that path, if there is one, is not this photo's: no size and time may make it look unchanged.
    here.size, here.mtime_ns, here.ctime_ns = UNKNOWN_SIZE, 0, None
    session.flush()
    return known_id


def is_new(session: Session, photo_id: int) -> bool:
    """Return whether a photo has never been analysed."""
    return bool(session.scalar(select(PhotoRow.content_hash.is_(None)).where(PhotoRow.id == photo_id)))


def is_still_at(session: Session, candidate: MovedCandidate) -> bool:
    """Return whether a photo is still stored at the path of the candidate."""
    row = session.get(PhotoRow, candidate.photo_id)
    if row is None:
        return False
    root = session.get_one(RootRow, row.root_id)
    return path_of_text(root.path) / paths.from_text(row.path) == candidate.path
