"""What all kinds of corrections share: the base of their models, and how pydantic's errors become sentences."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rollcall.errors import InvalidCorrectionError

#: The largest number that a row can have: SQLite's integers have 64 bits, with a sign.
LARGEST_ROW_ID: Final = 2**63 - 1

RowId = Annotated[int, Field(ge=0, le=LARGEST_ROW_ID)]


class CorrectionBase(BaseModel):
    """The base of all kinds of corrections."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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


def sentence(error: ValidationError) -> str:
    """Return the first of pydantic's messages; one that a validator of ours raised is used as it is."""
    first = error.errors()[0]
    if "error" in first.get("ctx", {}):
        return str(first["ctx"]["error"])
    name = ".".join(str(part) for part in first["loc"])
    return f"a correction cannot have {name} = {first['input']!r}: {first['msg'].lower()}"
