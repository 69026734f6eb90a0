"""An analyzer that tells drawn people apart, and what tests of people read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sqlalchemy import text

from blobs import BlobAnalyzer
from rollcall.host import Plugin
from rollcall.records import Face, Picture


class PeopleAnalyzer(BlobAnalyzer):
    """Finds the squares of `blobs`; the blue of a square names a person, whose faces are similar."""

    @staticmethod
    def _face(picture: Picture, place: tuple[int, int, int, int], age: int, blue: int) -> Face:
        face = BlobAnalyzer._face(picture, place, age, blue)
        base = np.random.default_rng([7, blue]).normal(size=128)
        noise = np.random.default_rng([8, age, blue]).normal(size=128)
        embedding = (base / np.linalg.norm(base) + 0.5 * noise / np.linalg.norm(noise)).astype(np.float32)
        return replace(face, embedding=embedding / np.linalg.norm(embedding), sharpness=200.0)


ANNA, BEN, CARL = 10, 90, 170


def rows(plugin: Plugin, sql: str, **values: object) -> list[tuple[object, ...]]:
    with plugin.database.read() as session:
        return [tuple(row) for row in session.execute(text(sql), values)]


def faces_of(plugin: Plugin, age_from: int, age_to: int) -> list[int]:
    """Return the numbers of the faces that the network takes for some ages, by age."""
    found = rows(
        plugin,
        "SELECT f.face_id FROM v1_faces f JOIN predictions p ON p.face_id = f.face_id"
        " WHERE p.age BETWEEN :low AND :high ORDER BY p.age",
        low=age_from,
        high=age_to,
    )
    return [int(str(row[0])) for row in found]


def who(plugin: Plugin, face_id: int) -> tuple[object, ...]:
    """Return person, state and source of a face."""
    return rows(plugin, "SELECT person, person_state, person_source FROM v1_faces WHERE face_id = :id", id=face_id)[0]
