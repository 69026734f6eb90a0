"""Export the log of corrections to a file, and import it into another database."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from time import sleep
from typing import Any, Final, NamedTuple

from sqlalchemy import and_, func, insert, or_, select
from sqlalchemy.orm import Session

from rollcall.corrections.album_kinds import ALBUM_PHOTO
from rollcall.corrections.albums import project_albums
from rollcall.corrections.kinds import from_stored
from rollcall.corrections.log import without_face
from rollcall.corrections.log_lines import UNDO_KINDS, of_a_photo
from rollcall.corrections.people import project_people
from rollcall.corrections.person_kinds import PERSON_KINDS
from rollcall.corrections.recover import PAUSE_SECONDS, recover_in_portions
from rollcall.errors import InvalidCorrectionError, RollcallError, not_written, reason_of
from rollcall.settings import TagSettings
from rollcall.storage import parts, private
from rollcall.storage.database import Database
from rollcall.storage.library import chunks
from rollcall.storage.tables import CorrectionRow, PhotoRow

#: The format of an exported log, named in its first line.
FORMAT: Final = "rollcall-corrections-1"
#: How many lines are added in one transaction: some tenths of a second.
PORTION: Final = 2000
#: Gets how many lines were added, and how many there are.
Progress = Callable[[int, int], None]
#: Returns whether a content, and a box in it where a face is meant, was erased.
IsErased = Callable[[str | None, Sequence[float] | None], bool]


class ImportResult(NamedTuple):
    """The result of an import."""

    added: int
    known: int  # lines that the log had before
    waiting: int  # added lines whose photo or face is not in the database; they are attached when it is indexed
    photo_ids: frozenset[int]  # the photos that lines were attached to


def export_log(session: Session, *, after: int | None = None) -> Iterator[dict[str, Any]]:
    """Yield the log as plain values, oldest first, each line with everything that `reattach` needs.

    With `after` only the lines with higher numbers, in the order of their numbers.
    """
    statement = select(CorrectionRow, PhotoRow.content_hash, PhotoRow.path).outerjoin(
        PhotoRow, PhotoRow.id == CorrectionRow.photo_id
    )
    if after is None:
        statement = statement.order_by(CorrectionRow.made_at, CorrectionRow.id)
    else:
        statement = statement.where(CorrectionRow.id > after).order_by(CorrectionRow.id)
    rows = session.execute(statement, execution_options={"yield_per": 1000})
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
            # The file's present path, unless the line was made for other content of the file.
            "path": path if path is not None and content_hash == line.content_hash else line.path,
            "box": line.box,
            "embedding": _to_base64(line.embedding),
            "embedding_version": line.embedding_version,
            # The format's name of the perceptual hash.
            "look": _to_base64(line.perceptual_hash),
            "face_uid": line.face_uid,
            **({} if line.video_time is None else {"video_time": line.video_time}),
        }


def import_log(
    database: Database,
    lines: Iterable[Mapping[str, Any]],
    settings: TagSettings,
    erased: Callable[[Session], IsErased],
    progress: Progress | None = None,
) -> ImportResult:
    """Add an exported log to this one; lines that it has already are left as they are.

    Lines of a content, or of a face in it, that was erased are left out: `erased` returns the test for a session.

    The lines are committed in portions, and others can write in between. An import that is interrupted is completed
    by the next one: each line has a number of its own, and is added once.

    Raises
    ------
    InvalidCorrectionError
        If a line is not a correction; the message names its number, counted from 1. Then nothing is imported.
    """
    rows = _checked(lines)
    added: list[str] = []
    known = done = 0
    for part in chunks(rows, PORTION):
        with database.write() as session:
            new, known_here = _add(session, part, erased(session))
        added += new
        known += known_here
        done += len(part)
        if progress is not None:
            progress(done, len(rows))
        sleep(PAUSE_SECONDS if len(rows) > PORTION else 0)
    if any(row["kind"] in PERSON_KINDS or row["content_hash"] is None for row in rows):
        with database.write() as session:
            project_people(session)
            project_albums(session)
    touched = recover_in_portions(database, settings).photo_ids
    if any(row["kind"] == "person_merge" for row in rows):
        with database.write() as session:
            project_people(session, merges_undone=True)
            project_albums(session)
    left = 0
    with database.read() as session:
        for uids in chunks(added):
            lost = or_(and_(CorrectionRow.photo_id.is_(None), of_a_photo()), without_face())
            statement = select(func.count()).select_from(CorrectionRow).where(CorrectionRow.uid.in_(uids), lost)
            left += session.scalar(statement) or 0
    return ImportResult(len(added), known, left, frozenset(touched))


def _checked(lines: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(_row(line))
        except (InvalidCorrectionError, KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
            raise InvalidCorrectionError(
                f"correction {number} of the file is none ({reason_of(error)}); nothing was imported"
            ) from error
    return rows


def _add(session: Session, rows: Sequence[dict[str, Any]], is_erased: IsErased) -> tuple[list[str], int]:
    """Add those lines that the log has not; return their numbers, and how many it had already."""
    known: set[str] = set()
    for part in chunks(rows):
        uids = [row["uid"] for row in part]
        known |= set(session.scalars(select(CorrectionRow.uid).where(CorrectionRow.uid.in_(uids))))
    unknown = list({row["uid"]: row for row in rows if row["uid"] not in known}.values())
    # An old export must not bring back what was erased since.
    new = [row for row in unknown if not is_erased(row["content_hash"], row["box"])]
    for chunk in chunks(new):
        session.execute(insert(CorrectionRow), list(chunk))
    return [row["uid"] for row in new], len(rows) - len(unknown)


def write_file(lines: Iterable[Mapping[str, Any]], file: Path) -> None:
    """Write an exported log to a file, one JSON object a line; an existing file is replaced when that is done.

    Raises
    ------
    RollcallError
        If the file cannot be written.
    """
    try:
        with parts.completed(file) as part:
            # It holds embeddings of faces, as the database does.
            private.create(part)
            with part.open("w", encoding="utf-8", errors="surrogatepass") as out:
                out.write(json.dumps({"format": FORMAT}) + "\n")
                for line in lines:
                    out.write(json.dumps(line) + "\n")
    except OSError as error:
        raise RollcallError(f"{file}: {not_written(error, 'choose another place')}") from error


def read_file(file: Path, *, cut_off: bool = False) -> list[dict[str, Any]]:
    """Return the lines of a file that `write_file` wrote; with `cut_off` without a last one that is not whole.

    Raises
    ------
    InvalidCorrectionError
        If the file cannot be read, or is not an exported log.
    """
    try:
        with file.open(encoding="utf-8") as source:
            head = json.loads(source.readline())
            if not isinstance(head, dict) or head.get("format") != FORMAT:
                raise InvalidCorrectionError(
                    f"{file}: this is no log of corrections that this Rollcall knows ({FORMAT})"
                )
            return [json.loads(line) for line in source if line.strip() and (line.endswith("\n") or not cut_off)]
    except (OSError, ValueError) as error:
        raise InvalidCorrectionError(
            f"{file}: cannot be read as a log of corrections ({reason_of(error)}); export it again"
        ) from error


def _to_base64(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _from_base64(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)


def _row(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of an exported line.

    Raises
    ------
    InvalidCorrectionError, KeyError, TypeError, ValueError, AttributeError
        If the line is not a correction.
    """
    kind, value = str(line["kind"]), dict(line["value"])
    if kind in UNDO_KINDS:
        str(value["of"])
    else:
        # The numbers of the other database mean nothing here: 0 stands for the face or photo.
        of_photo = kind in ("tag", ALBUM_PHOTO) or bool(value.get("drawn"))
        from_stored(kind, value, None if of_photo else 0, 0 if of_photo else None)
    box = line.get("box")
    return {
        "uid": str(line["uid"]),
        "batch": str(line["batch"]),
        "made_at": str(line["made_at"]),
        "made_by": str(line["made_by"]),
        "kind": kind,
        "value": value,
        # Numbers of faces mean others in another database.
        "value_before": None if kind == "person_merge" else line.get("value_before"),
        "content_hash": line.get("content_hash"),
        "path": line.get("path"),
        "box": None if box is None else [float(part) for part in box],
        "embedding": _from_base64(line.get("embedding")),
        "embedding_version": line.get("embedding_version"),
        "perceptual_hash": _from_base64(line.get("look")),
        "face_uid": line.get("face_uid"),
        "video_time": None if line.get("video_time") is None else float(line["video_time"]),
    }
