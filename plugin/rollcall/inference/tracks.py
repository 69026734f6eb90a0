"""Faces of many frames to faces of a video: one for each person, with estimates from all of their frames.

First the faces of neighbouring frames are joined, by place and by embedding, into tracks. Then tracks are joined whose
mean embeddings say with certainty that they are one person, unless they were seen in one frame together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from rollcall.records import Box, Face, Sighting

if TYPE_CHECKING:
    # Its folder loads the whole search and the database, which a process that analyses photos does without.
    from rollcall.search.calibration import Calibration

#: Tracks are one person from this probability on.
_CERTAIN: Final = 0.98
#: At one place in neighbouring frames two faces are one person unless their embeddings are less similar than this
#: probability: a face that turns away or blurs looks like somebody else. Where both are clear, it is the latter: of two
#: people who pass each other one in eleven would else be taken for the other.
_UNLIKELY: Final = 0.1
_UNLIKELY_CLEAR: Final = 0.5
#: A face is clear if it is sharp and sure enough to count alone, and looks ahead by so much.
_CLEAR_AHEAD: Final = 0.4
#: How far a face moves from frame to frame, in sides of its box, to be at one place still.
_NEAR: Final = 1.0
#: How much larger the one of two boxes at one place may be.
_GROWTH: Final = 1.8
#: Neighbouring frames are no further apart than so many intervals.
_NEIGHBOURS: Final = 2.5
#: What a detection must score to be a face though no other frame shows it, and the best of a track.
_ALONE_SCORE: Final = 0.9
_TRACK_SCORE: Final = 0.7
#: Sharpness (`records.Face.sharpness`) below which a face that is seen once is left out: nothing is certain of it.
_ALONE_SHARPNESS: Final = 25.0
#: Half of what a sharper face could be worth is reached at this sharpness.
_HALF_SHARP: Final = 60.0


@dataclass(slots=True)
class _Track:
    """Sightings of one person, in their order."""

    seen: list[tuple[float, Face]] = field(default_factory=list)
    total: NDArray[np.float64] | None = None  # sum of weighted embeddings

    def add(self, seconds: float, face: Face) -> None:
        self.seen.append((seconds, face))
        if face.embedding is not None:
            self._sum(face.embedding.astype(np.float64) * quality(face))

    def take_in(self, other: _Track) -> None:
        self.seen = sorted([*self.seen, *other.seen], key=lambda one: one[0])
        if other.total is not None:
            self._sum(other.total)

    def _sum(self, more: NDArray[np.float64]) -> None:
        self.total = more if self.total is None else self.total + more

    @property
    def embedding(self) -> NDArray[np.float64] | None:
        """The mean embedding, of unit length."""
        length = 0.0 if self.total is None else float(np.linalg.norm(self.total))
        return None if self.total is None or length < 1e-9 else self.total / length

    @property
    def times(self) -> frozenset[float]:
        return frozenset(seconds for seconds, _ in self.seen)


class Tracker:
    """Joins the faces of a video's frames. Give it the frames in their order."""

    def __init__(self, calibration: Calibration, every: float, aspect: float = 1.0) -> None:
        """Use a calibration of the embeddings, the interval between frames in seconds, and their width by height."""
        self._certain = calibration.cosine(_CERTAIN)
        self._unlikely = calibration.cosine(_UNLIKELY)
        self._unlikely_clear = calibration.cosine(_UNLIKELY_CLEAR)
        self._reach, self._aspect = every * _NEIGHBOURS, aspect
        self._tracks: list[_Track] = []
        self._before = 0.0  # the time of the last frame

    def add(self, seconds: float, faces: Sequence[Face]) -> None:
        """Add the faces of one frame."""
        open_tracks = [one for one in self._tracks if seconds - one.seen[-1][0] <= self._reach]
        scored = [
            (score, i, j)
            for i, track in enumerate(open_tracks)
            for j, face in enumerate(faces)
            if (score := self._score(track, face)) is not None
        ]
        taken_tracks: set[int] = set()
        taken_faces: set[int] = set()
        for _, i, j in sorted(scored, key=lambda one: (-one[0], one[1], one[2])):
            if i not in taken_tracks and j not in taken_faces:
                taken_tracks.add(i)
                taken_faces.add(j)
                open_tracks[i].add(seconds, faces[j])
        for j, face in enumerate(faces):
            if j not in taken_faces:
                track = _Track()
                track.add(seconds, face)
                self._tracks.append(track)
        self._before = seconds

    def _score(self, track: _Track, face: Face) -> float | None:
        """Return how well a face goes on with a track; None if it does not."""
        seen, last = track.seen[-1]
        cosine = _cosine(last.embedding, face.embedding)
        near = _is_near(last.box, face.box, self._aspect)
        if cosine is None:
            return last.box.iou(face.box) if near else None
        least = self._unlikely_clear if _is_clear(last) and _is_clear(face) else self._unlikely
        # Who was not at the place in the frame between is at it no longer: then it tells nothing.
        if cosine >= self._certain or (near and cosine >= least and seen == self._before):
            return cosine + (0.3 if near else 0.0)
        return None

    def is_unsure_of(self, seconds: float) -> bool:
        """Return whether a face of one frame is seen in no other, or surely in none, or may be another track's.

        Or whether it may be somebody else than its track is of before or behind it.
        """
        here = [track for track in self._tracks if seconds in track.times]
        return any(
            len(track.seen) == 1
            or not _is_sure(track)
            or self._is_joined_by_place(track, seconds)
            or self._may_be_another(track)
            for track in here
        )

    def _is_joined_by_place(self, track: _Track, seconds: float) -> bool:
        """Return whether a track's face of one frame is one person with its neighbours without certainty."""
        cosines = (
            _cosine(one.embedding, other.embedding)
            for (before, one), (after, other) in pairwise(track.seen)
            if seconds in (before, after)
        )
        return any(cosine is not None and cosine < self._certain for cosine in cosines)

    def _may_be_another(self, track: _Track) -> bool:
        """Return whether a track may be one person with one of other frames, without certainty."""
        rest = (one for one in self._tracks if not one.times & track.times)
        scores = (_cosine(track.embedding, one.embedding) for one in rest)
        return any(score is not None and self._unlikely <= score < self._certain for score in scores)

    def faces(self) -> tuple[Face, ...]:
        """Return one face for each person, the highest-scoring first."""
        tracks = _joined(self._tracks, self._certain)
        found = [_summary(track) for track in tracks if _is_sure(track)]
        return tuple(sorted(found, key=lambda face: -face.score))


