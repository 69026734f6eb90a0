"""Measures of detection: which box finds which face, curves, what a score means, errors of landmarks."""

from __future__ import annotations

import numpy as np
import pytest

from rollcall_model.evaluation import detection, landmarks
from rollcall_model.evaluation.detection import Labelled, Scored
from rollcall_model.types import Detections, no_detections

IMAGE = np.zeros((100, 100, 3), np.uint8)
TRUE = np.array([[0, 0, 20, 20], [50, 50, 90, 90], [30, 0, 36, 6]], np.float32)


def found(*boxes: tuple[float, ...]) -> Detections:
    """Return detections of boxes, each given with its score."""
    values = np.array(boxes, np.float32).reshape(-1, 5)
    return Detections(values[:, :4], values[:, 4], np.zeros((len(values), 5, 2), np.float32))


def test_each_face_is_found_once_and_ignored_ones_do_not_count() -> None:
    true = Labelled(IMAGE, TRUE, np.array([False, False, True]))
    boxes = found((1, 1, 21, 21, 0.9), (0, 0, 20, 20, 0.8), (30, 0, 36, 6, 0.7), (60, 0, 70, 10, 0.6))
    correct, counts = detection.match(boxes, true)
    assert correct.tolist() == [True, False, False, False]
    assert counts.tolist() == [True, True, False, True]


def test_a_curve_has_the_recall_that_a_precision_allows() -> None:
    scored = Scored(np.array([0.9, 0.8, 0.7, 0.6]), np.full(4, 30.0), np.array([True, True, False, True]), 4)
    curve = detection.curve(scored)
    assert curve.recall.tolist() == [0.25, 0.5, 0.5, 0.75]
    assert curve.recall_at(0.95) == (0.5, 0.8)
    assert curve.recall_at(0.7) == (0.75, 0.6)
    assert detection.curve(Scored(np.array([0.9]), np.array([30.0]), np.array([False]), 1)).recall_at(0.5) == (0.0, 1.0)


def test_boxes_of_several_pictures_are_scored_together() -> None:
    true = Labelled(IMAGE, TRUE[:1], np.zeros(1, bool))
    nobody = Labelled(IMAGE, np.zeros((0, 4), np.float32), np.zeros(0, bool))
    answers = iter([found((0, 0, 20, 20, 0.9)), found((5, 5, 9, 9, 0.4))])
    scored = detection.score_all(lambda _: next(answers), [true, nobody])
    assert scored.faces == 1 and scored.correct.tolist() == [True, False]


def test_a_score_comes_to_mean_a_probability() -> None:
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.05, 0.95, 4000)
    logits = 2.0 * np.log(scores / (1 - scores)) - 1.0
    sides = rng.uniform(10, 60, 4000)
    logits = logits + 4 * np.minimum(np.log(sides / 20), 0)
    correct = rng.random(4000) < 1 / (1 + np.exp(-logits))
    scale, shift, small = detection.fit_score(Scored(scores, sides, correct, 1), 20)
    assert scale == pytest.approx(2.0, abs=0.2) and shift == pytest.approx(-1.0, abs=0.2)
    assert small == pytest.approx(4.0, abs=1.0)


def test_errors_of_landmarks_are_shares_of_the_distance_of_the_eyes() -> None:
    points = np.array([[40, 40], [60, 40], [50, 50], [42, 60], [58, 60]], np.float32)
    box = np.array([30, 30, 70, 70], np.float32)
    near = Detections(box[None], np.ones(1, np.float32), points[None] + np.float32([2, 0]))
    answers = iter([near, no_detections()])
    errors = landmarks.measure(lambda _: next(answers), [(IMAGE, box, points), (IMAGE, box, points)])
    assert errors.mean == pytest.approx(0.1) and errors.missed == 1
    far = Detections(box[None], np.ones(1, np.float32), points[None] + np.float32([4, 0]))
    assert landmarks.measure(lambda _: far, [(IMAGE, box, points)]).wrong == 1.0
