"""Bring the faces of a photo in line with the regions that other programs marked, and names with theirs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from rollcall.corrections import log
from rollcall.privacy import tombstones
from rollcall.records import Box, Face
from rollcall.settings import TagSettings
from rollcall.storage.tables import CorrectionRow, FaceRow, PhotoRow
from rollcall.tags import projection
from rollcall.xmp import geometry, names
from rollcall.xmp.content import Content
from rollcall.xmp.geometry import Size
from rollcall.xmp.matching import assign, similarity
from rollcall.xmp.memory import Memory, same_place
from rollcall.xmp.regions import Region, Regions

#: Who made the corrections that follow from what was done in other programs, in the log.
AUTHOR: Final = "xmp"
#: A region with a side shorter than this, as a fraction, is a point that somebody clicked on, no face.
_SMALLEST: Final = 0.004


class Outcome(NamedTuple):
    """What followed from the regions."""

    corrections: int = 0
    memory_changed: bool = False
    undescribed: bool = False  # faces were added that the networks have not analysed


def apply(
    session: Session,
    photo: PhotoRow,
    stated: Mapping[str, Content],
    before: Mapping[str, Content | None],
    memory: Memory,
    settings: TagSettings,
    when: str,
) -> Outcome:
    """Bring faces in line with what is `stated` in the photo and its sidecar; `memory` may change.

    `when`: the time of change of the newer one of the two, UTC, ISO 8601.
    """
    declined = list(_taken_away(before.get("sidecar"), stated.get("sidecar"), memory))
    former = host_regions({place: one for place, one in before.items() if one is not None}, memory)
    memory.declined += declined
    stored = host_regions(stated, memory)
    returned = [one for one in memory.declined if any(similarity(one.box, region.box) is not None for region in stored)]
    memory.declined = [one for one in memory.declined if one not in returned]
    now = _upright(stored, stated, photo)
    faces = list(session.scalars(select(FaceRow).where(FaceRow.photo_id == photo.id).order_by(FaceRow.id)))
    matched, added = _match(session, photo, now, faces)
    gone = _delete_unsaid(session, faces, set(matched.values()))
    if added or gone:
        session.flush()
        projection.recompute(session, photo.id, settings)
    boxes = {one.id: Region(_box(one)) for one in faces if one not in session.deleted}
    upright = _upright(former, stated, photo)
    gone_of_ours = _upright(declined, stated, photo)
    matched_of_ours = _assigned(gone_of_ours, {face_id: one.box for face_id, one in boxes.items()})
    given = names.corrections(
        session,
        names.Statements(
            {face_id: now[key] for key, face_id in matched.items() if now[key].name},
            [one for one in upright.values() if one.name],
            {face_id: gone_of_ours[key] for key, face_id in matched_of_ours.items() if gone_of_ours[key].name},
            any(one is not None for one in before.values()),
            when,
        ),
        boxes,
    )
    if given:
        log.record(session, given, AUTHOR, settings)
    return Outcome(len(given), bool(declined or returned), added)


def host_regions(stated: Mapping[str, Content], memory: Memory) -> list[Region]:
    """Return the regions that other programs marked, in the frame of the stored picture, without those of ours.

    Those of the sidecar count; those of the photo itself where the sidecar has none of others, or copies of them.
    """
    sidecar, embedded = stated.get("sidecar", Content()), stated.get("embedded", Content())
    result = [memory.without_our_name(one) for one in sidecar.regions.faces if not memory.is_ours(one)]
    if not result or memory.copied_faces:
        result += [
            one
            for one in embedded.regions.faces
            if all(similarity(one.box, known.box) is None for known in (*result, *memory.declined))
        ]
    return result


def _upright(found: Iterable[Region], stated: Mapping[str, Content], photo: PhotoRow) -> dict[int, Region]:
    """Return regions in the frame of the upright picture, by their place in the list; none if they do not fit it."""
    frame = frame_of(stated, photo)
    if frame is None or photo.duration is not None:
        return {}
    return {
        index: one._replace(box=geometry.to_upright(one.box, frame))
        for index, one in enumerate(found)
        if min(one.box.width, one.box.height) >= _SMALLEST
    }


def frame_of(stated: Mapping[str, Content], photo: PhotoRow) -> int | None:
    """Return the orientation that regions have to be turned by, 1..8; None if they were made for another picture.

    Some programs write them relative to the upright picture, and say so by its sides only.
    """
    orientation = photo.orientation or 1
    sides = [stated[place].regions for place in ("sidecar", "embedded") if place in stated]
    applied = next((one.applied for one in sides if one.present), None)
    if applied is None or not photo.width or not photo.height:
        return orientation
    upright = Size(photo.width, photo.height)
    if applied.fits(geometry.stored_size(photo.width, photo.height, orientation)):
        return orientation
    return 1 if applied.fits(upright) else None


def _match(
    session: Session, photo: PhotoRow, regions: Mapping[int, Region], faces: list[FaceRow]
) -> tuple[dict[int, int], bool]:
    """Return the face of each region by the region's key, and whether faces were added for those that cover none."""
    detected = {one.id: _box(one) for one in faces if one.detected or one.drawn or not one.given_by_host}
    given = {one.id: _box(one) for one in faces if one.id not in detected}
    result = _assigned(regions, detected)
    result |= _assigned({key: one for key, one in regions.items() if key not in result}, given)
    by_id = {one.id: one for one in faces}
    for key, face_id in result.items():
        row = by_id[face_id]
        if face_id in given and not same_place(regions[key].box, _box(row)):
            row.x, row.y, row.width, row.height = regions[key].box
    left = {key: one.box for key, one in regions.items() if key not in result}
    allowed = _not_erased(session, photo, left)
    for key, box in allowed.items():
        row = log.draw_face(session, photo.id, box, by_host=True)
        faces.append(row)
        result[key] = row.id
    return result, bool(allowed)


