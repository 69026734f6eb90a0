"""The detector as it is used: portraits upright and turned, pictures without faces, batches of mixed sizes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from rollcall_model import runtime
from rollcall_model.detection import boxes as bx
from rollcall_model.detection import canvases, detector, orientation, refiner
from rollcall_model.detection.config import DetectorConfig
from rollcall_model.detection.single_pass_detector import SinglePassDetector
from rollcall_model.types import Detections, no_detections

pytest.importorskip("skimage")
pytest.importorskip("matplotlib")

#: Eyes, nose and corners of the mouth, left to right, annotated by hand (pixels).
ASTRONAUT = np.array([[202, 101], [246, 104], [224, 128], [204, 140], [246, 141]])
HOPPER = np.array([[222, 190], [303, 186], [266, 240], [233, 279], [307, 277]])

Portraits = dict[str, tuple[np.ndarray, np.ndarray]]


@pytest.fixture(scope="module")
def single_pass(compiled: Path) -> SinglePassDetector:
    runtime.configure(compiled)
    built = detector.build(DetectorConfig())
    assert isinstance(built, SinglePassDetector)
    return built


@pytest.fixture(scope="module")
def portraits() -> Portraits:
    from rollcall.commands.demo_library import portraits

    hopper, astronaut, _ = portraits()
    return {"astronaut": (np.asarray(astronaut), ASTRONAUT), "hopper": (np.asarray(hopper), HOPPER)}


def turned(pixels: np.ndarray, points: np.ndarray, quarters: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture and its points turned counter-clockwise by quarters."""
    points = points.astype(float)
    for _ in range(quarters):
        width = pixels.shape[1]
        pixels = np.rot90(pixels)
        points = np.stack([points[:, 1], width - points[:, 0]], 1)
    return np.ascontiguousarray(pixels), points


def furthest(found: Detections, points: np.ndarray) -> float:
    """Return the largest error of the best face's landmarks, over the distance of the eyes."""
    errors = np.linalg.norm(found.landmarks[int(np.argmax(found.scores))] - points, axis=1)
    return float(errors.max() / np.linalg.norm(points[0] - points[1]))


def test_a_picture_that_is_known_to_be_upright_is_not_searched_turned(
    single_pass: SinglePassDetector, portraits: Portraits
) -> None:
    upside_down, points = turned(*portraits["hopper"], 2)
    (thorough,), (upright,) = single_pass.detect([upside_down]), single_pass.detect([upside_down], upright=True)
    assert furthest(thorough, points) < 0.3
    assert len(upright.scores) == 0 or upright.scores.max() < thorough.scores.max()


