"""The kinds of corrections, as one discriminated union that Python, HTTP, command line and log share.

Of several corrections of one kind the newest is effective. A correction is stored with a kind and a value; an empty
value withdraws the corrections before it:

=============  ==========================================================================
age            ``{"low": 5, "high": 9}``, completed years, both ends included
gender         ``{"label": "female"}``, any label; ``{"label": None}``: not to be estimated
not_a_face     ``{"said": True}``
ignore         ``{"said": True}``: a face, but one to be left out (a stranger, a poster)
box            ``{"box": [x, y, width, height]}``, moved; with ``"drawn": True`` a new face
tag            ``{"tag": "People/Children", "state": "applied" or "rejected"}``
=============  ==========================================================================

The kinds about people are in `corrections.person_kinds`, those about albums in `corrections.album_kinds`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from rollcall import ages
from rollcall.corrections.album_kinds import ALBUM_KINDS, ALBUM_PHOTO, AlbumCorrection, AlbumKind, album_from_stored
from rollcall.corrections.kind_base import BoxFields, CorrectionBase, RowId, inside, make, sentence
from rollcall.corrections.person_kinds import (
    FACE_PERSON_KINDS,
    PERSON_KINDS,
    FacePerson,
    FacePersonKind,
    GroupMember,
    NotPerson,
    PersonBirth,
    PersonHidden,
    PersonKind,
    PersonMe,
    PersonMerge,
    PersonName,
    PersonRelation,
    person_from_stored,
)
from rollcall.errors import InvalidCorrectionError
from rollcall.records import Box, TagState
from rollcall.sentences import Sentence
from rollcall.tags.rules import normalized_name

#: Kinds that can be withdrawn by `take_back`; those of `corrections.person_kinds` are undone, or stated anew.
Kind = Literal["age", "gender", "not_a_face", "ignore", "box", "tag", "person"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
StoredKind = Kind | FacePersonKind | PersonKind | AlbumKind | Literal["album_photo"]
#: Kinds of corrections of a face; a tag is one of a photo.
FACE_KINDS: Final[tuple[StoredKind, ...]] = ("age", "gender", "not_a_face", "ignore", "box", *FACE_PERSON_KINDS)
#: The highest age that a correction may give, in years.
OLDEST: Final = 130


class AgeCorrection(CorrectionBase):
    """Someone's age in the picture: `low` to `high` completed years, both included, or a named `group`."""

    kind: Literal["age"] = "age"
    face_id: RowId
    photo_id: None = None
    low: float | None = None
    high: float | None = None
    group: str | None = None

    @model_validator(mode="after")
    def _resolve(self) -> Self:
        low, high = self.low, self.high
        if self.group is not None:
            named = ages.AGE_GROUPS.get(self.group)
            if named is None:
                raise ValueError(f"there is no age group {self.group!r}; choose one of {', '.join(ages.AGE_GROUPS)}")
            # A group without an upper end reaches to an age that no one has passed.
            low, high = named.low, named.high if named.high < ages.OLDEST else OLDEST
        if low is None:
            raise ValueError("a correction of the kind age needs low (and high), or group")
        high = low if high is None else high
        if not (math.isfinite(low) and math.isfinite(high) and 0 <= low <= high <= OLDEST):
            given = {"low": f"{low:g}", "high": f"{high:g}", "most": OLDEST}
            raise ValueError(
                Sentence("an age from %(low)s to %(high)s cannot be; give years from 0 to %(most)s", **given)
            )
        if low != int(low) or high != int(high):
            given = {"whole": math.floor(low), "given": f"{low:g}"}
            raise ValueError(
                Sentence("an age is a number of completed years; give %(whole)s in place of %(given)s", **given)
            )
        for name, value in (("low", int(low)), ("high", int(high)), ("group", None)):
            object.__setattr__(self, name, value)
        return self

    def value(self) -> dict[str, Any]:
        """Return the value that is stored."""
        return {"low": self.low, "high": self.high}


class GenderCorrection(CorrectionBase):
    """Someone's gender: female, male, or any `label`; null: the gender is not to be estimated."""

    kind: Literal["gender"] = "gender"
    face_id: RowId
    photo_id: None = None
    label: Annotated[str, Field(max_length=100)] | None

    @model_validator(mode="after")
    def _strip(self) -> Self:
        if self.label is not None:
            if not self.label.strip():
                raise ValueError(Sentence("a gender needs a label; null keeps it from being estimated"))
            object.__setattr__(self, "label", self.label.strip())
        return self

    def value(self) -> dict[str, Any]:
        """Return the value that is stored."""
        return {"label": self.label}


