"""Compare files with the stored photos: which are new, changed, unchanged or missing, and which are pending."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, func, insert, or_, select, update
from sqlalchemy.orm import Session

from rollcall.indexing import other_names
from rollcall.media import paths
from rollcall.model_version import ModelVersion
from rollcall.records import FileStat, PhotoState
from rollcall.remote.paths import is_remote
from rollcall.storage.library import PendingPhoto, Place, chunks, photo_ids_under, roots
from rollcall.storage.tables import PhotoRow


@dataclass
class SeenPhotos:
    """The photos whose files a scan found: one bit each, so that millions fit into memory."""

    bits: bytearray = field(default_factory=bytearray)
    returned: list[int] = field(default_factory=list)  # photos that were missing and are back, unchanged
    other_names: list[str] = field(default_factory=list)  # paths of files that are photos under another path

    def add(self, photo_id: int) -> None:
        """Add a photo."""
        byte = photo_id >> 3
        if byte >= len(self.bits):
            self.bits.extend(bytes(byte + 4096 - len(self.bits)))
        self.bits[byte] |= 1 << (photo_id & 7)

    def __contains__(self, photo_id: int) -> bool:
        byte = photo_id >> 3
        return byte < len(self.bits) and bool(self.bits[byte] >> (photo_id & 7) & 1)


def classify(
    session: Session,
    place: Place,
    files: Sequence[FileStat],
    model_version: str | None,
    force: bool,
    seen: SeenPhotos,
    lasting: Collection[str] = (),
) -> tuple[int, int]:
    """Compare files with the stored photos; new and changed ones become pending.

    Parameters
    ----------
    model_version
        The version that photos must have been analysed by; None: any version will do.
    force
        Make unchanged photos pending too.
    seen
        Gets every photo that one of the files belongs to.
    lasting
        The keys of failures that would happen again, see `failures.current_keys`; other failures become pending.

    Returns
    -------
    How many files are unchanged, or other names of photos, and how many are pending.
    """
    pending_count = 0
    new: list[FileStat] = []
    sufficient = None if model_version is None else ModelVersion.parse(model_version).sufficient
    for part in chunks(files):
        known = _stored(session, place, part)
        changes = []
        for file in part:
            row = known.get(file.relative_path)
            if row is None:
                new.append(file)
                continue
            seen.add(row.id)
            state = _next_state(row, file, sufficient, force, lasting)
            if state is None:
                continue
            if state == PhotoState.INDEXED:
                seen.returned.append(row.id)
            else:
                pending_count += 1
            changes.append(
                {
                    "id": row.id,
                    "size": file.size,
                    "mtime_ns": file.mtime_ns,
                    "ctime_ns": file.ctime_ns,
                    "state": state,
                    "error": None,
                }
            )
        if changes:
            session.execute(update(PhotoRow), changes)
    pending_count += _insert_new(session, place, new, seen)
    return len(files) - pending_count, pending_count


def add_unknown(session: Session, place: Place, files: Sequence[FileStat]) -> int:
    """Add pending photos for those files that are not stored, and leave all others; return how many there are."""
    known = _stored(session, place, files)
    new = [file for file in files if file.relative_path not in known]
    return _insert_new(session, place, new, SeenPhotos())


def _insert_new(session: Session, place: Place, new: Sequence[FileStat], seen: SeenPhotos) -> int:
    """Add pending photos for new files, without other names of one file; return how many there are."""
    count = 0
    for part in chunks(new):
        left = other_names.left_out(session, place, part)
        seen.other_names += [file.relative_path for file in left]
        kept = [file for file in part if file not in left]
        if kept:
            _insert_pending(session, place, kept, seen)
        count += len(kept)
    return count


def _stored(session: Session, place: Place, files: Sequence[FileStat]) -> Mapping[str, Any]:
    """Return the stored photos of some files by their paths."""
    statement = select(
        PhotoRow.id,
        PhotoRow.path,
        PhotoRow.size,
        PhotoRow.mtime_ns,
        PhotoRow.ctime_ns,
        PhotoRow.state,
        PhotoRow.model_version,
        PhotoRow.indexed_at,
        PhotoRow.failure_key,
    ).where(PhotoRow.root_id == place.root_id, PhotoRow.path.in_([file.relative_path for file in files]))
    return {row.path: row for row in session.execute(statement)}


def _next_state(
    row: Any, file: FileStat, sufficient: frozenset[str] | None, force: bool, lasting: Collection[str]
) -> PhotoState | None:
    """Return the state that a photo changes to now that its file was seen; None: it stays as it is."""
    if force or not _is_unchanged(row, file):
        return PhotoState.PENDING
    current = row.indexed_at is not None and (sufficient is None or row.model_version in sufficient)
    if row.state == PhotoState.FAILED:
        return None if row.failure_key in lasting else PhotoState.PENDING
    if row.state == PhotoState.INDEXED and current:
        # A video that was not searched is, once the setting allows it.
        return None if row.failure_key is None or row.failure_key in lasting else PhotoState.PENDING
    # A file that was missing and is back needs no second analysis if even the time of its last change is the same.
    returned = (
        row.state == PhotoState.MISSING and current and row.ctime_ns is not None and row.ctime_ns == file.ctime_ns
    )
    return PhotoState.INDEXED if returned else PhotoState.PENDING


def _is_unchanged(row: Any, file: FileStat) -> bool:
    """Return whether a file is as it was when its photo was stored."""
    known = row.ctime_ns is not None and file.ctime_ns is not None
    return (row.size, row.mtime_ns) == (file.size, file.mtime_ns) and (not known or row.ctime_ns == file.ctime_ns)


def _insert_pending(session: Session, place: Place, files: Sequence[FileStat], seen: SeenPhotos) -> None:
    rows = [
        {
            "root_id": place.root_id,
            "path": file.relative_path,
            "size": file.size,
            "mtime_ns": file.mtime_ns,
            "ctime_ns": file.ctime_ns,
            "state": PhotoState.PENDING,
            "reviewed": False,
        }
        for file in files
    ]
    for photo_id in session.scalars(insert(PhotoRow).returning(PhotoRow.id), rows):
        seen.add(photo_id)


def mark_missing(session: Session, place: Place, seen: SeenPhotos, unreadable: Iterable[str]) -> list[int]:
    """Mark the photos whose files a complete scan of a place did not find as missing, and return their numbers.

    Photos at or below the paths in `unreadable`, relative to the root, keep their state.
    """
    spared = frozenset(unreadable)
    if "" in spared:
        return []
    rows = session.execute(
        photo_ids_under(place).add_columns(PhotoRow.path).where(PhotoRow.state != PhotoState.MISSING)
    )
    gone = [photo_id for photo_id, path in rows if photo_id not in seen and not (spared and _is_below(path, spared))]
    for part in chunks(gone):
        session.execute(update(PhotoRow).where(PhotoRow.id.in_(part)).values(state=PhotoState.MISSING))
    return gone


def _is_below(path: str, spared: frozenset[str]) -> bool:
    """Return whether a path is one of those that are spared, or below one."""
    return path in spared or any(path[: slash.start()] in spared for slash in re.finditer("/", path))


def pending(
    session: Session, places: Sequence[Place], after: int, limit: int, model_version: str | None
) -> list[PendingPhoto]:
    """Return the next pending photos of some places by number, from above `after` on.

    A photo that was analysed by `model_version`, or by a version that gives no less, carries its content hash: if the
    file still has this content, only its times changed, and it needs no analysis. With None every photo needs one.
    """
    # Roots are joined by hand: there are few, and their paths are needed as they are on disk.
    folders = {place.root_id: place.root for place in roots(session)}
    remote = {root_id for root_id, root in folders.items() if is_remote(root)}
    sufficient = frozenset() if model_version is None else ModelVersion.parse(model_version).sufficient
    rows = session.execute(
        select(
            PhotoRow.id,
            PhotoRow.root_id,
            PhotoRow.path,
            PhotoRow.size,
            PhotoRow.mtime_ns,
            PhotoRow.ctime_ns,
            PhotoRow.content_hash,
            PhotoRow.model_version,
            PhotoRow.indexed_at,
            PhotoRow.failure_key,
        )
        .where(PhotoRow.state == PhotoState.PENDING, PhotoRow.id > after, _in_places(places))
        .order_by(PhotoRow.id)
        .limit(limit)
    ).all()
    new = {row.size for row in rows if row.content_hash is None}
    known: set[int] = set()
    for part in chunks(sorted(new)):
        of_size = select(PhotoRow.size).where(PhotoRow.size.in_(part), PhotoRow.content_hash.is_not(None))
        known |= set(session.scalars(of_size.where(PhotoRow.state != PhotoState.PENDING).distinct()))
    return [
        PendingPhoto(
            row.id,
            folders[row.root_id] / paths.from_text(row.path),
            row.size,
            row.content_hash is None and row.size in known,
            row.content_hash if _is_done(row, sufficient) else None,
            FileStat("", row.size, row.mtime_ns, row.ctime_ns) if row.root_id in remote else None,
        )
        for row in rows
    ]


def _is_done(row: Any, sufficient: frozenset[str]) -> bool:
    """Return whether a photo needs no analysis as long as its content is the same."""
    return row.indexed_at is not None and row.model_version in sufficient and row.failure_key is None


def count_pending(session: Session, places: Sequence[Place]) -> int:
    """Return how many photos of some places are pending."""
    statement = select(func.count()).where(PhotoRow.state == PhotoState.PENDING, _in_places(places))
    return session.scalar(statement) or 0


def _in_places(places: Sequence[Place]) -> ColumnElement[bool]:
    """Return the condition of photos in any of some places."""
    return or_(
        *(
            PhotoRow.id.in_(photo_ids_under(place)) if place.prefix else PhotoRow.root_id == place.root_id
            for place in places
        )
    )


def retry_failed(session: Session) -> int:
    """Make photos that failed pending again; return how many there are."""
    found = session.execute(
        update(PhotoRow).where(PhotoRow.state == PhotoState.FAILED).values(state=PhotoState.PENDING, error=None)
    )
    return int(getattr(found, "rowcount", 0))
