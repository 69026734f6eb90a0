"""All photos by capture time, the newest first: parts of that order from any place on, and how many a month has.

Every part is a range of the index of capture times, so that the end of a large library is reached as fast as its
beginning.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from rollcall.search.identifiers import LARGEST, storable
from rollcall.search.planning import HIDDEN, SHOWN
from rollcall.storage import revisions


class Month(NamedTuple):
    """The photos of one month."""

    name: str  # "2019-06"; "" for photos without a capture time
    photos: int


class VideoSeen(NamedTuple):
    """A video of the library, and the newest change among which it was looked for."""

    photo_id: int | None = None
    revision: int = -1


#: Shown or not: one that is plugged in again takes no new number.
_VIDEO = "SELECT id FROM photos WHERE duration IS NOT NULL"
_SELECT = f"SELECT p.photo_id FROM v1_photos p WHERE {SHOWN}"
#: From each month to the next along the index of capture times, and how far each reaches in it: to look at every photo
#: takes ten times as long. What is shorter than a month, such as "2012", is one by itself.
_MONTHS = """
WITH RECURSIVE months (name) AS (
    SELECT SUBSTR(MIN(taken_local), 1, 7) FROM photos
    UNION ALL
    SELECT (SELECT SUBSTR(MIN(p.taken_local), 1, 7) FROM photos p
            WHERE p.taken_local > CASE WHEN LENGTH(m.name) < 7 THEN m.name ELSE m.name || '~' END)
    FROM months m WHERE m.name IS NOT NULL
)
SELECT m.name, (SELECT COUNT(*) FROM photos p WHERE p.taken_local >= m.name
    AND p.taken_local <= CASE WHEN LENGTH(m.name) < 7 THEN m.name ELSE m.name || '~' END)
FROM months m WHERE m.name IS NOT NULL
"""
_HIDDEN_MONTHS = f"SELECT COALESCE(SUBSTR(taken_local, 1, 7), ''), COUNT(*) FROM photos WHERE {HIDDEN} GROUP BY 1"
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
    return [int(row[0]) for row in session.execute(text(f"{_SELECT} {where}"), values).all()]


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
        found = [int(one[0]) for one in session.execute(text(f"{_SELECT} {where}"), values).all()]
        # Behind the dated ones: the oldest of these come before the first without a time.
        values |= {"taken": "", "id": 0, "limit": limit - len(found)}
    if len(found) < limit:
        where = "AND (p.taken_local, p.photo_id) > (:taken, :id)"
        found += [int(one[0]) for one in session.execute(text(f"{_SELECT} {where} {_OLDEST}"), values).all()]
    return found[::-1]


def months(session: Session) -> list[Month]:
    """Return the months that have photos, the newest first; those without a capture time last."""
    hidden = {str(name): int(count) for name, count in session.execute(text(_HIDDEN_MONTHS)).all()}
    undated = int(session.execute(text("SELECT COUNT(*) FROM photos WHERE taken_local IS NULL")).scalar() or 0)
    counted = {str(name): int(count) for name, count in session.execute(text(_MONTHS)).all()} | {"": undated}
    shown = {name: count - hidden.get(name, 0) for name, count in counted.items()}
    return [Month(name, shown[name]) for name in sorted(shown, reverse=True) if shown[name] > 0]


def folders(session: Session, most: int) -> list[str]:
    """Return the folders just below the roots that photos lie in, by name; at most so many."""
    found: set[str] = set()
    for root_id in session.execute(text("SELECT id FROM roots")).scalars().all():
        found.update(islice(_folders_of(session, root_id), most))
    return sorted(found)[:most]


def _folders_of(session: Session, root_id: int) -> Iterator[str]:
    """Yield the folders of a root, by name: from each one to the next along the index of paths."""
    position = "STRPOS" if session.get_bind().dialect.name == "postgresql" else "INSTR"
    following = text(
        f"SELECT path FROM photos WHERE root_id = :root AND path >= :start AND {position}(path, '/') > 1"
        f" AND NOT ({HIDDEN}) ORDER BY path LIMIT 1"
    )
    start = ""
    while (path := session.execute(following, {"root": root_id, "start": start}).scalar()) is not None:
        name = str(path).partition("/")[0]
        yield name
        # "0" is what follows "/".
        start = f"{name}0"


def video_seen(session: Session, before: VideoSeen) -> VideoSeen:
    """Return one of the videos, given what was found before: all photos are looked at once only."""
    if before.photo_id is not None:
        known = text(f"{_VIDEO} AND id = :known")
        if session.execute(known, {"known": before.photo_id}).first() is not None:
            return before
        before = VideoSeen()
    newest = revisions.newest(session)
    # What is analysed from now on has a newer number.
    found = session.execute(text(f"{_VIDEO} AND revision > :since LIMIT 1"), {"since": before.revision}).scalar()
    return VideoSeen(found, newest)
