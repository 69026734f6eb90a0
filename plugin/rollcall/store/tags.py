"""Tags: set and taken away by hosts, counted, and made anew for the whole library when settings changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from rollcall import names, tagging
from rollcall.corrections import tag_name
from rollcall.errors import CorrectionError
from rollcall.settings import TagSettings
from rollcall.store import journal, results
from rollcall.store.photos import CHUNK, now
from rollcall.store.tables import Photo, PhotoGroup, Root, TagRow


class TagCount(NamedTuple):
    """How often a tag is used."""

    name: str
    applied: int
    suggested: int
    rejected: int


class Change(NamedTuple):
    """What making the automatic tags anew does to one tag of one photo; a state of None means: not there."""

    photo_id: int
    path: str
    tag: str
    before: str | None
    after: str | None
    probability: float | None


def add(session: Session, photo_id: int, name: str) -> bool:
    """Set a tag for a host; False, and nothing is done, if a person has rejected it.

    Raises
    ------
    CorrectionError
        If there is no such photo, or the name is empty.
    """
    name = tag_name(name)
    if session.get(Photo, photo_id) is None:
        raise CorrectionError(f"there is no photo {photo_id}; `rollcall search --json` shows their numbers")
    row = session.scalar(select(TagRow).where(TagRow.photo_id == photo_id, TagRow.name == name))
    if row is not None and row.source == "user":
        return row.state == "applied"
    if row is None:
        row = TagRow(photo_id=photo_id, name=name, created_at=now())
        session.add(row)
    row.source, row.state, row.probability = "host", "applied", None
    journal.note(session, "tags_changed", photo_id)
    return True


def remove(session: Session, photo_id: int, name: str, settings: TagSettings) -> bool:
    """Take away a tag that a host set; False if there is none of a host's."""
    row = session.scalar(
        select(TagRow).where(TagRow.photo_id == photo_id, TagRow.name == tag_name(name), TagRow.source == "host")
    )
    if row is None:
        return False
    session.delete(row)
    session.flush()
    journal.note(session, "tags_changed", photo_id)
    results.refresh(session, photo_id, settings)
    return True


def counts(session: Session) -> list[TagCount]:
    """Return all tags in use, in the order of their names."""
    columns = (func.sum(case((TagRow.state == state, 1), else_=0)) for state in ("applied", "suggested", "rejected"))
    rows = session.execute(select(TagRow.name, *columns).group_by(TagRow.name).order_by(TagRow.name))
    return [TagCount(name, int(applied), int(suggested), int(rejected)) for name, applied, suggested, rejected in rows]


def changes(session: Session, settings: TagSettings, after: int = 0) -> Iterator[tuple[int, list[Change]]]:
    """Yield, for parts of the library in turn, the last photo's number and what the settings would change there."""
    rules = tagging.rules(settings)
    while True:
        photos = session.execute(
            select(Photo.id, Root.path, Photo.path, Photo.face_count)
            .join(Root, Root.id == Photo.root_id)
            .where(Photo.id > after, Photo.face_count.is_not(None))
            .order_by(Photo.id)
            .limit(CHUNK)
        ).all()
        if not photos:
            return
        ids = [row[0] for row in photos]
        chances: dict[int, dict[str, list[float]]] = {}
        for photo_id, name, probability in session.execute(
            select(PhotoGroup.photo_id, PhotoGroup.name, PhotoGroup.probability).where(
                PhotoGroup.photo_id.in_(ids), PhotoGroup.at_least == 1
            )
        ):
            chances.setdefault(photo_id, {})[name] = [probability]
        have: dict[int, list[TagRow]] = {}
        for one in session.scalars(select(TagRow).where(TagRow.photo_id.in_(ids))):
            have.setdefault(one.photo_id, []).append(one)
        found: list[Change] = []
        for photo_id, root, path, face_count in photos:
            shown = names.from_text(f"{root.rstrip('/')}/{path}")
            wanted = {tag.name: tag for tag in tagging.tags(chances.get(photo_id, {}), face_count or 0, rules)}
            rows = {one.name: one for one in have.get(photo_id, [])}
            for name in sorted({*wanted, *rows}):
                row, tag = rows.get(name), wanted.get(name)
                if row is not None and (row.source != "auto" or row.state == "rejected"):
                    continue
                before, state = (None if row is None else row.state), (None if tag is None else tag.state)
                if before != state:
                    found.append(Change(photo_id, shown, name, before, state, None if tag is None else tag.probability))
        yield ids[-1], found
        after = ids[-1]


def apply(session: Session, photo_ids: Sequence[int], settings: TagSettings) -> None:
    """Make the automatic tags of some photos anew."""
    for photo_id in photo_ids:
        results.refresh(session, photo_id, settings)
