"""Videos: their size, length and time, single frames, and the frames that faces are looked for in.

FFmpeg works in a process that can be ended, see `media/video_file.py`, on few frames at a time: neither the file nor
all its frames are ever in memory.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

from rollcall.errors import NotAPictureError, NotEnoughMemoryError, TooLargeError, UnsupportedFormatError
from rollcall.media import formats, memory_budget, reading, video_time, worker
from rollcall.media.conversion import Pixels
from rollcall.media.formats import VIDEO_SUFFIXES, Format
from rollcall.media.job import Decoded, Job, Moments, NoVideo, Refused, TooManyPixels
from rollcall.media.video_file import HELD, NOTHING_TO_SEE, UNKNOWN_KIND
from rollcall.records import Picture, Video
from rollcall.sentences import Sentence
from rollcall.settings import DecodeSettings

#: What FFmpeg takes whatever the video.
_FIXED: Final = 48 << 20
#: Frames of one request.
_AT_ONCE: Final = 16
#: Where the picture of a video is taken before it was searched, in seconds: many begin dark or shaken.
_POSTER: Final = 1.0
#: Bytes a second that a file is read with at least, when its hash is computed.
_SLOWEST: Final = 4 << 20
#: Numbers of the readers of this process, see `Job.session`.
_SESSIONS: Final = count(1)


class Frame(NamedTuple):
    """A frame of a video: upright pixels (h, w, 3), uint8 RGB, and its time in seconds."""

    seconds: float
    pixels: Pixels


def is_video(path: Path) -> bool:
    """Return whether a file is taken for a video, by its suffix."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def refuse_without_extra(path: Path) -> None:
    """Raise an error if what reads videos is not installed.

    Raises
    ------
    UnsupportedFormatError
        Naming the extra to install.
    """
    extra = formats.missing_extra(Format.VIDEO)
    if extra:
        raise UnsupportedFormatError(
            path,
            Sentence("videos need an extra"),
            Sentence("install it with `pip install 'rollcall[%(extra)s]'`", extra=extra),
        )


def decode(
    path: Path,
    target: int | None,
    limits: DecodeSettings,
    abandoned: threading.Event | None = None,
    *,
    at: float | None = None,
) -> Picture:
    """Return one frame of a video, and what is known of the whole.

    With `at`, a time in seconds, the frame is the first from there on, and the content is not hashed.

    Raises
    ------
    UnreadableError, NotAPictureError, TooLargeError, UnsupportedFormatError
        If it cannot be shown.
    """
    info = reading.check(path)
    if not info.st_size:
        raise NotAPictureError(path, Sentence("the file is empty"))
    refuse_without_extra(path)
    digest = ""
    if at is None:
        digest = reading.digest(path, limits.max_seconds + info.st_size / _SLOWEST, reading.MOST_OF_A_VIDEO, abandoned)
    with closing(_Reader(path, target, limits, abandoned)) as reader:
        header = reader.read(None)
        assert header.frames is not None
        seconds = header.frames.seconds
        place = min(_POSTER, (seconds or 0.0) / 3) if at is None else at
        # Where key frames are close, the one that is wanted is decoded and no other (`sparse`).
        shown = reader.read(Moments(max(place, 0.0), exact=at is not None, sparse=True))
        if not len(shown.pixels) and place > 0:
            shown = reader.read(Moments(0.0))
    if not len(shown.pixels):
        raise NotAPictureError(
            path,
            Sentence("the video has no picture that can be shown"),
            Sentence("copy it again from where it came from"),
        )
    assert shown.frames is not None
    taken = video_time.find(path, dict(reversed(header.frames.tags)), info.st_mtime_ns)
    video = Video(seconds or 0.0, shown.frames.times[0])
    return Picture(path, shown.pixels[0], shown.width, shown.height, 1, digest, taken, video=video)


def frames(
    path: Path,
    target: int,
    limits: DecodeSettings,
    moments: Moments,
    abandoned: threading.Event | None = None,
) -> Iterator[Frame]:
    """Yield frames of a video in their order, from `moments.start` to `moments.end`; the next ones are read ahead.

    They are `moments.every` apart. With `moments.sparse` up to twice as far, where that saves decoding.

    Raises
    ------
    PictureError
        If nothing more can be read. `worker.Interrupted` once `abandoned` is set.
    """
    with (
        closing(_Reader(path, target, limits, abandoned)) as reader,
        ThreadPoolExecutor(1, thread_name_prefix="decode") as pool,
    ):
        reader.prepare()
        ahead: Future[Decoded] = pool.submit(reader.read, moments._replace(most=_AT_ONCE))
        while True:
            found = ahead.result()
            assert found.frames is not None
            start = found.frames.following if found.frames.times else None
            if start is not None:
                ahead = pool.submit(reader.read, moments._replace(most=_AT_ONCE, start=start))
            yield from map(Frame, found.frames.times, found.pixels)
            if start is None:
                return


