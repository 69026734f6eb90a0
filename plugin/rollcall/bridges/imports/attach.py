"""Give faces the names that another program has for them.

A region that covers a face names it, as confirmed by whoever named it there; one that covers none becomes a face. A
name without a box is proposed for the face where the photo shows a single one, and else kept as a tag of the photo.
What a person decided here stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from rollcall import corrections
from rollcall.bridges.base import best_cover
from rollcall.bridges.imports.names import NamedRegion, PhotoNames, PhotoPlace
from rollcall.corrections.kinds import Correction
from rollcall.errors import InvalidCorrectionError
from rollcall.media import paths
from rollcall.records import Box
from rollcall.search.folding import fold
from rollcall.storage.library import CHUNK
from rollcall.storage.tables import PersonNameRow, PersonRow


@dataclass
class ImportReport:
    """What an import of names did, or with `dry_run` would do."""

    photos: int = 0  # of this library that the other program knows people on
    named: int = 0  # faces that got a name
    drawn: int = 0  # of these, faces that the detector had not found
    ignored: int = 0  # faces that are left out from now on, as they are there
    proposed: int = 0  # names without a box, proposed for the only face of their photo
    tagged: int = 0  # names without a box, kept as a tag of their photo
    people: int = 0  # people who were not known here
    already_there: int = 0
    left_out: Counter[str] = field(default_factory=Counter)  # by reason
    taken_back: int = 0  # with `undo`: decisions and tags


class StoredFace(NamedTuple):
    """A face of a photo as it is now."""

    face_id: int
    box: Box
    name: str | None  # of whom it is, if a person confirmed that
    proposed: str | None = None  # of whom it may be, as grouping found


class Change(NamedTuple):
    """One thing that an import does to a photo."""

    kind: str  # name, draw, ignore, propose, tag
    name: str
    face_id: int | None = None
    box: Box | None = None


@dataclass
class People:
    """The uids of people by their folded names."""

    uids: dict[str, set[str]]
    made: dict[str, str] = field(default_factory=dict)  # folded name to the uid of one that this import adds

    @classmethod
    def read(cls, session: Session) -> People:
        """Return all people with names."""
        found: dict[str, set[str]] = {}
        rows = session.execute(
            select(PersonNameRow.folded, PersonRow.uid).join(PersonRow, PersonRow.id == PersonNameRow.person_id)
        )
        for folded, uid in rows:
            found.setdefault(folded, set()).add(uid)
        return cls(found)

    def is_ambiguous(self, name: str) -> bool:
        """Return whether several people have a name."""
        return len(self.uids.get(fold(name), ())) > 1

    def uid(self, name: str) -> tuple[str, list[Correction]]:
        """Return the uid of a person, and the corrections that add them."""
        folded = fold(name)
        if folded in self.uids:
            return next(iter(self.uids[folded])), []
        uid = corrections.new_uid()
        self.uids[folded], self.made[folded] = {uid}, uid
        return uid, [corrections.person_name(uid, [name])]


def photos(session: Session) -> Iterator[PhotoPlace]:
    """Yield all photos that are indexed."""
    sql = (
        "SELECT photo_id, root, path, width, height, orientation FROM v1_photos"
        " WHERE faces IS NOT NULL AND photo_id > :after ORDER BY photo_id LIMIT :count"
    )
    after = 0
    while rows := session.execute(text(sql), {"after": after, "count": CHUNK}).all():
        for row in rows:
            file = f"{paths.from_text(row.root).rstrip('/')}/{paths.from_text(row.path)}"
            yield PhotoPlace(row.photo_id, Path(file), row.width or 0, row.height or 0, row.orientation or 1)
        after = rows[-1].photo_id


def faces_of(session: Session, photo_id: int) -> list[StoredFace]:
    """Return the faces of a photo that are shown."""
    rows = session.execute(
        text(
            "SELECT face_id, x, y, width, height, person, person_state FROM v1_faces WHERE photo_id = :one"
            " ORDER BY face_id"
        ),
        {"one": photo_id},
    )
    return [
        StoredFace(
            row.face_id,
            Box(row.x, row.y, row.width, row.height),
            row.person if row.person_state == "confirmed" else None,
            row.person if row.person_state == "proposed" else None,
        )
        for row in rows
    ]


def changes(names: PhotoNames, faces: list[StoredFace], people: People, report: ImportReport) -> Iterator[Change]:
    """Yield what has to be done so that a photo's faces have another program's names."""
    free = list(faces)
    for region in names.regions:
        index = best_cover(region.box, [face.box for face in free])
        face = None if index is None else free.pop(index)
        yield from _of_region(region, face, people, report)
    known = {fold(name) for face in faces for name in (face.name, face.proposed) if name}
    open_names = [name for name in dict.fromkeys(names.names) if fold(name) not in known]
    report.already_there += len(names.names) - len(open_names)
    single = len(names.names) == 1 and not names.regions and len(faces) == 1
    for name in open_names:
        if single and faces[0].name is None and faces[0].proposed is None and not people.is_ambiguous(name):
            yield Change("propose", name, faces[0].face_id)
        else:
            yield Change("tag", name)


def _of_region(region: NamedRegion, face: StoredFace | None, people: People, report: ImportReport) -> Iterator[Change]:
    if region.name is None:
        if face is not None and face.name is None:
            yield Change("ignore", "", face.face_id)
        elif face is not None:
            report.left_out["a face that is ignored there has a name here, which stays"] += 1
        return
    if people.is_ambiguous(region.name):
        report.left_out["several people here have this name; merge them, or give them different names"] += 1
    elif face is None:
        yield Change("draw", region.name, box=region.box)
    elif face.name is None:
        yield Change("name", region.name, face.face_id)
    elif fold(face.name) == fold(region.name):
        report.already_there += 1
    else:
        report.left_out["a face has another name here, which stays"] += 1


def as_corrections(photo_id: int, found: Iterable[Change], people: People, report: ImportReport) -> list[Correction]:
    """Return the corrections of changes, without those for drawn faces' names and for tags."""
    made: list[Correction] = []
    for change in found:
        try:
            made += _corrections_of(photo_id, change, people)
        except InvalidCorrectionError:
            report.left_out["a name or a region there cannot be one here"] += 1
            continue
        counter = {"name": "named", "draw": "named", "ignore": "ignored", "propose": "proposed", "tag": "tagged"}
        setattr(report, counter[change.kind], getattr(report, counter[change.kind]) + 1)
        report.drawn += change.kind == "draw"
    return made


def _corrections_of(photo_id: int, change: Change, people: People) -> list[Correction]:
    if change.kind == "ignore":
        assert change.face_id is not None
        return [corrections.ignore(change.face_id)]
    if change.kind == "draw":
        assert change.box is not None
        corrections.person_name("check", [change.name])  # raises if it cannot be a name
        return [corrections.draw(photo_id, change.box)]
    if change.kind in ("name", "propose"):
        assert change.face_id is not None
        uid, adding = people.uid(change.name)
        make = corrections.person if change.kind == "name" else corrections.member
        return [*adding, make(change.face_id, uid)]
    return []