class NotAFace(CorrectionBase):
    """There is no face at this place."""

    kind: Literal["not_a_face"] = "not_a_face"
    face_id: RowId
    photo_id: None = None

    def value(self) -> dict[str, Any]:
        """Return the value that is stored."""
        return {"said": True}


class IgnoredFace(CorrectionBase):
    """A face that is left out of all views, searches and tags."""

    kind: Literal["ignore"] = "ignore"
    face_id: RowId
    photo_id: None = None

    def value(self) -> dict[str, Any]:
        """Return the value that is stored."""
        return {"said": True}


class BoxCorrection(CorrectionBase):
    """Where a face is: with `face_id` its box is moved, with `photo_id` a face that was missed is drawn."""

    kind: Literal["box"] = "box"
    face_id: RowId | None = None
    photo_id: RowId | None = None
    box: BoxFields
    video_time: Annotated[float, Field(ge=0, le=1e7)] | None = None  # of a new face in a video, in seconds

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if self.face_id is None and self.photo_id is None:
            raise ValueError("a correction of the kind box needs face_id or photo_id")
        box = self.box
        try:
            within = inside(Box(box.x, box.y, box.width, box.height))
        except InvalidCorrectionError as error:
            raise ValueError(error.args[0]) from error
        object.__setattr__(self, "box", BoxFields.of(within))
        return self

    @property
    def drawn(self) -> bool:
        """Whether the box is one of a new face."""
        return self.face_id is None

    def value(self) -> dict[str, Any]:
        """Return the value that is stored."""
        box = self.box
        stored: dict[str, Any] = {"box": [box.x, box.y, box.width, box.height]}
        drawn = {"drawn": True} if self.drawn else {}
        return stored | drawn | ({} if self.video_time is None else {"video_time": self.video_time})


class TagCorrection(CorrectionBase):
    """Whether a photo has a tag."""

    kind: Literal["tag"] = "tag"
    photo_id: RowId
    face_id: None = None
    name: Annotated[str, Field(max_length=500)]
    accepted: bool = True

    @model_validator(mode="after")
    def _normalize(self) -> Self:
        object.__setattr__(self, "name", _tag_name(self.name))
        return self

    def value(self) -> dict[str, Any]:
        """Return the value that is stored."""
        return {"tag": self.name, "state": TagState.APPLIED if self.accepted else TagState.REJECTED}


class Withdrawal(CorrectionBase):
    """Corrections of the kind `of` are withdrawn, so that the prediction is shown again; `name` is that of a tag."""

    kind: Literal["take_back"] = "take_back"
    of: Kind
    face_id: RowId | None = None
    photo_id: RowId | None = None
    name: Annotated[str, Field(max_length=500)] = ""

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        target = "photo" if self.of == "tag" else "face"
        if (self.photo_id if self.of == "tag" else self.face_id) is None:
            raise ValueError(f"give the {target} of which the {self.of} is taken back")
        if self.of == "tag":
            object.__setattr__(self, "name", _tag_name(self.name))
        return self

    def value(self) -> dict[str, Any]:
        """Return the value that is stored."""
        return {"tag": self.name} if self.of == "tag" else {}


Correction = Annotated[
    AgeCorrection
    | GenderCorrection
    | NotAFace
    | IgnoredFace
    | BoxCorrection
    | TagCorrection
    | FacePerson
    | GroupMember
    | NotPerson
    | PersonName
    | PersonHidden
    | PersonBirth
    | PersonMe
    | PersonRelation
    | PersonMerge
    | AlbumCorrection
    | Withdrawal,
    Field(discriminator="kind"),
]
_ADAPTER: Final[TypeAdapter[Any]] = TypeAdapter(Correction)


def stored_kind(correction: Correction) -> StoredKind:
    """Return the kind under which a correction is stored; that of a withdrawal is the kind that it withdraws."""
    return correction.of if isinstance(correction, Withdrawal) else correction.kind


