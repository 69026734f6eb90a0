"""What happens during a run, told to whoever listens: a progress bar, a host, a log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Event:
    """The root of all events."""


@dataclass(frozen=True, slots=True)
class Discovered(Event):
    """A scan has found `total` pictures so far that this run will deal with."""

    total: int
    finished: bool


@dataclass(frozen=True, slots=True)
class PhotoIndexed(Event):
    """A picture was analysed and its rows are committed."""

    photo_id: int
    path: Path
    faces: int


@dataclass(frozen=True, slots=True)
class PhotoFailed(Event):
    """A picture cannot be used; `reason` is one sentence."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class PhotosSkipped(Event):
    """`count` pictures are unchanged since they were last dealt with."""

    count: int


@dataclass(frozen=True, slots=True)
class PhotoMoved(Event):
    """A picture was recognised by its content under another path; all that is known of it was kept."""

    photo_id: int
    old: Path
    new: Path


@dataclass(frozen=True, slots=True)
class PhotosMissing(Event):
    """`count` pictures are no longer where they were; their rows are kept and marked missing."""

    count: int


@dataclass(frozen=True, slots=True)
class TagsChanged(Event):
    """A photo's tags are others than before."""

    photo_id: int


@dataclass(frozen=True, slots=True)
class ReviewNeeded(Event):
    """A photo has a tag that waits for a person's word."""

    photo_id: int


@dataclass(frozen=True, slots=True)
class Corrected(Event):
    """A person said something of a photo, or of one of its faces, or took it back."""

    photo_id: int
    face_id: int | None


@dataclass(frozen=True, slots=True)
class Forgotten(Event):
    """Photos and faces were forgotten, at a person's wish or for a file `.rollcall-ignore`."""

    photos: int
    faces: int


@dataclass(frozen=True, slots=True)
class Warned(Event):
    """Something a person should know and that stops nothing."""

    message: str


Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Listen to nothing."""
