"""The HTTP API of what is done rarely: single faces, the whole log, erasure, learning from corrections."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from rollcall.corrections.kind_base import RowId
from rollcall.media import paths
from rollcall.remote.paths import named
from rollcall.web.inputs import ForgetIn, ImportIn, RestoreIn, plugin_of
from rollcall.web.models import (
    AdaptationReportModel,
    CorrectionResultModel,
    ErasureReportModel,
    FaceModel,
    HeadReportModel,
    ImportResultModel,
)
from rollcall.web.problems import CONFLICT, NOT_FOUND, UNREADABLE_BODY

router = APIRouter(prefix="/api")


@router.get("/faces/{face_id}", responses=NOT_FOUND)
def face(request: Request, face_id: RowId) -> FaceModel:
    """Return one face that is shown."""
    return FaceModel.of(plugin_of(request).face(face_id), distribution=True)


# ---- The whole log


@router.get(
    "/corrections/export",
    responses={200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
    response_class=StreamingResponse,
)
def export(request: Request) -> StreamingResponse:
    """Return the log, one JSON object a line, the oldest first, to be stored or imported elsewhere."""
    lines = plugin_of(request).export_corrections()

    def encoded() -> Iterator[str]:
        for line in lines:
            yield json.dumps(line, ensure_ascii=False) + "\n"

    return StreamingResponse(encoded(), media_type="application/x-ndjson")


@router.post("/corrections/import", responses={**CONFLICT, **UNREADABLE_BODY})
def import_lines(request: Request, given: ImportIn) -> ImportResultModel:
    """Add an exported log; lines that the log has already are left as they are."""
    done = plugin_of(request).import_corrections(given.lines)
    return ImportResultModel(added=done.added, known=done.known, waiting=done.waiting)


@router.post("/restore", responses={**NOT_FOUND, **CONFLICT, **UNREADABLE_BODY})
def restore(request: Request, given: RestoreIn) -> CorrectionResultModel:
    """Undo and redo corrections until those are effective that were after a line of the log."""
    return CorrectionResultModel.of(plugin_of(request).restore(given.to))


# ---- Erasure and learning


@router.post("/forget", responses={**NOT_FOUND, **CONFLICT, **UNREADABLE_BODY})
def forget(request: Request, given: ForgetIn) -> ErasureReportModel:
    """Erase for good what is named, corrections included; without `"dry_run": false` only report what would go."""
    report = plugin_of(request).forget(
        *(named(paths.from_text(one)) for one in given.paths),
        faces=given.erase_faces,
        photos=given.erase_photos,
        embeddings=given.embeddings,
        ages=given.ages,
        genders=given.genders,
        everything=given.everything,
        dry_run=given.dry_run,
    )
    values: dict[str, Any] = dataclasses.asdict(report)
    return ErasureReportModel(**values | {"files": [paths.to_text(str(file)) for file in report.files]})


@router.post("/adapt", responses=CONFLICT)
def adapt(request: Request, dry_run: Annotated[bool, Query()] = True) -> AdaptationReportModel:
    """Learn from corrections, and store what helps; unless `dry_run=false` only report whether anything does."""
    report = plugin_of(request).adapt(dry_run=dry_run)
    return AdaptationReportModel(
        id=report.id,
        age=HeadReportModel(**report.age._asdict()),
        gender=HeadReportModel(**report.gender._asdict()),
        changed=report.changed,
    )


@router.post("/adapt/undo")
def undo_adaptation(request: Request) -> int | None:
    """Withdraw the newest adaptation in use; return its number, null if none is in use."""
    return plugin_of(request).undo_adaptation()
