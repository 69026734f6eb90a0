"""Discover the files of a library: a walk over its folders that follows no circle and yields files as it goes."""

from __future__ import annotations

import errno
import fnmatch
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from rollcall.errors import reason_of
from rollcall.media import live_photos, placeholders
from rollcall.media.formats import EXTRAS, SUFFIXES, VIDEO_SUFFIXES, Format, installed
from rollcall.media.paths import to_text
from rollcall.records import FileStat
from rollcall.sentences import Sentence
from rollcall.settings import EXCLUSION_MARKERS, OPT_OUT_MARKER, LibrarySettings
from rollcall.storage import mounts
from rollcall.video_settings import VideoSettings

#: Gets a path relative to the root, "" for the root itself, and why it could not be read.
OnUnreadable = Callable[[str, str], None]
#: Gets a folder relative to the root, "" for the root itself.
OnOptedOut = Callable[[str], None]
#: Gets the path, relative to the root, that a picture or a sidecar has or will have that is only in the cloud.
OnCloud = Callable[[str], None]
#: Gets the path of a sidecar relative to the root, with size and times.
OnSidecar = Callable[[FileStat], None]
#: Device and inode: equal for the names of one folder.
_Key = tuple[int, int]
SIDECAR_SUFFIX: Final = ".xmp"
#: The path of a root relative to itself.
_WHOLE: Final = PurePosixPath()


def suffixes(videos: VideoSettings | None) -> frozenset[str]:
    """Return the suffixes of the files that belong to the library: pictures, and videos if the settings say so."""
    if videos is None or videos.index == "off" or (videos.index == "auto" and not installed(EXTRAS[Format.VIDEO][1])):
        return SUFFIXES
    return SUFFIXES | VIDEO_SUFFIXES


def is_available(root: Path) -> bool:
    """Return whether a root is there and not empty; an unmounted share leaves an empty folder behind."""
    try:
        with os.scandir(root) as entries:
            return next(entries, None) is not None
    except OSError:
        return False


def why_unreadable(root: Path) -> Sentence | None:
    """Return why a root cannot be listed; None if it can, be it empty or not."""
    try:
        os.scandir(root).close()
    except FileNotFoundError:
        return Sentence("the folder is not there")
    except OSError as error:
        return Sentence("the folder cannot be read (%(reason)s): allow your user to open it", reason=reason_of(error))
    return None


def discover(
    root: Path,
    settings: LibrarySettings,
    on_unreadable: OnUnreadable = lambda path, reason: None,
    *,
    below: PurePosixPath = _WHOLE,
    on_opted_out: OnOptedOut = lambda path: None,
    on_sidecar: OnSidecar | None = None,
    on_cloud: OnCloud = lambda path: None,
    videos: VideoSettings | None = None,
) -> Iterator[FileStat]:
    """Yield the pictures and videos of `root`, folder by folder, by name; with `below` only those in that folder.

    All paths are relative to `root`, and patterns match them, whatever `below` is. Whether `below` itself belongs to
    the library is not checked, see `is_included`.

    Parameters
    ----------
    on_unreadable
        Called with each path that could not be read and the reason. Files below it were not seen, which does not mean
        that they are gone.
    on_opted_out
        Called with each folder that has a file `.rollcall-ignore`.
    on_sidecar
        Called with each file of the suffix `.xmp`.
    on_cloud
        Called with each file that would have to be downloaded to be read; these are not yielded.
    videos
        Whether videos are yielded, without the moving parts of live photos; None: they are not.
    """
    above = frozenset(_keys(root.joinpath(*below.parts[:n]) for n in range(len(below.parts))))
    walk = _DiskWalk(root, settings, on_unreadable, on_opted_out, on_sidecar, suffixes(videos), on_cloud)
    yield from walk.files(below, above)


class _Level(NamedTuple):
    """A folder that the walk is in."""

    folder: PurePosixPath
    ancestors: frozenset[_Key]  # itself and the folders above it
    entries: Iterator[os.DirEntry[str]]
    stills: frozenset[str]  # the stems of its pictures; empty where videos are not asked for


@dataclass
class Walk:
    """What walks over the folders of a root have in common, on a disk and on a server."""

    root: Path
    settings: LibrarySettings
    on_unreadable: OnUnreadable
    on_opted_out: OnOptedOut
    on_sidecar: OnSidecar | None
    suffixes: frozenset[str]

    def is_marked(self, folder: PurePosixPath, names: Iterable[str]) -> bool:
        """Return whether a folder with these names has an exclusion marker; report one that has the opt-out marker."""
        markers = set(names).intersection(EXCLUSION_MARKERS)
        if OPT_OUT_MARKER in markers:
            self.on_opted_out(text(folder))
        return bool(markers)


