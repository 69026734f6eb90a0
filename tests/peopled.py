"""A drawn library with people: two with names, one of them with proposals, and groups without."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from blobs import BlobAnalyzer, draw
from rollcall.host import Plugin
from rollcall.records import Face, Picture
from rollcall.storage.tables import FacePersonRow, FaceRow, PhotoRow

#: Who stands in a photo, from left to right: their ages in 2014, and the blue of their squares.
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


class SharpAnalyzer(BlobAnalyzer):
    """Finds the squares of `blobs`, and takes them for sharp faces; the blue of a square names a person."""

    @staticmethod
    def _face(picture: Picture, place: tuple[int, int, int, int], age: int, blue: int) -> Face:
        embedding = np.random.default_rng(blue).normal(size=128).astype(np.float32)
        face = BlobAnalyzer._face(picture, place, age, blue)
        return replace(face, sharpness=200.0, embedding=embedding / np.linalg.norm(embedding))


def draw_people(library: Path) -> None:
    """Draw the photos."""
    for number, people in enumerate(PHOTOS):
        year = 9 if STRANGER in people else number
        draw(library / f"{number:02}.png", *((age + year, blue) for age, blue in people), seed=number)


def add_people(plugin: Plugin) -> dict[Any, int]:
    """Give the photos capture times and two of the groups names; return the people's numbers.

    Grouping has found everybody. Of Anna three faces are confirmed and three proposed, of Ben all are confirmed.
    """
    with plugin.database.write() as session:
        photos = session.query(PhotoRow).filter(PhotoRow.face_count > 0).order_by(PhotoRow.path).all()
        seen: dict[Any, list[int]] = {}
        for photo, people in zip(photos, PHOTOS, strict=True):
            # The stranger is seen on one day only.
            number = int(photo.path[:2])
            year, day = (2023, 10) if STRANGER in people else (2014 + number, 10 + number % 2)
            photo.taken_local = f"{year}-06-{day}T10:00:00"
            faces = session.query(FaceRow).filter(FaceRow.photo_id == photo.id).order_by(FaceRow.x).all()
            for face, person in zip(faces, people, strict=True):
                seen.setdefault(person, []).append(face.id)
        grouped = {
            person: {session.get_one(FacePersonRow, face).person_id for face in faces} for person, faces in seen.items()
        }
    numbers = {person: number for person, found in grouped.items() for number in found if number is not None}
    assert len(set(numbers.values())) == len(seen) == sum(map(len, grouped.values()))
    for person, names in NAMES.items():
        plugin.name_person(numbers[person], *names)
        plugin.confirm_faces(numbers[person], seen[person][: 3 if person == ANNA else None])
    return numbers
