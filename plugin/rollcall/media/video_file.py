"""Read the header and some frames of a video by FFmpeg; done in a process that can be ended.

Key frames alone are decoded where they are close enough. Where they are not, so are the frames between them that
others refer to, up to the last one that is wanted. Only the demuxers of the known suffixes are used, and nothing but
the file itself is opened, whatever it refers to.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

from rollcall.media.conversion import Pixels
from rollcall.media.job import Decoded, Frames, Job, Moments, NoVideo, check_size
from rollcall.media.orientation import swaps_sides, upright
from rollcall.sentences import Sentence

_NO_INDEX: Final = Sentence("the video is damaged or truncated: its index cannot be read")
_DEMUXERS: Final = "mov,mp4,matroska,webm,avi"
_BUFFER: Final = 1 << 20
#: A key frame is taken that is up to so much of the interval before its time: phones do not count evenly.
_EARLY: Final = 0.25
#: Key frames stand for all frames if they are no further apart than so many intervals.
_CLOSE: Final = 1.5
#: Sparse frames are no further apart than so many intervals: two, and what a rate of 29.97 a second adds.
SPARSE: Final = 2.02
#: After so many packets that cannot be decoded a video is taken for damaged.
_MOST_ERRORS: Final = 500
#: So many packets are looked at for the length of a video that does not tell it.
_MOST_PACKETS: Final = 2_000_000
#: The transfer function of HDR10 (ITU-T H.273); HLG's can be shown as it is.
_PQ: Final = 16
_SHOWN_NITS: Final = 300.0
_MOST_PIXELS_A_SIDE: Final = 65_536


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
    with _opened(job.path) as container:
        stream = next((one for one in container.streams.video if not _is_cover(one)), None)
        if not len(container.streams):
            raise NoVideo(_NO_INDEX)
        if stream is None:
            raise NoVideo(
                Sentence("the file holds only sound")
                if container.streams.audio
                else Sentence("the file holds no video")
            )
        context = stream.codec_context
        width, height = context.width, context.height
        if not (0 < width <= _MOST_PIXELS_A_SIDE and 0 < height <= _MOST_PIXELS_A_SIDE):
            raise NoVideo(Sentence("the video is damaged: its header gives no size"))
        check_size(job, width, height)
        width = _square(width, stream)
        found = Frames(_length(container, stream), tags=tuple(_tags(container, stream)), deep=_is_deep(context))
        if job.moments is None:
            return Decoded(np.zeros((0, 1, 1, 3), np.uint8), width, height, frames=found)
        return _sampled(container, stream, job, found)


@contextmanager
def _opened(path: str) -> Iterator[Any]:
    import av

    av.logging.set_level(None)
    try:
        # A file object has no address that other addresses could be relative to.
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 (a name with bytes that are no UTF-8)
            options = {"format_whitelist": _DEMUXERS, "enable_drefs": "0"}
            with av.open(file, options=options, buffer_size=_BUFFER, metadata_errors="replace") as container:
                yield container
    except av.error.InvalidDataError as error:
        raise NoVideo(_NO_INDEX) from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = str(getattr(error, "strerror", None) or error)
        raise NoVideo(Sentence("the video cannot be read (%(reason)s)", reason=reason)) from error


def _is_cover(stream: Any) -> bool:
    """Return whether a stream is the picture on a record's sleeve."""
    return "attached_pic" in str(stream.disposition).lower()


def _square(width: int, stream: Any) -> int:
    ratio = stream.sample_aspect_ratio
    if not ratio or not 0.1 < float(ratio) < 10:
        return width
    return max(round(width * float(ratio)), 1)


def _is_deep(context: Any) -> bool:
    shape = context.format
    return shape is not None and any(one.bits > 8 for one in shape.components)


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


def _origin(container: Any) -> float:
    """Return the time stamp that players call zero."""
    start = container.start_time
    return max(float(start) / 1e6, 0.0) if start else 0.0


