"""The forms of the pages about people, and what they change."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field

from rollcall import corrections
from rollcall.corrections.kind_base import RowId
from rollcall.corrections.review_queue import ANSWERS
from rollcall.errors import ConflictError, InvalidCorrectionError
from rollcall.host import Plugin
from rollcall.people.persons import Person
from rollcall.people.portrait import FaceIdentity
from rollcall.sentences import Quoted, Sentence
from rollcall.web.forms import NOT_UNDERSTOOD
from rollcall.web.history import History
from rollcall.web.inputs import Joined
from rollcall.web.translation import language

Name = Annotated[str, Field(max_length=200)]
_WRITTEN: Final = re.compile(r"(?:(?P<day>\d{1,2})(?P<mark>[./]) ?)?(?P<month>\d{1,2})[./] ?(?P<year>\d{4})")


class PeopleForm(BaseModel):
    """What the forms of the list of people send; `what` names the button."""

    what: Literal["name", "merge", "hide", "show", "hide_once", "undo", "redo"]
    people: Annotated[list[RowId], Joined, Field(max_length=500)] = []
    name: Name = ""


class PersonForm(BaseModel):
    """What the forms of a person's page send; `what` names the button."""

    what: Literal[
        "names", "birth", "me", "not_me", "hide", "show", "merge", "child_of", "parent_of", "partner_of", "unrelated",
        "split", "not_them", "confirm", "ignore", "age_group", "undo", "redo",
    ]  # fmt: skip
    name: Annotated[str, Field(max_length=1000)] = ""
    birth: Annotated[str, Field(max_length=20)] = ""
    other: RowId | None = None
    label: Annotated[str, Field(max_length=100)] = ""
    faces: Annotated[list[RowId], Joined, Field(max_length=5000)] = []


class ForgetForm(BaseModel):
    """Whether a person is to be forgotten for good."""

    sure: Annotated[str, Field(max_length=10)] = ""


class FaceForm(BaseModel):
    """What the form "Who is it?" of a photo's page sends."""

    what: Literal["name", "yes", "no"]
    face: RowId
    name: Name = ""


class ProposalForm(BaseModel):
    """An answer to a row of proposals: of the faces that are ticked. They may be somebody `instead` of the person."""

    what: Literal["yes", "no", "skip", "undo", "instead"] = "instead"
    person: RowId | None = None
    instead: RowId | None = None
    faces: Annotated[list[RowId], Joined, Field(max_length=500)] = []


def named(plugin: Plugin, name: str) -> Person | None:
    """Return the person with a name, whatever its case; None if nobody has it."""
    return next(iter(plugin.people_named(name)), None)


def somebody_else(plugin: Plugin, name: str, person: Person) -> Person | None:
    """Return whom a name means beside a person: that person if nobody else has it, too, and None if nobody has it.

    Raises
    ------
    ConflictError
        If several others have it.
    """
    found = plugin.people_named(name)
    others = [one for one in found if one.person_id != person.person_id] or found
    return _only(others, name)


def _only(found: Sequence[Person], name: str) -> Person | None:
    """Return the one person of a name; None if nobody has it.

    Raises
    ------
    ConflictError
        If several have it.
    """
    if len(found) > 1:
        raise ConflictError(
            Sentence(
                "%(count)s people are called %(name)s; tick under People who is one person, or rename one of them",
                count=len(found),
                name=Quoted(name.strip()),
            )
        )
    return next(iter(found), None)


def name_group(past: History, person: Person, name: str) -> Person:
    """Name a person, or make them one with whoever has the name already; return who they are then.

    Raises
    ------
    InvalidCorrectionError
        If the name is empty.
    ConflictError
        If several others have it.
    """
    if not name.strip():
        raise InvalidCorrectionError(Sentence("a name is needed; type one"))
    other = somebody_else(past.plugin, name, person)
    if other is not None and other.person_id != person.person_id:
        return past.plugin.merge_people(other.person_id, person.person_id, origin=past.tab)
    return past.plugin.name_person(person.person_id, name, *person.names, origin=past.tab)


def set_ages(past: History, faces: Sequence[int], label: str) -> None:
    """Record the ages of an answer of one key for faces, as one batch.

    Raises
    ------
    InvalidCorrectionError
        If none is chosen, or there is no such answer.
    """
    if label not in ANSWERS:
        raise InvalidCorrectionError(NOT_UNDERSTOOD if label else Sentence("no age is chosen; choose one beside it"))
    past.correct(*(corrections.age(one, *ANSWERS[label]) for one in faces))


def name_faces(past: History, faces: Sequence[int], name: str) -> str:
    """State that faces are the person of a name, who is added if nobody has it, as one batch; return the name.

    Raises
    ------
    InvalidCorrectionError
        If the name is empty or none.
    ConflictError
        If several people have it.
    """
    if not name.strip():
        raise InvalidCorrectionError(Sentence("a name is needed; type one"))
    found = _only(past.plugin.people_named(name.strip()), name)
    if found is not None:
        return past.plugin.confirm_faces(found.person_id, faces, origin=past.tab).name or name.strip()
    # Not as faces that are taken out of a group: what looks like them there may be the same person.
    uid = corrections.new_uid()
    past.correct(corrections.person_name(uid, [name.strip()]), *(corrections.person(one, uid) for one in faces))
    return name.strip()


