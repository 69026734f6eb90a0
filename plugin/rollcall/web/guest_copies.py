"""What guests download: what they see and play, without what originals tell of places, people and cameras."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from rollcall.errors import PictureError, UnreadableError
from rollcall.media import video
from rollcall.media.bare_jpeg import bare
from rollcall.media.paths import readable
from rollcall.web.guest_videos import GuestVideos
from rollcall.web.translation import gettext, known, translated

#: JPEG files up to this size are held in memory while their picture is copied, in bytes.
_LARGEST: Final = 128 * 1024 * 1024


def is_jpeg(file: Path) -> bool:
    """Return whether a file is named as a JPEG."""
    return file.suffix.lower() in (".jpg", ".jpeg", ".jpe", ".jfif")


def for_guests(error: PictureError) -> str:
    """Return why guests do not get a picture, without what names files and folders of this machine."""
    if isinstance(error, UnreadableError):
        return gettext("This is not there at present.")
    return translated(known(error.reason))


def bare_copies(
    videos: GuestVideos, numbers: Mapping[Path, int], missing: list[str]
) -> Callable[[Path], bytes | Path | None]:
    """Return a function of the files of photos and videos, by their numbers, that gives copies that tell nothing else.

    Pictures of JPEG files are copied as they are; others become JPEG, as large as guests see them. Of videos it is the
    file that guests play. What has none is added to `missing`.
    """

    def content(file: Path) -> bytes | Path | None:
        try:
            if video.is_video(file):
                return videos.made(numbers[file])
            if is_jpeg(file) and file.stat().st_size <= _LARGEST:
                return bare(file.read_bytes())
        except ValueError:
            pass  # named so, or damaged: what can be shown of it is
        except PictureError as error:
            missing.append(f"{readable(file.name)}: {for_guests(error)}")
            return None
        try:
            return videos.pictures.photo(numbers[file], "large").make(threading.Event())
        except PictureError as error:
            missing.append(f"{readable(file.name)}: {for_guests(error)}")
            return None

    return content
