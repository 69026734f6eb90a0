"""Videos as phones and old cameras write them: each is shown upright, with its own colours, at the right times."""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from drawn import difference, quarters
from filmed import film, shade
from rollcall.media import decode, video, video_file
from rollcall.media.formats import Format
from rollcall.media.job import Job, Moments
from rollcall.media.video_frames import SPARSE
from rollcall.settings import DecodeSettings

av = pytest.importorskip("av")
QUIET = {"x265-params": "log-level=none"}
H264 = {"codec": "libx264", "form": "yuv420p"}
HEVC = {"codec": "libx265", "form": "yuv420p10le", "options": QUIET}
RATE = 10


def frames(path: Path, *, sparse: bool = True, every: float = 1.0) -> list[tuple[float, float]]:
    """Return the times of the frames that a search looks at, in seconds, and how bright they are."""
    found = video.frames(path, 640, DecodeSettings(), Moments(every=every, sparse=sparse))
    return [(one.seconds, float(one.pixels.mean())) for one in found]


def drawn(path: Path, seconds: int = 5, **how: Any) -> Path:
    """Film frames whose brightness is 40 for each second."""
    if how["codec"] not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {how['codec']}")
    return film(path, [shade(n, 128, 96) for n in range(seconds * RATE)], rate=RATE, gop=RATE, **how)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("iphone.mov", HEVC),
        ("open_gop.mov", {**HEVC, "options": {"x265-params": "log-level=none:open-gop=1:bframes=4:b-adapt=0"}}),
        ("android.mp4", {"codec": "libx265", "form": "yuv420p", "options": QUIET}),
        ("b_frames.mp4", {**H264, "options": {"bf": "3", "b_strategy": "0"}}),
        ("screen.webm", {"codec": "libvpx-vp9", "form": "yuv420p"}),
        ("camera.avi", {"codec": "mjpeg", "form": "yuvj422p"}),
        ("old_phone.3gp", {"codec": "mpeg4", "form": "yuv420p"}),
        ("long_gop.mp4", {**H264, "options": {"sc_threshold": "0", "keyint": "250"}}),
    ],
)
def test_a_search_sees_the_beginning_and_every_two_seconds(tmp_path: Path, name: str, how: dict[str, Any]) -> None:
    found = frames(drawn(tmp_path / name, **how))
    times = [seconds for seconds, _ in found]
    assert times[0] == 0
    assert max(after - before for before, after in pairwise([*times, 5.0])) <= SPARSE + 2 / RATE
    assert all(brightness == pytest.approx(40 * seconds, abs=6) for seconds, brightness in found)


@pytest.mark.parametrize(("turn", "turned"), [(90, 1), (-90, 3), (180, 2)])
def test_a_ten_bit_video_held_upright_is_upright_in_every_way_it_is_read(
    tmp_path: Path, turn: int, turned: int
) -> None:
    path = film(tmp_path / "a.mov", [quarters()] * 20, rate=RATE, gop=RATE, turn=turn, **HEVC)  # type: ignore[arg-type]
    expected = np.rot90(quarters(), turned)
    pictures = [decode.decode(path).pixels, decode.decode(path, at=0.7).pixels]
    moments = Moments(every=1.0, sparse=True)
    pictures += [one.pixels for one in video.frames(path, 640, DecodeSettings(), moments)]
    assert len(pictures) >= 3
    assert all(one.shape == expected.shape and difference(one, expected) < 12 for one in pictures)


@pytest.mark.parametrize(("transfer", "low", "high"), [(18, 90, 200), (16, 60, 250)], ids=["HLG", "PQ"])
def test_hdr_of_phones_is_neither_black_nor_white(tmp_path: Path, transfer: int, low: int, high: int) -> None:
    def hdr(stream: Any) -> None:
        stream.codec_context.color_trc = transfer
        stream.codec_context.color_primaries, stream.codec_context.colorspace = 9, 9

    path = film(tmp_path / "a.mov", [shade(32)] * 4, set_up=hdr, **HEVC)  # type: ignore[arg-type]
    assert low < decode.decode(path).pixels.mean() < high


