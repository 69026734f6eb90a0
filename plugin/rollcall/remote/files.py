"""The files of a bucket or server: listed without being read, and fetched into a local file. Nothing is written."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from rollcall.errors import RemoteError
from rollcall.remote import systems
from rollcall.remote.address import Address
from rollcall.remote.paths import split
from rollcall.remote.trouble import ChangedError, CutShortError, Retries, reason, retried

_Result = TypeVar("_Result")
_CHUNK: Final = 1 << 20  # bytes
_SLOWEST: Final = 64_000  # bytes a second
#: What names of files cannot hold on Windows.
_NOT_HERE: Final = re.compile(r'[\\:*?"<>|]')
#: Where the packages of fsspec put the time of a file, the first that is there counts.
_TIMES: Final = ("LastModified", "mtime", "modified", "last_modified", "created")
_TAGS: Final = ("ETag", "etag")


class RemoteStat(NamedTuple):
    """A remote file as its server lists it; while this is equal, the file is unchanged."""

    name: str  # in its folder
    size: int  # bytes
    mtime_ns: int  # since 1970, UTC; 0 where the server has no times
    version: int | None = None  # a digest of the server's tag of the content, where it has one


class Folder(NamedTuple):
    """What is in a remote folder, by name."""

    files: list[RemoteStat]
    folders: list[str]
    odd: list[str]  # names that are no part of a path, which nobody else gets to see as one


class RemoteFiles:
    """The files of one bucket or server. May be used from any thread."""

    def __init__(self, address: Address, retries: Retries | None = None, time_limit: float = 300.0) -> None:
        """Open a bucket or server; credentials are those that its package finds on this computer.

        Parameters
        ----------
        time_limit
            Seconds that one try to fetch one file may take beside those of a line of 64 kB a second; looked at between
            parts of 1 MiB.

        Raises
        ------
        RemoteError
            If fsspec or the package for the scheme is not installed, or refuses.
        """
        self.address, self.retries, self.time_limit = address, retries or Retries(), time_limit
        try:
            self._system, self._root = systems.opened(address)
        except RemoteError:
            raise
        except Exception as error:
            raise RemoteError(address, reason(error, address.scheme)) from error

    def folder(self, below: str) -> Folder:
        """Return what is in a folder of the bucket or server; "" for the whole.

        Raises
        ------
        FileNotFoundError
            If there is no such folder.
        NotADirectoryError
            If it is a file.
        RemoteError
            If it cannot be listed.
        """
        # Some begin names with a slash, some do not.
        path = self._name(below).lstrip("/")
        entries = self._retried(partial(self._entries, self._name(below)))
        prefix = f"{path}/" if path else ""
        result = Folder([], [], [])
        for entry in entries:
            whole = str(entry["name"]).lstrip("/")
            name = whole[:-1] if whole.endswith("/") else whole
            if name == path:
                if whole == path and len(entries) == 1 and entry["type"] == "file" and entry.get("size"):
                    raise NotADirectoryError(f"{self.address}/{below}")
                if whole != path and entry["type"] == "directory" and entry.get("StorageClass") == "DIRECTORY":
                    result.odd.append("")  # what lies behind two slashes in object storage
                continue  # object storage lists a folder's own marker among its files
            if not name.startswith(prefix):
                continue
            name = name[len(prefix) :]
            if name in ("", ".", "..") or "/" in name or "\0" in name or (os.sep == "\\" and _NOT_HERE.search(name)):
                result.odd.append(name)
            elif entry["type"] == "directory":
                result.folders.append(name)
            elif entry["type"] == "file":
                result.files.append(_stat(name, entry))
        return result

    def _retried(self, work: Callable[[], _Result]) -> _Result:
        return retried(work, self.address, self.retries, getattr(self._system, "reconnect", None))

    def _name(self, below: str) -> str:
        return f"{self._root}/{below}" if below else self._root

    def _entries(self, path: str) -> list[dict[str, Any]]:
        # A listing from the cache would keep files that were deleted.
        self._system.invalidate_cache()
        return sorted(self._system.ls(path, detail=True), key=lambda entry: str(entry["name"]))

    def stat(self, below: str) -> RemoteStat:
        """Return what a file is now.

        Raises
        ------
        FileNotFoundError
            If it is gone.
        RemoteError
            If the server or the network does not serve.
        """
        return self._retried(lambda: self._stat(below))

    def _stat(self, below: str) -> RemoteStat:
        self._system.invalidate_cache()
        return _stat(below.rpartition("/")[2], self._system.info(self._name(below)))

    def fetch(self, below: str, target: Path, listed: RemoteStat | None = None) -> RemoteStat:
        """Write the content of a remote file to a local one, which is left away if that fails; return what it was.

        Parameters
        ----------
        below
            The path of the file in the bucket or on the server.
        listed
            As the last listing had it; None: whatever it is now is right.

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
            return self._retried(partial(self._copy, below, target, listed))
        except BaseException:
            target.unlink(missing_ok=True)
            raise

    def _copy(self, below: str, target: Path, listed: RemoteStat | None) -> RemoteStat:
        # Times are not compared: servers give other ones, or coarser ones, here than in listings. A file that was
        # replaced alike keeps the time of its listing, so that the next listing has it as changed.
        now = self._stat(below)
        if listed is not None and _differs(now, listed):
            raise ChangedError(f"{below} changed since it was listed")
        until = time.monotonic() + self.time_limit + now.size / _SLOWEST
        done = 0
        with (
            self._system.open(self._name(below), "rb") as source,
            _here(lambda: open(target, "wb", opener=_private), target, self.address) as copy,
        ):
            if hasattr(source, "prefetch"):  # of SSH, which waits for each part otherwise
                source.prefetch(now.size)
            while part := source.read(_CHUNK):
                done += len(part)
                if done > now.size:
                    raise ChangedError(f"{below} changed while it was read")
                if time.monotonic() > until:
                    raise TimeoutError
                _here(partial(copy.write, part), target, self.address)
            _here(copy.flush, target, self.address)
        if done < now.size:
            raise CutShortError
        return now


