"""Faces of frames become one face for each person."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rollcall.inference.tracks import Tracker
from rollcall.records import Box, Face
from rollcall.search.calibration import Calibration

CALIBRATION = Calibration(0.25, 25.0, 0.3, 0.0, 0.7)


def embedding(person: int, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    vector = np.random.default_rng(person).normal(size=128)
    vector = vector / np.linalg.norm(vector)
    other = np.random.default_rng([person, seed]).normal(size=128)
    mixed = vector + noise * other / np.linalg.norm(other)
    return (mixed / np.linalg.norm(mixed)).astype(np.float32)


def face(person: int, x: float, *, noise: float = 0.3, seed: int = 0, age: int = 30, **values: object) -> Face:
    ages = np.zeros(101, np.float32)
    ages[age] = 1
    given: dict = {"score": 0.98, "sharpness": 100.0, "p_female": 0.9} | values
    points = ((x + 0.03, 0.4), (x + 0.07, 0.4), (x + 0.05, 0.45), (x + 0.035, 0.5), (x + 0.065, 0.5))
    return Face(
        Box(x, 0.35, 0.1, 0.2), points, age_distribution=ages, embedding=embedding(person, noise, seed), **given
    )


def tracked(*frames: list[Face]) -> tuple[Face, ...]:
    tracker = Tracker(CALIBRATION, every=1.0)
    for second, faces in enumerate(frames):
        tracker.add(float(second), faces)
    return tracker.faces()


def test_one_person_who_walks_through_the_picture_is_one_face() -> None:
    (found,) = tracked(*([face(1, 0.08 * n, seed=n)] for n in range(10)))
    assert [one.seconds for one in found.track] == list(range(10))


def test_who_leaves_and_returns_elsewhere_is_one_face() -> None:
    frames = [[face(1, 0.1, seed=n)] for n in range(3)] + [[]] * 10 + [[face(1, 0.8, seed=9 + n)] for n in range(3)]
    assert len(tracked(*frames)) == 1


def test_people_who_change_places_stay_apart() -> None:
    frames = [[face(1, 0.1 + 0.1 * n, seed=n), face(2, 0.8 - 0.1 * n, seed=n)] for n in range(8)]
    first, second = tracked(*frames)
    assert float(first.embedding @ second.embedding) < 0.5  # type: ignore[operator]
    assert len(first.track) == len(second.track) == 8


def test_two_faces_of_one_frame_are_never_one_person_however_similar() -> None:
    assert len(tracked(*([face(1, 0.1, seed=n), face(1, 0.7, seed=50 + n)] for n in range(4)))) == 2


def test_somebody_else_at_the_same_place_is_another_face() -> None:
    assert len(tracked(*([face(1, 0.4, seed=n)] for n in range(3)), *([face(2, 0.4, seed=n)] for n in range(3)))) == 2


def like(one: np.ndarray, cosine: float) -> np.ndarray:
    """Return another embedding of a cosine similarity with this one."""
    other = embedding(9)
    across = other - (other @ one) * one
    mixed: np.ndarray = cosine * one + np.sqrt(1 - cosine**2) * across / np.linalg.norm(across)
    return mixed.astype(np.float32)


ASIDE = ((0.43, 0.4), (0.47, 0.4), (0.475, 0.45), (0.44, 0.5), (0.47, 0.5))


@pytest.mark.parametrize(
    ("values", "people"), [({}, 2), ({"landmarks": ASIDE}, 1), ({"sharpness": 10.0}, 1), ({"score": 0.8}, 1)]
)
def test_a_face_that_is_a_little_similar_is_the_same_unless_both_are_clear(
    values: dict[str, object], people: int
) -> None:
    """Somebody who turns away or blurs, and somebody else who steps in front."""
    first = [replace(face(1, 0.4), embedding=embedding(1)) for _ in range(2)]
    then = replace(face(1, 0.42), embedding=like(embedding(1), 0.2), **values)  # type: ignore[arg-type]
    assert len(tracked(*([one] for one in first), [then], [then])) == people


def test_a_little_similar_face_at_a_place_where_nobody_was_between_is_another() -> None:
    first = replace(face(1, 0.4), embedding=embedding(1))
    then = replace(face(1, 0.42), embedding=like(embedding(1), 0.2), landmarks=ASIDE)
    assert len(tracked([first], [then])) == 1
    assert len(tracked([first], [], [then])) == 2
    assert len(tracked([first], [], [first])) == 1


@pytest.mark.parametrize(("cosine", "unsure"), [(0.2, True), (0.95, False)])
def test_a_face_that_its_place_alone_joins_with_another_leaves_doubt(cosine: float, unsure: bool) -> None:
    tracker = Tracker(CALIBRATION, every=1.0)
    tracker.add(0.0, [replace(face(1, 0.4), embedding=embedding(1))])
    tracker.add(2.0, [replace(face(1, 0.42), embedding=like(embedding(1), cosine), landmarks=ASIDE)])
    assert [tracker.is_unsure_of(seconds) for seconds in (0.0, 2.0)] == [unsure, unsure]


def test_how_far_a_face_moved_is_compared_with_its_side_in_pixels() -> None:
    """In a wide frame a face that is as wide as high has half as much of the width as of the height."""
    first, then = (replace(face(1, x), embedding=None) for x in (0.1, 0.28))
    for aspect, people in ((1.0, 1), (2.0, 2)):
        tracker = Tracker(CALIBRATION, every=1.0, aspect=aspect)
        tracker.add(0.0, [replace(first, box=Box(0.1, 0.35, 0.1, 0.2))])
        tracker.add(1.0, [replace(then, box=Box(0.25, 0.35, 0.1, 0.2))])
        assert len(tracker.faces()) == people


def test_estimates_are_those_of_all_frames_and_the_box_that_of_the_best() -> None:
    sharp = face(1, 0.5, age=20, sharpness=400.0)
    (found,) = tracked([face(1, 0.42, age=40, seed=1)], [sharp], [face(1, 0.55, age=40, seed=2)])
    assert found.box == sharp.box and found.video_time == 1
    assert found.age_distribution is not None and found.age_distribution.sum() == pytest.approx(1)
    assert 0 < found.age_distribution[20] < 1 and found.age_distribution[20] > found.age_distribution[40] / 2
    assert found.p_female == pytest.approx(0.9)
    assert np.linalg.norm(found.embedding) == pytest.approx(1, abs=1e-5)  # type: ignore[arg-type]


@pytest.mark.parametrize("values", [{"score": 0.7}, {"sharpness": 5.0}])
def test_an_unsure_face_of_one_frame_is_left_out_and_a_sure_one_is_not(values: dict[str, float]) -> None:
    assert tracked([face(1, 0.3, **values)], [], []) == ()
    assert len(tracked([face(1, 0.3)], [], [])) == 1


def test_without_embeddings_faces_are_joined_by_place() -> None:
    alone = [[replace(face(1, 0.1 + 0.02 * n), embedding=None)] for n in range(4)]
    assert len(tracked(*alone)) == 1
