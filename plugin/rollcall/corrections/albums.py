"""Project what the log says about albums onto rows: the albums, and the photos that a person put into them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from rollcall.corrections.album_kinds import ALBUM_KINDS, ALBUM_PHOTO
from rollcall.corrections.log_lines import UNDO_KINDS, LogLine, effective, log_lines, of_a_photo
from rollcall.corrections.people_log import stated_people
from rollcall.search.references import Reference, renamed
from rollcall.search.roster import Roster, roster_of
from rollcall.storage import change_feed
from rollcall.storage.album_tables import AlbumPhotoRow, AlbumRow
from rollcall.storage.change_feed import ChangeKind
from rollcall.storage.library import now
from rollcall.storage.tables import CorrectionRow, PersonRow


@dataclass
class _Stated:
    """What the effective lines of the log state about one album."""

    name: str = ""
    shared: bool = False
    removed: bool = False
    query: Mapping[str, Any] = field(default_factory=dict)


def project_albums(session: Session) -> None:
    """Write what the log states about all albums into rows; their queries get the present names of people.

    Call it after lines about albums or people were added, undone, redone or imported.
    """
    session.flush()
    stated = _stated(session)
    rows = {row.uid: row for row in session.scalars(select(AlbumRow))}
    writer = _QueryWriter(session)
    changed = False
    for uid in sorted(set(stated) | set(rows)):
        one = stated.get(uid, _Stated())
        values = {
            "name": one.name,
            "query": writer.present(one.query),
            "language": one.query.get("language"),
            "min_probability": float(one.query.get("at_least", 0.5)),
            "shared": one.shared,
            # Without a name there is none: that it was made was undone, or its name is still to be imported.
            "removed": one.removed or not one.name,
        }
        row = rows.get(uid)
        if row is None:
            session.add(AlbumRow(uid=uid, created_at=now(), **values))
        elif any(getattr(row, name) != value for name, value in values.items()):
            for name, value in values.items():
                setattr(row, name, value)
        else:
            continue
        changed = True
    session.flush()
    if changed:
        change_feed.record(session, ChangeKind.ALBUMS_CHANGED, None)


def _stated(session: Session) -> dict[str, _Stated]:
    result: dict[str, _Stated] = {}
    for line in effective(log_lines(session, _about_albums())):
        if line.kind not in ALBUM_KINDS:
            continue
        one = result.setdefault(str(line.value["album"]), _Stated())
        match line.kind:
            case "album_name":
                one.name = str(line.value["name"])
            case "album_query":
                one.query = line.value
            case "album_shared":
                one.shared = bool(line.value["shared"])
            case "album_removed":
                one.removed = bool(line.value["removed"])
    return result


def _about_albums() -> ColumnElement[bool]:
    return or_(CorrectionRow.kind.in_(ALBUM_KINDS), and_(CorrectionRow.kind.in_(UNDO_KINDS), ~of_a_photo()))


class _QueryWriter:
    """Writes queries with the present names of people; those are read once, and only if a query names somebody."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._roster: Roster | None = None

    def present(self, stored: Mapping[str, Any]) -> str | None:
        """Return the query of a line of the log."""
        query = stored.get("query")
        names = stored.get("names") or ()
        if query is None or not names:
            return query
        if self._roster is None:
            self._roster = roster_of(self.session)
        wanted = [Reference(start, end, self._numbers(uids)) for start, end, uids in names]
        return renamed(str(query), wanted, self._roster)

    def _numbers(self, uids: Iterable[str]) -> tuple[int, ...]:
        people = stated_people(self.session)
        now_called = [people.uid(uid) for uid in uids]
        return tuple(sorted(self.session.scalars(select(PersonRow.id).where(PersonRow.uid.in_(now_called)))))


def project_album_photos(session: Session, logs: Mapping[int, Sequence[LogLine]]) -> None:
    """Write which albums photos were put into or taken out of, given the lines of the log about each, oldest first."""
    about = {key: log for key, log in logs.items() if any(line.kind == ALBUM_PHOTO for line in log)}
    if not about:
        return
    stored: dict[int, dict[str, AlbumPhotoRow]] = {photo_id: {} for photo_id in about}
    for row in session.scalars(select(AlbumPhotoRow).where(AlbumPhotoRow.photo_id.in_(list(about)))).all():
        stored[row.photo_id][row.album_uid] = row
    changed = [_project_album_photo(session, key, log, stored[key]) for key, log in about.items()]
    if any(changed):
        session.flush()
        change_feed.record(session, ChangeKind.ALBUMS_CHANGED, None)


def _project_album_photo(
    session: Session, photo_id: int, log: Sequence[LogLine], before: Mapping[str, AlbumPhotoRow]
) -> bool:
    """Write the albums of one photo, given its rows; return whether they change."""
    chosen = [line.value for line in effective(log) if line.kind == ALBUM_PHOTO]
    wanted = {str(value["album"]): bool(value["inside"]) for value in chosen}
    if {uid: row.inside for uid, row in before.items()} == wanted:
        return False
    for uid, row in before.items():
        if uid not in wanted:
            session.delete(row)
    for uid, inside in wanted.items():
        if uid in before:
            before[uid].inside = inside
        else:
            session.add(AlbumPhotoRow(album_uid=uid, photo_id=photo_id, inside=inside))
    return True
