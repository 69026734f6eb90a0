"""Merging changes entries of Rollcall's own and nothing else in a sidecar."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollcall.records import Box
from rollcall.xmp import packets
from rollcall.xmp.content import Content
from rollcall.xmp.geometry import Size
from rollcall.xmp.memory import Memory
from rollcall.xmp.merging import Wanted, WantedFace, merge
from rollcall.xmp.regions import Region
from sidecars import bag, mwg, packet, read, same_meaning

NOTHING = Content()
SIZE = Size(4000, 3000)
LEFT, RIGHT = Box(0.1, 0.2, 0.2, 0.3), Box(0.6, 0.2, 0.2, 0.3)
EVERYTHING = Wanted(["People/Children", "Work"], [WantedFace(1, LEFT, "Anna"), WantedFace(2, RIGHT)], SIZE)
OTHERS = packet(
    "<!-- a remark of theirs -->"
    + bag("dc:subject", "Beach", "Zoo", kind="Seq")
    + "<crs:ToneCurve><rdf:Seq><rdf:li>0, 0</rdf:li><rdf:li>255, 255</rdf:li></rdf:Seq></crs:ToneCurve>"
    + '<own:thing own:a="1" rdf:parseType="Resource"><own:b>&lt;&amp;</own:b></own:thing><xmp:Rating>4</xmp:Rating>'
    + '<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Title</rdf:li><rdf:li xml:lang="de">Titel</rdf:li>'
    + "</rdf:Alt></dc:title>"
    + mwg((Box(0.4, 0.4, 0.1, 0.1), "Bo"), size=(4000, 3000)),
    before="<!-- outside --><?mark up?>",
)


def merged(data: bytes, memory: Memory, wanted: Wanted, embedded: Content = NOTHING) -> tuple[bytes, Memory]:
    """Merge, and send what is remembered through the database's form."""
    found = packets.parse(data)
    after = merge(found, Memory.from_json(memory.to_json()), wanted, embedded)
    return packets.serialize(found), Memory.from_json(after.to_json())


def test_what_is_written_is_read_again() -> None:
    data, _ = merged(OTHERS, Memory(), EVERYTHING)
    found = read(data)
    assert found.subject == ("Beach", "Zoo", "Children", "Work")
    assert found.hierarchical == ("People|Children", "Work")
    assert found.tags_list == ("People/Children", "Work")
    assert found.regions.mwg is not None and found.regions.mp is not None
    assert [name for _, name in found.regions.mwg] == ["Bo", "Anna", ""]
    assert [name for _, name in found.regions.mp] == ["Anna", ""]
    for form in (found.regions.mwg[1:], found.regions.mp):
        assert [box.iou(given) for (box, _), given in zip(form, (LEFT, RIGHT), strict=True)] == pytest.approx(
            [1, 1], abs=1e-4
        )


def test_taking_everything_back_leaves_the_file_as_it_was() -> None:
    data, memory = merged(OTHERS, Memory(), EVERYTHING)
    assert not same_meaning(data, OTHERS)
    data, memory = merged(data, memory, Wanted())
    assert same_meaning(data, OTHERS)
    assert memory.is_empty


def test_others_lists_keep_their_kind_and_order_and_others_entries_their_place() -> None:
    data, _ = merged(OTHERS, Memory(), EVERYTHING)
    assert data.index(b"<rdf:Seq>") < data.index(b"Beach") < data.index(b"Zoo") < data.index(b">Children<")
    for kept in (
        b"<!-- a remark of theirs -->",
        b"<!-- outside -->",
        b"<?mark up?>",
        b'own:a="1"',
        b"x-default",
        b"255, 255",
    ):
        assert kept in data


def test_a_second_merge_changes_nothing() -> None:
    data, memory = merged(OTHERS, Memory(), EVERYTHING)
    assert merged(data, memory, EVERYTHING) == (data, memory)


def test_an_entry_that_others_had_is_not_taken_away() -> None:
    data, memory = merged(OTHERS, Memory(), Wanted(["Beach"]))
    assert memory.lists == {"hierarchical": ["Beach"], "tags_list": ["Beach"]}
    data, _ = merged(data, memory, Wanted())
    assert read(data).subject == ("Beach", "Zoo")


