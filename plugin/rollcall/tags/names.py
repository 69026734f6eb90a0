"""Tags of people with a name, such as People/Anna: which photos have them, and keeping them in step with the faces.

Only a confirmed face gives a tag as a rule; a setting counts proposals that are as likely as automatic tags have to be.
The tag goes when the face is somebody else, and when the name goes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, bindparam, delete, insert, or_, select, text
from sqlalchemy.orm import Session

from rollcall.ages import any_of
from rollcall.records import TagSource, TagState
from rollcall.settings import TagSettings
from rollcall.storage import change_feed
from rollcall.storage.change_feed import ChangeKind
from rollcall.storage.library import chunks, now
from rollcall.storage.tables import FacePersonRow, FaceRow, PersonNameRow, PersonRow, TagRow, VerdictRow
from rollcall.tags.rules import Rules, Tag, full_name, tag_rules

#: Every name of a tag, found along the index of names without reading each tag.
_NAMES: Final = """
WITH RECURSIVE names (name) AS (
    SELECT MIN(name) FROM tags
    UNION ALL SELECT (SELECT MIN(t.name) FROM tags t WHERE t.name > n.name) FROM names n WHERE n.name IS NOT NULL
)
SELECT name FROM names WHERE name IS NOT NULL
"""


def tag_of(settings: TagSettings, name: str) -> str | None:
    """Return the tag of somebody of a name; None if a group has it, which says something else of a photo."""
    # What divides levels, here or in keywords of other programs, divides no name.
    tag = full_name(settings, " ".join(name.replace("/", "-").replace("|", "-").split()))
    rules = tag_rules(settings)
    return None if tag.casefold() in {one.casefold() for one in _of_rules(rules)} else tag


def of_photos(session: Session, photo_ids: Sequence[int], settings: TagSettings) -> dict[int, list[Tag]]:
    """Return the tags of the people with a name whom some photos show."""
    if settings.people == "off":
        return {}
    found: dict[tuple[int, str], list[float]] = defaultdict(list)
    session.flush()
    connection = session.connection()
    for part in chunks(list(photo_ids)):
        rows = connection.execute(_of_photos(settings.people, settings.precision), {"photos": part})
        for photo_id, name, probability in rows:
            tag = tag_of(settings, name)
            if tag is not None:
                found[photo_id, tag].append(probability)
    result: dict[int, list[Tag]] = defaultdict(list)
    for (photo_id, tag), probabilities in sorted(found.items()):
        result[photo_id].append(Tag(tag, any_of(probabilities), TagState.APPLIED))
    return result


def refresh(session: Session, settings: TagSettings, person_ids: Iterable[int]) -> set[int]:
    """Bring the tags of some people in step with their faces and names; return the photos whose tags changed.

    Tags of names that nobody has any more are withdrawn everywhere.
    """
    session.flush()
    people = sorted(set(person_ids))
    names: dict[int, str] = {}
    for part in chunks(people):
        rows = select(PersonNameRow.person_id, PersonNameRow.name)
        names |= dict(session.execute(rows.where(_SHOWN, PersonNameRow.person_id.in_(part))).all())
    wanted: dict[tuple[int, str], float] = {}
    for tag in {tag_of(settings, name) for name in names.values()} - {None}:
        assert tag is not None
        wanted |= {(photo_id, tag): one for photo_id, one in _photos(session, settings, tag).items()}
    touched = {tag_of(settings, name) for name in names.values()} | _of_nobody(session, settings)
    changed = _set(session, wanted, _stored(session, sorted(one for one in touched if one is not None)))
    # A name that they had before may be somebody else's, too.
    return changed | refresh_photos(session, settings, _with_other_names(session, settings, people, touched))


def refresh_photos(session: Session, settings: TagSettings, photo_ids: Iterable[int]) -> set[int]:
    """Bring the tags of people on some photos in step with their faces; return the photos whose tags changed."""
    session.flush()
    photos = sorted(set(photo_ids))
    found = of_photos(session, photos, settings)
    wanted = {(photo_id, tag.name): tag.probability for photo_id, tags in found.items() for tag in tags}
    stored: dict[tuple[int, str], tuple[int, str, str]] = {}
    folder, of_rules, connection = full_name(settings, ""), _of_rules(tag_rules(settings)), session.connection()
    for part in chunks(photos):
        for photo_id, name, number, source, state in connection.execute(_TAGS, {"photos": part}):
            if name.startswith(folder) and name not in of_rules:
                stored[photo_id, name] = (number, source, state)
    if stored:
        # Few photos have any, and names may be many.
        everybody = {tag_of(settings, name) for name in session.scalars(select(PersonNameRow.name).where(_SHOWN))}
        stored = {key: row for key, row in stored.items() if key[1] in everybody}
    return _set(session, wanted, stored)


_TAGS: Final = select(TagRow.photo_id, TagRow.name, TagRow.id, TagRow.source, TagRow.state).where(
    TagRow.photo_id.in_(bindparam("photos", expanding=True))
)


def _set(
    session: Session,
    wanted: Mapping[tuple[int, str], float],
    stored: Mapping[tuple[int, str], tuple[int, str, str]],
) -> set[int]:
    """Store the tags that are wanted, withdraw ours that are not; return the photos whose tags changed."""
    gone = [key for key, row in stored.items() if key not in wanted and _is_ours(row)]
    new = [key for key in wanted if key not in stored]
    _withdraw(session, [stored[key][0] for key in gone])
    for some in chunks(sorted(new)):
        session.execute(insert(TagRow.__table__), [_row(key, wanted[key]) for key in some])  # type: ignore[arg-type]
    session.expire_all()
    changed = {photo_id for photo_id, _ in (*gone, *new)}
    for photo_id in sorted(changed):
        change_feed.record(session, ChangeKind.TAGS_CHANGED, photo_id)
    return changed


_SHOWN: Final[ColumnElement[bool]] = PersonNameRow.position == 0


def _of_rules(rules: Rules) -> set[str]:
    return {*rules.names.values(), *([rules.group] if rules.group else [])}


@cache
def _of_photos(people: str, precision: float) -> Select[int, str, float]:
    # Made once: to put it together takes longer than to run it.
    return _faces(people, precision).where(FaceRow.photo_id.in_(bindparam("photos", expanding=True)))


def _faces(people: str, precision: float) -> Select[int, str, float]:
    """Return a statement for the faces that give a tag: photo, name and probability; by two settings of tags."""
    certain: ColumnElement[bool] = FacePersonRow.state == "confirmed"
    if people == "likely":
        certain = or_(certain, and_(FacePersonRow.state == "proposed", FacePersonRow.probability >= precision))
    return (
        select(FaceRow.photo_id, PersonNameRow.name, FacePersonRow.probability)
        .join(FacePersonRow, FacePersonRow.face_id == FaceRow.id)
        .join(PersonNameRow, PersonNameRow.person_id == FacePersonRow.person_id)
        .join(PersonRow, PersonRow.id == FacePersonRow.person_id)
        .outerjoin(VerdictRow, VerdictRow.face_id == FaceRow.id)
        .where(_SHOWN, ~PersonRow.hidden, certain, FaceRow.present)
        .where(or_(VerdictRow.dismissed.is_(None), ~VerdictRow.dismissed))
    )


def _photos(session: Session, settings: TagSettings, tag: str) -> dict[int, float]:
    """Return the photos that have the tag of somebody, with the probability; several people may have one name."""
    if settings.people == "off":
        return {}
    names = session.execute(select(PersonNameRow.person_id, PersonNameRow.name).where(_SHOWN))
    people = [person_id for person_id, name in names if tag_of(settings, name) == tag]
    found: dict[int, list[float]] = defaultdict(list)
    statement = _faces(settings.people, settings.precision)
    for part in chunks(people):
        for photo_id, _, probability in session.execute(statement.where(FacePersonRow.person_id.in_(part))):
            found[photo_id].append(probability)
    return {photo_id: any_of(probabilities) for photo_id, probabilities in found.items()}


def _of_nobody(session: Session, settings: TagSettings) -> set[str]:
    """Return the names of tags below the folder of automatic ones that are neither a group's nor anybody's."""
    folder = full_name(settings, "")
    everybody = {tag_of(settings, name) for name in session.scalars(select(PersonNameRow.name).where(_SHOWN))}
    used = {row[0] for row in session.execute(text(_NAMES)) if row[0].startswith(folder)}
    return used - everybody - _of_rules(tag_rules(settings))


def _with_other_names(
    session: Session, settings: TagSettings, people: Sequence[int], touched: Collection[str | None]
) -> set[int]:
    """Return the photos of some people that have the tags of others, apart from those in `touched`."""
    everybody = {tag_of(settings, name) for name in session.scalars(select(PersonNameRow.name).where(_SHOWN))}
    others = sorted(one for one in everybody.difference(touched) if one is not None)
    photos: set[int] = set()
    for part in chunks(people):
        theirs = select(FaceRow.photo_id).join(FacePersonRow, FacePersonRow.face_id == FaceRow.id)
        theirs = theirs.where(FacePersonRow.person_id.in_(part))
        for some in chunks(others):
            tagged = select(TagRow.photo_id).where(TagRow.name.in_(some), TagRow.photo_id.in_(theirs))
            photos |= set(session.scalars(tagged.where(TagRow.source == TagSource.AUTO)))
    return photos


def _stored(session: Session, tags: Sequence[str]) -> dict[tuple[int, str], tuple[int, str, str]]:
    """Return number, source and state of the rows of some tags, by photo and tag."""
    columns = (TagRow.photo_id, TagRow.name, TagRow.id, TagRow.source, TagRow.state)
    found: dict[tuple[int, str], tuple[int, str, str]] = {}
    for part in chunks(tags):
        for photo_id, name, number, source, state in session.execute(select(*columns).where(TagRow.name.in_(part))):
            found[photo_id, name] = (number, source, state)
    return found


def _is_ours(row: tuple[int, str, str]) -> bool:
    return row[1] == TagSource.AUTO and row[2] != TagState.REJECTED


def _withdraw(session: Session, numbers: Sequence[int]) -> None:
    for part in chunks(numbers):
        session.execute(delete(TagRow).where(TagRow.id.in_(part)))


def _row(key: tuple[int, str], probability: float) -> Mapping[str, Any]:
    return {
        "photo_id": key[0],
        "name": key[1],
        "source": TagSource.AUTO,
        "probability": probability,
        "state": TagState.APPLIED,
        "created_at": now(),
    }
