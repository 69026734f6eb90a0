"""What the parts of an index run share: the tools it works with, and the state of one run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from rollcall import events
from rollcall.indexing.profile import Profile
from rollcall.model_version import ModelVersion
from rollcall.privacy.exclusions import Exclusions
from rollcall.records import Box, Face, Picture, RunSummary
from rollcall.settings import Settings
from rollcall.storage.database import Database

#: Returns whether a file, by its path and time of change in nanoseconds, is left as it is for now.
LeaveAlone = Callable[[Path, int], bool]


class PictureAnalyzer(Protocol):
    """What indexing needs of `inference.analyzer.Analyzer`."""

    @property
    def model_version(self) -> ModelVersion | str:
        """What the faces are analysed by; when it changes, photos are analysed again."""

    def analyze(self, pictures: Sequence[Picture]) -> list[tuple[Face, ...]]:
        """Return the faces of each picture, the highest-scoring first."""

    def describe(self, picture: Picture, boxes: Sequence[Box]) -> list[Face]:
        """Return the predictions of faces whose boxes a person gave."""


@dataclass
class Tools:
    """The tools that every run of one plugin works with."""

    database: Database
    analyzer: PictureAnalyzer
    settings: Settings
    publish: events.Listener = events.ignore
    profile: Profile = field(default_factory=Profile)

    @property
    def model_version(self) -> str:
        """The analyzer's version as it is stored."""
        return str(self.analyzer.model_version)

    @property
    def exclusions(self) -> Exclusions:
        """The files and folders that are not indexed."""
        return Exclusions(self.database, self.settings)


class StoppedError(Exception):
    """The run was asked to stop."""


@dataclass
class Run:
    """The state of one run."""

    force: bool = False
    stop: threading.Event | None = None
    leave_alone: LeaveAlone | None = None
    summary: RunSummary = field(default_factory=RunSummary)
    #: Called between two batches: short work that does not wait for the end of the run.
    between_batches: Callable[[], None] = lambda: None

    @property
    def stopping(self) -> bool:
        """Whether the run was asked to stop."""
        return self.stop is not None and self.stop.is_set()

    def check(self) -> None:
        """Do the short work between batches, and raise `StoppedError` if the run was asked to stop."""
        self.between_batches()
        if self.stopping:
            raise StoppedError

    def warn(self, message: str, publish: events.Listener) -> None:
        """Add a warning to the summary and publish it."""
        self.summary.warnings.append(message)
        publish(events.Warned(message))
