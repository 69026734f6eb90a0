"""The files of the columns: one a segment, in a folder beside the database's file.

A file is a header in JSON and the arrays behind it. They are mapped into memory as they lie there, so that processes
share them, and only those that a search needs are read. Each file is written whole or not at all: what is there after
a kill is complete, and the next search goes on with the segments that are missing.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rollcall.search.columns.segment import Segment
from rollcall.search.vector_file import State

log = logging.getLogger(__name__)

SUFFIX: Final = ".columns"
_FORMAT: Final = 1
#: Bytes of the header, filled up with blanks.
_HEADER: Final = 4096
#: Arrays begin at multiples of this.
_ALIGNED: Final = 64
_TYPES: Final = {
    "photo_ids": "<i8",
    "faces": "<i4",
    "days": "<i4",
    "text_ends": "<i8",
    "text": "u1",
    "by_place": "<i8",
    "cumulative": "<u4",
    "groups": "<f8",
    "female": "<f8",
    "male": "<f8",
    "age_low": "<i2",
    "age_high": "<i2",
}


class Stored(NamedTuple):
    """A segment, and what it takes account of."""

    segment: Segment
    revision: int  # the newest one (storage/revisions.py)
    state: State  # the newest event: it tells a database that was restored


class ColumnFiles:
    """The files beside a database's file."""

    def __init__(self, database_file: Path) -> None:
        self.folder = database_file.with_name(database_file.name + SUFFIX)
        self._database_file = database_file

    def path(self, number: int) -> Path:
        """Return where a segment's file is."""
        return self.folder / f"{number:06}.segment"

    def paths(self) -> list[Path]:
        """Return all files."""
        return sorted(self.folder.iterdir()) if self.folder.is_dir() else []

    def identity(self, number: int) -> tuple[int, int] | None:
        """Return what tells a segment's file from one that replaces it; None if there is none."""
        try:
            found = self.path(number).stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def load(self, number: int) -> Stored | None:
        """Map the file of a segment; None if there is none of this format, or it is damaged."""
        try:
            # As a plain array: taking parts of one of NumPy's own kind for files takes ten times as long.
            whole = np.asarray(np.memmap(self.path(number), "u1", "r"))
            header = json.loads(bytes(whole[:_HEADER]))
            if header["format"] != _FORMAT or header["bytes"] != len(whole):
                return None
            columns = {}
            for name, (offset, shape) in header["columns"].items():
                dtype = np.dtype(_TYPES[name])
                size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
                columns[name] = whole[offset : offset + size].view(dtype).reshape(shape)
            return Stored(Segment(**columns), int(header["revision"]), State(*header["state"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def store(self, number: int, stored: Stored) -> Stored:
        """Write the file of a segment and map it; return the arrays as they are if it cannot be written."""
        path = self.path(number)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            self._make_folder()
            _write(temporary, stored, self._database_file.stat().st_mode & 0o777)
            temporary.replace(path)
        except OSError as error:
            log.info("%s: the columns for searches are not stored (%s)", path, error)
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            return stored
        return self.load(number) or stored

    def delete(self) -> None:
        """Remove the folder; what still maps a file of it keeps that until it is done."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make_folder(self) -> None:
        """Make the folder; it is open to the same people as the database."""
        if not self.folder.is_dir():
            mode = self._database_file.stat().st_mode & 0o777
            self.folder.mkdir(exist_ok=True)
            self.folder.chmod(mode | (mode & 0o444) >> 2)


def _write(path: Path, stored: Stored, mode: int) -> None:
    places: dict[str, tuple[int, tuple[int, ...]]] = {}
    offset = _HEADER
    columns: list[tuple[int, NDArray[Any]]] = []
    for name, dtype in _TYPES.items():
        column = np.ascontiguousarray(getattr(stored.segment, name), dtype)
        places[name] = offset, column.shape
        columns.append((offset, column))
        offset += -(-column.nbytes // _ALIGNED) * _ALIGNED
    content = {
        "format": _FORMAT,
        "bytes": offset,
        "revision": stored.revision,
        "state": stored.state,
        "columns": places,
    }
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as stream:  # noqa: PTH123 (the mode)
        stream.write(json.dumps(content).encode().ljust(_HEADER))
        for start, column in columns:
            stream.seek(start)
            stream.write(column.reshape(-1).view("u1").data)
        stream.truncate(offset)
