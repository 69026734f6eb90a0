"""Frames and facts of videos, sound ones and others."""

from __future__ import annotations

import io
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drawn import difference, quarters
from filmed import film, shade
from rollcall.errors import NotAPictureError, PictureError, TooLargeError
from rollcall.media import decode, live_photos, video
from rollcall.media.job import Moments
from rollcall.settings import DecodeSettings

av = pytest.importorskip("av")
H264 = {"codec": "libx264", "form": "yuv420p"}


def seconds(path: Path, every: float = 1.0, **values: float) -> list[float]:
    moments = Moments(every=every, **values)
    return [round(one.seconds, 2) for one in video.frames(path, 640, DecodeSettings(), moments)]


@pytest.mark.parametrize(("gop", "most"), [(10, 0.0), (100, 0.3)])
def test_frames_are_a_second_apart_however_far_apart_key_frames_are(tmp_path: Path, gop: int, most: float) -> None:
    path = film(tmp_path / "a.mp4", [shade(n) for n in range(60)], rate=10, gop=gop, **H264)
    found = seconds(path)
    assert len(found) == 6 and found[0] == 0
    assert np.abs(np.diff(found) - 1).max() <= most


def test_frames_are_read_in_portions_and_end_where_they_are_asked_to(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", [shade(n) for n in range(160)], rate=4, **H264)
    assert seconds(path) == list(range(40))
    assert seconds(path, end=5.0) == [0, 1, 2, 3, 4, 5]


def test_frames_of_a_variable_rate_are_taken_by_their_times(tmp_path: Path) -> None:
    times = [0, 0.1, 0.2, 0.9, 1.0, 1.1, 4.0, 4.1, 9.0]
    path = film(tmp_path / "a.mp4", [shade(n) for n in range(9)], times=times)
    assert seconds(path) == [0, 1.0, 4.0, 9.0]


@pytest.mark.parametrize("at", [0.0, 0.7, 1.3, 3.9])
def test_the_frame_at_a_time_is_the_one_that_is_shown_then(tmp_path: Path, at: float) -> None:
    path = film(tmp_path / "a.mp4", [shade(n) for n in range(40)], rate=10, gop=25, **H264)
    picture = decode.decode(path, at=at)
    assert picture.video is not None and picture.video.at == pytest.approx(at, abs=0.01)
    assert picture.pixels.mean() == pytest.approx(40 * at, abs=3)


@pytest.mark.parametrize(("turn", "turned"), [(0, 0), (90, 1), (-90, 3), (180, 2)])
def test_a_video_is_shown_as_its_display_matrix_turns_it(tmp_path: Path, turn: int, turned: int) -> None:
    path = film(tmp_path / "a.mov", [quarters()] * 4, turn=turn)
    picture = decode.decode(path)
    expected = np.rot90(quarters(), turned)
    assert (picture.height, picture.width) == expected.shape[:2]
    assert difference(picture.pixels, expected) <= 1


def test_size_length_and_content_are_known_and_frames_are_reduced(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [shade(n, 640, 360) for n in range(8)], **H264)
    picture = decode.decode(path, target=320)
    assert (picture.width, picture.height, picture.pixels.shape) == (640, 360, (180, 320, 3))
    assert picture.video is not None and picture.video.seconds == pytest.approx(2, abs=0.3)
    assert picture.content_hash == decode.content_hash(path) != ""


@pytest.mark.parametrize(
    ("name", "tags", "local", "offset", "source"),
    [
        (
            "a.mov",
            {"com.apple.quicktime.creationdate": "2019-06-12T10:15:00+0200"},
            "2019-06-12T10:15:00",
            120,
            "video",
        ),
        ("a.mp4", {"creation_time": "2019-06-12T08:15:00Z"}, "2019-06-12T08:15:00", 0, "video"),
        ("VID_20190612_101500.mp4", {"creation_time": "2019-06-12T08:15:07Z"}, "2019-06-12T10:15:07", 120, "video"),
        ("VID_20190612_101500.mp4", {}, "2019-06-12T10:15:00", None, "file name"),
        (
            "VID_20190612_101500.mp4",
            {"creation_time": "1904-01-01T00:00:00Z"},
            "2019-06-12T10:15:00",
            None,
            "file name",
        ),
    ],
)
def test_the_capture_time_is_that_of_the_container_or_the_name(
    tmp_path: Path, name: str, tags: dict[str, str], local: str, offset: int | None, source: str
) -> None:
    taken = decode.decode(film(tmp_path / name, [shade(5)] * 4, tags=tags)).taken
    assert taken is not None
    assert (taken.local, taken.offset_minutes, taken.source) == (datetime.fromisoformat(local), offset, source)


def test_without_any_time_it_is_that_of_the_file_which_is_a_guess(tmp_path: Path) -> None:
    taken = decode.decode(film(tmp_path / "a.mp4", [shade(5)] * 4)).taken
    assert taken is not None and taken.source == "file time" and taken.is_guess


def test_hdr_of_ten_bits_is_shown_and_neither_black_nor_white(tmp_path: Path) -> None:
    def pq(stream: object) -> None:
        stream.codec_context.color_trc = 16  # type: ignore[attr-defined]

    path = film(tmp_path / "a.mp4", [shade(32)] * 4, codec="libx265", form="yuv420p10le", set_up=pq)
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.format.name == "yuv420p10le"
    assert 60 < decode.decode(path).pixels.mean() < 250


def sound(path: Path) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=44_100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44_100
        out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def test_each_bad_video_is_refused_with_a_sentence(tmp_path: Path) -> None:
    whole = film(tmp_path / "a.mp4", [shade(n) for n in range(8)], **H264).read_bytes()
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])  # the index stands at the end
    (tmp_path / "text.mp4").write_text("no video\n" * 99)
    (tmp_path / "list.mp4").write_text(f"ffconcat version 1.0\nfile '{tmp_path / 'a.mp4'}'\n")
    (tmp_path / "play.mp4").write_text(f"#EXTM3U\n#EXTINF:1,\nfile://{tmp_path / 'a.mp4'}\n#EXT-X-ENDLIST\n")
    # FFmpeg has other words for each of these.
    codec = whole.rindex(b"avc1")  # of its only track
    (tmp_path / "codec.mp4").write_bytes(whole[:codec] + b"none" + whole[codec + 4 :])
    other = film(tmp_path / "b.mkv", [shade(n) for n in range(8)], **H264)
    (tmp_path / "few.mp4").write_bytes(other.read_bytes()[:100])
    sound(tmp_path / "sound.mp4")
    reasons = {}
    for name in ("empty", "cut", "text", "list", "play", "sound", "few", "codec"):
        with pytest.raises(NotAPictureError) as raised:
            decode.decode(tmp_path / f"{name}.mp4")
        reasons[name] = raised.value.reason
    assert reasons["empty"] == "the file is empty" and reasons["sound"] == "the file holds only sound"
    assert reasons["cut"] == reasons["few"] == "the video is damaged or not whole, so it cannot be opened"
    assert reasons["codec"] == "the video is of a kind that cannot be opened"
    # A list of other files is not followed.
    assert all(reasons[name].startswith("the ") for name in ("text", "list", "play"))


