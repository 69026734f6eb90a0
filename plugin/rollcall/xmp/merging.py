"""Bring a sidecar in line with what Rollcall knows: entries of its own are added, changed and taken away, no others.

What a person did in another program is not found out here: `xmp/difference.py` does, before, and what is wanted
follows from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from rollcall.records import Box
from rollcall.xmp import content as contents
from rollcall.xmp import editing
from rollcall.xmp.content import LISTS, Content
from rollcall.xmp.geometry import Size
from rollcall.xmp.keywords import entry, same
from rollcall.xmp.matching import similarity
from rollcall.xmp.memory import Memory, WrittenRegion
from rollcall.xmp.packets import Packet
from rollcall.xmp.regions import Found, Region


class WantedFace(NamedTuple):
    """A face that the sidecar is to have: where in the stored picture, a name or "", a note or ""."""

    face_id: int
    box: Box
    name: str = ""
    note: str = ""


class Wanted(NamedTuple):
    """What the sidecar of a photo is to have of Rollcall."""

    tags: Sequence[str] = ()
    faces: Sequence[WantedFace] = ()
    size: Size = Size(0, 0)  # of the stored picture, in pixels

    @property
    def is_empty(self) -> bool:
        """Whether Rollcall has nothing to write."""
        return not self.tags and not self.faces


def merge(packet: Packet, memory: Memory, wanted: Wanted, embedded: Content) -> Memory:
    """Change a packet so that it has what is wanted; return what it has of Rollcall now.

    Parameters
    ----------
    memory
        What was written last.
    embedded
        What the photo itself holds: programs prefer the lists of a sidecar to those of the photo, so a list that is new
        in the sidecar takes over what the photo's has.
    """
    found = contents.read(packet)
    result = replace(memory, lists={}, copied=dict(memory.copied), regions=[], copied_faces=list(memory.copied_faces))
    for name in LISTS:
        _merge_list(packet, name, found, memory, result, wanted.tags, embedded)
    _merge_regions(packet, memory, result, wanted, embedded)
    return result


# ---- Keywords


def _merge_list(
    packet: Packet, name: str, found: Content, before: Memory, after: Memory, tags: Sequence[str], embedded: Content
) -> None:
    """Bring one of the three lists in line."""
    present = {same(keyword) for keyword in found.items_of(name) or ()}
    wanted = {same(keyword): keyword for keyword in (entry(tag, name) for tag in tags)}
    ours = [keyword for keyword in before.lists.get(name, ()) if same(keyword) in present]
    kept = [keyword for keyword in ours if same(keyword) in wanted]
    added = [keyword for key, keyword in wanted.items() if key not in present]
    gone = {same(keyword) for keyword in ours} - wanted.keys()
    copies: list[str] = []
    if kept or added:
        copies = _copies(name, found, before, embedded)
        copied_before = {same(keyword) for keyword in before.copied.get(name, ())}
        gone |= copied_before - {same(keyword) for keyword in embedded.items_of(name) or ()} - wanted.keys()
        if copies or name in before.copied:
            after.copied[name] = list(embedded.items_of(name) or ())
    elif name in before.copied and not present - {same(one) for one in (*ours, *before.copied[name])}:
        # Nothing of ours or of others is left: neither is there a reason for the copy of the photo's own list.
        gone |= {same(keyword) for keyword in after.copied.pop(name)}
    if gone:
        editing.remove_keywords(packet, LISTS[name], lambda text: same(text) in gone)
    copied = {same(keyword) for keyword in copies}
    added = [keyword for keyword in added if same(keyword) not in copied]
    editing.add_keywords(packet, LISTS[name], [*copies, *added])
    if kept or added:
        after.lists[name] = kept + added


def _copies(name: str, found: Content, before: Memory, embedded: Content) -> list[str]:
    """Return the keywords of the photo itself that a list takes over."""
    own = embedded.items_of(name) or ()
    if name in before.copied:
        known = {same(keyword) for keyword in (*before.copied[name], *(found.items_of(name) or ()))}
        return [keyword for keyword in own if same(keyword) not in known]
    return list(own) if found.items_of(name) is None else []


# ---- Regions


def _merge_regions(packet: Packet, before: Memory, after: Memory, wanted: Wanted, embedded: Content) -> None:
    lists: tuple[editing.RegionList, ...] = (editing.MwgList(packet), editing.MpList(packet))
    found = [list(one.found()) for one in lists]
    theirs = [
        one._replace(region=before.without_our_name(one.region))
        for listed in found
        for one in listed
        if before.made(one.region) is None and not before.is_copied(one.region)
    ]
    # Copied regions are the photo's own: they cover a face as any other program's do.
    copied = [Found(one, None) for one in before.copied_faces]
    is_new = not any(found)
    if is_new and wanted.faces:
        copied = [Found(one, None) for one in embedded.regions.faces]
    placed: list[WrittenRegion] = []
    for face in wanted.faces:
        if _is_declined(face, before.declined):
            continue
        covering = [one for one in (*theirs, *copied) if similarity(one.region.box, face.box) is not None]
        if not covering:
            placed.append(WrittenRegion(face.face_id, face.box, face.name, face.note))
        elif face.name and not any(one.region.name for one in covering):
            after.regions += [
                WrittenRegion(face.face_id, one.region.box, face.name, only_name=True)
                for one in covering
                if one.item is not None
            ]
    keep_copies = bool(placed or theirs)
    _retract(lists, found, before, placed, after.regions, keep_copies)
    if not keep_copies:
        after.copied_faces = []
    elif is_new:
        after.copied_faces = [one.region for one in copied]
    if placed:
        _write(lists, placed, after.copied_faces if is_new else (), wanted.size)
    _give_names(lists, found, before, after.regions)
    after.regions += placed


def _is_declined(face: WantedFace, declined: Sequence[Region]) -> bool:
    """Return whether a person took this face out of the sidecar, and nobody has named it since."""
    return not face.name and any(similarity(one.box, face.box) is not None for one in declined)


def _retract(
    lists: Sequence[editing.RegionList],
    found: Sequence[Sequence[Found]],
    before: Memory,
    placed: Sequence[WrittenRegion],
    named: Sequence[WrittenRegion],
    keep_copies: bool,
) -> None:
    """Remove regions of ours that are not wanted as they are, and names of ours that are not wanted any more."""
    for one, listed in zip(lists, found, strict=True):
        for region, item in listed:
            made = before.made(region)
            if made is not None:
                if not any(wanted.is_same(region) and wanted.note == made.note for wanted in placed):
                    one.remove(item)
            elif before.is_copied(region):
                if not keep_copies:
                    one.remove(item)
            elif before.without_our_name(region) != region and not any(wanted.is_same(region) for wanted in named):
                one.set_name(item, "")


def _write(
    lists: Sequence[editing.RegionList], placed: Sequence[WrittenRegion], copied: Sequence[Region], size: Size
) -> None:
    """Add regions where they are not there yet."""
    for one in lists:
        present = [region for region, _ in one.found()]
        for region in copied:
            one.add(region.box, region.name, "", size)
        for wanted in placed:
            if not any(wanted.is_same(region) for region in present):
                one.add(wanted.box, wanted.name, wanted.note, size)


def _give_names(
    lists: Sequence[editing.RegionList],
    found: Sequence[Sequence[Found]],
    before: Memory,
    named: Sequence[WrittenRegion],
) -> None:
    """Give other programs' regions without a name the names that are wanted."""
    for one, listed in zip(lists, found, strict=True):
        for region, item in listed:
            if before.without_our_name(region).name:
                continue
            for wanted in named:
                if wanted.box == region.box:
                    one.set_name(item, wanted.name)
