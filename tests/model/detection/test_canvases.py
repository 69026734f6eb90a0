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


@given(st.lists(st.tuples(st.integers(1, 1280), st.integers(1, 1280)), max_size=12), st.integers(1, 4))
def test_every_picture_is_processed_once_on_a_canvas_that_holds_it(sizes: list[tuple[int, int]], devices: int) -> None:
    shapes = [canvases.shape_for(*size) for size in sizes]
    found = canvases.rounds(shapes, devices)
    assert sorted(index for one in found for index in one.indices) == list(range(len(sizes)))
    for one in found:
        assert 1 <= len(one.indices) <= devices
        assert all(one.shape[0] >= shapes[index][0] and one.shape[1] >= shapes[index][1] for index in one.indices)


def test_pictures_of_two_shapes_share_a_canvas_where_that_costs_less() -> None:
    wide, wider = canvases.shape_for(960, 1280), canvases.shape_for(853, 1280)
    (one,) = canvases.rounds([wide, wider], 2)
    assert one.shape == wide and sorted(one.indices) == [0, 1]
    # A small picture has its own small canvas rather than half of a large round.
    small = canvases.shape_for(200, 200)
    assert len(canvases.rounds([wide, small], 1)) == 2


def test_pictures_lie_at_the_top_left_on_black() -> None:
    picture = np.full((3, 5, 3), 200, np.uint8)
    (empty, canvas) = canvases.place([picture], (32, 64), 2, [1])
    assert (canvas[:3, :5] == 200).all() and canvas.sum() == picture.sum() and not empty.any()


@given(st.lists(st.sampled_from([(200, 200), (480, 640), (640, 480)]), max_size=12), st.integers(1, 4))
def test_where_empty_canvases_cost_nothing_no_shapes_are_joined_and_devices_share_the_rest(
    shapes: list[tuple[int, int]], devices: int
) -> None:
    found = canvases.rounds(shapes, devices, joint=False)
    assert all(shapes[index] == one.shape for one in found for index in one.indices)
    assert sorted(index for one in found for index in one.indices) == list(range(len(shapes)))
    rows = [row for one in found for row in one.rows(devices)]
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
