"""What the sidecar of a photo is to have of Rollcall, by the settings."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from rollcall.host_settings import XmpSettings
from rollcall.media import paths
from rollcall.records import Box, TagSource, TagState
from rollcall.settings import Settings
from rollcall.storage.library import path_of
from rollcall.storage.tables import FaceRow, PhotoRow, PredictionRow, TagRow, VerdictRow
from rollcall.tags.rules import with_slashes
from rollcall.xmp import geometry, names, regions_applying
from rollcall.xmp import store as rows
from rollcall.xmp.merging import Wanted, WantedFace
from rollcall.xmp.names import FaceName

#: Everything of a photo, only the tags that are named in the settings, or nothing.
Scope = Literal["all", "tags", "none"]
_WHOLE: Final = ("*", "**", "/")


def scope(photo: Path, relative: str, settings: XmpSettings) -> Scope:
    """Return what is written of a photo, by its path, and its path below its root."""
    if settings.write_photos or any(_holds(folder, photo, relative) for folder in settings.write_folders):
        return "all"
    return "tags" if settings.write_tags else "none"


def _holds(folder: str, photo: Path, relative: str) -> bool:
    """Return whether a folder of the settings holds a photo, at any depth."""
    if folder in _WHOLE:
        return True
    named = Path(folder).expanduser()
    if named.is_absolute():
        return photo.is_relative_to(named)
    pattern = folder.strip("/")
    parts = relative.split("/")[:-1]
    return any(fnmatch.fnmatch("/".join(parts[: n + 1]), pattern) for n in range(len(parts)))


def of_photo(session: Session, photo: PhotoRow, settings: Settings, scope: Scope) -> Wanted:
    """Return what is wanted in the sidecar of a photo."""
    if scope == "none":
        return Wanted()
    tags = _tags(session, photo.id, settings.xmp)
    if scope == "tags":
        patterns = [with_slashes(pattern) for pattern in settings.xmp.write_tags]
        tags = [tag for tag in tags if any(fnmatch.fnmatch(tag, pattern) for pattern in patterns)]
    size = geometry.stored_size(photo.width or 0, photo.height or 0, photo.orientation or 1)
    # A region has no time, so that in a video it would be nowhere.
    with_faces = scope == "all" and settings.xmp.regions != "off" and photo.duration is None
    faces = _faces(session, photo, settings) if with_faces else []
    return Wanted(tags, faces, size)


def _tags(session: Session, photo_id: int, settings: XmpSettings) -> list[str]:
    """Return the tags that Rollcall knows; those that another program set stand in its own lists."""
    sources = [TagSource.USER] if settings.tags == "confirmed" else [TagSource.USER, TagSource.AUTO]
    return list(
        session.scalars(
            select(TagRow.name)
            .where(TagRow.photo_id == photo_id, TagRow.state == TagState.APPLIED, TagRow.source.in_(sources))
            .order_by(TagRow.name)
        )
    )


def _faces(session: Session, photo: PhotoRow, settings: Settings) -> list[WantedFace]:
    """Return the faces that are shown, without those that only another program gave."""
    found = session.execute(
        select(FaceRow, PredictionRow, VerdictRow)
        .outerjoin(PredictionRow, PredictionRow.face_id == FaceRow.id)
        .outerjoin(VerdictRow, VerdictRow.face_id == FaceRow.id)
        .where(FaceRow.photo_id == photo.id, FaceRow.present, or_(VerdictRow.face_id.is_(None), ~VerdictRow.dismissed))
        .where(or_(FaceRow.detected, FaceRow.drawn, ~FaceRow.given_by_host))
        .order_by(FaceRow.id)
    ).all()
    known = names.of_faces(session, [face.id for face, _, _ in found])
    frame = regions_applying.frame_of(rows.contents_of(session, photo.id), photo) or photo.orientation or 1
    result = []
    for face, prediction, verdict in found:
        name = _name(known.get(face.id), settings)
        box = geometry.clipped(Box(face.x, face.y, face.width, face.height))
        if box is None or (settings.xmp.regions == "named" and not name):
            continue
        note = _note(prediction, verdict) if settings.xmp.estimates else ""
        result.append(WantedFace(face.id, _rounded(geometry.to_stored(box, frame)), name, note))
    return result


def _rounded(box: Box) -> Box:
    """Return a box as it is written, so that it compares equal with what is read."""
    return Box(*(round(value, 6) for value in box))


def _name(found: FaceName | None, settings: Settings) -> str:
    """Return the name that may be written of a face, or ""."""
    if found is None or found.hidden or not found.names or settings.xmp.names == "off":
        return ""
    likely = settings.xmp.names == "likely" and found.probability >= settings.tags.precision
    return found.names[0] if found.confirmed or likely else ""


def _note(prediction: PredictionRow | None, verdict: VerdictRow | None) -> str:
    """Return age and gender as a note, such as "about 34 years, female (estimated)"."""
    given = verdict is not None and verdict.age_low is not None
    age = prediction.age if prediction is not None else None
    if verdict is not None and verdict.age_low is not None and verdict.age_high is not None:
        age = (verdict.age_low + verdict.age_high) / 2
    gender = ""
    if verdict is not None and verdict.gender_given:
        gender = verdict.gender or ""
    elif prediction is not None and prediction.p_female is not None:
        gender = "female" if prediction.p_female >= 0.5 else "male"
    parts = ([f"about {age:.0f} years"] if age is not None else []) + ([gender] if gender else [])
    return ", ".join(parts) + ("" if given or not parts else " (estimated)")


def photo_path(session: Session, photo_id: int) -> tuple[Path, str] | None:
    """Return the path of a photo's file, absolute, and below its root; None if there is no such photo."""
    path = path_of(session, photo_id)
    row = session.get(PhotoRow, photo_id)
    return None if path is None or row is None else (path, paths.from_text(row.path))
