"""Whatever happens to files, in any order: a photo's row always has the content, and the faces, of its own file.

A model-based test: files are created, moved, overwritten, exchanged, deleted, restored and touched at random, and the
library is indexed, watched and killed in between; a plain dictionary tells what each file holds. All files have the
same size, and most the same time, so that neither can tell them apart.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import text

from blobs import BlobAnalyzer
from rollcall.detector_settings import DetectorSettings
from rollcall.indexing.indexer import Indexer
from rollcall.media import decode
from rollcall.records import Face, Picture
from rollcall.settings import PowerSettings, Settings
from rollcall.storage.database import open_database

ALL_NAMES = ("a.bmp", "b.bmp", "c.bmp", "sub/d.bmp")
NAMES = st.sampled_from(ALL_NAMES)
AGES = st.integers(1, 90)
TIME = 1_500_000_000
SETTINGS = Settings(detector=DetectorSettings(batch=2), power=PowerSettings(workers=1))


class _KilledError(BaseException):
    """What a kill looks like to the code that it hits."""


class MortalAnalyzer(BlobAnalyzer):
    """Dies on demand, in the middle of a run."""

    dies = False

    def analyze(self, pictures: Sequence[Picture]) -> list[tuple[Face, ...]]:
        if self.dies:
            raise _KilledError
        return super().analyze(pictures)


def write(path: Path, age: int) -> None:
    """Write a picture of one square of an age; every such file has the same size and time."""
    pixels = np.zeros((40, 48, 3), np.uint8)
    pixels[10:30, 12:32] = (128, age, 255)  # BGR: the square's mark, its age, its colour
    path.parent.mkdir(exist_ok=True)
    assert cv2.imwrite(str(path), pixels)
    os.utime(path, (TIME, TIME))


class EverySequence(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.library, self.trash = self.folder / "photos", self.folder / "trash"
        self.library.mkdir()
        self.trash.mkdir()
        self.files: dict[str, int] = {"always.bmp": 99, **{name: 10 + n for n, name in enumerate(ALL_NAMES)}}
        for name, age in self.files.items():
            write(self.library / name, age)
        self.thrown: dict[str, int] = {}
        self.database = open_database(str(self.folder / "library.db"))
        self.analyzer = MortalAnalyzer()
        self.indexer = Indexer(self.database, self.analyzer, SETTINGS)
        self.clean = False
        self.index()

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.database.close()
            shutil.rmtree(self.folder)

    # ---- What happens to files

    @rule(name=NAMES, age=AGES)
    def create_or_overwrite(self, name: str, age: int) -> None:
        write(self.library / name, age)
        self.files[name], self.clean = age, False

    @rule(source=NAMES, goal=NAMES)
    def move(self, source: str, goal: str) -> None:
        if source in self.files and source != goal:
            (self.library / goal).parent.mkdir(exist_ok=True)
            os.replace(self.library / source, self.library / goal)
            self.files[goal] = self.files.pop(source)
            self.clean = False

    @rule(source=NAMES, goal=NAMES)
    def copy(self, source: str, goal: str) -> None:
        if source in self.files and source != goal:
            (self.library / goal).parent.mkdir(exist_ok=True)
            shutil.copy2(self.library / source, self.library / goal)
            self.files[goal], self.clean = self.files[source], False

    @rule(one=NAMES, other=NAMES)
    def exchange(self, one: str, other: str) -> None:
        if one in self.files and other in self.files and one != other:
            between = self.folder / "between"
            os.replace(self.library / one, between)
            os.replace(self.library / other, self.library / one)
            os.replace(between, self.library / other)
            self.files[one], self.files[other] = self.files[other], self.files[one]
            self.clean = False

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if name in self.files:
            kept = name.replace("/", "-")
            os.replace(self.library / name, self.trash / kept)
            self.thrown[kept] = self.files.pop(name)
            self.clean = False

    @rule(name=NAMES)
    def restore(self, name: str) -> None:
        kept = name.replace("/", "-")
        if kept in self.thrown:
            (self.library / name).parent.mkdir(exist_ok=True)
            os.replace(self.trash / kept, self.library / name)
            self.files[name], self.clean = self.thrown.pop(kept), False

    @rule(name=NAMES, later=st.integers(0, 2))
    def touch(self, name: str, later: int) -> None:
        if name in self.files:
            os.utime(self.library / name, (TIME + later, TIME + later))
            self.clean = False

    # ---- What Rollcall does

    @rule()
    def index(self) -> None:
        self.indexer.run([self.library])
        self.clean = True

    @rule(names=st.lists(NAMES, min_size=1, max_size=3, unique=True))
    def update(self, names: list[str]) -> None:
        self.indexer.update([self.library / name for name in names])

    @precondition(lambda self: not self.clean)
    @rule()
    def be_killed_while_indexing(self) -> None:
        self.analyzer.dies = True
        try:
            self.indexer.run([self.library])
            self.clean = True  # nothing had to be analysed
        except _KilledError:
            pass
        finally:
            self.analyzer.dies = False
        self.indexer = Indexer(self.database, self.analyzer, SETTINGS)

    # ---- What holds

    def rows(self) -> dict[str, Any]:
        with self.database.read() as session:
            found = session.execute(
                text(
                    "SELECT p.path, p.state, p.content_hash, f.age FROM v1_photos p"
                    " LEFT JOIN v1_faces f ON f.photo_id = p.photo_id"
                )
            ).all()
        paths = [row[0] for row in found]
        assert len(paths) == len(set(paths)), "every picture shows one face"
        return {row[0]: row[1:] for row in found}

    @invariant()
    def an_index_has_the_content_and_the_faces_of_every_file(self) -> None:
        if not getattr(self, "clean", False):
            return
        rows = self.rows()
        for name, age in self.files.items():
            state, content_hash, found = rows[name]
            assert state == "indexed", (name, state)
            assert content_hash == decode.content_hash(self.library / name), name
            assert found == age, name
        for name, (state, *_) in rows.items():
            assert name in self.files or state == "missing", (name, state)


TestEverySequence = EverySequence.TestCase
TestEverySequence.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
