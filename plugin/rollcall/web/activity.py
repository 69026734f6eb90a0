"""Indexing in the background while the page is open: one run at a time, with its progress."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rollcall import events
from rollcall.errors import RollcallError
from rollcall.host import Plugin
from rollcall.sentences import Sentence, joined
from rollcall.web.translation import for_people


@dataclass
class Progress:
    """The progress of a run."""

    state: str = "idle"  # idle, running, pausing, paused
    total: int = 0  # photos that the run will analyse, as far as discovered
    done: int = 0
    skipped: int = 0
    faces: int = 0
    failed: int = 0
    seconds: float = 0.0
    last: str = ""  # the name of the newest photo
    message: str = ""
    waiting: int = 0  # folders that were added meanwhile, and are indexed next
    ended: int = 0  # runs that have ended: a short one begins and ends between two looks at the progress


class Activity:
    """Runs the indexer on a thread and follows its events. May be used from any thread."""

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin
        self.progress = Progress()
        self.changed = 0  # counts the changes of `progress`, for those who stream it
        self._lock = threading.Lock()
        self._removals = threading.Lock()  # one at a time: each may interrupt a run
        self._stop = threading.Event()
        self._running = False
        self._thread: threading.Thread | None = None
        self._began = 0.0
        self._folders: list[Path] = []
        self._waiting: list[Path] = []
        self._unsubscribe = plugin.subscribe(self._listen)

    def start(self, folders: Sequence[Path] = ()) -> bool:
        """Begin a run over folders, or over all known ones; return whether they are, or will be, looked at.

        While a run goes on, named folders wait for its end; without any it is False, as it is if no folder is known.
        """
        with self._lock:
            if self._running:
                self._waiting += [one for one in folders if one not in self._waiting]
                self.changed += 1
                return bool(folders)
            self._folders = list(folders) or self.plugin.folders()
            if not self._folders:
                self.progress = Progress(
                    message=Sentence("No folder is known yet: add one."), ended=self.progress.ended
                )
                self.changed += 1
                return False
            self._running = True
            self._begin()
            self._thread = threading.Thread(target=self._run, name="rollcall-index", daemon=True)
            self._thread.start()
            return True

    def _begin(self) -> None:
        self._stop.clear()
        self._began = time.monotonic()
        self.progress = Progress(state="running", ended=self.progress.ended)
        self.changed += 1

    def waiting(self) -> list[Path]:
        """Return the folders that are indexed after the run that goes on."""
        with self._lock:
            return list(self._waiting)

    def remove(self, folder: Path | str) -> int:
        """Remove a folder from the library; return how many photos it had. A run goes on with the other folders.

        Raises
        ------
        NotFoundError
            If it is none of the library's folders.
        BusyError
            If another process indexes.
        """
        with self._removals:
            with self._lock:
                thread = self._thread if self._running else None
                others = [
                    one for one in (*self._folders, *self._waiting) if str(folder) not in (str(one), str(one.resolve()))
                ]
                goes_on = thread is not None and self.progress.state == "running" and bool(others)
                if thread is not None:
                    self._stop.set()
            if thread is not None:
                thread.join()
            try:
                return self.plugin.remove_folder(folder)
            finally:
                if goes_on:
                    self.start(others)

    def pause(self) -> None:
        """End the run after the photos in flight; the others stay pending, and `start` goes on with them."""
        with self._lock:
            if self.progress.state == "running":
                self._stop.set()
                self.progress.state = "pausing"
                self.changed += 1

    def stop(self) -> None:
        """End the run after the photos in flight."""
        self._stop.set()

    def close(self) -> None:
        """End the run, wait for it, and unsubscribe."""
        self._stop.set()
        thread = self._thread
        if thread is not None:
            thread.join()
        self._unsubscribe()

    def as_dict(self) -> dict[str, Any]:
        """Return the progress as plain values."""
        with self._lock:
            if self.progress.state in ("running", "pausing"):
                self.progress.seconds = round(time.monotonic() - self._began, 1)
            self.progress.waiting = len(self._waiting)
            return {**asdict(self.progress), "message": for_people(self.progress.message)}

    def _run(self) -> None:
        while True:
            message = self._index()
            with self._lock:
                # However quick it was: 0 seconds stand for no run.
                self.progress.seconds = max(round(time.monotonic() - self._began, 1), 0.1)
                self.progress.message = message
                self.progress.ended += 1
                self.changed += 1
                if self._stop.is_set() or not self._waiting:
                    # What waits is known to the library, and goes on with the rest of it.
                    self._waiting.clear()
                    self.progress.state = "paused" if self._stop.is_set() else "idle"
                    self._running = False
                    return
                self._folders, self._waiting = self._waiting, []
                self._begin()

    def _index(self) -> str:
        """Index the folders; return what a person should know of it."""
        try:
            summary = self.plugin.index(self._folders, stop=self._stop, timeout=math.inf)
        except RollcallError as error:
            return error.args[0] if error.args else ""
        except Exception as error:  # shown on the page, which goes on
            return Sentence(
                "looking for photos ended (%(kind)s: %(error)s); please report this",
                kind=type(error).__name__,
                error=str(error),
            )
        return joined(summary.warnings)

    def _listen(self, event: events.Event) -> None:
        with self._lock:
            progress = self.progress
            match event:
                case events.Discovered(total=total):
                    progress.total = total if event.finished else progress.total + total
                    progress.done = 0 if event.finished else progress.done
                case events.PhotosSkipped(count):
                    progress.skipped += count
                case events.PhotoIndexed(path=path, faces=faces):
                    progress.done, progress.faces, progress.last = progress.done + 1, progress.faces + faces, path.name
                case events.PhotoFailed(path=path):
                    progress.done, progress.failed, progress.last = progress.done + 1, progress.failed + 1, path.name
                case events.PhotoMoved(new=path):
                    progress.done, progress.last = progress.done + 1, path.name
                case events.Warned(message=message):
                    progress.message = message
            self.changed += 1
