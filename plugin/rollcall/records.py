"""The plain values that travel between decoding, analysis, storage and search.

Coordinate frame: everything here is in fractions of the *upright* picture (EXIF orientation
applied), origin top left, x to the right, y down. Pixels appear only inside `Picture.pixels`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rollcall import ages


class PhotoState(StrEnum):
    """The state of a picture file in the library."""

    PENDING = "pending"  # has to be analysed
    INDEXED = "indexed"
    FAILED = "failed"  # cannot be used, see the photo's error
    MISSING = "missing"  # the file is no longer there; its rows stay


class TagState(StrEnum):
    """Whether a photo has a tag."""

    APPLIED = "applied"
    SUGGESTED = "suggested"  # waits for review
    REJECTED = "rejected"  # by a person, for good


class TagSource(StrEnum):
    """Who set a tag."""

    AUTO = "auto"  # Rollcall, from predictions and corrections
    USER = "user"  # a person, by a correction
    HOST = "host"  # the host application


class Box(NamedTuple):
    """A rectangle as fractions of the upright picture: left, top, width, height."""

    x: float
    y: float
    width: float
    height: float

    def iou(self, other: Box) -> float:
        """Return the intersection over union with another box, 0..1."""
        width = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        height = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        if width <= 0 or height <= 0:
            return 0.0
        shared = width * height
        return shared / (self.width * self.height + other.width * other.height - shared)


#: Two boxes in the same picture with at least this IoU are the same face.
SAME_FACE_IOU: Final = 0.5
#: Boxes of a video are compared if they are no further apart in time than this, in seconds.
SAME_MOMENT: Final = 0.6


#: Where a capture time was read: in the EXIF, XMP or IPTC block or the text chunks of the file, in a file of Google
#: Takeout beside it, in the container of a video, in its name, or as the time of its last change. The last two are
#: guesses.
TimeSource = Literal["exif", "xmp", "iptc", "text", "takeout", "video", "file name", "file time"]


@dataclass(frozen=True, slots=True)
class CaptureTime:
    """When a picture was taken: local wall time, and the offset from UTC where the file has one."""

    local: datetime  # naive
    offset_minutes: int | None = None  # east of Greenwich
    source: TimeSource = "exif"

    @property
    def is_guess(self) -> bool:
        """Whether the time was concluded from what anybody may have changed: the file's name, or its own time."""
        return self.source in ("file name", "file time")

    def utc(self) -> datetime | None:
        """Return the naive time in UTC; None where the offset is not known or the result is no date."""
        if self.offset_minutes is None:
            return None
        try:
            return self.local - timedelta(minutes=self.offset_minutes)
        except OverflowError:
            return None


class Video(NamedTuple):
    """What is known of a video beside one picture of it."""

    seconds: float  # its length
    at: float = 0.0  # where the picture is, in seconds from the beginning
    not_searched: str | None = None  # why no faces were looked for, as a key that is stored; None: they were


class Sighting(NamedTuple):
    """Where a face of a video was at one moment."""

    seconds: float
    box: Box


