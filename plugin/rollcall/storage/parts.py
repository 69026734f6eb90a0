"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rollcall.media import paths


def resolved(file: Path) -> Path:
    """Return the file that a link leads to; any other path as it is."""
    return Path(os.path.realpath(file)) if paths.is_link(file) else file


@contextmanager
def completed(file: Path, *, name: str = "") -> Iterator[Path]:
    """Give the name of a file to write beside another, whose place it takes in the end.

    Nothing stays of one that fails: on a full disk it would hold the room that is missing. `name` tells apart what
    several threads write at once. A link stays one: the file that it leads to is replaced.
    """
    file = resolved(file)
    part = file.with_name(f"{file.name}{name and '.'}{name}.part")
    try:
        yield part
        part.replace(file)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
