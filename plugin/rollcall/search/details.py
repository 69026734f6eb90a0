"""One photo or face with all that is shown of it, read from the public views."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import BindParameter, bindparam, text
from sqlalchemy.orm import Session

from rollcall import ages
from rollcall.errors import NotFoundError
from rollcall.media import paths
from rollcall.records import Box
from rollcall.storage.library import chunks

_GROUPS = tuple(ages.AGE_GROUPS)
_FACE_COLUMNS = (
    "photo_id, face_id, x, y, width, height, landmarks, score, sharpness, age, age_low, age_high, age_source,"
    " gender, p_female, gender_source, age_distribution, " + ", ".join(f"p_{name}" for name in _GROUPS)
)


@dataclass(frozen=True, slots=True)
class FaceDetails:
    """A face as it is shown: what a person said laid over what the model said."""

    face_id: int
    photo_id: int
    box: Box
    landmarks: tuple[tuple[float, float], ...]
    score: float
    sharpness: float
    age: float | None
    age_interval: tuple[float, float] | None
    age_source: str | None
    age_distribution: tuple[float, ...] | None  # 101 probabilities; None where a person gave the age
    gender: str | None
    p_female: float | None
    gender_source: str | None
    groups: dict[str, float | None]  # probability of each age group


@dataclass(frozen=True, slots=True)
class TagDetails:
    """A tag of a photo."""

    name: str
    source: str
    probability: float | None
    state: str


@dataclass(frozen=True, slots=True)
class PhotoDetails:
    """A photo with its faces and tags."""

    photo_id: int
    path: Path
    root: Path
    state: str
    error: str | None
    width: int | None
    height: int | None
    taken_local: str | None
    reviewed: bool
    faces: tuple[FaceDetails, ...]
    tags: tuple[TagDetails, ...]


def photos(session: Session, photo_ids: Sequence[int]) -> list[PhotoDetails]:
    """Return some photos in the order asked for; numbers that are not known are left out."""
    found: dict[int, PhotoDetails] = {}
    for part in chunks(photo_ids):
        ids: BindParameter[list[int]] = bindparam("ids", list(part), expanding=True)
        people: dict[int, list[FaceDetails]] = {}
        for row in session.execute(
            text(f"SELECT {_FACE_COLUMNS} FROM v1_faces WHERE photo_id IN :ids ORDER BY face_id").bindparams(ids)
        ):
            people.setdefault(row[0], []).append(_face(row))
        tags: dict[int, list[TagDetails]] = {}
        for photo_id, *tag in session.execute(
            text(
                "SELECT photo_id, tag, source, probability, state FROM v1_tags WHERE photo_id IN :ids ORDER BY tag"
            ).bindparams(ids)
        ):
            tags.setdefault(photo_id, []).append(TagDetails(*tag))
        for row in session.execute(
            text(
                "SELECT photo_id, full_path, root, state, error, width, height, taken_local, reviewed FROM v1_photos"
                " WHERE photo_id IN :ids"
            ).bindparams(ids)
        ):
            found[row[0]] = PhotoDetails(
                row[0],
                Path(paths.from_text(row[1])),
                Path(paths.from_text(row[2])),
                *row[3:8],  # type: ignore[call-arg]
                bool(row[8]),
                tuple(people.get(row[0], ())),
                tuple(tags.get(row[0], ())),
            )
    return [found[photo_id] for photo_id in photo_ids if photo_id in found]


def photo(session: Session, photo_id: int) -> PhotoDetails:
    """Return one photo.

    Raises
    ------
    NotFoundError
        If there is no such photo.
    """
    found = photos(session, [photo_id])
    if not found:
        raise NotFoundError("photo", photo_id)
    return found[0]


def face(session: Session, face_id: int) -> FaceDetails:
    """Return one face that is shown.

    Raises
    ------
    NotFoundError
        If there is no such face, or it was dismissed.
    """
    row = session.execute(text(f"SELECT {_FACE_COLUMNS} FROM v1_faces WHERE face_id = :id"), {"id": face_id}).first()
    if row is None:
        raise NotFoundError("face", face_id)
    return _face(row)


def _face(row: Any) -> FaceDetails:
    landmarks = json.loads(row[6]) if isinstance(row[6], str) else row[6]
    distribution = None if row[16] is None else np.frombuffer(row[16], "<f2").astype(float)
    return FaceDetails(
        face_id=row[1],
        photo_id=row[0],
        box=Box(*row[2:6]),
        landmarks=tuple((x, y) for x, y in landmarks),
        score=row[7],
        sharpness=row[8],
        age=row[9],
        age_interval=None if row[10] is None else (row[10], row[11]),
        age_source=row[12],
        age_distribution=None if distribution is None else tuple(distribution.tolist()),
        gender=row[13],
        p_female=row[14],
        gender_source=row[15],
        groups=dict(zip(_GROUPS, row[17:], strict=True)),
    )
