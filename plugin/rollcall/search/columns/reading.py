"""Rows of the public views as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

from rollcall.ages import AGES
from rollcall.records import GIVEN_AGES
from rollcall.search.columns.segment import GROUP_NAMES, Rows, joined
from rollcall.search.columns.texts import path_text
from rollcall.storage.library import chunks

#: Faces that are turned into arrays at a time.
_PART: Final = 10_000
#: What a stored number of 16 bits is in units of 2**-24, by its bits; what is none (negative, infinite) counts as 0.
_UNITS: Final = np.nan_to_num(
    np.clip(np.arange(2**16, dtype=np.uint16).view("<f2").astype(np.float64), 0.0, 2.0), posinf=0.0
)
_AS_UNITS: Final[NDArray[np.uint32]] = np.round(_UNITS * 2.0**24).astype(np.uint32)
_PHOTOS: Final = "SELECT id, path, taken_local FROM photos WHERE face_count IS NOT NULL AND"
_FACES: Final = (
    "SELECT photo_id, age_distribution, p_female, age_source, age_low, age_high,"
    f" {', '.join(f'p_{name}' for name in GROUP_NAMES)} FROM v1_faces WHERE"
)


def read_range(session: Session, first: int, last: int) -> Rows:
    """Return the analysed photos whose numbers lie in a range, both ends included."""
    values = {"first": first, "last": last}
    photos = session.execute(text(f"{_PHOTOS} id BETWEEN :first AND :last ORDER BY id"), values)
    faces = session.execute(
        text(f"{_FACES} photo_id BETWEEN :first AND :last ORDER BY photo_id, face_id"),
        values,
        execution_options={"stream_results": True},
    )
    return _rows(photos, faces.partitions(_PART))


def read_photos(session: Session, photo_ids: Sequence[int]) -> Rows:
    """Return some photos; those that are not analysed, or not there any more, are left out."""
    parts = []
    for part in chunks(sorted(photo_ids)):
        listed = ", ".join(map(str, part))
        photos = session.execute(text(f"{_PHOTOS} id IN ({listed}) ORDER BY id"))
        faces = session.execute(text(f"{_FACES} photo_id IN ({listed}) ORDER BY photo_id, face_id"))
        parts.append(_rows(photos, faces.partitions(_PART)))
    return joined(parts) if parts else _rows((), ())


def _rows(photos: Iterable[Any], faces: Iterable[Sequence[Any]]) -> Rows:
    found = [(int(row[0]), day_of(row[2]), path_text(row[1])) for row in photos]
    parts = [_faces([])] + [_faces(part) for part in faces]
    owners, cumulative, groups, female, male, age_low, age_high = zip(*parts, strict=True)
    ids = np.array([one[0] for one in found], np.int64)
    rows = Rows(
        ids,
        np.array([one[1] for one in found], np.int32),
        [one[2] for one in found],
        np.concatenate(owners),
        np.concatenate(cumulative, axis=1),
        np.concatenate(groups, axis=1),
        np.concatenate(female),
        np.concatenate(male),
        np.concatenate(age_low),
        np.concatenate(age_high),
    )
    known = np.isin(rows.owners, ids)
    if known.all():
        return rows
    # A face of a photo that was never analysed as a whole: no search shows it.
    return rows._replace(
        owners=rows.owners[known],
        cumulative=rows.cumulative[:, known],
        groups=rows.groups[:, known],
        female=rows.female[known],
        male=rows.male[known],
        age_low=rows.age_low[known],
        age_high=rows.age_high[known],
    )


def day_of(taken: str | None) -> int:
    """Return the day of a time in ISO 8601 as a number; 0 where it is unknown."""
    digits = (taken or "")[:10].replace("-", "")
    return int(digits) if len(digits) == 8 and digits.isdigit() else 0


_NO_AGES: Final = bytes(2 * AGES)


def _faces(part: Sequence[Any]) -> tuple[Any, ...]:
    """Return the columns of some faces."""
    count = len(part)
    stored = np.frombuffer(b"".join(row[1] or _NO_AGES for row in part), "<u2").reshape(count, AGES)
    given = [row[3] in GIVEN_AGES for row in part]
    return (
        np.array([row[0] for row in part], np.int64),
        np.cumsum(_AS_UNITS[stored], axis=1, dtype=np.uint32).T,
        np.array([[p or 0.0 for p in row[6:]] for row in part], np.float64).reshape(count, len(GROUP_NAMES)).T,
        np.array([0.0 if row[2] is None else row[2] for row in part], np.float64),
        np.array([0.0 if row[2] is None else 1.0 - row[2] for row in part], np.float64),
        np.array([row[4] if user else -1 for row, user in zip(part, given, strict=True)], np.int16),
        np.array([row[5] if user else -1 for row, user in zip(part, given, strict=True)], np.int16),
    )