def test_a_tag_that_is_retracted_is_removed_and_the_other_one_stays() -> None:
    data, memory = merged(OTHERS, Memory(), EVERYTHING)
    data, memory = merged(data, memory, Wanted(["Work"]))
    assert (read(data).subject, read(data).tags_list) == (("Beach", "Zoo", "Work"), ("Work",))
    assert [name for _, name in read(data).regions.faces] == ["Bo"]


def test_two_tags_share_the_last_level() -> None:
    data, memory = merged(packet(""), Memory(), Wanted(["People/Children", "Work/Children"]))
    assert read(data).subject == ("Children",)
    data, _ = merged(data, memory, Wanted(["Work/Children"]))
    assert read(data)[:3] == (("Children",), ("Work|Children",), ("Work/Children",))


def test_a_region_that_covers_a_face_is_not_doubled_and_gets_the_name_that_it_lacks() -> None:
    theirs = packet(mwg((Box(0.09, 0.19, 0.22, 0.32), ""), size=(4000, 3000)))
    wanted = Wanted([], [WantedFace(1, LEFT, "Anna")], SIZE)
    data, memory = merged(theirs, Memory(), wanted)
    assert [name for _, name in read(data).regions.faces] == ["Anna"]
    assert read(data).regions.mp is None
    assert merged(data, memory, wanted)[0] == data
    data, _ = merged(data, memory, Wanted([], [WantedFace(1, LEFT, "Bea")], SIZE))
    assert [name for _, name in read(data).regions.faces] == ["Bea"]
    data, _ = merged(data, _, Wanted())
    assert [name for _, name in read(data).regions.faces] == [""]


def test_a_region_of_others_keeps_its_name() -> None:
    theirs = packet(mwg((LEFT, "Bo")))
    data, memory = merged(theirs, Memory(), Wanted([], [WantedFace(1, LEFT, "Anna")], SIZE))
    assert same_meaning(data, theirs)
    assert memory.is_empty


def test_a_face_that_moved_or_was_renamed_moves() -> None:
    data, memory = merged(OTHERS, Memory(), EVERYTHING)
    moved = Box(0.15, 0.25, 0.2, 0.3)
    data, memory = merged(data, memory, Wanted([], [WantedFace(1, moved, "Bea")], SIZE))
    assert [name for _, name in read(data).regions.faces] == ["Bo", "Bea"]
    assert read(data).regions.faces[1].box.iou(moved) > 0.99


def test_a_note_is_written_only_where_it_is_wanted() -> None:
    with_note = Wanted([], [WantedFace(1, LEFT, "Anna", "about 34 years (estimated)")], SIZE)
    data, memory = merged(packet(""), Memory(), with_note)
    assert b"<mwg-rs:Description>about 34 years (estimated)</mwg-rs:Description>" in data
    data, _ = merged(data, memory, Wanted([], [WantedFace(1, LEFT, "Anna")], SIZE))
    assert b"about 34" not in data


def test_a_face_that_a_person_took_away_is_written_again_only_with_a_name() -> None:
    memory = Memory(declined=[Region(LEFT, "Anna")])
    data, _ = merged(packet(""), memory, Wanted([], [WantedFace(1, LEFT)], SIZE))
    assert not read(data).regions.present
    data, _ = merged(packet(""), memory, Wanted([], [WantedFace(1, LEFT, "Bea")], SIZE))
    assert [name for _, name in read(data).regions.faces] == ["Bea"]


def test_a_new_sidecar_does_not_hide_what_the_photo_itself_holds() -> None:
    embedded = read(packet(bag("dc:subject", "Beach") + mwg((RIGHT, "Bo"))))
    data, memory = merged(
        packet(""), Memory(), Wanted(["Work"], [WantedFace(1, LEFT, "Anna"), WantedFace(2, RIGHT)], SIZE), embedded
    )
    found = read(data)
    assert found.subject == ("Beach", "Work")
    assert [name for _, name in found.regions.faces] == ["Bo", "Anna"]
    # What changes in the photo itself changes in the copy.
    embedded = embedded._replace(subject=("Sea",))
    data, memory = merged(data, memory, Wanted(["Work"], [WantedFace(1, LEFT, "Anna")], SIZE), embedded)
    assert read(data).subject == ("Work", "Sea")
    data, memory = merged(data, memory, Wanted(), embedded)
    assert not read(data).regions.present
    assert read(data).subject is None
    assert memory.is_empty


