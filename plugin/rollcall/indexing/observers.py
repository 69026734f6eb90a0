"""Observers of folders: by events of the file system where it has them, else by polling."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.polling import PollingObserver

from rollcall import events
from rollcall.settings import WatchSettings
from rollcall.storage.mounts import is_remote

log = logging.getLogger(__name__)

#: Gets a path that changed, whether it is a folder, and whether a file was closed there after writing.
OnChange = Callable[[Path, bool, bool], None]


class Observers:
    """One observer for each root. Use from one thread; `on_change` and `on_loss` are called on the observers' threads.

    Parameters
    ----------
    on_change
        Gets every path that something happened to.
    on_loss
        Called when events were lost: the system held more than its queue can.
    """

    def __init__(
        self,
        settings: WatchSettings,
        on_change: OnChange,
        publish: events.Listener,
        on_loss: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings, self.on_change, self.publish = settings, on_change, publish
        self.running: dict[Path, Any] = {}
        self._identities: dict[Path, tuple[int, int]] = {}
        self._losses = _LossHandler(on_loss)
        _WATCHDOG_LOG.addHandler(self._losses)

    def start(self, root: Path) -> None:
        """Begin to observe a root, by polling if events are not available; if neither works, publish a warning."""
        self.stop(root)
        if not root.is_dir():
            self.publish(events.Warned(f"{root}: the folder is not there; it is watched as soon as it is back"))
            return
        polling = self.settings.polling
        if polling != "on" and not (polling == "auto" and is_remote(root)):
            try:
                self._start_native(root)
                return
            except OSError as error:
                self.publish(events.Warned(_why_polling(root, error, self.settings.polling_seconds)))
        self._start_polling(root)

    def _start_native(self, root: Path) -> None:
        observer = Observer()
        try:
            self._start(observer, root)
            _demand_one_more_watch(root)
        except OSError:
            self.running.pop(root, None)
            _end(observer)
            raise

    def _start_polling(self, root: Path) -> None:
        try:
            self._start(PollingObserver(timeout=self.settings.polling_seconds), root)
        except OSError as error:
            self.publish(
                events.Warned(
                    f"{root}: the folder cannot be watched ({error.strerror or error}); only scans see changes"
                )
            )

    def _start(self, observer: Any, root: Path) -> None:
        observer.schedule(_Handler(self.on_change), str(root), recursive=True)
        observer.start()
        self.running[root] = observer
        self._identities[root] = _identity(root)

    def stop(self, root: Path) -> None:
        """End the observer of a root, if it has one."""
        observer = self.running.pop(root, None)
        if observer is not None:
            _end(observer)

    def stop_all(self) -> None:
        """End all observers."""
        for root in list(self.running):
            self.stop(root)
        _WATCHDOG_LOG.removeHandler(self._losses)

    def is_broken(self, root: Path) -> bool:
        """Return whether a root has an observer that sees nothing (any more).

        It ended by itself, or another folder lies at the path now: a disk that was unmounted and mounted again.
        """
        observer = self.running.get(root)
        if observer is None:
            return False
        return not observer.is_alive() or not observer.emitters or _identity(root) != self._identities[root]

    def check_limit(self, root: Path) -> bool:
        """Poll a root from now on if the system's limit keeps new folders in it from being watched.

        Returns whether that is so.
        """
        if root not in self.running or isinstance(self.running[root], PollingObserver):
            return False
        try:
            _demand_one_more_watch(root)
        except OSError as error:
            self.publish(events.Warned(_why_polling(root, error, self.settings.polling_seconds)))
            self.stop(root)
            self._start_polling(root)
            return True
        return False


def _identity(root: Path) -> tuple[int, int]:
    """Return what tells a folder from another one at the same path."""
    try:
        info = root.stat()
    except OSError:
        return (0, 0)
    return info.st_dev, info.st_ino


def _demand_one_more_watch(root: Path) -> None:
    """Raise OSError if the system's limit of watches is reached.

    A recursive observer passes over the folders that it cannot watch without a word, so one more watch is tried.
    """
    probe = Observer()
    try:
        probe.schedule(FileSystemEventHandler(), str(root), recursive=False)
        probe.start()
    finally:
        _end(probe)


#: watchdog tells of lost events in its log alone.
_WATCHDOG_LOG: Final = logging.getLogger("watchdog")


class _LossHandler(logging.Handler):
    def __init__(self, on_loss: Callable[[], None]) -> None:
        super().__init__(logging.WARNING)
        self.on_loss = on_loss

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage().lower():
            self.on_loss()


class _Handler(FileSystemEventHandler):
    """Calls `on_change` for the events that change files."""

    def __init__(self, on_change: OnChange) -> None:
        self.on_change = on_change

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in ("opened", "closed_no_write"):
            return
        # A folder is modified by each change of a file in it, which has an event of its own.
        if event.is_directory and event.event_type == "modified":
            return
        for raw in (event.src_path, event.dest_path):
            if raw:
                closed = event.event_type in ("closed", "moved", "deleted")
                self.on_change(Path(os.fsdecode(raw)), event.is_directory, closed)


def _end(observer: Any) -> None:
    """Stop an observer, also one that never started."""
    try:
        observer.stop()
        if observer.is_alive():
            observer.join(5)
    except (OSError, RuntimeError):
        log.debug("an observer did not end cleanly", exc_info=True)


def _why_polling(root: Path, error: OSError, seconds: float) -> str:
    """Return the sentence that explains why a folder is polled, and what ends it."""
    if error.errno == errno.ENOSPC:
        return (
            f"{root}: there are more folders than this system lets a program watch; they are scanned every"
            f" {seconds:g} s instead, until `sudo sysctl fs.inotify.max_user_watches=1048576` raises the limit"
        )
    if error.errno == errno.EMFILE:
        return (
            f"{root}: too many programs watch folders on this system; it is scanned every {seconds:g} s"
            " instead, until `sudo sysctl fs.inotify.max_user_instances=1024` raises the limit"
        )
    return (
        f"{root}: the folder cannot be watched by events ({error.strerror or error}); it is scanned every"
        f" {seconds:g} s instead"
    )
