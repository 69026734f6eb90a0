"""A part of the library as arrays: the photos of a range of numbers, and their faces.

Photos stand in the order of how many faces they have, the most first, and then of their numbers. Faces stand by their
place on the photo: first the first faces of all photos, then the second ones, and so on, each in the order of the
photos. So the photos with more than j faces are the first ones, their j-th faces lie side by side, and all photos are
evaluated face by face without gathering anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rollcall.ages import AGE_GROUPS, AGES

#: The stored age groups, in the order of their columns.
GROUP_NAMES: Final = tuple(AGE_GROUPS)
#: One number of 16 bits is a whole multiple of this: sums of them are exact.
UNIT: Final = 2.0**-24
#: Between the text of a path and the next one, and between the two forms of one path.
TEXT_END: Final = b"\0"


class Segment(NamedTuple):
    """n photos and m faces."""

    photo_ids: NDArray[np.int64]  # (n,)
    faces: NDArray[np.int32]  # (n,), how many each photo has
    days: NDArray[np.int32]  # (n,), when it was taken, as a number YYYYMMDD; 0 where that is unknown
    text_ends: NDArray[np.int64]  # (n,), where the text of each path ends
    text: NDArray[np.uint8]  # the bytes of all paths, without case; see `texts.path_text`
    by_place: NDArray[np.int64]  # how many photos have more than 0, 1, 2, ... faces
    cumulative: NDArray[np.uint32]  # (101, m), the probability of each age or a lower one, in `UNIT`s
    groups: NDArray[np.float64]  # (6, m), the probability of each age group, 0 where it is unknown
    female: NDArray[np.float64]  # (m,), its probability, 0 where it is unknown
    male: NDArray[np.float64]  # (m,), the same
    age_low: NDArray[np.int16]  # (m,), the first year that a person gave, -1 where nobody did
    age_high: NDArray[np.int16]  # (m,), the last one

    @property
    def size(self) -> int:
        """How many bytes the arrays have."""
        return sum(column.nbytes for column in self)


class Rows(NamedTuple):
    """Photos and faces as they are read: faces by the number of their photo, and then by their own."""

    photo_ids: NDArray[np.int64]  # (n,), ascending
    days: NDArray[np.int32]  # (n,)
    texts: Sequence[bytes]  # (n,)
    owners: NDArray[np.int64]  # (m,), the photo of each face, ascending
    cumulative: NDArray[np.uint32]  # (101, m)
    groups: NDArray[np.float64]  # (6, m)
    female: NDArray[np.float64]  # (m,)
    male: NDArray[np.float64]  # (m,)
    age_low: NDArray[np.int16]  # (m,)
    age_high: NDArray[np.int16]  # (m,)


#: The columns of faces that `Rows` and `Segment` share, whose last axis is the faces.
_OF_FACES: Final = ("cumulative", "groups", "female", "male", "age_low", "age_high")


def arranged(rows: Rows) -> Segment:
    """Return rows as a segment; photos may stand in any order, faces of one photo in theirs."""
    row_of = np.argsort(rows.photo_ids, kind="stable")
    counts = np.bincount(
        row_of[np.searchsorted(rows.photo_ids, rows.owners, sorter=row_of)], minlength=len(rows.photo_ids)
    )
    order = np.lexsort((rows.photo_ids, -counts))
    position = np.empty(len(order), np.int64)
    position[order] = np.arange(len(order))
    of_face = position[row_of[np.searchsorted(rows.photo_ids, rows.owners, sorter=row_of)]]
    # The place of each face on its photo: its rank among those with the same photo, in the order they came.
    by_photo = np.argsort(of_face, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(of_face[by_photo]) != 0]) if len(by_photo) else np.zeros(0, np.int64)
    lengths = np.diff(np.r_[starts, len(by_photo)])
    place = np.empty(len(of_face), np.int64)
    place[by_photo] = np.arange(len(of_face)) - np.repeat(starts, lengths)
    faces = np.lexsort((of_face, place))
    texts = [rows.texts[row] for row in order.tolist()]
    of_faces: dict[str, Any] = {
        name: np.ascontiguousarray(getattr(rows, name)[..., faces]) for name in _OF_FACES if name != "cumulative"
    }
    of_faces["cumulative"] = np.empty((AGES, len(faces)), np.uint32)
    for age in range(AGES):  # one at a time, so that no second copy of all is held
        np.take(rows.cumulative[age], faces, out=of_faces["cumulative"][age])
    return Segment(
        photo_ids=rows.photo_ids[order],
        faces=counts[order].astype(np.int32),
        days=rows.days[order],
        by_place=np.searchsorted(-counts[order], -np.arange(counts.max(initial=0)), side="left"),
        text_ends=np.cumsum([len(one) for one in texts], dtype=np.int64),
        text=np.frombuffer(b"".join(texts), np.uint8),
        **of_faces,
    )


def as_rows(segment: Segment, keep: NDArray[np.bool_]) -> Rows:
    """Return the photos of a segment that are to be kept, (n,), as rows again."""
    photos = np.flatnonzero(keep)
    blob = segment.text.tobytes()
    ends = segment.text_ends.tolist()
    texts = [blob[ends[row - 1] if row else 0 : ends[row]] for row in photos.tolist()]
    faces: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    owners: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    start = 0
    for count in segment.by_place.tolist():
        kept = np.flatnonzero(keep[:count])
        faces.append(start + kept)
        owners.append(segment.photo_ids[kept])
        start += count
    chosen = np.concatenate(faces)
    return Rows(
        segment.photo_ids[photos],
        segment.days[photos],
        texts,
        np.concatenate(owners),
        *(getattr(segment, name)[..., chosen] for name in _OF_FACES),
    )


def joined(parts: Sequence[Rows]) -> Rows:
    """Return the rows of several parts as one; no photo is in two of them."""
    return Rows(
        np.concatenate([one.photo_ids for one in parts]),
        np.concatenate([one.days for one in parts]),
        [text for one in parts for text in one.texts],
        np.concatenate([one.owners for one in parts]),
        *(np.concatenate([getattr(one, name) for one in parts], axis=-1) for name in _OF_FACES),
    )


#: No photos.
EMPTY: Final = arranged(
    Rows(
        np.zeros(0, np.int64),
        np.zeros(0, np.int32),
        (),
        np.zeros(0, np.int64),
        np.zeros((AGES, 0), np.uint32),
        np.zeros((len(GROUP_NAMES), 0)),
        np.zeros(0),
        np.zeros(0),
        np.zeros(0, np.int16),
        np.zeros(0, np.int16),
    )
)
