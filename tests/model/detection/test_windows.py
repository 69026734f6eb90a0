"""Windows: every place that is to be seen closer is well inside of one, and few are made."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rollcall_model.detection import windows

Places = st.lists(st.tuples(st.integers(0, 1279), st.integers(0, 959)), max_size=60)


@given(Places)
def test_every_place_is_answered_for_by_a_window(places: list[tuple[int, int]]) -> None:
    centres = np.array(places, float).reshape(-1, 2)
    found = windows.cover(centres)
    answered = np.zeros(len(centres), bool)
    for window in found:
        # Also where the face, seen again, is some pixels beside the place.
        answered |= np.all([window.answers_for(centres + shift) for shift in (-7, 0, 7)], axis=0)
    assert answered.all()
    assert len(found) <= len(centres)


def test_a_group_of_faces_has_one_window_and_no_face_none() -> None:
    group = np.array([[300.0, 400.0], [350.0, 410.0], [410.0, 380.0]])
    assert len(windows.cover(group)) == 1
    assert windows.cover(np.zeros((0, 2))) == []


def test_a_window_shows_the_picture_and_beyond_its_border_nothing() -> None:
    picture = np.random.default_rng(0).integers(1, 256, (300, 200, 3)).astype(np.uint8)
    out = np.zeros((windows.SIDE, windows.SIDE, 3), np.float32)
    windows.cut(picture, windows.Window(-20, 150), out)
    np.testing.assert_array_equal(out[:150, 20:220], picture[150:, :200])
    assert not out[:, :20].any() and not out[150:].any() and not out[:, 220:].any()
