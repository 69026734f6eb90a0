"""A video's copy for guests: the same pictures, and nothing of where, when and by whom they were taken."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from filmed import blobs, film
from rollcall.errors import NotAPictureError, UnsupportedFormatError
from rollcall.media import bare_video, worker

av = pytest.importorskip("av")
FRAMES = [blobs((10 + 4 * number, 5, 0), seed=number) for number in range(12)]
SECRETS = (b"+48.1374", b"Anna", b"2023", b"x264", b"x265", b"CameraMaker")
TAGS = {
    "location": "+48.1374+011.5755/",
    "com.apple.quicktime.location.ISO6709": "+48.1374+011.5755/",
    "artist": "Anna",
    "make": "CameraMaker",
    "creation_time": "2023-06-10T12:00:00Z",
}


def copied(path: Path) -> Path:
    to = path.with_name(f"copy{bare_video.SUFFIXES[bare_video.form_of(path)]}")
    bare_video.copy(path, to, threading.Event())
    return to


def shown(path: Path) -> tuple[list[float], list[int], int]:
    """Return times and brightness of a video's frames, and what they are turned by."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return [one.time for one in frames], [int(one.to_ndarray().sum()) for one in frames], frames[0].rotation


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        ("libx264", ".mov"),
        ("libx265", ".mov"),
        ("libx265", ".mkv"),
        ("libvpx", ".webm"),
        ("libvpx-vp9", ".mkv"),
    ],
)
def test_the_copy_shows_the_same_and_tells_nothing(tmp_path: Path, codec: str, suffix: str) -> None:
    turn = 90 if suffix == ".mov" else 0
    options = {"deadline": "realtime"} if "vpx" in codec else {}
    path = film(tmp_path / f"a{suffix}", FRAMES, codec=codec, form="yuv420p", turn=turn, tags=TAGS, options=options)
    assert b"Anna" in path.read_bytes()
    copy = copied(path)
    assert shown(copy) == shown(path)
    data = copy.read_bytes()
    assert [one for one in SECRETS if one in data] == []
    if codec == "libx265":
        assert b"hvc1" in data  # the one name by which Safari plays it


def test_sound_is_kept_and_a_stream_of_places_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"

    def write(out: Any) -> None:
        video = out.add_stream("libx264", rate=4)
        video.width, video.height, video.pix_fmt = 200, 120, "yuv420p"
        sound = out.add_stream("aac", rate=8000)
        out.add_attachment("track.gpx", "application/gpx+xml", b"+48.1374")
        for number, pixels in enumerate(FRAMES):
            out.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            silence = av.AudioFrame(format="fltp", layout="mono", samples=2000)
            for plane in silence.planes:
                plane.update(bytes(plane.buffer_size))
            silence.sample_rate, silence.pts = 8000, 2000 * number
            out.mux(sound.encode(silence))
        for stream in (video, sound):
            out.mux(stream.encode())

    with av.open(str(path), "w") as out:
        write(out)
    assert b"+48.1374" in path.read_bytes()
    copy = copied(path)
    assert b"+48.1374" not in copy.read_bytes()
    with av.open(str(copy)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        heard = sum(frame.samples for frame in container.decode(audio=0))
    assert heard >= 2000 * len(FRAMES)


def test_what_cannot_be_made_bare_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mov", FRAMES, tags=TAGS)  # PNG pictures may tell anything
    with pytest.raises(UnsupportedFormatError, match="cannot be taken out"):
        bare_video.form_of(path)
    damaged = tmp_path / "b.mp4"
    damaged.write_bytes(b"\0\0\0\x18ftypisom none")
    with pytest.raises(NotAPictureError):
        bare_video.form_of(damaged)
    path = film(tmp_path / "c.mov", FRAMES, codec="libx264", form="yuv420p")
    abandoned = threading.Event()
    abandoned.set()
    with pytest.raises(worker.Interrupted):
        bare_video.copy(path, tmp_path / "copy.mp4", abandoned)