def test_of_a_video_that_breaks_off_the_beginning_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    film(path, [quarters()] * 80, gop=2, container={"movflags": "faststart"}, **H264)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    assert decode.decode(path).pixels.shape == quarters().shape
    assert 2 <= len(seconds(path)) < 20


def test_limits_of_size_and_time_hold(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [shade(n) for n in range(8)], **H264)
    with pytest.raises(TooLargeError, match=r"decode\.max_megapixels"):
        decode.decode(path, max_megapixels=0.001)
    with pytest.raises(PictureError, match="longer than"):
        decode.decode(path, limits=DecodeSettings(max_seconds=1e-9))
    assert decode.decode(path).width == 64


# ---- Live photos


def test_the_short_video_beside_a_still_is_its_moving_part(tmp_path: Path) -> None:
    short = film(tmp_path / "IMG_1.MOV", [shade(n) for n in range(8)])
    long = film(tmp_path / "IMG_2.MOV", [shade(n) for n in range(40)])
    named = film(
        tmp_path / "IMG_3.MOV",
        [shade(n) for n in range(40)],
        tags={"com.apple.quicktime.content.identifier": "8F2A"},
    )
    found = {
        path.name: live_photos.is_moving_part(path, path.stat().st_size, lambda _: True)
        for path in (short, long, named)
    }
    assert found == {"IMG_1.MOV": True, "IMG_2.MOV": False, "IMG_3.MOV": True}
    assert not live_photos.is_moving_part(short, short.stat().st_size, lambda _: False)


def test_the_still_of_a_motion_photo_is_what_is_shown(tmp_path: Path) -> None:
    still = io.BytesIO()
    Image.fromarray(quarters()).save(still, "JPEG", quality=95)
    moving = film(tmp_path / "part.mp4", [shade(n) for n in range(8)], **H264).read_bytes()
    path = tmp_path / "PXL_20210101_101112345.MP.jpg"
    path.write_bytes(still.getvalue() + moving)
    picture = decode.decode(path)
    assert picture.video is None and picture.warnings == ()
    assert difference(picture.pixels, quarters()) <= 3
