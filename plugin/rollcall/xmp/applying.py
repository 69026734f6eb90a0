"""Bring tags, faces and names in line with what other programs say of a photo.

Which word wins is written down in docs/xmp.md: of two words whose order is known the newer one, else Rollcall's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from rollcall.corrections import kinds, log
from rollcall.corrections.kinds import Correction
from rollcall.media import times as timing
from rollcall.records import CaptureTime, PhotoState, TagSource, TagState
from rollcall.settings import TagSettings
from rollcall.storage import change_feed
from rollcall.storage.change_feed import ChangeKind
from rollcall.storage.tables import CorrectionRow, HostMetadataRow, PhotoRow, SidecarRow, TagRow
from rollcall.tags import projection, store
from rollcall.tags.rules import tag_rules
from rollcall.xmp import regions_applying
from rollcall.xmp import store as rows
from rollcall.xmp.content import LISTS, Content
from rollcall.xmp.keywords import Difference, difference, same, tags_of
from rollcall.xmp.memory import Memory
from rollcall.xmp.regions_applying import AUTHOR

#: Where a time of capture comes from that a sidecar's goes before.
_WEAKER_TIMES: Final = (None, "text", "takeout", "file name", "file time")


@dataclass
class Applied:
    """What followed from other programs' words."""

    corrections: int = 0  # recorded in the log
    photo_ids: set[int] = field(default_factory=set)  # with changes
    undescribed: set[int] = field(default_factory=set)  # photos with faces that the networks have still to analyse

    def add(self, more: Applied) -> None:
        """Add the effect on another photo."""
        self.corrections += more.corrections
        self.photo_ids |= more.photo_ids
        self.undescribed |= more.undescribed


def due(session: Session, after: int, limit: int) -> list[int]:
    """Return the numbers of the next photos whose tags, faces and names have to be brought in line."""
    return list(
        session.scalars(
            select(HostMetadataRow.photo_id)
            .join(PhotoRow, PhotoRow.id == HostMetadataRow.photo_id)
            .where(HostMetadataRow.due, HostMetadataRow.photo_id > after, PhotoRow.state == PhotoState.INDEXED)
            .distinct()
            .order_by(HostMetadataRow.photo_id)
            .limit(limit)
        )
    )


def apply(session: Session, photo_id: int, settings: TagSettings) -> Applied:
    """Bring one photo in line; does nothing if nothing changed."""
    photo = session.get_one(PhotoRow, photo_id)
    by_place = {row.place: row for row in rows.of_photos(session, [photo_id])}
    stated = {place: Content.from_json(row.content) for place, row in by_place.items()}
    memory = rows.memory_of(session, photo_id)
    before_all = {
        place: None if row.applied is None else Content.from_json(row.applied) for place, row in by_place.items()
    }
    result = Applied()
    times = {place: _moment(row.mtime_ns if place == "sidecar" else photo.mtime_ns) for place, row in by_place.items()}
    for place, row in sorted(by_place.items()):
        changed = _difference(place, stated, before_all[place], memory)
        result.corrections += _apply_tags(session, photo, changed, row.applied is not None, times[place], settings)
    _apply_time(session, photo, stated.get("sidecar", Content()).taken)
    newest = max(times.values(), default="")
    found = regions_applying.apply(session, photo, stated, before_all, memory, settings, newest)
    result.corrections += found.corrections
    if found.memory_changed:
        rows.sidecar_row(session, photo_id).written = memory.to_json()
    if found.undescribed:
        result.undescribed.add(photo_id)
    for row in by_place.values():
        row.applied, row.due = row.content, False
    session.flush()
    result.photo_ids.add(photo_id)
    return result


def _difference(place: str, stated: Mapping[str, Content], before: Content | None, memory: Memory) -> Difference:
    """Return how the tags of a photo itself, or of its sidecar, changed since they were last taken into account."""
    now, sidecar = stated[place], stated.get("sidecar", Content())
    if place == "sidecar":
        return difference(_ours_in(now, memory) if before is None else before, now)
    changed = difference(before, _without_lists_of(now, sidecar) if before is None else now)
    return _unless_stated_by(sidecar, memory, changed)


