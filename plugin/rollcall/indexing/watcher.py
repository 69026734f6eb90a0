"""Watch folders: changed paths are gathered until their files are unchanged for a while, then updated.

Events of the file system are hints only: a scan at the start, and one every `watch.reconcile_seconds`, find changes
without events.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Final, Literal, Protocol

from rollcall import events
from rollcall.errors import RollcallError, StoreError
from rollcall.indexing import discovery
from rollcall.indexing.hints import INCOMPLETE_SECONDS, HintQueue
from rollcall.indexing.observers import Observers
from rollcall.indexing.run import LeaveAlone, Meanwhile, Noticed
from rollcall.media import completeness
from rollcall.records import RunSummary
from rollcall.remote.paths import is_remote
from rollcall.settings import EXCLUSION_MARKERS, Settings
from rollcall.storage.library import resolved

log = logging.getLogger(__name__)

#: How often the watcher checks whether a root went away or came back, in seconds.
_CHECK_ROOTS_SECONDS: Final = 5.0
#: How many seconds after a failed scan or update a scan makes up for it.
RETRY_SECONDS: Final = 2.0
#: How often a run that goes on is told what is new, in seconds; what was lost costs a walk over all folders.
_NOTICE_SECONDS: Final = 1.0
_NOTICE_LOSSES_SECONDS: Final = 5.0


class Updater(Protocol):
    """The part of the indexer that the watcher needs."""

    def run(
        self,
        roots: Sequence[Path],
        *,
        force: bool = False,
        stop: threading.Event | None = None,
        leave_alone: LeaveAlone | None = None,
        meanwhile: Meanwhile | None = None,
    ) -> RunSummary:
        """Compare whole folders with the database, without the files that `leave_alone` returns True for."""

    def update(
        self, paths: Iterable[Path], *, stop: threading.Event | None = None, meanwhile: Meanwhile | None = None
    ) -> RunSummary:
        """Compare single files and folders with the database."""

    def follow(self, stop: threading.Event | None = None) -> None:
        """Bring sidecars in line with corrections made meanwhile."""


class Watcher:
    """Keeps a database in step with folders, until stopped."""

    def __init__(
        self,
        updater: Updater,
        roots: Sequence[Path],
        settings: Settings,
        publish: events.Listener = events.ignore,
    ) -> None:
        self.updater = updater
        self.roots = [resolved(root) for root in roots if not is_remote(root)]
        self.remote = [root for root in roots if is_remote(root)]
        self.settings = settings
        self.publish = publish
        self.hints = HintQueue(settings.watch.settle_seconds)
        self.observers = Observers(
            settings.watch,
            self._on_change,
            publish,
            self.hints.overflow,
            lambda root: discovery.links_in(root, settings.library),
        )
        self.suffixes = discovery.suffixes(settings.videos)
        self._next_scan = 0.0
        self._next_listing = 0.0 if self.remote else math.inf
        self._last_failures: dict[str, str] = {}
        self._noticed_at = self._losses_noticed_at = 0.0
        self._losses_noticed = 0

    def _on_change(self, path: Path, folder: bool, closed: bool) -> None:
        """Queue a changed path; called on an observer's thread."""
        if self.concerns(path, folder):
            self.hints.add(path.parent if path.name in EXCLUSION_MARKERS else path, closed)

    def concerns(self, path: Path, folder: bool) -> bool:
        """Return whether a path can be part of the library."""
        root = next((root for root in self.roots if path.is_relative_to(root)), None)
        if root is None:
            return False
        relative = PurePosixPath(path.relative_to(root).as_posix())
        if path.name in EXCLUSION_MARKERS:
            return True
        suffix = relative.suffix.lower()
        if not (folder or suffix in self.suffixes or (suffix == discovery.SIDECAR_SUFFIX and self.settings.xmp.read)):
            return False
        return discovery.is_included(root, relative, self.settings.library)

    def run(self, stop: threading.Event) -> None:
        """Watch until `stop` is set; errors of scans and updates become warnings."""
        threading.Thread(target=self._wake_on, args=(stop,), daemon=True).start()
        try:
            # Observers start before the first scan, so that no change between the two is lost.
            for root in self.roots:
                self.observers.start(root)
            self._scan(self.roots, stop)
            next_check = time.monotonic() + _CHECK_ROOTS_SECONDS
            while not stop.is_set():
                settled, pause = self.hints.take_settled()
                if self.hints.take_overflow() or time.monotonic() >= self._next_scan:
                    self._scan(self.roots, stop)
                if settled:
                    self._update(settled, stop)
                if time.monotonic() >= self._next_listing:
                    self._list_remote(stop)
                if time.monotonic() >= next_check:
                    self._check_roots(stop)
                    self._attempt(lambda: self.updater.follow(stop))
                    next_check = time.monotonic() + _CHECK_ROOTS_SECONDS
                if not settled and not stop.is_set():
                    until = min(self._next_scan, self._next_listing, next_check) - time.monotonic()
                    self.hints.wait(until if pause is None else min(pause, until))
        finally:
            self.observers.stop_all()

    def _wake_on(self, stop: threading.Event) -> None:
        stop.wait()
        self.hints.wake()

    def _list_remote(self, stop: threading.Event) -> None:
        """Compare remote folders, which have no events, with the database."""
        self._next_listing = time.monotonic() + self.settings.remote.polling_seconds
        self._attempt(lambda: self.updater.run(self.remote, stop=stop), "remote")

    def _scan(self, roots: Sequence[Path], stop: threading.Event) -> None:
        if roots is self.roots:
            self._next_scan = time.monotonic() + self.settings.watch.reconcile_seconds
        self._attempt(
            lambda: self.updater.run(roots, stop=stop, leave_alone=self._is_being_written, meanwhile=self._meanwhile)
        )

    def _update(self, paths: list[Path], stop: threading.Event) -> None:
        # Missing files first: a file that appears elsewhere can then be recognised as moved.
        paths.sort(key=lambda path: (path.exists(), str(path)))
        self._attempt(lambda: self.updater.update(paths, stop=stop, meanwhile=self._meanwhile))

    def _is_being_written(self, path: Path, mtime_ns: int) -> bool:
        """Return whether a scanned file may still be being written; it is then queued until it is unchanged."""
        age = (time.time_ns() - mtime_ns) / 1e9
        fresh = 0 <= age < self.settings.watch.settle_seconds
        fresh = fresh or (0 <= age < INCOMPLETE_SECONDS and completeness.ends_early(path))
        if fresh:
            self.hints.add(path)
        return fresh

    def _meanwhile(self) -> Noticed:
        """Return what is new while a run goes on, which may take days; it stays queued for what follows."""
        now = time.monotonic()
        if now < self._noticed_at + _NOTICE_SECONDS:
            return Noticed([])
        self._noticed_at = now
        losses = self.hints.losses
        lost = losses != self._losses_noticed and now >= self._losses_noticed_at + _NOTICE_LOSSES_SECONDS
        if lost:
            self._losses_noticed, self._losses_noticed_at = losses, now
        return Noticed(self.hints.note_settled(), lost, self._is_being_written)

    def _attempt(self, work: Callable[[], object], of: Literal["local", "remote"] = "local") -> None:
        """Do work; if it fails, publish a warning and scan again soon."""
        try:
            work()
            self._last_failures.pop(of, None)
        except RollcallError as error:
            if isinstance(error, StoreError):
                soon = time.monotonic() + RETRY_SECONDS
                self._next_scan = min(self._next_scan, soon)
                self._next_listing = min(self._next_listing, soon) if of == "remote" else self._next_listing
            # A lasting failure, such as another process that indexes, is published once.
            if str(error) != self._last_failures.get(of):
                self.publish(events.Warned(str(error)))
            self._last_failures[of] = str(error)
        except Exception as error:  # whatever it is, changes that come later must still be found
            log.exception("while updating")
            self.publish(
                events.Warned(f"an update failed ({type(error).__name__}: {error}); it is tried again at the next scan")
            )

    def _check_roots(self, stop: threading.Event) -> None:
        """Stop observers of roots that went away, and start those of roots that came back."""
        for root in self.roots:
            there = root.is_dir()
            if root in self.observers.running and (not there or self.observers.is_broken(root)):
                self.observers.stop(root)
                if not there:
                    message = f"{root}: the folder went away; it is watched as soon as it is back"
                else:
                    message = f"{root}: another disk or folder lies there, or in it; it is scanned and watched again"
                self.publish(events.Warned(message))
            if there and root not in self.observers.running:
                self.observers.start(root)
                self._scan([root], stop)
            elif there and self.observers.check_limit(root):
                self._scan([root], stop)
