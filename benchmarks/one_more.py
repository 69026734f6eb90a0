"""How long one more photo takes until it is known who its face is, in a library of any size (benchmarks/rows.py).

Photos with a face like one of the library's are added one at a time, as an index run writes them; measured is what
grouping does then. The first one makes what the others find there, and is told apart. Times are those of this process
on processors. The database is changed: give a folder of its own.

    python benchmarks/one_more.py [--faces 200000] [--photos 20] [--folder FOLDER] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import measuring
import named
import numpy as np
import rows
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from rollcall.people import grouping
from rollcall.settings import TagSettings
from rollcall.storage import change_feed, revisions
from rollcall.storage.change_feed import ChangeKind
from rollcall.storage.database import Database
from rollcall.storage.tables import EmbeddingRow, FacePersonRow, FaceRow, PhotoRow, PredictionRow


def add_photo(database: Database, rng: np.random.Generator) -> int:
    """Add a photo with one face, similar to one of the library's; return the face's number."""
    with database.write() as session:
        last = session.scalar(select(func.max(FaceRow.id))) or 1
        model = int(rng.integers(1, last))
        photo_id = session.scalar(select(FaceRow.photo_id).where(FaceRow.id == model))
        number = (session.scalar(select(func.max(PhotoRow.id))) or 0) + 1
        revision = revisions.take(session)
        photo = {"id": number, "path": f"more/{number}.jpg", "face_count": 1, "revision": revision}
        _copy(session, PhotoRow.__table__, "id", photo_id, photo)
        _copy(session, FaceRow.__table__, "id", model, {"id": last + 1, "photo_id": number})
        _copy(session, PredictionRow.__table__, "face_id", model, {"face_id": last + 1})
        stored = session.scalar(select(EmbeddingRow.vector).where(EmbeddingRow.face_id == model))
        noisy = np.frombuffer(stored or b"", "<f2").astype(np.float32)
        noisy = noisy + rng.normal(0, 0.02, len(noisy))
        vector = (noisy / np.linalg.norm(noisy)).astype("<f2").tobytes()
        _copy(session, EmbeddingRow.__table__, "face_id", model, {"face_id": last + 1, "vector": vector})
        change_feed.record(session, ChangeKind.PHOTO_INDEXED, number)
    return last + 1


def _copy(session: Session, table: Any, key: str, number: int | None, changed: dict[str, Any]) -> None:
    row = session.execute(select(table).where(table.c[key] == number)).mappings().one()
    session.execute(insert(table).values(**{**row, **changed}))


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=200_000)
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--folder", type=Path, help="Keep the database here, and use one that is there.")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rng, settings, times, known = np.random.default_rng(7), TagSettings(), [], 0
    with tempfile.TemporaryDirectory() as name:
        folder = given.folder or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        database = rows.fill(folder / f"{given.faces}.db", given.faces)
        named.add_people(database)
        for _ in range(given.photos + 1):
            face = add_photo(database, rng)
            began = time.process_time()
            grouping.group_new(database, settings)
            times.append(1000 * (time.process_time() - began))
            with database.read() as session:
                known += (
                    session.scalar(select(FacePersonRow.person_id).where(FacePersonRow.face_id == face)) is not None
                )
        database.close()
    measuring.report(
        f"One more photo, {given.faces:,} faces",
        "rows drawn at random by benchmarks/rows.py, people by benchmarks/named.py",
        [
            measuring.Line("the first", (times[0],), "milliseconds", "the file of embeddings is made or read"),
            measuring.Line("each of the others", tuple(times[1:]), "milliseconds", f"{known} of them are somebody"),
        ],
        given.out,
        "one-more",
        measuring.machine(),
    )
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


if __name__ == "__main__":
    main()
