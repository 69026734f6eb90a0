"""Discover the files of a remote folder: its listing stands for what `discovery` finds on a disk.

Nothing is read. What a server cannot list is an error, or left as it is: nothing is taken to be gone because of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from rollcall.errors import RemoteError
from rollcall.indexing import discovery
from rollcall.indexing.discovery import OnOptedOut, OnSidecar, OnUnreadable, Walk, stills_of, text
from rollcall.media import live_photos
from rollcall.media.paths import from_text
from rollcall.records import FileStat
from rollcall.remote.files import Folder, RemoteStat, files_of
from rollcall.settings import LibrarySettings
from rollcall.video_settings import VideoSettings

#: A video of the stem of a still that is no larger, in bytes, is taken to be its moving part: its header, which would
#: tell, is not fetched by every scan.
_MOVING: Final = 16 << 20


def check(root: Path) -> Folder:
    """Return what is in a remote folder.

    Raises
    ------
    RemoteError
        If it is not there, is a file, is empty, or cannot be listed.
    """
    files, below = files_of(root)
    try:
        found = files.folder(below)
    except NotADirectoryError as error:
        raise RemoteError(root, "this is a file; name its folder") from error
    except FileNotFoundError as error:
        raise RemoteError(root, "there is no such folder; check the address") from error
    if not any(found):
        raise RemoteError(root, "the folder is empty; nothing was marked as missing; check the address")
    return found


def discover(
    root: Path,
    settings: LibrarySettings,
    on_unreadable: OnUnreadable = lambda path, reason: None,
    *,
    below: str = "",
    on_opted_out: OnOptedOut = lambda path: None,
    on_sidecar: OnSidecar | None = None,
    videos: VideoSettings | None = None,
) -> Iterator[FileStat]:
    """Yield the pictures and videos of a remote root, or of the folder `below` in it, as `discovery.discover` does.

    The times of change are digests of the server's tags of the content, where it has such.

    Raises
    ------
    RemoteError
        If the folder is not there, is empty, or the server does not serve. What was not yielded is unknown, not gone.
    """
    walk = _RemoteWalk(root, settings, on_unreadable, on_opted_out, on_sidecar, discovery.suffixes(videos))
    yield from walk.files(PurePosixPath(from_text(below)))


class _RemoteWalk(Walk):
    """One walk over the folders of a remote root."""

    def files(self, start: PurePosixPath) -> Iterator[FileStat]:
        for count in range(len(start.parts)):
            above = PurePosixPath(*start.parts[:count])
            if self.is_marked(above, _names(check(self.root / above))):
                return
        first = check(self.root / start)
        waiting: list[PurePosixPath] = []
        yield from self._files_in(start, first, waiting)
        while waiting:
            folder = waiting.pop()
            found = self._listed(folder)
            if found is not None:
                yield from self._files_in(folder, found, waiting)

    def _listed(self, folder: PurePosixPath) -> Folder | None:
        """Return what is in a folder; None if it was deleted meanwhile, or is one that the server refuses to list."""
        files, below = files_of(self.root / folder)
        try:
            return files.folder(below)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except RemoteError as error:
            check(self.root)  # raises if it is not this folder alone
            self.on_unreadable(text(folder), error.reason)
            return None

    def _files_in(self, folder: PurePosixPath, found: Folder, waiting: list[PurePosixPath]) -> Iterator[FileStat]:
        """Yield the pictures in a folder, and let the folders in it wait for their turn."""
        if self.is_marked(folder, _names(found)):
            return
        stills = stills_of(_names(found))
        for name in found.odd:
            self.on_unreadable(text(folder), f"it holds the name {name!r}, which is no path")
        for file in found.files:
            path = folder / file.name
            if discovery.is_excluded(path, self.settings):
                continue
            suffix = path.suffix.lower()
            if suffix in self.suffixes and not self._moves(path, file, stills):
                yield _stat(path, file)
            elif suffix == discovery.SIDECAR_SUFFIX and self.on_sidecar is not None:
                # As sidecars are stored: there a time that is not known is 0.
                self.on_sidecar(_stat(path, file)._replace(ctime_ns=file.version or 0))
        below = [folder / name for name in reversed(found.folders)]
        waiting.extend(path for path in below if not discovery.is_excluded(path, self.settings))

    def _moves(self, path: PurePosixPath, file: RemoteStat, stills: frozenset[str]) -> bool:
        moving = path.suffix.lower() in live_photos.MOVING_SUFFIXES
        return moving and file.size <= _MOVING and path.stem.lower() in stills


def _stat(path: PurePosixPath, file: RemoteStat) -> FileStat:
    return FileStat(text(path), file.size, file.mtime_ns, file.version)


def _names(found: Folder) -> Iterator[str]:
    return (one.name for one in found.files)
