"""What poor faces have in common is no evidence of one person; faces of other networks are compared as they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import delete, update

from blobs import draw
from people_blobs import PeopleAnalyzer, rows
from rollcall.host import Plugin
from rollcall.people import clusters, grouping
from rollcall.people.clusters import Faces, cluster
from rollcall.people.evidence import evidence
from rollcall.records import Face, Picture
from rollcall.search import nuisance
from rollcall.storage import revisions
from rollcall.storage.tables import FacePersonRow

SHIPPED = f"single-pass-10+{evidence().weights}:0123@1280"


def poor(count: int, seed: int = 0) -> np.ndarray:
    """Return embeddings of strangers who have in common what poor faces have, and nothing else."""
    random = np.random.default_rng(seed)
    common = nuisance.directions(evidence().weights)[0]
    own = random.normal(size=(count, len(common)))
    vectors = 0.85 * common + 0.5 * own / np.linalg.norm(own, axis=1, keepdims=True)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_the_directions_are_orthonormal_and_of_the_network_of_the_other_constants() -> None:
    some = nuisance.directions(evidence().weights)
    assert len(some) > 0
    assert np.abs(some @ some.T - np.eye(len(some))).max() < 1e-3


def test_strangers_who_have_only_poor_pictures_in_common_are_not_grouped() -> None:
    vectors = poor(30)
    # Compared as they are they would be one person.
    together = cluster(Faces(vectors, np.arange(30)))
    assert (together.group == together.group[0]).all() and together.group[0] >= 0
    labels, _ = clusters.grouped(vectors, np.full(30, 40.0))
    assert len(np.unique(labels)) == 30


def test_a_face_is_compared_the_same_with_whichever_others_it_is_read() -> None:
    stored = poor(300).astype(np.float16)
    together = nuisance.compared(stored, SHIPPED)
    assert together.dtype == np.float16
    assert np.abs(np.linalg.norm(together.astype(np.float64), axis=1) - 1).max() < 2e-3
    for some in (slice(0, 1), slice(7, 200), slice(299, 300)):
        assert np.array_equal(nuisance.compared(stored[some], SHIPPED), together[some])


def test_embeddings_of_other_networks_are_compared_as_they_are() -> None:
    stored = poor(3).astype(np.float16)
    assert nuisance.compared(stored, "mtcnn-2016+attributes-7:0123") is stored
    short = stored[:, :16]
    assert nuisance.compared(short, SHIPPED) is short


class PoorAnalyzer(PeopleAnalyzer):
    """Finds the squares of `blobs`, of which each is a stranger with a poor picture."""

    @staticmethod
    def _face(picture: Picture, place: tuple[int, int, int, int], age: int, blue: int) -> Face:
        return replace(PeopleAnalyzer._face(picture, place, age, blue), embedding=poor(1, seed=blue)[0])


@pytest.fixture
def strangers(tmp_path: Path, folder: Path) -> Iterator[Plugin]:
    """Twelve photos of a stranger each."""
    for number in range(12):
        draw(folder / f"IMG_2014{number + 1:02}01_120000.png", (30, number * 20), seed=number)
    with Plugin({"database.url": str(tmp_path / "poor.db")}, analyzer=PoorAnalyzer(SHIPPED)) as plugin:
        plugin.index(folder)
        yield plugin


def test_a_new_face_does_not_join_somebody_with_whom_it_has_only_a_poor_picture_in_common(strangers: Plugin) -> None:
    new, named = (row[0] for row in rows(strangers, "SELECT face_id FROM face_people ORDER BY face_id LIMIT 2"))
    strangers.name_face(named, "Pierre")
    with strangers.database.write() as session:
        session.execute(delete(FacePersonRow).where(FacePersonRow.face_id == new))
        revisions.set_grouped(session, None)
    assert grouping.group_new(strangers.database, strangers.settings.tags).faces == 1
    assert rows(strangers, "SELECT face_id FROM face_people WHERE person_id IS NOT NULL") == [(named,)]
    assert rows(strangers, "SELECT COUNT(*) FROM face_people") == [(12,)]


def test_a_search_for_faces_like_a_poor_one_does_not_take_all_poor_faces_for_the_same_person(strangers: Plugin) -> None:
    (face,) = rows(strangers, "SELECT MIN(face_id) FROM v1_faces")[0]
    found = strangers.similar(int(str(face)))
    assert len(found) == 11
    assert all(probability < 0.5 for _, probability in found)


def test_what_other_constants_grouped_is_grouped_anew_once_and_what_a_person_said_stays(family: Plugin) -> None:
    anna = family.people()[0].person_id
    family.name_person(anna, "Anna")
    ours = rows(family, "SELECT face_id FROM face_people WHERE person_id = :anna ORDER BY 1", anna=anna)
    other = rows(family, "SELECT MIN(face_id) FROM face_people WHERE person_id <> :anna", anna=anna)[0][0]
    with family.database.write() as session:
        # As an earlier version left it: a face of Ben's among Anna's proposals.
        moved = {"person_id": anna, "state": "proposed", "probability": 0.9}
        session.execute(update(FacePersonRow).where(FacePersonRow.face_id == other).values(**moved))
        revisions.set_grouped_by(session, "of an earlier version")
    assert grouping.group_new(family.database, family.settings.tags).faces == len(ours) + 6
    assert rows(family, "SELECT face_id FROM face_people WHERE person_id = :anna ORDER BY 1", anna=anna) == ours
    assert family.person(anna).name == "Anna"
    assert grouping.group_new(family.database, family.settings.tags).faces == 0
