"""Tags in the database: set and removed for hosts, counted, and recomputed for the whole library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rollcall.errors import NotFoundError
from rollcall.media import paths
from rollcall.records import TagSource, TagState
from rollcall.settings import TagSettings
from rollcall.storage import change_feed
from rollcall.storage.change_feed import ChangeKind
from rollcall.storage.library import CHUNK, now
from rollcall.storage.tables import PhotoGroupRow, PhotoRow, RootRow, TagRow
from rollcall.tags import names, projection
from rollcall.tags.rules import Tag, automatic_tags, normalized_name, tag_rules


class TagCount(NamedTuple):
    """A tag in use, and how many photos have it by its state."""

    name: str
    applied: int
    suggested: int
    rejected: int


class TagChange(NamedTuple):
    """How recomputing changes one tag of one photo; a state of None means that the photo does not have it."""

    photo_id: int
    path: str  # root and path together
    tag: str  # its full name
    before: str | None
    after: str | None
    probability: float | None


def add_host_tag(session: Session, photo_id: int, name: str) -> bool:
    """Set a tag for a host; return False, and do nothing, if a person has rejected it.

    Raises
    ------
    NotFoundError
        If there is no such photo.
    InvalidCorrectionError
        If the name cannot be a tag.
    """
    name = normalized_name(name)
    if session.get(PhotoRow, photo_id) is None:
        raise NotFoundError("photo", photo_id)
    row = session.scalar(select(TagRow).where(TagRow.photo_id == photo_id, TagRow.name == name))
    if row is not None and row.source == TagSource.USER:
        return row.state == TagState.APPLIED
    if row is None:
        row = TagRow(photo_id=photo_id, name=name, created_at=now())
        session.add(row)
    row.source, row.state, row.probability = TagSource.HOST, TagState.APPLIED, None
    change_feed.record(session, ChangeKind.TAGS_CHANGED, photo_id)
    return True


def remove_host_tag(session: Session, photo_id: int, name: str, settings: TagSettings) -> bool:
    """Remove a tag that a host set; return False if no host set it.

    Raises
    ------
    InvalidCorrectionError
        If the name cannot be a tag.
    """
    name = normalized_name(name)
    of_host = select(TagRow).where(TagRow.photo_id == photo_id, TagRow.source == TagSource.HOST)
    row = session.scalar(of_host.where(TagRow.name.in_((name, name.replace("/", "|")))).order_by(TagRow.name))
    if row is None:
        return False
    session.delete(row)
    session.flush()
    change_feed.record(session, ChangeKind.TAGS_CHANGED, photo_id)
    projection.recompute(session, photo_id, settings)
    return True


def counts(session: Session) -> list[TagCount]:
    """Return all tags in use, in the order of their names."""
    found: dict[str, dict[str, int]] = {}
    # As the index has them: it is counted without a look at any tag.
    rows = select(TagRow.name, TagRow.state, func.count()).group_by(TagRow.name, TagRow.state).order_by(TagRow.name)
    for name, state, count in session.execute(rows):
        found.setdefault(name, {})[state] = int(count)
    return [TagCount(name, *(states.get(state, 0) for state in TagState)) for name, states in found.items()]


def changes(session: Session, settings: TagSettings, after: int = 0) -> Iterator[tuple[int, list[TagChange]]]:
    """Yield for each portion of photos the last photo's number and how the settings change their automatic tags.

    Only photos with a number above `after` are read.
    """
    rules = tag_rules(settings)
    while True:
        photos = session.execute(
            select(PhotoRow.id, RootRow.path, PhotoRow.path, PhotoRow.face_count)
            .join(RootRow, RootRow.id == PhotoRow.root_id)
            .where(PhotoRow.id > after, PhotoRow.face_count.is_not(None))
            .order_by(PhotoRow.id)
            .limit(CHUNK)
        ).all()
        if not photos:
            return
        ids = [row[0] for row in photos]
        probabilities = _group_probabilities(session, ids)
        stored: dict[int, list[TagRow]] = {}
        for row in session.scalars(select(TagRow).where(TagRow.photo_id.in_(ids))):
            stored.setdefault(row.photo_id, []).append(row)
        of_people = names.of_photos(session, ids, settings)
        found: list[TagChange] = []
        for photo_id, root, path, face_count in photos:
            shown = paths.from_text(f"{root.rstrip('/')}/{path}")
            wanted = automatic_tags(probabilities.get(photo_id, {}), face_count or 0, rules)
            wanted += of_people.get(photo_id, [])
            found += _differences(photo_id, shown, stored.get(photo_id, []), wanted)
        yield ids[-1], found
        after = ids[-1]


def _group_probabilities(session: Session, photo_ids: Sequence[int]) -> dict[int, dict[str, list[float]]]:
    """Return the stored probabilities that photos show at least one of each group."""
    result: dict[int, dict[str, list[float]]] = {}
    for photo_id, name, probability in session.execute(
        select(PhotoGroupRow.photo_id, PhotoGroupRow.name, PhotoGroupRow.probability).where(
            PhotoGroupRow.photo_id.in_(photo_ids), PhotoGroupRow.at_least == 1
        )
    ):
        result.setdefault(photo_id, {})[name] = [probability]
    return result


def _differences(photo_id: int, path: str, rows: Sequence[TagRow], tags: Sequence[Tag]) -> Iterator[TagChange]:
    """Yield how a photo's replaceable tags differ from the wanted ones, by name."""
    stored: Mapping[str, TagRow] = {row.name: row for row in rows}
    wanted: Mapping[str, Tag] = {tag.name: tag for tag in tags}
    for name in sorted({*wanted, *stored}):
        row, tag = stored.get(name), wanted.get(name)
        if row is not None and not projection.is_replaceable(row):
            continue
        before, after = (None if row is None else row.state), (None if tag is None else tag.state)
        if before != after:
            yield TagChange(photo_id, path, name, before, after, None if tag is None else tag.probability)


def recompute(session: Session, photo_ids: Sequence[int], settings: TagSettings) -> None:
    """Recompute the automatic tags of some photos."""
    projection.recompute_all(session, photo_ids, settings)
