"""Which photos may meet a condition that the columns do not have, when most of them do not: texts and tags."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

from rollcall.search.columns import Columns
from rollcall.search.columns.texts import photos_with
from rollcall.search.folding import fold
from rollcall.search.tagged import tagged_photos
from rollcall.search.terms import HasTag, Or, PathLike, Tagged, Term, TextMatch
from rollcall.search.terms.names import is_within, levels, with_slashes
from rollcall.storage.database import Database

#: Every name of a tag, found along the index of names without reading each tag.
_NAMES: Final = """
WITH RECURSIVE names (name) AS (
    SELECT MIN(name) FROM tags
    UNION ALL SELECT (SELECT MIN(t.name) FROM tags t WHERE t.name > n.name) FROM names n WHERE n.name IS NOT NULL
)
SELECT name FROM names WHERE name IS NOT NULL
"""


def photos_with_tag(database: Database, session: Session, term: Term) -> NDArray[np.int64] | None:
    """Return the numbers of the photos that meet a condition of tags alone, ascending; None if it is another one."""
    if isinstance(term, Or):
        found = [photos_with_tag(database, session, part) for part in term.parts]
        return _together(found)
    if isinstance(term, Tagged):
        wanted = levels(term.name)
        names = [name for name in _names(session) if is_within(name, wanted)]
        return tagged_photos(database).of(session, names)
    if isinstance(term, HasTag):
        return tagged_photos(database).of(session, None)
    return None


def photos_meeting(
    database: Database, session: Session, term: Term, columns: Sequence[Columns]
) -> NDArray[np.int64] | None:
    """Return the numbers of photos among which are all that meet a condition; None if that is not quickly found."""
    if isinstance(term, Or):
        return _together([photos_meeting(database, session, part, columns) for part in term.parts])
    if isinstance(term, TextMatch):
        by_path = _with_text(columns, fold(term.text))
        if by_path is None:
            return None
        named = [name for name in _names(session) if with_slashes(term.text) in with_slashes(name)]
        return np.union1d(by_path, tagged_photos(database).of(session, named))
    if isinstance(term, PathLike):
        pieces = [piece for piece in re.split(r"[*?]", fold(term.pattern)) if piece]
        return _with_text(columns, max(pieces, key=len)) if pieces else None
    return photos_with_tag(database, session, term)


def _together(found: Sequence[NDArray[np.int64] | None]) -> NDArray[np.int64] | None:
    """Return the photos of all of some arrays; None if one is not known."""
    known = [photo_ids for photo_ids in found if photo_ids is not None]
    return np.unique(np.concatenate(known)) if len(known) == len(found) else None


def _names(session: Session) -> list[str]:
    return [str(row[0]) for row in session.execute(text(_NAMES)).all()]


def _with_text(columns: Sequence[Columns], piece: str) -> NDArray[np.int64] | None:
    found = [np.zeros(0, np.int64)]
    for one in columns:
        rows = photos_with(one.segment, piece)
        if rows is None:
            return None
        found.append(one.segment.photo_ids[rows])
    return np.concatenate(found)