@lru_cache(maxsize=32)
def _opened(address: Address) -> RemoteFiles:
    return RemoteFiles(address)


def files_of(path: Path) -> tuple[RemoteFiles, str]:
    """Return the bucket or server of a remote path, and the path in it.

    Raises
    ------
    RemoteError
        As `RemoteFiles`.
    """
    address, below = split(path)
    return _opened(address), below


def can_be_listed(folder: Path) -> bool:
    """Return whether a remote folder can be listed now; one that is gone cannot."""
    try:
        files, below = files_of(folder)
        files.folder(below)
    except (FileNotFoundError, NotADirectoryError, RemoteError):
        return False
    return True


def _differs(now: RemoteStat, listed: RemoteStat) -> bool:
    tagged = now.version is not None and listed.version is not None
    return now.size != listed.size or (tagged and now.version != listed.version)


def _private(path: str, flags: int) -> int:
    """Open a file for its owner alone."""
    return os.open(path, flags, 0o600)


def _here(work: Callable[[], Any], target: Path, address: Address) -> Any:
    """Do something with a file of this computer, whose trouble is not that of the server."""
    try:
        return work()
    except OSError as error:
        raise RemoteError(
            address,
            f"{target.parent} cannot hold a copy ({error.strerror or error}); make room there, or set cache.folder to"
            " another one",
        ) from error


def _stat(name: str, entry: dict[str, Any]) -> RemoteStat:
    """Return what a server tells of a file."""
    when = next((entry[key] for key in _TIMES if entry.get(key)), 0)
    tag = next((str(entry[key]) for key in _TAGS if entry.get(key)), "")
    return RemoteStat(name, int(entry["size"] or 0), _nanoseconds(when), _digest(tag) if tag else None)


def _digest(tag: str) -> int:
    """Return 63 bits of a tag, which a column of the database holds."""
    return int.from_bytes(hashlib.blake2b(tag.encode(), digest_size=8).digest(), "big") >> 1


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
