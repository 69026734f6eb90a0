"""Keywords in forms that are read and never written: of Windows, Expression Media, ACDSee and the MWG."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import pytest

from blobs import draw
from rollcall.xmp import content, packets
from rollcall.xmp.content import Content
from rollcall.xmp.keywords import difference, tags_of
from sidecars import bag, packet


def read(properties: str) -> Content:
    return content.read(packets.parse(packet(properties)))


def categories(inner: str) -> str:
    return f"<acdsee:categories>{escape(f'<Categories>{inner}</Categories>')}</acdsee:categories>"


def node(text: str, *children: str, applied: str = "") -> str:
    """Return a hierarchical keyword of the MWG's with those below it."""
    below = f"<mwg-kw:Children><rdf:Bag>{''.join(children)}</rdf:Bag></mwg-kw:Children>" if children else ""
    said = f"<mwg-kw:Applied>{applied}</mwg-kw:Applied>" if applied else ""
    return f"<rdf:li rdf:parseType='Resource'><mwg-kw:Keyword>{text}</mwg-kw:Keyword>{said}{below}</rdf:li>"


def hierarchy(*nodes: str) -> str:
    return (
        "<mwg-kw:Keywords rdf:parseType='Resource'><mwg-kw:Hierarchy><rdf:Bag>"
        f"{''.join(nodes)}</rdf:Bag></mwg-kw:Hierarchy></mwg-kw:Keywords>"
    )


FORMS = {
    "Windows": bag("MicrosoftPhoto:LastKeywordXMP", "People/Anna", r"Music/AC\/DC", "Beach"),
    "Expression Media": bag("mediapro:CatalogSets", "People|Anna", "Music|AC/DC", "Beach"),
    "ACDSee": categories(
        '<Category Assigned="1">People<Category Assigned="1">Anna</Category><Category Assigned="0">Bo</Category>'
        '</Category><Category Assigned="0">Music<Category Assigned="1">AC/DC</Category></Category>'
        '<Category Assigned="1">Beach</Category>'
    ),
    "MWG": hierarchy(
        node("People", node("Anna"), node("Bo", applied="False")), node("Music", node("AC/DC")), node("Beach")
    ),
}
TAGS = ["People/Anna", "Music/AC\u2215DC", "Beach"]


@pytest.mark.parametrize("form", FORMS)
def test_each_form_amounts_to_the_same_tags(form: str) -> None:
    assert list(tags_of(read(FORMS[form]))) == TAGS


def test_all_forms_together_with_the_usual_lists_are_each_tag_once() -> None:
    usual = bag("dc:subject", "Anna", "Beach", "AC/DC") + bag("lr:hierarchicalSubject", "People|Anna")
    usual += bag("digiKam:TagsList", r"Music/AC\/DC")
    assert list(tags_of(read(usual + "".join(FORMS.values())))) == TAGS


def test_what_is_above_a_keyword_of_the_mwg_is_one_where_it_says_so() -> None:
    places = node("Places", node("Denmark", node("Sea"), applied="True"))
    assert set(tags_of(read(hierarchy(places)))) == {"Places/Denmark", "Places/Denmark/Sea"}


@pytest.mark.parametrize("text", ["", "<Categories>", "<!DOCTYPE a [<!ENTITY b 'c'>]><Categories/>", "x" * 300_000])
def test_categories_that_are_no_sound_document_are_none(text: str) -> None:
    assert not read(f"<acdsee:categories>{escape(text)}</acdsee:categories>").others


def test_a_tag_that_one_of_these_programs_removed_is_removed() -> None:
    before = read(bag("dc:subject", "Anna") + FORMS["Windows"])
    assert difference(before, before).removed == []
    assert difference(before, before._replace(others=("Music/AC\u2215DC", "Beach"))).removed == ["People/Anna"]
    assert difference(before, before._replace(others=None)).removed == ["Music/AC\u2215DC", "Beach"]


def test_what_is_stored_of_a_packet_is_all_of_it() -> None:
    found = read("".join(FORMS.values()))
    assert Content.from_json(found.to_json()) == found
    assert not found.is_empty


def test_forms_of_others_stay_as_they_are_while_ours_are_written_and_taken_back(library: Any) -> None:
    path: Path = library.folder / "a.png.xmp"
    draw(library.folder / "a.png", (5, 0))
    path.write_bytes(packet("".join(FORMS.values())))
    library.plugin.index(library.folder)
    written = path.read_bytes()
    found = content.read(packets.parse(written))
    assert "People/Children" in (found.tags_list or ()) and list(tags_of(found._replace(subject=None)))[-1] in TAGS
    for name in ("MicrosoftPhoto:LastKeywordXMP", "mediapro:CatalogSets", "acdsee:categories", "mwg-kw:Keywords"):
        assert written.count(f"<{name}".encode()) == 1
    assert found.others == read("".join(FORMS.values())).others