class Between:
    """Fetches single frames of a video between those that were yielded, by key frames alone."""

    def __init__(
        self, path: Path, target: int, limits: DecodeSettings, every: float, abandoned: threading.Event | None = None
    ) -> None:
        """Prepare to read a video whose frames were asked for at an interval of `every` seconds."""
        self._reader, self._every = _Reader(path, target, limits, abandoned), every

    def close(self) -> None:
        """Close the video."""
        self._reader.close()

    def frame(self, after: float, before: float) -> Frame | None:
        """Return a key frame well inside two times, in seconds; None where there is none.

        Raises
        ------
        PictureError
            If it cannot be read.
        """
        margin = 0.25 * self._every
        if before - after < 1.5 * self._every:
            return None
        if self._reader.needed == _FIXED:
            self._reader.prepare()
        found = self._reader.read(Moments(after + margin, self._every, end=before - margin, sparse=True))
        assert found.frames is not None
        if not found.frames.times or not after < found.frames.times[0] < before:
            return None
        return Frame(found.frames.times[0], found.pixels[0])


class _Reader:
    """Asks the process for parts of one video, with the memory reserved that they take."""

    def __init__(
        self, path: Path, target: int | None, limits: DecodeSettings, abandoned: threading.Event | None
    ) -> None:
        self.path, self.limits, self.abandoned = path, limits, abandoned
        session = next(_SESSIONS)
        self.job = Job(Format.VIDEO, b"", target, limits.max_megapixels, path=str(path.absolute()), session=session)
        self.needed = _FIXED

    def close(self) -> None:
        """Have the video closed, which stays open between two requests."""
        worker.SHARED.end_session(self.job)

    def prepare(self) -> None:
        """Read the header, for what it says of the memory that frames take."""
        self.read(None)

    def read(self, moments: Moments | None) -> Decoded:
        """Return the header, or some frames.

        Raises
        ------
        PictureError
            If they cannot be read.
        """
        with memory_budget.SHARED.reserve(self.needed, self.path, self.limits.memory_megabytes):
            found = self._asked(self.job._replace(moments=moments, needed=self.needed))
        if moments is None:
            assert found.frames is not None
            pixels = found.width * found.height
            made = min(pixels, (self.job.target or 1 << 20) ** 2) * 3
            self.needed = _FIXED + pixels * 3 // 2 * (2 if found.frames.deep else 1) * HELD + made * (_AT_ONCE + 2)
        return found

    def _asked(self, job: Job) -> Decoded:
        ask: Callable[..., Decoded] = worker.SHARED.decode
        try:
            return ask(job, lenient=False, max_seconds=self.limits.max_seconds, abandoned=self.abandoned)
        except worker.Unavailable:
            from rollcall.media import decoders

            return self._here(lambda: decoders.decode(job._replace(session=0), lenient=False))
        except worker.TimedOut as error:
            raise reading.too_slow(self.path, "decoding", self.limits.max_seconds) from error
        except worker.Died as error:
            raise NotAPictureError(
                self.path,
                Sentence("opening this video failed"),
                Sentence("the file is probably damaged; copy it again"),
            ) from error
        except (Refused, TooManyPixels, MemoryError) as error:
            raise self._translated(error) from error

    def _here(self, ask: Callable[[], Decoded]) -> Decoded:
        """Decode in this process, where no other can be started."""
        try:
            return ask()
        except (Refused, TooManyPixels, MemoryError) as error:
            raise self._translated(error) from error

    def _translated(self, error: BaseException) -> NotAPictureError | TooLargeError:
        if isinstance(error, TooManyPixels):
            return TooLargeError(
                self.path,
                Sentence(
                    "a frame has %(megapixels)s megapixels, more than the limit of %(limit)s",
                    megapixels=f"{error.megapixels:.0f}",
                    limit=f"{self.limits.max_megapixels:g}",
                ),
                Sentence("raise the setting decode.max_megapixels if it is wanted"),
            )
        if isinstance(error, MemoryError):
            return NotEnoughMemoryError(
                self.path,
                Sentence("there is not enough memory to decode it"),
                Sentence("close other programs and retry"),
            )
        damaged = Sentence("the video is damaged and cannot be shown")
        reason = error.args[0] if isinstance(error, NoVideo) and error.args else damaged
        hint = Sentence("copy it again from where it came from")
        if reason == UNKNOWN_KIND:
            hint = Sentence("save it as MP4 with another program")
        elif reason in NOTHING_TO_SEE:
            hint = Sentence("leave it as it is: there is no picture to look at in it")
        return NotAPictureError(self.path, reason, hint)
