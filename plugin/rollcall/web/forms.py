"""The forms of the pages, decoded to corrections."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from rollcall import corrections
from rollcall.ages import AGE_GROUPS
from rollcall.corrections import review_queue
from rollcall.corrections.kind_base import RowId
from rollcall.corrections.kinds import OLDEST, Correction
from rollcall.errors import InvalidCorrectionError
from rollcall.records import Box
from rollcall.sentences import Quoted, Sentence

NOT_UNDERSTOOD = Sentence("the page sent something that is not understood; load it again")


class PhotoForm(BaseModel):
    """What the forms of a photo's page send; `what` names the button."""

    what: Literal[
        "age", "gender", "not_a_face", "ignore", "take_back_age", "take_back_gender", "show_again", "draw", "move",
        "tag", "no_tag", "undo", "redo", "age_group",
    ]  # fmt: skip
    face: RowId | None = None
    low: float | None = None
    high: float | None = None
    label: Annotated[str, Field(max_length=100)] = ""
    unknown: bool = False  # the gender is not to be estimated
    tag: Annotated[str, Field(max_length=500)] = ""
    box: Annotated[str, Field(max_length=200)] = ""
    video_time: float | None = None  # of the frame that a new face was drawn on, in seconds

    def corrections(self, photo_id: int) -> list[Correction]:
        """Return the corrections of a photo or of one of its faces, which are undone together.

        Raises
        ------
        InvalidCorrectionError
            If a field is missing or has an invalid value.
        """
        if self.what in ("tag", "no_tag"):
            return [corrections.tag(photo_id, self.tag, self.what == "tag")]
        if self.what == "draw":
            return [corrections.draw(photo_id, parse_box(self.box), self.video_time)]
        if self.face is None:
            raise InvalidCorrectionError(NOT_UNDERSTOOD)
        if self.what == "show_again":
            return [corrections.take_back(kind, face_id=self.face) for kind in ("not_a_face", "ignore")]
        return [self._face_correction(self.face)]

    def _face_correction(self, face_id: int) -> Correction:
        match self.what:
            case "age" if self.low is not None:
                return corrections.age(face_id, self.low, self.high)
            case "age_group" if self.label in review_queue.ANSWERS:
                return corrections.age(face_id, *review_queue.ANSWERS[self.label])
            case "gender":
                # An empty field of a form is the same as none, and must not mean that nothing is to be estimated.
                return corrections.gender(face_id, None if self.unknown else self.label)
            case "not_a_face":
                return corrections.not_a_face(face_id)
            case "ignore":
                return corrections.ignore(face_id)
            case "move":
                return corrections.move(face_id, parse_box(self.box))
            case "take_back_age":
                return corrections.take_back("age", face_id=face_id)
            case "take_back_gender":
                return corrections.take_back("gender", face_id=face_id)
        raise InvalidCorrectionError(NOT_UNDERSTOOD)


def parse_box(text: str) -> Box:
    """Return a box from "left,top,width,height", fractions of the upright picture.

    Raises
    ------
    InvalidCorrectionError
        If it is not four numbers.
    """
    try:
        x, y, width, height = (float(value) for value in text.split(","))
    except ValueError as error:
        raise InvalidCorrectionError(
            Sentence("%(text)s is no box; load the page again and draw it anew", text=Quoted(text))
        ) from error
    return Box(x, y, width, height)


def review_correction(face_id: int, group: str, answer: str) -> Correction | None:
    """Return the correction that an answer of the review stands for.

    None where "no" leaves two ranges of ages, below the group and above it: "younger" and "older" tell them apart.

    Raises
    ------
    InvalidCorrectionError
        If there is no such answer.
    """
    match answer:
        case "not_a_face":
            return corrections.not_a_face(face_id)
        case "ignore":
            return corrections.ignore(face_id)
        case "yes":
            return corrections.age_group(face_id, group)
        case "no":
            return review_queue.none_of(face_id, group)
        case "younger" if AGE_GROUPS[group].low > 0:
            return corrections.age(face_id, 0, AGE_GROUPS[group].low - 1)
        case "older" if AGE_GROUPS[group].high < AGE_GROUPS["adults"].high:
            return corrections.age(face_id, AGE_GROUPS[group].high + 1, OLDEST)
    if answer in review_queue.ANSWERS:
        return corrections.age(face_id, *review_queue.ANSWERS[answer])
    raise InvalidCorrectionError(NOT_UNDERSTOOD)
