"""Read a picture file: ordinary files only, at most as many bytes as it has, and within a time.

What a device, a pipe or a file of /proc holds may never end, and a file may grow while it is read.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rollcall.errors import PictureError, TooLargeError, UnreadableError
from rollcall.media import placeholders
from rollcall.sentences import Sentence

#: A file of more bytes than this is no photograph, and reading it whole would fill the memory.
MAX_BYTES: Final = 2 << 30
#: The time is looked at after so many bytes.
_PORTION: Final = 16 << 20
_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    # Opening a pipe would wait until someone writes to it, and a terminal could become the process's own.
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
)


#: The same of a video, which is never in memory.
MOST_OF_A_VIDEO: Final = 1 << 50


def check(path: Path) -> os.stat_result:
    """Return size and times of an ordinary file of any size.

    Raises
    ------
    UnreadableError
        If it is missing, or is not an ordinary file.
    """
    with _as_picture_errors(path):
        info = path.stat()
        _check(path, info, MOST_OF_A_VIDEO)
        return info


def digest(path: Path, max_seconds: float, most: int = MAX_BYTES, abandoned: threading.Event | None = None) -> str:
    """Return the hexadecimal BLAKE2b-128 of a file's bytes, without holding them.

    Raises
    ------
    UnreadableError, TooLargeError
        As `read` does, with `most` bytes; `worker.Interrupted` is not raised: a hash that is given up is "".
    """
    found = hashlib.blake2b(digest_size=16)
    with _as_picture_errors(path):
        _check(path, path.stat(), most)
        with os.fdopen(os.open(path, _FLAGS), "rb", buffering=0) as file:
            size = _check(path, os.fstat(file.fileno()), most)
            for part in _parts(path, file, size, time.monotonic() + max_seconds, max_seconds):
                found.update(part)
                if abandoned is not None and abandoned.is_set():
                    return ""
    return found.hexdigest()


def read(path: Path, max_seconds: float = 30.0) -> bytes:
    """Return the bytes of a file, as many as it had when it was opened.

    A file whose size is given as zero, as those in /proc are, is read as empty.

    Raises
    ------
    UnreadableError
        If it is missing, may not be read, is not an ordinary file, would have to be downloaded first, or takes longer
        than `max_seconds`.
    TooLargeError
        If it has more than `MAX_BYTES`.
    """
    with _as_picture_errors(path):
        # Before it is opened: opening a device can set it going.
        _check(path, path.stat())
        with os.fdopen(os.open(path, _FLAGS), "rb", buffering=0) as file:
            size = _check(path, os.fstat(file.fileno()))
            parts = _parts(path, file, size, time.monotonic() + max_seconds, max_seconds)
            first = next(parts, b"")
            if len(first) == size:
                return first
            # Grown in place: parts that are joined at the end would be held twice.
            whole = io.BytesIO()
            whole.write(first)
            del first
            for part in parts:
                whole.write(part)
            return whole.getvalue()


@contextmanager
def _as_picture_errors(path: Path) -> Iterator[None]:
    """Make errors of the system those of a file."""
    try:
        yield
    # A name that no file can have (with a zero byte, say) is a ValueError.
    except (OSError, ValueError) as error:
        raise UnreadableError(
            path,
            Sentence("the file cannot be read (%(reason)s)", reason=str(getattr(error, "strerror", None) or error)),
            Sentence("check that it exists and may be read"),
        ) from error


def _check(path: Path, info: os.stat_result, most: int = MAX_BYTES) -> int:
    """Return the size of an ordinary file of a size that is read; raise a PictureError for any other."""
    if stat.S_ISDIR(info.st_mode):
        raise UnreadableError(path, Sentence("this is a folder"), Sentence("name a picture in it"))
    if not stat.S_ISREG(info.st_mode):
        raise UnreadableError(path, Sentence("this is not an ordinary file"), Sentence("copy the picture into one"))
    if info.st_size > most:
        raise TooLargeError(
            path,
            Sentence("the file has %(size)s GiB", size=f"{info.st_size / 2**30:.1f}"),
            Sentence("no picture above 2 GiB is read"),
        )
    if placeholders.is_marked(path, info):
        raise UnreadableError(path, Sentence("the file is only in the cloud"), Sentence("download it, then it is read"))
    return info.st_size


def _parts(path: Path, file: object, size: int, deadline: float, max_seconds: float) -> Iterator[bytes]:
    while size > 0:
        part = file.read(min(size, _PORTION))  # type: ignore[attr-defined]
        if not part:
            break  # it became shorter
        yield part
        size -= len(part)
        if size and time.monotonic() > deadline:
            raise too_slow(path, "reading", max_seconds)


def too_slow(path: Path, what: str, max_seconds: float) -> PictureError:
    """Return the error for a file that takes too long; `what` is "reading" or "decoding"."""
    error = UnreadableError if what == "reading" else TooLargeError
    return error(
        path,
        f"{what} it took longer than {max_seconds:g} seconds",
        "raise the setting decode.max_seconds if it is wanted",
    )
