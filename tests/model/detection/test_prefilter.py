"""The prefilter: tiles that cover every window once, the same pixels and answers there, and no face lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from rollcall_model import cascade, pooling, prefilter, pyramid, runtime, train_prefilter
from rollcall_model.cascade import Detector, DetectorConfig
from rollcall_model.types import Detections

SIZES = [(61, 97), (200, 150), (333, 500), (960, 1280), (40, 700)]


@pytest.fixture(scope="module", autouse=True)
def compiled(tmp_path_factory: pytest.TempPathFactory) -> None:
    runtime.configure(tmp_path_factory.getbasetemp() / "compiled")


@pytest.fixture(scope="module")
def detector(compiled: None) -> Detector:
    return Detector()


@pytest.fixture(scope="module")
def thorough(compiled: None) -> Detector:
    return Detector(DetectorConfig(thorough=True))


@pytest.fixture(scope="module")
def people() -> list[np.ndarray]:
    pytest.importorskip("skimage")
    pytest.importorskip("matplotlib")
    from rollcall.demo import portraits

    return [np.asarray(picture.convert("RGB")) for picture in portraits()]


def all_tiles(level: pyramid.Level) -> prefilter.Tiles:
    rows, columns = np.indices(prefilter.grid(level)).reshape(2, -1)
    return prefilter.Tiles(np.zeros(len(rows), np.int64), rows, columns)


@pytest.mark.parametrize("size", SIZES)
def test_the_tiles_of_a_level_hold_every_window_once(size: tuple[int, int]) -> None:
    for level in pyramid.levels(0, *size, 20, 0.709):
        rows, columns = prefilter.windows(all_tiles(level))
        last = [(side - pyramid.WINDOW) // pyramid.STRIDE for side in (level.height, level.width)]
        seen = [(r, c) for r, c in zip(rows.flat, columns.flat, strict=True) if 0 <= r <= last[0] and 0 <= c <= last[1]]
        assert len(seen) == len(set(seen)) == (last[0] + 1) * (last[1] + 1)


@pytest.mark.parametrize("size", [*SIZES, (967, 1289), (1280, 853)])
@pytest.mark.parametrize("factor", [0.709, 0.8])
def test_every_tile_has_a_cell_that_speaks_for_it(size: tuple[int, int], factor: float) -> None:
    levels = pyramid.levels(0, *size, 20, factor)
    numbers = range(len(levels))
    parts = [prefilter.whole(numbers, levels)]
    for octave in prefilter.octaves(0, *size, levels):
        everything = np.ones((*octave.cells, 2), bool)
        parts.append(prefilter.likely(everything, octave, size, numbers, levels))
    seen = set(zip(*(column.tolist() for column in prefilter.joined(parts)), strict=True))
    wanted = {(n, *place) for n, level in enumerate(levels) for place in np.ndindex(*prefilter.grid(level))}
    assert seen == wanted


@pytest.mark.parametrize("size", SIZES[:3])
def test_a_tile_shows_the_pixels_of_its_level(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    sums = pooling.integral(image)
    for level in pyramid.levels(0, *size, 20, 0.709):
        whole = np.zeros((level.height, level.width, 3), np.float32)
        pooling.resize(sums, level.inner_height, level.inner_width, whole)
        tiles = all_tiles(level)
        drawn = np.zeros((len(tiles.row), prefilter.TILE, prefilter.TILE, 3), np.float32)
        prefilter.cut(sums, level, tiles, drawn)
        rows, columns = prefilter.windows(tiles)
        for tile, row, column in zip(
            drawn, rows[:, 0, 0] * pyramid.STRIDE, columns[:, 0, 0] * pyramid.STRIDE, strict=True
        ):
            top, left = max(-row, 0), max(-column, 0)
            part = whole[row + top : row + prefilter.TILE, column + left : column + prefilter.TILE]
            np.testing.assert_allclose(tile[top : top + part.shape[0], left : left + part.shape[1]], part, atol=1e-3)


def test_looking_at_every_tile_finds_what_looking_at_everything_finds(
    thorough: Detector, people: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_minded = Detector()
    assert open_minded._scout is not None
    open_minded._scout.least = -np.inf
    # Boxes that R-Net and O-Net are not asked about could be surer than those they are.
    monkeypatch.setattr(cascade, "ALIKE", 1.0)
    monkeypatch.setattr(cascade, "ONE_FACE", 1.0)
    # Cells speak for the tile at their middle; of the larger tiles of finer levels each has a cell.
    for a, b in zip(open_minded.detect(people), thorough.detect(people), strict=True):
        for left, right in zip(a, b, strict=True):
            np.testing.assert_allclose(left, right, atol=1e-2)


def test_neighbours_on_the_strip_change_nothing(people: list[np.ndarray]) -> None:
    scout = prefilter.Scout(1280, 20)
    net, _ = prefilter.load()
    pictures = [people[0], people[1][:333, :250], people[0][:97, :61]]
    drawn, wanted = [], []
    for number, picture in enumerate(pictures):
        octaves = prefilter.octaves(number, *picture.shape[:2], pyramid.levels(number, *picture.shape[:2], 20, 0.709))
        wanted += octaves
        drawn += prefilter.draw(picture, octaves)
    assert len(wanted) > 4
    for octave, picture, said in zip(wanted, drawn, scout._answers(wanted, drawn), strict=True):
        alone = np.full((octave.cells[0] * prefilter.CELL, octave.cells[1] * prefilter.CELL, 3), 127, np.uint8)
        alone[: octave.height, : octave.width] = picture
        np.testing.assert_allclose(said, np.asarray(net(alone[None].astype(np.float32)))[0], atol=1e-3)


def group(people: list[np.ndarray], seed: int) -> np.ndarray:
    """Return a picture with the portraits in many sizes on a wall of noise."""
    rng = np.random.default_rng(seed)
    wall = cv2.resize(rng.normal(120, 40, (30, 40, 3)).astype(np.float32), (1280, 960))
    picture = np.clip(wall + rng.normal(0, 6, wall.shape), 0, 255).astype(np.uint8)
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


def same(found: Detections, wanted: Detections) -> np.ndarray:
    """Return for each wanted face whether one that was found lies on it."""
    from rollcall_model.boxes import iou

    return (
        (iou(wanted.boxes, found.boxes) >= 0.5).any(axis=1) if len(found.boxes) else np.zeros(len(wanted.boxes), bool)
    )


def test_faces_of_all_sizes_are_still_found_at_a_fraction_of_the_windows(
    detector: Detector, thorough: Detector, people: list[np.ndarray]
) -> None:
    pictures = [group(people, seed) for seed in range(12)]
    hits = np.concatenate(
        [same(a, b) for a, b in zip(detector.detect(pictures), thorough.detect(pictures), strict=True)]
    )
    assert len(hits) > 40
    assert hits.mean() >= 0.98
    assert detector._scout is not None
    levels = detector.levels(pictures, [20] * len(pictures))
    with ThreadPoolExecutor(2) as threads:
        tiles = detector._scout(pictures, levels, threads)
    assert len(tiles.level) < 0.2 * sum(np.prod(prefilter.grid(level)) for level in levels)


def test_faces_whose_surest_box_is_refused_are_found_by_another(people: list[np.ndarray]) -> None:
    detector = Detector()
    pictures = [group(people, seed) for seed in range(4)]
    wanted = detector.detect(pictures)
    judge, asked = detector._judge, []

    def refuse(sums: list[np.ndarray], some: cascade.Candidates) -> cascade.Judged:
        asked.append(len(some.image))
        found = judge(sums, some)
        if len(asked) > 1:
            return found
        return cascade.Judged(cascade._taken(found.crops, np.arange(0)), *(column[:0] for column in found[1:]))

    detector._judge = refuse  # type: ignore[method-assign]
    found = detector.detect(pictures)
    assert len(asked) == 2 and asked[1] > 0
    again = np.concatenate([same(b, a) for a, b in zip(found, wanted, strict=True)])
    assert len(again) >= 3 and again.all()


def test_what_is_settled_by_an_answer_is_not_asked_about(
    people: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    detector, counts = Detector(), []
    ask = detector._ask

    def count(sums: list[np.ndarray], some: cascade.Candidates) -> cascade.Candidates:
        counts[-1] += len(some.image)
        return ask(sums, some)

    detector._ask = count  # type: ignore[method-assign]
    for alike in (cascade.ALIKE, 1.0):  # with 1.0 all that P-Net proposes is asked about
        monkeypatch.setattr(cascade, "ALIKE", alike)
        counts.append(0)
        detector.detect([group(people, seed) for seed in range(4)])
    assert 0 < counts[0] < 0.8 * counts[1]


def test_large_faces_are_looked_for_in_a_halved_picture(people: list[np.ndarray]) -> None:
    picture = cv2.resize(group(people, 3), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    quick, whole = Detector(DetectorConfig(min_face=64)), Detector(DetectorConfig(min_face=64, thorough=True))
    assert [quick._reduce(picture)[0].shape[1], whole._reduce(picture)[0].shape[1]] == [640, 1280]
    (found,), (wanted,) = quick.detect([picture]), whole.detect([picture])
    assert len(wanted.boxes) >= 2
    assert same(found, wanted).all() and len(found.boxes) == len(wanted.boxes)
    nearest = np.abs(found.landmarks[:, None] - wanted.landmarks[None]).max((2, 3)).min(axis=0)
    assert (nearest < 0.15 * (wanted.boxes[:, 2] - wanted.boxes[:, 0])).all()


def test_what_the_prefilter_learns_is_where_the_cascade_finds_faces(
    thorough: Detector, people: list[np.ndarray]
) -> None:
    picture = cv2.resize(people[0], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    ((best, *_),) = [found.boxes for found in thorough.detect([picture])]
    (answers,) = train_prefilter.judged(thorough, [picture])
    marked = 0
    for octave, face in answers:
        ratio = picture.shape[1] / octave.width
        rows, columns, _ = np.nonzero(face == 1)
        marked += len(rows)
        middles = (np.stack([columns, rows], 1) + 0.5) * prefilter.CELL * ratio
        assert (np.abs(middles - (best[:2] + best[2:]) / 2) < (best[2:] - best[:2])).all()
    assert marked


def test_training_learns_where_faces_are(thorough: Detector, people: list[np.ndarray]) -> None:
    heads = [people[0][20:220, 120:320], people[1][100:400, 120:400]]
    grounds = [np.random.default_rng(0).integers(0, 255, (300, 300, 3)).astype(np.uint8), people[2]]
    canvases = train_prefilter.make(np.random.default_rng(1), 16, heads, grounds, [thorough])
    assert (canvases.face > 0).any((1, 2, 3)).sum() >= 4
    net = train_prefilter.fit(canvases, prefilter.PrefilterConfig(widths=(8, 16), depth=1), 250, 8, 1e-2, 0)
    highest, said = train_prefilter.scores(net, canvases)
    assert np.median(highest) > np.quantile(said, 0.95)


def test_nothing_is_asked_about_pictures_without_levels() -> None:
    with ThreadPoolExecutor(1) as threads:
        tiles = prefilter.Scout(1280, 20)(
            [np.zeros((0, 0, 3), np.uint8), np.zeros((11, 500, 3), np.uint8)], [], threads
        )
    assert [len(column) for column in tiles] == [0, 0, 0]
