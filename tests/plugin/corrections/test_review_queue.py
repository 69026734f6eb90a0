"""The review queue, and `rollcall review` on a terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from blobs import BlobAnalyzer, draw
from rollcall import corrections
from rollcall.cli import cli
from rollcall.corrections.review_queue import entropy, gain
from rollcall.errors import UnreadableError
from rollcall.host import Plugin
from rollcall.settings import TagSettings


class UnsureBlobs(BlobAnalyzer):
    """Predicts a child with the probability blue / 255, else an adult."""

    def analyze(self, pictures: Any) -> Any:
        return [tuple(map(self._unsure, faces)) for faces in super().analyze(pictures)]

    @staticmethod
    def _unsure(face: Any) -> Any:
        distribution = np.zeros(101, np.float32)
        distribution[5], distribution[40] = face.p_female, 1 - face.p_female
        return replace(face, age_distribution=distribution)


#: So that an answer decides one tag only.
CHILDREN_ONLY = {f"tags.{name}": "" for name in ("babies", "teenagers", "adults", "seniors")}


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Plugin]:
    photos = {"sure": [250], "even": [128], "unlikely": [90], "decided": [140, 255], "two": [60, 70]}
    for number, (name, blues) in enumerate(photos.items()):
        draw(tmp_path / "photos" / f"{name}.png", *((30, blue) for blue in blues), seed=number)
    made = Plugin({"database.url": f"sqlite:///{tmp_path / 'review.db'}", **CHILDREN_ONLY}, analyzer=UnsureBlobs())
    made.start()
    made.index([tmp_path / "photos"])
    yield made
    made.stop()


def asked(plugin: Plugin) -> list[str]:
    return [question.photo.path.stem for question in plugin.review()]


def test_questions_are_ordered_by_gain(plugin: Plugin) -> None:
    questions = plugin.review()
    gains = [question.gain for question in questions]
    assert gains == sorted(gains, reverse=True)
    order = [question.photo.path.stem for question in questions]
    assert order[0] == "even"
    assert "sure" not in order and "decided" not in order
    assert all(question.face.age_source == "model" for question in questions)


def test_answered_and_skipped_faces_leave_the_queue_and_undone_ones_return(plugin: Plugin) -> None:
    first, second = plugin.review()[:2]
    plugin.correct(first.yes())
    assert first.face.face_id not in {question.face.face_id for question in plugin.review()}
    assert second.face.face_id not in {one.face.face_id for one in plugin.review(skip={second.face.face_id})}
    assert ("People/Children", "applied") in {(tag.name, tag.state) for tag in plugin.photo(first.photo.photo_id).tags}
    plugin.undo()
    assert plugin.review()[0].face.face_id == first.face.face_id


def test_a_decided_tag_removes_its_other_faces_from_the_queue(plugin: Plugin) -> None:
    two = [question for question in plugin.review() if question.photo.path.stem == "two"]
    assert len(two) == 2
    plugin.correct(corrections.age(two[0].face.face_id, 4))
    assert "two" not in asked(plugin)


def test_gain_is_the_information_of_one_face_about_the_photo() -> None:
    assert gain(0.5, []) == pytest.approx(1)
    assert gain(0.5, [1.0]) == pytest.approx(0)
    assert gain(0.9, []) == pytest.approx(entropy(0.9))
    assert gain(0.5, [0.5]) == pytest.approx(entropy(0.75) - 0.5)
    assert TagSettings().suggest_above > 0


class Terminal:
    """`rollcall` on a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        self.child = subprocess.Popen(
            [sys.executable, "-m", "rollcall", *arguments], stdin=slave, stdout=slave, stderr=slave, close_fds=True
        )
        os.close(slave)
        self.seen = ""

    def until(self, pattern: str, seconds: float = 60) -> str:
        """Read until a pattern was shown since the last call; return the text up to it."""
        deadline = time.monotonic() + seconds
        while not (match := re.search(pattern, self.seen)):
            assert time.monotonic() < deadline, self.seen
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.master, 4096).decode()
                except OSError:  # the other end was closed
                    assert re.search(pattern, self.seen), self.seen
        shown, self.seen = self.seen[: match.end()], self.seen[match.end() :]
        return shown

    def press(self, key: str) -> None:
        # Keys that are typed before the program waits for one are lost: then the terminal does not gather lines.
        deadline = time.monotonic() + 60
        while termios.tcgetattr(self.master)[3] & termios.ICANON:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.write(self.master, key.encode())

    def close(self) -> int:
        code = self.child.wait(30)
        os.close(self.master)
        return code


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_the_review_command_on_a_terminal(plugin: Plugin, tmp_path: Path) -> None:
    first = plugin.review()[0]
    before = len(plugin.corrections())
    options = [argument for name in CHILDREN_ONLY for argument in ("--set", f"{name}=")]
    terminal = Terminal("review", "-d", str(tmp_path / "review.db"), "--crops", str(tmp_path / "crops"), *options)
    assert "even.png" in terminal.until(r"\[q\]uit")
    assert (tmp_path / "crops" / "face.png").exists()
    terminal.press("u")  # nothing was answered: earlier corrections stay
    terminal.until("Nothing was answered yet")
    terminal.until(r"\[q\]uit")
    terminal.press("z")  # a key without a meaning
    terminal.until(r"\[q\]uit")
    terminal.press("y")
    assert "even.png" not in terminal.until(r"\[q\]uit")
    terminal.press("u")
    assert "even.png" in terminal.until(r"\[q\]uit")
    terminal.press("c")
    terminal.until(r"\[q\]uit")
    terminal.press("s")
    terminal.until(r"\[q\]uit")
    terminal.press("x")
    # The other face of that photo gives no suggested tag: the queue is empty.
    terminal.until("2 faces reviewed")
    assert terminal.close() == 0
    face = plugin.face(first.face.face_id)
    assert (face.age_source, face.age_interval) == ("user", (3, 12))
    kinds = [entry.kind for entry in plugin.corrections()][: len(plugin.corrections()) - before]
    assert kinds == ["not_a_face", "age", "undo", "age"]


def test_crops_that_cannot_be_written_end_the_review_with_a_sentence(plugin: Plugin, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("no folder")
    done = CliRunner().invoke(
        cli, ["review", "-d", str(tmp_path / "review.db"), "--crops", str(tmp_path / "notes" / "crops")]
    )
    assert isinstance(done.exception, UnreadableError) and "cannot be written" in str(done.exception)
