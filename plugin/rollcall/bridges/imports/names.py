"""What another program knows of the people on a photo."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol

from rollcall.errors import BridgeError
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


class ExportedNames(ABC):
    """The names in files beside photos, of an export in which the photos lie that were indexed.

    Parameters
    ----------
    folder
        Photos outside of it are left alone.

    Raises
    ------
    BridgeError
        If it is no folder.
    """

    #: Which folder is wanted, for the error.
    wanted: ClassVar[str]

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise BridgeError(folder, f"there is no such folder; name the one that {self.wanted}")
        self._folder = folder.resolve()

    def names_of(self, photo: PhotoPlace) -> PhotoNames:
        """Return the names in the file beside a photo; empty where there is none, or the photo lies elsewhere."""
        return self._beside(photo) if photo.file.is_relative_to(self._folder) else PhotoNames()

    @abstractmethod
    def _beside(self, photo: PhotoPlace) -> PhotoNames:
        """Return the names in the file beside a photo of the export."""
