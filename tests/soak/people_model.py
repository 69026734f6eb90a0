"""What persons said about people, as plain dictionaries: what a library has to show whatever happened to it.

A face is its photo and its place in the photo, as drawn; a person is a uid.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

#: A drawn photo, and which of its faces, from left to right.
Face = tuple[int, int]
Relation = tuple[str, str, str]


@dataclass
class Said:
    """One word: a batch of the log, and what it means, as methods of `Words` with their values."""

    batch: str = ""
    operations: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)

    def means(self, operation: str, *values: object) -> None:
        """Note what it means, too."""
        self.operations.append((operation, values))


@dataclass
class Words:
    """All that holds of what was said."""

    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    births: dict[str, str] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    me: str | None = None
    relations: set[Relation] = field(default_factory=set)
    who: dict[Face, str] = field(default_factory=dict)
    #: Whom a face is not.
    never: dict[Face, set[str]] = field(default_factory=dict)
    ages: dict[Face, int] = field(default_factory=dict)

    def after(self, said: Iterable[Said]) -> Words:
        """Return what holds after more was said."""
        found = copy.deepcopy(self)
        for one in said:
            for operation, values in one.operations:
                getattr(found, operation)(*values)
        return found

    def called(self, name: str) -> list[str]:
        """Return the uids of who is called by a name."""
        return [uid for uid, names in self.names.items() if name.casefold() in {one.casefold() for one in names}]

    def name(self, uid: str, names: Sequence[str]) -> None:
        """Somebody has these names, none for none."""
        if names:
            self.names[uid] = tuple(names)
        else:
            self.names.pop(uid, None)

    def confirm(self, uid: str, faces: Iterable[Face]) -> None:
        """Faces are somebody."""
        for face in faces:
            self.who[face] = uid
            self.never.get(face, set()).discard(uid)

    def reject(self, uid: str, faces: Iterable[Face]) -> None:
        """Faces are not somebody."""
        for face in faces:
            self.never.setdefault(face, set()).add(uid)
            if self.who.get(face) == uid:
                del self.who[face]

    def split(self, uid: str, faces: Sequence[Face], before: dict[Face, str]) -> None:
        """Faces are somebody else than before."""
        for face in faces:
            if before.get(face, uid) != uid:
                self.reject(before[face], [face])
            self.confirm(uid, [face])

    def hide(self, uid: str, hidden: bool) -> None:
        """Somebody is hidden, or is not any more."""
        (self.hidden.add if hidden else self.hidden.discard)(uid)

    def birth(self, uid: str, date: str | None) -> None:
        """Somebody was born then, None for an unknown date."""
        self.births.pop(uid, None)
        if date is not None:
            self.births[uid] = date

    def is_me(self, uid: str, me: bool) -> None:
        """Somebody is me, and nobody else, or is not."""
        if me:
            self.me = uid
        elif self.me == uid:
            self.me = None

    def age(self, face: Face, years: int) -> None:
        """A face is of an age."""
        self.ages[face] = years

    def relate(self, relation: Relation) -> None:
        """Somebody is the child or partner of another."""
        self.relations.add(_ordered(relation))

    def merge(self, uid: str, other: str) -> None:
        """Two are one, who keeps the first uid."""
        known = {one.casefold() for one in self.names.get(uid, ())}
        more = tuple(one for one in self.names.pop(other, ()) if one.casefold() not in known)
        if self.names.get(uid, ()) + more:
            self.names[uid] = self.names.get(uid, ()) + more
        birth = self.births.pop(other, None)
        if birth is not None:
            self.births.setdefault(uid, birth)
        self.hidden.discard(other)
        self.me = uid if self.me == other else self.me
        one = {other: uid}
        moved = {_ordered((one.get(a, a), kind, one.get(b, b))) for a, kind, b in self.relations}
        self.relations = {relation for relation in moved if relation[0] != relation[2]}
        self.who = {face: one.get(them, them) for face, them in self.who.items()}
        self.never = {face: {one.get(them, them) for them in some} for face, some in self.never.items()}
        for face, them in self.who.items():
            # Two statements about one face: that it is them counts.
            self.never.get(face, set()).discard(them)

    def drop(self, uid: str, faces: Iterable[Face]) -> None:
        """Somebody is forgotten, with all of their faces."""
        self.names.pop(uid, None)
        self.births.pop(uid, None)
        self.hidden.discard(uid)
        self.relations = {one for one in self.relations if uid not in one}
        for face in faces:
            self.who.pop(face, None)
            self.never.pop(face, None)
            self.ages.pop(face, None)
        for some in self.never.values():
            some.discard(uid)


@dataclass
class Talk:
    """All that was said, in its order, and what of it is undone."""

    #: What holds whatever is undone.
    base: Words = field(default_factory=Words)
    said: list[Said] = field(default_factory=list)
    #: The batches that are undone, and those of them that can be done again, the last one last.
    undone: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)

    def say(self, word: Said) -> None:
        """Add a word."""
        self.said.append(word)
        self.again.clear()

    def undo(self, batch: str) -> None:
        """Undo a word, whatever later ones depend on it."""
        self.undone.append(batch)
        self.again.append(batch)

    def redo(self) -> None:
        """Do the word again that was undone last."""
        self.undone.remove(self.again.pop())

    def left(self) -> list[Said]:
        """Return the words that are not undone."""
        return [one for one in self.said if one.batch not in self.undone]

    def words(self) -> Words:
        """Return what holds."""
        return self.base.after(self.left())


def _ordered(relation: Relation) -> Relation:
    first, kind, other = relation
    return (other, kind, first) if kind == "partner_of" and other < first else relation


@dataclass
class Shown:
    """The same as a library shows it, and who every face is."""

    words: Words
    #: Of each face, by whom it is taken for: the state (confirmed, proposed or automatic).
    states: dict[Face, tuple[str, str]]
    #: The photos and names of tags of people.
    tags: set[tuple[int, str]]
    #: The numbers of faces and people in this database.
    faces: dict[Face, int]
    numbers: dict[str, int]
    covers: dict[str, Face | None]
    #: Those of whom nothing is known but what grouping found.
    untold: set[str]


def differences(expected: Words, shown: Shown, capture: dict[int, int]) -> list[str]:
    """Return in what a library differs from what was said, a line each; `capture` has the years of dated photos."""
    found, words = [], shown.words
    for name in ("names", "births", "hidden", "me", "relations", "who", "ages"):
        ours, theirs = getattr(expected, name), getattr(words, name)
        if ours != theirs:
            found.append(f"{name}: {_items(theirs) - _items(ours)} instead of {_items(ours) - _items(theirs)}")
    on_photo: dict[tuple[int, str], list[str]] = {}
    for face, (uid, state) in sorted(shown.states.items()):
        if uid in expected.never.get(face, ()):
            found.append(f"{face} is {uid}, {state}, whom it is not")
        on_photo.setdefault((face[0], uid), []).append(state)
        birth = expected.births.get(uid)
        if state != "confirmed" and birth and capture.get(face[0], 9999) < int(birth[:4]):
            found.append(f"{face} of {capture[face[0]]} is {uid}, {state}, born {birth}")
    for (photo, uid), states in on_photo.items():
        if len(states) > 1 and set(states) != {"confirmed"}:
            found.append(f"photo {photo} shows {uid} as {states}")
    tags = {
        (face[0], f"People/{expected.names[uid][0]}")
        for face, uid in expected.who.items()
        if uid in expected.names and uid not in expected.hidden
    }
    if tags != shown.tags:
        found.append(f"tags: {shown.tags - tags} instead of {tags - shown.tags}")
    return found


def _items(values: object) -> set[object]:
    return set(values.items()) if isinstance(values, dict) else values if isinstance(values, set) else {values}


def add_shown(words: Words, one: dict[str, Any], uids: dict[int, str]) -> None:
    """Add what is shown of somebody."""
    uid = one["uid"]
    words.name(uid, one["names"])
    if one["birth_date_source"] == "user":
        words.births[uid] = one["birth_date"]
    if one["hidden"]:
        words.hidden.add(uid)
    if one["is_me"]:
        assert words.me is None, f"both {words.me} and {uid} are me"
        words.me = uid
    for relation, other in one["relations"]:
        if relation != "parent_of":
            words.relate((uid, relation, uids[other]))
