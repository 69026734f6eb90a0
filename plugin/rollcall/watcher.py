"""Folders watched: events are hints, settled, gathered, and given to the indexer; what is missed, a scan heals."""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, Protocol

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.polling import PollingObserver

from rollcall import discovery, events
from rollcall.decode import SUFFIXES
from rollcall.errors import RollcallError
from rollcall.records import RunSummary
from rollcall.settings import Settings

log = logging.getLogger(__name__)

#: File systems on which changes made elsewhere cause no events here.
_REMOTE: Final = (
    "nfs",
    "cifs",
    "smb",
    "9p",
    "afs",
    "ceph",
    "fuse.",
    "glusterfs",
    "ncpfs",
    "davfs",
    "vboxsf",
    "drvfs",
)
#: More paths than this waiting at once are not worth looking at one by one: the whole root is compared.
OVERFLOW: Final = 20_000
#: A file that was closed after writing needs to hold still only this long.
_CLOSED_SECONDS: Final = 0.15
#: What is ready waits so long for what will be.
_GATHER_SECONDS: Final = 0.3
#: How often a root that went away is looked for.
_RETURN_SECONDS: Final = 5.0


class Updater(Protocol):
    """What the watcher needs of the indexer."""

    def run(
        self,
        roots: Sequence[Path],
        *,
        force: bool = False,
        stop: threading.Event | None = None,
        leave: Callable[[Path, int], bool] | None = None,
    ) -> RunSummary:
        """Compare whole folders with the database; files that `leave` says so of are left as they are."""

    def update(self, paths: Iterable[Path], *, stop: threading.Event | None = None) -> RunSummary:
        """Look at single files and folders."""


@dataclass
class _Hint:
    """A path that something happened to, and since when it holds still."""

    facts: tuple[int, int] | None  # size and mtime; None if it is not a file
    since: float
    wait: float


class Watcher:
    """Keeps a database in step with folders, until told to stop."""

    def __init__(
        self,
        indexer: Updater,
        roots: Sequence[Path],
        settings: Settings,
        listener: events.Listener = events.ignore,
    ) -> None:
        self.indexer = indexer
        self.roots = [Path(os.path.realpath(root)) for root in roots]
        self.settings = settings
        self.listener = listener
        self._hints: dict[Path, _Hint] = {}
        self._overflowed = False
        self._changed = threading.Condition()
        self._observers: dict[Path, Any] = {}

    # ---- Hints come in, on the observers' threads

    def hint(self, path: Path, closed: bool = False) -> None:
        """Note that something happened to a path."""
        wait = self.settings.watch.settle_seconds
        with self._changed:
            if len(self._hints) >= OVERFLOW:
                self._overflowed = True
                self._hints.clear()
            if self._overflowed:
                return
            self._hints[path] = _Hint(_facts(path), time.monotonic(), min(wait, _CLOSED_SECONDS) if closed else wait)
            self._changed.notify()

    def concerns(self, path: Path, folder: bool) -> bool:
        """Say whether a path can be part of the library."""
        root = next((root for root in self.roots if path.is_relative_to(root)), None)
        if root is None:
            return False
        relative = PurePosixPath(path.relative_to(root).as_posix())
        if path.name in discovery.MARKERS:
            return True
        if not folder and relative.suffix.lower() not in SUFFIXES:
            return False
        return discovery.is_included(root, relative, self.settings.library)

    # ---- And go out, on the thread that runs

    def run(self, stop: threading.Event) -> None:
        """Watch until `stop` is set; whatever goes wrong with single files or folders is told and survived."""
        waker = threading.Thread(target=self._wake_when, args=(stop,), daemon=True)
        waker.start()
        try:
            # Watching begins before the first scan: nothing can slip through between the two.
            for root in self.roots:
                self._observe(root)
            self._reconcile(self.roots, stop)
            next_scan = time.monotonic() + self.settings.watch.reconcile_seconds
            next_look = time.monotonic() + _RETURN_SECONDS
            while not stop.is_set():
                due, pause = self._due()
                with self._changed:
                    overflowed, self._overflowed = self._overflowed, False
                if overflowed or time.monotonic() >= next_scan:
                    self._reconcile(self.roots, stop)
                    next_scan = time.monotonic() + self.settings.watch.reconcile_seconds
                if due:
                    self._update(due, stop)
                if time.monotonic() >= next_look:
                    self._look_for_roots(stop)
                    next_look = time.monotonic() + _RETURN_SECONDS
                if not due and not stop.is_set():
                    until = min(next_scan, next_look) - time.monotonic()
                    with self._changed:
                        if not self._overflowed:
                            self._changed.wait(max(0.01, until if pause is None else min(pause, until)))
        finally:
            for observer in self._observers.values():
                _end(observer)
            self._observers.clear()

    def _wake_when(self, stop: threading.Event) -> None:
        stop.wait()
        with self._changed:
            self._changed.notify_all()

    def _due(self) -> tuple[list[Path], float | None]:
        """Return the paths that hold still, or how long to wait for the next one."""
        with self._changed:
            hints = list(self._hints.items())
        now = time.monotonic()
        due, pause = [], None
        for path, hint in hints:
            left = hint.since + hint.wait - now
            if left > 0:
                pause = left if pause is None else min(pause, left)
                continue
            facts = _facts(path)
            if facts != hint.facts:
                # Still being written; from now on it has to hold still for the whole time.
                again = _Hint(facts, now, self.settings.watch.settle_seconds)
                with self._changed:
                    if self._hints.get(path) is hint:
                        self._hints[path] = again
                pause = again.wait if pause is None else min(pause, again.wait)
            else:
                due.append((path, hint))
        # Of a burst that is still going on, what is ready waits for the rest, but not for long.
        waited = max((now - hint.since - hint.wait for _, hint in due), default=0.0)
        if due and pause is not None and waited < _GATHER_SECONDS:
            return [], min(pause, _GATHER_SECONDS - waited)
        with self._changed:
            for path, hint in due:
                if self._hints.get(path) is hint:
                    del self._hints[path]
        return [path for path, _ in due], pause

    def _update(self, paths: list[Path], stop: threading.Event) -> None:
        # What vanished goes first: a file that appears elsewhere can then be recognised as moved.
        paths.sort(key=lambda path: (path.exists(), str(path)))
        self._survive(lambda: self.indexer.update(paths, stop=stop))

    def _reconcile(self, roots: Sequence[Path], stop: threading.Event) -> None:
        self._survive(lambda: self.indexer.run(roots, stop=stop, leave=self._is_fresh))

    def _is_fresh(self, path: Path, mtime_ns: int) -> bool:
        """Say whether a file that a scan comes across may still be being written; it is looked at once it settled."""
        fresh = 0 <= time.time_ns() - mtime_ns < self.settings.watch.settle_seconds * 1e9
        if fresh:
            self.hint(path)
        return fresh

    def _survive(self, work: Any) -> None:
        try:
            work()
        except RollcallError as error:
            self.listener(events.Warned(str(error)))
        except Exception as error:  # a watcher that died at night watches nothing
            log.exception("while updating")
            self.listener(
                events.Warned(f"an update failed ({type(error).__name__}: {error}); it is tried again at the next scan")
            )

    # ---- Observers

    def _observe(self, root: Path) -> None:
        """Begin to watch a root by events, or by polling where events do not come."""
        old = self._observers.pop(root, None)
        if old is not None:
            _end(old)
        if not root.is_dir():
            self.listener(events.Warned(f"{root}: the folder is not there; it is watched as soon as it is back"))
            return
        polling = self.settings.watch.polling
        if polling != "on" and not (polling == "auto" and is_remote(root)):
            observer = Observer()
            try:
                self._start(observer, root)
                return
            except OSError as error:
                _end(observer)
                self.listener(events.Warned(_why_polling(root, error, self.settings.watch.polling_seconds)))
        try:
            self._start(PollingObserver(timeout=self.settings.watch.polling_seconds), root)
        except OSError as error:
            self.listener(
                events.Warned(
                    f"{root}: the folder cannot be watched ({error.strerror or error}); only scans see changes"
                )
            )

    def _start(self, observer: Any, root: Path) -> None:
        observer.schedule(_Handler(self), str(root), recursive=True)
        observer.start()
        self._observers[root] = observer

    def _look_for_roots(self, stop: threading.Event) -> None:
        """Watch a root again that went away and came back."""
        for root in self.roots:
            observer = self._observers.get(root)
            there = root.is_dir()
            if observer is not None and (not there or not observer.is_alive() or not observer.emitters):
                self._observers.pop(root)
                _end(observer)
                if not there:
                    self.listener(events.Warned(f"{root}: the folder went away; it is watched as soon as it is back"))
            if there and root not in self._observers:
                self._observe(root)
                self._reconcile([root], stop)


