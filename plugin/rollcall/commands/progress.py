"""Show a run's progress: a bar on a terminal, elsewhere a line every few seconds."""

from __future__ import annotations

import time
from typing import Final

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from rollcall import events
from rollcall.commands.common import console, plural

_SECONDS_BETWEEN_LINES: Final = 10.0


class ProgressListener:
    """A listener that shows the progress of a run; use it as a context manager."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.done = self.faces = self.failed = self.skipped = self.total = 0
        self.known = False
        self.began = self.last = time.perf_counter()
        self.first: float | None = None
        self.bar: Progress | None = None
        if console.is_terminal and not quiet:
            self.bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )
            self.task = self.bar.add_task("Scanning folders", total=None, rate="")

    def __enter__(self) -> ProgressListener:
        """Show the progress from now on."""
        if self.bar is not None:
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the bar."""
        if self.bar is not None:
            self.bar.stop()

    def __call__(self, event: events.Event) -> None:
        """Count an event, and show it."""
        match event:
            case events.Warned(message):
                console.print(f"Warning: {message}", style="yellow", markup=False)
            case events.PhotoFailed(path, reason):
                self.failed += 1
                self.done += 1
                if not self.quiet:
                    console.print(f"Skipped: {path}: {reason}", style="yellow", markup=False)
            case events.PhotoIndexed(faces=faces):
                self.first = self.first or time.perf_counter()
                self.done += 1
                self.faces += faces
            case events.PhotoMoved():
                self.done += 1
            case events.PhotosSkipped(count):
                self.skipped += count
            case events.Discovered(total, finished):
                self.total = total if finished else self.total + total
                self.known = finished
        if not self.quiet:
            self._show()

    @property
    def rate(self) -> float:
        """Photos a second since the first one was done, without the compilation at the start; 0 if not known yet."""
        spent = time.perf_counter() - (self.first or self.began)
        return max(self.done - 1, 0) / spent if spent > 0.5 and self.first else 0.0

    def _show(self) -> None:
        rate = f"{self.rate:.1f}/s  {plural(self.faces, 'face')}" if self.first else ""
        if self.bar is not None:
            what = "Finding faces" if self.known else f"Scanning folders, {self.skipped:,} unchanged"
            self.bar.update(
                self.task,
                description=what,
                total=self.total if self.known else None,
                completed=self.done,
                rate=rate,
            )
        elif time.perf_counter() - self.last >= _SECONDS_BETWEEN_LINES:
            self.last = time.perf_counter()
            left = ""
            if self.known and self.rate > 0:
                left = f", {(self.total - self.done) / self.rate / 60:.0f} min left"
            console.print(f"{self.done:,} of {plural(self.total, 'photo')}  {rate}{left}", markup=False)
