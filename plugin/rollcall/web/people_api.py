"""The HTTP API of people: who they are, and what a person says about them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from rollcall.corrections.kind_base import RowId
from rollcall.corrections.person_kinds import Relation
from rollcall.people.persons import FaceState, Person, PersonFace
from rollcall.people.questions import Question
from rollcall.web.inputs import plugin_of
from rollcall.web.problems import CONFLICT, NOT_FOUND, UNREADABLE_BODY

router = APIRouter(prefix="/api/people")

Name = Annotated[str, Field(max_length=200)]
FaceIds = Annotated[list[RowId], Field(min_length=1, max_length=5000)]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid")

    by: Annotated[str, Field(max_length=100)] = "user"


class NamesIn(_Input):
    """The names of a person, the one that is shown first; none takes the names away."""

    names: Annotated[list[Name], Field(max_length=20)]


class FaceNameIn(_Input):
    """The name of a face."""

    name: Name


class FacesIn(_Input):
    """Faces that are, or are not, a person."""

    face_ids: FaceIds


class SplitIn(FacesIn):
    """Faces that are somebody else, and who, if that is known."""

    name: Name | None = None


class MergeIn(_Input):
    """People who are the same as another."""

    others: Annotated[list[RowId], Field(min_length=1, max_length=500)]


class HideIn(_Input):
    """People to leave out of lists, or to show again."""

    people: Annotated[list[RowId], Field(min_length=1, max_length=5000)]
    hidden: bool = True


class BirthIn(_Input):
    """A birth date, YYYY, YYYY-MM or YYYY-MM-DD; null: not known."""

    date: Annotated[str, Field(max_length=10)] | None


class MeIn(_Input):
    """Whether a person is who uses the library."""

    me: bool = True


class RelationIn(_Input):
    """A relation to another person; `holds` of false withdraws it."""

    relation: Relation
    other: RowId
    holds: bool = True


class RelationModel(BaseModel):
    """A relation of a person."""

    relation: str  # child_of, parent_of, partner_of
    person_id: int


class PersonModel(BaseModel):
    """A person, as `v1_people` shows them."""

    person_id: int
    uid: str
    name: str | None
    names: list[str]
    hidden: bool
    is_me: bool
    birth_date: str | None
    birth_date_source: str | None
    faces: int
    photos: int
    proposed: int
    first_seen: str | None
    last_seen: str | None
    cover_face_id: int | None
    birth_estimate: float | None
    birth_deviation: float | None
    relations: list[RelationModel]

    @classmethod
    def of(cls, person: Person) -> PersonModel:
        """Return the model of a person."""
        fields = {name: getattr(person, name) for name in cls.model_fields if name not in ("names", "relations")}
        relations = [RelationModel(relation=one, person_id=other) for one, other in person.relations]
        return cls(**fields, names=list(person.names), relations=relations)


class PersonFaceModel(BaseModel):
    """A face of a person."""

    face_id: int
    photo_id: int
    state: str
    probability: float
    source: str
    taken_local: str | None

    @classmethod
    def of(cls, face: PersonFace) -> PersonFaceModel:
        """Return the model of a face."""
        return cls(**{name: getattr(face, name) for name in cls.model_fields})


class CandidateModel(BaseModel):
    """Somebody else whom the faces of a question may be."""

    person: int
    probability: float


class QuestionModel(BaseModel):
    """Whether some faces are a person, or else a candidate: confirm or reject the first, or merge their group."""

    person: int
    faces: list[int]  # the most typical first
    probability: float
    kind: Literal["join", "check"]  # of nobody so far, or of this person so far
    candidates: list[CandidateModel]  # the likeliest first
    worth: float  # how many faces the answer is expected to take from somebody, and to give to somebody

    @classmethod
    def of(cls, question: Question) -> QuestionModel:
        """Return the model of a question."""
        return cls(**asdict(question), worth=question.worth)


@router.get("")
def people(
    request: Request,
    named: bool | None = None,
    hidden: bool = False,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[RowId, Query()] = 0,
) -> list[PersonModel]:
    """Return people, those with a name first, then by the number of their faces."""
    found = plugin_of(request).people(named=named, hidden=hidden, limit=limit, offset=offset)
    return [PersonModel.of(one) for one in found]


@router.get("/questions")
def people_questions(request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 20) -> list[QuestionModel]:
    """Return what to ask about people with names, first what settles the most faces."""
    return [QuestionModel.of(one) for one in plugin_of(request).people_questions(limit)]


@router.get("/{person_id}", responses=NOT_FOUND)
def person(request: Request, person_id: RowId) -> PersonModel:
    """Return one person."""
    return PersonModel.of(plugin_of(request).person(person_id))


@router.get("/{person_id}/faces", responses=NOT_FOUND)
def person_faces(
    request: Request,
    person_id: RowId,
    state: FaceState | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[RowId, Query()] = 0,
) -> list[PersonFaceModel]:
    """Return the faces of a person, the confirmed ones first, then the likeliest."""
    found = plugin_of(request).person_faces(person_id, state=state, limit=limit, offset=offset)
    return [PersonFaceModel.of(one) for one in found]


@router.put("/{person_id}/names", responses={**NOT_FOUND, **UNREADABLE_BODY})
def name_person(request: Request, person_id: RowId, given: NamesIn) -> PersonModel:
    """Name a person."""
    return PersonModel.of(plugin_of(request).name_person(person_id, *given.names, by=given.by))


@router.post("/faces/{face_id}/name", responses={**NOT_FOUND, **CONFLICT, **UNREADABLE_BODY})
def name_face(request: Request, face_id: RowId, given: FaceNameIn) -> PersonModel:
    """State who a face is, by name; 409 if several people have it."""
    return PersonModel.of(plugin_of(request).name_face(face_id, given.name, by=given.by))


@router.post("/{person_id}/confirm", responses={**NOT_FOUND, **UNREADABLE_BODY})
def confirm_faces(request: Request, person_id: RowId, given: FacesIn) -> PersonModel:
    """State that faces are a person."""
    return PersonModel.of(plugin_of(request).confirm_faces(person_id, given.face_ids, by=given.by))


@router.post("/{person_id}/reject", responses={**NOT_FOUND, **UNREADABLE_BODY})
def reject_faces(request: Request, person_id: RowId, given: FacesIn) -> PersonModel:
    """State that faces are not a person, for good."""
    return PersonModel.of(plugin_of(request).reject_faces(person_id, given.face_ids, by=given.by))


@router.post("/{person_id}/merge", responses={**NOT_FOUND, **UNREADABLE_BODY})
def merge_people(request: Request, person_id: RowId, given: MergeIn) -> PersonModel:
    """State that others are the same as a person."""
    return PersonModel.of(plugin_of(request).merge_people(person_id, *given.others, by=given.by))


@router.post("/split", responses={**NOT_FOUND, **CONFLICT, **UNREADABLE_BODY})
def split_faces(request: Request, given: SplitIn) -> PersonModel:
    """State that faces are somebody else, and return who."""
    return PersonModel.of(plugin_of(request).split_faces(given.face_ids, given.name, by=given.by))


@router.post("/hide", responses={**NOT_FOUND, **UNREADABLE_BODY})
def hide_people(request: Request, given: HideIn) -> None:
    """Leave people out of lists, or show them again."""
    plugin_of(request).hide_people(*given.people, hidden=given.hidden, by=given.by)


@router.put("/{person_id}/birth", responses={**NOT_FOUND, **UNREADABLE_BODY})
def set_birth_date(request: Request, person_id: RowId, given: BirthIn) -> PersonModel:
    """State when a person was born."""
    return PersonModel.of(plugin_of(request).set_birth_date(person_id, given.date, by=given.by))


@router.put("/{person_id}/me", responses={**NOT_FOUND, **UNREADABLE_BODY})
def set_me(request: Request, person_id: RowId, given: MeIn) -> PersonModel:
    """State that a person is who uses the library."""
    return PersonModel.of(plugin_of(request).set_me(person_id, given.me, by=given.by))


@router.post("/{person_id}/relations", responses={**NOT_FOUND, **UNREADABLE_BODY})
def relate(request: Request, person_id: RowId, given: RelationIn) -> PersonModel:
    """State that a person is the child or the partner of another."""
    found = plugin_of(request).relate(person_id, given.relation, given.other, holds=given.holds, by=given.by)
    return PersonModel.of(found)
