"""A drawn library of people, what it shows by the command line, and words that are said about it."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from blobs import draw
from people_blobs import PeopleAnalyzer
from soak import child
from soak.people_model import Face, Relation, Said, Shown, Talk, Words, add_shown, differences

#: The share of commands that are killed.
KILLED: Final = 0.15
#: How long a command may take, in seconds.
PATIENCE: Final = 120.0
#: Of the people who are drawn: the blue of their squares, and when they were born.
PEOPLE: Final = {10: 1950, 60: 1982, 110: 2008, 160: 2010, 210: 2015}
NAMES: Final = ("Anna", "Änne B", "Ben", "jörg", "Marie Claire", "Zoë", "O'Hara", "Li")
TAGS: Final = {f"People/{name}" for name in NAMES}
DATES: Final = ("1950", "1982-07", "2008", "2010-02-28", "2015-05", "2019", "unknown")
#: Where the first square of a drawn photo is, and how far the next, in fractions of its width.
_FIRST, _STEP = 10 / 200, 38 / 200


@dataclass
class Library:
    """A drawn library, its present files, and what was said of it."""

    work: Path
    chance: random.Random
    photos: int
    done: Counter[str]
    words: Words = field(default_factory=Words)
    talk: Talk = field(default_factory=Talk)
    files: dict[int, Path] = field(default_factory=dict)
    capture: dict[int, int] = field(default_factory=dict)
    #: Lines of the log that must not be lost.
    lines: set[str] = field(default_factory=set)
    #: Who a face was said to be at any time; and who was one with somebody else, or me.
    history: dict[Face, set[str]] = field(default_factory=dict)
    entangled: set[str] = field(default_factory=set)
    version: int = 1

    def __post_init__(self) -> None:
        self.folder, self.database = self.work / "photos", self.work / "0.db"
        for photo in range(self.photos):
            year = self.chance.randrange(2016, 2025)
            some = self.chance.sample(sorted(PEOPLE), self.chance.choice((1, 1, 1, 2, 3)))
            name = f"scan {photo}.png"
            if self.chance.random() < 0.8:
                name = f"IMG_{year}0{self.chance.randrange(1, 10)}15_1200{photo:02}.png"
                self.capture[photo] = year
            self.files[photo] = draw(self.folder / name, *((year - PEOPLE[one], one) for one in some), seed=photo + 1)
        self.index()
        self.shown = self.read()

    # ---- Commands

    def run(self, *commands: Sequence[str], kill: bool = False) -> tuple[bool, list[str]]:
        """Run commands in a process of their own, perhaps killed; return whether all succeeded, and what they print."""
        output = self.work / "output.txt"
        output.write_bytes(b"")
        lines = [[*words, "-d", str(self.database)] for words in commands]
        pid = child.forked_all(lines, output, lambda: PeopleAnalyzer(f"blobs-{self.version}"))
        limit = time.monotonic() + (self.chance.uniform(0.02, 0.6) if kill else PATIENCE)
        status = None
        while status is None:
            ended, value = os.waitpid(pid, os.WNOHANG)
            if ended:
                status = value
            elif time.monotonic() > limit:
                os.kill(pid, signal.SIGKILL)
                status = os.waitpid(pid, 0)[1]
            else:
                time.sleep(0.002)
        text = output.read_text(errors="replace")
        said = "; ".join(" ".join(words) for words in commands)
        assert "Traceback" not in text, f"{said}: {text[-3000:]}"
        if os.WIFSIGNALED(status):
            assert kill, f"{said} took longer than {PATIENCE:.0f} s"
            self.done["kills"] += 1
        return os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0, text.splitlines()

    def surely(self, *words: str) -> None:
        """Run a command that has to succeed, after one that is killed, perhaps."""
        if self.chance.random() < KILLED:
            self.run(words, kill=True)
        succeeded, text = self.run(words)
        assert succeeded, f"{' '.join(words)}: {text}"

    def index(self, *options: str) -> None:
        """Index the folder."""
        self.surely("index", str(self.folder), "--quiet", *options)

    # ---- What is shown

    def read(self) -> Shown:
        """Return what the commands and views show of people."""
        listed = ["people", "list", "--json", "--limit", "100000"]
        show = [["people", "show", str(number), *listed[2:]] for number in self._all("SELECT person_id FROM v1_people")]
        succeeded, text = self.run(listed, [*listed, "--hidden"], *show)
        assert succeeded, text
        lines = [json.loads(line) for line in text if line.startswith("{")]
        people = lines[: len(show)]
        uids = {one["person_id"]: one["uid"] for one in people}
        words = Words()
        faces, tags, words.ages = self._views()
        states: dict[Face, tuple[str, str]] = {}
        told, them = set[str](), ""
        for one in lines[len(show) :]:
            if "uid" in one:
                them = one["uid"]
                continue
            if one["source"] != "auto":
                told.add(them)
            if one["face_id"] not in faces:
                continue  # of a file that is gone, or was saved again as another one
            face = faces[one["face_id"]]
            assert face not in states, f"{face} is shown twice: {states[face]} and {them}"
            states[face] = them, one["state"]
            if one["state"] == "confirmed":
                words.who[face] = them
        for one in people:
            add_shown(words, one, uids)
        return Shown(
            words,
            states,
            tags,
            {face: number for number, face in faces.items()},
            {uid: number for number, uid in uids.items()},
            {one["uid"]: faces.get(one["cover_face_id"]) for one in people},
            set(uids.values()) - told,
        )

    def _views(self) -> tuple[dict[int, Face], set[tuple[int, str]], dict[Face, int]]:
        """Return the faces by number, the photos with tags of people, and the ages that a person gave."""
        photos = {str(path.resolve()): photo for photo, path in self.files.items()}
        connection = sqlite3.connect(self.database)
        try:
            rows = connection.execute(
                "SELECT face_id, full_path, x, age, age_source FROM v1_faces JOIN v1_photos USING (photo_id)"
                " WHERE state = 'indexed'"
            ).fetchall()
            tagged = connection.execute(
                "SELECT full_path, tag FROM v1_tags t JOIN v1_photos USING (photo_id) WHERE t.state = 'applied'"
            ).fetchall()
        finally:
            connection.close()
        faces, ages = {}, {}
        for number, path, x, age, source in rows:
            faces[number] = face = photos[path], round((x - _FIRST) / _STEP)
            if source == "user":
                ages[face] = round(age)
        return faces, {(photos[path], tag) for path, tag in tagged if path in photos and tag in TAGS}, ages

    def compare(self, after: str) -> None:
        """Demand that the library shows what was said, and that the log has all of it."""
        self.shown = self.read()
        found = differences(self.words, self.shown, self.capture)
        held = set(self._all("SELECT uid FROM corrections"))
        if lost := self.lines - held:
            found.append(f"{len(lost)} lines of the log are lost")
        assert not found, f"after {after}:\n" + "\n".join(found)
        self.lines = held
        for face, uid in self.words.who.items():
            self.history.setdefault(face, set()).add(uid)

    def _all(self, query: str) -> list[Any]:
        connection = sqlite3.connect(self.database)
        try:
            return [row[0] for row in connection.execute(query)]
        finally:
            connection.close()

    # ---- Words

    def say(self) -> None:
        """Say something, and demand that it is what the library shows then."""
        choices: list[tuple[int, Callable[[], None]]] = [
            (4, self.name),
            (3, self.name_face),
            (3, self.confirm),
            (1, self.confirm_proposed),
            (3, self.reject),
            (3, self.split),
            (3, self.merge),
            (1, self.hide),
            (2, self.birth),
            (1, self.me),
            (2, self.relate),
            (1, self.age),
            (3, self.undo),
            (3, self.undo_earlier),
            (2, self.redo),
            (1, self.forget),
        ]
        (word,) = self.chance.choices([one for _, one in choices], [weight for weight, _ in choices])
        if self.shown.numbers and self.shown.faces:
            word()
            self.compare(f"the word {word.__name__}")

    def _said(self, command: Sequence[str], means: Callable[[Said], None]) -> None:
        """Give a command, perhaps killed, and note what it means if it was recorded."""
        before = set(self._all("SELECT batch FROM corrections"))
        succeeded, text = self.run(command, kill=self.chance.random() < KILLED)
        recorded = set(self._all("SELECT batch FROM corrections")) - before
        assert recorded or not succeeded, f"{command} said nothing: {text}"
        self.done[command[1] if recorded else "refused, or killed before"] += 1
        if recorded:
            (batch,) = recorded
            word = Said(batch)
            means(word)
            self.talk.say(word)
            self.words = self.talk.words()

    def _somebody(self) -> tuple[str, str]:
        """Return the uid of somebody, and how they are called in a command."""
        uid = self.chance.choice(sorted(self.shown.numbers))
        names = [name for name in self.words.names.get(uid, ()) if self.words.called(name) == [uid]]
        return uid, self.chance.choice(names) if names and self.chance.random() < 0.5 else str(self.shown.numbers[uid])

    def _people(self, count: int) -> list[str]:
        return self.chance.sample(sorted(self.shown.numbers), min(count, len(self.shown.numbers)))

    def _faces(self, uid: str | None = None) -> tuple[list[Face], list[str]]:
        """Return some faces, of somebody as a rule, and how they are called."""
        theirs = [face for face, (them, _) in self.shown.states.items() if them == uid]
        faces = sorted(theirs if theirs and self.chance.random() < 0.7 else self.shown.faces)
        some = self.chance.sample(faces, min(self.chance.randint(1, 3), len(faces)))
        return some, [f"face:{self.shown.faces[face]}" for face in some]

    def _is_of_the_past(self, *people: str) -> bool:
        """Return whether the cover of a group, of whose faces nothing was said, is of a file that is gone."""
        return any(uid in self.shown.untold and self.shown.covers[uid] is None for uid in people)

    def _confirm_cover(self, word: Said, uid: str, them: str) -> None:
        """Note that the cover of a group, of whose faces nothing was said, is somebody."""
        cover = self.shown.covers.get(uid)
        if uid in self.shown.untold and cover is not None:
            word.means("confirm", them, [cover])

    def _called(self, name: str | None, face: Face) -> Callable[[Said], str]:
        """Return what gives the uid of who has a name, or of the newcomer whom a face is then, who is noted."""
        known = [] if name is None else self.words.called(name)

        def uid(word: Said) -> str:
            assert len(known) < 2, f"{name} is {known}"
            if known:
                return known[0]
            found = self.read().states[face][0]
            assert found not in self.shown.numbers, f"{face} is {found} instead of somebody new"
            if name is not None:
                word.means("name", found, [name])
            return found

        return uid

    def name(self) -> None:
        uid, called = self._somebody()
        names = self.chance.sample(NAMES, self.chance.choice((0, 1, 1, 1, 1, 2)))
        if self._is_of_the_past(uid):
            return

        def means(word: Said) -> None:
            word.means("name", uid, names)
            self._confirm_cover(word, uid, uid)

        self._said(["people", "name", called, *names], means)

    def name_face(self) -> None:
        (face, *_), (called, *_) = self._faces()
        name = self.chance.choice(NAMES)
        uid = self._called(name, face)
        self._said(["people", "name", called, name], lambda word: word.means("confirm", uid(word), [face]))

    def confirm(self) -> None:
        uid, called = self._somebody()
        faces, them = self._faces()
        self._said(["people", "confirm", called, *them], lambda word: word.means("confirm", uid, faces))

    def confirm_proposed(self) -> None:
        uid, called = self._somebody()
        faces = [face for face, shown in self.shown.states.items() if shown == (uid, "proposed")]
        if faces:
            self._said(["people", "confirm", called], lambda word: word.means("confirm", uid, faces))

    def reject(self) -> None:
        uid, called = self._somebody()
        faces, them = self._faces(uid)
        self._said(["people", "confirm", called, "--not", *them], lambda word: word.means("reject", uid, faces))

    def split(self) -> None:
        faces, called = self._faces(self._somebody()[0])
        name = self.chance.choice((None, *NAMES))
        before = {face: uid for face, (uid, _) in self.shown.states.items()}
        uid = self._called(name, faces[0])
        words = ["people", "split", *called, *([] if name is None else ["--name", name])]
        self._said(words, lambda word: word.means("split", uid(word), faces, before))

    def merge(self) -> None:
        uid, *others = self._people(self.chance.choice((2, 2, 3)))
        if not others or self._is_of_the_past(uid, *others):
            return

        def means(word: Said) -> None:
            self._confirm_cover(word, uid, uid)
            for other in others:
                self._confirm_cover(word, other, uid)
                word.means("merge", uid, other)
            self.entangled |= {uid, *others}

        self._said(["people", "merge", *(str(self.shown.numbers[one]) for one in (uid, *others))], means)

    def hide(self) -> None:
        uid, called = self._somebody()
        shown = uid in self.words.hidden
        command = ["people", "hide", called, *(["--show"] if shown else [])]
        self._said(command, lambda word: word.means("hide", uid, not shown))

    def birth(self) -> None:
        uid, called = self._somebody()
        date = self.chance.choice(DATES)
        known = None if date == "unknown" else date
        self._said(["people", "birth", called, date], lambda word: word.means("birth", uid, known))

    def me(self) -> None:
        uid, called = self._somebody()
        withdrawn = self.words.me == uid

        def means(word: Said) -> None:
            word.means("is_me", uid, not withdrawn)
            self.entangled.add(uid)

        self._said(["people", "me", called, *(["--not"] if withdrawn else [])], means)

    def relate(self) -> None:
        one, *others = self._people(2)
        for other in others:
            relation = one, self.chance.choice(("child_of", "partner_of")), other
            numbers = str(self.shown.numbers[one]), relation[1], str(self.shown.numbers[other])
            self._said(["people", "relate", *numbers], self._related(relation))

    def _related(self, relation: Relation) -> Callable[[Said], None]:
        return lambda word: word.means("relate", relation)

    def age(self) -> None:
        (face, *_), (called, *_) = self._faces()
        age = self.chance.randrange(1, 90)
        self._said(["correct", called, "--age", str(age)], lambda word: word.means("age", face, age))

    def undo(self) -> None:
        """Undo the latest word."""
        left = self.talk.left()
        if left:
            self._turn("undo", "corrections", "undo", "--any")
            self.talk.undo(left[-1].batch)
            self.words = self.talk.words()

    def undo_earlier(self) -> None:
        """Undo any word but the latest, whatever later ones depend on it."""
        left = self.talk.left()
        if len(left) > 1:
            batch = self.chance.choice(left[:-1]).batch
            self._turn("undo of an earlier word", child.UNDO, batch)
            self.talk.undo(batch)
            self.words = self.talk.words()

    def redo(self) -> None:
        """Do the word again that was undone last."""
        if self.talk.again:
            self._turn("redo", "corrections", "redo")
            self.talk.redo()
            self.words = self.talk.words()

    def _turn(self, what: str, *command: str) -> None:
        succeeded, text = self.run(command)
        assert succeeded, text
        self.done[what] += 1

    def forget(self) -> None:
        """Forget somebody of whom nothing was said that others depend on: what is left is plain then."""
        uid, _ = self._somebody()
        faces = [face for face, (them, _) in self.shown.states.items() if them == uid]
        once = [face for face, uids in self.history.items() if uid in uids and face not in faces]
        if uid in self.entangled or once or len(faces) > 3:
            return
        succeeded, text = self.run(["forget", f"person:{self.shown.numbers[uid]}", "--yes"])
        assert succeeded, text
        self.done["forget"] += 1
        self.words.drop(uid, faces)
        self.talk = Talk(self.words)
        self.lines.clear()
