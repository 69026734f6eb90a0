"""Capture times from the JSON files that Google Takeout puts beside pictures and videos, and the names of these files.

Takeout's names are cut off at a length, numbered behind the suffix, and not there for edited pictures, which lie beside
their originals. How they are made is what people have found out (ente-io/ente#4956, GooglePhotosTakeoutHelper#353).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from rollcall.media import file_names, times
from rollcall.records import CaptureTime

_LONGEST_JSON: Final = 1 << 20
#: Names of pictures are cut off here, ".json" aside; the number of a copy is never cut.
_LONGEST_NAME: Final = 46
_SUPPLEMENT: Final = ".supplemental-metadata"
_NUMBER: Final = re.compile(r"\([0-9]{1,4}\)$")
#: What edited pictures end with is a word in the language of the account, and may be cut off: "-edited", "-ha editado".
_EDITED: Final = re.compile(r"-[^\W\d_]{1,20}(?: [^\W\d_]{1,20})?$")
#: Edited pictures are JPEGs, whatever their originals are.
_ORIGINALS: Final = (".HEIC", ".heic", ".JPG", ".jpg", ".png", ".dng")
_MOST_OFFSET: Final = timedelta(hours=14)
_QUARTER: Final = timedelta(minutes=15)


def find(path: Path) -> CaptureTime | None:
    """Return the time in Takeout's file of a picture; None where there is none.

    It is in UTC. Where the name of the picture holds its wall time, the two together give the offset.
    """
    for name in names(path.name):
        seconds = _taken(path.with_name(name))
        if seconds is None:
            continue
        found = times.since_1970(seconds, 0)
        if found is None:
            return None
        named = file_names.guess(path.name)
        if named is not None and named.offset_minutes is None:
            east = round((named.local - found.local) / _QUARTER) * _QUARTER
            if abs(east) <= _MOST_OFFSET and abs(named.local - found.local - east) < timedelta(minutes=5):
                return CaptureTime(found.local + east, int(east / timedelta(minutes=1)), "takeout")
        return CaptureTime(*found, "takeout")
    return None


def names(name: str) -> Iterator[str]:
    """Yield the names that Takeout's file of a picture may have, the most likely first, each once."""
    yielded: set[str] = set()
    for original, number in _originals(name):
        for spelled in (original, *(unicodedata.normalize(form, original) for form in ("NFC", "NFD"))):
            for whole in (spelled, f"{spelled}{_SUPPLEMENT}", spelled.rpartition(".")[0]):
                for cut in (whole[:_LONGEST_NAME], _cut_in_bytes(whole), whole):
                    found = f"{cut}{number}.json"
                    if cut and found not in yielded:
                        yielded.add(found)
                        yield found


def _originals(name: str) -> Iterator[tuple[str, str]]:
    """Yield the names that a picture may have been uploaded with, and the numbers of the files beside it."""
    yield name, ""
    stem, dot, suffix = name.rpartition(".")
    match = _NUMBER.search(stem)
    number = match[0] if match else ""
    plain = stem[: match.start()] if match else stem
    if number:
        yield f"{plain}{dot}{suffix}", number
    # In Unicode's composed form: an accent is no letter by itself.
    composed = unicodedata.normalize("NFC", plain)
    edited = _EDITED.search(composed)
    if edited:
        for ending in dict.fromkeys((f"{dot}{suffix}", *_ORIGINALS)):
            yield f"{composed[: edited.start()]}{ending}", number


def _cut_in_bytes(name: str) -> str:
    return name.encode("utf-8", "surrogateescape")[:_LONGEST_NAME].decode("utf-8", "ignore")


def _taken(path: Path) -> float | None:
    """Return the seconds since 1970 in a file of Takeout's; None where it is no such file."""
    try:
        if not path.is_file() or path.stat().st_size > _LONGEST_JSON:
            return None
        content = json.loads(path.read_bytes()[:_LONGEST_JSON])
        seconds = float(content["photoTakenTime"]["timestamp"])
    # Whatever the file holds: it is somebody else's.
    except (OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None
    return seconds or None  # unknown times are written as 0
