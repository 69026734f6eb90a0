"""What a search returns: photos with their faces, and both as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import bindparam, text
from sqlalchemy.orm import Session

from rollcall.media import paths
from rollcall.records import Box
from rollcall.search.candidates import FACE_COLUMNS, face_of
from rollcall.search.person_filter import PersonFilter
from rollcall.search.terms import Not, Term
from rollcall.storage.library import chunks


@dataclass(frozen=True, slots=True)
class HitFace:
    """A face of a photo that was found."""

    face_id: int
    box: Box  # fractions of the upright picture
    age: float | None  # years
    age_interval: tuple[float, float] | None
    p_female: float | None
    probability: float  # 0..1, that it is one of the people asked for


@dataclass(frozen=True, slots=True)
class Hit:
    """A photo that was found."""

    photo_id: int
    path: Path  # absolute
    probability: float  # 0..1, that it is meant
    faces: tuple[HitFace, ...] = ()


def faces_of_hits(session: Session, term: Term, photo_ids: Sequence[int]) -> dict[int, tuple[HitFace, ...]]:
    """Return the faces of photos, by photo; those without faces are left out."""
    wanted = list(dict.fromkeys(_people(term)))
    by_group = all(person.identity is None and (person.any_age or person.age_group) for person in wanted)
    result: dict[int, list[HitFace]] = {}
    for part in chunks(photo_ids):
        for row in session.execute(
            text(
                f"SELECT {FACE_COLUMNS}, x, y, width, height, age FROM v1_faces f"
                " WHERE photo_id IN :ids ORDER BY face_id"
            ).bindparams(bindparam("ids", list(part), expanding=True))
        ).all():
            face = face_of(row, by_group=by_group)
            probability = max([face.probability(person) for person in wanted], default=1.0)
            interval = None if row[6] is None else (row[6], row[7])
            box, age = Box._make(row[-5:-1]), row[-1]
            result.setdefault(row[0], []).append(HitFace(row[1], box, age, interval, face.p_female, probability))
    return {photo_id: tuple(faces) for photo_id, faces in result.items()}


def _people(term: Term) -> Iterator[PersonFilter]:
    """Yield the people that a query asks for; those that it excludes are left out."""
    if isinstance(term, Not):
        return
    yield from term.people()
    for child in term.children():
        yield from _people(child)


def to_json(hit: Hit) -> str:
    """Return a hit as one line of JSON."""
    return json.dumps(as_dict(hit), ensure_ascii=False)


def as_dict(hit: Hit) -> dict[str, object]:
    """Return a hit as plain values; boxes are fractions of the upright picture."""
    return {
        "photo_id": hit.photo_id,
        "path": paths.to_text(str(hit.path)),
        "probability": round(hit.probability, 6),
        "faces": [
            {
                "face_id": face.face_id,
                "box": [round(v, 5) for v in face.box],
                "age": None if face.age is None else round(face.age, 2),
                "age_interval": None if face.age_interval is None else [round(v, 2) for v in face.age_interval],
                "p_female": None if face.p_female is None else round(face.p_female, 4),
                "probability": round(face.probability, 6),
            }
            for face in hit.faces
        ],
    }
