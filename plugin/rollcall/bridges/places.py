"""Which file of a server a photo is: by its path, as the server sees it, else by its content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Final, Generic, NamedTuple, TypeVar

from rollcall.bridges.content import PhotoContent
from rollcall.errors import SettingsError

T = TypeVar("T")
_BLOCK: Final = 1 << 20


class PathMap:
    """How folders of this machine are called on a server.

    Parameters
    ----------
    pairs
        Each ``folder here=folder there``; the longest folder that fits counts. It may be there several times, as each
        server may call it otherwise.

    Raises
    ------
    SettingsError
        If one of them is not of this form.
    """

    def __init__(self, pairs: Sequence[str]) -> None:
        self._pairs: list[tuple[str, str]] = []
        for pair in pairs:
            here, equals, there = pair.partition("=")
            if not equals or not here.strip():
                raise SettingsError(
                    f"setting 'bridges.paths': {pair!r} is not of the form FOLDER HERE=FOLDER THERE; correct it"
                )
            self._pairs.append((Path(here.strip()).expanduser().as_posix().rstrip("/"), there.strip().rstrip("/")))
        self._pairs.sort(key=lambda one: -len(one[0]))

    def there(self, file: Path) -> list[str]:
        """Return the paths that a file may have on the server, in the order of the setting; none if no pair fits."""
        path = file.as_posix()
        fits = [pair for pair in self._pairs if path.startswith(f"{pair[0]}/")]
        return [f"{there}/{path[len(here) + 1 :]}" for here, there in fits if here == fits[0][0]]


class ServerFile(NamedTuple, Generic[T]):
    """A picture file that a server has."""

    path: str  # as the server calls it
    sha1: str  # of its content, hexadecimal, lower case; empty if the server does not tell
    id: T


class FileIndex(Generic[T]):
    """The files of a server, for finding photos among them.

    Parameters
    ----------
    files
        All of the server's.
    paths
        See `PathMap`.
    relative
        Whether the server's paths begin below the library's folder.
    """

    def __init__(self, files: Iterable[ServerFile[T]], paths: PathMap, *, relative: bool = False) -> None:
        self._paths, self._relative = paths, relative
        self._by_path: dict[str, T] = {}
        self._by_hash: dict[str, T] = {}
        self._names: set[str] = set()
        for file in files:
            self._by_path[file.path.lstrip("/")] = file.id
            if file.sha1:
                self._by_hash[file.sha1] = file.id
                self._names.add(PurePosixPath(file.path).name.lower())
        self._known: dict[int, T | None] = {}

    def __len__(self) -> int:
        return len(self._by_path)

    def find(self, photo: PhotoContent) -> T | None:
        """Return the server's identifier of a photo; None if it does not have it.

        A file's content is read only if the server has a file of its name.
        """
        if photo.photo_id not in self._known:
            self._known[photo.photo_id] = self._search(photo)
        return self._known[photo.photo_id]

    def add_name(self, name: str) -> None:
        """Add the name that a file had before the server gave it another one."""
        self._names.add(name.lower())

    def _search(self, photo: PhotoContent) -> T | None:
        candidates = self._paths.there(photo.file) or [photo.file.as_posix()]
        if self._relative:
            candidates.append(photo.path)
        for candidate in candidates:
            found = self._by_path.get(candidate.lstrip("/"))
            if found is not None:
                return found
        if photo.file.name.lower() not in self._names:
            return None
        try:
            return self._by_hash.get(sha1(photo.file))
        except OSError:  # the disk is away; the next run finds it
            return None


def sha1(file: Path) -> str:
    """Return the SHA-1 of a file, hexadecimal: what photo managers tell files apart by."""
    digest = hashlib.sha1(usedforsecurity=False)
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def tag_levels(name: str) -> list[str]:
    """Return a tag's full name and those above it, from the top: People, People/Children."""
    parts = name.split("/")
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]
