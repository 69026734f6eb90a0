"""What all kinds of corrections share: the base of their models, and how pydantic's errors become sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rollcall.errors import InvalidCorrectionError
from rollcall.records import Box
from rollcall.refused_values import needed
from rollcall.sentences import Sentence

#: The largest number that a row can have: SQLite's integers have 64 bits, with a sign.
LARGEST_ROW_ID: Final = 2**63 - 1

RowId = Annotated[int, Field(ge=0, le=LARGEST_ROW_ID)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class CorrectionBase(BaseModel):
    """The base of all kinds of corrections."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BoxFields(CorrectionBase):
    """A rectangle as fractions of the upright picture, origin top left."""

    x: Fraction
    y: Fraction
    width: Annotated[float, Field(gt=0, le=1)]
    height: Annotated[float, Field(gt=0, le=1)]

    @classmethod
    def of(cls, box: Box) -> BoxFields:
        """Return a stored box without validating it: it may reach a little beyond the picture."""
        return cls.model_construct(x=box.x, y=box.y, width=box.width, height=box.height)


C = TypeVar("C", bound=CorrectionBase)


def make(cls: type[C], **fields: Any) -> C:
    """Return a correction.

    Raises
    ------
    InvalidCorrectionError
        If a field cannot have its value.
    """
    try:
        return cls(**fields)
    except ValidationError as error:
        raise InvalidCorrectionError(sentence(error)) from error


def from_value(
    models: Mapping[str, type[CorrectionBase]], kind: str, value: Mapping[str, Any], **target: int | None
) -> Any:
    """Return the correction of a line of the log; `target` is the face or the photo that the line names, if any.

    Raises
    ------
    InvalidCorrectionError
        If the line is not a correction.
    """
    try:
        return models[kind](**{**value, **target})
    except (ValidationError, TypeError) as error:
        raise InvalidCorrectionError(f"a {kind} correction cannot have the value {dict(value)!r}") from error


def sentence(error: ValidationError) -> str:
    """Return the first of pydantic's messages; one that a validator of ours raised is used as it is."""
    first = error.errors()[0]
    if "error" in first.get("ctx", {}):
        cause = first["ctx"]["error"]
        return cause.args[0] if isinstance(cause, Exception) and cause.args else str(cause)
    name = ".".join(str(part) for part in first["loc"])
    return f"a correction cannot have {name} = {first['input']!r}: it needs {needed(first)}"


def inside(box: Box) -> Box:
    """Return the part of a box that lies in the picture.

    Raises
    ------
    InvalidCorrectionError
        If there is none, or the box has numbers that are not finite.
    """
    if not all(map(math.isfinite, box)):
        raise InvalidCorrectionError(
            Sentence("a box needs four numbers: left, top, width, height, as fractions of the picture")
        )
    x0, y0 = max(box.x, 0.0), max(box.y, 0.0)
    x1, y1 = min(box.x + box.width, 1.0), min(box.y + box.height, 1.0)
    if x1 - x0 < 1e-4 or y1 - y0 < 1e-4:
        raise InvalidCorrectionError(
            Sentence("the box does not lie in the picture, or is empty; give fractions of the upright picture")
        )
    return Box(x0, y0, min(x1 - x0, 1.0), min(y1 - y0, 1.0))
