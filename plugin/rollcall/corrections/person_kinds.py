"""The kinds of corrections that speak of people.

A person is named in the log by a uid, which stays the same in every database; faces are found again as those of all
corrections are. Of a face:

===============  ========================================================================
person           ``{"person": uid}``: the face is this person, who is created if unknown
member           the same, as a hint: it stood in the group that a person named or merged
not_person       ``{"person": uid, "holds": true}``, for good; false withdraws it
===============  ========================================================================

Of a person, with neither photo nor face:

===============  ========================================================================
person_name      ``{"person": uid, "names": ["Anna", "Annie"]}``; none: not named any more
person_hidden    ``{"person": uid, "hidden": true}``
person_birth     ``{"person": uid, "date": "2015-03"}``; null: not known
person_me        ``{"person": uid, "me": true}``
person_relation  ``{"person": uid, "relation": "child_of", "other": uid, "holds": true}``
person_merge     ``{"person": uid, "other": uid}``: both are one, who keeps the first uid
===============  ========================================================================
"""

from __future__ import annotations

import calendar
import re
import unicodedata
import uuid
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import Field, model_validator

from rollcall.corrections.kind_base import CorrectionBase, RowId, from_value, make
from rollcall.search.folding import fold
from rollcall.sentences import Quoted, Sentence

FacePersonKind = Literal["person", "member", "not_person"]
PersonKind = Literal["person_name", "person_hidden", "person_birth", "person_me", "person_relation", "person_merge"]
FACE_PERSON_KINDS: Final[tuple[FacePersonKind, ...]] = get_args(FacePersonKind)
#: Kinds whose lines belong to no photo.
PERSON_KINDS: Final[tuple[PersonKind, ...]] = get_args(PersonKind)
Relation = Literal["child_of", "partner_of"]
RELATIONS: Final[tuple[Relation, ...]] = get_args(Relation)

PersonUid = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z_-]+$")]
_DATE: Final = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")
#: Birth years that are taken for an error of typing.
_FIRST_YEAR: Final = 1800
_LONGEST_NAME: Final = 200


def new_uid() -> str:
    """Return the uid of a person, or of an album, that is not known yet."""
    return uuid.uuid4().hex


class FacePerson(CorrectionBase):
    """A face is this person."""

    kind: Literal["person"] = "person"
    face_id: RowId
    photo_id: None = None
    person: PersonUid

    def value(self) -> dict[str, Any]:
        """Return the value that is stored."""
        return {"person": self.person}


class GroupMember(CorrectionBase):
    """A face stood in the group that a person named, so the group is found again in a database that is rebuilt."""

    kind: Literal["member"] = "member"
    face_id: RowId
    photo_id: None = None
    person: PersonUid

    def value(self) -> dict[str, Any]:
        """Return the value that is stored."""
        return {"person": self.person}


class NotPerson(CorrectionBase):
    """A face is not this person, and is never proposed as them again; `holds` of false withdraws that."""

    kind: Literal["not_person"] = "not_person"
    face_id: RowId
    photo_id: None = None
    person: PersonUid
    holds: bool = True

    def value(self) -> dict[str, Any]:
        """Return the value that is stored."""
        return {"person": self.person, "holds": self.holds}


class _OfPerson(CorrectionBase):
    face_id: None = None
    photo_id: None = None
    person: PersonUid


class PersonName(_OfPerson):
    """The names of a person, the one that is shown first; none: they have no name any more."""

    kind: Literal["person_name"] = "person_name"
    names: Annotated[tuple[str, ...], Field(max_length=20)]

    @model_validator(mode="after")
    def _normalize(self) -> Self:
        names: dict[str, str] = {}
        for name in self.names:
            clean = clean_name(name)
            names.setdefault(fold(clean), clean)
        object.__setattr__(self, "names", tuple(names.values()))
        return self

    def value(self) -> dict[str, Any]:
        """Return the value that is stored."""
        return {"person": self.person, "names": list(self.names)}


class PersonHidden(_OfPerson):
    """Whether a person is left out of lists."""

    kind: Literal["person_hidden"] = "person_hidden"
    hidden: bool = True

    def value(self) -> dict[str, Any]:
        """Return the value that is stored."""
        return {"person": self.person, "hidden": self.hidden}


class PersonBirth(_OfPerson):
    """The birth date of a person: YYYY, YYYY-MM or YYYY-MM-DD; null: it is not known."""

    kind: Literal["person_birth"] = "person_birth"
    date: str | None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.date is not None:
            object.__setattr__(self, "date", checked_date(self.date))
        return self

    def value(self) -> dict[str, Any]:
        """Return the value that is stored."""
        return {"person": self.person, "date": self.date}


class PersonMe(_OfPerson):
    """Whether a person is the one who uses the library; there is one at most, the newest."""

    kind: Literal["person_me"] = "person_me"
    me: bool = True

    def value(self) -> dict[str, Any]:
        """Return the value that is stored."""
        return {"person": self.person, "me": self.me}


class PersonRelation(_OfPerson):
    """A person is the child or the partner of another; `holds` of false withdraws that."""

    kind: Literal["person_relation"] = "person_relation"
    relation: Relation
    other: PersonUid
    holds: bool = True

    @model_validator(mode="after")
    def _two_people(self) -> Self:
        if self.person == self.other:
            raise ValueError(Sentence("nobody is related to themselves; give two people"))
        return self

    def value(self) -> dict[str, Any]:
        """Return the value that is stored."""
        return {"person": self.person, "relation": self.relation, "other": self.other, "holds": self.holds}


