"""Replay the lines of the log about people: names, birth dates, relations and merges, and whose a face is.

The lines are replayed in their order, so that the same log gives the same people in every database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from rollcall.corrections.log_lines import UNDO_KINDS, LogLine, effective, log_lines, of_a_photo
from rollcall.corrections.person_kinds import PERSON_KINDS
from rollcall.search.folding import fold
from rollcall.storage.tables import CorrectionRow

_CACHE: Final = "rollcall stated people"


@dataclass
class Stated:
    """What the effective lines of the log state about one person."""

    names: list[str] = field(default_factory=list)
    hidden: bool = False
    me: bool = False
    birth: str | None = None


@dataclass
class People:
    """What the effective lines of the log state about all people, by uid."""

    people: dict[str, Stated] = field(default_factory=dict)
    relations: set[tuple[str, str, str]] = field(default_factory=set)  # person, other, relation
    merged: dict[str, str] = field(default_factory=dict)  # who went into whom
    merged_at: dict[str, str] = field(default_factory=dict)  # when that was said, by who went

    def uid(self, uid: str, at: str | None = None) -> str:
        """Return the uid of whom somebody is after all merges, or after those up to a time."""
        while uid in self.merged and (at is None or self.merged_at[uid] <= at):
            uid = self.merged[uid]
        return uid

    def _of(self, uid: str) -> Stated:
        return self.people.setdefault(self.uid(uid), Stated())

    def apply(self, kind: str, value: Mapping[str, Any], made_at: str = "") -> None:
        """Replay one line."""
        uid = str(value["person"])
        if kind == "person_name":
            self._of(uid).names = list(value["names"])
        elif kind == "person_hidden":
            self._of(uid).hidden = bool(value["hidden"])
        elif kind == "person_birth":
            self._of(uid).birth = value["date"]
        elif kind == "person_me":
            if value["me"]:
                for one in self.people.values():
                    one.me = False
            self._of(uid).me = bool(value["me"])
        elif kind == "person_relation":
            self._relate(uid, value)
        elif kind == "person_merge":
            self._merge(self.uid(uid), self.uid(str(value["other"])), made_at)

    def _relate(self, uid: str, value: Mapping[str, Any]) -> None:
        self._of(uid)
        self._of(str(value["other"]))
        relation = _ordered(self.uid(uid), self.uid(str(value["other"])), str(value["relation"]))
        if value["holds"]:
            self.relations.add(relation)
        else:
            self.relations.discard(relation)

    def _merge(self, uid: str, other: str, made_at: str) -> None:
        if uid == other:
            return
        into, gone = self._of(uid), self.people.pop(other, Stated())
        self.merged[other], self.merged_at[other] = uid, made_at
        known = {fold(name) for name in into.names}
        into.names += [name for name in gone.names if fold(name) not in known]
        into.me = into.me or gone.me
        into.birth = into.birth or gone.birth
        moved = {_ordered(self.uid(a), self.uid(b), relation) for a, b, relation in self.relations}
        self.relations = {one for one in moved if one[0] != one[1]}


def _ordered(person: str, other: str, relation: str) -> tuple[str, str, str]:
    """Return a relation; a partnership holds both ways, and is stored once."""
    if relation == "partner_of" and other < person:
        return other, person, relation
    return person, other, relation


def stated_people(session: Session) -> People:
    """Return what the log states about all people, apart from whose the faces are."""
    newest = session.scalar(select(func.max(CorrectionRow.id))) or 0
    cached: tuple[int, People] | None = session.info.get(_CACHE)
    # Lines are only added, so the newest number names the state of the log within a transaction.
    if cached is not None and cached[0] == newest:
        return cached[1]
    result = People()
    for line in effective(log_lines(session, _about_people())):
        if line.kind in PERSON_KINDS:
            result.apply(line.kind, line.value, line.made_at)
    session.info[_CACHE] = newest, result
    return result


def forget_stated(session: Session) -> None:
    """Read the log again at the next call of `stated_people`: lines were deleted."""
    session.info.pop(_CACHE, None)


def _about_people() -> ColumnElement[bool]:
    """Return the condition of lines that belong to no photo: those about people, and what undoes them."""
    return or_(CorrectionRow.kind.in_(PERSON_KINDS), and_(CorrectionRow.kind.in_(UNDO_KINDS), ~of_a_photo()))


def stated_person(log: Sequence[LogLine], people: People | None = None) -> tuple[LogLine | None, dict[str, bool]]:
    """Return the line that says who a face is, and the uids it was said not to be, from its effective lines.

    The newer of *is* and *is not* the same person is effective; a line of the kind person outranks one of member.
    Two of `people` who were one when it was said that the face is not one of them are the same person.
    """
    people = People() if people is None else people
    newest: dict[str, LogLine | None] = {"person": None, "member": None}
    rejected: dict[str, bool] = {}
    for line in log:
        if line.kind in newest:
            newest[line.kind] = line if line.value else None
            if line.kind == "person" and line.value:
                rejected.pop(str(line.value["person"]), None)
        elif line.kind == "not_person":
            uid = str(line.value["person"])
            rejected[uid] = bool(line.value["holds"])
            for kind, before in newest.items():
                if rejected[uid] and before is not None:
                    them = str(before.value["person"])
                    newest[kind] = before if people.uid(them, line.made_at) != people.uid(uid, line.made_at) else None
    return newest["person"] or newest["member"], {uid: holds for uid, holds in rejected.items() if holds}
