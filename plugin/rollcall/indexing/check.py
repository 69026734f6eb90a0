"""Check that a library's database agrees with itself and with the files, and repair what does not."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import delete, func, or_, select, text, update
from sqlalchemy.orm import Session

from rollcall.errors import PictureError, RemoteError
from rollcall.indexing.moves import UNKNOWN_SIZE
from rollcall.media import decode, paths
from rollcall.records import PhotoState
from rollcall.remote.copies import at_hand
from rollcall.remote.files import can_be_listed
from rollcall.remote.paths import is_remote
from rollcall.remote.trouble import ChangedError
from rollcall.search.columns import columns_of
from rollcall.search.vectors import vectors_of
from rollcall.settings import Settings
from rollcall.storage.database import Database
from rollcall.storage.library import CHUNK, chunks, roots
from rollcall.storage.tables import (
    EmbeddingRow,
    FaceRow,
    PhotoGroupRow,
    PhotoRow,
    PredictionRow,
    TagRow,
    VerdictRow,
)

#: How many photos' files are hashed unless all are asked for.
SAMPLE: Final = 200
_OF_FACES: Final = (PredictionRow, EmbeddingRow, VerdictRow)
_OF_PHOTOS: Final = (FaceRow, TagRow, PhotoGroupRow)


@dataclass
class CheckReport:
    """What a check found; empty lists and zeros mean that all is well."""

    files: int = 0  # hashed
    wrong_content: list[Path] = field(default_factory=list)  # the row is of another content than the file
    unreadable: list[Path] = field(default_factory=list)  # cannot be read at present; left as they are
    integrity: list[str] = field(default_factory=list)  # what the database says of its own damage
    orphans: int = 0  # rows of faces or photos that are gone
    wrong_counts: int = 0  # photos whose number of faces is not that of their rows
    embeddings_file: str = ""  # what is wrong with the file of embeddings
    columns: str = ""  # what is wrong with the columns for searches
    repaired: bool = False

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        found = (self.wrong_content, self.integrity, self.orphans, self.wrong_counts)
        return not any((*found, self.embeddings_file, self.columns))


def check(
    database: Database, settings: Settings, *, every_file: bool = False, repair: bool = False, seed: int = 0
) -> CheckReport:
    """Check the database, the files that searches read, and the content of a sample of photos.

    Parameters
    ----------
    every_file
        Hash every photo's file instead of a sample of `SAMPLE`.
    repair
        Make photos of another content than their file pending, delete orphans, and delete a wrong file of embeddings
        and wrong columns for searches, which the next search makes again. Damage of the database itself is not
        repaired: restore a backup.

    Raises
    ------
    StoreError
        If the database cannot be read, or with `repair` not be written.
    """
    report = CheckReport(repaired=repair)
    with database.read() as session:
        report.integrity = _integrity(session, database.is_sqlite)
        report.orphans = sum(_orphan_counts(session))
        wrong = _wrong_counts(session)
        report.wrong_counts = len(wrong)
        report.embeddings_file = _embeddings_file(database, session)
        wrong_parts, parts = columns_of(database).wrong(session)
        report.columns = f"{wrong_parts} of their {parts} parts are not those of the database" if wrong_parts else ""
    contents = _wrong_contents(database, settings, every_file, seed, report)
    if repair:
        _repair(database, report, contents, wrong)
    return report


def _integrity(session: Session, is_sqlite: bool) -> list[str]:
    if not is_sqlite:
        return []
    found = [str(row[0]) for row in session.execute(text("PRAGMA quick_check(20)"))]
    found = [] if found == ["ok"] else found
    return found + [f"a row of {row[0]} has no {row[2]}" for row in session.execute(text("PRAGMA foreign_key_check"))]


def _orphan_counts(session: Session) -> Iterator[int]:
    for table in _OF_FACES:
        statement = select(func.count()).where(table.face_id.not_in(select(FaceRow.id)))
        yield session.scalar(statement) or 0
    for owned in _OF_PHOTOS:
        statement = select(func.count()).where(owned.photo_id.not_in(select(PhotoRow.id)))
        yield session.scalar(statement) or 0


def _wrong_counts(session: Session) -> list[int]:
    """Return the photos whose stored number of visible faces is not that of their rows."""
    visible = (
        select(func.count(FaceRow.id))
        .outerjoin(VerdictRow, VerdictRow.face_id == FaceRow.id)
        .where(FaceRow.photo_id == PhotoRow.id, FaceRow.present)
        .where(or_(VerdictRow.dismissed.is_(None), ~VerdictRow.dismissed))
        .scalar_subquery()
    )
    return list(
        session.scalars(select(PhotoRow.id).where(PhotoRow.state == PhotoState.INDEXED, PhotoRow.face_count != visible))
    )


def _embeddings_file(database: Database, session: Session) -> str:
    """Return how the file of embeddings differs from the rows; empty where it does not."""
    visible = (
        select(EmbeddingRow.face_id, EmbeddingRow.vector)
        .join(FaceRow, FaceRow.id == EmbeddingRow.face_id)
        .outerjoin(VerdictRow, VerdictRow.face_id == FaceRow.id)
        .where(FaceRow.present, ~EmbeddingRow.stale)
        .where(or_(VerdictRow.dismissed.is_(None), ~VerdictRow.dismissed))
    )
    for dimension in session.scalars(select(EmbeddingRow.dimension).distinct()).all():
        in_file: dict[int, bytes] = {}
        for part in vectors_of(database).parts(session, dimension):
            current = part.photo_ids >= 0
            in_file |= {
                int(face_id): row.tobytes()
                for face_id, row in zip(part.face_ids[current], part.vectors[current], strict=True)
            }
        rows = {row.face_id: row.vector for row in session.execute(visible.where(EmbeddingRow.dimension == dimension))}
        if in_file.keys() != rows.keys():
            return f"it has {len(in_file):,} faces, the database has {len(rows):,}"
        different = sum(in_file[face_id] != vector for face_id, vector in rows.items())
        if different:
            return f"{different:,} of its embeddings are not those of the database"
    return ""


def _wrong_contents(
    database: Database, settings: Settings, every_file: bool, seed: int, report: CheckReport
) -> list[int]:
    """Return the indexed photos whose files have another content; fill in the report."""
    with database.read() as session:
        folders = {place.root_id: place.root for place in roots(session)}
        ids = list(session.scalars(select(PhotoRow.id).where(PhotoRow.state == PhotoState.INDEXED)))
    if not every_file and len(ids) > SAMPLE:
        ids = random.Random(seed).sample(ids, SAMPLE)
    wrong: list[int] = []
    away: set[int] = set()
    for part in chunks(ids, CHUNK):
        with database.read() as session:
            rows = session.execute(
                select(PhotoRow.id, PhotoRow.root_id, PhotoRow.path, PhotoRow.content_hash).where(PhotoRow.id.in_(part))
            ).all()
        for photo_id, root_id, path, content_hash in rows:
            file = folders[root_id] / paths.from_text(path)
            digest = None if root_id in away else _content_hash(file, settings)
            if digest is None:
                # A server that does not serve is not asked again for each of its photos.
                if is_remote(file) and not can_be_listed(folders[root_id]):
                    away.add(root_id)
                report.unreadable.append(file)
                continue
            report.files += 1
            if digest != content_hash:
                report.wrong_content.append(file)
                wrong.append(photo_id)
    return wrong


def _content_hash(file: Path, settings: Settings) -> str | None:
    """Return the hash of a photo's content; None where it cannot be read at present."""
    try:
        with at_hand(file, settings) as here:
            return decode.content_hash(here)
    except (PictureError, FileNotFoundError, ChangedError, RemoteError):
        return None


def _repair(database: Database, report: CheckReport, wrong_contents: list[int], wrong_counts: list[int]) -> None:
    with database.write() as session:
        for table in _OF_FACES:
            session.execute(delete(table).where(table.face_id.not_in(select(FaceRow.id))))
        for owned in _OF_PHOTOS:
            session.execute(delete(owned).where(owned.photo_id.not_in(select(PhotoRow.id))))
        for part in chunks([*wrong_contents, *wrong_counts]):
            # Without a version, and with a size that no file has, the next run analyses them again.
            session.execute(
                update(PhotoRow)
                .where(PhotoRow.id.in_(part))
                .values(state=PhotoState.PENDING, size=UNKNOWN_SIZE, ctime_ns=None, model_version=None)
            )
    if report.embeddings_file:
        vectors_of(database).delete()
    if report.columns:
        columns_of(database).delete()
