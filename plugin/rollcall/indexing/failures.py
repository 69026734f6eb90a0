"""Which failures are worth another attempt: each is stored with what it depends on, and tried again when that changed.

A failure's key names its cause and the conditions at that time. A photo whose key is among `current_keys` would fail
in the same way again; any other key, and none, means that the cause may have gone.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from rollcall.errors import (
    NotEnoughMemoryError,
    PictureError,
    TooLargeError,
    UnreadableError,
    UnsupportedFormatError,
)
from rollcall.inference.videos import not_searched_key
from rollcall.settings import DecodeSettings, Settings

#: The packages whose versions decide what can be decoded.
_DECODERS = ("rollcall", "pillow", "opencv-python-headless", "pillow-heif", "pillow-jxl-plugin", "rawpy", "av")
_EXTRAS = ("pillow_heif", "pillow_jxl", "rawpy", "av")


def failure_key(error: BaseException, settings: DecodeSettings) -> str | None:
    """Return the key of a failure; None if its cause may pass by itself: permissions, disks, shares, memory."""
    if isinstance(error, UnreadableError | NotEnoughMemoryError) or not isinstance(error, PictureError):
        return None
    if isinstance(error, TooLargeError):
        return _limits(settings)
    if isinstance(error, UnsupportedFormatError):
        return _extras()
    return analysis_key()


def analysis_key() -> str:
    """Return the key of files that this version, with these decoders, cannot use."""
    return f"versions {_versions()}"


def current_keys(settings: Settings) -> frozenset[str]:
    """Return the keys of the failures that would happen again, and of the videos that would not be searched again."""
    return frozenset((_limits(settings.decode), _extras(), analysis_key(), not_searched_key(settings)))


def _limits(settings: DecodeSettings) -> str:
    return f"limits {settings.model_dump(exclude={'threads'})}"


@cache
def _extras() -> str:
    return f"extras {' '.join(name for name in _EXTRAS if find_spec(name) is not None)}"


@cache
def _versions() -> str:
    def one(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "-"

    return " ".join(map(one, _DECODERS))
