"""What the library knows that other programs may be given: applied tags, named faces, people. Read from the views."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from rollcall.media import paths
from rollcall.records import Box, TagSource, TagState
from rollcall.storage.database import Database
from rollcall.storage.library import path_of_text


class TagContent(NamedTuple):
    """An applied tag of a photo."""

    name: str  # with '/' between levels
    probability: float  # 1 where a person or a host set it


class FaceContent(NamedTuple):
    """A face whose name a person confirmed."""

    face_id: int
    box: Box  # fractions of the upright picture
    person: str  # uid


class PhotoContent(NamedTuple):
    """A photo with what other programs may be given of it."""

    photo_id: int
    root: Path
    path: str  # below the root, '/' between folders
    width: int  # of the upright picture, in pixels
    height: int
    tags: tuple[TagContent, ...]
    faces: tuple[FaceContent, ...]

    @property
    def file(self) -> Path:
        """The file, absolute."""
        return self.root / self.path


class PersonContent(NamedTuple):
    """A person with a name."""

    uid: str
    name: str
    birth_date: str | None  # YYYY, YYYY-MM or YYYY-MM-DD; only if a person gave it
    hidden: bool

    @property
    def whole_birth_date(self) -> str | None:
        """The birth date where its day is known."""
        return self.birth_date if self.birth_date and re.fullmatch(r"\d{4}-\d\d-\d\d", self.birth_date) else None


@dataclass(frozen=True)
class Content:
    """The content of a library: people by their uids, and photos with tags or named faces."""

    people: dict[str, PersonContent]
    photos: tuple[PhotoContent, ...]

    def shown_people(self) -> Iterator[PersonContent]:
        """Yield the people that are on a photo and not hidden."""
        used = {face.person for photo in self.photos for face in photo.faces}
        yield from (person for uid, person in sorted(self.people.items()) if uid in used and not person.hidden)


def read(database: Database) -> Content:
    """Return the content of a library, also of photos that are missing at present: their disk may be away."""
    with database.read() as session:
        people = {
            row.uid: PersonContent(row.uid, row.name, row.birth_date, bool(row.hidden)) for row in _people(session)
        }
        tags: dict[int, list[TagContent]] = {}
        for row in _rows(
            session,
            "SELECT photo_id, tag, source, probability FROM v1_tags WHERE state = :state ORDER BY photo_id, tag",
            state=str(TagState.APPLIED),
        ):
            certain = row.source != TagSource.AUTO or row.probability is None
            tags.setdefault(row.photo_id, []).append(TagContent(row.tag, 1.0 if certain else float(row.probability)))
        faces: dict[int, list[FaceContent]] = {}
        for row in _faces(session):
            if row.uid in people and not people[row.uid].hidden:
                box = Box(row.x, row.y, row.width, row.height)
                faces.setdefault(row.photo_id, []).append(FaceContent(row.face_id, box, row.uid))
        wanted = {*tags, *faces}
        photos = tuple(
            _photo(row, tags.get(row.photo_id, ()), faces.get(row.photo_id, ()))
            for row in _rows(session, "SELECT photo_id, root, path, width, height FROM v1_photos ORDER BY photo_id")
            if row.photo_id in wanted
        )
    return Content(people, photos)


def photo(database: Database, photo_id: int) -> PhotoContent | None:
    """Return where a photo is, without its tags and faces; None if there is none with this number."""
    with database.read() as session:
        row = _rows(
            session, "SELECT photo_id, root, path, width, height FROM v1_photos WHERE photo_id = :one", one=photo_id
        ).first()
        return None if row is None else _photo(row, (), ())


def _photo(row: Any, tags: Sequence[TagContent], faces: Sequence[FaceContent]) -> PhotoContent:
    return PhotoContent(
        row.photo_id,
        path_of_text(row.root),
        paths.from_text(row.path),
        int(row.width or 0),
        int(row.height or 0),
        tuple(tags),
        tuple(faces),
    )


def _rows(session: Session, sql: str, **values: Any) -> Any:
    return session.execute(text(sql), values)


def _people(session: Session) -> Any:
    return _rows(
        session,
        "SELECT uid, name, hidden, CASE WHEN birth_date_source = 'user' THEN birth_date END AS birth_date"
        " FROM v1_people WHERE name IS NOT NULL AND name <> ''",
    )


def _faces(session: Session) -> Any:
    """Return the faces whose person was confirmed: by the user, or by a host that named it."""
    return _rows(
        session,
        "SELECT f.face_id, f.photo_id, f.x, f.y, f.width, f.height, p.uid FROM v1_faces f"
        " JOIN v1_people p ON p.person_id = f.person_id WHERE f.person_state = 'confirmed'"
        # Other programs' boxes have no time.
        " AND f.video_time IS NULL ORDER BY f.face_id",
    )


def as_json(box: Box) -> list[float]:
    """Return a box as JSON holds it, rounded to a hundred thousandth of the picture."""
    return [round(float(one), 5) for one in box]
