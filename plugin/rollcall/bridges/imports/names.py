"""What another program knows of the people on a photo."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

from rollcall.records import Box


class PhotoPlace(NamedTuple):
    """A photo of this library, for readers of what others know of it."""

    photo_id: int
    file: Path  # absolute
    width: int  # of the upright picture, in pixels; 0 before it was analysed
    height: int
    orientation: int  # EXIF, as stored: 1 to 8


class NamedRegion(NamedTuple):
    """A face with its name, or one that a person wants to be ignored."""

    box: Box  # fractions of the upright picture
    name: str | None  # None: ignored


class PhotoNames(NamedTuple):
    """What another program knows of one photo."""

    regions: tuple[NamedRegion, ...] = ()
    names: tuple[str, ...] = ()  # of people who are on the photo somewhere

    def __bool__(self) -> bool:
        return bool(self.regions or self.names)


class NamesReader(Protocol):
    """Reads what one program knows of people."""

    #: As on the command line, and in the log of corrections.
    name: str

    def names_of(self, photo: PhotoPlace) -> PhotoNames:
        """Return what is known of a photo; empty where nothing is."""
