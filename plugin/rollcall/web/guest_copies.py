"""What guests download: the pictures that they see, without what originals tell of places, people and cameras."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from rollcall.errors import PictureError
from rollcall.media import video
from rollcall.media.bare_jpeg import bare
from rollcall.media.paths import readable
from rollcall.web.pictures import Pictures
from rollcall.web.translation import gettext, known, translated

#: JPEG files up to this size are held in memory while their picture is copied, in bytes.
_LARGEST: Final = 128 * 1024 * 1024


def is_jpeg(file: Path) -> bool:
    """Return whether a file is named as a JPEG."""
    return file.suffix.lower() in (".jpg", ".jpeg", ".jpe", ".jfif")


def bare_pictures(
    pictures: Pictures, numbers: Mapping[Path, int], missing: list[str]
) -> Callable[[Path], bytes | None]:
    """Return a function of the files of photos, by their numbers, that gives their pictures alone.

    Those of JPEG files are copied as they are; others become JPEG, as large as guests see them. What has none is added
    to `missing`.
    """
    a_video = gettext("it is a video, of which guests get no copy")

    def content(file: Path) -> bytes | None:
        if video.is_video(file):
            missing.append(f"{readable(file.name)}: {a_video}")
            return None
        try:
            if is_jpeg(file) and file.stat().st_size <= _LARGEST:
                return bare(file.read_bytes())
        except ValueError:
            pass  # named so, or damaged: what can be shown of it is
        try:
            return pictures.photo(numbers[file], "large").make(threading.Event())
        except PictureError as error:
            missing.append(f"{readable(file.name)}: {translated(known(error.reason))}")
            return None

    return content
