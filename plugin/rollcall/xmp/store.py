"""The rows of what other programs say, and of what Rollcall wrote."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from rollcall.media import paths
from rollcall.records import Picture
from rollcall.storage.library import Place as LibraryPlace
from rollcall.storage.library import locate, path_of, photo_ids_under
from rollcall.storage.tables import (
    FacePersonRow,
    FaceRow,
    HostMetadataRow,
    PersonNameRow,
    PhotoRow,
    SidecarRow,
)
from rollcall.xmp import embedded
from rollcall.xmp.content import Content
from rollcall.xmp.files import SidecarStat
from rollcall.xmp.memory import Memory
from rollcall.xmp.report import SidecarStatus

Place = Literal["embedded", "sidecar"]


def store_embedded(session: Session, photo_id: int, picture: Picture, *, new: bool) -> None:
    """Store what a picture that was just analysed holds; `new`: nothing is stored of the photo yet.

    Faces that were found anew are matched with regions again, whether those changed or not.
    """
    found = embedded.of_blocks(picture.xmp, picture.keywords)
    rows = [] if new else of_photos(session, [photo_id])
    for row in rows:
        row.due = True
    known = next((one for one in rows if one.place == "embedded"), None)
    if known is not None:
        known.content = found.to_json()
    elif not found.is_empty:
        session.add(HostMetadataRow(photo_id=photo_id, place="embedded", file="", content=found.to_json(), due=True))


def of_photos(session: Session, photo_ids: Sequence[int]) -> list[HostMetadataRow]:
    """Return what other programs say of some photos."""
    return list(
        session.scalars(
            select(HostMetadataRow)
            .where(HostMetadataRow.photo_id.in_(photo_ids))
            .order_by(HostMetadataRow.photo_id, HostMetadataRow.place)
        )
    )


def content_of(session: Session, photo_id: int, place: Place) -> Content:
    """Return what was read last of a photo itself or of its sidecar; nothing where there is none."""
    row = session.get(HostMetadataRow, (photo_id, place))
    return Content() if row is None else Content.from_json(row.content)


def contents_of(session: Session, photo_id: int) -> dict[str, Content]:
    """Return what was read last of a photo itself and of its sidecar, by place."""
    return {row.place: Content.from_json(row.content) for row in of_photos(session, [photo_id])}


def memory_of(session: Session, photo_id: int) -> Memory:
    """Return what was written last to the sidecar of a photo."""
    row = session.get(SidecarRow, photo_id)
    return Memory() if row is None else Memory.from_json(row.written)


def sidecar_row(session: Session, photo_id: int) -> SidecarRow:
    """Return the row of what was written for a photo, which is made if there is none."""
    row = session.get(SidecarRow, photo_id)
    if row is None:
        row = SidecarRow(photo_id=photo_id, written=Memory().to_json())
        session.add(row)
    return row


def store_sidecar(
    session: Session,
    photo_id: int,
    path: Path,
    stat: SidecarStat,
    content: Content | None,
    *,
    applied: bool = False,
    problem: str | None = None,
) -> None:
    """Store what a sidecar says, read at `stat`.

    Parameters
    ----------
    content
        None: it could not be read, because of the `problem`; what was read before stays.
    applied
        Rollcall has just written it: nothing in it is news.
    """
    row = session.get(HostMetadataRow, (photo_id, "sidecar"))
    if row is None:
        row = HostMetadataRow(photo_id=photo_id, place="sidecar", content={}, due=False)
        session.add(row)
    row.file = paths.to_text(path.name)
    row.size, row.mtime_ns, row.ctime_ns = stat.size, stat.mtime_ns, stat.ctime_ns
    row.problem = problem
    if content is None:
        return
    stored = content.to_json()
    row.due = not applied and (row.due or row.content != stored or row.applied is None)
    row.content = stored
    if applied:
        row.applied = stored


def is_known(row: HostMetadataRow | None, path: Path, stat: SidecarStat) -> bool:
    """Return whether a sidecar is as it was when it was read or written last."""
    known = None if row is None else (row.file, row.size, row.mtime_ns, row.ctime_ns)
    return known == (paths.to_text(path.name), stat.size, stat.mtime_ns, stat.ctime_ns)


def photo_at(session: Session, path: Path) -> int | None:
    """Return the number of the photo at an absolute path; None if there is none."""
    place = locate(session, path.parent, resolve=False)
    if place is None:
        return None
    below = f"{place.prefix}/{paths.to_text(path.name)}" if place.prefix else paths.to_text(path.name)
    return session.scalar(select(PhotoRow.id).where(PhotoRow.root_id == place.root_id, PhotoRow.path == below))


def read_for(session: Session, photo_ids: Sequence[int]) -> set[int]:
    """Return those of some photos of which a sidecar was read."""
    found = select(HostMetadataRow.photo_id).where(
        HostMetadataRow.photo_id.in_(photo_ids), HostMetadataRow.place == "sidecar"
    )
    return set(session.scalars(found))


def with_sidecar(session: Session, sidecar: Path) -> set[int]:
    """Return the photos that a sidecar, which may be gone, was read for."""
    place = locate(session, sidecar.parent, resolve=False)
    if place is None:
        return set()
    prefix = f"{place.prefix}/" if place.prefix else ""
    found = session.execute(
        select(PhotoRow.id, PhotoRow.path)
        .join(HostMetadataRow, HostMetadataRow.photo_id == PhotoRow.id)
        .where(
            HostMetadataRow.place == "sidecar",
            HostMetadataRow.file == paths.to_text(sidecar.name),
            PhotoRow.root_id == place.root_id,
        )
    )
    return {photo_id for photo_id, path in found if path.rpartition("/")[0] == prefix.rstrip("/")}


def known_sidecars(session: Session, place: LibraryPlace) -> dict[str, tuple[int | None, int | None, int | None]]:
    """Return size and times of the known sidecars in a place, by their paths below the root."""
    found = session.execute(
        select(
            PhotoRow.path,
            HostMetadataRow.file,
            HostMetadataRow.size,
            HostMetadataRow.mtime_ns,
            HostMetadataRow.ctime_ns,
        )
        .join(HostMetadataRow, HostMetadataRow.photo_id == PhotoRow.id)
        .where(HostMetadataRow.place == "sidecar", PhotoRow.id.in_(photo_ids_under(place)))
    )
    return {
        "/".join((*path.split("/")[:-1], file)): (size, mtime_ns, ctime_ns)
        for path, file, size, mtime_ns, ctime_ns in found
    }


def renamed(session: Session) -> set[int]:
    """Return the photos in whose sidecars names stand that people have no more, or lack names that they have now."""
    names = {
        face_id: (photo_id, name)
        for face_id, photo_id, name in session.execute(
            select(FaceRow.id, FaceRow.photo_id, PersonNameRow.name)
            .join(FacePersonRow, FacePersonRow.face_id == FaceRow.id)
            .join(PersonNameRow, PersonNameRow.person_id == FacePersonRow.person_id)
            .where(PersonNameRow.position == 0, FacePersonRow.state == "confirmed", FacePersonRow.source != "host")
        )
    }
    result: set[int] = set()
    for photo_id, written in session.execute(select(SidecarRow.photo_id, SidecarRow.written)):
        for one in Memory.from_json(written).regions:
            _, name = names.pop(one.face_id, (photo_id, ""))
            if name != one.name:
                result.add(photo_id)
    return result | {photo_id for photo_id, _ in names.values()}


def status(session: Session, places: Sequence[LibraryPlace], writing: bool) -> SidecarStatus:
    """Return what is known of sidecars, in some places or all."""
    photos = select(PhotoRow.id)
    if places:
        photos = photos.where(or_(*(PhotoRow.id.in_(photo_ids_under(one)) for one in places)))

    def count(statement: Select[Any]) -> int:
        return session.scalar(statement) or 0

    stated = select(func.count()).select_from(HostMetadataRow).where(HostMetadataRow.photo_id.in_(photos))
    written = select(SidecarRow).where(SidecarRow.photo_id.in_(photos))
    problems: dict[str, str] = {}
    for row in session.scalars(select(HostMetadataRow).where(HostMetadataRow.problem.is_not(None))):
        path = path_of(session, row.photo_id)
        if path is not None:
            problems[str(path.with_name(paths.from_text(row.file)))] = row.problem or ""
    memories = list(session.scalars(written))
    for one in memories:
        if one.problem:
            problems[str(path_of(session, one.photo_id))] = one.problem
    return SidecarStatus(
        writing,
        count(stated.where(HostMetadataRow.place == "embedded")),
        count(stated.where(HostMetadataRow.place == "sidecar")),
        sum(not Memory.from_json(one.written).is_empty for one in memories),
        count(
            select(func.count())
            .select_from(FaceRow)
            .where(FaceRow.photo_id.in_(photos), FaceRow.given_by_host, ~FaceRow.detected, FaceRow.present)
        ),
        problems,
    )
