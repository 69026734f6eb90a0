"""Exports of osxphotos from Apple Photos: `--sidecar json` (or `exiftool`), JSON beside the pictures.

Each file holds one list with one object, in ExifTool's names: `PersonInImage`, and with `--face-regions` also
`RegionName`, `RegionAreaX` and so on, which are of the stored picture, in fractions, with the centre of the area.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rollcall.bridges.imports.names import ExportedNames, NamedRegion, PhotoNames, PhotoPlace
from rollcall.bridges.imports.takeout import json_of
from rollcall.records import Box
from rollcall.xmp.geometry import to_upright

#: What Apple's people without a name are called.
_UNKNOWN: Final = frozenset({"", "_UNKNOWN_"})
_AREA: Final = ("RegionAreaX", "RegionAreaY", "RegionAreaW", "RegionAreaH")


class OsxPhotos(ExportedNames):
    """Reads the JSON files of an export: photo.jpeg.json, or photo.json."""

    name = "osxphotos"
    wanted = "osxphotos exported into"

    def _beside(self, photo: PhotoPlace) -> PhotoNames:
        for file in (photo.file.with_name(f"{photo.file.name}.json"), photo.file.with_suffix(".json")):
            fields = _fields(json_of(file))
            if fields:
                return _names(fields, photo.orientation)
        return PhotoNames()


def _fields(content: Any) -> Mapping[str, Any]:
    """Return the object's fields, without the names of their groups; empty where it is no such file."""
    one = content[0] if isinstance(content, list) and len(content) == 1 else content
    if not isinstance(one, dict) or "photoTakenTime" in one:
        return {}
    return {str(name).rpartition(":")[2]: value for name, value in one.items()}


def _names(fields: Mapping[str, Any], orientation: int) -> PhotoNames:
    regions = tuple(_regions(fields, orientation))
    people = [name for name in _texts(fields.get("PersonInImage")) if name not in _UNKNOWN]
    with_box = {region.name for region in regions}
    return PhotoNames(regions, tuple(name for name in dict.fromkeys(people) if name not in with_box))


def _regions(fields: Mapping[str, Any], orientation: int) -> Iterator[NamedRegion]:
    columns = [_numbers(fields.get(name)) for name in _AREA]
    names, types = _texts(fields.get("RegionName")), _texts(fields.get("RegionType"))
    if types and len(types) != len(names):
        types = []
    if any(len(column) != len(names) for column in columns):
        return  # without one of them it is not known which region a name belongs to
    for row, name in enumerate(names):
        x, y, w, h = (column[row] for column in columns)
        if name in _UNKNOWN or (types and types[row] != "Face") or not (w > 0 and h > 0):
            continue
        yield NamedRegion(to_upright(Box(x - w / 2, y - h / 2, w, h), orientation), name)


def _texts(value: Any) -> list[str]:
    """Return one text or several as a list."""
    values = value if isinstance(value, list) else [value]
    return [str(one).strip() for one in values if one is not None]


def _numbers(value: Any) -> list[float]:
    found = []
    for text in _texts(value):
        try:
            found.append(float(text))
        except ValueError:
            return []
    return found if all(math.isfinite(one) for one in found) else []
