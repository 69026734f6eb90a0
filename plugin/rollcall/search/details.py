"""One photo or face with everything that hosts and pages show of it, read from the public views."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from sqlalchemy import BindParameter, bindparam, text
from sqlalchemy.orm import Session

from rollcall import ages
from rollcall.errors import NotFoundError
from rollcall.records import Box
from rollcall.search.identifiers import storable
from rollcall.storage.library import chunks, path_of_text

#: How much of a content hash names a version of a photo.
VERSION_LENGTH: Final = 16
_GROUPS: Final = tuple(ages.AGE_GROUPS)
_FACE_COLUMNS: Final = (
    "photo_id, face_id, x, y, width, height, landmarks, score, sharpness, age, age_low, age_high, age_source,"
    " gender, p_female, gender_source, age_distribution, " + ", ".join(f"p_{name}" for name in _GROUPS) + ", video_time"
)
_BRIEF_COLUMNS: Final = _FACE_COLUMNS.replace("landmarks", "NULL").replace("age_distribution", "NULL")


@dataclass(frozen=True, slots=True)
class FaceDetails:
    """A face as it is shown: corrections replace predictions."""

    face_id: int
    photo_id: int
    box: Box  # fractions of the upright picture
    landmarks: tuple[tuple[float, float], ...]  # x and y, fractions of the upright picture
    score: float  # of the detector, 0..1
    sharpness: float
    age: float | None  # years
    age_interval: tuple[float, float] | None
    age_source: str | None
    age_distribution: tuple[float, ...] | None  # 101 probabilities; None where a person gave the age
    gender: str | None
    p_female: float | None
    gender_source: str | None
    groups: dict[str, float | None]  # probability of each age group of `rollcall.ages`
    video_time: float | None = None  # where in a video the box is, in seconds


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
    version: str = ""  # changes when the file's content does; "" before it was analysed
    duration: float | None = None  # of a video, in seconds
    poster_time: float | None = None  # where in a video the frame is that stands for it, in seconds


def photos(session: Session, photo_ids: Sequence[int], *, brief: bool = False) -> list[PhotoDetails]:
    """Return photos in the order of their numbers as given; unknown numbers are left out.

    `brief`: without what a tile does not show: tags, and of faces landmarks and distributions of ages.
    """
    found: dict[int, PhotoDetails] = {}
    roots: dict[str, Path] = {}  # few for many photos
    columns = _BRIEF_COLUMNS if brief else _FACE_COLUMNS
    for part in chunks([photo_id for photo_id in photo_ids if storable(photo_id)]):
        ids: BindParameter[list[int]] = bindparam("ids", list(part), expanding=True)
        people: dict[int, list[FaceDetails]] = {}
        for row in session.execute(
            text(f"SELECT {columns} FROM v1_faces WHERE photo_id IN :ids ORDER BY face_id").bindparams(ids)
        ).all():
            people.setdefault(row[0], []).append(_face(row))
        tags = {} if brief else _tags(session, ids)
        for row in session.execute(
            text(
                "SELECT photo_id, full_path, root, state, error, width, height, taken_local, reviewed, content_hash,"
                " duration, poster_time"
                " FROM v1_photos WHERE photo_id IN :ids"
            ).bindparams(ids)
        ).all():
            root = roots.get(row[2]) or roots.setdefault(row[2], path_of_text(row[2]))
            found[row[0]] = PhotoDetails(
                row[0],
                path_of_text(row[1]),
                root,
                *row[3:8],  # type: ignore[call-arg]
                bool(row[8]),
                tuple(people.get(row[0], ())),
                tuple(tags.get(row[0], ())),
                (row[9] or "")[:VERSION_LENGTH],
                *row[10:12],
            )
    return [found[photo_id] for photo_id in photo_ids if photo_id in found]


def _tags(session: Session, ids: BindParameter[list[int]]) -> dict[int, list[TagDetails]]:
    statement = "SELECT photo_id, tag, source, probability, state FROM v1_tags WHERE photo_id IN :ids ORDER BY tag"
    tags: dict[int, list[TagDetails]] = {}
    for photo_id, *tag in session.execute(text(statement).bindparams(ids)).all():
        tags.setdefault(photo_id, []).append(TagDetails(*tag))
    return tags


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
    """Return one visible face.

    Raises
    ------
    NotFoundError
        If there is no such face, or it was dismissed.
    """
    if not storable(face_id):
        raise NotFoundError("face", face_id)
    row = session.execute(text(f"SELECT {_FACE_COLUMNS} FROM v1_faces WHERE face_id = :id"), {"id": face_id}).first()
    if row is None:
        raise NotFoundError("face", face_id)
    return _face(row)


def _face(row: Any) -> FaceDetails:
    landmarks = json.loads(row[6]) if isinstance(row[6], str) else row[6] or ()
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
        groups=dict(zip(_GROUPS, row[17:-1], strict=True)),
        video_time=row[-1],
    )
