"""What poor faces have in common is no evidence of one person; faces of other networks are compared as they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from sqlalchemy import select, update

from blobs import draw
from people_blobs import rows
from rollcall.host import Plugin
from rollcall.people import clusters, grouping, nuisance
from rollcall.people.clusters import Faces, cluster
from rollcall.people.evidence import evidence
from rollcall.storage import revisions
from rollcall.storage.tables import EmbeddingRow, FacePersonRow, FaceRow, PersonRow

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


def test_a_new_face_does_not_join_somebody_with_whom_it_has_only_a_poor_picture_in_common(
    make_plugin: Callable[..., Plugin], folder: Path
) -> None:
    for number in range(12):
        draw(folder / f"IMG_2014{number + 1:02}01_120000.png", (30, number * 20), seed=number)
    plugin = make_plugin(version=SHIPPED)
    plugin.index(folder)
    with plugin.database.write() as session:
        faces = session.scalars(select(FaceRow.id).order_by(FaceRow.id)).all()
        for face, vector in zip(faces, poor(len(faces)), strict=True):
            session.execute(
                update(EmbeddingRow)
                .where(EmbeddingRow.face_id == face)
                .values(vector=vector.astype("<f2").tobytes(), model_version=SHIPPED)
            )
        for row in session.scalars(select(FacePersonRow)):
            session.delete(row)
        session.execute(update(PersonRow).values(unsettled=False))
        for face in faces[1:]:
            session.add(FacePersonRow(face_id=face, person_id=None, state="automatic", probability=0.0, source="auto"))
        revisions.set_grouped(session, None)
    plugin.name_face(faces[1], "Pierre")
    grouping.group_new(plugin.database, plugin.settings.tags)
    named = rows(plugin, "SELECT face_id FROM face_people WHERE person_id IS NOT NULL")
    assert named == [(faces[1],)]
    assert rows(plugin, "SELECT COUNT(*) FROM face_people") == [(len(faces),)]


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