def test_times_of_a_video_that_was_trimmed_begin_with_what_is_left_of_it(tmp_path: Path) -> None:
    """Phones trim without encoding again: an edit list says that playing begins in the middle."""
    path = drawn(tmp_path / "a.mov", **H264)
    data = bytearray(path.read_bytes())
    entry = data.index(b"elst") + 12  # behind version, flags and count; then duration and where in the medium
    duration, start = struct.unpack_from(">II", data, entry)
    scale = start_scale(bytes(data))
    struct.pack_into(">II", data, entry, duration * 3 // 5, start + 2 * scale)
    path.write_bytes(data)
    found = frames(path)
    assert found[0] == (0, pytest.approx(80, abs=6))
    assert all(brightness == pytest.approx(80 + 40 * seconds, abs=6) for seconds, brightness in found)
    assert decode.decode(path, at=1.0).pixels.mean() == pytest.approx(120, abs=6)


def start_scale(data: bytes) -> int:
    """Return how many units of the medium's time a second has (`mdhd`, version 0)."""
    found: int = struct.unpack_from(">I", data, data.index(b"mdhd") + 16)[0]
    return found


def test_a_rate_that_changes_leaves_the_times_as_they_are(tmp_path: Path) -> None:
    """In the dark, phones expose longer: 30 frames a second become 10, and back."""
    times = np.cumsum([0.0] + [1 / 30] * 30 + [0.1] * 20 + [1 / 30] * 30)
    shades = [np.full((48, 64, 3), 40 * seconds, np.uint8) for seconds in times]
    path = film(tmp_path / "a.mp4", shades, rate=30, gop=20, times=times, **H264)
    found = frames(path)
    assert len(found) >= 3
    assert all(brightness == pytest.approx(40 * seconds, abs=6) for seconds, brightness in found)


# ---- The video stays open between the requests of a search


def holders(path: Path) -> int:
    """Return how many of the decoding processes have a file open."""
    children = psutil.Process().children(recursive=True)
    return sum(path.name in {Path(one.path).name for one in child.open_files()} for child in children)


@pytest.mark.parametrize(("gop", "looks"), [(20, 9), (35, 11)])
def test_frames_that_a_search_chooses_between_key_frames_are_whole(tmp_path: Path, gop: int, looks: int) -> None:
    """With frames out of order, a key frame is shown later than the index says, and needs none of those passed over."""
    moving = [np.roll(quarters(128, 96), 5 * n, axis=1) for n in range(8 * RATE)]
    options = {"bf": "3", "b_strategy": "0", "crf": "1", "sc_threshold": "0"}
    path = film(tmp_path / "a.mp4", moving, gop=gop, rate=RATE, **{**H264, "options": options})
    found = list(video.frames(path, 640, DecodeSettings(), Moments(sparse=True)))
    assert len(found) <= looks
    for one in found:
        assert difference(one.pixels, moving[round(one.seconds * RATE)]) < 8
    times = [one.seconds for one in found]
    assert max(after - before for before, after in zip(times, [*times[2:], 8.0], strict=False)) <= SPARSE + 1 / RATE


@pytest.mark.skipif(not Path("/proc").exists(), reason="open files of other processes are read from /proc")
def test_a_video_is_closed_when_its_search_ends_or_is_given_up(tmp_path: Path) -> None:
    path = drawn(tmp_path / "only_here.mp4", 20, **H264)
    reading = video.frames(path, 640, DecodeSettings(), Moments(every=0.2))
    next(reading)
    assert holders(path) == 1
    reading.close()  # type: ignore[attr-defined]
    assert holders(path) == 0
    assert frames(path, every=0.2)[-1][0] > 19
    decode.decode(path)
    assert holders(path) == 0


@pytest.mark.parametrize("gop", [5, 250])
def test_what_follows_is_the_same_in_an_open_video_and_in_one_that_is_opened_again(tmp_path: Path, gop: int) -> None:
    path = film(tmp_path / "a.mp4", [shade(n) for n in range(60)], rate=RATE, gop=gop, **H264)
    found = {}
    for session in (0, 7):
        times: list[float] = []
        moments = Moments(every=1.0, most=2)
        while True:
            part = video_file.decode(
                Job(Format.VIDEO, b"", 64, path=str(path), moments=moments, session=session)
            ).frames
            assert part is not None
            times += part.times
            if part.following is None:
                break
            moments = moments._replace(start=part.following)
        found[session] = times
        video_file.forget(session)
    assert len(found[7]) == 6
    assert found[0] == found[7]