@dataclass
class _DiskWalk(Walk):
    """One walk over the folders of a root."""

    on_cloud: OnCloud
    linked: set[_Key] = field(default_factory=set)  # the folders that were entered by a link

    def files(self, folder: PurePosixPath, ancestors: frozenset[_Key]) -> Iterator[FileStat]:
        """Yield the pictures of a folder, relative to the root; `ancestors` are the folders above it."""
        # A stack of our own: folders may be nested deeper than Python's calls.
        first = self._open(folder, ancestors)
        levels = [] if first is None else [first]
        while levels:
            entry = next(levels[-1].entries, None)
            if entry is None:
                levels.pop()
                continue
            found = self._visit(entry, levels[-1])
            if isinstance(found, FileStat):
                yield found
            elif found is not None:
                levels.append(found)

    def _open(self, folder: PurePosixPath, ancestors: frozenset[_Key]) -> _Level | None:
        """Return a folder's entries by name; None if it cannot be read or is excluded."""
        try:
            here = os.stat(self.root / folder)
            with os.scandir(self.root / folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            self.on_unreadable(text(folder), error.strerror or str(error))
            return None
        if self.is_marked(folder, (entry.name for entry in entries)):
            return None
        stills = stills_of(entry.name for entry in entries) if self.suffixes >= VIDEO_SUFFIXES else frozenset()
        return _Level(folder, ancestors | {(here.st_dev, here.st_ino)}, iter(entries), stills)

    def _visit(self, entry: os.DirEntry[str], level: _Level) -> FileStat | _Level | None:
        """Return the picture, or the opened folder, that an entry is; None if it is neither or is excluded."""
        path = level.folder / entry.name
        downloaded = placeholders.downloaded_name(entry.name)
        if downloaded is not None:
            self._report_cloud(level.folder / downloaded)
            return None
        if is_excluded(path, self.settings):
            return None
        try:
            if entry.is_dir(follow_symlinks=self.settings.follow_links):
                return self._open(path, level.ancestors) if self._enters(entry, path, level.ancestors) else None
            suffix = path.suffix.lower()
            if suffix in self.suffixes:
                info = entry.stat()
                if stat.S_ISREG(info.st_mode) and not (
                    self._is_in_cloud(path, info) or self._moves(path, suffix, info.st_size, level.stills)
                ):
                    return FileStat.of(text(path), info)
            elif suffix == SIDECAR_SUFFIX and self.on_sidecar is not None:
                self.on_sidecar(FileStat.of(text(path), entry.stat()))
        except OSError as error:
            # A link to nothing or to itself is not there, nor is a file that was deleted after it was listed.
            if not isinstance(error, FileNotFoundError) and error.errno != errno.ELOOP:
                self.on_unreadable(text(path), error.strerror or str(error))
        return None

    def _moves(self, path: PurePosixPath, suffix: str, size: int, stills: frozenset[str]) -> bool:
        """Return whether a file is the moving part of a live photo."""
        if suffix not in live_photos.MOVING_SUFFIXES:
            return False
        return live_photos.is_moving_part(self.root / path, size, lambda stem: stem.lower() in stills)

    def _is_in_cloud(self, path: PurePosixPath, info: os.stat_result) -> bool:
        """Return whether a picture would have to be downloaded, and report it."""
        found = _is_placeholder(self.root, self.root / path, info)
        if found:
            self.on_cloud(text(path))
        return found

    def _report_cloud(self, path: PurePosixPath) -> None:
        """Report a file that is not there under its own name."""
        if path.suffix.lower() in self.suffixes | {SIDECAR_SUFFIX} and not is_excluded(path, self.settings):
            self.on_cloud(text(path))

    def _enters(self, entry: os.DirEntry[str], path: PurePosixPath, ancestors: frozenset[_Key]) -> bool:
        """Return whether the walk enters a folder or a link to one: not in a circle, and each folder once."""
        info = entry.stat()
        key = (info.st_dev, info.st_ino)
        if key in ancestors:
            return False
        if entry.is_symlink():
            if key in self.linked or _has_own_name(self.root, self.root / path, self.settings):
                return False
            self.linked.add(key)
        return True


def stills_of(names: Iterable[str]) -> frozenset[str]:
    """Return the stems, in lower case, of those names that are pictures of."""
    parts = (os.path.splitext(name) for name in names)  # noqa: PTH122 (a folder may have a million names)
    return frozenset(stem.lower() for stem, suffix in parts if suffix.lower() in live_photos.STILL_SUFFIXES)


def file_stat(
    root: Path, path: Path, settings: LibrarySettings, videos: VideoSettings | None = None
) -> FileStat | None:
    """Return path, size and time of one file; None if it does not exist or does not belong to the library."""
    try:
        relative = PurePosixPath(path.relative_to(root).as_posix())
    except ValueError:
        return None
    if relative.suffix.lower() not in suffixes(videos) or not is_included(root, relative, settings):
        return None
    try:
        info = path.stat()
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(info.st_mode):
        return None
    if live_photos.is_moving_part(path, info.st_size, lambda _: live_photos.still_beside(path)):
        return None
    return FileStat.of(text(relative), info)


def is_in_cloud(root: Path, path: Path) -> bool:
    """Return whether a file is not here and not gone either: a placeholder of it would be downloaded if it was read."""
    try:
        info = path.stat()
        return stat.S_ISREG(info.st_mode) and _is_placeholder(root, path, info)
    except (OSError, ValueError):
        return any(os.path.lexists(path.with_name(name)) for name in placeholders.placeholder_names(path.name))


def _is_placeholder(root: Path, path: Path, info: os.stat_result) -> bool:
    if placeholders.is_marked(path, info):
        return True
    return placeholders.is_without_blocks(info) and info.st_dev == _counting_device(root)


@lru_cache(maxsize=64)
def _counting_device(root: Path) -> int | None:
    """Return the device of a root whose file system counts the blocks of files; None for any other."""
    return root.stat().st_dev if mounts.counts_blocks(root) else None


def is_included(root: Path, relative: PurePosixPath, settings: LibrarySettings) -> bool:
    """Return whether neither a path nor any folder above it, up to the root, is excluded."""
    parts = relative.parts
    if is_excluded_by_name(relative, settings):
        return False
    folders = [root.joinpath(*parts[:n]) for n in range(len(parts) + 1)]
    if any(os.path.lexists(folder / marker) for folder in folders[:-1] for marker in EXCLUSION_MARKERS):
        return False
    keys = list(_keys(folders))
    if len(set(keys)) < len(keys):
        return False
    # Only existing folders can be links; of what is gone, or not a folder, the names were checked above.
    links = [folder for folder in folders[1 : len(keys)] if folder.is_symlink()]
    return not links or (settings.follow_links and not any(_has_own_name(root, link, settings) for link in links))


def links_in(root: Path, settings: LibrarySettings) -> Iterator[Path]:
    """Yield the links to folders that a walk over a root enters; also links that lead nowhere at present."""
    waiting = [(root, False)] if settings.follow_links else []
    seen: set[_Key] = set()
    while waiting:
        folder, is_link = waiting.pop()
        below = PurePosixPath(folder.relative_to(root).as_posix())
        if is_link:
            key = next(_keys([folder]), None)
            if key in seen or not is_included(root, below, settings):
                continue
            yield folder
            if key is None:
                continue
            seen.add(key)
        elif below != _WHOLE and is_excluded(below, settings):
            continue
        try:
            with os.scandir(folder) as entries:
                found = [(Path(entry.path), entry.is_symlink()) for entry in entries if _leads_on(entry)]
        except OSError:
            continue
        # As the walk: of two links to one folder the first counts.
        waiting.extend(sorted(found, reverse=True))


def _leads_on(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder, or a link to one or to nothing."""
    try:
        return entry.is_dir() or (entry.is_symlink() and not os.path.exists(entry.path))  # noqa: PTH110 (many entries)
    except OSError:
        return False


def is_excluded_by_name(relative: PurePosixPath, settings: LibrarySettings) -> bool:
    """Return whether a path is hidden or ignored by its name or by that of a folder above it, up to the root."""
    parts = relative.parts
    return any(is_excluded(PurePosixPath(*parts[: n + 1]), settings) for n in range(len(parts)))


def _keys(folders: Iterable[Path]) -> Iterator[_Key]:
    """Yield the keys of nested folders up to the first that does not exist or is not a folder."""
    for folder in folders:
        try:
            here = os.stat(folder)
        except (OSError, ValueError):
            return
        if not stat.S_ISDIR(here.st_mode):
            return
        yield here.st_dev, here.st_ino


def _has_own_name(root: Path, link: Path, settings: LibrarySettings) -> bool:
    """Return whether a link leads to a folder that belongs to the library under its own path.

    If the link were followed, its photos would be in the library twice.
    """
    home, target = Path(os.path.realpath(root)), Path(os.path.realpath(link))
    if not target.is_relative_to(home):
        return False
    return is_included(root, PurePosixPath(target.relative_to(home).as_posix()), settings)


def is_excluded(relative: PurePosixPath, settings: LibrarySettings) -> bool:
    """Return whether the name or the path of a file or folder excludes it."""
    if not settings.hidden and relative.name.startswith("."):
        return True
    ignored = _ignored(settings.ignore)
    return any(ignored(os.path.normcase(name)) for name in (relative.name, str(relative)))


@lru_cache(maxsize=16)
def _ignored(patterns: tuple[str, ...]) -> Callable[[str], object]:
    """Return what tells whether a normalized name or path matches one of some patterns, as `fnmatch.fnmatch` does.

    As one expression for all of them: asked one after the other they took most of the time of a scan.
    """
    if not patterns:
        return lambda name: None
    return re.compile("|".join(fnmatch.translate(os.path.normcase(pattern)) for pattern in patterns)).match


def text(relative: PurePosixPath) -> str:
    """Return a path as it is stored; "" for the root."""
    return "" if relative == _WHOLE else to_text(str(relative))
