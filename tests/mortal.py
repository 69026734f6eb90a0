"""Analyzers that die or take long in another process, for tests of processes that analyse."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from blobs import BlobAnalyzer
from rollcall.records import Face, Picture


class MortalAnalyzer(BlobAnalyzer):
    """Finds squares; in another process than the one that made it, photos called deadly end that process.

    `once` names a file: while it is not there, a photo called frail makes it and ends the process, too.
    """

    def __init__(self, once: Path) -> None:
        super().__init__()
        self.once = once
        self.parent = os.getpid()

    def analyze(self, pictures: Sequence[Picture]) -> list[tuple[Face, ...]]:
        """Return the squares of each picture, or die."""
        if os.getpid() != self.parent:
            names = {picture.path.stem for picture in pictures}
            if "frail" in names and not self.once.exists():
                self.once.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if "deadly" in names:
                os.kill(os.getpid(), signal.SIGSEGV)
        return super().analyze(pictures)


class SlowAnalyzer(BlobAnalyzer):
    """Makes the file `begun` and then takes a minute."""

    def __init__(self, begun: Path) -> None:
        super().__init__()
        self.begun = begun

    def analyze(self, pictures: Sequence[Picture]) -> list[tuple[Face, ...]]:
        """Return the squares of each picture, in a minute."""
        self.begun.touch()
        time.sleep(60)
        return super().analyze(pictures)
