"""When a changed file is given out: once it is still, and later if it seems to be cut off."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import features

from drawn import encoded, need, quarters
from rollcall.indexing import hints
from rollcall.indexing.hints import HintQueue
from rollcall.media import completeness


class Clock:
    """A time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(hints.time, "monotonic", made.monotonic)
    return made


def given_after(queue: HintQueue, clock: Clock, most: float) -> float | None:
    """Return after how many seconds a path is given out; None if it is not within `most`."""
    began = clock.now
    while clock.now < began + most:
        if queue.take_settled()[0]:
            return clock.now - began
        clock.now += 0.25
    return None


def test_a_whole_file_is_given_out_as_soon_as_it_is_still(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(quarters(), "JPEG"))
    queue = HintQueue(0.5)
    queue.add(path)
    assert given_after(queue, clock, 60) == 0.5


def test_a_file_that_seems_to_be_cut_off_waits_for_the_rest(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "a.jpg"
    data = encoded(quarters(), "JPEG")
    path.write_bytes(data[:300])
    queue = HintQueue(0.5)
    queue.add(path, closed=True)
    assert given_after(queue, clock, hints.INCOMPLETE_SECONDS) is None
    path.write_bytes(data)
    queue.add(path, closed=True)
    waited = given_after(queue, clock, 60)
    assert waited is not None and waited <= 0.5


def test_the_longer_the_pauses_of_a_file_the_longer_it_waits(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "a.jpg"
    data = encoded(quarters(), "JPEG")
    queue = HintQueue(0.5)
    for part in (200, 300, 400):
        path.write_bytes(data[:part])
        queue.add(path)
        clock.now += 4  # shorter than a file that is cut off waits
        assert queue.take_settled()[0] == []
    waited = given_after(queue, clock, 60)
    assert waited is not None and 4 < waited <= 8
    # It goes on after it was taken for still: that pause counts, too.
    path.write_bytes(data[:500])
    queue.add(path)
    assert given_after(queue, clock, 20) is None
    assert given_after(queue, clock, 20) is not None


def test_a_whole_file_that_is_cut_off_much_later_waits_no_longer_than_a_new_one(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "a.jpg"
    data = encoded(quarters(), "JPEG")
    path.write_bytes(data)
    queue = HintQueue(0.5)
    queue.add(path)
    assert given_after(queue, clock, 60) == 0.5
    clock.now += 3600  # no pause in writing it: it was all there
    path.write_bytes(data[:300])
    queue.add(path, closed=True)
    assert given_after(queue, clock, 60) == hints.INCOMPLETE_SECONDS


@pytest.mark.parametrize(
    "format_name", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "JPEG2000", "AVIF", "HEIF", "JXL"]
)
def test_files_of_every_format_tell_whether_they_are_whole(format_name: str, tmp_path: Path) -> None:
    need(format_name)
    if format_name == "JPEG2000" and not features.check("jpg_2000"):
        pytest.skip("this Pillow has no JPEG 2000")
    path = tmp_path / "a"
    data = encoded(quarters(), format_name)
    path.write_bytes(data)
    assert completeness.ends_early(path) is False
    if format_name in ("TIFF", "JXL"):  # a TIFF's directory is before its pixels here, a bare codestream tells nothing
        return
    path.write_bytes(data[: len(data) * 2 // 3])
    assert completeness.ends_early(path) is True


def test_a_file_with_room_for_the_rest_is_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(encoded(quarters(), "TIFF")[:-50] + bytes(8000))
    assert completeness.ends_early(path) is True
    path.write_bytes(b"")
    assert completeness.ends_early(path) is True
    assert completeness.ends_early(tmp_path / "nothing") is False
