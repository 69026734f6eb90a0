"""Windows: every place that is to be seen closer is well inside of one, and few are made."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall_model.detection import windows

Places = st.lists(st.tuples(st.integers(0, 1279), st.integers(0, 959)), max_size=60)


@given(Places)
def test_every_place_is_answered_for_by_a_window(places: list[tuple[int, int]]) -> None:
    centres = np.array(places, float).reshape(-1, 2)
    found = windows.cover(centres)
    assert found is not None
    answered = np.zeros(len(centres), bool)
    for window in found:
        # Also where the face, seen again, is some pixels beside the place.
        answered |= np.all([window.answers_for(centres + shift) for shift in (-7, 0, 7)], axis=0)
    assert answered.all()
    assert len(found) <= len(centres)


def test_a_group_of_faces_has_one_window_a_single_face_a_small_one_and_no_face_none() -> None:
    group = np.array([[300.0, 400.0], [350.0, 410.0], [410.0, 380.0], [360.0, 470.0]])

    def sides(places: np.ndarray) -> list[int]:
        return [window.side for window in windows.cover(places) or []]

    assert sides(group) == [windows.LARGE]
    assert sides(group[:1]) == [windows.SMALL]
    assert sides(group[[0, 2]]) == [windows.SMALL] * 2
    assert windows.cover(np.zeros((0, 2))) == []


@given(Places, st.integers(0, 40 * windows.LARGE**2))
def test_windows_with_too_many_pixels_are_none(places: list[tuple[int, int]], most: int) -> None:
    centres = np.array(places, float).reshape(-1, 2)
    found = windows.cover(centres)
    assert found is not None
    pixels = sum(window.side**2 for window in found)
    assert windows.cover(centres, most) == (found if pixels <= most else None)


def test_a_crowd_is_covered_only_until_it_is_known_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    crowd = np.stack(np.meshgrid(np.arange(0, 1280, 20), np.arange(0, 960, 20)), axis=-1).reshape(-1, 2).astype(float)
    made: list[np.ndarray] = []
    around = windows._around
    monkeypatch.setattr(windows, "_around", lambda places, side: made.append(places) or around(places, side))
    everything = windows.cover(crowd)
    # One large window takes the place of many small ones.
    assert everything is not None
    assert {window.side for window in everything} == {windows.LARGE}
    made.clear()
    assert windows.cover(crowd, 0.8 * 1280 * 960) is None
    assert len(made) < len(everything) / 2


def test_a_window_shows_the_picture_and_beyond_its_border_nothing() -> None:
    picture = np.random.default_rng(0).integers(1, 256, (300, 200, 3)).astype(np.uint8)
    out = np.zeros((224, 224, 3), np.float32)
    windows.cut(picture, (300, 200), windows.Window(-20, 150, 224), out)
    np.testing.assert_array_equal(out[:150, 20:220], picture[150:, :200])
    assert not out[:, :20].any() and not out[150:].any() and not out[:, 220:].any()


@pytest.mark.parametrize("corner", [(40, 30), (-20, 150), (110, -9)])
def test_a_window_of_a_larger_picture_shows_what_the_reduced_one_has_there(corner: tuple[int, int]) -> None:
    small = np.random.default_rng(1).integers(1, 256, (25, 20, 3)).astype(np.uint8)
    picture = cv2.resize(small, (320, 400), interpolation=cv2.INTER_CUBIC)
    reduced = cv2.resize(picture, (200, 250), interpolation=cv2.INTER_LINEAR)
    expected, out = np.zeros((2, 128, 128, 3), np.float32)
    window = windows.Window(*corner, 128)
    windows.cut(reduced, (250, 200), window, expected)
    windows.cut(picture, (250, 200), window, out)
    np.testing.assert_array_equal(out.any(axis=2), expected.any(axis=2))
    assert np.abs(out - expected).max() <= 2
