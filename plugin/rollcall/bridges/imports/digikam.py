"""digiKam's database, `digikam4.db`: names of faces, ignored faces, names without a face. It is opened to read only.

Rectangles in it are pixels of the upright picture.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

from rollcall.bridges.imports.names import NamedRegion, PhotoNames, PhotoPlace
from rollcall.errors import BridgeError
from rollcall.media import paths
from rollcall.records import Box
from rollcall.storage.failures import of_other

#: Of images: visible or hidden; others are in the trash.
_SHOWN: Final = (1, 2)
_RECT: Final = re.compile(r"<rect\s+([^>]*)/?>")
_SIDE: Final = re.compile(r'(x|y|width|height)\s*=\s*"(-?\d+)"')
_IMAGES: Final = """
    SELECT i.id, r.identifier, r.specificPath, a.relativePath, i.name, f.width, f.height
    FROM Images i JOIN Albums a ON a.id = i.album JOIN AlbumRoots r ON r.id = a.albumRoot
    LEFT JOIN ImageInformation f ON f.imageid = i.id
    WHERE i.status IN (?, ?)"""


class DigiKam:
    """Reads a digiKam database.

    Parameters
    ----------
    file
        `digikam4.db`.

    Raises
    ------
    BridgeError
        If it cannot be read, or is no digiKam database.
    """

    name = "digikam"

    def __init__(self, file: Path) -> None:
        if not paths.is_file(file):
            raise BridgeError(file, "there is no such file; name digiKam's database, digikam4.db")
        try:
            with closing(sqlite3.connect(f"file:{quote(str(file.resolve()))}?mode=ro", uri=True)) as connection:
                self._photos = self._read(connection)
        except sqlite3.Error as error:
            raise BridgeError(
                file, f"it cannot be read as digiKam's database: {of_other(error)}; close digiKam, or name digikam4.db"
            ) from error

    def names_of(self, photo: PhotoPlace) -> PhotoNames:
        """Return what is known of a photo: by its path, or the end of it where digiKam names a disk by a number."""
        for path, names, size in self._photos.get(photo.file.name, ()):
            here = photo.file.as_posix()
            if here == path or (not path.startswith("/") and here.endswith(f"/{path}")):
                regions = (_region(rect, name, size, photo) for rect, name in names[0])
                return PhotoNames(tuple(one for one in regions if one is not None), tuple(names[1]))
        return PhotoNames()

    def _read(self, connection: sqlite3.Connection) -> dict[str, list[tuple[str, Any, tuple[int, int]]]]:
        """Return by file name: path, names with and without a rectangle, and the size that digiKam knows."""
        people = _people(connection)
        ignored = _tags_with(connection, "ignoredPerson")
        regions: dict[int, list[tuple[str, str | None]]] = {}
        with_region: set[tuple[int, int]] = set()
        rows = connection.execute(
            "SELECT imageid, tagid, property, value FROM ImageTagProperties"
            " WHERE property IN ('tagRegion', 'ignoredFace')"
        )
        for image, tag, kind, value in rows:
            if tag in people and kind == "tagRegion":
                regions.setdefault(image, []).append((value, people[tag]))
                with_region.add((image, tag))
            elif tag in ignored or kind == "ignoredFace":
                regions.setdefault(image, []).append((value, None))
        loose: dict[int, list[str]] = {}
        for image, tag in connection.execute("SELECT imageid, tagid FROM ImageTags ORDER BY imageid, tagid"):
            if tag in people and (image, tag) not in with_region:
                loose.setdefault(image, []).append(people[tag])
        found: dict[str, list[tuple[str, Any, tuple[int, int]]]] = {}
        for image, identifier, specific, relative, name, width, height in connection.execute(_IMAGES, _SHOWN):
            if image in regions or image in loose:
                path = _path(identifier or "", specific or "", relative or "", name)
                known = (regions.get(image, []), loose.get(image, []))
                found.setdefault(name, []).append((path, known, (int(width or 0), int(height or 0))))
        return found


def _people(connection: sqlite3.Connection) -> dict[int, str]:
    """Return the names of people by the numbers of their tags; the tags for unknown and ignored faces are left out."""
    system = {
        tag for kind in ("unknownPerson", "unconfirmedPerson", "ignoredPerson") for tag in _tags_with(connection, kind)
    }
    rows = connection.execute(
        "SELECT t.id, t.name, p.value FROM TagProperties p JOIN Tags t ON t.id = p.tagid WHERE p.property = 'person'"
    )
    return {tag: (value or name).strip() for tag, name, value in rows if tag not in system and (value or name).strip()}


def _tags_with(connection: sqlite3.Connection, kind: str) -> set[int]:
    return {tag for (tag,) in connection.execute("SELECT tagid FROM TagProperties WHERE property = ?", (kind,))}


def _path(identifier: str, specific: str, relative: str, name: str) -> str:
    """Return a file's path; without a slash at its start where digiKam names its disk by a number."""
    given = parse_qs(urlsplit(identifier).query)
    base = (given.get("path") or given.get("mountpath") or [""])[0]
    below = PurePosixPath(specific.strip("/")) / relative.strip("/") / name
    return str(PurePosixPath(base) / below) if base else str(below)


def _region(value: str, name: str | None, size: tuple[int, int], photo: PhotoPlace) -> NamedRegion | None:
    rect = _RECT.search(value or "")
    sides = {side: int(number) for side, number in _SIDE.findall(rect[1])} if rect else {}
    if sides.keys() != {"x", "y", "width", "height"} or sides["width"] <= 0 or sides["height"] <= 0:
        return None
    width, height = _upright_size(size, photo)
    if not width or not height:
        return None
    box = Box(sides["x"] / width, sides["y"] / height, sides["width"] / width, sides["height"] / height)
    return NamedRegion(box, name)


def _upright_size(size: tuple[int, int], photo: PhotoPlace) -> tuple[int, int]:
    """Return the size of the picture that digiKam's rectangles are of: it stores the one before turning."""
    if not all(size) or sorted(size) == sorted((photo.width, photo.height)):
        return photo.width, photo.height
    return (size[1], size[0]) if photo.orientation >= 5 else size
