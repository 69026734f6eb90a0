"""Rollcall and five other programs change the tags and names of the same photos in turn, at random.

Each program knows some of the lists of keywords, and leaves the others as they are. What is expected is
kept beside them: of each tag and each name the last word counts, whoever spoke it.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lxml import etree
from sqlalchemy import text

from blobs import draw
from rollcall import Plugin, corrections
from rollcall.xmp import namespaces as ns
from rollcall.xmp import packets
from rollcall.xmp.content import LISTS
from rollcall.xmp.keywords import entry, tags_of
from sidecars import packet, read

#: Tags that Rollcall sets by itself for the photos that are drawn here, and others.
AUTOMATIC = ("People/Children", "People/Adults")
TAGS = (*AUTOMATIC, "Trip/Sea", "Work", "Größe")
NAMES = ("Anna", "Bo", "Cleo & Co")
PROPERTIES = {**LISTS, "others": ns.WINDOWS}
#: The lists that each program knows.
PROGRAMS = {
    "flat": ("subject",),
    "Lightroom": ("subject", "hierarchical"),
    "digiKam": ("subject", "hierarchical", "tags_list"),
    "digiKam, all it can": ("subject", "hierarchical", "tags_list", "others"),
    "Windows": ("subject", "others"),
}
THEIRS = "<!-- theirs --><xmp:Rating>3</xmp:Rating><own:thing own:a='1'>x</own:thing>"
#: The clock of file times steps by up to 10 ms.
_TICK = 0.012


@dataclass
class Expected:
    """What is expected of one photo."""

    tags: set[str]
    theirs: set[str] = field(default_factory=set)  # in the file by another program's hand
    names: dict[int, str | None] = field(default_factory=dict)  # by face


class Program:
    """A program that edits the lists of keywords that it knows, and nothing else."""

    def __init__(self, name: str) -> None:
        self.lists = PROGRAMS[name]

    def add(self, path: Path, tag: str) -> None:
        self._change(path, tag, lambda present, keyword: [*present, *([] if keyword in present else [keyword])])

    def remove(self, path: Path, tag: str) -> None:
        self._change(path, tag, lambda present, keyword: [one for one in present if one != keyword])

    def _change(self, path: Path, tag: str, change: Callable[[list[str], str], list[str]]) -> None:
        found = packets.parse(path.read_bytes())
        said = read(path)
        rdf = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
        description = packets.descriptions(found)[0]
        for name in self.lists:
            keywords = change(list(said.items_of(name) or ()), entry(tag, name))
            for old in list(packets.rdf_of(found).iter(PROPERTIES[name])):  # type: ignore[union-attr]
                old.getparent().remove(old)
            if keywords:
                # In its own order, as programs do that write their database's lists.
                holder = etree.SubElement(etree.SubElement(description, PROPERTIES[name]), f"{rdf}Bag")
                for keyword in sorted(keywords):
                    etree.SubElement(holder, f"{rdf}li").text = keyword
        path.write_bytes(packets.serialize(found))


def rounds(folder: Path, database: Path, analyzer: Any, chance: random.Random, photos: int = 2) -> Iterator[int]:
    """Make photos, and let both sides change them; yield how many rounds were checked."""
    # Tags of people follow from the names, which are checked by themselves.
    settings = {"database.url": str(database), "xmp.write_photos": True, "tags.people": "off"}
    with Plugin(settings, analyzer=analyzer) as plugin:
        names = [f"{number}.png" for number in range(photos)]
        for number, name in enumerate(names):
            draw(folder / name, (5, 0), (30, 0), seed=number)
            (folder / f"{name}.xmp").write_bytes(packet(THEIRS))
        plugin.index(folder)
        expected = {name: Expected(set(AUTOMATIC)) for name in names}
        count = 0
        while True:
            for _ in range(chance.randint(1, 2)):
                name = chance.choice(names)
                chance.choice((_correct, _correct, _edit, _edit, _edit, _name_here, _name_there))(
                    plugin, folder, name, expected[name], chance
                )
            plugin.service.indexer.update([folder / f"{one}.xmp" for one in names])
            count += 1
            for name in names:
                check(plugin, folder / f"{name}.xmp", name, expected[name])
            yield count


def _correct(plugin: Plugin, folder: Path, name: str, expected: Expected, chance: random.Random) -> None:
    """A person accepts or rejects a tag in Rollcall."""
    tag, accepted = chance.choice(TAGS), chance.random() < 0.5
    time.sleep(_TICK)
    plugin.correct(corrections.tag(_photo(plugin, name), tag, accepted))
    (expected.tags.add if accepted else expected.tags.discard)(tag)


def _edit(plugin: Plugin, folder: Path, name: str, expected: Expected, chance: random.Random) -> None:
    """A person adds or removes a tag in another program."""
    kind = chance.choice(list(PROGRAMS))
    program, path = Program(kind), folder / f"{name}.xmp"
    # The other program has read the file as it is now, and so has Rollcall.
    plugin.service.indexer.update([path])
    present = tags_of(read(path))
    tag = chance.choice(TAGS)
    time.sleep(_TICK)
    if tag not in present and (kind != "flat" or "/" not in tag):
        program.add(path, tag)
        expected.tags.add(tag)
        expected.theirs.add(tag)
    elif tag in expected.tags:
        program.remove(path, tag)
        expected.tags.discard(tag)
    plugin.service.indexer.update([path])


def _name_here(plugin: Plugin, folder: Path, name: str, expected: Expected, chance: random.Random) -> None:
    """A person names a face in Rollcall."""
    face, called = chance.choice(_faces(plugin, name)), chance.choice(NAMES)
    with plugin.database.read() as session:
        uid = session.scalar(
            text("SELECT p.uid FROM people p JOIN person_names n ON n.person_id = p.id WHERE n.name = :name"),
            {"name": called},
        )
    time.sleep(_TICK)
    given = [corrections.person(face, uid or corrections.new_uid())]
    if uid is None:
        given.append(corrections.person_name(given[0].person, [called]))  # type: ignore[arg-type]
    else:
        given.insert(0, corrections.not_person(face, uid, False))  # type: ignore[arg-type]
    plugin.correct(*given)
    expected.names[face] = called


def _name_there(plugin: Plugin, folder: Path, name: str, expected: Expected, chance: random.Random) -> None:
    """A person renames a face in another program."""
    path = folder / f"{name}.xmp"
    plugin.service.indexer.update([path])
    shown = [called for called in expected.names.values() if called]
    if not shown:
        return
    old = chance.choice(shown)
    faces = [face for face, called in expected.names.items() if called == old]
    new = chance.choice([one for one in NAMES if one != old])
    time.sleep(_TICK)
    data = path.read_text(encoding="utf-8")
    pattern = re.escape(old.replace("&", "&amp;"))
    path.write_text(re.sub(f">{pattern}<", f">{new.replace('&', '&amp;')}<", data), encoding="utf-8")
    for face in faces:
        expected.names[face] = new
    plugin.service.indexer.update([path])


def check(plugin: Plugin, path: Path, name: str, expected: Expected) -> None:
    """Compare database and file with what is expected."""
    with plugin.database.read() as session:
        tags = set(
            session.scalars(
                text("SELECT tag FROM v1_tags WHERE photo_id = :id AND state = 'applied'"), {"id": _photo(plugin, name)}
            )
        )
        names = dict(
            session.execute(
                text("SELECT face_id, person FROM v1_faces WHERE photo_id = :id AND person_state = 'confirmed'"),
                {"id": _photo(plugin, name)},
            ).all()  # type: ignore[arg-type]
        )
    found = read(path)
    present = set(tags_of(found))
    assert tags == expected.tags, f"{name}: in the database"
    assert present >= expected.tags, f"{name}: in the file"
    assert present - expected.tags <= expected.theirs, f"{name}: in the file, and not theirs"
    assert {face: called for face, called in names.items() if called} == expected.names, f"{name}: names"
    in_file = sorted(called for _, called in found.regions.faces if called)
    assert in_file == sorted(called for called in expected.names.values() if called), f"{name}: names in the file"
    assert len(found.regions.mwg or ()) == 2, f"{name}: a region was doubled or lost"
    data = path.read_bytes()
    for theirs in (b"<!-- theirs -->", b"<xmp:Rating>3</xmp:Rating>", b"own:a"):
        assert data.count(theirs) == 1, f"{name}: what others wrote"


def _photo(plugin: Plugin, name: str) -> int:
    with plugin.database.read() as session:
        return int(
            session.execute(text("SELECT photo_id FROM v1_photos WHERE path = :name"), {"name": name}).scalar_one()
        )


def _faces(plugin: Plugin, name: str) -> list[int]:
    with plugin.database.read() as session:
        return list(
            session.scalars(
                text("SELECT face_id FROM v1_faces WHERE photo_id = :id ORDER BY face_id"), {"id": _photo(plugin, name)}
            )
        )
