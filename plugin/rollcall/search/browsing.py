"""All photos by capture time, the newest first: parts of that order from any place on, and how many a month has.

Every part is a range of the index of capture times, so that the end of a large library is reached as fast as its
beginning.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from rollcall.search.identifiers import LARGEST, storable
from rollcall.search.planning import SHOWN


class Month(NamedTuple):
    """The photos of one month."""

    name: str  # "2019-06"; "" for photos without a capture time
    photos: int


_SELECT = f"SELECT p.photo_id FROM v1_photos p WHERE {SHOWN}"
_NEWEST = "ORDER BY p.taken_local DESC NULLS LAST, p.photo_id DESC LIMIT :limit"
_OLDEST = "ORDER BY p.taken_local NULLS FIRST, p.photo_id LIMIT :limit"


def until(session: Session, month: str, limit: int) -> list[int]:
    """Return the photos of a month, such as "2019-06", and those before it; "" for those without a capture time."""
    if not month:
        return undated(session, LARGEST, limit)
    # "~" sorts behind every digit and sign of a time.
    values = {"until": f"{month}~", "limit": limit}
    rows = session.execute(text(f"{_SELECT} AND p.taken_local <= :until {_NEWEST}"), values)
    found = [int(row[0]) for row in rows]
    return found + undated(session, LARGEST, limit - len(found))


def undated(session: Session, below: int, limit: int) -> list[int]:
    """Return the photos without a capture time whose numbers are below one, the highest number first."""
    if limit <= 0:
        return []
    values = {"below": below, "limit": limit}
    where = "AND p.taken_local IS NULL AND p.photo_id < :below ORDER BY p.photo_id DESC LIMIT :limit"
    return [int(row[0]) for row in session.execute(text(f"{_SELECT} {where}"), values)]


def newer(session: Session, photo_id: int, limit: int) -> list[int]:
    """Return the photos just before one in the order, the newest first."""
    if not storable(photo_id):
        return []
    row = session.execute(text("SELECT taken_local FROM v1_photos WHERE photo_id = :id"), {"id": photo_id}).first()
    if row is None:
        return []
    values = {"taken": row[0], "id": photo_id, "limit": limit}
    found: list[int] = []
    if row[0] is None:
        where = "AND p.taken_local IS NULL AND p.photo_id > :id ORDER BY p.photo_id LIMIT :limit"
        found = [int(one[0]) for one in session.execute(text(f"{_SELECT} {where}"), values)]
        # Behind the dated ones: the oldest of these come before the first without a time.
        values |= {"taken": "", "id": 0, "limit": limit - len(found)}
    if len(found) < limit:
        where = "AND (p.taken_local, p.photo_id) > (:taken, :id)"
        found += [int(one[0]) for one in session.execute(text(f"{_SELECT} {where} {_OLDEST}"), values)]
    return found[::-1]


def months(session: Session) -> list[Month]:
    """Return the months that have photos, the newest first; those without a capture time last."""
    rows = session.execute(
        text(
            f"SELECT COALESCE(SUBSTR(p.taken_local, 1, 7), ''), COUNT(*) FROM v1_photos p WHERE {SHOWN}"
            " GROUP BY 1 ORDER BY 1 DESC"
        )
    )
    return [Month(str(row[0]), int(row[1])) for row in rows]


def folders(session: Session, most: int) -> list[str]:
    """Return the folders just below the roots that photos lie in, by name; at most so many."""
    first = "STRPOS(p.path, '/')" if session.get_bind().dialect.name == "postgresql" else "INSTR(p.path, '/')"
    rows = session.execute(
        text(
            f"SELECT DISTINCT SUBSTR(p.path, 1, {first} - 1) FROM v1_photos p"
            f" WHERE {SHOWN} AND {first} > 1 ORDER BY 1 LIMIT :most"
        ),
        {"most": most},
    )
    return [str(row[0]) for row in rows]
