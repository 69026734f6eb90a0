"""Which frames of a video are looked at: the far apart ones all, those between where the others leave doubt.

Whoever is there for two intervals is in one of the far apart frames. Where a face is in that one alone, or not surely
in two, or where it may be that of another track or not that of its own, the frames before and behind are looked at as
well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rollcall.inference.tracks import Tracker
from rollcall.media.video import Frame
from rollcall.media.video_frames import SPARSE
from rollcall.records import Face

if TYPE_CHECKING:
    # Its folder loads the whole search and the database, which a process that analyses photos does without.
    from rollcall.search.calibration import Calibration


class Spread:
    """Tells the frames that are looked at in any case from those between."""

    def __init__(self, every: float) -> None:
        """Keep frames no further apart than two intervals of `every` seconds, where the video has them."""
        self._reach = SPARSE * every
        self._last: float | None = None
        self._waiting: Frame | None = None
        self._passed: dict[float, Frame] = {}  # by the time of the frame before

    def wanted(self, frames: Sequence[Frame]) -> list[Frame]:
        """Return the next frames that are looked at in any case; the last of `frames` may wait for the next call."""
        return [one for frame in frames for one in self._behind(frame)]

    def rest(self) -> list[Frame]:
        """Return the last frame, if it was not yet."""
        left = [self._waiting] if self._waiting is not None else []
        self._waiting = None
        return left

    def _behind(self, frame: Frame) -> Iterator[Frame]:
        if self._last is None:
            self._last = frame.seconds
            yield frame
            return
        waiting, self._waiting = self._waiting, frame
        if waiting is None:
            return
        if frame.seconds - self._last <= self._reach:
            self._passed[self._last] = waiting
            self._last, self._waiting = frame.seconds, None
            yield frame
        else:
            self._last = waiting.seconds
            yield waiting

    def between(self, after: float) -> Frame | None:
        """Return the frame that was passed over behind a time, once."""
        return self._passed.pop(after, None)

    def forget(self, until: float) -> None:
        """Forget the frames between others before a time."""
        self._passed = {seconds: frame for seconds, frame in self._passed.items() if seconds >= until}


class Doubts:
    """Finds the gaps to look into. Give it what was seen in the frames far apart, in their order."""

    def __init__(self, calibration: Calibration, every: float, aspect: float = 1.0) -> None:
        """Use a calibration of the embeddings, the interval in seconds of which the frames are two apart, and aspect.

        `aspect` is the frames' width by their height.
        """
        self._calibration, self._every, self._aspect = calibration, every, aspect
        self._seen: list[tuple[float, tuple[Face, ...]]] = []  # the last three
        self._unsure = False  # of the last but one of them

    def add(self, seconds: float, faces: tuple[Face, ...]) -> tuple[float, float] | None:
        """Add a frame; return the gap before the one before it, in seconds, if it has to be looked into."""
        self._seen = [*self._seen[-2:], (seconds, faces)]
        if len(self._seen) == 1:
            return None
        before, self._unsure = self._unsure, self._is_unsure_of(self._seen[-2][0])
        return self._gap(self._seen[:-1], before)

    def end(self) -> tuple[float, float] | None:
        """Return the last gap, in seconds, if it has to be looked into."""
        before, self._unsure = self._unsure, bool(self._seen) and self._is_unsure_of(self._seen[-1][0])
        return self._gap(self._seen[-2:], before)

    @property
    def open_since(self) -> float:
        """Where the first gap begins that may still be looked into, in seconds."""
        return self._seen[-2:][0][0] if self._seen else 0.0

    def _gap(self, ends: Sequence[tuple[float, tuple[Face, ...]]], before: bool) -> tuple[float, float] | None:
        if len(ends) < 2 or not (before or self._unsure):
            return None
        gap = ends[0][0], ends[1][0]
        # In a longer one there are no frames.
        return gap if gap[1] - gap[0] <= SPARSE * self._every + 1e-6 else None

    def _is_unsure_of(self, seconds: float) -> bool:
        tracker = Tracker(self._calibration, self._every, self._aspect)
        for when, faces in self._seen:
            tracker.add(when, faces)
        return tracker.is_unsure_of(seconds)
