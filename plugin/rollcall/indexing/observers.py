"""Observers of folders: by events of the file system where it has them, else by polling."""

from __future__ import annotations

import errno
import logging
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.polling import PollingObserver

from rollcall import events
from rollcall.media import paths
from rollcall.settings import WatchSettings
from rollcall.storage import mounts
from rollcall.storage.mounts import is_remote

log = logging.getLogger(__name__)

# It says of folders that are moved in and out that it watches them twice, on standard error.
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"watchdog\.")

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
    links_in
        Returns the links to folders in a root; what happens behind them causes no events in the root.
    """

    def __init__(
        self,
        settings: WatchSettings,
        on_change: OnChange,
        publish: events.Listener,
        on_loss: Callable[[], None] = lambda: None,
        links_in: Callable[[Path], Iterable[Path]] = lambda root: (),
    ) -> None:
        self.settings, self.on_change, self.publish = settings, on_change, publish
        self.links_in = links_in
        self.running: dict[Path, Any] = {}
        self._identities: dict[Path, _Identity] = {}
        self._relinked: set[Path] = set()  # roots in which links to folders were made
        self._losses = _LossHandler(on_loss)
        _WATCHDOG_LOG.addHandler(self._losses)

    def start(self, root: Path) -> None:
        """Begin to observe a root, by polling if events are not available; if neither works, publish a warning."""
        self.stop(root)
        if self._is_not_there(root):
            return
        polling = self.settings.polling
        if polling != "on" and not (polling == "auto" and is_remote(root)):
            try:
                self._start_native(root)
                return
            except OSError as error:
                if self._is_not_there(root):  # any more
                    return
                self.publish(events.Warned(_why_polling(root, error, self.settings.polling_seconds)))
        self._start_polling(root)

    def _is_not_there(self, root: Path) -> bool:
        """Return whether a root is away, and publish it."""
        if root.is_dir():
            return False
        self.publish(events.Warned(f"{root}: the folder is not there; it is watched as soon as it is back"))
        return True

    def _start_native(self, root: Path) -> None:
        observer = Observer()
        try:
            self._start(observer, root, list(self.links_in(root)))
            _demand_one_more_watch(root)
        except OSError:
            self.running.pop(root, None)
            _end(observer)
            raise

    def _start_polling(self, root: Path) -> None:
        try:
            self._start(PollingObserver(timeout=self.settings.polling_seconds), root, [])  # it follows links itself
        except OSError as error:
            self.publish(
                events.Warned(
                    f"{root}: the folder cannot be watched ({error.strerror or error}); only scans see changes"
                )
            )

    def _start(self, observer: Any, root: Path, links: Sequence[Path]) -> None:
        self._relinked.discard(root)
        identity = _Identity.of(root, links)
        observer.schedule(_Handler(root, root, self.on_change, self._relinked.add), str(root), recursive=True)
        observer.start()
        self.running[root] = observer
        self._identities[root] = identity
        for link in links:
            home = Path(os.path.realpath(link))
            if paths.is_folder(home):
                observer.schedule(_Handler(link, home, self.on_change), str(home), recursive=True)

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

        It ended by itself, or another folder lies at the path now: a disk that was unmounted and mounted again, also
        below the root or behind a link. A folder that was removed and made again, or mounted again, may have the same
        number; what observed the first one has ended then.
        """
        observer = self.running.get(root)
        if observer is None:
            return False
        alive = observer.is_alive() and [_is_alive(emitter) for emitter in observer.emitters]
        if not alive or not all(alive) or root in self._relinked:
            return True
        known = self._identities[root]
        return _Identity.of(root, known.links) != known

    def check_limit(self, root: Path) -> bool:
        """Poll a root from now on if the system's limit keeps new folders in it from being watched.

        Returns whether that is so.
        """
        if root not in self.running or isinstance(self.running[root], PollingObserver):
            return False
        try:
            _demand_one_more_watch(root)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EMFILE):
                # No limit: the root may have gone away just now, which the next look at it tells.
                return False
            self.publish(events.Warned(_why_polling(root, error, self.settings.polling_seconds)))
            self.stop(root)
            self._start_polling(root)
            return True
        return False


class _Identity(NamedTuple):
    """What tells a folder from another one at the same path, with what is reached through it."""

    number: tuple[int, int]
    mounted: frozenset[tuple[Path, str]]
    links: dict[Path, tuple[int, int]]

    @classmethod
    def of(cls, root: Path, links: Iterable[Path]) -> _Identity:
        return cls(_number(root), mounts.below(root), {link: _number(link) for link in links})


def _number(folder: Path) -> tuple[int, int]:
    try:
        info = folder.stat()
    except OSError:
        return (0, 0)
    return info.st_dev, info.st_ino


def _is_alive(emitter: Any) -> bool:
    """Return whether what gathers events still can.

    When a file system is unmounted, the kernel ends the watches on it; watchdog only strikes them off its list.
    """
    watched = getattr(getattr(emitter, "_inotify", None), "_active_callbacks_by_path", None)
    return emitter.is_alive() and (watched is None or os.fsencode(emitter.watch.path) in watched)


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
    """Calls `on_change` for the events that change files, and `on_link` for new links to folders.

    What lies in the folder `home` is reported as lying in `root`: for links, they differ.
    """

    def __init__(
        self, root: Path, home: Path, on_change: OnChange, on_link: Callable[[Path], None] = lambda root: None
    ) -> None:
        self.root, self.home, self.on_change, self.on_link = root, home, on_change, on_link

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in ("opened", "closed_no_write"):
            return
        # A folder is modified by each change of a file in it, which has an event of its own.
        if event.is_directory and event.event_type == "modified":
            return
        for raw in (event.src_path, event.dest_path):
            if raw:
                closed = event.event_type in ("closed", "moved", "deleted")
                path = Path(os.fsdecode(raw))
                if event.event_type in ("created", "moved") and paths.is_link(path) and paths.is_folder(path):
                    self.on_link(self.root)
                if self.home != self.root and path.is_relative_to(self.home):
                    path = self.root / path.relative_to(self.home)
                self.on_change(path, event.is_directory, closed)


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
