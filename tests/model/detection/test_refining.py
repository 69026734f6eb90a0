"""Which faces the refiner looks at, and how often."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest

from rollcall_model import runtime
from rollcall_model.detection import refiner, refining
from rollcall_model.detection.batching import Batching
from rollcall_model.evaluation.landmarks import error
from rollcall_model.types import Detections

pytest.importorskip("skimage")
pytest.importorskip("matplotlib")

#: Eyes, nose and corners of the mouth of the astronaut, annotated by hand, and a box around the face (pixels).
LANDMARKS = np.array([[202, 101], [246, 104], [224, 128], [204, 140], [246, 141]], np.float32)
BOX = np.array([175, 55, 275, 175], np.float32)


@pytest.fixture(scope="module")
def refine() -> Iterator[refining.Refining]:
    with ThreadPoolExecutor(2) as threads:
        yield refining.Refining(Batching(threads))


def crowd(*sides: int) -> tuple[np.ndarray, Detections, np.ndarray]:
    """Return a picture of one person again and again, faces whose landmarks are slightly wrong, and the true ones."""
    from rollcall.commands.demo_library import portraits

    person = np.asarray(portraits()[1])
    picture = np.full((max(sides) * 5, sum(sides) * 5, 3), 128, np.uint8)
    boxes, points, left = [], [], 0
    for side in sides:
        ratio = side / np.sqrt(np.prod(BOX[2:] - BOX[:2]))
        one = cv2.resize(person, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
        picture[: len(one), left : left + one.shape[1]] = one
        boxes.append(BOX * ratio + np.array([left, 0, left, 0]))
        points.append(LANDMARKS * ratio + np.array([left, 0]))
        left += one.shape[1]
    true = np.array(points, np.float32)
    wrong = (
        true + np.random.default_rng(0).normal(0, 0.03, true.shape).astype(np.float32) * np.array(sides)[:, None, None]
    )
    found = Detections(np.array(boxes, np.float32), np.ones(len(sides), np.float32), wrong.astype(np.float32))
    return picture, found, true


def test_the_largest_faces_of_each_picture_are_looked_at_again(
    refine: refining.Refining, monkeypatch: pytest.MonkeyPatch
) -> None:
    many, few = crowd(40, 90, 34, 60, 24), crowd(24, 50)
    looks: list[tuple[str, list[int], int]] = []

    def counted(name: str) -> Any:
        look = getattr(refine, name)

        def runner(images: Any, places: Any, landmarks: Any, views: int) -> Any:
            looks.append((name, places.tolist(), views))
            return look(images, places, landmarks, views)

        return runner

    for name in ("_first", "_second"):
        monkeypatch.setattr(refine, name, counted(name))
    pictures, found = [many[0], few[0]], [many[1], few[1]]
    usual = refine(pictures, found)
    assert looks == [("_first", [0] * 5 + [1] * 2, 1), ("_second", [0] * 5 + [1] * 2, 2)]
    monkeypatch.setattr(refining, "AT_MOST", 2)
    looks.clear()
    hurried = refine(pictures, found)
    assert looks == [("_first", [0] * 5 + [1] * 2, 1), ("_second", [0, 0, 1, 1], 2)]
    # A crowd's faces are looked at again from 40 pixels on, those of another picture of the batch as ever.
    looks.clear()
    crowded, alone = crowd(39, 90, 34), crowd(34)
    refine([crowded[0], alone[0]], [crowded[1], alone[1]])
    assert looks == [("_first", [0] * 3 + [1], 1), ("_second", [0, 1], 2)]
    for (_, _, true), twice, once in zip((many, few), usual, hurried, strict=True):
        for one, two, exact in zip(once.landmarks, twice.landmarks, true, strict=True):
            assert error(one, exact) < 0.12
            assert error(two, exact) < 0.12
    changed = np.abs(usual[0].landmarks - hurried[0].landmarks).max(axis=(1, 2)) > 0.02
    # The two largest of five keep their second look.
    np.testing.assert_array_equal(changed, [True, False, True, False, True])
    np.testing.assert_allclose(usual[1].landmarks, hurried[1].landmarks, atol=0.01)


def test_the_first_look_is_in_smaller_crops_and_nearly_as_exact(refine: refining.Refining) -> None:
    picture, found, true = crowd(24, 28, 36, 60)
    assert refine._first._side < refine._second._side
    for look in (refine._first, refine._second):
        landmarks = look([picture], np.zeros(4, int), found.landmarks, views=1)
        assert max(map(error, landmarks, true)) < 0.12


def test_a_network_that_is_given_looks_both_times() -> None:
    with ThreadPoolExecutor(2) as threads:
        made = refining.Refining(Batching(threads), refiner.load())
        assert made._first is made._second
        assert len(made.warm_ups()) == len(made._first.warm_ups())


def test_equally_large_faces_are_chosen_in_order() -> None:
    places, sides = np.array([0, 0, 0, 2, 2]), np.array([40, 50, 40, 30, 60], np.float32)
    assert refining.largest(places, sides, 2).tolist() == [0, 1, 3, 4]
    assert refining.largest(places, sides, 1).tolist() == [1, 4]
    assert refining.largest(places[:0], sides[:0], 1).tolist() == []


def test_a_crowd_goes_through_a_program_of_its_own_with_the_same_landmarks(
    refine: refining.Refining, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture, found, _ = crowd(*[36] * 9)
    look, devices = refine._first, runtime.mesh().size
    # Sixteen at a time on each device, and a rest.
    rows = np.arange(34 * devices + 1) % 9
    places = np.zeros(len(rows), int)
    assert look._in_crowd(len(rows)) == 32 * devices
    assert look._in_crowd(31 * devices) == 0
    by_many = look([picture], places, found.landmarks[rows], views=1)
    monkeypatch.setattr(look, "_in_crowd", lambda count: 0)
    np.testing.assert_allclose(by_many, look([picture], places, found.landmarks[rows], views=1), atol=0.02)
