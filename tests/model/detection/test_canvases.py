"""Pictures on canvases of few shapes, shared out over devices."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rollcall_model.detection import canvases

SIDES = st.integers(1, 4000)


@given(SIDES, SIDES)
def test_a_canvas_holds_its_picture_and_has_a_legal_size(height: int, width: int) -> None:
    shape = canvases.shape_for(height, width)
    assert shape[0] >= height and shape[1] >= width
    assert shape[0] % 32 == 0 and shape[1] % 32 == 0
    assert canvases.shape_for(*shape) == shape


def test_the_usual_photos_and_frames_waste_little() -> None:
    halved_frames = ((180, 320), (320, 180))
    for height, width in ((960, 1280), (1280, 960), (853, 1280), (720, 1280), (1280, 853), *halved_frames):
        shape = canvases.shape_for(height, width)
        assert shape[0] * shape[1] < 1.07 * height * width


def test_pictures_of_all_sizes_need_few_shapes() -> None:
    rng = np.random.default_rng(0)
    shapes = {canvases.shape_for(*rng.integers(30, 1281, 2).tolist()) for _ in range(2000)}
    # Those longer than 640 pixels are compiled for crowds only, where half the size is searched first.
    assert len(shapes) <= 32
    assert sum(max(shape) <= 640 for shape in shapes) <= 14


@given(st.lists(st.sampled_from([(200, 200), (480, 640), (640, 480)]), max_size=40), st.integers(1, 3))
def test_a_gpu_sees_every_picture_once_among_few_counts_of_canvases(
    shapes: list[tuple[int, int]], devices: int
) -> None:
    sizes = [devices, 8 * devices]
    found = canvases.batches(shapes, sizes)
    assert sorted(index for one in found for index in one.indices) == list(range(len(shapes)))
    for one in found:
        assert one.canvases in sizes and 1 <= len(one.indices) <= one.canvases
        assert all(shapes[index] == one.shape for index in one.indices)
        assert one.rows == list(range(len(one.indices)))


def test_pictures_lie_at_the_top_left_on_black() -> None:
    picture = np.full((3, 5, 3), 200, np.uint8)
    (empty, canvas) = canvases.place([picture], (32, 64), 2, [1])
    assert (canvas[:3, :5] == 200).all() and canvas.sum() == picture.sum() and not empty.any()


@given(st.lists(st.sampled_from([(200, 200), (480, 640), (640, 480)]), max_size=12), st.integers(1, 4))
def test_on_processors_no_shapes_are_joined_and_devices_share_the_rest(
    shapes: list[tuple[int, int]], devices: int
) -> None:
    found = canvases.rounds(shapes, devices)
    assert all(shapes[index] == one.shape for one in found for index in one.indices)
    assert sorted(index for one in found for index in one.indices) == list(range(len(shapes)))
    rows = [row for one in found for row in one.rows]
    busy = [rows.count(device) for device in range(devices)]
    assert max(busy) - min(busy) <= 1


@given(st.integers(20, 3000), st.integers(20, 6000))
def test_parts_cover_a_panorama_and_overlap(height: int, width: int) -> None:
    found = canvases.parts(height, width, 1280)
    assert found[0] == canvases.Part(0, 0, width, height)
    for part in found:
        assert part.left >= 0 and part.left + part.width <= width and part.top + part.height <= height
    if len(found) > 1:
        seen = np.zeros((height, width), np.uint8)
        for part in found[1:]:
            seen[part.top : part.top + part.height, part.left : part.left + part.width] += 1
        assert (seen > 0).all()


def test_ordinary_photos_are_searched_whole() -> None:
    assert len(canvases.parts(960, 1280, 1280)) == 1
    assert len(canvases.parts(3000, 4000, 1280)) == 1
    assert len(canvases.parts(1000, 6000, 1280)) > 5
