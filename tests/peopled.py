"""A drawn library with people: two with names, one of them with proposals, and groups without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from blobs import draw
from rollcall import corrections
from rollcall.host import Plugin
from rollcall.storage.tables import FacePersonRow, FaceRow, PersonRow, PhotoRow

#: Who stands in a photo, from left to right: the ages and colours of the squares tell them apart.
ANNA, BEN, GROUP, OTHER, STRANGER = (6, 250), (34, 10), (50, 200), (70, 40), (25, 120)
PHOTOS = [
    (ANNA, BEN),
    (ANNA, GROUP),
    (ANNA, BEN, OTHER),
    (GROUP, OTHER),
    (ANNA, BEN),
    (GROUP, BEN),
    (ANNA,),
    (OTHER, GROUP),
    (STRANGER,),
    (STRANGER, ANNA),
]
NAMES = {ANNA: ["Anna", "Annie"], BEN: ["Ben"]}


def draw_people(library: Path) -> None:
    """Draw the photos."""
    for number, people in enumerate(PHOTOS):
        draw(library / f"{number:02}.png", *people, seed=number)


def add_people(plugin: Plugin) -> dict[Any, int]:
    """Store who the faces are; return the people's numbers. Of Anna the last three faces are proposed."""
    numbers: dict[Any, int] = {}
    with plugin.database.write() as session:
        photos = session.query(PhotoRow).filter(PhotoRow.face_count > 0).order_by(PhotoRow.path).all()
        seen: dict[Any, list[int]] = {}
        for photo, people in zip(photos, PHOTOS, strict=True):
            number = int(photo.path[:2])
            # The stranger is seen on one day only.
            year, day = (2023, 10) if STRANGER in people else (2014 + number, 10 + number % 2)
            photo.taken_local = f"{year}-06-{day}T10:00:00"
            faces = session.query(FaceRow).filter(FaceRow.photo_id == photo.id).order_by(FaceRow.x).all()
            for face, person in zip(faces, people, strict=True):
                seen.setdefault(person, []).append(face.id)
        for person, face_ids in seen.items():
            row = PersonRow(uid=f"uid{person[0]}", created_at="2026-01-01", size=len(face_ids))
            session.add(row)
            session.flush()
            numbers[person] = row.id
            for place, face_id in enumerate(face_ids):
                session.add(
                    FacePersonRow(
                        face_id=face_id,
                        person_id=row.id,
                        state="automatic",
                        probability=0.95 - 0.1 * place,
                        source="auto",
                    )
                )
    for person, names in NAMES.items():
        sure = seen[person][:3] if person == ANNA else seen[person]
        uid = f"uid{person[0]}"
        plugin.correct(corrections.person_name(uid, names), *(corrections.person(face_id, uid) for face_id in sure))
    return numbers