def _assigned(regions: Mapping[int, Region], faces: Mapping[int, Box]) -> dict[int, int]:
    keys = list(regions)
    return {keys[index]: face_id for index, face_id in assign([one.box for one in regions.values()], faces).items()}


def _not_erased(session: Session, photo: PhotoRow, boxes: Mapping[int, Box]) -> dict[int, Box]:
    """Return the boxes without those of faces that were erased."""
    faces = [Face(box=box, landmarks=(), score=0.0, sharpness=0.0) for box in boxes.values()]
    kept = tombstones.without_erased(session, photo.id, photo.content_hash or "", faces) if faces else ()
    spared = [face.box for face in kept]
    return {key: box for key, box in boxes.items() if box in spared}


def _delete_unsaid(session: Session, faces: Iterable[FaceRow], stated: set[int]) -> bool:
    """Delete the faces that only another program gave and does not give any more; corrected ones stay."""
    gone = [one for one in faces if one.given_by_host and not (one.detected or one.drawn) and one.id not in stated]
    ids = [one.id for one in gone]
    corrected = set(session.scalars(select(CorrectionRow.face_id).where(CorrectionRow.face_id.in_(ids))))
    for one in gone:
        if one.id not in corrected:
            session.delete(one)
    return any(one not in corrected for one in ids)


def _box(row: FaceRow) -> Box:
    return Box(row.x, row.y, row.width, row.height)


# ---- What a person took away


def _taken_away(before: Content | None, now: Content | None, memory: Memory) -> Iterator[Region]:
    """Yield the regions that Rollcall wrote and a person took out of the sidecar, in the stored picture's frame."""
    if before is None or now is None:
        return
    ours = [Region(one.box, one.name) for one in memory.regions if not one.only_name]
    for region in (*ours, *memory.copied_faces):
        if _is_missing(region, before.regions, now.regions):
            yield region


def _is_missing(region: Region, before: Regions, now: Regions) -> bool:
    """Return whether a region is gone from a list of a program that knows this form; a moved or renamed one is not.

    That Microsoft's form is gone as a whole means nothing: programs drop what they do not know.
    """
    for name in ("mwg", "mp"):
        had, has = getattr(before, name) or (), getattr(now, name)
        if not any(one.name == region.name and same_place(one.box, region.box) for one in had):
            continue
        if has is None and name == "mp":
            continue
        if not any(similarity(one.box, region.box) is not None for one in has or ()):
            return True
    return False
