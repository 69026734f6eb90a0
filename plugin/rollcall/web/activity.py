"""What goes on in the background while the page is open: one indexing run at a time, told to all who watch."""

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


@dataclass
class Progress:
    """How far a run is."""

    state: str = "idle"  # idle, running, pausing, paused
    total: int = 0  # photos that the run will deal with, as far as known
    done: int = 0
    skipped: int = 0
    faces: int = 0
    failed: int = 0
    seconds: float = 0.0
    last: str = ""  # the photo that was dealt with last
    message: str = ""


class Activity:
    """Runs the indexer on a thread. May be used from any thread; `progress` is told as it changes."""

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin
        self.progress = Progress()
        self.changed = 0  # grows with every change
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._began = 0.0
        self._folders: list[Path] = []
        self._unsubscribe = plugin.subscribe(self._listen)

    def start(self, folders: Sequence[Path] = ()) -> bool:
        """Begin a run over folders, all known ones without any; False if one goes on already."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return False
            self._folders = list(folders) or self.plugin.folders()
            if not self._folders:
                self.progress = Progress(message="No folder is known yet: add one.")
                self.changed += 1
                return False
            self._stop.clear()
            self._began = time.monotonic()
            self.progress = Progress(state="running")
            self.changed += 1
            self._thread = threading.Thread(target=self._run, name="rollcall-index", daemon=True)
            self._thread.start()
            return True

    def pause(self) -> None:
        """End the run after the photos in flight; the rest stays pending and `start` goes on with it."""
        with self._lock:
            if self.progress.state == "running":
                self._stop.set()
                self.progress.state = "pausing"
                self.changed += 1

    def close(self) -> None:
        """End what goes on, and wait for it."""
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
            return asdict(self.progress)

    def _run(self) -> None:
        message = ""
        try:
            summary = self.plugin.index(self._folders, stop=self._stop, timeout=math.inf)
            message = " ".join(summary.warnings)
        except RollcallError as error:
            message = str(error)
        except Exception as error:  # told to the person; the page goes on
            message = f"indexing ended ({type(error).__name__}: {error}); please report this"
        with self._lock:
            # However quick it was: no seconds at all say that there was no run.
            self.progress.seconds = max(round(time.monotonic() - self._began, 1), 0.1)
            self.progress.state = "paused" if self._stop.is_set() else "idle"
            self.progress.message = message
            self.changed += 1

    def _listen(self, event: events.Event) -> None:
        with self._lock:
            one = self.progress
            match event:
                case events.Discovered(total=total):
                    one.total = total if event.finished else one.total + total
                    one.done = 0 if event.finished else one.done
                case events.PhotosSkipped(count):
                    one.skipped += count
                case events.PhotoIndexed(path=path, faces=faces):
                    one.done, one.faces, one.last = one.done + 1, one.faces + faces, path.name
                case events.PhotoFailed(path=path):
                    one.done, one.failed, one.last = one.done + 1, one.failed + 1, path.name
                case events.PhotoMoved(new=path):
                    one.done, one.last = one.done + 1, path.name
                case events.Warned(message=message):
                    one.message = message
            self.changed += 1
