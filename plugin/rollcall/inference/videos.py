"""The faces of a video: those of frames apart, joined into one for each person."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import Final, NamedTuple, Protocol

from rollcall.errors import PictureError
from rollcall.inference.samples import Doubts, Spread
from rollcall.inference.tracks import Tracker, quality
from rollcall.media import video
from rollcall.media.job import Moments
from rollcall.media.scenes import Scenes
from rollcall.media.video import Frame
from rollcall.model_version import weights_of
from rollcall.records import Face, Picture
from rollcall.sentences import Sentence
from rollcall.settings import Settings

#: The beginning of the stored key of a video that was not searched, see `Video.not_searched`.
NOT_SEARCHED: Final = "video longer than"


class FrameAnalyzer(Protocol):
    """The part of an analyzer that videos need."""

    def analyze(self, pictures: Sequence[Picture]) -> list[tuple[Face, ...]]:
        """Return the faces of each picture."""


class VideoFaces(NamedTuple):
    """What was found in a video."""

    picture: Picture  # its best frame, with what is wrong with it
    faces: tuple[Face, ...]


def not_searched_key(settings: Settings) -> str:
    """Return what is stored with videos that are too long to be searched; they are searched when it changes."""
    return f"{NOT_SEARCHED} {settings.videos.longest_minutes:g} minutes"


def analyze(
    analyzer: FrameAnalyzer,
    picture: Picture,
    settings: Settings,
    model_version: str,
    abandoned: threading.Event | None = None,
) -> VideoFaces:
    """Return the faces of a video, one for each person, and its best frame.

    Where the video breaks off, or takes longer than the settings allow, what was found until then is returned, with a
    warning.

    Raises
    ------
    PictureError
        If not even its first frame can be read. `worker.Interrupted` once `abandoned` is set.
    ModelError
        If the networks cannot be loaded.
    """
    assert picture.video is not None
    longest = settings.videos.longest_minutes
    if picture.video.seconds > longest * 60:
        warning = Sentence(
            "longer than %(minutes)s minutes (videos.longest_minutes), so no faces were looked for",
            minutes=f"{longest:g}",
        )
        known = picture.video._replace(not_searched=not_searched_key(settings))
        return VideoFaces(replace(picture, video=known, warnings=(*picture.warnings, warning)), ())
    with closing(_Search(analyzer, picture, settings, model_version, abandoned)) as search:
        return search.result()


class _Search:
    """The search of one video."""

    def __init__(
        self,
        analyzer: FrameAnalyzer,
        picture: Picture,
        settings: Settings,
        model_version: str,
        abandoned: threading.Event | None,
    ) -> None:
        self.analyzer, self.picture, self.settings, self.abandoned = analyzer, picture, settings, abandoned
        # Not at the top: see `tracks`.
        from rollcall.search.calibration import calibration

        self.calibration, every = calibration(weights_of(model_version)), settings.videos.every_seconds
        self.aspect = picture.width / max(picture.height, 1)
        self.spread, self.doubts = Spread(every), Doubts(self.calibration, every, self.aspect)
        self.between = video.Between(picture.path, settings.videos.resolution, settings.decode, every, abandoned)
        self.seen: list[tuple[float, tuple[Face, ...]]] = []
        self.shown: tuple[Face, ...] = ()  # in the frame before
        self.batch = settings.detector.batch
        self.waiting: list[Frame] = []  # of those that are looked at in any case
        self.inside: list[Frame] = []  # of those in gaps
        self.scenes = Scenes(settings.videos.frames_a_scene)
        self.best: tuple[float, Frame] | None = None
        self.last = 0.0

    def close(self) -> None:
        """Close the video."""
        self.between.close()

    def result(self) -> VideoFaces:
        warning = self._search()
        self._search_frames([*self.waiting, *self.spread.rest()])
        self._search_gaps([self.doubts.end()])
        self._analyzed(self.inside)
        tracker = Tracker(self.calibration, self.settings.videos.every_seconds, self.aspect)
        for seconds, seen in sorted(self.seen, key=lambda one: one[0]):
            tracker.add(seconds, seen)
        faces = tracker.faces()
        picture = self.picture
        assert picture.video is not None
        if self.best is not None and faces:
            frame = self.best[1]
            picture = replace(picture, pixels=frame.pixels, video=picture.video._replace(at=frame.seconds))
        video_facts = picture.video
        if video_facts is not None and not video_facts.seconds:
            picture = replace(picture, video=video_facts._replace(seconds=self.last))
        if warning:
            picture = replace(picture, warnings=(*picture.warnings, warning))
        return VideoFaces(picture, faces)

    def _search(self) -> str:
        """Look at the frames; return what is wrong with the video."""
        wanted = self.settings.videos
        until = time.monotonic() + wanted.max_seconds
        moments = Moments(every=wanted.every_seconds, end=wanted.longest_minutes * 60, sparse=True)
        frames = video.frames(self.picture.path, wanted.resolution, self.settings.decode, moments, self.abandoned)
        try:
            while part := list(islice(frames, self.batch)):
                self._seen_at(part)
                if time.monotonic() > until:
                    return Sentence(
                        "the search took longer than %(limit)s seconds and ended at %(end)s s",
                        limit=f"{wanted.max_seconds:g}",
                        end=f"{self.last:.0f}",
                    )
        except PictureError as error:
            if not self.last:
                raise
            return Sentence(
                "the video breaks off after %(end)s seconds (%(reason)s)", end=f"{self.last:.0f}", reason=error.reason
            )
        finally:
            frames.close()  # type: ignore[attr-defined]
        return self._missing_end()

    def _missing_end(self) -> str:
        assert self.picture.video is not None
        expected = self.picture.video.seconds
        # The sound may go on a little, and a still picture of a slide show for long.
        if expected - self.last > max(4 * self.settings.videos.every_seconds, 5.0) and self.last < 0.95 * expected:
            return Sentence(
                "the video breaks off after %(end)s of %(length)s seconds",
                end=f"{self.last:.0f}",
                length=f"{expected:.0f}",
            )
        return ""

    def _seen_at(self, frames: Sequence[Frame]) -> None:
        self.last = max(self.last, frames[-1].seconds)
        self.waiting += self.spread.wanted(frames)
        if len(self.waiting) >= self.batch:
            self._search_frames(self.waiting[: self.batch])
            self.waiting = self.waiting[self.batch :]

    def _search_frames(self, frames: Sequence[Frame]) -> None:
        """Look at frames in any case, unless the picture stays the same, and into the gaps that leave doubt."""
        wanted = [frame for frame in frames if self.scenes.wants(frame.pixels)]
        found = {frame.seconds: faces for frame, faces in self._analyzed(wanted)}
        gaps = []
        for frame in frames:
            # Where the picture stays the same, so do its faces.
            self.shown = found.get(frame.seconds, self.shown)
            gaps.append(self.doubts.add(frame.seconds, self.shown))
        self._search_gaps(gaps)
        self.spread.forget(self.doubts.open_since)

    def _search_gaps(self, gaps: Sequence[tuple[float, float] | None]) -> None:
        """Look at the frames between, of the gaps that are some; as many at once as the detector takes."""
        found = [self._between(*gap) for gap in gaps if gap is not None]
        self.inside += [frame for frame in found if frame is not None]
        while len(self.inside) >= self.batch:
            self._analyzed(self.inside[: self.batch])
            self.inside = self.inside[self.batch :]

    def _between(self, after: float, before: float) -> Frame | None:
        passed = self.spread.between(after)
        if passed is not None:
            return passed
        try:
            return self.between.frame(after, before)
        except PictureError:
            return None  # what the frames around it show stands

    def _analyzed(self, frames: Sequence[Frame]) -> list[tuple[Frame, tuple[Face, ...]]]:
        """Return the frames with their faces, and remember them."""
        if not frames:
            return []
        pictures = [replace(self.picture, pixels=frame.pixels) for frame in frames]
        found = list(zip(frames, self.analyzer.analyze(pictures), strict=True))
        for frame, faces in found:
            self.seen.append((frame.seconds, faces))
            worth = sum(map(quality, faces))
            if faces and (self.best is None or worth > self.best[0]):
                self.best = (worth, frame)
        return found
