"""Shared by the parts of an index run: its tools, and the state of one run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from rollcall import events
from rollcall.indexing.executors.base import StoppedError
from rollcall.indexing.profile import Profile
from rollcall.model_version import ModelVersion
from rollcall.privacy.exclusions import Exclusions
from rollcall.records import Box, Face, Picture, RunSummary
from rollcall.settings import Settings
from rollcall.storage.database import Database
from rollcall.storage.library import now

__all__ = ["LeaveAlone", "PictureAnalyzer", "PictureListener", "Run", "StoppedError", "Tools", "no_listener"]

#: Returns whether a scan skips a file, given its path and time of change in nanoseconds.
LeaveAlone = Callable[[Path, int], bool]


class Noticed(NamedTuple):
    """What changed while a run goes on."""

    paths: list[Path]  # files that are still, and folders
    lost: bool = False  # more changed than was kept
    leave_alone: LeaveAlone | None = None  # of all other files


#: Returns what changed since the last call.
Meanwhile = Callable[[], Noticed]
#: Gets the pictures that a run has decoded, once their photos are stored.
PictureListener = Callable[[Picture], None]


def no_listener(picture: Picture) -> None:
    """Do nothing with a picture."""


class PictureAnalyzer(Protocol):
    """The part of `inference.analyzer.Analyzer` that indexing needs."""

    @property
    def model_version(self) -> ModelVersion | str:
        """The networks and settings that make the results; when it changes, photos are analysed again."""

    def analyze(self, pictures: Sequence[Picture]) -> list[tuple[Face, ...]]:
        """Return the faces of each picture, the highest-scoring first."""

    def describe(self, picture: Picture, boxes: Sequence[Box]) -> list[Face]:
        """Return one face for each box that a person gave, with its predictions."""


@dataclass
class Tools:
    """The tools that all runs of one plugin use."""

    database: Database
    analyzer: PictureAnalyzer
    settings: Settings
    publish: events.Listener = events.ignore
    profile: Profile = field(default_factory=Profile)
    #: Of the page: it makes its small pictures of what is decoded anyway.
    picture_listener: PictureListener = no_listener

    @property
    def model_version(self) -> str:
        """The analyzer's version as it is stored."""
        return str(self.analyzer.model_version)

    @property
    def exclusions(self) -> Exclusions:
        """The files and folders that are not indexed."""
        return Exclusions(self.database, self.settings)


@dataclass
class Run:
    """The state of one run."""

    force: bool = False
    stop: threading.Event | None = None
    leave_alone: LeaveAlone | None = None
    #: When the run began, UTC in ISO 8601.
    began: str = field(default_factory=now)
    summary: RunSummary = field(default_factory=RunSummary)
    #: Sidecars that were found new, changed or gone.
    sidecars: list[Path] = field(default_factory=list)
    #: Numbers of the photos that this run found missing, but for those that turn up under another path.
    newly_missing: set[int] = field(default_factory=set)
    #: Local roots that went away while their photos were looked at.
    away: set[Path] = field(default_factory=set)
    #: Called between two batches, for short work that cannot wait for the end of the run.
    between_batches: Callable[[], None] = lambda: None

    @property
    def stopping(self) -> bool:
        """Whether the run was asked to stop."""
        return self.stop is not None and self.stop.is_set()

    def count_moved(self, photo_id: int) -> None:
        """Count a known photo as moved, and no longer as missing."""
        self.summary.moved += 1
        if photo_id in self.newly_missing:
            self.newly_missing.remove(photo_id)
            self.summary.missing -= 1

    def check(self) -> None:
        """Call `between_batches`.

        Raises
        ------
        StoppedError
            If the run was asked to stop.
        """
        self.between_batches()
        if self.stopping:
            raise StoppedError

    def warn(self, message: str, publish: events.Listener) -> None:
        """Add a warning to the summary and publish it."""
        self.summary.warnings.append(message)
        publish(events.Warned(message))
