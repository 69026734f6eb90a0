"""The forms of the pages about people, decoded to corrections."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field

from rollcall import corrections
from rollcall.corrections.kind_base import RowId
from rollcall.corrections.kinds import Correction
from rollcall.corrections.person_kinds import Relation
from rollcall.errors import InvalidCorrectionError
from rollcall.host import Plugin
from rollcall.search.person_details import FaceIdentity, PersonSummary
from rollcall.search.roster import name_words
from rollcall.web.forms import NOT_UNDERSTOOD

#: Faces of a group that are written into the log when it is named: by these it is found again.
MEMBERS: Final = 2000
Name = Annotated[str, Field(max_length=200)]
#: The forms name a relation from the person's side.
_RELATIONS: Final[dict[str, Relation]] = {"child_of": "child_of", "parent_of": "child_of", "partner_of": "partner_of"}


class PeopleForm(BaseModel):
    """What the forms of the list of people send; `what` names the button."""

    what: Literal["name", "merge", "hide", "show", "hide_once", "undo", "redo"]
    people: Annotated[list[RowId], Field(max_length=500)] = []
    name: Name = ""


class PersonForm(BaseModel):
    """What the forms of a person's page send; `what` names the button."""

    what: Literal[
        "names", "birth", "me", "not_me", "hide", "show", "merge", "child_of", "parent_of", "partner_of", "unrelated",
        "split", "not_them", "confirm", "undo", "redo",
    ]  # fmt: skip
    name: Annotated[str, Field(max_length=1000)] = ""
    birth: Annotated[str, Field(max_length=20)] = ""
    other: RowId | None = None
    faces: Annotated[list[RowId], Field(max_length=5000)] = []


class FaceForm(BaseModel):
    """What the form "Who is it?" of a photo's page sends."""

    what: Literal["name", "yes", "no"]
    face: RowId
    name: Name = ""


class ProposalForm(BaseModel):
    """An answer to a row of proposals: of the faces that are ticked."""

    what: Literal["yes", "no", "skip", "undo"]
    person: RowId | None = None
    faces: Annotated[list[RowId], Field(max_length=500)] = []


def named(plugin: Plugin, name: str) -> PersonSummary | None:
    """Return the person with a name, as it is compared in searches; None if nobody has it."""
    words = name_words(name)
    numbers = [number for number, known in plugin.person_names() if words and name_words(known) == words]
    return plugin.person_summary(numbers[0]) if numbers else None


def naming(plugin: Plugin, person: PersonSummary, name: str) -> list[Correction]:
    """Return the corrections that give a person a name; if somebody has it already, both are one.

    Raises
    ------
    InvalidCorrectionError
        If the name is empty.
    """
    if not name.strip():
        raise InvalidCorrectionError("a name is needed; type one")
    other = named(plugin, name)
    if other is not None and other.person_id != person.person_id:
        return merging(plugin, other, person)
    names = [name, *(known for known in person.names if name_words(known) != name_words(name))]
    return [*members(plugin, person), corrections.person_name(person.uid, names)]


def merging(plugin: Plugin, *people: PersonSummary) -> list[Correction]:
    """Return the corrections that make people one: the first with a name, if any has one.

    Raises
    ------
    InvalidCorrectionError
        If there are not two.
    """
    if len({one.person_id for one in people}) < 2:
        raise InvalidCorrectionError("one person is nobody else; tick two or more")
    into = next((one for one in people if one.name is not None), people[0])
    merges = [corrections.person_merge(into.uid, one.uid) for one in people if one is not into]
    return [*(line for one in people for line in members(plugin, one)), *merges]


def members(plugin: Plugin, person: PersonSummary) -> Iterator[Correction]:
    """Yield lines for the faces that stand in a group of which nobody has spoken yet."""
    if person.name is None:
        for face in plugin.person_faces(person.person_id, order="likeliest", state="automatic", limit=MEMBERS):
            yield corrections.member(face.face_id, person.uid)


