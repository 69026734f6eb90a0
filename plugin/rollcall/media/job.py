"""What travels between `decode`, the decoders and the process that some of them run in."""

from __future__ import annotations

from typing import NamedTuple

from rollcall.media.conversion import Pixels
from rollcall.media.formats import Format


class Moments(NamedTuple):
    """Which frames of a video are wanted, in seconds from its beginning."""

    start: float = 0.0
    every: float = 1.0
    most: int = 1
    exact: bool = False  # the first frame at `start`, whatever it takes; else key frames where they are close enough
    end: float = float("inf")
    sparse: bool = False  # where key frames are close enough, no more of them than keep two intervals apart at most


class Frames(NamedTuple):
    """What was read of a video."""

    seconds: float | None  # its length; None where nothing tells it
    times: tuple[float, ...] = ()  # of the frames, in seconds from the beginning
    following: float | None = None  # where the next frames are asked for; None if there are none
    tags: tuple[tuple[str, str], ...] = ()  # of the container
    deep: bool = False  # more than 8 bits a sample


class Job(NamedTuple):
    """A file to decode."""

    kind: Format
    data: bytes
    target: int | None = None  # pixels that the longest side keeps when the picture is reduced
    max_megapixels: float = 300.0
    most: int | None = None  # pixels that the longest side of what is returned has at most
    needed: int = 0  # bytes of memory that were estimated
    path: str = ""  # of what another process reads itself: a video, in parts, or a large file, whose bytes are not sent
    digest: str = ""  # of the file: what is read later must have it
    lacks_scan: bool = False  # a large JPEG that ends before its picture begins
    moments: Moments | None = None  # None: only what the header of a video says
    #: Requests of one number go on where the one before left the video, which stays open; 0: it is closed at once.
    session: int = 0
    ends_session: bool = False  # nothing is wanted but that the video is closed


class Decoded(NamedTuple):
    """A decoded picture, as stored or, where `turned`, upright."""

    pixels: Pixels  # uint8 RGB (h, w, 3), possibly reduced
    width: int  # of the whole picture, in pixels, turned as `pixels` are
    height: int
    turned: bool = False
    exif: bytes = b""  # a block that only the decoder can unpack
    warnings: tuple[str, ...] = ()
    frames: Frames | None = None  # of a video, whose pixels are (n, h, w, 3)


class Refused(Exception):
    """No decoder can show anything of the file; holds their messages, for the log."""


class Changed(Exception):
    """A file has other bytes than when it was read first."""


class NoVideo(Refused):
    """A video that cannot be shown; holds why, as the end of a sentence."""


class TooManyPixels(Exception):
    """The picture has more pixels than it may have."""

    def __init__(self, megapixels: float) -> None:
        self.megapixels = megapixels
        super().__init__(megapixels)


def check_size(job: Job, width: int, height: int) -> None:
    """Raise `TooManyPixels` for a picture above the limit."""
    megapixels = width * height / 1e6
    if megapixels > job.max_megapixels:
        raise TooManyPixels(megapixels)