def test_copies_stay_while_others_add_to_them() -> None:
    embedded = Content(("Beach",))
    data, memory = merged(packet(""), Memory(), Wanted(["Work"]), embedded)
    data = data.replace(b"<rdf:li>Beach</rdf:li>", b"<rdf:li>Beach</rdf:li><rdf:li>Theirs</rdf:li>")
    data, _ = merged(data, memory, Wanted(), embedded)
    assert read(data).subject == ("Beach", "Theirs")


FORMS = {
    "a list that is a text": "<dc:subject>Beach</dc:subject>",
    "a list without entries": "<dc:subject><rdf:Bag/></dc:subject>",
    "an empty property": "<dc:subject/>",
    "regions without a list": '<mwg-rs:Regions rdf:parseType="Resource"/>',
    "regions in nested descriptions": (
        "<mwg-rs:Regions><rdf:Description><mwg-rs:RegionList><rdf:Seq><rdf:li><rdf:Description mwg-rs:Name='Bo'>"
        "<mwg-rs:Area><rdf:Description stArea:x='0.9' stArea:y='0.9' stArea:w='0.1' stArea:h='0.1'/></mwg-rs:Area>"
        "</rdf:Description></rdf:li></rdf:Seq></mwg-rs:RegionList></rdf:Description></mwg-rs:Regions>"
    ),
    "image regions of IPTC": (
        "<Iptc4xmpExt:ImageRegion><rdf:Bag><rdf:li rdf:parseType='Resource'><Iptc4xmpExt:Name>Bo</Iptc4xmpExt:Name>"
        "<Iptc4xmpExt:RegionBoundary Iptc4xmpExt:rbShape='rectangle' Iptc4xmpExt:rbUnit='relative'"
        " Iptc4xmpExt:rbX='0.9' Iptc4xmpExt:rbY='0.9' Iptc4xmpExt:rbW='0.1' Iptc4xmpExt:rbH='0.1'/></rdf:li>"
        "</rdf:Bag></Iptc4xmpExt:ImageRegion>"
    ),
    "people tags of attributes": (
        "<MP:RegionInfo><rdf:Description><MPRI:Regions><rdf:Bag><rdf:li MPReg:Rectangle='0.9,0.9,0.1,0.1'/></rdf:Bag>"
        "</MPRI:Regions></rdf:Description></MP:RegionInfo>"
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_others_can_be_added_to(form: str) -> None:
    data, memory = merged(packet(FORMS[form]), Memory(), EVERYTHING)
    found = read(data)
    assert found.subject is not None and found.subject[-2:] == ("Children", "Work")
    assert {"Anna", ""} <= {name for _, name in found.regions.mwg or ()}
    assert {"Anna", ""} <= {name for _, name in found.regions.mp or ()}
    assert merged(data, memory, EVERYTHING)[0] == data
    data, _ = merged(data, memory, Wanted())
    before = read(packet(FORMS[form]))
    after = read(data)
    assert (after.subject or (), after.regions.faces) == (before.subject or (), before.regions.faces)


def test_a_packet_without_a_description_gets_one() -> None:
    data = b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>'
    assert read(merged(data, Memory(), EVERYTHING)[0]).tags_list == ("People/Children", "Work")


TAGS = st.lists(st.sampled_from(["People/Children", "People/Adults", "Work", "Places/Children", "Größe"]), unique=True)
FACES = st.lists(
    st.tuples(st.sampled_from([LEFT, RIGHT, Box(0.4, 0.6, 0.1, 0.2)]), st.sampled_from(["", "Anna", "Bo & <Co>"])),
    unique_by=lambda one: one[0],
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TAGS, FACES), min_size=1, max_size=4), st.booleans())
def test_whatever_is_written_in_turn_the_last_is_there_and_taking_it_back_leaves_nothing(
    turns: list[tuple[list[str], list[tuple[Box, str]]]], others: bool
) -> None:
    start = OTHERS if others else packet("")
    data, memory = start, Memory()
    for tags, faces in turns:
        wanted = Wanted(tags, [WantedFace(n, box, name) for n, (box, name) in enumerate(faces)], SIZE)
        data, memory = merged(data, memory, wanted)
        found = read(data)
        assert set(tags) == set(found.tags_list or ())
        assert len(found.regions.mp or ()) == len(faces)
    assert same_meaning(merged(data, memory, Wanted())[0], start)
