"""The prefilter: patches cover every window once, with the same pixels and scores, and no face is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from rollcall_model import runtime
from rollcall_model.detection import octaves, patches, prefilter, pyramid
from rollcall_model.detection.boxes import iou
from rollcall_model.detection.cascade import CascadeDetector
from rollcall_model.detection.config import DetectorConfig, QuickSearch
from rollcall_model.detection.patches import Patches
from rollcall_model.detection.prefilter_runner import PrefilterRunner
from rollcall_model.nn import pooling
from rollcall_model.types import Detections

SIZES = [(61, 97), (200, 150), (333, 500), (960, 1280), (40, 700)]


@pytest.fixture(scope="module", autouse=True)
def cached(compiled: Path) -> None:
    runtime.configure(compiled)


@pytest.fixture(scope="module")
def detector(cached: None) -> CascadeDetector:
    return CascadeDetector()


@pytest.fixture(scope="module")
def thorough(cached: None) -> CascadeDetector:
    return CascadeDetector(DetectorConfig(thorough=True))


@pytest.fixture(scope="module")
def people() -> list[np.ndarray]:
    pytest.importorskip("skimage")
    pytest.importorskip("matplotlib")
    from rollcall.commands.demo_library import portraits

    return [np.asarray(picture.convert("RGB")) for picture in portraits()]


def all_patches(level: pyramid.Level) -> Patches:
    rows, columns = np.indices(patches.grid(level)).reshape(2, -1)
    return Patches(np.zeros(len(rows), np.int64), rows, columns)


@pytest.mark.parametrize("size", SIZES)
def test_the_patches_of_a_level_contain_every_window_once(size: tuple[int, int]) -> None:
    for level in pyramid.levels(0, *size, 20, 0.709):
        rows, columns = patches.windows(all_patches(level))
        last = [(side - pyramid.WINDOW) // pyramid.STRIDE for side in (level.height, level.width)]
        seen = [(r, c) for r, c in zip(rows.flat, columns.flat, strict=True) if 0 <= r <= last[0] and 0 <= c <= last[1]]
        assert len(seen) == len(set(seen)) == (last[0] + 1) * (last[1] + 1)


@pytest.mark.parametrize("size", [*SIZES, (967, 1289), (1280, 853)])
@pytest.mark.parametrize("factor", [0.709, 0.8])
def test_every_patch_belongs_to_a_cell(size: tuple[int, int], factor: float) -> None:
    levels = pyramid.levels(0, *size, 20, factor)
    numbers = range(len(levels))
    parts = [patches.unfiltered(numbers, levels)]
    for octave in octaves.octaves(0, *size, levels):
        everything = np.ones((*octave.cells, 2), bool)
        parts.append(patches.selected(everything, octave, size, numbers, levels))
    seen = set(zip(*(column.tolist() for column in patches.concat(parts)), strict=True))
    expected = {(n, *place) for n, level in enumerate(levels) for place in np.ndindex(*patches.grid(level))}
    assert seen == expected


@pytest.mark.parametrize("size", SIZES[:3])
def test_a_patch_has_the_pixels_of_its_level(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    sums = pooling.integral(image)
    for level in pyramid.levels(0, *size, 20, 0.709):
        whole = np.zeros((level.height, level.width, 3), np.float32)
        pooling.resize(sums, level.inner_height, level.inner_width, whole)
        some = all_patches(level)
        pixels = np.zeros((len(some.row), patches.SIDE, patches.SIDE, 3), np.float32)
        patches.draw(sums, level, some, pixels)
        rows, columns = patches.windows(some)
        for patch, row, column in zip(
            pixels, rows[:, 0, 0] * pyramid.STRIDE, columns[:, 0, 0] * pyramid.STRIDE, strict=True
        ):
            top, left = max(-row, 0), max(-column, 0)
            part = whole[row + top : row + patches.SIDE, column + left : column + patches.SIDE]
            np.testing.assert_allclose(patch[top : top + part.shape[0], left : left + part.shape[1]], part, atol=1e-3)


def test_a_search_that_skips_nothing_finds_the_faces_of_the_thorough_one(
    thorough: CascadeDetector, people: list[np.ndarray]
) -> None:
    # Boxes that R-Net and O-Net skip could have higher scores than those they get.
    nothing_skipped = QuickSearch(similar_iou=1.0, same_face_iou=1.0, prefilter_threshold=-np.inf)
    detector = CascadeDetector(DetectorConfig(quick=nothing_skipped))
    assert detector.quick and not thorough.quick
    for a, b in zip(detector.detect(people), thorough.detect(people), strict=True):
        for left, right in zip(a, b, strict=True):
            np.testing.assert_allclose(left, right, atol=1e-2)


def test_logits_do_not_depend_on_the_neighbours_on_the_canvas(people: list[np.ndarray]) -> None:
    runner = PrefilterRunner(1280, 20)
    net, _ = prefilter.load()
    images = [people[0], people[1][:333, :250], people[0][:97, :61]]
    pictures, wanted = [], []
    for number, image in enumerate(images):
        found = octaves.octaves(number, *image.shape[:2], pyramid.levels(number, *image.shape[:2], 20, 0.709))
        wanted += found
        pictures += octaves.draw(image, found)
    assert len(wanted) > 4
    for octave, picture, logits in zip(wanted, pictures, runner.logits(wanted, pictures), strict=True):
        single = np.full((octave.cells[0] * octaves.CELL, octave.cells[1] * octaves.CELL, 3), 127, np.uint8)
        single[: octave.height, : octave.width] = picture
        np.testing.assert_allclose(logits, np.asarray(net(single[None].astype(np.float32)))[0], atol=1e-3)


def group(people: list[np.ndarray], seed: int) -> np.ndarray:
    """Return a picture with the portraits in many sizes on a background of noise."""
    rng = np.random.default_rng(seed)
    background = cv2.resize(rng.normal(120, 40, (30, 40, 3)).astype(np.float32), (1280, 960))
    picture = np.clip(background + rng.normal(0, 6, background.shape), 0, 255).astype(np.uint8)
    for _ in range(6):
        person = people[int(rng.integers(2))]
        scale = float(np.exp(rng.uniform(np.log(90), np.log(700)))) / person.shape[0]
        person = cv2.resize(person, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[
            :, :: 1 - 2 * rng.integers(2)
        ]
        top, left = (
            int(rng.integers(side - length + 1)) for side, length in zip((960, 1280), person.shape, strict=False)
        )
        picture[top : top + person.shape[0], left : left + person.shape[1]] = person
    return picture


def matched(found: Detections, expected: Detections) -> np.ndarray:
    """Return for each expected face whether it was found."""
    if not len(found.boxes):
        return np.zeros(len(expected.boxes), bool)
    return (iou(expected.boxes, found.boxes) >= 0.5).any(axis=1)


def test_faces_of_all_sizes_are_found_with_a_fraction_of_the_windows(
    detector: CascadeDetector, thorough: CascadeDetector, people: list[np.ndarray]
) -> None:
    pictures = [group(people, seed) for seed in range(12)]
    hits = np.concatenate(
        [matched(a, b) for a, b in zip(detector.detect(pictures), thorough.detect(pictures), strict=True)]
    )
    assert len(hits) > 40
    assert hits.mean() >= 0.98
    levels = detector.proposals.levels(pictures, [20] * len(pictures))
    with ThreadPoolExecutor(2) as threads:
        selected = PrefilterRunner(1280, 20)(pictures, levels, threads)
    assert len(selected.level) < 0.2 * sum(np.prod(patches.grid(level)) for level in levels)


def scored(detector: CascadeDetector, pictures: list[np.ndarray]) -> tuple[int, int, int]:
    """Return how many of P-Net's candidates there are, and how many of them R-Net and O-Net score."""
    sums = [pooling.integral(picture) for picture in pictures]
    proposed = detector.proposals.propose(pictures, sums, [20] * len(pictures))
    counts = {"score_candidates": 0, "score_crops": 0}
    with pytest.MonkeyPatch.context() as patch:
        for name in counts:
            score = getattr(detector, name)

            def counted(sums, candidates, name=name, score=score):
                counts[name] += len(candidates.image)
                return score(sums, candidates)

            patch.setattr(detector, name, counted)
        detector.score_faces(sums, detector.refine(sums, proposed))
    return len(proposed.image), counts["score_candidates"], counts["score_crops"]


