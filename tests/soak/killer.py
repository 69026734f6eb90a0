"""A library whose commands are killed at random moments, and what may not be lost by that."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from blobs import draw
from rollcall.corrections.projection import project_faces, project_photo
from rollcall.settings import TagSettings
from rollcall.storage.database import open_database
from soak import child

PHOTOS: Final = 30
#: The share of commands that may end by themselves.
SPARED: Final = 0.25
#: How long a command may take, in seconds.
PATIENCE: Final = 90.0
#: Exit codes of commands that were not killed: done, something was wrong, and what was asked for cannot be done.
ALLOWED: Final = {0, 2}
#: Commands that have commands of their own.
GROUPS: Final = {"corrections", "people", "albums", "xmp"}


@dataclass
class Killer:
    """A library whose commands are killed."""

    work: Path
    chance: random.Random
    photos: int = PHOTOS
    kills: Counter[str] = field(default_factory=Counter)
    completed: Counter[str] = field(default_factory=Counter)
    #: The plain list of corrections, by who made them, which is a name of its own here.
    acknowledged: set[str] = field(default_factory=set)
    #: Whose photo was erased or may have been: an import must not bring their lines back.
    erased: set[str] = field(default_factory=set)
    typical: dict[str, float] = field(default_factory=dict)
    number: int = 0

    def __post_init__(self) -> None:
        self.folder, self.database = self.work / "photos", self.work / "rollcall.db"
        for number in range(self.photos):
            self._draw(number)
        code, output, _ = self.command("index", str(self.folder), killed=False)
        assert code == 0, output
        # What is imported later: a log of the same photos in another database.
        other = self.work / "other.db"
        self.command("index", str(self.folder), database=other, killed=False)
        with sqlite3.connect(other) as connection:
            faces = [row[0] for row in connection.execute("SELECT face_id FROM v1_faces ORDER BY face_id LIMIT 6")]
        connection.close()
        for number, face in enumerate(faces):
            self.command(
                "correct", f"face:{face}", "--age", "50", "--by", f"import-{number}", database=other, killed=False
            )
        self.exported = self.work / "exported.jsonl"
        self.command("corrections", "export", str(self.exported), database=other, killed=False)

    def _draw(self, number: int) -> None:
        self.number += 1
        people = [(self.chance.randrange(5, 90), self.chance.choice((0, 255))) for _ in range(1 + number % 3)]
        draw(self.folder / f"{number:03}.png", *people, seed=self.number)

    # ---- One command

    def command(self, *words: str, killed: bool = True, database: Path | None = None) -> tuple[int | None, str, float]:
        """Run a command and perhaps kill it; return its exit code (None: killed), output, and seconds."""
        name = " ".join(words[: 2 if words[0] in GROUPS else 1])
        output = self.work / "output.txt"
        usual = self.typical.get(name, 1.0)
        limit = PATIENCE
        if killed and self.chance.random() >= SPARED:
            limit = self.chance.uniform(0, usual * 1.1)
        # One that is killed before it opens the file must not be taken to have said what the one before said.
        output.write_bytes(b"")
        began = time.perf_counter()
        pid = child.forked([*words, "-d", str(database or self.database)], output)
        status: int | None = None
        while status is None:
            done, value = os.waitpid(pid, os.WNOHANG)
            spent = time.perf_counter() - began
            if done:
                status = value
            elif spent > limit:
                os.kill(pid, signal.SIGKILL)
                _, status = os.waitpid(pid, 0)
            else:
                time.sleep(0.001)
        text = output.read_text(errors="replace")
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
        assert "Traceback" not in text, f"{' '.join(words)}: {text[-3000:]}"
        if code is None:
            assert limit < PATIENCE, f"{' '.join(words)} took longer than {PATIENCE:.0f} s"
            self.kills[name] += 1
        else:
            assert code in ALLOWED, f"{' '.join(words)} ended with {code}: {text[-2000:]}"
            self.completed[name] += 1
            self.typical[name] = 0.7 * usual + 0.3 * spent
        return code, text, spent

    # ---- The commands

    def step(self) -> None:
        """Do one of them, and look at what is left."""
        operations = self.operations()
        (operation,) = self.chance.choices([one for _, one in operations], [weight for weight, _ in operations])
        operation()
        self.examine()

    def operations(self) -> list[tuple[int, Callable[[], None]]]:
        """Return what can be done, and how often each is to be."""
        return [
            (4, self.index),
            (5, self.correct),
            (2, self.tag_photo),
            (2, self.draw_face),
            (2, self.undo),
            (1, self.redo),
            (2, self.import_log),
            (1, self.forget),
            (1, self.adapt),
            (1, self.tag),
            (1, self.check),
            (1, self.backup),
        ]

    def index(self) -> None:
        for _ in range(self.chance.randrange(1, 6)):
            number = self.chance.randrange(self.photos * 2)
            path = self.folder / f"{number:03}.png"
            if path.exists() and self.chance.random() < 0.4:
                os.replace(path, self.folder / f"{self.chance.randrange(self.photos * 2):03}.png")
            else:
                self._draw(number)
        self.command("index", str(self.folder), *(["--force"] if self.chance.random() < 0.3 else []))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return what a query finds."""
        connection = sqlite3.connect(self.database)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def any_row(self, query: str) -> tuple[Any, ...] | None:
        """Return one of the rows that a query finds."""
        found = self.rows(query)
        return self.chance.choice(found) if found else None

    def any_face(self) -> tuple[Any, ...] | None:
        return self.any_row(
            "SELECT face_id, photo_id FROM v1_faces JOIN v1_photos USING (photo_id) WHERE state = 'indexed'"
        )

    def record(self, *words: str, sign: str = "recorded") -> None:
        """Say something; it is acknowledged by exit code 0, or by a sign in the output of one that was killed."""
        by = f"soak-{self.number}"
        self.number += 1
        code, text, _ = self.command(*words, "--by", by)
        if code == 0 or (code is None and sign in text):
            self.acknowledged.add(by)

    def correct(self) -> None:
        face = self.any_face()
        if face is not None:
            said = self.chance.choice((["--age", str(self.chance.randrange(1, 90))], ["--gender", "female"]))
            self.record("correct", f"face:{face[0]}", *said)

    def tag_photo(self) -> None:
        face = self.any_face()
        if face is not None:
            self.record("correct", f"photo:{face[1]}", "--tag", self.chance.choice(("summer", "cats")))

    def draw_face(self) -> None:
        face = self.any_face()
        if face is not None:
            self.record("correct", f"photo:{face[1]}", "--box", f"0.{self.chance.randrange(10, 60)},0.1,0.2,0.3")

    def undo(self) -> None:
        self.command("corrections", "undo", "--any")

    def redo(self) -> None:
        self.command("corrections", "redo")

    def import_log(self) -> None:
        code, _, _ = self.command("corrections", "import", str(self.exported))
        if code == 0:
            self.acknowledged |= {line["made_by"] for line in self._exported()} - self.erased

    def forget(self) -> None:
        face = self.any_face()
        if face is None:
            return
        # Whether or not it is killed before: from now on what was said of this photo, as it is known now, may be gone.
        gone = set(self._of_photo(face[1]))
        self.acknowledged -= gone
        self.erased |= gone
        self.command("forget", f"photo:{face[1]}", "--yes")

    def _of_photo(self, photo_id: int) -> list[str]:
        """Return who made the corrections of a photo, of its content and of its path, also those not yet imported."""
        connection = sqlite3.connect(self.database)
        try:
            content, path = connection.execute(
                "SELECT content_hash, path FROM photos WHERE id = ?", (photo_id,)
            ).fetchone()
            found = connection.execute(
                "SELECT made_by FROM corrections WHERE photo_id = ? OR content_hash = ? OR path = ?",
                (photo_id, content, path),
            ).fetchall()
        finally:
            connection.close()
        others = [line for line in self._exported() if line["content_hash"] == content or line["path"] == path]
        return [*(row[0] for row in found), *(line["made_by"] for line in others)]

    def _exported(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.exported.read_text().splitlines()[1:]]

    def adapt(self) -> None:
        self.command("adapt")

    def tag(self) -> None:
        self.command("tag", "--set", f"tags.precision={self.chance.choice((0.7, 0.8, 0.9))}")

    def check(self) -> None:
        self.command("check", "--repair", "--all")

    def backup(self) -> None:
        self.command("backup", str(self.work / f"copy-{self.number}.db"))
        self.number += 1
        for copy in sorted(self.work.glob("copy-*"))[:-3]:
            if copy.suffix == ".db":
                assert integrity(copy) == "ok", copy
            copy.unlink()

    # ---- What is left

    def examine(self) -> None:
        """Demand a sound database that holds all corrections that were acknowledged."""
        assert integrity(self.database) == "ok"
        held = self.made_by()
        lost = self.acknowledged - held
        assert not lost, f"corrections were lost: {sorted(lost)}"

    def made_by(self) -> set[str]:
        """Return who made the lines of the log."""
        return {row[0] for row in self.rows("SELECT made_by FROM corrections")}

    def examine_effect(self) -> None:
        """Demand that what holds is what the log amounts to: projecting all of it again changes nothing."""
        database = open_database(str(self.database))
        try:
            with database.dry_run() as session:
                connection = session.connection()
                before = _effect(connection)
                faces = [
                    row[0]
                    for row in connection.exec_driver_sql("SELECT face_id FROM corrections WHERE face_id IS NOT NULL")
                ]
                photos = [row[0] for row in connection.exec_driver_sql("SELECT id FROM photos WHERE state = 'indexed'")]
                project_faces(session, set(faces))
                for photo_id in photos:
                    project_photo(session, photo_id, TagSettings())
                session.flush()
                after = _effect(connection)
        finally:
            database.close()
        assert before == after, [(a, b) for a, b in zip(before, after, strict=False) if a != b][:5]


def _effect(connection: Any) -> list[Any]:
    columns = [row[1] for row in connection.exec_driver_sql("PRAGMA table_info(verdicts)")]
    order = ", ".join(columns)
    verdicts = connection.exec_driver_sql(f"SELECT {order} FROM verdicts ORDER BY {order}").fetchall()
    tags = connection.exec_driver_sql(
        "SELECT photo_id, name, state FROM tags WHERE source = 'user' ORDER BY photo_id, name"
    ).fetchall()
    return [tuple(row) for row in [*verdicts, *tags]]


def integrity(file: Path) -> str:
    connection = sqlite3.connect(file)
    try:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    finally:
        connection.close()