class PersonMerge(_OfPerson):
    """`person` and `other` are one person, who keeps the uid of `person` and the names of both."""

    kind: Literal["person_merge"] = "person_merge"
    other: PersonUid

    @model_validator(mode="after")
    def _two_people(self) -> Self:
        if self.person == self.other:
            raise ValueError(Sentence("somebody cannot be merged with themselves; give two people"))
        return self

    def value(self) -> dict[str, Any]:
        """Return the value that is stored."""
        return {"person": self.person, "other": self.other}


_MODELS: Final[Mapping[str, type[CorrectionBase]]] = {
    "person": FacePerson,
    "member": GroupMember,
    "not_person": NotPerson,
    "person_name": PersonName,
    "person_hidden": PersonHidden,
    "person_birth": PersonBirth,
    "person_me": PersonMe,
    "person_relation": PersonRelation,
    "person_merge": PersonMerge,
}


def person_from_stored(kind: str, value: Mapping[str, Any], face_id: int | None) -> Any:
    """Return the correction of a line of the log about a person.

    Raises
    ------
    InvalidCorrectionError
        If the line is not a correction.
    """
    target = {"face_id": face_id} if kind in FACE_PERSON_KINDS else {}
    return from_value(_MODELS, kind, value, **target)


def clean_name(name: str) -> str:
    """Return a name without control characters, composed, and with single spaces.

    Raises
    ------
    ValueError
        If nothing is left, or the name is too long.
    """
    text = unicodedata.normalize("NFC", "".join(" " if unicodedata.category(c) == "Cc" else c for c in name))
    text = " ".join(text.split())
    if not text:
        raise ValueError(Sentence("a name cannot be empty; type one"))
    if len(text) > _LONGEST_NAME:
        raise ValueError(
            Sentence(
                "the name %(name)s... has more than %(most)s letters; shorten it",
                name=Quoted(text[:20]),
                most=_LONGEST_NAME,
            )
        )
    return text


def checked_date(text: str) -> str:
    """Return a birth date.

    Raises
    ------
    ValueError
        If it is none, or nobody who is photographed was born then.
    """
    match = _DATE.fullmatch(text.strip())
    wrong = Sentence(
        "%(text)s is no birth date; give a year, a month such as 2015-03, or a day such as 2015-03-21",
        text=Quoted(text),
    )
    if match is None:
        raise ValueError(wrong)
    year, month, day = (None if part is None else int(part) for part in match.groups())
    if year is None or not _FIRST_YEAR <= year <= date.today().year:
        raise ValueError(
            Sentence(
                "%(text)s is no birth date of somebody in a photo; give a year from %(first)s to today",
                text=Quoted(text),
                first=_FIRST_YEAR,
            )
        )
    if month is not None and not 1 <= month <= 12:
        raise ValueError(wrong)
    if month is not None and day is not None and not 1 <= day <= calendar.monthrange(year, month)[1]:
        raise ValueError(wrong)
    return text.strip()


# ---- The functions that make corrections


def person(face_id: int, uid: str) -> FacePerson:
    """State who a face is: the person of `uid`, who is created if there is none.

    Raises
    ------
    InvalidCorrectionError
        If the uid cannot be one.
    """
    return make(FacePerson, face_id=face_id, person=uid)


def member(face_id: int, uid: str) -> GroupMember:
    """State that a face stood in the group of the person of `uid` that was named.

    Raises
    ------
    InvalidCorrectionError
        If the uid cannot be one.
    """
    return make(GroupMember, face_id=face_id, person=uid)


def not_person(face_id: int, uid: str, holds: bool = True) -> NotPerson:
    """State that a face is not the person of `uid`, for good; with `holds` of False withdraw that.

    Raises
    ------
    InvalidCorrectionError
        If the uid cannot be one.
    """
    return make(NotPerson, face_id=face_id, person=uid, holds=holds)


def person_name(uid: str, names: Sequence[str]) -> PersonName:
    """Name the person of `uid`; the first of `names` is shown, and none takes the names away.

    Raises
    ------
    InvalidCorrectionError
        If a name is empty or too long.
    """
    return make(PersonName, person=uid, names=tuple(names))


def person_hidden(uid: str, hidden: bool = True) -> PersonHidden:
    """Leave the person of `uid` out of lists, or with `hidden` of False show them again.

    Raises
    ------
    InvalidCorrectionError
        If the uid cannot be one.
    """
    return make(PersonHidden, person=uid, hidden=hidden)


def person_birth(uid: str, birth_date: str | None) -> PersonBirth:
    """State when the person of `uid` was born: `birth_date` is YYYY, YYYY-MM or YYYY-MM-DD; None: not known.

    Raises
    ------
    InvalidCorrectionError
        If it is no date.
    """
    return make(PersonBirth, person=uid, date=birth_date)


def person_me(uid: str, me: bool = True) -> PersonMe:
    """State that the person of `uid` is the one who uses the library; with `me` of False, that they are not.

    Raises
    ------
    InvalidCorrectionError
        If the uid cannot be one.
    """
    return make(PersonMe, person=uid, me=me)


def person_relation(uid: str, relation: Relation, other: str, holds: bool = True) -> PersonRelation:
    """State that the person of `uid` is the child (`child_of`) or partner (`partner_of`) of `other`, another uid.

    `relation` is one of the two; with `holds` of False it is withdrawn.

    Raises
    ------
    InvalidCorrectionError
        If there is no such relation, or the two are one.
    """
    return make(PersonRelation, person=uid, relation=relation, other=other, holds=holds)


def person_merge(uid: str, other: str) -> PersonMerge:
    """State that the people of `uid` and `other` are one, who keeps the first uid.

    Raises
    ------
    InvalidCorrectionError
        If the two are one already.
    """
    return make(PersonMerge, person=uid, other=other)
