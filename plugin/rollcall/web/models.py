"""What the HTTP API gives and takes, as it stands in its OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from rollcall import search
from rollcall.corrections.log import CorrectionResult, LogEntry
from rollcall.corrections.review_queue import Question
from rollcall.media import paths
from rollcall.records import Box
from rollcall.search.details import FaceDetails, PhotoDetails

Fraction = Annotated[float, Field(ge=0, le=1)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class BoxModel(_Model):
    """A rectangle as fractions of the upright picture, origin top left."""

    x: Fraction
    y: Fraction
    width: Annotated[float, Field(gt=0, le=1)]
    height: Annotated[float, Field(gt=0, le=1)]

    @classmethod
    def of(cls, box: Box) -> BoxModel:
        """Return a box as it is stored, which may reach a little beyond the picture."""
        return cls.model_construct(x=box.x, y=box.y, width=box.width, height=box.height)


class FaceModel(_Model):
    """A face as it is shown: what a person said laid over what the model said."""

    face_id: int
    photo_id: int
    box: BoxModel
    score: float
    sharpness: float
    age: float | None
    age_interval: tuple[float, float] | None
    age_source: str | None
    gender: str | None
    p_female: float | None
    gender_source: str | None
    groups: dict[str, float | None]
    age_distribution: list[float] | None = None

    @classmethod
    def of(cls, face: FaceDetails, *, distribution: bool = False) -> FaceModel:
        """Return what is told of a face."""
        return cls(
            face_id=face.face_id,
            photo_id=face.photo_id,
            box=BoxModel.of(face.box),
            score=face.score,
            sharpness=face.sharpness,
            age=face.age,
            age_interval=face.age_interval,
            age_source=face.age_source,
            gender=face.gender,
            p_female=face.p_female,
            gender_source=face.gender_source,
            groups=face.groups,
            age_distribution=list(face.age_distribution) if distribution and face.age_distribution else None,
        )


class TagModel(_Model):
    """A tag of a photo."""

    name: str
    source: str
    probability: float | None
    state: str


class PhotoModel(_Model):
    """A photo with its faces and tags."""

    photo_id: int
    path: str
    state: str
    error: str | None
    width: int | None
    height: int | None
    taken_local: str | None
    reviewed: bool
    faces: list[FaceModel]
    tags: list[TagModel]

    @classmethod
    def of(cls, photo: PhotoDetails) -> PhotoModel:
        """Return what is told of a photo."""
        return cls(
            photo_id=photo.photo_id,
            path=paths.to_text(str(photo.path)),
            state=photo.state,
            error=photo.error,
            width=photo.width,
            height=photo.height,
            taken_local=photo.taken_local,
            reviewed=photo.reviewed,
            faces=[FaceModel.of(face, distribution=True) for face in photo.faces],
            tags=[TagModel(**{k: getattr(tag, k) for k in TagModel.model_fields}) for tag in photo.tags],
        )


class HitFaceModel(_Model):
    """A face of a photo that was found."""

    face_id: int
    box: BoxModel
    age: float | None
    age_interval: tuple[float, float] | None
    p_female: float | None
    probability: float


class HitModel(_Model):
    """A photo that was found, and how likely it is meant."""

    photo_id: int
    path: str
    probability: float
    faces: list[HitFaceModel]

    @classmethod
    def of(cls, hit: search.Hit) -> HitModel:
        """Return what is told of a photo that was found."""
        return cls(
            photo_id=hit.photo_id,
            path=paths.to_text(str(hit.path)),
            probability=hit.probability,
            faces=[
                HitFaceModel(
                    face_id=face.face_id,
                    box=BoxModel.of(face.box),
                    age=face.age,
                    age_interval=face.age_interval,
                    p_female=face.p_female,
                    probability=face.probability,
                )
                for face in hit.faces
            ],
        )


class SearchAnswer(_Model):
    """One page of what was found."""

    total: int
    hits: list[HitModel]
    notices: list[str]


class CorrectionIn(_Model):
    """One thing that a person says.

    `age` takes `low` and `high` in completed years, or `group`; `gender` takes `label` (null: do not estimate);
    `box` takes `box`, of a face to move it, of a photo to draw a missed one; `tag` takes `name` and `accepted`.
    `take_back` withdraws what was said of the kind named in `of`.
    """

    kind: Literal["age", "gender", "not_a_face", "ignore", "box", "tag", "take_back"]
    face_id: int | None = None
    photo_id: int | None = None
    low: Annotated[float, Field(ge=0, le=130)] | None = None
    high: Annotated[float, Field(ge=0, le=130)] | None = None
    group: str | None = None
    label: Annotated[str, Field(max_length=100)] | None = None
    box: BoxModel | None = None
    name: Annotated[str, Field(max_length=500)] = ""
    accepted: bool = True
    of: Literal["age", "gender", "not_a_face", "ignore", "box", "tag"] | None = None


class SaidIn(_Model):
    """Corrections that hold, and are undone, together."""

    said: Annotated[list[CorrectionIn], Field(min_length=1, max_length=5000)]
    by: Annotated[str, Field(max_length=100)] = "user"


class DoneModel(_Model):
    """What a change of the log of corrections did."""

    batch: str
    count: int
    photo_ids: list[int]
    face_ids: list[int | None]

    @classmethod
    def of(cls, done: CorrectionResult) -> DoneModel:
        """Return what is told of it."""
        return cls(batch=done.batch, count=done.count, photo_ids=sorted(done.photo_ids), face_ids=done.face_ids)


class EntryModel(_Model):
    """One line of the log of corrections."""

    id: int
    made_at: str
    made_by: str
    kind: str
    photo_id: int | None
    face_id: int | None
    value: dict[str, object]
    value_before: dict[str, object] | None
    undone: bool
    path: str | None

    @classmethod
    def of(cls, entry: LogEntry) -> EntryModel:
        """Return what is told of a line."""
        before = None if entry.value_before is None else dict(entry.value_before)
        shown = {name: getattr(entry, name) for name in cls.model_fields if name not in ("value", "value_before")}
        return cls(value=dict(entry.value), value_before=before, **shown)


class QuestionModel(_Model):
    """A face that a person is asked about, whether it is one of `group`."""

    photo_id: int
    face: FaceModel
    group: str
    tag: str
    probability: float
    gain: float

    @classmethod
    def of(cls, question: Question) -> QuestionModel:
        """Return what is told of a question."""
        return cls(
            photo_id=question.photo.photo_id,
            face=FaceModel.of(question.face),
            group=question.group,
            tag=question.tag,
            probability=question.probability,
            gain=question.gain,
        )


class TagCountModel(_Model):
    """A tag and the number of photos by its state."""

    name: str
    applied: int
    suggested: int
    rejected: int


class StatusModel(_Model):
    """What Rollcall does, and what the database holds."""

    state: str
    photos: dict[str, int]
    faces: int
    error: str | None
    folders: list[str]


class FolderIn(_Model):
    """A folder of photos, an absolute path on this machine."""

    path: Annotated[str, Field(min_length=1, max_length=4096)]


class SimilarModel(_Model):
    """A face that looks like another, and how likely it shows the same person."""

    face_id: int
    probability: float