def quality(face: Face) -> float:
    """Return how much a face tells, 0..1: by its sharpness, its size, its score, and how much it looks ahead."""
    sharp = face.sharpness / (face.sharpness + _HALF_SHARP)
    size = min(np.sqrt(max(face.box.width * face.box.height, 0.0)) / 0.15, 1.0)
    return float(max(face.score, 0.0) * (0.1 + 0.9 * sharp) * (0.2 + 0.8 * size) * (0.3 + 0.7 * _ahead(face)))


def _ahead(face: Face) -> float:
    """Return 1 for a face that looks into the camera, less as the nose leaves the middle between the eyes."""
    if len(face.landmarks) < 3:
        return 0.5
    (left, _), (right, _), (nose, _) = face.landmarks[:3]
    between = abs(right - left)
    return 0.0 if between < 1e-6 else float(max(1 - 2 * abs(nose - (left + right) / 2) / between, 0.0))


def _cosine(one: NDArray[np.floating] | None, other: NDArray[np.floating] | None) -> float | None:
    return None if one is None or other is None else float(one @ other)


def _is_near(one: Box, other: Box, aspect: float) -> bool:
    """Return whether two boxes are at one place of frames with this ratio of width and height."""
    # Boxes are fractions of width and height: here all is in heights of the frame.
    sides = [max(box.width * aspect, box.height, 1e-9) for box in (one, other)]
    side, smaller = max(sides), min(sides)
    across = abs(one.x + one.width / 2 - other.x - other.width / 2) * aspect
    down = abs(one.y + one.height / 2 - other.y - other.height / 2)
    return max(across, down) <= _NEAR * side and side <= _GROWTH * smaller


def _joined(tracks: Sequence[_Track], certain: float) -> list[_Track]:
    """Join the most similar tracks first, by mean embeddings, as long as they are of one person with certainty."""
    left = [replace(track, seen=list(track.seen)) for track in tracks]
    while True:
        best, pair = certain, None
        means = [track.embedding for track in left]
        for i, one in enumerate(means):
            for j in range(i + 1, len(means)):
                cosine = _cosine(one, means[j])
                if cosine is not None and cosine >= best and not left[i].times & left[j].times:
                    best, pair = cosine, (i, j)
        if pair is None:
            return left
        i, j = pair
        left[i].take_in(left.pop(j))


def _is_sure(track: _Track) -> bool:
    score = max(face.score for _, face in track.seen)
    return score >= _TRACK_SCORE if len(track.seen) > 1 else _counts_alone(track.seen[0][1])


def _counts_alone(face: Face) -> bool:
    return face.score >= _ALONE_SCORE and face.sharpness >= _ALONE_SHARPNESS


def _is_clear(face: Face) -> bool:
    return _counts_alone(face) and len(face.landmarks) >= 3 and _ahead(face) >= _CLEAR_AHEAD


def _summary(track: _Track) -> Face:
    """Return the best face of a track with estimates from all of them, weighted by quality."""
    weights = np.array([quality(face) for _, face in track.seen]) + 1e-6
    seconds, best = track.seen[int(np.argmax(weights))]
    faces = [face for _, face in track.seen]

    def mean(values: list[NDArray[np.float32] | float | None]) -> NDArray[np.float64] | None:
        known = [(weight, value) for weight, value in zip(weights, values, strict=True) if value is not None]
        if not known:
            return None
        total = sum(weight for weight, _ in known)
        return np.asarray(sum(weight * np.asarray(value, np.float64) for weight, value in known) / total)

    ages = mean([face.age_distribution for face in faces])
    female = mean([face.p_female for face in faces])
    embedding = track.embedding
    return replace(
        best,
        age_distribution=None if ages is None else (ages / ages.sum()).astype(np.float32),
        p_female=None if female is None else float(female),
        embedding=None if embedding is None else embedding.astype(np.float32),
        video_time=seconds,
        track=tuple(Sighting(when, face.box) for when, face in track.seen),
    )
