"""Google Takeout: the names of people in the JSON files beside the pictures. They have no boxes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from rollcall.bridges.imports.names import ExportedNames, PhotoNames, PhotoPlace
from rollcall.media import takeout

_LARGEST: Final = 4 << 20  # bytes


class Takeout(ExportedNames):
    """Reads the files of a Takeout export."""

    name = "takeout"
    wanted = "the export was unpacked into"

    def _beside(self, photo: PhotoPlace) -> PhotoNames:
        for name in takeout.names(photo.file.name):
            content = json_of(photo.file.with_name(name))
            if isinstance(content, dict) and "photoTakenTime" in content:
                return PhotoNames(names=_names(content.get("people")))
        return PhotoNames()


def _names(people: Any) -> tuple[str, ...]:
    if not isinstance(people, list):
        return ()
    found = (one.get("name") for one in people if isinstance(one, dict))
    return tuple(dict.fromkeys(name.strip() for name in found if isinstance(name, str) and name.strip()))


def json_of(file: Path) -> Any:
    """Return the value of a small JSON file; None where there is none, whatever the file holds."""
    try:
        if not file.is_file() or file.stat().st_size > _LARGEST:
            return None
        return json.loads(file.read_bytes()[:_LARGEST])
    except (OSError, ValueError, RecursionError):
        return None