def merge(past: History, people: Sequence[Person]) -> Person:
    """Make people one: the first with a name, if any has one; return who they are then.

    Raises
    ------
    InvalidCorrectionError
        If there are not two.
    """
    if len({one.person_id for one in people}) < 2:
        raise InvalidCorrectionError(Sentence("one person is nobody else; tick two or more"))
    into = next((one for one in people if one.name is not None), people[0])
    return past.plugin.merge_people(
        into.person_id, *(one.person_id for one in people if one is not into), origin=past.tab
    )


def answer_face(past: History, form: FaceForm, known: FaceIdentity | None) -> None:
    """Record what the form "Who is it?" says; `known` is who the face is at present.

    Raises
    ------
    InvalidCorrectionError
        If a name is empty, or nobody is proposed.
    ConflictError
        If several people have the name.
    """
    if form.what == "name":
        if not form.name.strip():
            raise InvalidCorrectionError(Sentence("a name is needed; type one"))
        _only(past.plugin.people_named(form.name), form.name)
        past.plugin.name_face(form.face, form.name, origin=past.tab)
    elif known is None:
        raise InvalidCorrectionError(NOT_UNDERSTOOD)
    elif form.what == "yes":
        past.plugin.confirm_faces(known.person_id, [form.face], origin=past.tab)
    else:
        # Not by `reject_faces`, which returns the person: a group may be gone without this face.
        past.correct(corrections.not_person(form.face, known.uid))


def separate_names(text: str, known: Sequence[str] = ()) -> list[str]:
    """Return the names that somebody typed with commas between them; names that are `known` may have commas."""
    whole = sorted((re.escape(name) for name in known if "," in name), key=len, reverse=True)
    found = re.findall("|".join((*(f" *{name}(?= *(?:,|$))" for name in whole), "[^,]+")), text)
    return [name for name in map(str.strip, found) if name]


def birth_date(text: str) -> str:
    """Return a date that somebody typed as dates are stored, YYYY-MM-DD or less of it; what is none as it is.

    People write 21.3.2015, 21/3/2015 or 3/2015. In English a day and a month with a slash may be either.
    """
    text = text.strip()
    found = _WRITTEN.fullmatch(text)
    if found is None or (found["day"] and found["mark"] == "/" and language() == "en"):
        return text
    day = f"-{int(found['day']):02}" if found["day"] else ""
    return f"{found['year']}-{int(found['month']):02}{day}"


def change_person(past: History, person: Person, form: PersonForm) -> None:
    """Record what a form of a person's page says, undo and redo excepted.

    Raises
    ------
    InvalidCorrectionError
        If something is missing or no name or date.
    """
    number = person.person_id
    match form.what:
        case "names":
            past.plugin.name_person(number, *separate_names(form.name, person.names), origin=past.tab)
        case "birth":
            past.plugin.set_birth_date(number, birth_date(form.birth) or None, origin=past.tab)
        case "me" | "not_me":
            past.plugin.set_me(number, form.what == "me", origin=past.tab)
        case "hide" | "show":
            past.plugin.hide_people(number, hidden=form.what == "hide", origin=past.tab)
        case "split" | "not_them" | "confirm" | "ignore" | "age_group":
            _change_faces(past, number, form)
        case _:
            _change_two(past, person, form)


def _change_faces(past: History, number: int, form: PersonForm) -> None:
    if not form.faces:
        raise InvalidCorrectionError(Sentence("no face is ticked; tick those that are meant"))
    if form.what == "ignore":
        past.correct(*(corrections.ignore(one) for one in form.faces))
    elif form.what == "age_group":
        set_ages(past, form.faces, form.label)
    elif form.what == "split":
        past.plugin.split_faces(form.faces, form.name.strip() or None, origin=past.tab)
    elif form.what == "not_them":
        past.plugin.reject_faces(number, form.faces, origin=past.tab)
    else:
        past.plugin.confirm_faces(number, form.faces, origin=past.tab)


def _change_two(past: History, person: Person, form: PersonForm) -> None:
    other = somebody_else(past.plugin, form.name, person) if form.other is None else past.plugin.person(form.other)
    if other is None:
        raise InvalidCorrectionError(
            Sentence("nobody is named %(name)s; name them first", name=Quoted(form.name.strip()))
        )
    if form.what == "merge":
        merge(past, [other, person])
    elif form.what == "unrelated":
        for relation, number in person.relations:
            if number == other.person_id:
                _relate(past, person.person_id, relation, number, holds=False)
    else:
        _relate(past, person.person_id, form.what, other.person_id, holds=True)


def _relate(past: History, number: int, relation: str, other: int, *, holds: bool) -> None:
    """Record a relation as it is stored: a child is of its parent, and partners are of each other."""
    if relation == "parent_of":
        past.plugin.relate(other, "child_of", number, holds=holds, origin=past.tab)
    elif relation == "child_of":
        past.plugin.relate(number, "child_of", other, holds=holds, origin=past.tab)
    else:
        past.plugin.relate(number, "partner_of", other, holds=holds, origin=past.tab)
        if not holds:
            # It may have been entered from the other side.
            past.plugin.relate(other, "partner_of", number, holds=False, origin=past.tab)