@pytest.mark.parametrize("shape", [(360, 640), (640, 360)])
def test_a_frame_of_a_video_is_seen_in_half_its_size_first_and_its_small_faces_are_found(
    single_pass: SinglePassDetector, portraits: Portraits, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The faces have sides of about 25 and 100 pixels; the small one is of half the size that is found well."""
    seen: list[tuple[int, ...]] = []
    whole = single_pass._runner.whole
    monkeypatch.setattr(
        single_pass._runner, "whole", lambda images: seen.extend(i.shape[:2] for i in images) or whole(images)
    )
    frame = np.full((*shape, 3), 128, np.uint8)
    for width, left, top in ((64, 20, 40), (270, 80, 10)):
        person = cv2.resize(portraits["hopper"][0], (width, width * 6 // 5), interpolation=cv2.INTER_AREA)
        frame[top : top + person.shape[0], left : left + width] = person
    found = single_pass.detect([frame] * 2, upright=True)
    assert seen == [(shape[0] // 2, shape[1] // 2)] * 2
    for one in found:
        sides = one.boxes[:, 2] - one.boxes[:, 0]
        assert len(sides) == 2 and 18 < sides.min() < 32 and 80 < sides.max() < 140


@pytest.mark.parametrize("name", ["astronaut", "hopper"])
@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_landmarks_are_near_those_annotated_by_hand_however_the_picture_is_turned(
    single_pass: SinglePassDetector, portraits: Portraits, name: str, quarters: int
) -> None:
    pixels, points = turned(*portraits[name], quarters)
    (found,) = single_pass.detect([pixels])
    assert furthest(found, points) < 0.18
    x0, y0, x1, y1 = found.boxes[int(np.argmax(found.scores))]
    assert ((points > (x0, y0)) & (points < (x1, y1))).all()


def test_a_mirrored_face_has_its_landmarks_on_the_viewers_sides(
    single_pass: SinglePassDetector, portraits: Portraits
) -> None:
    pixels, points = portraits["hopper"]
    mirrored = np.ascontiguousarray(pixels[:, ::-1])
    expected = np.stack([pixels.shape[1] - points[:, 0], points[:, 1]], 1)[[1, 0, 2, 4, 3]]
    (found,) = single_pass.detect([mirrored])
    assert furthest(found, expected) < 0.18


@pytest.mark.parametrize(
    "shape", [(0, 0), (0, 10), (1, 1), (11, 11), (5, 400), (400, 5), (12, 12), (13, 700), (960, 1280)]
)
def test_pictures_without_faces_have_no_detections(single_pass: SinglePassDetector, shape: tuple[int, int]) -> None:
    plain = np.full((*shape, 3), 120, np.uint8)
    noise = np.random.default_rng(0).integers(90, 150, (*shape, 3)).astype(np.uint8)
    assert [len(found.scores) for found in single_pass.detect([plain, noise])] == [0, 0]


def test_no_pictures_have_no_results(single_pass: SinglePassDetector) -> None:
    assert single_pass.detect([]) == []


def test_results_do_not_depend_on_the_rest_of_the_batch(single_pass: SinglePassDetector, portraits: Portraits) -> None:
    pictures = [portraits["astronaut"][0], np.zeros((300, 500, 3), np.uint8), portraits["hopper"][0]]
    single = [single_pass.detect([picture])[0] for picture in pictures]
    for a, b in zip(single, single_pass.detect(pictures), strict=True):
        assert isinstance(a, Detections) and len(a.scores) == len(b.scores)
        for left, right in zip(a, b, strict=True):
            np.testing.assert_allclose(left, right, atol=2e-2)


def test_faces_smaller_than_asked_for_are_left_out_and_large_ones_kept(portraits: Portraits) -> None:
    pixels = portraits["hopper"][0]
    small = np.asarray(cv2.resize(pixels, None, fx=0.15, fy=0.15, interpolation=cv2.INTER_AREA), np.uint8)
    detect = SinglePassDetector(DetectorConfig(min_face=80)).detect
    assert [len(found.scores) for found in detect([pixels, small])] == [1, 0]


def test_every_small_face_of_a_panorama_is_found_once(single_pass: SinglePassDetector, portraits: Portraits) -> None:
    """Faces of about 45 pixels in a picture of 6,000: reduced as a whole they would have 10."""
    person = np.asarray(cv2.resize(portraits["hopper"][0], (128, 152), interpolation=cv2.INTER_AREA), np.uint8)
    picture = np.full((1000, 6000, 3), 128, np.uint8)
    places = [(40, 100), (800, 1100), (400, 2050), (100, 3500), (700, 4477), (500, 5860)]
    for top, left in places:
        picture[top : top + 152, left : left + 128] = person
    (found,) = single_pass.detect([picture])
    centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    assert len(centres) == len(places)
    for top, left in places:
        assert (np.abs(centres - (left + 64, top + 57)) < 25).all(axis=1).sum() == 1


def scattered(person: np.ndarray, places: list[tuple[int, int]]) -> np.ndarray:
    """Return a gray picture of 1280 x 960 pixels with a portrait at each place (top, left)."""
    picture = np.full((960, 1280, 3), 128, np.uint8)
    for top, left in places:
        picture[top : top + person.shape[0], left : left + person.shape[1]] = person
    return picture


def test_small_faces_are_found_that_half_the_size_would_not_show(
    single_pass: SinglePassDetector, portraits: Portraits
) -> None:
    """Faces of about 24 pixels: 12 in the first look. Some are in one window, one is in the corner."""
    person = np.asarray(cv2.resize(portraits["hopper"][0], (68, 81), interpolation=cv2.INTER_AREA), np.uint8)
    places = [(0, 0), (300, 500), (310, 580), (420, 560), (870, 1200)]
    (found,) = single_pass.detect([scattered(person, places)])
    assert len(found.scores) == len(places)
    centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    for top, left in places:
        assert (np.abs(centres - (left + 34, top + 31)) < 14).all(axis=1).sum() == 1


def test_a_crowd_of_small_faces_is_searched_at_full_size_everywhere(
    single_pass: SinglePassDetector, portraits: Portraits, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = np.asarray(cv2.resize(portraits["hopper"][0], (68, 81), interpolation=cv2.INTER_AREA), np.uint8)
    places = [(top, left) for top in range(20, 860, 105) for left in range(20, 1200, 110)]
    seen: list[tuple[int, ...]] = []
    whole = single_pass._runner.whole
    monkeypatch.setattr(
        single_pass._runner, "whole", lambda pictures: seen.extend(one.shape[:2] for one in pictures) or whole(pictures)
    )
    (found,) = single_pass.detect([scattered(person, places)])
    assert seen == [(480, 640), (960, 1280)]
    assert len(found.scores) == len(places)


def test_where_small_faces_are_not_wanted_half_of_the_smaller_picture_is_looked_at_first(
    portraits: Portraits, monkeypatch: pytest.MonkeyPatch
) -> None:
    detect = detector.build(DetectorConfig(min_face=40))
    assert isinstance(detect, SinglePassDetector)
    person = np.asarray(cv2.resize(portraits["hopper"][0], (170, 203), interpolation=cv2.INTER_AREA), np.uint8)
    seen: list[tuple[int, ...]] = []
    whole = detect._runner.whole
    monkeypatch.setattr(
        detect._runner, "whole", lambda pictures: seen.extend(one.shape[:2] for one in pictures) or whole(pictures)
    )
    (found,) = detect.detect([scattered(person, [(300, 500)])])
    assert seen == [(240, 320)]
    assert len(found.scores) == 1


def test_a_canvas_without_a_picture_is_not_looked_at(single_pass: SinglePassDetector) -> None:
    """Whatever the network would see in it."""
    if single_pass._batching.devices == 1:
        pytest.skip("one processor has no empty canvases")
    scores = single_pass._runner._run(canvases.Round((256, 320), (), single_pass._batching.devices), [])[0]
    assert not np.asarray(scores).any()


def test_a_small_face_counts_if_it_is_seen_at_full_size_too(
    single_pass: SinglePassDetector, portraits: Portraits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faces of about 35 and 90 pixels, both seen in half the size."""
    small, large = (
        np.asarray(cv2.resize(portraits["hopper"][0], size, interpolation=cv2.INTER_AREA), np.uint8)
        for size in ((100, 119), (256, 304))
    )
    picture = scattered(small, [(100, 200)])
    picture[500:804, 800:1056] = large
    assert len(single_pass.detect([picture])[0].scores) == 2
    nothing = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32))
    monkeypatch.setattr(single_pass._runner, "inside", lambda pictures, chosen: [nothing for _ in chosen])
    (found,) = single_pass.detect([picture])
    assert found.boxes[:, 0].round(-2).tolist() == [900.0]


