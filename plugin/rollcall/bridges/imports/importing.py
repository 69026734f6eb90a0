"""Import names into a library, photo by photo; what an import recorded is remembered, so that it can be undone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from rollcall import corrections
from rollcall.bridges import memory
from rollcall.bridges.base import Remembered
from rollcall.bridges.imports import attach
from rollcall.bridges.imports.attach import Change, ImportReport, People
from rollcall.bridges.imports.digikam import DigiKam
from rollcall.bridges.imports.names import NamesReader, PhotoNames, PhotoPlace
from rollcall.bridges.imports.osxphotos import OsxPhotos
from rollcall.bridges.imports.takeout import Takeout
from rollcall.bridges.memory import Memory
from rollcall.corrections import log, undo
from rollcall.errors import InvalidCorrectionError
from rollcall.records import TagState
from rollcall.settings import TagSettings
from rollcall.storage import revisions
from rollcall.storage.database import Database
from rollcall.storage.library import chunks
from rollcall.storage.tables import FacePersonRow, TagRow
from rollcall.tags import store
from rollcall.tags.rules import normalized_name

#: Programs whose names can be imported, with what reads them.
READERS: Final[dict[str, Callable[[Path], NamesReader]]] = {
    "digikam": DigiKam,
    "takeout": Takeout,
    "osxphotos": OsxPhotos,
}
Recorded = dict[str, list[str]]
#: How many photos are written in one transaction.
_PORTION: Final = 50


class Importing:
    """One import.

    Parameters
    ----------
    database
        The library.
    reader
        What reads the names.
    source
        The file or folder, as it is remembered.
    settings
        Of tags: names without a box become tags below `tags.prefix`.
    dry_run
        Write nothing.
    stop
        Ends the import after the portion in work when set.
    """

    def __init__(
        self,
        database: Database,
        reader: NamesReader,
        source: Path,
        settings: TagSettings,
        *,
        dry_run: bool = False,
        stop: threading.Event | None = None,
    ) -> None:
        self.database, self.reader, self.settings, self.dry_run = database, reader, settings, dry_run
        self.report = ImportReport()
        self.photo_ids: set[int] = set()  # of photos with faces that the networks have still to analyse
        self._stop = stop or threading.Event()
        self._memory = Memory(database, reader.name, str(source.resolve()))

    def run(self) -> ImportReport:
        """Import what is new since the last import from the same source.

        Raises
        ------
        StoreError
            If the database cannot be written.
        """
        known = self._memory.load()
        with self.database.read() as session:
            people = People.read(session)
            places = list(attach.photos(session))
        waiting = []
        for place in places:
            names = self.reader.names_of(place)
            if not names:
                continue
            self.report.photos += 1
            before = known.get(("photo", str(place.photo_id)))
            if before is None or before.value != _value(names):
                waiting.append((place, names, before))
        for portion in chunks(waiting, _PORTION):
            if self._stop.is_set():
                break
            with self.database.dry_run() if self.dry_run else self.database.write() as session:
                for place, names, before in portion:
                    self._photo(session, place, names, before, people)
        self.report.people = len(people.made)
        return self.report

    def _photo(
        self, session: Session, place: PhotoPlace, names: PhotoNames, before: Remembered | None, people: People
    ) -> None:
        faces = attach.faces_of(session, place.photo_id)
        found = list(attach.changes(names, faces, people, self.report))
        recorded = _recorded(before)
        given = attach.as_corrections(place.photo_id, found, people, self.report)
        if given:
            self._make_room(session, found)
            result = log.record(session, given, self.reader.name, self.settings)
            self.photo_ids |= result.photo_ids if result.undescribed else set()
            recorded["batches"].append(result.batch)
            drawn = [
                face for face, one in zip(result.face_ids, given, strict=True) if one.kind == "box" and face is not None
            ]
            self._name_drawn(session, drawn, [one.name for one in found if one.kind == "draw"], people, recorded)
        for change in found:
            if change.kind == "tag":
                self._tag(session, place.photo_id, change, recorded)
        row = Remembered("photo", str(place.photo_id), _value(names), "done", recorded)
        memory.put(session, self._memory.bridge, self._memory.server, row)

    @staticmethod
    def _make_room(session: Session, found: list[Change]) -> None:
        """Take faces that get a proposal out of the groups without a name that they may be in.

        A proposal is a hint, and does not replace what grouping found. Here it knows no name, so the hint knows more.
        """
        faces = [change.face_id for change in found if change.kind == "propose"]
        session.execute(delete(FacePersonRow).where(FacePersonRow.face_id.in_(faces), FacePersonRow.source == "auto"))
        revisions.mark_faces(session, [face_id for face_id in faces if face_id is not None])

    def _name_drawn(
        self, session: Session, faces: list[int], names: list[str], people: People, recorded: Recorded
    ) -> None:
        """Name faces that were just drawn: only now do they have numbers."""
        given: list[Any] = []
        for face_id, name in zip(faces, names, strict=True):
            uid, adding = people.uid(name)
            given += [*adding, corrections.person(face_id, uid)]
        if given:
            recorded["batches"].append(log.record(session, given, self.reader.name, self.settings).batch)

    def _tag(self, session: Session, photo_id: int, change: Change, recorded: Recorded) -> None:
        prefix = f"{self.settings.prefix}/" if self.settings.prefix else ""
        try:
            name = normalized_name(f"{prefix}{change.name.replace('/', '-')}")
        except InvalidCorrectionError:
            self._not_tagged("a name there cannot be a tag here")
            return
        stored = session.scalar(select(TagRow).where(TagRow.photo_id == photo_id, TagRow.name == name))
        if stored is not None and stored.state == TagState.APPLIED:
            self.report.tagged -= 1
            self.report.already_there += 1
        elif store.add_host_tag(session, photo_id, name):
            recorded["tags"].append(name)
        else:
            self._not_tagged("a person rejected the tag of the name for this photo")

    def _not_tagged(self, reason: str) -> None:
        self.report.tagged -= 1
        self.report.left_out[reason] += 1

    def undo(self) -> ImportReport:
        """Take back what all imports from this source recorded; what people decided since then stays.

        Raises
        ------
        StoreError
            If the database cannot be written.
        """
        rows = list(self._memory.load().values())
        for portion in chunks(rows, _PORTION):
            if self._stop.is_set():
                break
            with self.database.dry_run() if self.dry_run else self.database.write() as session:
                batches = {str(batch) for row in portion for batch in row.remote["batches"]}
                self.report.taken_back += undo.undo_batches(session, batches, self.settings).count
                for row in portion:
                    for name in row.remote["tags"]:
                        self.report.taken_back += store.remove_host_tag(session, int(row.key), str(name), self.settings)
                    memory.remove(session, self._memory.bridge, self._memory.server, row)
        return self.report


def _recorded(before: Remembered | None) -> Recorded:
    """Return what earlier imports recorded for a photo: batches of corrections, and tags."""
    known = {} if before is None else before.remote
    return {"batches": list(known.get("batches", [])), "tags": list(known.get("tags", []))}


def _value(names: PhotoNames) -> dict[str, Any]:
    regions = [[region.name, *(round(side, 4) for side in region.box)] for region in names.regions]
    return {"regions": regions, "names": list(names.names)}