def splitting(plugin: Plugin, person: PersonSummary, faces: Sequence[int], name: str) -> list[Correction]:
    """Return the corrections that make some faces of a person somebody else's, who may have a name.

    Raises
    ------
    InvalidCorrectionError
        If no face is chosen.
    """
    if not faces:
        raise InvalidCorrectionError("no face is chosen; tick those of somebody else")
    other = named(plugin, name)
    uid = corrections.new_uid() if other is None or other.person_id == person.person_id else other.uid
    found: list[Correction] = []
    for face in faces:
        found += [corrections.not_person(face, person.uid), corrections.person(face, uid)]
    if name.strip() and (other is None or other.person_id == person.person_id):
        found.append(corrections.person_name(uid, [name]))
    return found


def naming_face(plugin: Plugin, form: FaceForm, known: FaceIdentity | None) -> list[Correction]:
    """Return the corrections of the form "Who is it?"; `known` is who the face is at present.

    Raises
    ------
    InvalidCorrectionError
        If a name is empty, or nobody is proposed.
    """
    if form.what == "name":
        if not form.name.strip():
            raise InvalidCorrectionError("a name is needed; type one")
        other = named(plugin, form.name)
        uid = corrections.new_uid() if other is None else other.uid
        moved = [corrections.not_person(form.face, known.uid)] if known is not None and known.uid != uid else []
        new = [] if other is not None else [corrections.person_name(uid, [form.name])]
        return [*moved, corrections.person(form.face, uid), *new]
    if known is None:
        raise InvalidCorrectionError(NOT_UNDERSTOOD)
    if form.what == "yes":
        return [corrections.person(form.face, known.uid)]
    return [corrections.not_person(form.face, known.uid)]


def person_corrections(plugin: Plugin, person: PersonSummary, form: PersonForm) -> list[Correction]:
    """Return the corrections of a form of a person's page, undo and redo excepted.

    Raises
    ------
    InvalidCorrectionError
        If something is missing or no name or date.
    """
    match form.what:
        case "names":
            return _names(plugin, person, form.name)
        case "birth":
            return [corrections.person_birth(person.uid, form.birth.strip() or None)]
        case "me" | "not_me":
            return [corrections.person_me(person.uid, form.what == "me")]
        case "hide" | "show":
            return [corrections.person_hidden(person.uid, form.what == "hide")]
        case "split":
            return splitting(plugin, person, form.faces, form.name)
        case "not_them":
            return [corrections.not_person(face, person.uid) for face in form.faces]
        case "confirm":
            return [corrections.person(face, person.uid) for face in form.faces]
    return _between_two(plugin, person, form)


def _names(plugin: Plugin, person: PersonSummary, text: str) -> list[Correction]:
    """Return the corrections of names that commas separate; without any the person has none any more."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    return [*members(plugin, person), corrections.person_name(person.uid, names)]


def _between_two(plugin: Plugin, person: PersonSummary, form: PersonForm) -> list[Correction]:
    other = named(plugin, form.name) if form.other is None else plugin.person_summary(form.other)
    if other is None:
        raise InvalidCorrectionError(f"nobody is named {form.name.strip()!r}; name them first")
    if form.what == "merge":
        return merging(plugin, other, person)
    if form.what == "unrelated":
        pairs = [
            corrections.person_relation(a, relation, b, said=False)
            for one in plugin.person_portrait(person.person_id).relatives
            if one.person_id == other.person_id
            for a, relation, b in [_relation(person.uid, one.relation, other.uid)]
        ]
        return list(pairs)
    return [corrections.person_relation(*_relation(person.uid, form.what, other.uid))]


def _relation(uid: str, what: str, other: str) -> tuple[str, Relation, str]:
    """Return a relation as it is stored: a child is of its parent."""
    return (other, "child_of", uid) if what == "parent_of" else (uid, _RELATIONS[what], other)