@dataclass(frozen=True, slots=True)
class Picture:
    """An upright picture, decoded once; of a video, one of its frames.

    `pixels` is uint8 RGB of shape (h, w, 3), possibly reduced; `width` and `height` are those of the
    full upright picture in pixels. `content_hash` is the hexadecimal BLAKE2b-128 of the file's bytes.
    `warnings` are short sentences on what is wrong with the file though it can be shown.
    """

    path: Path
    pixels: NDArray[np.uint8]
    width: int
    height: int
    orientation: int = 1  # EXIF 1..8, as stored; already applied to `pixels`
    content_hash: str = ""
    taken: CaptureTime | None = None
    warnings: tuple[str, ...] = ()
    xmp: tuple[bytes, ...] = ()  # the file's blocks of XMP, the main one first
    keywords: tuple[str, ...] = ()  # of its IPTC record
    video: Video | None = None  # None: a photo


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face with its predictions; of a video, one person's face through all of it."""

    box: Box
    landmarks: tuple[tuple[float, float], ...]  # left eye, right eye, nose, mouth left, mouth right (viewer's side)
    score: float  # of the detector, 0..1; 0 where `detected` is false
    sharpness: float  # variance of the Laplacian of the aligned crop, 0 and up
    age_distribution: NDArray[np.float32] | None = None  # (101,), sums to 1
    p_female: float | None = None
    embedding: NDArray[np.float32] | None = None  # (128,), unit length
    detected: bool = True
    # The predictions before an adaptation to the person's corrections changed the two above; else None.
    network_age_distribution: NDArray[np.float32] | None = None
    network_p_female: float | None = None
    # Of a video: all sightings in their order, of which the box above is one, and when that is.
    video_time: float | None = None  # seconds
    track: tuple[Sighting, ...] = ()

    def is_at(self, box: Box, video_time: float | None = None) -> bool:
        """Return whether the face is where another was, in a video at the time of that."""
        if video_time is None or not self.track:
            return self.box.iou(box) >= SAME_FACE_IOU
        nearest = min(self.track, key=lambda one: abs(one.seconds - video_time))
        return abs(nearest.seconds - video_time) <= SAME_MOMENT and nearest.box.iou(box) >= SAME_FACE_IOU

    @property
    def age(self) -> float | None:
        """The estimated age in years, see `ages.estimate`."""
        return None if self.age_distribution is None else float(ages.estimate(self.age_distribution))

    @property
    def age_interval(self) -> tuple[float, float] | None:
        """The central 80 % interval of the age, in years."""
        return None if self.age_distribution is None else ages.interval(self.age_distribution)

    def p_group(self, name: str) -> float | None:
        """Return the probability of an age group by its name in `ages.AGE_GROUPS`."""
        if self.age_distribution is None:
            return None
        group = ages.AGE_GROUPS[name]
        return float(ages.mass(self.age_distribution, group.low, group.high))


@dataclass(frozen=True, slots=True)
class Analysis:
    """The metadata and faces of a picture, ready to be stored."""

    width: int
    height: int
    orientation: int
    content_hash: str
    taken: CaptureTime | None
    faces: tuple[Face, ...]
    model_version: str
    perceptual_hash: bytes | None = None  # 32 bytes, see media/perceptual_hash.py
    warnings: tuple[str, ...] = ()  # of the picture
    video: Video | None = None


#: Sources of an age that give a range of completed years instead of a distribution.
GIVEN_AGES: Final = ("user", "birth_date", "birth_estimate")
#: Those that follow from a birth date, or an estimate of it, and the capture time.
DERIVED_AGES: Final = ("birth_date", "birth_estimate")


class AttributeLabels(NamedTuple):
    """Age and gender of one face as a person corrected them."""

    age_low: int | None = None  # completed years, both ends included; None: not corrected
    age_high: int | None = None
    gender_given: bool = False
    gender: str | None = None  # any label; None with `gender_given`: the gender is not to be estimated


#: What a column of whole numbers holds at most.
_LARGEST: Final = 2**63 - 1


class FileStat(NamedTuple):
    """A file as discovery saw it: path relative to its root, with '/' between folders, size and times."""

    relative_path: str
    size: int  # bytes
    mtime_ns: int
    # Time of the last change of the file or its name; None where the file system does not keep one that can be relied
    # on. It tells apart files of equal size and mtime that were exchanged.
    ctime_ns: int | None = None

    @classmethod
    def of(cls, relative_path: str, info: os.stat_result) -> FileStat:
        """Return the facts of an `os.stat` result; times beyond what a database holds are bounded (year 2262)."""
        times = (max(min(time, _LARGEST), -_LARGEST) for time in (info.st_mtime_ns, info.st_ctime_ns))
        mtime_ns, ctime_ns = times
        # On Windows the value is the time of creation, which an exchange of names keeps.
        return cls(relative_path, min(info.st_size, _LARGEST), mtime_ns, None if os.name == "nt" else ctime_ns)

    @property
    def identity(self) -> tuple[int, int, int | None]:
        """Size and times: while these stay the same, the content does too."""
        return self.size, self.mtime_ns, self.ctime_ns


@dataclass(slots=True)
class RunSummary:
    """What a run of the indexer did; printed by `rollcall index --json`."""

    photos: int = 0  # files seen
    indexed: int = 0  # analysed and stored in this run
    skipped: int = 0  # unchanged, or failed before and unchanged since
    moved: int = 0  # recognised by content under another path
    failed: int = 0
    missing: int = 0  # newly marked as missing
    forgotten: int = 0  # erased: in folders with a file .rollcall-ignore
    faces: int = 0  # found in this run
    seconds: float = 0.0
    failures: list[tuple[str, str]] = field(default_factory=list)  # (path, reason), the first few
    warnings: list[str] = field(default_factory=list)
    videos: int = 0  # how many of the indexed files are videos
