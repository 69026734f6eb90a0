"""Which files belong to a library: a walk over folders that never ends in a circle and never needs the whole list."""

from __future__ import annotations

import errno
import fnmatch
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from rollcall.media.decode import SUFFIXES
from rollcall.media.paths import to_text
from rollcall.records import FileStat
from rollcall.settings import EXCLUSION_MARKERS, OPT_OUT_MARKER, LibrarySettings

_WHOLE: Final = PurePosixPath()


def is_available(root: Path) -> bool:
    """Return whether a root is there and not empty; an unmounted share leaves an empty folder behind."""
    try:
        with os.scandir(root) as entries:
            return next(entries, None) is not None
    except OSError:
        return False


def discover(
    root: Path,
    settings: LibrarySettings,
    on_unreadable: Callable[[str, str], None] = lambda path, reason: None,
    *,
    below: PurePosixPath = _WHOLE,
    on_opted_out: Callable[[str], None] = lambda path: None,
) -> Iterator[FileStat]:
    """Yield the pictures of `root`, folder by folder, by name; with `below` only those of that folder in it.

    All paths are relative to `root`, and patterns match as they do there, whatever `below` is; whether that
    folder belongs to the library is for the caller to ask (`is_included`).

    `on_unreadable` is told each folder (relative to the root, "" for the root) that could not be read and
    why: what lies below it was not seen, which is not the same as gone. `on_opted_out` is told each folder that
    holds a file `.rollcall-ignore`.
    """
    above = frozenset(_keys(root.joinpath(*below.parts[:n]) for n in range(len(below.parts))))
    yield from _walk(root, root / below, below, settings, (on_unreadable, on_opted_out), above, set())


def _walk(
    root: Path,
    folder: Path,
    relative: PurePosixPath,
    settings: LibrarySettings,
    tell: tuple[Callable[[str, str], None], Callable[[str], None]],
    ancestors: frozenset[tuple[int, int]],
    linked: set[tuple[int, int]],
) -> Iterator[FileStat]:
    on_unreadable, on_opted_out = tell
    try:
        here = os.stat(folder)
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        on_unreadable("" if relative == _WHOLE else to_text(str(relative)), error.strerror or str(error))
        return
    markers = {entry.name for entry in entries}.intersection(EXCLUSION_MARKERS)
    if markers:
        _report_opted_out(markers, relative, on_opted_out)
        return
    ancestors = ancestors | {(here.st_dev, here.st_ino)}
    for entry in entries:
        name = relative / entry.name
        if _excluded(name, settings):
            continue
        try:
            if entry.is_dir(follow_symlinks=settings.follow_links):
                if _is_walked_elsewhere(entry, root, settings, ancestors, linked):
                    continue
                yield from _walk(root, folder / entry.name, name, settings, tell, ancestors, linked)
            elif name.suffix.lower() in SUFFIXES:
                info = entry.stat()
                if stat.S_ISREG(info.st_mode):
                    yield FileStat(to_text(str(name)), info.st_size, info.st_mtime_ns)
        except OSError as error:
            # A link to nothing or to itself, or a file that went between listing and looking, is simply not there.
            if not isinstance(error, FileNotFoundError) and error.errno != errno.ELOOP:
                on_unreadable(to_text(str(name)), error.strerror or str(error))


def _is_walked_elsewhere(
    entry: os.DirEntry[str],
    root: Path,
    settings: LibrarySettings,
    ancestors: frozenset[tuple[int, int]],
    linked: set[tuple[int, int]],
) -> bool:
    """Return whether a folder is walked under another name; remember the target of a link that is not."""
    where = entry.stat()
    key = (where.st_dev, where.st_ino)
    # A link to a folder above would never end; a folder behind two links is walked once.
    if key in ancestors:
        return True
    if not entry.is_symlink():
        return False
    if key in linked or _has_own_name(root, Path(entry.path), settings):
        return True
    linked.add(key)
    return False


def _report_opted_out(markers: set[str], folder: PurePosixPath, on_opted_out: Callable[[str], None]) -> None:
    if OPT_OUT_MARKER in markers:
        on_opted_out("" if folder == _WHOLE else to_text(str(folder)))


def file_stat(root: Path, path: Path, settings: LibrarySettings) -> FileStat | None:
    """Return path, size and time of one file; None if it is not there or not part of the library."""
    try:
        relative = PurePosixPath(path.relative_to(root).as_posix())
    except ValueError:
        return None
    if relative.suffix.lower() not in SUFFIXES or not is_included(root, relative, settings):
        return None
    try:
        info = path.stat()
    except (OSError, ValueError):
        return None
    return FileStat(to_text(str(relative)), info.st_size, info.st_mtime_ns) if stat.S_ISREG(info.st_mode) else None


def is_included(root: Path, relative: PurePosixPath, settings: LibrarySettings) -> bool:
    """Return whether neither a path nor any folder above it, up to the root, is excluded."""
    parts = relative.parts
    if any(_excluded(PurePosixPath(*parts[: n + 1]), settings) for n in range(len(parts))):
        return False
    folders = [root.joinpath(*parts[:n]) for n in range(len(parts) + 1)]
    if any(os.path.lexists(folder / marker) for folder in folders[:-1] for marker in EXCLUSION_MARKERS):
        return False
    keys = list(_keys(folders))
    if len(set(keys)) < len(keys):
        return False
    # What is gone, and what is no folder, has only its name to be judged by.
    links = [folder for folder in folders[1 : len(keys)] if folder.is_symlink()]
    return not links or (settings.follow_links and not any(_has_own_name(root, link, settings) for link in links))


def _keys(folders: Iterable[Path]) -> Iterator[tuple[int, int]]:
    """Yield what tells folders apart by whatever name, one below the other, up to the first that is none."""
    for folder in folders:
        try:
            here = os.stat(folder)
        except (OSError, ValueError):
            return
        if not stat.S_ISDIR(here.st_mode):
            return
        yield here.st_dev, here.st_ino


def _has_own_name(root: Path, link: Path, settings: LibrarySettings) -> bool:
    """Say whether a link leads to a folder that belongs to the library anyway, where it really lies.

    Its photos would be there twice, or under the link's name alone, as the alphabet has it.
    """
    home, target = Path(os.path.realpath(root)), Path(os.path.realpath(link))
    if not target.is_relative_to(home):
        return False
    return is_included(root, PurePosixPath(target.relative_to(home).as_posix()), settings)


def _excluded(relative: PurePosixPath, settings: LibrarySettings) -> bool:
    if not settings.hidden and relative.name.startswith("."):
        return True
    return any(
        fnmatch.fnmatch(relative.name, pattern) or fnmatch.fnmatch(str(relative), pattern)
        for pattern in settings.ignore
    )
