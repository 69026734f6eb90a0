"""Copies of remote files on this computer: each is fetched when it is needed, and deleted as soon as it was used.

They lie in the cache folder, in a folder for each process (`homes.py`), within the bytes that
`remote.temporary_megabytes` gives. What a process that was killed left behind is deleted by the next one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from rollcall.remote import homes
from rollcall.remote.files import RemoteStat, files_of
from rollcall.remote.paths import is_remote
from rollcall.settings import Settings

#: What else is fetched with a file is this small: descriptions of a few lines.
_LARGEST_BESIDE: Final = 1 << 20  # bytes
#: For so long a list of the names in a folder is used again, in seconds.
_LISTED_SECONDS: Final = 60.0
_LISTS: Final = 64
_LONGEST_NAME: Final = 200  # bytes; of objects they may be longer than those of files


class _Kept(NamedTuple):
    folder: Path
    file: Path
    size: int
    listed: RemoteStat | None


class Copies:
    """The copies of one process. May be used from any thread."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._bytes = 0  # of those in use
        self._kept: dict[Path, _Kept] = {}
        self._listed: dict[Path, tuple[float, dict[str, RemoteStat]]] = {}

    @contextlib.contextmanager
    def at_hand(
        self,
        path: Path,
        settings: Settings,
        *,
        listed: RemoteStat | None = None,
        beside: Iterable[str] = (),
        keep: bool = False,
    ) -> Iterator[Path]:
        """Give a file of this computer with the content of a remote one, which is deleted at the end.

        It has the name of the remote one, unless that is too long for a file of this computer.

        Parameters
        ----------
        listed
            As the last listing had the file; None: whatever it is now is right.
        beside
            Names of small files that are put beside it where its folder has them.
        keep
            Keep the copy for the next call that asks for the same file, as far as there is room.

        Raises
        ------
        FileNotFoundError
            If the file is gone.
        ChangedError
            If it is not as it was listed.
        RemoteError
            If the server, the network or the disk here does not serve.
        """
        # One half for what is being read, one for what is kept.
        budget = settings.remote.temporary_megabytes * 1_000_000 // 2
        with self._turn:
            kept = self._kept.pop(path, None)
            self._bytes += 0 if kept is None else kept.size
        if kept is not None and listed is not None and kept.listed != listed:
            self._discard(kept)
            kept = None
        if kept is None:
            kept = self._fetched(path, settings, listed, beside, budget)
        try:
            yield kept.file
        finally:
            if not (keep and self._keeps(path, kept, budget)):
                self._discard(kept)

    def drop(self, path: Path) -> None:
        """Delete the copy of a file that was kept, if there is one."""
        with self._turn:
            kept = self._kept.pop(path, None)
        if kept is not None:
            shutil.rmtree(kept.folder, ignore_errors=True)

    def clear(self) -> None:
        """Delete what was kept and not asked for again."""
        with self._turn:
            kept, self._kept = list(self._kept.values()), {}
        for one in kept:
            shutil.rmtree(one.folder, ignore_errors=True)

    def _fetched(
        self, path: Path, settings: Settings, listed: RemoteStat | None, beside: Iterable[str], budget: int
    ) -> _Kept:
        files, below = files_of(path)
        size = files.stat(below).size if listed is None else listed.size
        folder = homes.new_folder(settings, files.address)
        kept = _Kept(folder, folder / _file_name(path.name), size, listed)
        self._take(size, budget)
        try:
            now = files.fetch(below, kept.file, listed)
            when = now.mtime_ns if listed is None else listed.mtime_ns
            if when:
                os.utime(kept.file, ns=(when, when))
            self._fetch_beside(path, folder, beside)
        except BaseException:
            self._discard(kept)
            raise
        return kept

    def _fetch_beside(self, path: Path, folder: Path, beside: Iterable[str]) -> None:
        wanted = [name for name in beside if name != path.name]
        if not wanted:
            return
        known = self.listed(path.parent)
        for name in wanted:
            if name in known and known[name].size <= _LARGEST_BESIDE:
                files, below = files_of(path.with_name(name))
                with contextlib.suppress(OSError):  # deleted or changed since it was listed
                    files.fetch(below, folder / name)

    def listed(self, folder: Path) -> dict[str, RemoteStat]:
        """Return the files of a remote folder by name, as they were at most a minute ago; none if it is gone.

        Raises
        ------
        RemoteError
            If it cannot be listed.
        """
        with self._turn:
            when, found = self._listed.get(folder, (0.0, {}))
        if when and time.monotonic() - when < _LISTED_SECONDS:
            return found
        files, below = files_of(folder)
        try:
            found = {one.name: one for one in files.folder(below).files}
        except (FileNotFoundError, NotADirectoryError):
            found = {}
        with self._turn:
            while len(self._listed) >= _LISTS:
                self._listed.pop(next(iter(self._listed)))
            self._listed[folder] = (time.monotonic(), found)
        return found

    def list_anew(self) -> None:
        """Forget what `listed` found."""
        with self._turn:
            self._listed.clear()

    # ---- Room

    def _take(self, size: int, budget: int) -> None:
        """Wait until there is room; a file that is larger than all of it waits until it is alone."""
        with self._turn:
            self._turn.wait_for(lambda: not self._bytes or self._bytes + size <= budget)
            self._bytes += size

    def _keeps(self, path: Path, copy: _Kept, budget: int) -> bool:
        """Keep a copy if there is room; return whether there was. Nobody ever waits for what is kept."""
        with self._turn:
            room = budget - sum(one.size for one in self._kept.values())
            if copy.size > room or path in self._kept:
                return False
            self._kept[path] = copy
            # It counts as kept from now on.
            self._bytes -= copy.size
            self._turn.notify_all()
            return True

    def _discard(self, copy: _Kept) -> None:
        shutil.rmtree(copy.folder, ignore_errors=True)
        with self._turn:
            self._bytes = max(self._bytes - copy.size, 0)
            self._turn.notify_all()


SHARED: Final = Copies()


@contextlib.contextmanager
def at_hand(path: Path, settings: Settings) -> Iterator[Path]:
    """Give a file of the library to be read: itself, or a copy of a remote one, which is deleted at the end.

    Raises
    ------
    FileNotFoundError
        If a remote file is gone; of a local one whoever reads it finds out.
    ChangedError
        If it is replaced while it is read.
    RemoteError
        If its server, the network or the disk here does not serve.
    """
    if not is_remote(path):
        yield path
        return
    with SHARED.at_hand(path, settings) as copy:
        yield copy


def _file_name(name: str) -> str:
    if len(os.fsencode(name)) <= _LONGEST_NAME:
        return name
    return hashlib.blake2b(os.fsencode(name), digest_size=16).hexdigest() + Path(name).suffix[:16]
