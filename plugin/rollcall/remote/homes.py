"""Where copies of remote files lie: a folder for each process, which others delete once the process has ended.

A process holds a lock on a file in its folder. The system gives it up whatever ends the process, so that no number of a
process has to be trusted, which another one may have by now, in this container or in another one.
"""

from __future__ import annotations

import atexit
import contextlib
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import filelock

from rollcall.errors import RemoteError
from rollcall.settings import Settings

_FOLDER: Final = "fetched"
_LOCK: Final = ".lock"
#: For so long another process is waited for that makes its folder, or deletes those of others, in seconds.
_WAIT: Final = 60.0

_turn = threading.Lock()
_homes: dict[Path, tuple[Path, filelock.BaseFileLock]] = {}


def new_folder(settings: Settings, address: object) -> Path:
    """Return a new folder of this process, for its owner alone; whoever asked for it deletes it.

    Raises
    ------
    RemoteError
        If the cache folder cannot be written; it names `address`.
    """
    try:
        return Path(tempfile.mkdtemp(dir=_home(settings.cache_folder / _FOLDER)))
    except (OSError, NotImplementedError) as error:  # the latter where the file system has no locks
        reason = getattr(error, "strerror", None) or error
        raise RemoteError(
            address,
            f"{settings.cache_folder / _FOLDER} cannot hold copies ({reason}); set cache.folder to a folder that can be"
            " written",
        ) from error


@contextlib.contextmanager
def folder(settings: Settings, address: object) -> Iterator[Path]:
    """Give a folder of this process, which is deleted at the end.

    Raises
    ------
    RemoteError
        As `new_folder`.
    """
    made = new_folder(settings, address)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def sweep(settings: Settings) -> None:
    """Delete what processes left behind that have ended; trouble with it is left for the next time."""
    place = settings.cache_folder / _FOLDER
    if place.is_dir():
        with contextlib.suppress(OSError, NotImplementedError), _turn, _alone(place):
            _sweep(place)


def _home(place: Path) -> Path:
    with _turn:
        known = _homes.get(place)
        if known is not None and known[0].is_dir():
            return known[0]
        for one in reversed([one for one in (place, *place.parents) if not one.exists()]):
            one.mkdir(mode=0o700, exist_ok=True)
        with _alone(place):
            _sweep(place)
            home = Path(tempfile.mkdtemp(prefix="process-", dir=place))
            lock = _lock_of(home)
            lock.acquire(timeout=0)
        _homes[place] = home, lock
        return home


def _sweep(place: Path) -> None:
    own = {home for home, _ in _homes.values()}
    for home in place.glob("process-*"):
        if home in own:
            continue
        lock = _lock_of(home)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            continue  # its process lives
        shutil.rmtree(home, ignore_errors=True)
        lock.release()


def _alone(place: Path) -> filelock.BaseFileLock:
    """Return a lock with which no other process makes a folder, or deletes one that is just being made."""
    return filelock.FileLock(place / _LOCK, timeout=_WAIT, thread_local=False)


def _lock_of(home: Path) -> filelock.BaseFileLock:
    return filelock.FileLock(home / _LOCK, thread_local=False)


@atexit.register
def _leave() -> None:
    """Delete the folders of this process."""
    for home, lock in _homes.values():
        shutil.rmtree(home, ignore_errors=True)
        with contextlib.suppress(OSError):
            lock.release()
