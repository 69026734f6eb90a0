"""Carrying the log of corrections to another database."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import func, insert, or_, select
from sqlalchemy.orm import Session

from rollcall import corrections
from rollcall.corrections import Correction
from rollcall.errors import CorrectionError
from rollcall.settings import TagSettings
from rollcall.store import forgotten
from rollcall.store.corrections import faceless
from rollcall.store.finding import find_lost
from rollcall.store.photos import chunks
from rollcall.store.tables import Correction as Line
from rollcall.store.tables import Photo

#: What the first line of an exported log says of itself.
FORMAT: Final = "rollcall-corrections-1"


class Imported(NamedTuple):
    """What became of an imported log."""

    added: int
    known: int  # lines that the log had already
    waiting: int  # lines whose photo or face is not in the database (yet); they are kept
    photo_ids: frozenset[int]  # those that lines were found to speak of


def export(session: Session) -> Iterator[dict[str, Any]]:
    """Yield the log as plain values, oldest first, each with what its photo and face are found again by."""
    rows = session.execute(
        select(Line, Photo.content_hash, Photo.path)
        .outerjoin(Photo, Photo.id == Line.photo_id)
        .order_by(Line.made_at, Line.id),
        execution_options={"yield_per": 1000},
    )
    for line, content_hash, path in rows:
        yield {
            "uid": line.uid,
            "batch": line.batch,
            "made_at": line.made_at,
            "made_by": line.made_by,
            "kind": line.kind,
            "value": line.value,
            "value_before": line.value_before,
            "content_hash": line.content_hash,
            # Where the file is now, unless the line speaks of what was there before it was edited.
            "path": path if path is not None and content_hash == line.content_hash else line.path,
            "box": line.box,
            "embedding": _text(line.embedding),
            "embedding_version": line.embedding_version,
            "look": _text(line.look),
            "face_uid": line.face_uid,
        }


def import_(session: Session, lines: Iterable[Mapping[str, Any]], settings: TagSettings) -> Imported:
    """Add an exported log to this one; lines that it has already are left as they are.

    Raises
    ------
    CorrectionError
        If a line is none; the message tells its number, counted from 1.
    """
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(_row(line))
        except (CorrectionError, KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
            raise CorrectionError(f"correction {number} of the file is none ({error}); nothing was imported") from error
    known: set[str] = set()
    for part in chunks(rows):
        known |= set(session.scalars(select(Line.uid).where(Line.uid.in_([row["uid"] for row in part]))))
    new = list({row["uid"]: row for row in rows if row["uid"] not in known}.values())
    unknown = len(new)
    # What was forgotten is not brought back by an old copy of what was said of it.
    refused = forgotten.Refused(session)
    new = [row for row in new if not refused(row["content_hash"], row["box"])]
    for chunk in chunks(new):
        session.execute(insert(Line), list(chunk))
    touched = find_lost(session, settings).photo_ids
    left = 0
    for part in chunks([row["uid"] for row in new]):
        lost = or_(Line.photo_id.is_(None), faceless())
        left += session.scalar(select(func.count()).select_from(Line).where(Line.uid.in_(part), lost)) or 0
    return Imported(len(new), len(rows) - unknown, left, frozenset(touched))


def _text(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _data(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)


def _row(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of an exported line, checked."""
    kind, value = str(line["kind"]), dict(line["value"])
    if kind in ("undo", "redo"):
        str(value["of"])
    else:
        # Whatever numbers the other database had: what is said has to make sense, of some face or photo.
        of_photo = kind == "tag" or bool(value.get("drawn"))
        corrections.checked(Correction(kind, value, None if of_photo else 0, 0 if of_photo else None))  # type: ignore[arg-type]
    box = line.get("box")
    return {
        "uid": str(line["uid"]),
        "batch": str(line["batch"]),
        "made_at": str(line["made_at"]),
        "made_by": str(line["made_by"]),
        "kind": kind,
        "value": value,
        "value_before": line.get("value_before"),
        "content_hash": line.get("content_hash"),
        "path": line.get("path"),
        "box": None if box is None else [float(part) for part in box],
        "embedding": _data(line.get("embedding")),
        "embedding_version": line.get("embedding_version"),
        "look": _data(line.get("look")),
        "face_uid": line.get("face_uid"),
    }