def _key_times(stream: Any, origin: float) -> list[float]:
    """Return the times of the key frames, if the file has an index of them."""
    entries = getattr(stream, "index_entries", None) or ()
    base = float(stream.time_base)
    return sorted(entry.timestamp * base - origin for entry in entries if entry.is_keyframe)


def _sampled(container: Any, stream: Any, job: Job, found: Frames) -> Decoded:
    moments = job.moments
    assert moments is not None
    sampler = _Sampler(container, stream, moments, found.seconds)
    pictures: list[Pixels] = []
    times: list[float] = []
    size = (0, 0)
    # One more than is wanted tells whether there are more, unless the index does.
    for seconds, frame in itertools.islice(sampler.frames(), moments.most + 1):
        if len(pictures) == moments.most:
            found = found._replace(following=times[-1] + moments.every)
            break
        pixels, size = _upright(frame, stream, job.target)
        if pictures and pixels.shape != pictures[0].shape:
            continue  # a stream that changes its size: the frames of one answer are of one
        pictures.append(pixels)
        times.append(seconds)
    if sampler.chosen is not None:
        found = found._replace(following=sampler.chosen.following)
    return _answer(pictures, size, found._replace(times=tuple(times)))


def _answer(pictures: list[Pixels], size: tuple[int, int], frames: Frames) -> Decoded:
    pixels = np.stack(pictures) if pictures else np.zeros((0, 1, 1, 3), np.uint8)
    return Decoded(pixels, *size, turned=True, frames=frames)


class _Chosen:
    """The key frames that a sparse search decodes, by the index of the file."""

    def __init__(self, keys: list[float], moments: Moments) -> None:
        self._keys, reach = keys, SPARSE * moments.every
        self._left: set[int] = set()
        self.following: float | None = None  # the time of the first one that the next request begins with
        place = bisect_left(keys, moments.start - 1e-3) if moments.start > 0 else 0
        while place < len(keys) and keys[place] <= moments.end:
            if len(self._left) == moments.most:
                self.following = keys[place]
                break
            self._left.add(place)
            place = max(bisect_right(keys, keys[place] + reach) - 1, place + 1)

    def takes(self, seconds: float) -> bool:
        """Return whether the key frame at a time is wanted; each is once."""
        place = bisect_left(self._keys, seconds)
        # Some indices have the order of decoding, a little before that of showing.
        near = min(
            range(max(place - 1, 0), min(place + 1, len(self._keys))), key=lambda i: abs(self._keys[i] - seconds)
        )
        if near not in self._left:
            return False
        self._left.remove(near)
        return True

    @property
    def is_done(self) -> bool:
        """Whether all have been met."""
        return not self._left