def from_stored(kind: str, value: Mapping[str, Any], face_id: int | None, photo_id: int | None) -> Correction:
    """Return the correction of a line of the log, or of an exported log.

    Raises
    ------
    InvalidCorrectionError
        If the line is not a correction.
    """
    if kind in PERSON_KINDS or (kind in FACE_PERSON_KINDS and value):
        found: Correction = person_from_stored(kind, value, face_id)
        return found
    if kind in (*ALBUM_KINDS, ALBUM_PHOTO):
        of_album: Correction = album_from_stored(kind, value, photo_id)
        return of_album
    if kind not in KINDS:
        raise InvalidCorrectionError(f"there is no correction of kind {kind!r}; choose one of {', '.join(KINDS)}")
    fields: dict[str, Any] = {"kind": kind, "face_id": face_id, "photo_id": photo_id}
    try:
        if not value or (kind == "tag" and "state" not in value):
            fields |= {"kind": "take_back", "of": kind, "name": str(value.get("tag", ""))}
        elif kind == "tag":
            accepted = {TagState.APPLIED: True, TagState.REJECTED: False}[value["state"]]
            fields |= {"name": value["tag"], "accepted": accepted, "face_id": None}
        elif kind == "box":
            box = inside(Box(*(float(part) for part in value["box"])))
            fields |= {"box": box._asdict()}
            drawn = {"face_id": None, "video_time": value.get("video_time")}
            fields |= drawn if value.get("drawn") else {"photo_id": None}
        elif kind == "age":
            fields |= {"low": value["low"], "high": value["high"], "photo_id": None}
        elif kind == "gender":
            fields |= {"label": value["label"], "photo_id": None}
        else:
            fields |= {"photo_id": None}
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidCorrectionError(f"a {kind} correction cannot have the value {dict(value)!r}") from error
    return _checked(fields)


def _checked(fields: Mapping[str, Any]) -> Correction:
    try:
        correction: Correction = _ADAPTER.validate_python(fields)
    except ValidationError as error:
        raise InvalidCorrectionError(sentence(error)) from error
    return correction


# ---- The functions that make corrections


def age(face_id: int, low: float, high: float | None = None) -> AgeCorrection:
    """Correct how old someone is in the picture: `low` years, or from `low` to `high` years, both included.

    Raises
    ------
    InvalidCorrectionError
        If an age is negative or above 130, or `low` is above `high`.
    """
    return make(AgeCorrection, face_id=face_id, low=low, high=high)


def age_group(face_id: int, name: str) -> AgeCorrection:
    """Correct the age group that someone belongs to, by its name in `ages.AGE_GROUPS`, such as children.

    Raises
    ------
    InvalidCorrectionError
        If there is no such group.
    """
    return make(AgeCorrection, face_id=face_id, group=name)


def gender(face_id: int, label: str | None) -> GenderCorrection:
    """Correct someone's gender: female, male, or any label; None: it is not to be estimated.

    Raises
    ------
    InvalidCorrectionError
        If the label is empty.
    """
    return make(GenderCorrection, face_id=face_id, label=label)


def not_a_face(face_id: int) -> NotAFace:
    """Correct a detection: there is no face at this place."""
    return make(NotAFace, face_id=face_id)


def ignore(face_id: int) -> IgnoredFace:
    """Leave a face out of all views, searches and tags."""
    return make(IgnoredFace, face_id=face_id)


def move(face_id: int, box: Box) -> BoxCorrection:
    """Correct the box of a face, in fractions of the upright picture; what lies outside of the picture is cut off.

    Raises
    ------
    InvalidCorrectionError
        If the box does not lie in the picture.
    """
    return make(BoxCorrection, face_id=face_id, box=inside(box)._asdict())


def draw(photo_id: int, box: Box, video_time: float | None = None) -> BoxCorrection:
    """Add a face that the detector missed; `box` as in `move`.

    `video_time`: when in a video, in seconds; None: in the frame that stands for it.

    Raises
    ------
    InvalidCorrectionError
        If the box does not lie in the picture.
    """
    return make(BoxCorrection, photo_id=photo_id, box=inside(box)._asdict(), video_time=video_time)


def tag(photo_id: int, name: str, accepted: bool) -> TagCorrection:
    """Accept a tag for a photo, or reject it for good; `name` has '/' between its levels.

    Raises
    ------
    InvalidCorrectionError
        If the name cannot be a tag.
    """
    return make(TagCorrection, photo_id=photo_id, name=name, accepted=accepted)


def take_back(kind: Kind, *, face_id: int | None = None, photo_id: int | None = None, name: str = "") -> Withdrawal:
    """Withdraw the corrections of a kind, so that the prediction is shown again; `name` is that of a tag.

    Raises
    ------
    InvalidCorrectionError
        If the face is not given, or of a tag the photo, or the name cannot be a tag.
    """
    return make(Withdrawal, of=kind, face_id=face_id, photo_id=photo_id, name=name)


def _tag_name(name: str) -> str:
    """Return a tag's normalized name; raise the error that pydantic expects of a validator."""
    try:
        return normalized_name(name)
    except InvalidCorrectionError as error:
        raise ValueError(error.args[0]) from error
