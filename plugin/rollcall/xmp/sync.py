"""Keep photos, sidecars and the database in step: read what others changed, write what Rollcall knows."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session

from rollcall import events
from rollcall.corrections import archive
from rollcall.errors import LibraryError, PictureError, RemoteError
from rollcall.records import PhotoState
from rollcall.remote.copies import SHARED, at_hand
from rollcall.remote.paths import is_remote
from rollcall.settings import Settings
from rollcall.storage.change_feed import ChangeKind
from rollcall.storage.database import Database
from rollcall.storage.library import CHUNK, Place, chunks, now, paths_of, photo_ids_under
from rollcall.storage.tables import EventRow, HostMetadataRow, MetaRow, PhotoRow, SidecarRow
from rollcall.xmp import applying, content, embedded, files, packets, remote, wanted, writer
from rollcall.xmp import store as rows
from rollcall.xmp.applying import Applied
from rollcall.xmp.packets import BadPacketError
from rollcall.xmp.report import SidecarReport, SidecarStatus
from rollcall.xmp.wanted import Scope

log = logging.getLogger(__name__)
#: Keys in `meta`: the last change that sidecars were brought in line with, and the settings of that time.
_CURSOR: Final = "xmp cursor"
_SETTINGS: Final = "xmp settings"
#: After what time a sidecar that could not be written is tried again, in minutes.
_RETRY_MINUTES: Final = 10
_EVENTS: Final = 5000
_FULL: Final = "sidecars cannot be written, as the disk is full; make room, and run it again: it goes on where it ended"


class Sidecars:
    """Reads and writes sidecars. Use from one thread at a time, while no other process indexes."""

    def __init__(self, database: Database, settings: Settings, publish: events.Listener = events.ignore) -> None:
        self.database, self.settings, self.publish = database, settings, publish

    # ---- Following

    def is_due(self) -> bool:
        """Return whether there is anything to bring in line."""
        if not (self.settings.xmp.read or self.settings.xmp.writes):
            return False
        with self.database.read() as session:
            newest = session.scalar(select(func.max(EventRow.id))) or 0
            return (
                newest > _cursor(session)
                or session.scalar(select(HostMetadataRow.photo_id).where(HostMetadataRow.due).limit(1)) is not None
                or (self.settings.xmp.writes and _stored(session, _SETTINGS) != self._fingerprint())
                or bool(self.settings.xmp.writes and _to_retry(session))
            )

    def follow(self, seen: Iterable[Path] = (), stop: threading.Event | None = None) -> set[int]:
        """Bring everything in line that changed since the last time.

        Parameters
        ----------
        seen
            Sidecars that a scan or the watcher found new, changed or gone.
        stop
            Ends the work soon when set; the rest is done the next time.

        Returns
        -------
        The numbers of photos with faces that the networks have still to analyse.
        """
        xmp = self.settings.xmp
        with self.database.read() as session:
            newest = session.scalar(select(func.max(EventRow.id))) or 0
            cursor = _cursor(session)
            everything = xmp.writes and _stored(session, _SETTINGS) != self._fingerprint()
            again = set(_to_retry(session)) if xmp.writes else set()
        changed = set(self._changed(cursor))
        result = Applied()
        if xmp.read:
            SHARED.list_anew()
            for path in seen:
                changed |= self._read_seen(path)
            self._read_photos(changed, with_embedded=False, stop=stop)
            result.add(self._apply_due(stop))
        if xmp.writes:
            todo = self._indexed() if everything else iter(sorted(changed | again | result.photo_ids))
            self._write(todo, None, SidecarReport(), stop)
        if stop is None or not stop.is_set():
            with self.database.write() as session:
                _store(session, _CURSOR, str(newest))
                if xmp.writes:
                    _store(session, _SETTINGS, self._fingerprint())
        if result.corrections:
            archive.append(self.database)
        return result.undescribed

    def _changed(self, cursor: int) -> Iterator[int]:
        """Yield the photos of the changes behind a cursor, and those of people who were renamed."""
        people = False
        while True:
            with self.database.read() as session:
                found = session.execute(
                    select(EventRow.id, EventRow.photo_id, EventRow.kind)
                    .where(EventRow.id > cursor)
                    .order_by(EventRow.id)
                    .limit(_EVENTS)
                ).all()
            if not found:
                break
            yield from {photo_id for _, photo_id, _ in found if photo_id is not None}
            people = people or any(kind == ChangeKind.PEOPLE_CHANGED for _, _, kind in found)
            cursor = found[-1][0]
        if people and self.settings.xmp.writes:
            with self.database.read() as session:
                renamed = rows.renamed(session)
            yield from renamed

    def _indexed(self, places: Sequence[Place] = ()) -> Iterator[int]:
        """Yield the numbers of the photos that are indexed, of some places or all."""
        after = 0
        while True:
            statement = select(PhotoRow.id).where(PhotoRow.id > after, PhotoRow.state == PhotoState.INDEXED)
            if places:
                statement = statement.where(or_(*(PhotoRow.id.in_(photo_ids_under(place)) for place in places)))
            with self.database.read() as session:
                found = session.scalars(statement.order_by(PhotoRow.id).limit(CHUNK)).all()
            if not found:
                return
            yield from found
            after = found[-1]

    def _fingerprint(self) -> str:
        """Return a digest of the settings that decide what is written."""
        settings = (self.settings.xmp.model_dump(), self.settings.tags.precision)
        return hashlib.sha256(repr(settings).encode()).hexdigest()

    # ---- Reading

    def read(self, places: Sequence[Place], *, stop: threading.Event | None = None) -> tuple[SidecarReport, set[int]]:
        """Read the photos of some places, or all, and their sidecars again, and bring everything in line.

        Returns what was done, and the photos with faces that the networks have still to analyse.
        """
        report = SidecarReport()
        for part in _parts(self._indexed(places)):
            report.read += self._read_photos(part, with_embedded=True, stop=stop)
            if stop is not None and stop.is_set():
                break
        result = self._apply_due(stop)
        report.corrections = result.corrections
        if result.corrections:
            archive.append(self.database)
        return report, result.undescribed

    def _read_seen(self, sidecar: Path) -> set[int]:
        """Return the photos that a sidecar may belong to, by its name."""
        found: set[int] = set()
        with self.database.read() as session:
            if is_remote(sidecar):
                return remote.photos_of(session, sidecar) | rows.with_sidecar(session, sidecar)
            named = [sidecar.with_name(sidecar.stem), *files.photos_of(sidecar)]
            for path in dict.fromkeys(named):
                photo_id = rows.photo_at(session, path)
                if photo_id is not None:
                    found.add(photo_id)
            found |= rows.with_sidecar(session, sidecar)
        return found

    def _read_photos(self, photo_ids: Iterable[int], *, with_embedded: bool, stop: threading.Event | None) -> int:
        """Read the sidecars of photos, and with `with_embedded` the photos; return how many said something new."""
        count = 0
        for part in chunks(sorted(photo_ids)):
            # Most have no sidecar, and queries for each photo took longer than looking beside it.
            with self.database.read() as session:
                paths = paths_of(session, part)
                known = rows.read_for(session, part)
            for photo_id, path in paths.items():
                if stop is not None and stop.is_set():
                    return count
                if not (is_remote(path) or files.stat_of(path)):
                    continue
                if with_embedded or is_remote(path) or photo_id in known or files.existing(path) is not None:
                    count += self._read_photo(photo_id, path, with_embedded=with_embedded)
        return count

    def _read_photo(self, photo_id: int, path: Path, *, with_embedded: bool) -> int:
        """Read the sidecar of a photo, and the photo too if asked to; return how many of the two said something new."""
        if not is_remote(path):
            return self._read_sidecar(photo_id, path) + (with_embedded and self._read_embedded(photo_id, path))
        with self.database.read() as session:
            row = session.get(HostMetadataRow, (photo_id, "sidecar"))
        try:
            count = 0
            if not remote.is_as_read(path, row):
                with remote.existing(path, self.settings) as found:
                    count += self._read_found(photo_id, *(found or (None, None, path)))
            if with_embedded:
                with at_hand(path, self.settings) as copy:
                    count += self._read_embedded(photo_id, copy)
            return count
        except (OSError, RemoteError) as error:
            # It is not known as it is now, so the next scan yields it again.
            log.warning("%s: its metadata is read the next time (%s)", path, type(error).__name__)
            return 0

    def _read_embedded(self, photo_id: int, path: Path) -> bool:
        try:
            found = embedded.of_file(path, self.settings.decode.max_seconds)
        except PictureError:
            return False  # the photo has failed, and its row says why
        with self.database.write() as session:
            row = session.get(HostMetadataRow, (photo_id, "embedded"))
            if row is None and found.is_empty:
                return False
            if row is None:
                row = HostMetadataRow(photo_id=photo_id, place="embedded", file="", content={}, due=True)
                session.add(row)
            new = row.content != found.to_json() or row.applied is None
            row.content, row.due = found.to_json(), row.due or new
            return new

    def _read_sidecar(self, photo_id: int, photo: Path) -> bool:
        """Read the sidecar of a photo if it changed; return whether it says something new."""
        path = files.existing(photo)
        return self._read_found(photo_id, path, None if path is None else files.stat_of(path), path or photo)

    def _read_found(self, photo_id: int, path: Path | None, stat: files.SidecarStat | None, here: Path) -> bool:
        """Do so with the sidecar at a path, of which `here` is what is read; None: there is none."""
        with self.database.read() as session:
            row = session.get(HostMetadataRow, (photo_id, "sidecar"))
            if path is not None and (stat is None or rows.is_known(row, path, stat)):
                return False
        if path is None:
            if row is not None:
                with self.database.write() as session:
                    applying.forget_sidecar(session, photo_id, self.settings.tags)
            return row is not None
        problem, found, data = None, None, b""
        try:
            data, read = files.read(here, self.settings.decode.max_seconds)
            # What a copy is like says nothing.
            stat = read if here == path else stat
            found = content.read(packets.parse(data))
        except BadPacketError as error:
            problem = f"{error}; correct it or remove it"
        except PictureError as error:
            problem = error.reason
        with self.database.write() as session:
            if stat is not None:
                if found is not None:
                    writer.resolve_intent(session, photo_id, path, stat, data)
                if not rows.is_known(session.get(HostMetadataRow, (photo_id, "sidecar")), path, stat):
                    rows.store_sidecar(session, photo_id, path, stat, found, problem=problem)
        if problem is not None and (row is None or row.problem != problem):
            self.publish(events.Warned(f"{path}: the sidecar cannot be read: {problem}"))
        return found is not None

    def _apply_due(self, stop: threading.Event | None) -> Applied:
        result, after = Applied(), 0
        while stop is None or not stop.is_set():
            with self.database.write() as session:
                part = applying.due(session, after, CHUNK)
                for photo_id in part:
                    result.add(applying.apply(session, photo_id, self.settings.tags))
            if not part:
                break
            after = part[-1]
        return result

    # ---- Writing

    def write(
        self,
        places: Sequence[Place],
        scope: Scope | None,
        *,
        dry_run: bool = False,
        stop: threading.Event | None = None,
    ) -> SidecarReport:
        """Bring the sidecars of the photos of some places, or of all, in line with what Rollcall knows.

        With the scope "none" everything of Rollcall's is taken out of them; None: as the settings have it.
        A full disk ends it with a `LibraryError`.
        """
        report = SidecarReport()
        if scope == "none":
            todo: Iterator[int] = iter(self._written(places))
        else:
            todo = self._indexed(places)
        self._write(todo, scope, report, stop, dry_run=dry_run, until_full=True)
        return report

    def _written(self, places: Sequence[Place]) -> list[int]:
        """Return the photos in whose sidecars something is Rollcall's."""
        statement = select(SidecarRow.photo_id).order_by(SidecarRow.photo_id)
        if places:
            statement = statement.where(or_(*(SidecarRow.photo_id.in_(photo_ids_under(place)) for place in places)))
        with self.database.read() as session:
            return list(session.scalars(statement))

    def _write(
        self,
        photo_ids: Iterator[int],
        scope: Scope | None,
        report: SidecarReport,
        stop: threading.Event | None,
        *,
        dry_run: bool = False,
        until_full: bool = False,
    ) -> None:
        failed: dict[Path, str] = {}
        left: set[Path] = set()
        for photo_id in photo_ids:
            if stop is not None and stop.is_set():
                return
            with self.database.read() as session:
                found = wanted.photo_path(session, photo_id)
            if found is None or (scope is None and wanted.scope(*found, self.settings.xmp) == "none"):
                continue
            path = found[0]
            if is_remote(path):
                left.add(path)
                continue
            reason = failed.get(path.parent)
            if reason is None:
                result = writer.write(self.database, photo_id, self.settings, scope, dry_run=dry_run)
                report.add(result)
                if result.state != "problem":
                    continue
                if result.full and until_full:
                    raise LibraryError(path.parent, _FULL)
                reason = result.reason
                if not result.of_file:
                    failed[path.parent] = reason
            else:
                report.problems.append((str(path), reason))
            if not dry_run:
                self._store_problem(photo_id, path, reason)
        if left:
            number = "1 photo lies" if len(left) == 1 else f"{len(left):,} photos lie"
            self.publish(events.Warned(f"{number} in remote folders, where nothing is written: no sidecars were made"))

    def _store_problem(self, photo_id: int, path: Path, reason: str) -> None:
        """Store why a sidecar could not be written; warn once of the same trouble in a folder."""
        again = datetime.now(UTC) + timedelta(minutes=_RETRY_MINUTES)
        text = f"{path.parent}: sidecars cannot be written ({reason}); they are written as soon as that passes"
        with self.database.write() as session:
            known = session.scalar(select(SidecarRow.photo_id).where(SidecarRow.problem == text).limit(1))
            row = rows.sidecar_row(session, photo_id)
            row.problem = text
            row.retry_at = again.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if known is None:
            self.publish(events.Warned(text))

    # ---- What is known

    def status(self, places: Sequence[Place]) -> SidecarStatus:
        """Return how many photos have sidecars, were read and written, and what went wrong."""
        with self.database.read() as session:
            return rows.status(session, places, self.settings.xmp.writes)


def _parts(numbers: Iterator[int]) -> Iterator[list[int]]:
    part: list[int] = []
    for number in numbers:
        part.append(number)
        if len(part) >= CHUNK:
            yield part
            part = []
    if part:
        yield part


def _to_retry(session: Session) -> list[int]:
    return list(session.scalars(select(SidecarRow.photo_id).where(SidecarRow.retry_at <= now())))


def _cursor(session: Session) -> int:
    with suppress(ValueError):
        return int(_stored(session, _CURSOR))
    return 0


def _stored(session: Session, key: str) -> str:
    return session.scalar(select(MetaRow.value).where(MetaRow.key == key)) or ""


def _store(session: Session, key: str, value: str) -> None:
    session.execute(delete(MetaRow).where(MetaRow.key == key))
    session.add(MetaRow(key=key, value=value))
