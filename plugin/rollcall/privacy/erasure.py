"""Erasure: remove rows, their bytes in the database's files, backups and caches, and set tombstones.

SQLite's copies of deleted rows go with the file's old pages (secure_delete, VACUUM, a truncated write-ahead log).
Copies that the file system, the disk or somebody's backup has of an old file are out of reach of any program.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy.orm import Session

from rollcall import events
from rollcall.corrections import archive
from rollcall.errors import InvalidTargetError, NotFoundError, StoreError, reason_of
from rollcall.privacy import deletion, people
from rollcall.remote import homes
from rollcall.remote.paths import is_remote, named
from rollcall.search.columns import columns_of
from rollcall.search.vectors import vectors_of
from rollcall.settings import Settings
from rollcall.storage import sqlite
from rollcall.storage.database import Database
from rollcall.storage.library import Place, locate, photo_ids_under, resolved
from rollcall.storage.tables import FaceRow, PhotoRow

#: How long to wait for an index run, or a reader of the database, in seconds.
WAIT_SECONDS: Final = 60.0
_NUMBERED: Final = re.compile(r"(face|photo|person):(.*)")


@dataclass(frozen=True, slots=True)
class ErasureRequest:
    """What to erase. It is false if it names nothing."""

    face_ids: tuple[int, ...] = ()
    photo_ids: tuple[int, ...] = ()
    paths: tuple[Path, ...] = ()  # files and folders
    embeddings: bool = False
    ages: bool = False
    genders: bool = False
    everything: bool = False
    person_ids: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        named = (self.face_ids, self.photo_ids, self.paths, self.person_ids)
        return any((*named, self.embeddings, self.ages, self.genders, self.everything))


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """The numbers of rows and files that were erased, or with `dry_run` would be."""

    photos: int = 0
    faces: int = 0
    estimates: int = 0  # predictions of age and gender, one for each face
    ages: int = 0  # of these, those that had an age
    genders: int = 0  # of these, those that had a gender; an estimate that loses one of both stays
    embeddings: int = 0  # also those in the log of corrections
    corrections: int = 0  # lines of the log
    tags: int = 0
    files: tuple[Path, ...] = ()  # removed: backups, embeddings and columns for searches, thumbnails
    bytes: int = 0  # the size of these files, and by how much the database's own files shrank
    dry_run: bool = False
    notes: list[str] = field(default_factory=list)  # sentences for a person


def parse_targets(
    targets: Iterable[str | Path],
    *,
    faces: Iterable[int] = (),
    photos: Iterable[int] = (),
    people: Iterable[int] = (),
    embeddings: bool = False,
    ages: bool = False,
    genders: bool = False,
    everything: bool = False,
) -> ErasureRequest:
    """Return the request of some targets: paths, ``face:12``, ``photo:3`` and ``person:5``; and of the options.

    Raises
    ------
    InvalidTargetError
        If what follows ``face:``, ``photo:`` or ``person:`` is not a number.
    """
    numbers = {"face": list(faces), "photo": list(photos), "person": list(people)}
    folders: list[Path] = []
    for target in targets:
        numbered = _NUMBERED.fullmatch(target) if isinstance(target, str) else None
        if numbered is None:
            folders.append(named(target).expanduser())
            continue
        if not (numbered[2].isascii() and numbered[2].isdigit()):
            raise InvalidTargetError(
                f"{target}: give a number, such as {numbered[1]}:12; for a file of that name give ./{target}"
            )
        numbers[numbered[1]].append(int(numbered[2]))
    face_ids, photo_ids, person_ids = (tuple(one) for one in numbers.values())
    return ErasureRequest(face_ids, photo_ids, tuple(folders), embeddings, ages, genders, everything, person_ids)


def erase(
    database: Database,
    settings: Settings,
    request: ErasureRequest,
    *,
    wait: float = WAIT_SECONDS,
    publish: events.Listener = events.ignore,
) -> ErasureReport:
    """Erase what is requested; an empty request finishes an erasure that was interrupted.

    Parameters
    ----------
    wait
        For how many seconds to wait for another process that indexes, and for readers.
    publish
        Gets `events.Forgotten`.

    Raises
    ------
    NotFoundError
        If a face, photo or path is not there; then nothing is erased.
    BusyError
        If another process indexes and does not end within `wait` seconds.
    StoreError
        If a reader still blocks the write-ahead log after `wait` seconds, or a file cannot be removed. The rows are
        deleted; their bytes are removed at the next run.
    """
    with database.indexing(wait):
        with database.erase() as session:
            before = deletion.row_counts(session)
            _delete(session, settings, request)
            after = deletion.row_counts(session)
            deletion.set_scrub_due(session, True)
        removed, size = scrub(database, settings, wait)
    report = _report(before, after, removed, size, notes=_notes(database, settings, request))
    publish(events.Forgotten(report.photos, report.faces))
    return report


def dry_run(database: Database, settings: Settings, request: ErasureRequest) -> ErasureReport:
    """Return what `erase` would remove, and change nothing.

    Raises
    ------
    NotFoundError
        If a face, photo or path is not there.
    """
    with database.dry_run() as session:
        before = deletion.row_counts(session)
        _delete(session, settings, request)
        after = deletion.row_counts(session)
    files = _copies(database, settings)
    return _report(before, after, files=tuple(files), size=_size(files), dry_run=True)


def _report(
    before: dict[str, int], after: dict[str, int], files: tuple[Path, ...], size: int, **more: Any
) -> ErasureReport:
    counts: dict[str, Any] = {name: before[name] - after[name] for name in before}
    return ErasureReport(**counts, files=files, bytes=size, **more)


def _delete(session: Session, settings: Settings, request: ErasureRequest) -> None:
    for face_id in request.face_ids:
        if session.get(FaceRow, face_id) is None:
            raise NotFoundError("face", face_id, "`rollcall search --json` shows the faces' numbers")
    for photo_id in request.photo_ids:
        if session.get(PhotoRow, photo_id) is None:
            raise NotFoundError("photo", photo_id)
    places = [_locate(session, path) for path in request.paths]
    if request.everything:
        deletion.delete_everything(session)
        return
    deletion.delete_faces(session, request.face_ids, settings.tags)
    people.delete_people(session, request.person_ids, settings.tags)
    deletion.delete_photos(session, request.photo_ids, tombstone=True)
    for place, is_file in places:
        if is_file:
            deletion.delete_photos(session, session.scalars(photo_ids_under(place)).all(), tombstone=True)
        else:
            deletion.delete_folder(session, place)
    if request.embeddings:
        deletion.delete_embeddings(session)
        people.delete_groups(session)
    if request.ages:
        deletion.delete_ages(session, settings.tags)
        people.delete_birth_estimates(session)
    if request.genders:
        deletion.delete_genders(session, settings.tags)


def _locate(session: Session, path: Path) -> tuple[Place, bool]:
    """Return the place of a path in the library, and whether it is a file.

    Raises
    ------
    NotFoundError
        If no root contains it, or it is not a folder and no photo is stored there.
    """
    # A photo below a link has the link's name in its path; the library's folder itself may be named by a link.
    given = path if is_remote(path) else Path(os.path.abspath(path))  # noqa: PTH100  `resolve` would follow the links
    candidates = [given] if is_remote(path) else [given, resolved(given.parent) / given.name, resolved(given)]
    places = [place for one in candidates if (place := locate(session, one, resolve=False)) is not None]
    if not places:
        raise NotFoundError("path", path, "no folder of the library holds it; `rollcall status` shows them")
    for place in places:
        if place.prefix and session.scalar(photo_ids_under(place).where(PhotoRow.path == place.prefix)) is not None:
            return place, True
        if not place.prefix or session.scalar(photo_ids_under(place).limit(1)) is not None:
            return place, False
    if not given.is_dir():
        raise NotFoundError("path", path, "the library has no photos there, so there is nothing to forget")
    return places[0], False


def _notes(database: Database, settings: Settings, request: ErasureRequest) -> list[str]:
    """Return what a person should know of the limits of an erasure."""
    notes = []
    for name, asked in (("embeddings", request.embeddings), ("age", request.ages), ("gender", request.genders)):
        if asked and getattr(settings.attributes, name) == "on":
            notes.append(
                f"attributes.{name} is on: photos analysed from now on have them again, unless you set it to off"
            )
    notes += [f"{path}: it stays forgotten until you name it: rollcall index {path}" for path in request.paths]
    if not database.is_sqlite:
        notes.append(
            "the rows are deleted; what the database server keeps in its own files, logs, replicas and backups is for"
            " its administrator to remove"
        )
    return notes


# ---- Files


def scrub(database: Database, settings: Settings, wait: float = WAIT_SECONDS) -> tuple[tuple[Path, ...], int]:
    """Remove the bytes of deleted rows from every file; return the files removed and the number of bytes freed.

    Raises
    ------
    StoreError
        If others use the database for longer than `wait` seconds, or a file cannot be removed. It is tried again at the
        next run.
    """
    own = _database_files(database)
    before = _size(own)
    try:
        emptied = database.scrub(wait)
    except StoreError as error:
        raise StoreError(
            error.url,
            f"what was to be forgotten is deleted, but the file still holds its bytes ({error.reason}); run"
            " `rollcall forget` again, without naming anything, to finish",
        ) from error
    if not emptied:
        raise StoreError(
            database.url,
            f"what was to be forgotten is deleted, but another program that reads the database keeps its journal"
            f" ({database.file}-wal) from being emptied; close it and run `rollcall forget` again, without naming"
            " anything, to finish",
        )
    # From here on no reader sees the old rows: a file of embeddings that is made now has none of them.
    copies = _copies(database, settings)
    size = _size(copies)
    vectors_of(database).delete()
    columns_of(database).delete()
    homes.sweep(settings)
    for file in copies:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                database.url,
                f"{file} holds a copy of what was to be forgotten and cannot be removed ({error.strerror}); remove it",
            ) from error
    try:
        archive.rewrite(database)
    except OSError as error:
        raise StoreError(
            database.url, f"the archive of corrections beside it cannot be rewritten ({reason_of(error)}); remove it"
        ) from error
    with database.write() as session:
        deletion.set_scrub_due(session, False)
    return tuple(copies), size + max(before - _size(own), 0)


def _copies(database: Database, settings: Settings) -> list[Path]:
    """Return the files that hold copies of data of the database: backups, what searches read, thumbnails."""
    found: list[Path] = []
    if database.file is not None:
        found += sqlite.copies(database.file)
    found += vectors_of(database).files() + columns_of(database).files()
    if settings.thumbnail_folder.is_dir():
        found += sorted(path for path in settings.thumbnail_folder.rglob("*") if path.is_file())
    return found


def _database_files(database: Database) -> Sequence[Path]:
    file = database.file
    return [] if file is None else [file, file.with_name(f"{file.name}-wal")]


def _size(files: Iterable[Path]) -> int:
    """Return the size of some files together in bytes; a missing file has none."""

    def size(file: Path) -> int:
        try:
            return file.stat().st_size
        except OSError:
            return 0

    return sum(map(size, files))
