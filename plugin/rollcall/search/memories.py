"""Photos of one day of the year in earlier years, the best ones first."""

from __future__ import annotations

from datetime import date
from typing import Final, NamedTuple

import numpy as np
from sqlalchemy import bindparam, text
from sqlalchemy.orm import Session

from rollcall.media import perceptual_hash
from rollcall.search.planning import SHOWN

#: Of more photos of one day the rest is not looked at.
_MOST_A_YEAR: Final = 300
#: Years further back than this are not asked for.
_MOST_YEARS: Final = 120
#: Photos of these many faces and more are equally good: a crowd is no better than a family.
_ENOUGH_FACES: Final = 4


class Memory(NamedTuple):
    """A photo of this day in an earlier year."""

    photo_id: int
    years: int  # how many years ago


def on_this_day(session: Session, day: date, limit: int) -> list[Memory]:
    """Return photos of the day and month of `day` in earlier years, at most `limit`: the best of each year in turn.

    On 28 February photos of 29 February come too where this year has no such day.
    """
    years = _best_first(session, day, limit)
    found: list[Memory] = []
    # The best of every year, then the second best: one long day does not crowd out the others.
    for place in range(max((len(photos) for _, photos in years), default=0)):
        found += [Memory(photos[place], day.year - year) for year, photos in years if place < len(photos)]
        if len(found) >= limit:
            break
    return found[:limit]


def _best_first(session: Session, day: date, limit: int) -> list[tuple[int, list[int]]]:
    """Return the years that have photos of a day, the newest first, each with its photos, the best first."""
    days = [day.strftime("%m-%d")]
    leap = (day.year % 4 == 0 and day.year % 100 != 0) or day.year % 400 == 0
    if (day.month, day.day) == (2, 28) and not leap:
        days.append("02-29")
    oldest = session.execute(text("SELECT MIN(taken_local) FROM photos WHERE taken_local >= '1'")).scalar() or ""
    first = max(int(oldest[:4]) if oldest[:4].isdigit() else day.year, day.year - _MOST_YEARS)
    result = []
    for year in range(day.year - 1, first - 1, -1):
        photos = [photo for one in days for photo in _of_day(session, f"{year:04}-{one}", limit)]
        if photos:
            result.append((year, photos))
    return result


def _of_day(session: Session, day: str, limit: int) -> list[int]:
    """Return the `limit` best photos of a day, the best first, and each picture once."""
    # A range of the index of capture times; "~" sorts behind every sign of a time.
    rows = session.execute(
        text(
            f"SELECT p.photo_id, p.faces FROM v1_photos p WHERE {SHOWN} AND p.taken_local >= :day"
            " AND p.taken_local < :end ORDER BY p.taken_local LIMIT :most"
        ),
        {"day": day, "end": f"{day}~", "most": _MOST_A_YEAR},
    ).all()
    if not rows:
        return []
    sharpness = _sharpness(session, [row[0] for row in rows])
    hashes = _hashes(session, [row[0] for row in rows])
    ordered = sorted(rows, key=lambda row: (-min(row[1] or 0, _ENOUGH_FACES), -sharpness.get(row[0], 0.0), row[0]))
    result: list[int] = []
    seen: list[bytes] = []
    for photo_id, _ in ordered:
        own = hashes.get(photo_id)
        if own is not None and any(perceptual_hash.is_same_picture(own, other) for other in seen):
            continue
        if own is not None:
            seen.append(own)
        result.append(photo_id)
        if len(result) == limit:
            break
    return result


def _sharpness(session: Session, photo_ids: list[int]) -> dict[int, float]:
    """Return the middle sharpness of the faces of photos."""
    statement = text("SELECT photo_id, sharpness FROM v1_faces WHERE photo_id IN :ids")
    found: dict[int, list[float]] = {}
    for photo_id, sharpness in session.execute(statement.bindparams(bindparam("ids", photo_ids, expanding=True))).all():
        found.setdefault(photo_id, []).append(sharpness or 0.0)
    return {photo_id: float(np.median(values)) for photo_id, values in found.items()}


def _hashes(session: Session, photo_ids: list[int]) -> dict[int, bytes]:
    statement = text("SELECT id, look FROM photos WHERE look IS NOT NULL AND id IN :ids")
    rows = session.execute(statement.bindparams(bindparam("ids", photo_ids, expanding=True)))
    return {row[0]: row[1] for row in rows}