def test_candidates_that_a_similar_one_decides_are_not_scored(people: list[np.ndarray]) -> None:
    pictures = [group(people, seed) for seed in range(4)]
    proposed, rnet, onet = scored(CascadeDetector(), pictures)
    assert 0 < rnet < 0.8 * proposed
    assert 0 < onet < rnet
    undecided = CascadeDetector(DetectorConfig(quick=QuickSearch(similar_iou=1.0)))
    proposed, rnet, _ = scored(undecided, pictures)
    assert rnet == proposed


def test_a_face_whose_highest_scoring_box_is_rejected_is_found_by_another(people: list[np.ndarray]) -> None:
    detector = CascadeDetector()
    pictures = [group(people, seed) for seed in range(4)]
    expected = detector.detect(pictures)
    score, calls = detector.score_crops, []

    def reject_first(sums, candidates):
        calls.append(len(candidates.image))
        faces = score(sums, candidates)
        return faces if len(calls) > 1 else type(faces)(faces.crops.take(np.arange(0)), *(c[:0] for c in faces[1:]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detector, "score_crops", reject_first)
        found = detector.detect(pictures)
    assert len(calls) == 2 and calls[1] > 0
    again = np.concatenate([matched(b, a) for a, b in zip(found, expected, strict=True)])
    assert len(again) >= 3 and again.all()


def test_large_faces_are_searched_for_in_a_halved_picture(people: list[np.ndarray]) -> None:
    picture = cv2.resize(group(people, 3), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    quick, whole = (
        CascadeDetector(DetectorConfig(min_face=64)),
        CascadeDetector(DetectorConfig(min_face=64, thorough=True)),
    )
    assert [quick.reduce(picture)[0].shape[1], whole.reduce(picture)[0].shape[1]] == [640, 1280]
    (found,), (expected,) = quick.detect([picture]), whole.detect([picture])
    assert len(expected.boxes) >= 2
    assert matched(found, expected).all() and len(found.boxes) == len(expected.boxes)
    nearest = np.abs(found.landmarks[:, None] - expected.landmarks[None]).max((2, 3)).min(axis=0)
    assert (nearest < 0.15 * (expected.boxes[:, 2] - expected.boxes[:, 0])).all()


def test_pictures_without_levels_have_no_patches() -> None:
    empty = [np.zeros((0, 0, 3), np.uint8), np.zeros((11, 500, 3), np.uint8)]
    with ThreadPoolExecutor(1) as threads:
        selected = PrefilterRunner(1280, 20)(empty, [], threads)
    assert [len(column) for column in selected] == [0, 0, 0]
