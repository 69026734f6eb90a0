"""The files of a remote folder: listed without being read, and fetched into a temporary folder. Nothing is written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple

from rollcall.remote.address import Address
from rollcall.remote.errors import RemoteError
from rollcall.remote.trouble import CutShortError, Retries, reason, retried

_CHUNK: Final = 1 << 20  # bytes
#: Where the packages of fsspec put the time of a file, the first that is there counts.
_TIMES: Final = ("LastModified", "mtime", "modified", "last_modified", "created")
_TAGS: Final = ("ETag", "etag")


class RemoteStat(NamedTuple):
    """A remote file as its server lists it; while this is equal, the file is unchanged."""

    path: str  # relative to the folder
    size: int  # bytes
    mtime_ns: int  # since 1970, UTC; 0 where the server has no times
    etag: str = ""  # of the content, where the server has one


class ChangedError(OSError):
    """A file is not the one that was listed; the next listing has it."""


class RemoteFiles:
    """The files of one remote folder."""

    def __init__(self, address: Address, retries: Retries | None = None, time_limit: float = 300.0) -> None:
        """Open a folder; credentials are those that its package finds on this computer.

        Parameters
        ----------
        time_limit
            Seconds that one try to fetch one file may take; looked at between parts of 1 MiB.

        Raises
        ------
        RemoteError
            If fsspec or the package for the scheme is not installed, or refuses.
        """
        self.address, self.retries, self.time_limit = address, retries or Retries(), time_limit
        try:
            from fsspec.core import url_to_fs

            system, root = url_to_fs(str(address))
        except ImportError as error:
            raise RemoteError(address, reason(error)) from error
        except Exception as error:
            raise RemoteError(address, reason(error)) from error
        self._system: Any = system
        self._root = str(root).rstrip("/")

    def listed(self) -> Iterator[RemoteStat]:
        """Yield all files below the folder, folder by folder, by name.

        Raises
        ------
        RemoteError
            If the folder is not there or any part cannot be listed. What was not yielded is then unknown, not gone.
        """
        waiting = [self._root]
        while waiting:
            folder = waiting.pop()
            try:
                entries = retried(partial(self._entries, folder), self.address, self.retries)
            except FileNotFoundError as error:
                if folder != self._root:
                    continue  # deleted since the folder above it was listed
                raise RemoteError(self.address, "there is no such folder; check the address") from error
            below = []
            for entry in entries:
                name = str(entry["name"]).rstrip("/")
                if name == folder or not name.startswith(f"{self._root}/"):
                    continue  # object storage lists a folder's own marker among its files
                if entry["type"] == "directory":
                    below.append(name)
                elif entry["type"] == "file":
                    yield _stat(name.removeprefix(f"{self._root}/"), entry)
            waiting.extend(reversed(below))

    def _entries(self, folder: str) -> list[dict[str, Any]]:
        # A listing from the cache would keep files that were deleted.
        self._system.invalidate_cache()
        return sorted(self._system.ls(folder, detail=True), key=lambda entry: str(entry["name"]))

    def fetch(self, stat: RemoteStat, target: Path) -> None:
        """Write the content of a remote file to a local one, which is left away if that fails.

        Raises
        ------
        FileNotFoundError
            If the remote file is gone.
        ChangedError
            If it is not as it was listed.
        RemoteError
            If the server, the network or the disk here does not serve.
        """
        try:
            changed = retried(lambda: self._copy(stat, target), self.address, self.retries)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        if changed:
            target.unlink(missing_ok=True)
            raise ChangedError(f"{stat.path} changed while it was read")

    def _copy(self, stat: RemoteStat, target: Path) -> bool:
        """Copy a file once, and return whether it changed since it was listed."""
        name = f"{self._root}/{PurePosixPath(stat.path)}"
        until = time.monotonic() + self.time_limit
        self._system.invalidate_cache()
        # Times are not compared: servers give other ones, or coarser ones, here than in listings. A file that was
        # replaced alike keeps the time of its listing, so that the next listing has it as changed.
        now = _stat(stat.path, self._system.info(name))
        if now.size != stat.size or (now.etag and stat.etag and now.etag != stat.etag):
            return True
        done = 0
        with self._system.open(name, "rb") as source, _opened(target, self.address) as copy:
            while part := source.read(_CHUNK):
                done += len(part)
                if done > stat.size:
                    return True
                if time.monotonic() > until:
                    raise TimeoutError
                _write(copy, part, target, self.address)
        if done < stat.size:
            raise CutShortError
        return False


def _opened(target: Path, address: Address) -> Any:
    try:
        return target.open("wb")
    except OSError as error:
        raise RemoteError(address, _disk(target, error)) from error


def _write(copy: Any, part: bytes, target: Path, address: Address) -> None:
    try:
        copy.write(part)
        copy.flush()
    except OSError as error:
        raise RemoteError(address, _disk(target, error)) from error


def _disk(target: Path, error: OSError) -> str:
    return f"{target.parent} cannot hold a copy ({error.strerror or error}); make room there, or name another folder"


def _stat(path: str, entry: dict[str, Any]) -> RemoteStat:
    """Return what a server tells of a file."""
    when = next((entry[key] for key in _TIMES if entry.get(key)), 0)
    tag = next((str(entry[key]) for key in _TAGS if entry.get(key)), "")
    return RemoteStat(path, int(entry["size"] or 0), _nanoseconds(when), tag)


def _nanoseconds(when: Any) -> int:
    if isinstance(when, str):
        try:
            when = datetime.fromisoformat(when)
        except ValueError:
            return 0
    if isinstance(when, datetime):
        aware = when if when.tzinfo else when.replace(tzinfo=UTC)
        return int(aware.timestamp() * 1_000_000) * 1000
    return int(when * 1_000_000_000) if isinstance(when, int | float) else 0
