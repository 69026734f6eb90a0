"""Read the header and some frames of a video by FFmpeg; done in a process that can be ended.

Only the demuxers of the known suffixes are used, and nothing but the file itself is opened, whatever it refers to.

To go on in the middle of a video FFmpeg decodes from the key frame before. So the file of a search (`Job.session`)
stays open, and the next request goes on where the one before left it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import PurePath
from typing import Any, Final

import numpy as np

from rollcall.media.conversion import Pixels
from rollcall.media.job import Decoded, Frames, Job, Moments, NoVideo, check_size
from rollcall.media.video_frames import Sampler, square_width, upright_pixels
from rollcall.sentences import Sentence

_DAMAGED: Final = Sentence("the video is damaged or not whole, so it cannot be opened")
UNKNOWN_KIND: Final = Sentence("the video is of a kind that cannot be opened")
_ONLY_SOUND: Final = Sentence("the file holds only sound")
_NO_VIDEO: Final = Sentence("the file holds no video")
#: Reasons that are no fault of the file.
NOTHING_TO_SEE: Final = (_ONLY_SOUND, _NO_VIDEO)
DEMUXERS: Final = "mov,mp4,matroska,webm,avi"
BUFFER: Final = 1 << 20
#: Suffixes of files whose header tells the times of all frames.
_TELLING: Final = {".mp4", ".m4v", ".mov", ".3gp"}
#: Profiles of H.264.
_EIGHT_BITS: Final = {"Baseline", "Main", "Extended", "High"}
_MOST_PIXELS_A_SIDE: Final = 65_536
#: Frames that a decoder holds at once: those that others refer to, and those whose turn has not come; of key frames
#: alone, which refer to none, the latter.
HELD: Final = 20
_HELD_OF_KEYS: Final = 4
#: Files whose decoder holds more bytes are not kept open: nobody reserves memory for them between two requests.
_MOST_KEPT: Final = 64 << 20
#: More open files than a search needs, and than searches of one process leave behind.
_MOST_SESSIONS: Final = 4


def decode(job: Job) -> Decoded:
    """Return frames of a video, upright, (n, h, w, 3), and what its header says; no frames where none are asked for.

    `width` and `height` are those of the upright picture in square pixels.

    Raises
    ------
    NoVideo
        If the file has no picture that can be shown; its text is the end of a sentence.
    TooManyPixels
        If its pictures have more than they may have.
    """
    if job.ends_session:
        forget(job.session)
        return Decoded(np.zeros((0, 1, 1, 3), np.uint8), 0, 0)
    file = _KEPT.pop(job.session, None) or _File(job)
    try:
        with _translated():
            answer = file.answer(job)
    except BaseException:
        file.close()
        raise
    if job.session and file.held <= _MOST_KEPT:
        _KEPT[job.session] = file
        while len(_KEPT) > _MOST_SESSIONS:
            _KEPT.pop(next(iter(_KEPT))).close()
    else:
        file.close()
    return answer


def forget(session: int) -> None:
    """Close the file of a session, if it is open."""
    file = _KEPT.pop(session, None)
    if file is not None:
        file.close()


@contextmanager
def _translated() -> Iterator[None]:
    import av

    try:
        yield
    except MemoryError:
        raise
    except av.error.DecoderNotFoundError as error:
        raise NoVideo(UNKNOWN_KIND) from error
    except av.error.FFmpegError as error:
        # Whatever it is called there ("End of file", "Not yet implemented"): what the system says comes as the others.
        raise NoVideo(_DAMAGED) from error
    except (OSError, ValueError) as error:
        reason = str(getattr(error, "strerror", None) or error)
        raise NoVideo(Sentence("the video cannot be read (%(reason)s)", reason=reason)) from error


class _File:
    """An open video."""

    def __init__(self, job: Job) -> None:
        """Open the file of a job.

        Raises
        ------
        NoVideo, TooManyPixels
            As `decode` does.
        """
        import av

        av.logging.set_level(None)
        self.sampler: Sampler | None = None
        self.frames: Iterator[tuple[float, Any]] = iter(())
        self.is_fresh = True  # nothing was read but the header
        self.reformatter = av.video.reformatter.VideoReformatter()
        with ExitStack() as opened, _translated():
            # A file object has no address that other addresses could be relative to.
            file = opened.enter_context(open(job.path, "rb", buffering=0))  # noqa: PTH123 (a name that is no UTF-8)
            options = {"format_whitelist": DEMUXERS, "enable_drefs": "0"}
            if PurePath(job.path).suffix.lower() in _TELLING:
                # Of H.264 FFmpeg decodes the first frame otherwise, for what the index of these files says.
                options["skip_frame"] = "all"
            self.container = opened.enter_context(
                av.open(file, options=options, buffer_size=BUFFER, metadata_errors="replace")
            )
            self.stream = video_stream(self.container)
            context = self.stream.codec_context
            if context is None:
                raise NoVideo(UNKNOWN_KIND)
            width, height = int(context.width), int(context.height)
            if not (0 < width <= _MOST_PIXELS_A_SIDE and 0 < height <= _MOST_PIXELS_A_SIDE):
                raise NoVideo(_DAMAGED)
            check_size(job, width, height)
            self.width, self.height = square_width(width, self.stream), height
            length, deep = _length(self.container, self.stream), _is_deep(context)
            self.header = Frames(length, tags=tuple(_tags(self.container, self.stream)), deep=deep)
            self._frame_bytes = width * height * 3 // 2 * (2 if deep else 1)
            self._opened = opened.pop_all()

    @property
    def held(self) -> int:
        """The bytes that the decoder holds between two requests."""
        if self.is_fresh:
            return 0
        keys_alone = self.sampler is not None and self.sampler.chosen is not None
        return self._frame_bytes * (_HELD_OF_KEYS if keys_alone else HELD)

    def close(self) -> None:
        """Close the file; a second time changes nothing."""
        self.frames, self.sampler = iter(()), None
        self._opened.close()

    def answer(self, job: Job) -> Decoded:
        """Return what `decode` does."""
        if job.moments is None:
            return Decoded(np.zeros((0, 1, 1, 3), np.uint8), self.width, self.height, frames=self.header)
        if self.sampler is None or not self.sampler.goes_on_with(job.moments):
            self.sampler = Sampler(self.container, self.stream, job.moments, self.header.seconds, self.is_fresh)
            self.frames = self.sampler.frames()
        self.is_fresh = False
        return self._sampled(self.sampler, job.moments, job.target)

    def _sampled(self, sampler: Sampler, moments: Moments, target: int | None) -> Decoded:
        pictures: list[Pixels] = []
        times: list[float] = []
        size = (0, 0)
        found = self.header
        for seconds, frame in itertools.islice(self.frames, moments.most):
            pixels, size = upright_pixels(frame, self.stream, target, self.reformatter)
            if pictures and pixels.shape != pictures[0].shape:
                continue  # a stream that changes its size: the frames of one answer are of one
            pictures.append(pixels)
            times.append(seconds)
        if sampler.chosen is not None:
            found = found._replace(following=sampler.chosen.following)
        elif moments.most > 1:
            # One more than is wanted tells whether there are more.
            due, following = sampler.due, next(self.frames, None)
            if following is not None:
                self.frames = itertools.chain([following], self.frames)
                sampler.following = due
                found = found._replace(following=sampler.following)
        return _answer(pictures, size, found._replace(times=tuple(times)))


#: The files that are open for another request, by the session, the oldest first.
_KEPT: Final[dict[int, _File]] = {}


def video_stream(container: Any) -> Any:
    """Return the first stream with pictures.

    Raises
    ------
    NoVideo
        If there is none.
    """
    if not len(container.streams):
        raise NoVideo(_DAMAGED)
    stream = next((one for one in container.streams.video if not _is_cover(one)), None)
    if stream is None:
        raise NoVideo(_ONLY_SOUND if container.streams.audio else _NO_VIDEO)
    return stream


def _is_cover(stream: Any) -> bool:
    """Return whether a stream is the picture on a record's sleeve."""
    return "attached_pic" in str(stream.disposition).lower()


def _is_deep(context: Any) -> bool:
    """Return whether samples have more than eight bits; the profile tells it before a frame was decoded."""
    shape = context.format
    if shape is None:
        return str(context.profile).removeprefix("Constrained ") not in _EIGHT_BITS
    return any(one.bits > 8 for one in shape.components)


def _tags(container: Any, stream: Any) -> Iterator[tuple[str, str]]:
    for name, value in itertools.chain(container.metadata.items(), stream.metadata.items()):
        yield name.lower()[:100], value[:200]


def _length(container: Any, stream: Any) -> float | None:
    """Return the length in seconds; None where neither header nor packets tell it."""
    if container.duration and container.duration > 0:
        return float(container.duration) / 1e6
    if stream.duration and stream.duration > 0:
        return float(stream.duration * stream.time_base)
    return None


def _answer(pictures: list[Pixels], size: tuple[int, int], frames: Frames) -> Decoded:
    pixels = np.stack(pictures) if pictures else np.zeros((0, 1, 1, 3), np.uint8)
    return Decoded(pixels, *size, turned=True, frames=frames)
