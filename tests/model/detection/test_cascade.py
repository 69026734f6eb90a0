"""The whole detector on portraits in every orientation, and on pictures without faces or nearly without pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rollcall_model import runtime
from rollcall_model.detection.cascade import CascadeDetector
from rollcall_model.types import Detections

pytest.importorskip("skimage")
pytest.importorskip("matplotlib")

#: Eyes, nose and corners of the mouth, left to right, annotated by hand (pixels).
ASTRONAUT = np.array([[202, 101], [246, 104], [224, 128], [204, 140], [246, 141]])
HOPPER = np.array([[222, 190], [303, 186], [266, 240], [233, 279], [307, 277]])


@pytest.fixture(scope="module")
def detector(compiled: Path) -> CascadeDetector:
    runtime.configure(compiled)
    return CascadeDetector()


@pytest.fixture(scope="module")
def portraits() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    from rollcall.commands.demo_library import portraits

    hopper, astronaut, _ = portraits()
    return {"astronaut": (np.asarray(astronaut), ASTRONAUT), "hopper": (np.asarray(hopper), HOPPER)}


def turned(pixels: np.ndarray, points: np.ndarray, mirror: bool, quarters: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture and its points mirrored and turned counter-clockwise by quarters."""
    points = points.astype(float)
    if mirror:
        pixels = pixels[:, ::-1]
        points = np.stack([pixels.shape[1] - points[:, 0], points[:, 1]], 1)
    for _ in range(quarters):
        width = pixels.shape[1]
        pixels = np.rot90(pixels)
        points = np.stack([points[:, 1], width - points[:, 0]], 1)
    return np.ascontiguousarray(pixels), points


@pytest.mark.parametrize("name", ["astronaut", "hopper"])
@pytest.mark.parametrize("mirror", [False, True])
def test_landmarks_are_near_those_annotated_by_hand(
    detector: CascadeDetector, portraits: dict[str, tuple[np.ndarray, np.ndarray]], name: str, mirror: bool
) -> None:
    pixels, points = turned(*portraits[name], mirror, 0)
    (found,) = detector.detect([pixels])
    best = int(np.argmax(found.scores))
    order = [1, 0, 2, 4, 3] if mirror else [0, 1, 2, 3, 4]
    between_eyes = np.linalg.norm(points[0] - points[1])
    assert np.linalg.norm(found.landmarks[best] - points[order], axis=1).max() < 0.15 * between_eyes
    x0, y0, x1, y1 = found.boxes[best]
    assert ((points > (x0, y0)) & (points < (x1, y1))).all()
    assert 1.6 < (x1 - x0) / between_eyes < 3.2


def test_all_eight_exif_orientations_end_with_the_same_face(
    detector: CascadeDetector,
    portraits: dict[str, tuple[np.ndarray, np.ndarray]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    from PIL import Image

    from rollcall.commands.demo_library import write_photo
    from rollcall.media.decode import decode

    folder = tmp_path_factory.mktemp("turned")
    pixels, points = portraits["astronaut"]
    pictures = []
    for orientation in range(1, 9):
        write_photo(Image.fromarray(pixels), folder / f"{orientation}.jpg", orientation)
        pictures.append(decode(folder / f"{orientation}.jpg").pixels)
    for found in detector.detect(pictures):
        best = int(np.argmax(found.scores))
        assert np.linalg.norm(found.landmarks[best] - points, axis=1).max() < 6


@pytest.mark.parametrize(
    "shape", [(0, 0), (0, 10), (1, 1), (11, 11), (5, 400), (400, 5), (12, 12), (13, 700), (960, 1280)]
)
def test_pictures_without_faces_have_no_detections(detector: CascadeDetector, shape: tuple[int, int]) -> None:
    plain = np.full((*shape, 3), 120, np.uint8)
    noise = np.random.default_rng(0).integers(90, 150, (*shape, 3)).astype(np.uint8)
    assert [len(found.scores) for found in detector.detect([plain])] == [0]
    assert [len(found.scores) for found in detector.detect([plain, noise])] == [0, 0]


def test_no_pictures_have_no_results(detector: CascadeDetector) -> None:
    assert detector.detect([]) == []


def test_results_do_not_depend_on_the_rest_of_the_batch(
    detector: CascadeDetector, portraits: dict[str, tuple[np.ndarray, np.ndarray]]
) -> None:
    pictures = [portraits["astronaut"][0], np.zeros((300, 500, 3), np.uint8), portraits["hopper"][0]]
    single = [detector.detect([picture])[0] for picture in pictures]
    together = detector.detect(pictures)
    for a, b in zip(single, together, strict=True):
        assert isinstance(a, Detections) and len(a.scores) == len(b.scores)
        for left, right in zip(a, b, strict=True):
            np.testing.assert_allclose(left, right, atol=1e-2)


def test_a_hundred_photos_of_mixed_sizes_compile_nothing_anew(
    detector: CascadeDetector, portraits: dict[str, tuple[np.ndarray, np.ndarray]], programs_made: list[str]
) -> None:
    import cv2

    detector.warm_up()
    before = len(programs_made)
    rng, seen, found = np.random.default_rng(3), 0, 0
    while seen < 100:
        pictures = []
        for _ in range(int(rng.integers(1, 17))):
            height, width = (int(side) for side in rng.integers(30, 600, 2))
            person = portraits[("astronaut", "hopper")[int(rng.integers(2))]][0]
            pictures.append(np.asarray(cv2.resize(person, (width, height)), np.uint8))
        found += sum(len(faces.scores) for faces in detector.detect(pictures))
        seen += len(pictures)
    assert found > 50  # all three networks had work
    assert len(programs_made) == before
