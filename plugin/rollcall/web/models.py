"""What the HTTP API answers, as it stands in its OpenAPI document."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from rollcall import search
from rollcall.corrections.kind_base import BoxFields
from rollcall.corrections.log import CorrectionResult, LogEntry
from rollcall.corrections.review_queue import Question
from rollcall.media import paths
from rollcall.search.details import FaceDetails, PhotoDetails


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FaceModel(_Model):
    """A face as it is shown: corrections laid over predictions."""

    face_id: int
    photo_id: int
    box: BoxFields
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
    video_time: float | None = None  # where in a video the box is, in seconds

    @classmethod
    def of(cls, face: FaceDetails, *, distribution: bool = False) -> FaceModel:
        """Return the model of a face."""
        return cls(
            face_id=face.face_id,
            photo_id=face.photo_id,
            box=BoxFields.of(face.box),
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
            video_time=face.video_time,
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
    duration: float | None = None  # of a video, in seconds
    poster_time: float | None = None

    @classmethod
    def of(cls, photo: PhotoDetails) -> PhotoModel:
        """Return the model of a photo."""
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
            duration=photo.duration,
            poster_time=photo.poster_time,
        )


class HitFaceModel(_Model):
    """A face of a photo that was found."""

    face_id: int
    box: BoxFields
    age: float | None
    age_interval: tuple[float, float] | None
    p_female: float | None
    probability: float


class HitModel(_Model):
    """A photo that was found, and the probability that it matches."""

    photo_id: int
    path: str
    probability: float
    faces: list[HitFaceModel]

    @classmethod
    def of(cls, hit: search.Hit) -> HitModel:
        """Return the model of a photo that was found."""
        return cls(
            photo_id=hit.photo_id,
            path=paths.to_text(str(hit.path)),
            probability=hit.probability,
            faces=[
                HitFaceModel(
                    face_id=face.face_id,
                    box=BoxFields.of(face.box),
                    age=face.age,
                    age_interval=face.age_interval,
                    p_female=face.p_female,
                    probability=face.probability,
                )
                for face in hit.faces
            ],
        )


class SearchModel(_Model):
    """One page of what was found."""

    total: int
    hits: list[HitModel]
    notices: list[str]


class CorrectionResultModel(_Model):
    """What a change of the log of corrections did."""

    batch: str
    count: int
    photo_ids: list[int]
    face_ids: list[int | None]

    @classmethod
    def of(cls, result: CorrectionResult) -> CorrectionResultModel:
        """Return the model of a result."""
        photo_ids = sorted(result.photo_ids)
        return cls(batch=result.batch, count=result.count, photo_ids=photo_ids, face_ids=result.face_ids)


class LogEntryModel(_Model):
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
    of_line: int | None = None

    @classmethod
    def of(cls, entry: LogEntry) -> LogEntryModel:
        """Return the model of a line."""
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
        """Return the model of a question."""
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


class SimilarModel(_Model):
    """A face similar to another, and the probability that both are of the same person."""

    face_id: int
    probability: float


class ImportResultModel(_Model):
    """What an import of a log did."""

    added: int
    known: int
    waiting: int


class ErasureReportModel(_Model):
    """How much was erased, or with `dry_run` would be."""

    photos: int
    faces: int
    estimates: int
    ages: int
    genders: int
    embeddings: int
    corrections: int
    tags: int
    files: list[str]
    bytes: int
    dry_run: bool
    notes: list[str]


class HeadReportModel(_Model):
    """How well ages, or genders, fit corrected faces that were held out, before and after."""

    faces: int
    loss_before: float
    loss_after: float
    error_before: float
    error_after: float
    helps: bool


class AdaptationReportModel(_Model):
    """What was learnt from corrections; `id` is null where nothing was stored."""

    id: int | None
    age: HeadReportModel
    gender: HeadReportModel
    changed: int