def test_a_picture_with_nothing_like_a_face_is_looked_at_once(
    single_pass: SinglePassDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Landscapes must not cost what turned pictures cost."""
    views: list[int] = []
    best = single_pass._runner.best
    monkeypatch.setattr(single_pass._runner, "best", lambda some: views.append(len(some)) or best(some))
    rows = np.linspace(0, 255, 480, dtype=np.uint8)[:, None, None]
    assert len(single_pass.detect([np.broadcast_to(rows, (480, 640, 3))])[0].scores) == 0
    assert sum(views) == 0


@pytest.mark.parametrize("quarters", [0, 1])
def test_a_face_that_is_surely_upright_at_a_closer_look_is_not_looked_at_turned(
    single_pass: SinglePassDetector, portraits: Portraits, monkeypatch: pytest.MonkeyPatch, quarters: int
) -> None:
    views: list[int] = []
    best = single_pass._runner.best
    monkeypatch.setattr(single_pass._runner, "best", lambda some: views.append(len(some)) or best(some))
    overviews = single_pass._overviews([turned(*portraits["hopper"], quarters)[0]])
    # As if nothing sure had been seen at first.
    monkeypatch.setattr(single_pass, "_faces", lambda found, least: no_detections())
    assert single_pass._quarters(overviews) == [-quarters % 4]
    assert views == [1, 0] if quarters == 0 else views[0] == 1 and views[1] % 4 == 3


def test_of_sure_faces_alone_each_is_what_it_is_among_all(
    single_pass: SinglePassDetector, portraits: Portraits
) -> None:
    """Whether a picture is upright is asked of its sure faces, without comparing all the others."""
    (overview,) = single_pass._overviews([scattered(portraits["hopper"][0], [(0, 0), (300, 500)])])
    everything = single_pass._faces(overview.seen)
    for least in (single_pass.threshold, float(np.median(everything.scores)), 0.999999):
        sure = everything.scores >= least
        for one, among_all in zip(single_pass._faces(overview.seen, least), everything, strict=True):
            # Means over other numbers of boxes are added up in another order.
            np.testing.assert_allclose(one, among_all[sure], rtol=1e-5, atol=1e-3)


def test_places_most_like_a_face_are_those_that_suppression_keeps_first() -> None:
    rng = np.random.default_rng(0)
    for count in (0, 1, 2, 40):
        corners = rng.uniform(0, 100, (count, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(10, 60, (count, 2))], axis=1).astype(np.float32)
        scores = rng.uniform(0, 1, count).astype(np.float32)
        fit = np.flatnonzero((scores >= 0.2) & (bx.area(boxes) >= 20**2))
        kept = fit[bx.nms(boxes[fit], scores[fit], 0.1)[:2]]
        seen = Detections(boxes, scores, np.zeros((count, 5, 2), np.float32))
        assert orientation.hints(seen, 20).tolist() == kept.tolist()


def test_a_run_over_photos_of_all_sizes_compiles_few_programs(
    single_pass: SinglePassDetector, portraits: Portraits, programs_made: list[str]
) -> None:
    before = len(programs_made)
    rng, shapes, found = np.random.default_rng(3), set(), 0
    for _ in range(10):
        pictures = []
        for _ in range(5):
            height, width = (int(side) for side in rng.integers(60, 600, 2))
            person = portraits[("astronaut", "hopper")[int(rng.integers(2))]][0]
            pictures.append(np.asarray(cv2.resize(person, (width, height)), np.uint8))
            shapes.add(canvases.shape_for(height, width))
        found += sum(len(one.scores) > 0 for one in single_pass.detect(pictures))
    # A program for each shape of canvas, two of the refiner, two of views, and little ones that make their constants.
    assert len(programs_made) - before <= len(shapes) + 6
    assert found > 35


def test_landmarks_of_a_mirrored_crop_come_back_to_their_places() -> None:
    landmarks = refiner.MEAN[None] + np.random.default_rng(0).normal(0, 0.05, (3, 5, 2))
    mirrored = (landmarks * (-1, 1) + (1, 0))[:, [1, 0, 2, 4, 3]]
    np.testing.assert_allclose(refiner.unmirrored(mirrored), landmarks)


def test_quick_products_move_landmarks_little() -> None:
    crops = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    exact, quick = refiner.load(), refiner.load()
    refiner.halve_products(quick)
    moved = np.abs(np.asarray(quick(crops)[0]) - np.asarray(exact(crops)[0]))
    assert 0 < moved.max() < 0.003
