"""Photos as files: which are new, changed, moved or gone. What is known of a photo is never lost here."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TypeVar

from sqlalchemy import Select, and_, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from rollcall import names, privacy
from rollcall.records import FileFacts
from rollcall.store.tables import Photo, Root

#: How many paths or ids go into one statement: SQLite before 3.32 takes no more than 999 values.
CHUNK = 500
T = TypeVar("T")


class Place(NamedTuple):
    """A root and the part of it that is meant: "" for all of it, else a path below it."""

    root_id: int
    root: Path
    prefix: str

    @property
    def folder(self) -> Path:
        """The folder, absolute."""
        return self.root / names.from_text(self.prefix)


class PendingPhoto(NamedTuple):
    """A photo that waits to be analysed."""

    photo_id: int
    path: Path
    size: int
    mtime_ns: int
    may_have_moved: bool = True  # new, and some known photo has as many bytes


@dataclass
class Seen:
    """Which photos a scan came across: one bit each, so that millions fit."""

    bits: bytearray = field(default_factory=bytearray)
    back: list[int] = field(default_factory=list)  # those that were missing and are there again, unchanged

    def add(self, photo_id: int) -> None:
        """Remember a photo."""
        byte = photo_id >> 3
        if byte >= len(self.bits):
            self.bits.extend(bytes(byte + 4096 - len(self.bits)))
        self.bits[byte] |= 1 << (photo_id & 7)

    def __contains__(self, photo_id: int) -> bool:
        byte = photo_id >> 3
        return byte < len(self.bits) and bool(self.bits[byte] >> (photo_id & 7) & 1)


def now() -> str:
    """Return the time in UTC, ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def chunks(items: Sequence[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    """Yield the items in parts of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def places(session: Session) -> list[Place]:
    """Return all roots."""
    rows = session.execute(select(Root.id, Root.path).order_by(Root.path))
    return [Place(root_id, Path(names.from_text(path)), "") for root_id, path in rows]


def place_of(session: Session, folder: Path, resolve: bool = True) -> Place | None:
    """Return the root that holds a path, and the path below it; None if no root holds it.

    Without `resolve` an absolute path is taken as it stands, with the links in it.
    """
    folder = Path(os.path.realpath(folder)) if resolve else folder
    for root in places(session):
        if folder.is_relative_to(root.root):
            below = folder.relative_to(root.root).as_posix()
            return root._replace(prefix="" if below == "." else names.to_text(below))
    return None


def add_root(session: Session, folder: Path) -> Place:
    """Return the place of a folder; it becomes a root unless one holds it, and takes in the roots below it."""
    folder = Path(os.path.realpath(folder))
    found = place_of(session, folder)
    if found is not None:
        return found
    root = Root(path=names.to_text(str(folder)), added_at=now())
    session.add(root)
    session.flush()
    for inner in places(session):
        if inner.root_id == root.id or not inner.root.is_relative_to(folder):
            continue
        below = names.to_text(inner.root.relative_to(folder).as_posix())
        session.execute(
            update(Photo).where(Photo.root_id == inner.root_id).values(root_id=root.id, path=below + "/" + Photo.path)
        )
        session.execute(delete(Root).where(Root.id == inner.root_id))
    return Place(root.id, folder, "")


def drop_left_roots(session: Session) -> None:
    """Drop the roots that are gone and whose photos all moved elsewhere: a folder that got another name."""
    for place in places(session):
        if not place.root.exists() and session.scalar(under(place).limit(1)) is None:
            session.execute(delete(Root).where(Root.id == place.root_id))


def classify(
    session: Session,
    place: Place,
    files: Sequence[FileFacts],
    model_version: str | None,
    force: bool,
    seen: Seen,
) -> tuple[int, int]:
    """Compare files with what is stored: new and changed ones become pending.

    `model_version` None means that any version will do. Returns how many are unchanged and how many pending.
    """
    pending = 0
    new: list[FileFacts] = []
    current_versions = None if model_version is None else privacy.as_good(model_version)
    for part in chunks(files):
        statement = select(
            Photo.id,
            Photo.path,
            Photo.size,
            Photo.mtime_ns,
            Photo.state,
            Photo.model_version,
            Photo.indexed_at,
        ).where(Photo.root_id == place.root_id, Photo.path.in_([one.relative_path for one in part]))
        known = {row.path: row for row in session.execute(statement)}
        changes = []
        for one in part:
            row = known.get(one.relative_path)
            if row is None:
                new.append(one)
                continue
            seen.add(row.id)
            same = (row.size, row.mtime_ns) == (one.size, one.mtime_ns)
            current = row.indexed_at is not None and (current_versions is None or row.model_version in current_versions)
            if same and not force and (row.state == "failed" or (row.state == "indexed" and current)):
                continue
            # A file that was missing and is back as it was needs no second look.
            back = same and not force and row.state == "missing" and current
            if back:
                seen.back.append(row.id)
            changes.append(
                {
                    "id": row.id,
                    "size": one.size,
                    "mtime_ns": one.mtime_ns,
                    "state": "indexed" if back else "pending",
                    "error": None,
                }
            )
            pending += not back
        if changes:
            session.execute(update(Photo), changes)
    for part in chunks(new):
        rows = [
            {
                "root_id": place.root_id,
                "path": one.relative_path,
                "size": one.size,
                "mtime_ns": one.mtime_ns,
                "state": "pending",
                "reviewed": False,
            }
            for one in part
        ]
        for photo_id in session.scalars(insert(Photo).returning(Photo.id), rows):
            seen.add(photo_id)
    pending += len(new)
    return len(files) - pending, pending


def under(place: Place, prefix: str | None = None) -> Select[int]:
    """Return a selection of the ids of the photos in a place (or at exactly that path)."""
    prefix = place.prefix if prefix is None else prefix
    statement = select(Photo.id).where(Photo.root_id == place.root_id)
    if prefix:
        # "0" is the character behind "/": a range is found by the index, a pattern might not be.
        statement = statement.where(
            or_(Photo.path == prefix, and_(Photo.path >= prefix + "/", Photo.path < prefix + "0"))
        )
    return statement


def mark_missing(session: Session, place: Place, seen: Seen, unreadable: Iterable[str]) -> list[int]:
    """Mark what a complete scan of a place did not come across, and return it.

    Folders that could not be read are left alone.
    """
    spared = tuple(unreadable)
    if "" in spared:
        return []
    rows = session.execute(under(place).add_columns(Photo.path).where(Photo.state != "missing"))
    gone = [
        photo_id
        for photo_id, path in rows
        if photo_id not in seen and not any(path == folder or path.startswith(folder + "/") for folder in spared)
    ]
    for part in chunks(gone):
        session.execute(update(Photo).where(Photo.id.in_(part)).values(state="missing"))
    return gone


def pending(session: Session, where: Sequence[Place], after: int, limit: int) -> list[PendingPhoto]:
    """Return the next photos that wait, by id."""
    # Roots are joined by hand: there are few, and their paths are needed as they are on disk.
    roots = {place.root_id: place.root for place in places(session)}
    wanted = or_(*(Photo.id.in_(under(place)) if place.prefix else Photo.root_id == place.root_id for place in where))
    rows = session.execute(
        select(Photo.id, Photo.root_id, Photo.path, Photo.size, Photo.mtime_ns, Photo.content_hash)
        .where(Photo.state == "pending", Photo.id > after, wanted)
        .order_by(Photo.id)
        .limit(limit)
    ).all()
    new = {row.size for row in rows if row.content_hash is None}
    known: set[int] = set()
    for part in chunks(sorted(new)):
        of_size = select(Photo.size).where(Photo.size.in_(part), Photo.content_hash.is_not(None))
        known |= set(session.scalars(of_size.where(Photo.state != "pending").distinct()))
    return [
        PendingPhoto(
            row.id,
            roots[row.root_id] / names.from_text(row.path),
            row.size,
            row.mtime_ns,
            row.content_hash is None and row.size in known,
        )
        for row in rows
    ]


def count_pending(session: Session, where: Sequence[Place]) -> int:
    """Return how many photos wait in some places."""
    wanted = or_(*(Photo.id.in_(under(place)) if place.prefix else Photo.root_id == place.root_id for place in where))
    return session.scalar(select(func.count()).where(Photo.state == "pending", wanted)) or 0


class Lost(NamedTuple):
    """A photo whose file is, or may be, no longer where it was."""

    photo_id: int
    path: Path
    content_hash: str
    state: str


def lost_of_size(session: Session, size: int, but: int) -> list[Lost]:
    """Return the known photos of a size in bytes that may have moved: the missing ones first."""
    roots = {place.root_id: place.root for place in places(session)}
    rows = session.execute(
        select(Photo.id, Photo.root_id, Photo.path, Photo.content_hash, Photo.state)
        .where(Photo.size == size, Photo.id != but, Photo.content_hash.is_not(None), Photo.state != "pending")
        .order_by(Photo.state != "missing", Photo.id)
        .limit(CHUNK)
    )
    return [
        Lost(photo_id, roots[root_id] / names.from_text(path), content_hash, state)
        for photo_id, root_id, path, content_hash, state in rows
        if content_hash is not None
    ]


def relocate(session: Session, old_id: int, new_id: int, model_version: str) -> bool:
    """Give a known photo the path of a newly found file of the same content, whose own row goes.

    Returns whether the photo has still to be analysed.
    """
    new = session.get_one(Photo, new_id)
    old = session.get_one(Photo, old_id)
    root_id, path, size, mtime_ns = new.root_id, new.path, new.size, new.mtime_ns
    session.delete(new)
    session.flush()
    old.root_id, old.path, old.size, old.mtime_ns = root_id, path, size, mtime_ns
    done = old.indexed_at is not None and old.model_version in privacy.as_good(model_version)
    old.state = "indexed" if done else "failed" if old.error else "pending"
    return old.state == "pending"


def lost_contents(session: Session, hashes: Sequence[str]) -> set[str]:
    """Return those of some contents that photos have whose files are gone or have to be looked at."""
    found = session.scalars(
        select(Photo.content_hash).where(Photo.content_hash.in_(hashes), Photo.state.in_(("missing", "pending")))
    )
    return {one for one in found if one is not None}


def of_content(session: Session, content_hash: str, but: int) -> list[Lost]:
    """Return the other photos of a content whose file is gone or has to be looked at; none if `but` has it too."""
    if session.scalar(select(Photo.content_hash).where(Photo.id == but)) == content_hash:
        return []
    roots = {place.root_id: place.root for place in places(session)}
    rows = session.execute(
        select(Photo.id, Photo.root_id, Photo.path, Photo.state)
        .where(Photo.content_hash == content_hash, Photo.id != but, Photo.state.in_(("missing", "pending")))
        .order_by(Photo.state != "missing", Photo.id)
        .limit(CHUNK)
    )
    return [
        Lost(photo_id, roots[root_id] / names.from_text(path), content_hash, state)
        for photo_id, root_id, path, state in rows
    ]


def still_there(session: Session, waiting: Sequence[PendingPhoto]) -> dict[int, Photo]:
    """Return those photos that still stand at the paths at which they were read, by their numbers."""
    by_id = {one.photo_id: one for one in waiting}
    roots = {place.root_id: place.root for place in places(session)}
    rows = session.scalars(select(Photo).where(Photo.id.in_(by_id)))
    return {row.id: row for row in rows if roots[row.root_id] / names.from_text(row.path) == by_id[row.id].path}


def at(session: Session, photo: PendingPhoto) -> int:
    """Return the photo that stands at a path now: it may have changed places with another since it was read."""
    row = session.get(Photo, photo.photo_id)
    here = None if row is None else path_of(session, photo.photo_id)
    if here == photo.path:
        return photo.photo_id
    for place in places(session):
        if photo.path.is_relative_to(place.root):
            below = names.to_text(photo.path.relative_to(place.root).as_posix())
            found = session.scalar(select(Photo.id).where(Photo.root_id == place.root_id, Photo.path == below))
            if found is not None:
                return found
    return photo.photo_id


def swap(session: Session, known_id: int, here_id: int) -> int:
    """Let a known photo, whose file lies here now, and the one that stood here change places; return who is here."""
    known, here = session.get_one(Photo, known_id), session.get_one(Photo, here_id)
    if here.content_hash is None:
        # Nothing is known of it but that there is such a file.
        relocate(session, known_id, here_id, "")
        return known_id
    places_ = (known.root_id, known.path, known.size, known.mtime_ns, known.state)
    here_root, here_path, here_size, here_mtime = here.root_id, here.path, here.size, here.mtime_ns
    # A path is never at two photos, not even for a moment; no file has an empty one.
    here.path = f"/{here.id}"
    session.flush()
    known.root_id, known.path, known.size, known.mtime_ns = here_root, here_path, here_size, here_mtime
    session.flush()
    here.root_id, here.path, here.size, here.mtime_ns, here.state = places_
    session.flush()
    return known_id


def is_new(session: Session, photo_id: int) -> bool:
    """Say whether nothing is known of a photo yet but that there is such a file."""
    return bool(session.scalar(select(Photo.content_hash.is_(None)).where(Photo.id == photo_id)))


def is_lost(session: Session, lost: Lost) -> bool:
    """Say whether a photo is still known at the path it was lost from."""
    row = session.get(Photo, lost.photo_id)
    if row is None:
        return False
    root = session.get_one(Root, row.root_id)
    return Path(names.from_text(root.path)) / names.from_text(row.path) == lost.path


def gone(session: Session, photo_id: int) -> None:
    """Mark one photo as missing."""
    session.execute(update(Photo).where(Photo.id == photo_id).values(state="missing"))


def retry(session: Session) -> int:
    """Let photos that failed be tried again; return how many there are."""
    found = session.execute(update(Photo).where(Photo.state == "failed").values(state="pending", error=None))
    return int(getattr(found, "rowcount", 0))


def path_of(session: Session, photo_id: int) -> Path | None:
    """Return where a photo's file lies; None if there is no such photo."""
    row = session.execute(
        select(Root.path, Photo.path).join(Root, Root.id == Photo.root_id).where(Photo.id == photo_id)
    ).first()
    return None if row is None else Path(names.from_text(row[0])) / names.from_text(row[1])
