"""Embeddings in PostgreSQL's extension pgvector: a table of vectors in half precision with an HNSW index.

Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small World
graphs" (2018). There is a table for each dimension. Once it is there, embeddings are written to it in the transaction
that stores them, and leave it with their rows. It is read once all older embeddings are in it, and its index is made.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from rollcall.storage.database import Database
from rollcall.storage.tables import EmbeddingRow

#: Embeddings that are written in one transaction.
_PART: Final = 20_000
#: The most dimensions that an index of half precision can have.
_MOST_DIMENSIONS: Final = 4_000
#: Half precision came with this version.
_OLDEST: Final = (0, 7)
#: What the index can be asked for at a time.
MOST: Final = 1_000
#: Candidates that it goes through at least.
_CANDIDATES: Final = 200
_KNOWN: Final = "rollcall pgvector tables"


def prepare(database: Database) -> bool:
    """Bring the tables of vectors and their indexes up to date, where the extension is there; return whether it is.

    Corrections go on meanwhile. What was done stays done if this is interrupted.

    Raises
    ------
    StoreError
        If the database refuses a statement.
    """
    if database.is_sqlite:
        return False
    with database.write() as session:
        if not _has_extension(session.connection()):
            return False
        # Of the first and the last face: all others would have to be read to know every dimension.
        ends = (EmbeddingRow.face_id, EmbeddingRow.face_id.desc())
        found = [session.scalar(select(EmbeddingRow.dimension).order_by(end).limit(1)) for end in ends]
        dimensions = sorted({one for one in found if one is not None})
        for dimension in dimensions:
            _make_table(session.connection(), dimension)
    for dimension in dimensions:
        if dimension <= _MOST_DIMENSIONS and not is_ready(database, dimension):
            _fill(database, dimension)
            database.outside_transactions(*_index_statements(dimension))
    return True


def is_ready(database: Database, dimension: int) -> bool:
    """Return whether all embeddings of a dimension can be found by an index."""
    with database.read() as session:
        return has_index(session, dimension)


def has_index(session: Session, dimension: int) -> bool:
    """Return the same, as a session sees it."""
    if session.get_bind().dialect.name != "postgresql":
        return False
    found = session.execute(
        text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)"), {"name": _index(dimension)}
    ).scalar()
    return bool(found)


def add(session: Session, face_ids: Sequence[int], vectors: Sequence[bytes], dimension: int) -> None:
    """Add new embeddings, little-endian float16 of one dimension, to their table if there is one."""
    if session.get_bind().dialect.name != "postgresql":
        return
    known: dict[int, bool] = session.info.setdefault(_KNOWN, {})
    if dimension not in known:
        known[dimension] = (
            session.execute(text("SELECT to_regclass(:name)"), {"name": _table(dimension)}).scalar() is not None
        )
    if known[dimension]:
        _copy(session.connection(), dimension, np.array(face_ids, np.int64), b"".join(vectors))


class Near(NamedTuple):
    """A face that an index found."""

    face_id: int
    photo_id: int
    model_version: str
    cosine: float


class Nearest(NamedTuple):
    """What an index found: faces that are shown, the most similar first."""

    faces: list[Near]
    down_to: float  # about all faces of a higher cosine are among them


def nearest(session: Session, vector: NDArray[np.float16], most: int) -> Nearest:
    """Return the faces whose embeddings are about the most similar to one of unit length, (dimension,).

    At most `most` or `MOST`; fewer where some of them are not shown.
    """
    dimension, most = len(vector), min(most, MOST)
    # The index goes through so many candidates; more find more of the truly nearest.
    session.execute(text(f"SET LOCAL hnsw.ef_search = {max(most, _CANDIDATES)}"))
    rows = session.execute(
        text(
            "SELECT n.face_id, f.photo_id, e.model_version, -n.distance,"
            " f.present AND NOT e.stale AND NOT COALESCE(v.dismissed, false) FROM ("
            f" SELECT face_id, vector <#> CAST(:wanted AS halfvec({dimension})) AS distance FROM {_table(dimension)}"
            f" ORDER BY vector <#> CAST(:wanted AS halfvec({dimension})) LIMIT :most) AS n"
            " JOIN embeddings e ON e.face_id = n.face_id JOIN faces f ON f.id = n.face_id"
            " LEFT JOIN verdicts v ON v.face_id = n.face_id ORDER BY n.distance, n.face_id"
        ),
        {"wanted": f"[{','.join(map(str, vector.tolist()))}]", "most": most},
    ).all()
    # Fewer than asked for need not be all: the index goes through rows that were deleted, too.
    whole = len(rows) < most and len(rows) == _count(session, dimension, most)
    down_to = -2.0 if whole or not rows else float(rows[-1][3])
    return Nearest([Near(row[0], row[1], row[2], float(row[3])) for row in rows if row[4]], down_to)


def _count(session: Session, dimension: int, most: int) -> int:
    """Return how many vectors a table has, and no more than `most`."""
    found = session.scalar(
        text(f"SELECT COUNT(*) FROM (SELECT 1 FROM {_table(dimension)} LIMIT :most) AS several"), {"most": most}
    )
    return int(found or 0)


def _table(dimension: int) -> str:
    return f"face_vectors_{int(dimension)}"


def _index(dimension: int) -> str:
    return f"ix_face_vectors_{int(dimension)}_hnsw"


def _has_extension(connection: Connection) -> bool:
    """Return whether the extension is there in a version that knows half precision; make it usable if need be."""
    installed = connection.exec_driver_sql("SELECT extversion FROM pg_extension WHERE extname = 'vector'").scalar()
    if installed is None:
        offered = connection.exec_driver_sql(
            "SELECT default_version FROM pg_available_extensions WHERE name = 'vector'"
        ).scalar()
        if offered is None:
            return False
        try:
            with connection.begin_nested():
                connection.exec_driver_sql("CREATE EXTENSION vector")
        except DBAPIError:
            # The server's administrator has to do it; searches read the file of embeddings until then.
            return False
        installed = offered
    return tuple(int(part) for part in str(installed).split(".")[:2]) >= _OLDEST


def _make_table(connection: Connection, dimension: int) -> None:
    if dimension <= _MOST_DIMENSIONS:
        connection.exec_driver_sql(
            f"CREATE TABLE IF NOT EXISTS {_table(dimension)} (face_id integer PRIMARY KEY REFERENCES embeddings"
            f" ON DELETE CASCADE, vector halfvec({int(dimension)}) NOT NULL)"
        )


def _fill(database: Database, dimension: int) -> None:
    """Write the embeddings that were stored before there was the table."""
    after = -1
    while True:
        with database.write() as session:
            rows = session.execute(
                text(
                    f"SELECT e.face_id, e.vector, v.face_id FROM embeddings e LEFT JOIN {_table(dimension)} v"
                    " ON v.face_id = e.face_id WHERE e.dimension = :dimension AND e.face_id > :after"
                    " ORDER BY e.face_id LIMIT :part"
                ),
                {"dimension": dimension, "after": after, "part": _PART},
            ).all()
            if not rows:
                return
            after = rows[-1][0]
            new = [row for row in rows if row[2] is None]
            add(session, [row[0] for row in new], [row[1] for row in new], dimension)


def _index_statements(dimension: int) -> tuple[str, ...]:
    """Return the statements that make an index; one that was interrupted is made again."""
    index = _index(dimension)
    return (
        "SET lock_timeout = 0",
        f"DROP INDEX CONCURRENTLY IF EXISTS {index}",
        f"CREATE INDEX CONCURRENTLY {index} ON {_table(dimension)} USING hnsw (vector halfvec_ip_ops)",
        "RESET lock_timeout",
    )


def _copy(connection: Connection, dimension: int, face_ids: NDArray[np.int64], vectors: bytes) -> None:
    """Write vectors by COPY in its binary format: two fields a row, each behind its length in bytes."""
    if not len(face_ids):
        return
    rows = np.zeros(
        len(face_ids),
        [("fields", ">i2"), ("id_bytes", ">i4"), ("id", ">i4"), ("bytes", ">i4"), ("dimension", ">u2")]
        + [("unused", ">u2"), ("vector", ">f2", (dimension,))],
    )
    rows["fields"], rows["id_bytes"], rows["bytes"] = 2, 4, 4 + 2 * dimension
    rows["id"], rows["dimension"] = face_ids, dimension
    rows["vector"] = np.frombuffer(vectors, "<f2").reshape(-1, dimension)
    driver: Any = connection.connection.dbapi_connection
    try:
        with (
            driver.cursor() as cursor,
            cursor.copy(f"COPY {_table(dimension)} (face_id, vector) FROM STDIN (FORMAT BINARY)") as copy,
        ):
            copy.write(b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0))
            copy.write(rows.tobytes())
            copy.write(struct.pack(">h", -1))
    except driver.Error as error:
        raise DBAPIError(f"COPY {_table(dimension)}", None, error) from error
