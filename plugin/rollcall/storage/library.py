"""The library's roots, and the paths of photos below them."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TypeVar

from sqlalchemy import Select, and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from rollcall.media import paths
from rollcall.records import FileStat, PhotoState
from rollcall.remote.paths import is_remote, stored
from rollcall.storage import revisions
from rollcall.storage.tables import PhotoRow, RootRow

#: How many paths or ids go into one statement: SQLite before 3.32 takes no more than 999 values.
CHUNK = 500
T = TypeVar("T")


class Place(NamedTuple):
    """A root and a path below it; `prefix` is "" for the whole root."""

    root_id: int
    root: Path
    prefix: str

    @property
    def folder(self) -> Path:
        """The folder, absolute."""
        return self.root / paths.from_text(self.prefix)


class PendingPhoto(NamedTuple):
    """A photo that has to be analysed: its number, and its file as the last scan saw it."""

    photo_id: int
    path: Path
    size: int
    may_have_moved: bool = True  # new, and a known photo has the same size
    verified_hash: str | None = None  # with this content hash what is stored of it is still right
    listed: FileStat | None = None  # of a remote file, which is not looked at again before it is fetched


def path_of_text(text: str) -> Path:
    """Return the path that a text of the database is: of this computer, or a remote one."""
    return stored(paths.from_text(text))


def resolved(folder: Path) -> Path:
    """Return a path as roots are stored: without symbolic links, or as an address."""
    return folder if is_remote(folder) else Path(os.path.realpath(folder))


def now() -> str:
    """Return the time in UTC, ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def chunks(items: Sequence[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    """Yield the items in parts of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def roots(session: Session) -> list[Place]:
    """Return all roots."""
    rows = session.execute(select(RootRow.id, RootRow.path).order_by(RootRow.path))
    return [Place(root_id, path_of_text(path), "") for root_id, path in rows]


def locate(session: Session, folder: Path, resolve: bool = True) -> Place | None:
    """Return the innermost root that holds a path, and the path below it; None if no root holds it.

    Without `resolve` an absolute path is used with the symbolic links in it.
    """
    folder = resolved(folder) if resolve else folder
    holding = [root for root in roots(session) if folder.is_relative_to(root.root)]
    if not holding:
        return None
    root = max(holding, key=lambda one: len(one.root.parts))
    below = folder.relative_to(root.root).as_posix()
    return root._replace(prefix="" if below == "." else paths.to_text(below))


def add_root(session: Session, folder: Path, is_separate: Callable[[Path, Path], bool]) -> Place:
    """Return the place of a folder; it becomes a root unless one holds it, and takes in the roots below it.

    `is_separate` gets a root and a folder in it, and returns whether the folder is a root of its own although it lies
    there: one that is left out of the outer root, and was named.
    """
    folder = resolved(folder)
    found = locate(session, folder)
    if found is not None and (not found.prefix or not is_separate(found.root, folder)):
        return found
    root = RootRow(path=paths.to_text(str(folder)), added_at=now())
    session.add(root)
    session.flush()
    if found is not None:
        _move_photos(session, found.root_id, root.id, found.prefix + "/", "")
    for inner in roots(session):
        if inner.root_id == root.id or not inner.root.is_relative_to(folder) or is_separate(folder, inner.root):
            continue
        _move_photos(
            session, inner.root_id, root.id, "", paths.to_text(inner.root.relative_to(folder).as_posix()) + "/"
        )
        session.execute(delete(RootRow).where(RootRow.id == inner.root_id))
    return Place(root.id, folder, "")


def _move_photos(session: Session, source: int, target: int, old_prefix: str, new_prefix: str) -> None:
    """Move the photos of a root whose paths begin with a prefix to another root, where they begin with another."""
    statement = update(PhotoRow).where(PhotoRow.root_id == source)
    if old_prefix:
        # "0" is the character behind "/".
        statement = statement.where(PhotoRow.path >= old_prefix, PhotoRow.path < old_prefix[:-1] + "0")
    path = func.substr(PhotoRow.path, len(old_prefix) + 1) if old_prefix else PhotoRow.path
    session.execute(statement.values(root_id=target, path=new_prefix + path, revision=revisions.take(session)))


def drop_empty_roots(session: Session) -> None:
    """Delete the roots whose folder is gone and whose photos all moved elsewhere: folders that were renamed."""
    for place in roots(session):
        if is_remote(place.root):
            continue
        if not place.root.exists() and session.scalar(photo_ids_under(place).limit(1)) is None:
            session.execute(delete(RootRow).where(RootRow.id == place.root_id))


def photo_ids_under(place: Place, prefix: str | None = None) -> Select[int]:
    """Return a statement that selects the ids of the photos in a place, or of the photo at exactly that path.

    `prefix` replaces the place's own.
    """
    prefix = place.prefix if prefix is None else prefix
    statement = select(PhotoRow.id).where(PhotoRow.root_id == place.root_id)
    if prefix:
        # "0" is the character behind "/": a range is found by the index, a pattern might not be.
        statement = statement.where(
            or_(PhotoRow.path == prefix, and_(PhotoRow.path >= prefix + "/", PhotoRow.path < prefix + "0"))
        )
    return statement


def path_of(session: Session, photo_id: int) -> Path | None:
    """Return the absolute path of a photo's file; None if there is no such photo."""
    row = session.execute(
        select(RootRow.path, PhotoRow.path).join(RootRow, RootRow.id == PhotoRow.root_id).where(PhotoRow.id == photo_id)
    ).first()
    return None if row is None else path_of_text(row[0]) / paths.from_text(row[1])


def paths_of(session: Session, photo_ids: Collection[int]) -> dict[int, Path]:
    """Return the absolute paths of the files of some photos, by number and in its order; of those that there are."""
    found = session.execute(
        select(PhotoRow.id, RootRow.path, PhotoRow.path)
        .join(RootRow, RootRow.id == PhotoRow.root_id)
        .where(PhotoRow.id.in_(photo_ids))
        .order_by(PhotoRow.id)
    )
    return {photo_id: path_of_text(root) / paths.from_text(path) for photo_id, root, path in found}


def photo_at(session: Session, photo: PendingPhoto) -> int:
    """Return the number of the photo at a file's path now: two photos may have swapped paths since it was read."""
    row = session.get(PhotoRow, photo.photo_id)
    here = None if row is None else path_of(session, photo.photo_id)
    if here == photo.path:
        return photo.photo_id
    for place in roots(session):
        if photo.path.is_relative_to(place.root):
            below = paths.to_text(photo.path.relative_to(place.root).as_posix())
            found = session.scalar(select(PhotoRow.id).where(PhotoRow.root_id == place.root_id, PhotoRow.path == below))
            if found is not None:
                return found
    return photo.photo_id


def mark_photo_missing(session: Session, photo_id: int) -> None:
    """Mark one photo as missing."""
    session.execute(update(PhotoRow).where(PhotoRow.id == photo_id).values(state=PhotoState.MISSING))
