"""Choose and decode frames of an open video, and make upright pictures of them.

Key frames alone are decoded where they are close enough. Where they are not, so are the frames between them that
others refer to, up to the last one that is wanted: the rest before the next key frame, which needs none of them, is
passed over, and a search chooses its frames so that this is as much as can be (`planned`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import pairwise
from math import ceil
from typing import Any, Final

import numpy as np

from rollcall.media.conversion import Pixels
from rollcall.media.job import Moments
from rollcall.media.orientation import swaps_sides, upright

#: A key frame is taken that is up to so much of the interval before its time: phones do not count evenly.
_EARLY: Final = 0.25
#: Key frames stand for all frames if they are no further apart than so many intervals.
_CLOSE: Final = 1.5
#: Sparse frames are no further apart than so many intervals: two, and what a rate of 29.97 a second adds.
SPARSE: Final = 2.02
#: Of any two intervals a planned search has two frames; those between key frames may be a little late.
_PAIR: Final = 1.97
#: The two frames before a key frame are half an interval apart, as are it and the first behind it.
_HEAD: Final = 0.5
#: Frames of a plan are further apart than so much of an interval.
_APART: Final = 0.05
#: Times in seconds that differ by less are one.
_SAME: Final = 1e-3
#: After so many packets that cannot be decoded a video is taken for damaged.
_MOST_ERRORS: Final = 500
#: The transfer function of HDR10 (ITU-T H.273); HLG's can be shown as it is.
_PQ: Final = 16
_SHOWN_NITS: Final = 300.0


def _origin(container: Any) -> float:
    """Return the time stamp that players call zero."""
    start = container.start_time
    return max(float(start) / 1e6, 0.0) if start else 0.0


def _key_times(stream: Any, origin: float) -> list[float]:
    """Return the times of the key frames, if the file has an index of them."""
    entries = getattr(stream, "index_entries", None) or ()
    base = float(stream.time_base)
    return sorted(entry.timestamp * base - origin for entry in entries if entry.is_keyframe)


def planned(keys: list[float], length: float, every: float) -> list[float]:
    """Return when a search looks at a video whose key frames are far apart, in seconds.

    Of any two intervals of `every` seconds two frames are looked at, so that who is there for so long is seen twice.
    They are as early behind each key frame as that allows.
    """
    found = []
    for key, after in pairwise([*keys, max(length, keys[-1] + every)]):
        found.append(key)
        tail = after - _PAIR * every
        if after - key <= SPARSE * every:
            found.append(key + min(_HEAD * every, (after - key) / 2))
            continue
        first = key + _HEAD * every
        apart = tail - first
        # Where two frames before and two behind are all, they may be further from each other than the others.
        steps = 1 if 0 < apart <= (_PAIR - _HEAD) * every else max(ceil(apart / (_PAIR / 2 * every)), 0)
        found += [first + apart * step / steps for step in range(steps)]
        found += [tail, tail + _HEAD * every]
    return found


def square_width(width: int, stream: Any) -> int:
    """Return the width in square pixels; what only a decoded frame says of them is known once there was one."""
    ratio = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    if not ratio or not 0.1 < float(ratio) < 10:
        return width
    return max(round(width * float(ratio)), 1)


class _Chosen:
    """The key frames that a sparse search decodes, by the index of the file."""

    def __init__(self, keys: list[float], moments: Moments) -> None:
        self._keys, reach = keys, SPARSE * moments.every
        self._left: set[int] = set()
        self.following: float | None = None  # the time of the first one that the next request begins with
        place = bisect_left(keys, moments.start - _SAME) if moments.start > 0 else 0
        while place < len(keys) and keys[place] <= moments.end:
            if len(self._left) == moments.most:
                self.following = keys[place]
                break
            self._left.add(place)
            place = max(bisect_right(keys, keys[place] + reach) - 1, place + 1)

    def takes(self, *stamps: float | None) -> bool:
        """Return whether a key frame is wanted, by the times of decoding and of showing it; each is once.

        Most indices have the time of decoding, which may be nearer to the time at which the key frame before is shown.
        """
        known = [stamp for stamp in stamps if stamp is not None]
        if not known:
            return False
        exact = (self._nearest(one) for one in known if self._is_at(self._nearest(one), one))
        place = next(exact, self._nearest(known[-1]))
        if place not in self._left:
            return False
        self._left.remove(place)
        return True

    def _nearest(self, seconds: float) -> int:
        place = bisect_left(self._keys, seconds)
        around = range(max(place - 1, 0), min(place + 1, len(self._keys)))
        return min(around, key=lambda i: abs(self._keys[i] - seconds))

    def _is_at(self, place: int, seconds: float) -> bool:
        return abs(self._keys[place] - seconds) < _SAME

    @property
    def is_done(self) -> bool:
        """Whether all have been met."""
        return not self._left


class Sampler:
    """Chooses and decodes the frames of a request, and of those that go on with it."""

    def __init__(
        self, container: Any, stream: Any, moments: Moments, length: float | None, is_fresh: bool = True
    ) -> None:
        """Prepare to read a video of some length, in seconds; `is_fresh`: nothing of it was read so far."""
        self.container, self.stream, self.moments, self.is_fresh = container, stream, moments, is_fresh
        self.following: float | None = None  # where a request begins that goes on with this one
        self.due = moments.start  # when the next frame is wanted that is not yet decoded, in seconds
        self.origin, self.length = _origin(container), length or 0.0
        self.keys = _key_times(stream, self.origin)
        ends = [*self.keys[1:], self.length]
        self.close = bool(self.keys) and all(
            after - key <= _CLOSE * moments.every for key, after in zip(self.keys, ends, strict=True)
        )
        sparse = moments.sparse and self.close and not moments.exact
        self.chosen = _Chosen(self.keys, moments) if sparse else None
        self._plan: list[float] = []  # of a search whose key frames are far apart
        self._by_decoding = False  # the index has the times at which frames are decoded
        # By how much a key frame is shown after its time in the index; None until one was read.
        self._delay: float | None = None if self.keys and not self.close and not moments.exact else 0.0

    def goes_on_with(self, moments: Moments) -> bool:
        """Return whether another request asks for the frames behind those that were read."""
        return self.following is not None and moments == self.moments._replace(start=self.following)

    def frames(self) -> Iterator[tuple[float, Any]]:
        """Yield the frames that are wanted with their times, and go on behind the last one that was asked for."""
        import av

        context, moments = self.stream.codec_context, self.moments
        if not context.is_open:
            context.thread_count = 1
        context.skip_frame = "DEFAULT"
        if not moments.exact:
            context.skip_frame = "NONKEY" if self.close else "NONREF"
            context.options = {"skip_loop_filter": "all"}
        if moments.start > 0 or not self.is_fresh:
            place = int((moments.start + self.origin) / float(self.stream.time_base))
            self.container.seek(place, stream=self.stream, backward=True)
        errors = 0
        early = _EARLY * moments.every if self.close and not moments.exact else _SAME
        if self.chosen is not None:
            early = float("inf")
        for packet in self._packets():
            if not self._is_wanted(packet):
                continue
            try:
                frames = self.stream.decode(packet)
            except av.error.FFmpegError:
                errors += 1
                if errors > _MOST_ERRORS:
                    return
                continue
            for seconds, frame in self._timed(frames):
                if seconds < self.due - early:
                    continue
                if seconds > moments.end and self.chosen is None:
                    return
                self.due = self._after(seconds)
                yield seconds, frame

    def _make_plan(self, packet: Any) -> None:
        """Choose the frames of a search, given a key frame's packet."""
        decoded, shown = self._stamps(packet)
        indexed = decoded is not None and any(abs(key - decoded) < _SAME for key in self.keys)
        self._delay = shown - decoded if indexed and decoded is not None and shown is not None else 0.0
        self._by_decoding = indexed
        if self.moments.sparse:
            self._plan = planned([key + self._delay for key in self.keys], self.length, self.moments.every)

    def _after(self, seconds: float) -> float:
        """Return when a frame is wanted next, if there was one at a time."""
        every = self.moments.every
        # A gap in the time stamps is no reason for several frames at once.
        place = bisect_right(self._plan, max(self.due, seconds + _APART * every))
        if place < len(self._plan):
            return self._plan[place]
        return max(self.due + every, seconds + (1 - _EARLY) * every)

    def _packets(self) -> Iterator[Any]:
        """Yield the packets that are there; of chosen key frames, those alone."""
        import av

        try:
            packets = self.container.demux(self.stream)
            for packet in packets if self.chosen is None else self._chosen_packets(packets, self.chosen):
                if self._delay is None and packet.is_keyframe:
                    self._make_plan(packet)
                yield packet
        except av.error.FFmpegError:
            return  # cut off: what was there was shown

    def _chosen_packets(self, packets: Iterator[Any], chosen: _Chosen) -> Iterator[Any]:
        for packet in packets:
            if not packet.size or (packet.is_keyframe and chosen.takes(*self._stamps(packet))):
                yield packet
            if chosen.is_done:
                yield None  # fetches what the decoder still holds
                return

    def _stamps(self, packet: Any) -> list[float | None]:
        """Return when a packet is decoded and when its frame is shown, in seconds; None where it does not say so."""
        base = float(packet.time_base or self.stream.time_base)
        return [None if one is None else one * base - self.origin for one in (packet.dts, packet.pts)]

    def _is_wanted(self, packet: Any) -> bool:
        """Return whether a packet has to be decoded; all others are passed over."""
        if self.chosen is not None or packet.size == 0 or packet.is_keyframe or self.moments.exact:
            return True  # the empty one at the end fetches what the decoder still holds
        if self.close:
            return False
        decoded, shown = self._stamps(packet)
        # Of frames out of order some are shown before the key frame that they need, and others after the next one.
        here = decoded if self._by_decoding or shown is None else shown
        if here is None or not self.keys:
            return True
        after = bisect_right(self.keys, here + 1e-6)
        if after < len(self.keys):
            return self.due < self.keys[after] + (self._delay or 0.0)
        # A header may give less than the length.
        return self.due < self.length or here >= self.length

    def _timed(self, frames: Iterable[Any]) -> Iterator[tuple[float, Any]]:
        """Yield the frames that are shown, with their times."""
        for frame in frames:
            stamp = frame.pts if frame.pts is not None else frame.dts
            if stamp is None:
                continue
            seconds = float(stamp * (frame.time_base or self.stream.time_base)) - self.origin
            if seconds > -1:
                yield max(seconds, 0.0), frame


def upright_pixels(frame: Any, stream: Any, target: int | None, reformatter: Any) -> tuple[Pixels, tuple[int, int]]:
    """Return a frame's pixels, upright and reduced, and the size of the whole upright picture.

    What `reformatter` (of PyAV) prepares for one frame serves all that are like it.
    """
    width, height = square_width(frame.width, stream), frame.height
    scale = min((target or max(width, height)) / max(width, height), 1.0)
    shown = max(round(width * scale), 1), max(round(height * scale), 1)
    deep = frame.color_trc == _PQ
    kind = "rgb48le" if deep else "rgb24"
    pixels = reformatter.reformat(frame, *shown, format=kind, interpolation="AREA").to_ndarray()
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