class _Sampler:
    """Chooses and decodes the frames of one request."""

    def __init__(self, container: Any, stream: Any, moments: Moments, length: float | None) -> None:
        self.container, self.stream, self.moments = container, stream, moments
        self.origin = _origin(container)
        self.keys = _key_times(stream, self.origin)
        ends = [*self.keys[1:], length or 0.0]
        self.close = bool(self.keys) and all(
            after - key <= _CLOSE * moments.every for key, after in zip(self.keys, ends, strict=True)
        )
        sparse = moments.sparse and self.close and not moments.exact
        self.chosen = _Chosen(self.keys, moments) if sparse else None

    def frames(self) -> Iterator[tuple[float, Any]]:
        """Yield the frames that are wanted with their times, and go on behind the last one that was asked for."""
        import av

        context, moments = self.stream.codec_context, self.moments
        context.thread_count = 1
        if not moments.exact:
            context.skip_frame = "NONKEY" if self.close else "NONREF"
            context.options = {"skip_loop_filter": "all"}
        if moments.start > 0:
            place = int((moments.start + self.origin) / float(self.stream.time_base))
            self.container.seek(place, stream=self.stream, backward=True)
        due, errors = moments.start, 0
        early = _EARLY * moments.every if self.close and not moments.exact else 1e-3
        if self.chosen is not None:
            early = float("inf")
        for packet in self._packets():
            if not self._is_wanted(packet, due, early):
                continue
            try:
                frames = self.stream.decode(packet)
            except av.error.FFmpegError:
                errors += 1
                if errors > _MOST_ERRORS:
                    return
                continue
            for frame in frames:
                seconds = self._time(frame)
                if seconds is None or seconds < due - early:
                    continue
                if seconds > moments.end and self.chosen is None:
                    return
                yield seconds, frame
                # A gap in the time stamps is no reason for several frames at once.
                due = max(due + moments.every, seconds + (1 - _EARLY) * moments.every)

    def _packets(self) -> Iterator[Any]:
        """Yield the packets that are there; of chosen key frames, those alone."""
        import av

        try:
            packets = self.container.demux(self.stream)
            yield from packets if self.chosen is None else self._chosen_packets(packets, self.chosen)
        except av.error.FFmpegError:
            return  # cut off: what was there was shown

    def _chosen_packets(self, packets: Iterator[Any], chosen: _Chosen) -> Iterator[Any]:
        for packet in packets:
            seconds = self._time(packet)
            if not packet.size or (packet.is_keyframe and seconds is not None and chosen.takes(seconds)):
                yield packet
            if chosen.is_done:
                yield None  # fetches what the decoder still holds
                return

    def _is_wanted(self, packet: Any, due: float, early: float) -> bool:
        """Return whether a packet has to be decoded; all others are passed over."""
        if self.chosen is not None or packet.size == 0 or packet.is_keyframe or self.moments.exact:
            return True  # the empty one at the end fetches what the decoder still holds
        if self.close:
            return False
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None or not self.keys:
            return True
        here = float(stamp * packet.time_base) - self.origin
        after = bisect_right(self.keys, here + 1e-6)
        # Nothing is wanted before the next key frame.
        return after >= len(self.keys) or due - early < self.keys[after] - early

    def _time(self, frame: Any) -> float | None:
        stamp = frame.pts if frame.pts is not None else frame.dts
        if stamp is None:
            return None
        seconds = float(stamp * (frame.time_base or self.stream.time_base)) - self.origin
        return max(seconds, 0.0) if seconds > -1 else None


def _upright(frame: Any, stream: Any, target: int | None) -> tuple[Pixels, tuple[int, int]]:
    """Return a frame's pixels, upright and reduced, and the size of the whole upright picture."""
    width, height = _square(frame.width, stream), frame.height
    scale = min((target or max(width, height)) / max(width, height), 1.0)
    shown = max(round(width * scale), 1), max(round(height * scale), 1)
    deep = frame.color_trc == _PQ
    pixels = frame.reformat(*shown, format="rgb48le" if deep else "rgb24", interpolation="BILINEAR").to_ndarray()
    if deep:
        pixels = _tone_curve()[pixels]
    turn = _orientation(frame)
    size = (height, width) if swaps_sides(turn) else (width, height)
    return np.ascontiguousarray(upright(pixels, turn)), size


def _tone_curve() -> Pixels:
    """Return the 8-bit value of each 16-bit one of HDR10 (SMPTE ST 2084): light above the screen's is compressed."""
    signal = np.linspace(0, 1, 65_536)
    root = signal ** (1 / 78.84375)
    light = 10_000 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
    shown = light / _SHOWN_NITS
    return np.asarray(np.rint(255 * (shown / (1 + shown) * 1.25).clip(0, 1) ** (1 / 2.2)), np.uint8)


def _orientation(frame: Any) -> int:
    """Return the display matrix (ISO/IEC 14496-12, 6.2.2) as an EXIF orientation; other angles become the nearest."""
    matrix = next((one for one in frame.side_data if "DISPLAYMATRIX" in str(one.type)), None)
    if matrix is None or matrix.buffer_size < 36:
        return 1
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32, 5).tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return {(1, 1): 1, (0, 1): 2, (0, 0): 3, (1, 0): 4}[a >= 0, d >= 0]
    return {(1, 1): 5, (1, 0): 6, (0, 0): 7, (0, 1): 8}[b >= 0, c >= 0]
