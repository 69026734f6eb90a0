"""A run whose analyzer leaves a heap full of holes behind; a module of its own, so that other processes find it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import psutil

from blobs import BlobAnalyzer
from rollcall.indexing.executors.analysis import Task
from rollcall.indexing.executors.threads import ThreadExecutor
from rollcall.indexing.profile import Profile
from rollcall.records import Face, Picture
from rollcall.settings import DetectorSettings, PowerSettings, Settings


class Wasteful(BlobAnalyzer):
    """An analyzer that leaves a heap full of holes behind, as compiling the networks does."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[bytearray] = []
        self.held = 0

    def analyze(self, pictures: Sequence[Picture]) -> list[tuple[Face, ...]]:
        freed = []
        for _ in range(1500):
            freed.append(np.ones(100 << 10, np.uint8))
            self.kept.append(bytearray(4096))
        del freed
        self.held = psutil.Process().memory_info().rss
        return super().analyze(pictures)


def give_back(photo: Path) -> tuple[int, int]:
    """Analyse a photo by a wasteful analyzer; return the bytes held in the midst of it, and after the run."""
    analyzer = Wasteful()
    settings = Settings(detector=DetectorSettings(batch=2), power=PowerSettings(executor="threads", workers=2))
    with closing(ThreadExecutor(analyzer, settings, Profile(), long=False)) as executor:
        tasks = iter([Task(0, photo, photo.stat().st_size)])
        assert [outcome.reason for outcome in executor.outcomes(tasks, lambda: False)] == [""]
    return analyzer.held, psutil.Process().memory_info().rss