def _moment(ns: int | None) -> str:
    """Return a time in nanoseconds as in the log: UTC, ISO 8601."""
    try:
        moment = datetime.fromtimestamp((ns or 0) / 1e9, UTC)
    except (OverflowError, ValueError, OSError):
        moment = datetime.fromtimestamp(0, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _without_lists_of(embedded: Content, sidecar: Content) -> Content:
    """Return what a photo holds without the lists that its sidecar has: that one is what programs wrote last."""
    return embedded._replace(
        subject=embedded.subject if sidecar.subject is None else None,
        hierarchical=embedded.hierarchical if sidecar.hierarchical is None else None,
        tags_list=embedded.tags_list if sidecar.tags_list is None else None,
        # Programs that write sidecars know one of the three lists, and few of them the other forms.
        others=None if any(sidecar.items_of(name) is not None for name in (*LISTS, "others")) else embedded.others,
    )


def _ours_in(sidecar: Content, memory: Memory) -> Content | None:
    """Return what is Rollcall's in a sidecar that is read for the first time: one that was moved with its photo."""
    if memory.is_empty:
        return None

    def kept(name: str) -> tuple[str, ...]:
        ours = {same(keyword) for keyword in memory.lists.get(name, ())}
        return tuple(keyword for keyword in sidecar.items_of(name) or () if same(keyword) in ours)

    return Content(kept("subject"), kept("hierarchical"), kept("tags_list"))


def _unless_stated_by(sidecar: Content, memory: Memory, changed: Difference) -> Difference:
    """Return the changes in a photo itself without the removal of tags that another program put in its sidecar."""
    copied = {same(keyword) for name in LISTS for keyword in memory.copied.get(name, ())}
    ours = {same(keyword) for name in LISTS for keyword in memory.lists.get(name, ())}
    still = {
        tag
        for tag in tags_of(sidecar)
        if not any(same(one) in copied | ours for one in (tag, tag.replace("/", "|"), tag.rpartition("/")[2]))
    }
    return changed._replace(removed=[tag for tag in changed.removed if tag not in still])


def _apply_time(session: Session, photo: PhotoRow, written: str) -> None:
    """Take over the time of capture that a sidecar has, where the photo itself has none that is better."""
    moment = timing.moment(written) if written and photo.taken_source in _WEAKER_TIMES else None
    if moment is None:
        return
    taken = CaptureTime(*moment, "xmp")
    utc = taken.utc()
    photo.taken_local, photo.taken_offset_minutes = taken.local.isoformat(), taken.offset_minutes
    photo.taken_utc = f"{utc.isoformat()}Z" if utc else None
    photo.taken_source = taken.source
    change_feed.record(session, ChangeKind.PHOTO_INDEXED, photo.id)


# ---- Tags


def _apply_tags(
    session: Session, photo: PhotoRow, changed: Difference, known: bool, when: str, settings: TagSettings
) -> int:
    """Set and remove the tags that another program set and removed; return how many corrections that made.

    `known`: it was read before, so that what changed is newer; `when`: the file's time of change.
    """
    for tag in changed.replaced:
        store.remove_host_tag(session, photo.id, tag, settings)
    given: list[Correction] = [
        kinds.tag(photo.id, tag, accepted=False)
        for tag in changed.removed
        if _was_removed(session, photo.id, tag, when, settings)
    ]
    for tag in (*changed.added, *changed.regained):
        row = _tag(session, photo.id, tag)
        if row is None or row.source != TagSource.USER:
            if row is None or row.source != TagSource.HOST:
                store.add_host_tag(session, photo.id, tag)
        elif row.state == TagState.REJECTED and known:
            made_at, made_by = _last_correction(session, photo.id, tag)
            # A program that knows more lists may only have completed them: that does not contradict a person here.
            if made_at < when and (tag in changed.added or made_by == AUTHOR):
                given.append(kinds.tag(photo.id, tag, accepted=True))
    if given:
        log.record(session, given, AUTHOR, settings)
    return len(given)


def _was_removed(session: Session, photo_id: int, tag: str, when: str, settings: TagSettings) -> bool:
    """Remove a tag that a person removed elsewhere; return whether that needs a correction: the tag is Rollcall's."""
    row = _tag(session, photo_id, tag)
    if row is None or row.state == TagState.REJECTED:
        return False
    if row.source == TagSource.HOST:
        store.remove_host_tag(session, photo_id, tag, settings)
        projection.recompute(session, photo_id, settings)
        row = _tag(session, photo_id, tag)
        # The rules of automatic tags would set it now, or later: the person does not want it.
        return row is not None or tag in tag_rules(settings).names.values()
    return row.source == TagSource.AUTO or _last_correction(session, photo_id, tag)[0] < when


def _tag(session: Session, photo_id: int, name: str) -> TagRow | None:
    return session.scalar(select(TagRow).where(TagRow.photo_id == photo_id, TagRow.name == name))


def _last_correction(session: Session, photo_id: int, tag: str) -> tuple[str, str]:
    """Return when a person decided last about a tag of a photo, and who recorded it; two "" if nobody did."""
    found = session.execute(
        select(CorrectionRow.made_at, CorrectionRow.made_by)
        .where(
            CorrectionRow.photo_id == photo_id,
            CorrectionRow.kind == "tag",
            CorrectionRow.value["tag"].as_string() == tag,
        )
        .order_by(CorrectionRow.made_at.desc(), CorrectionRow.id.desc())
        .limit(1)
    ).first()
    return ("", "") if found is None else (found[0], found[1])


def forget_sidecar(session: Session, photo_id: int, settings: TagSettings) -> Applied:
    """Take into account that a sidecar is gone: what only it stated is not stated any more.

    Nothing is rejected: a file that is gone is no decision about each of its keywords, and names stay confirmed.
    """
    row = session.get(HostMetadataRow, (photo_id, "sidecar"))
    if row is None:
        return Applied()
    before = tags_of(Content.from_json(row.applied))
    embedded = tags_of(rows.content_of(session, photo_id, "embedded"))
    for tag in before:
        if tag not in embedded:
            store.remove_host_tag(session, photo_id, tag, settings)
    session.delete(row)
    # What is ours is remembered: the sidecar may come back, moved after its photo.
    written = session.get(SidecarRow, photo_id)
    if written is not None:
        memory = Memory.from_json(written.written)
        memory.created = False
        written.written = memory.to_json()
    session.flush()
    embedded_row = session.get(HostMetadataRow, (photo_id, "embedded"))
    if embedded_row is not None:
        embedded_row.due = True
    change_feed.record(session, ChangeKind.TAGS_CHANGED, photo_id)
    return Applied(photo_ids={photo_id})
