"""Files as one ZIP, made while it is read: nothing of it lies on the disk or whole in memory."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from rollcall.media.reading import MAX_BYTES

_PART: Final = 1 << 20


def named(files: Iterable[tuple[int, Path]]) -> Iterator[tuple[Path, str]]:
    """Yield numbered files, each with a name in the ZIP that no other one has."""
    taken: set[str] = set()
    for number, file in files:
        # Names of files may be bytes that are no text; in a ZIP they have to be.
        name = file.name.encode("utf-8", "replace").decode()
        if name in taken:
            name = f"{Path(name).stem}-{number}{Path(name).suffix}"
        taken.add(name)
        yield file, name


class _Pipe:
    """A file that is written and never read back: what was written is taken out in between."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.position = 0

    def write(self, data: bytes) -> int:
        self.parts.append(bytes(data))
        self.position += len(data)
        return len(data)

    def tell(self) -> int:
        return self.position

    def flush(self) -> None:
        pass

    def taken(self) -> bytes:
        data, self.parts = b"".join(self.parts), []
        return data


def zipped(
    files: Iterable[tuple[Path, str]],
    texts: Callable[[], Mapping[str, str]] = dict,
    content: Callable[[Path], bytes | Path | None] | None = None,
) -> Iterator[bytes]:
    """Yield the parts of a ZIP of files with their names in it; one that has vanished is left out.

    Parameters
    ----------
    texts
        Returns texts by their names; they come behind the files, and are asked for then.
    content
        What stands in the place of a file's own content, or another file that does, whose suffix the name gets then;
        where it returns None the file is left out.
    """
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        for file, name in files:
            try:
                # A time before 1980 has no form in a ZIP.
                info = zipfile.ZipInfo.from_file(file, name, strict_timestamps=False)
                made = file if content is None else content(file)
                if isinstance(made, bytes):
                    archive.writestr(info, made)
                    yield pipe.taken()
                elif made is not None:
                    yield from _streamed(archive, pipe, info, made)
            except OSError:
                continue  # it vanished meanwhile
        for name, text in texts().items():
            archive.writestr(name, text)
    yield pipe.taken()


def _streamed(archive: zipfile.ZipFile, pipe: _Pipe, info: zipfile.ZipInfo, file: Path) -> Iterator[bytes]:
    if not info.filename.lower().endswith(file.suffix.lower()):
        info.filename += file.suffix
    with file.open("rb") as source:
        info.file_size = os.fstat(source.fileno()).st_size
        with archive.open(info, "w", force_zip64=info.file_size > MAX_BYTES) as entry:
            while part := source.read(_PART):
                entry.write(part)
                yield pipe.taken()
