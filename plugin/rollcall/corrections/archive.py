"""The archive of corrections: a second copy of the log beside the database, one JSON object a line.

Predictions can be made again, corrections cannot, and backups are a day old at worst. The archive is an exported log
without embeddings, so `rollcall corrections import` reads it; lines that a database has already are passed over.

The other way round, a database that an older copy took the place of lacks lines that the archive has. They stay in it.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select

from rollcall.corrections import transfer
from rollcall.errors import reason_of
from rollcall.storage import parts
from rollcall.storage.database import Database
from rollcall.storage.library import chunks
from rollcall.storage.tables import CorrectionRow

log = logging.getLogger(__name__)

SUFFIX: Final = ".corrections.jsonl"
#: How much of the end of the archive is read for its last line, in bytes.
_TAIL: Final = 1 << 16


def archive_of(file: Path) -> Path:
    """Return the archive beside a database's file."""
    return file.with_name(file.name + SUFFIX)


def append(database: Database) -> None:
    """Append the corrections that the archive does not have; one that cannot be written is logged."""
    if database.file is None:
        return
    archive = archive_of(database.file)
    try:
        last = _last_id(database, archive)
        if last is None:
            _complete(database, archive)
            return
        with database.read() as session:
            lines = [json.dumps(_line(line)) + "\n" for line in transfer.export_log(session, after=last)]
        if lines:
            with archive.open("a", encoding="utf-8") as out:
                out.writelines(lines)
                out.flush()
                os.fsync(out.fileno())
    except OSError as error:
        log.warning(
            "%s: the archive of corrections cannot be written (%s); the database has them", archive, reason_of(error)
        )


def read(archive: Path) -> list[dict[str, Any]]:
    """Return the lines of an archive, without a last one that a kill cut off.

    Raises
    ------
    InvalidCorrectionError
        If it cannot be read, or is no archive.
    """
    return transfer.read_file(archive, cut_off=True)


def _complete(database: Database, archive: Path) -> None:
    """Write an archive again whose end the log does not know; what only the archive has stays in it."""
    kept: list[str] = []
    with suppress(FileNotFoundError), archive.open(encoding="utf-8", errors="replace") as source:
        # Lines that were cut off have no uid; the database has them, or they were never acknowledged.
        found = {uid: line for line in source if (uid := _uid(line))}
        with database.read() as session:
            for uids in chunks(list(found)):
                for known in session.scalars(select(CorrectionRow.uid).where(CorrectionRow.uid.in_(uids))):
                    del found[known]
        kept = list(found.values())
    if kept:
        log.warning(
            "%s: it has corrections that the database lacks, as after an older copy took its place (%d);"
            " `rollcall corrections import` adds them",
            archive,
            len(kept),
        )
    rewrite(database, kept)


def _uid(line: str) -> str | None:
    try:
        return str(json.loads(line)["uid"]) if line.endswith("\n") else None
    except (ValueError, KeyError, TypeError):
        return None


def rewrite(database: Database, kept: Iterable[str] = ()) -> None:
    """Write the archive again from the log, so that it holds nothing that was erased; `kept` are lines to put before.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    if database.file is None:
        return
    archive = archive_of(database.file)
    with database.read() as session:
        if session.scalar(select(CorrectionRow.id).limit(1)) is None:
            archive.unlink(missing_ok=True)
            return
        # Who may not read the database may not read this either.
        mode = database.file.stat().st_mode & 0o777
        with (
            parts.completed(archive) as part,
            open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as out,  # noqa: PTH123
        ):
            out.write(json.dumps({"format": transfer.FORMAT}) + "\n")
            out.writelines(kept)
            out.writelines(json.dumps(_line(line)) + "\n" for line in transfer.export_log(session, after=0))
            out.flush()
            os.fsync(out.fileno())


def _line(line: dict[str, object]) -> dict[str, object]:
    return line | {"embedding": None, "embedding_version": None}


def _last_id(database: Database, archive: Path) -> int | None:
    """Return the number of the newest line of the log that the archive has; None if that cannot be told."""
    try:
        with archive.open("rb") as source:
            source.seek(0, os.SEEK_END)
            source.seek(max(source.tell() - _TAIL, 0))
            tail = source.read()
        if not tail.endswith(b"\n"):
            return None
        uid = json.loads(tail.splitlines()[-1])["uid"]
    except (OSError, ValueError, KeyError, IndexError):
        return None
    with database.read() as session:
        return session.scalar(select(CorrectionRow.id).where(CorrectionRow.uid == uid))