class _Handler(FileSystemEventHandler):
    def __init__(self, watcher: Watcher) -> None:
        self.watcher = watcher

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in ("opened", "closed_no_write"):
            return
        for raw in (event.src_path, event.dest_path):
            if not raw:
                continue
            path = Path(os.fsdecode(raw))
            # A folder's own time changes with each file in it, and the file has an event of its own.
            if event.is_directory and event.event_type == "modified":
                continue
            if not self.watcher.concerns(path, event.is_directory):
                continue
            target = path.parent if path.name in discovery.MARKERS else path
            self.watcher.hint(target, closed=event.event_type in ("closed", "moved", "deleted"))


def _facts(path: Path) -> tuple[int, int] | None:
    try:
        info = path.stat()
    except OSError:
        return None
    return info.st_size, info.st_mtime_ns


def _end(observer: Any) -> None:
    try:
        observer.stop()
        if observer.is_alive():
            observer.join(5)
    except (OSError, RuntimeError):
        log.debug("an observer did not end cleanly", exc_info=True)


def is_remote(path: Path, mounts: Path = Path("/proc/mounts")) -> bool:
    """Say whether a folder lies on a network mount, where changes made by others cause no events."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    best, kind = Path(), ""
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = Path(fields[1].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\"))
        if path.is_relative_to(point) and len(point.parts) >= len(best.parts):
            best, kind = point, fields[2]
    return kind.startswith(_REMOTE)


def _why_polling(root: Path, error: OSError, seconds: float) -> str:
    if error.errno == errno.ENOSPC:
        return (
            f"{root}: there are more folders than this system lets a program watch; they are looked through every"
            f" {seconds:g} s instead, until `sudo sysctl fs.inotify.max_user_watches=1048576` raises the limit"
        )
    if error.errno == errno.EMFILE:
        return (
            f"{root}: too many programs watch folders on this system; it is looked through every {seconds:g} s"
            " instead, until `sudo sysctl fs.inotify.max_user_instances=1024` raises the limit"
        )
    return (
        f"{root}: the folder cannot be watched by events ({error.strerror or error}); it is looked through every"
        f" {seconds:g} s instead"
    )
