"""Forgetting for good: rows, the pages they stood in, backups, caches; and what must not come back.

What SQLite keeps of deleted rows goes with the file's old pages (secure delete, VACUUM, the journal emptied).
What the file system, a disk or somebody's backup keeps of an old file is beyond any program's reach.
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
from rollcall.errors import ForgetError, StoreError
from rollcall.settings import Settings
from rollcall.store import forgetting, sqlite
from rollcall.store.database import Database
from rollcall.store.photos import Place, place_of, under
from rollcall.store.tables import FaceRow, Photo

#: How long an indexer at work, or a reader, is waited for, in seconds.
WAIT: Final = 60.0
_NUMBERED: Final = re.compile(r"(face|photo):(.*)")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be forgotten."""

    face_ids: tuple[int, ...] = ()
    photo_ids: tuple[int, ...] = ()
    paths: tuple[Path, ...] = ()  # files and folders
    embeddings: bool = False
    ages: bool = False
    genders: bool = False
    everything: bool = False

    def __bool__(self) -> bool:
        return any((self.face_ids, self.photo_ids, self.paths, self.embeddings, self.ages, self.genders)) or (
            self.everything
        )


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was forgotten, or with `dry_run` would be."""

    photos: int = 0
    faces: int = 0
    estimates: int = 0  # of age and gender, one for each face
    embeddings: int = 0  # those kept with corrections too
    corrections: int = 0  # lines of the log
    tags: int = 0
    files: tuple[Path, ...] = ()  # removed: backups, the matrix of embeddings, thumbnails
    bytes: int = 0  # that these files had, and that the database's own files are smaller by
    dry_run: bool = False
    notes: list[str] = field(default_factory=list)  # what a person should know


def wish(
    targets: Iterable[str | Path],
    *,
    embeddings: bool = False,
    ages: bool = False,
    genders: bool = False,
    everything: bool = False,
) -> Wish:
    """Return a wish from words: face:N, photo:N, or the path of a file or folder.

    Raises
    ------
    ForgetError
        If a number is none.
    """
    face_ids: list[int] = []
    photo_ids: list[int] = []
    paths: list[Path] = []
    for target in targets:
        numbered = _NUMBERED.fullmatch(target) if isinstance(target, str) else None
        if numbered is None:
            paths.append(Path(target).expanduser())
            continue
        if not (numbered[2].isascii() and numbered[2].isdigit()):
            raise ForgetError(
                f"{target}: say which by its number, as {numbered[1]}:12; a file of that name: ./{target}"
            )
        (face_ids if numbered[1] == "face" else photo_ids).append(int(numbered[2]))
    return Wish(tuple(face_ids), tuple(photo_ids), tuple(paths), embeddings, ages, genders, everything)


def forget(
    database: Database,
    settings: Settings,
    wanted: Wish,
    *,
    dry_run: bool = False,
    wait: float = WAIT,
    listener: events.Listener = events.ignore,
) -> Forgotten:
    """Forget what is wished for, or only count it; an empty wish ends what an earlier one could not.

    Raises
    ------
    ForgetError
        If something wished for is not there; then nothing is forgotten.
    StoreError
        If another process indexes and does not end within `wait` seconds, or reads for so long that the journal
        cannot be emptied: the message says which.
    """
    if dry_run:
        return _rehearsed(database, settings, wanted)
    with database.indexing(wait):
        with database.erase() as session:
            before = forgetting.census(session)
            _delete(session, settings, wanted)
            after = forgetting.census(session)
            forgetting.set_due(session, True)
        removed, size = clean(database, settings, wait)
    result = _report(before, after, removed, size, notes=_notes(database, settings, wanted))
    listener(events.Forgotten(result.photos, result.faces))
    return result


def _rehearsed(database: Database, settings: Settings, wanted: Wish) -> Forgotten:
    with database.rehearse() as session:
        before = forgetting.census(session)
        _delete(session, settings, wanted)
        after = forgetting.census(session)
    files = _doomed(database, settings)
    return _report(before, after, files=tuple(files), size=_size(files), dry_run=True)


def _report(
    before: dict[str, int], after: dict[str, int], files: tuple[Path, ...], size: int, **more: Any
) -> Forgotten:
    counts: dict[str, Any] = {name: before[name] - after[name] for name in before}
    return Forgotten(**counts, files=files, bytes=size, **more)


def _delete(session: Session, settings: Settings, wanted: Wish) -> None:
    for face_id in wanted.face_ids:
        if session.get(FaceRow, face_id) is None:
            raise ForgetError(f"there is no face {face_id}; `rollcall search --json` shows the faces' numbers")
    for photo_id in wanted.photo_ids:
        if session.get(Photo, photo_id) is None:
            raise ForgetError(f"there is no photo {photo_id}; `rollcall search --json` shows their numbers")
    places = [_place(session, path) for path in wanted.paths]
    if wanted.everything:
        forgetting.everything(session)
        return
    forgetting.faces(session, wanted.face_ids, settings.tags)
    forgetting.photos(session, wanted.photo_ids, keep_away=True)
    for place, is_file in places:
        if is_file:
            forgetting.photos(session, session.scalars(under(place)).all(), keep_away=True)
        else:
            forgetting.folder(session, place)
    if wanted.embeddings:
        forgetting.embeddings(session)
    if wanted.ages:
        forgetting.ages(session, settings.tags)
    if wanted.genders:
        forgetting.genders(session, settings.tags)


def _place(session: Session, path: Path) -> tuple[Place, bool]:
    """Return where a path lies in the library, and whether it is a file."""
    # A photo below a link has the link's name in its path; the library's folder itself may be named by a link.
    spelt = Path(os.path.abspath(path))  # noqa: PTH100  `resolve` would follow the links
    candidates = [spelt, Path(os.path.realpath(spelt.parent)) / spelt.name, Path(os.path.realpath(spelt))]
    places = [place for one in candidates if (place := place_of(session, one, resolve=False)) is not None]
    if not places:
        raise ForgetError(f"{path}: no folder of the library holds it; `rollcall status` shows them")
    for place in places:
        if place.prefix and session.scalar(under(place).where(Photo.path == place.prefix)) is not None:
            return place, True
        if not place.prefix or session.scalar(under(place).limit(1)) is not None:
            return place, False
    if not spelt.is_dir():
        raise ForgetError(f"{path}: nothing is known of it, so there is nothing to forget")
    return places[0], False


def _notes(database: Database, settings: Settings, wanted: Wish) -> list[str]:
    notes = []
    for name, asked in (("embeddings", wanted.embeddings), ("age", wanted.ages), ("gender", wanted.genders)):
        if asked and getattr(settings.attributes, name) == "on":
            notes.append(
                f"attributes.{name} is on: photos analysed from now on have them again, unless you set it to off"
            )
    notes += [f"{path}: it stays forgotten until you name it: rollcall index {path}" for path in wanted.paths]
    if database.engine.dialect.name != "sqlite":
        notes.append(
            "the rows are deleted; what the database server keeps in its own files, logs, replicas and backups is for"
            " its administrator to remove"
        )
    return notes


# ---- Files


def clean(database: Database, settings: Settings, wait: float = WAIT) -> tuple[tuple[Path, ...], int]:
    """Leave nothing of what was deleted in any file; returns the files removed and the bytes that went.

    Raises
    ------
    StoreError
        If others keep the database busy for longer than `wait` seconds; it is tried again at the next run.
    """
    own = _own(database)
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
    # Only now does nobody see the old rows any more: a matrix made from here on has none of them.
    doomed = _doomed(database, settings)
    size = _size(doomed)
    database.vectors.forget()
    for file in doomed:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                database.url,
                f"{file} holds a copy of what was to be forgotten and cannot be removed ({error.strerror}); remove it",
            ) from error
    with database.write() as session:
        forgetting.set_due(session, False)
    return tuple(doomed), size + max(before - _size(own), 0)


def _doomed(database: Database, settings: Settings) -> list[Path]:
    """Return the files that hold copies of what is in the database."""
    found: list[Path] = []
    if database.file is not None:
        found += sqlite.copies(database.file) + database.vectors.files()
    if settings.thumbnail_folder.is_dir():
        found += sorted(path for path in settings.thumbnail_folder.rglob("*") if path.is_file())
    return found


def _own(database: Database) -> Sequence[Path]:
    file = database.file
    return [] if file is None else [file, file.with_name(f"{file.name}-wal")]


def _size(files: Iterable[Path]) -> int:
    def size(file: Path) -> int:
        try:
            return file.stat().st_size
        except OSError:
            return 0

    return sum(map(size, files))
