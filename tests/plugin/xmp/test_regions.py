"""Face regions are read in the forms in which programs write them."""

from __future__ import annotations

import math
import re

import pytest

from rollcall.records import Box
from rollcall.xmp import regions as reading
from rollcall.xmp.regions import Region, Regions
from sidecars import bag, mwg, packet, read

BOX = Box(0.4, 0.3, 0.2, 0.1)
AREA = 'stArea:x="0.5" stArea:y="0.35" stArea:w="0.2" stArea:h="0.1"'
APPLIED = '<mwg-rs:AppliedToDimensions stDim:w="400" stDim:h="200" stDim:unit="pixel"/>'


def regions_of(properties: str) -> Regions:
    return read(packet(properties)).regions


def one(properties: str) -> Region:
    """Return the only region, after a check of its name."""
    (found,) = regions_of(properties).faces
    assert found.name == "Anna"
    return found


def items(inner: str, kind: str = "Bag", outer: str = APPLIED) -> str:
    return (
        f'<mwg-rs:Regions rdf:parseType="Resource">{outer}<mwg-rs:RegionList><rdf:{kind}>{inner}</rdf:{kind}>'
        "</mwg-rs:RegionList></mwg-rs:Regions>"
    )


def iptc(boundary: str, more: str = "", name: str = "Anna") -> str:
    """Return an image region of IPTC's form; `boundary` are attributes without their prefix."""
    attributes = re.sub(r"(\w+)=", r"Iptc4xmpExt:\1=", boundary)
    title = f'<Iptc4xmpExt:Name><rdf:Alt><rdf:li xml:lang="x-default">{name}</rdf:li></rdf:Alt></Iptc4xmpExt:Name>'
    return (
        '<Iptc4xmpExt:ImageRegion><rdf:Bag><rdf:li rdf:parseType="Resource">'
        f"<Iptc4xmpExt:RegionBoundary {attributes}/>{title if name else ''}{more}"
        "</rdf:li></rdf:Bag></Iptc4xmpExt:ImageRegion>"
    )


SIDES = "<tiff:ImageWidth>400</tiff:ImageWidth><tiff:ImageLength>200</tiff:ImageLength>"
RECTANGLE = 'rbShape="rectangle" rbUnit="relative" rbX="0.4" rbY="0.3" rbW="0.2" rbH="0.1"'
CORNERS = "".join(
    f'<rdf:li Iptc4xmpExt:rbX="{x}" Iptc4xmpExt:rbY="{y}"/>' for x, y in ((0.4, 0.35), (0.5, 0.3), (0.6, 0.4))
)

FORMS = {
    "IPTC's": iptc(RECTANGLE),
    "IPTC's in pixels": SIDES + iptc('rbShape="rectangle" rbUnit="pixel" rbX="160" rbY="60" rbW="80" rbH="20"'),
    "IPTC's as a polygon": (
        '<Iptc4xmpExt:ImageRegion><rdf:Bag><rdf:li rdf:parseType="Resource"><Iptc4xmpExt:Name>Anna</Iptc4xmpExt:Name>'
        '<Iptc4xmpExt:RegionBoundary rdf:parseType="Resource"><Iptc4xmpExt:rbShape>polygon</Iptc4xmpExt:rbShape>'
        "<Iptc4xmpExt:rbUnit>relative</Iptc4xmpExt:rbUnit><Iptc4xmpExt:rbVertices>"
        f"<rdf:Seq>{CORNERS}</rdf:Seq></Iptc4xmpExt:rbVertices></Iptc4xmpExt:RegionBoundary></rdf:li></rdf:Bag>"
        "</Iptc4xmpExt:ImageRegion>"
    ),
    "IPTC's with a person": iptc(RECTANGLE, bag("Iptc4xmpExt:PersonInImage", "Anna"), name="Speaker"),
    "Apple's, with an extension": items(
        f'<rdf:li rdf:parseType="Resource"><mwg-rs:Name>Anna</mwg-rs:Name><mwg-rs:Type>Face</mwg-rs:Type>'
        f'<mwg-rs:Area {AREA} stArea:unit="normalized"/><mwg-rs:Extensions'
        ' xmlns:apple-fi="http://ns.apple.com/faceinfo/1.0/" apple-fi:AngleInfoYaw="45"'
        ' apple-fi:ConfidenceLevel="500"/></rdf:li>'
    ),
    "attributes of a nested description": items(
        f'<rdf:li><rdf:Description mwg-rs:Name="Anna" mwg-rs:Type="Face"><mwg-rs:Area {AREA} stArea:unit="normalized"/>'
        "</rdf:Description></rdf:li>"
    ),
    "a sequence": items(
        f'<rdf:li mwg-rs:Name="Anna" mwg-rs:Type="face"><mwg-rs:Area {AREA} stArea:unit="normalized"/></rdf:li>', "Seq"
    ),
    "elements throughout": items(
        '<rdf:li rdf:parseType="Resource"><mwg-rs:Name>Anna</mwg-rs:Name><mwg-rs:Type>Face</mwg-rs:Type>'
        '<mwg-rs:Area rdf:parseType="Resource"><stArea:x>0.5</stArea:x><stArea:y>0.35</stArea:y>'
        "<stArea:w>0.2</stArea:w><stArea:h>0.1</stArea:h></mwg-rs:Area></rdf:li>"
    ),
    "descriptions within descriptions": (
        "<mwg-rs:Regions><rdf:Description><mwg-rs:AppliedToDimensions><rdf:Description stDim:w='400' stDim:h='200'/>"
        "</mwg-rs:AppliedToDimensions><mwg-rs:RegionList><rdf:Bag><rdf:li><rdf:Description>"
        "<mwg-rs:Name>Anna</mwg-rs:Name>"
        f"<mwg-rs:Area><rdf:Description {AREA}/></mwg-rs:Area></rdf:Description></rdf:li></rdf:Bag></mwg-rs:RegionList>"
        "</rdf:Description></mwg-rs:Regions>"
    ),
    "decimal commas": items(
        f'<rdf:li mwg-rs:Name="Anna"><mwg-rs:Area {AREA.replace(".", ",")}/></rdf:li>'
    ),
    "pixels": items(
        '<rdf:li mwg-rs:Name="Anna" mwg-rs:Type="Face"><mwg-rs:Area stArea:x="200" stArea:y="70" stArea:w="80"'
        ' stArea:h="20" stArea:unit="pixel"/></rdf:li>'
    ),
    "pixels without a unit": items(
        '<rdf:li mwg-rs:Name="Anna"><mwg-rs:Area stArea:x="200" stArea:y="70" stArea:w="80" stArea:h="20"/></rdf:li>'
    ),
    "Microsoft's": (
        '<MP:RegionInfo rdf:parseType="Resource"><MPRI:Regions><rdf:Bag><rdf:li MPReg:PersonDisplayName="Anna"'
        ' MPReg:Rectangle="0.4, 0.3, 0.2, 0.1"/></rdf:Bag></MPRI:Regions></MP:RegionInfo>'
    ),
    "Microsoft's, as an ordered list of descriptions": (
        "<MP:RegionInfo><rdf:Description><MPRI:Regions><rdf:Seq><rdf:li>"
        "<rdf:Description MPReg:Rectangle='0.4,0.3,0.2,0.1'><MPReg:PersonDisplayName>Anna</MPReg:PersonDisplayName>"
        "</rdf:Description></rdf:li></rdf:Seq></MPRI:Regions>"
        "</rdf:Description></MP:RegionInfo>"
    ),
    "ACDSee's": (
        '<acdsee-rs:Regions rdf:parseType="Resource"><acdsee-rs:AppliedToDimensions acdsee-stDim:w="400"'
        ' acdsee-stDim:h="200" acdsee-stDim:unit="pixel"/><acdsee-rs:RegionList><rdf:Bag><rdf:li><rdf:Description'
        ' acdsee-rs:Type="Face" acdsee-rs:Name="Anna" acdsee-rs:NameAssignType="manual"><acdsee-rs:ALGArea'
        ' acdsee-stArea:x="0.9" acdsee-stArea:y="0.9" acdsee-stArea:w="0.1" acdsee-stArea:h="0.1"/><acdsee-rs:DLYArea'
        ' acdsee-stArea:x="0.5" acdsee-stArea:y="0.35" acdsee-stArea:w="0.2" acdsee-stArea:h="0.1"/></rdf:Description>'
        "</rdf:li></rdf:Bag></acdsee-rs:RegionList></acdsee-rs:Regions>"
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_region_is_read_in_every_form(form: str) -> None:
    assert one(FORMS[form]).box == pytest.approx(BOX)


def test_one_face_in_three_forms_is_one_region() -> None:
    found = regions_of(FORMS["a sequence"] + FORMS["Microsoft's"] + FORMS["ACDSee's"])
    assert [name for _, name in found.faces] == ["Anna"]
    assert found.applied == (400, 200)


def test_a_region_without_a_name_gets_that_of_another_form() -> None:
    unnamed = FORMS["a sequence"].replace('mwg-rs:Name="Anna" ', "")
    assert one(unnamed + FORMS["Microsoft's"]).box == pytest.approx(BOX)


def test_a_person_who_is_elsewhere_in_another_form_has_one_region() -> None:
    # As in photographs of some programs: Microsoft's regions are not turned as the stored picture is.
    anna, ben = Region(Box(0.2, 0.6, 0.2, 0.1), "Anna"), Region(Box(0.1, 0.3, 0.2, 0.1), "Ben")
    turned = Region(Box(0.3, 0.2, 0.1, 0.2), "Anna")
    carl, unnamed = Region(Box(0.7, 0.7, 0.1, 0.1), "Carl"), Region(Box(0.5, 0.1, 0.1, 0.1))
    assert Regions(mwg=(anna, ben), mp=(turned, carl, unnamed)).faces == (anna, ben, carl, unnamed)
    # Twice in both forms, as in a mirror.
    twice = (anna, anna._replace(box=Box(0.7, 0.6, 0.2, 0.1)))
    assert Regions(mwg=twice, mp=(*twice, turned)).faces == (*twice, turned)


def test_a_circle_of_iptc_is_round_in_pixels() -> None:
    assert one(SIDES + iptc('rbShape="circle" rbUnit="relative" rbX="0.5" rbY="0.5" rbRx="0.1"')).box == pytest.approx(
        (0.4, 0.3, 0.2, 0.4)
    )


def test_image_regions_of_iptc_that_are_not_said_to_be_a_named_face_are_left_out() -> None:
    kinds = "http://cv.iptc.org/newscodes/imageregiontype/"

    def typed(field: str, uri: str) -> str:
        identifier = bag("xmp:Identifier", uri)
        return f'<{field}><rdf:Bag><rdf:li rdf:parseType="Resource">{identifier}</rdf:li></rdf:Bag></{field}>'

    for properties in (
        iptc(RECTANGLE, typed("Iptc4xmpExt:rCtype", kinds + "human")),  # the whole of a person
        iptc(RECTANGLE, typed("Iptc4xmpExt:rRole", "http://cv.iptc.org/newscodes/imageregionrole/cropping")),
        iptc(RECTANGLE, name=""),
        iptc('rbShape="rectangle" rbUnit="pixel" rbX="160" rbY="60" rbW="80" rbH="20"'),  # of a size nobody gives
        iptc(RECTANGLE.replace("0.4", "nan")),
    ):
        found = regions_of(properties)
        assert (found.present, found.faces) == (True, ())
    assert one(iptc(RECTANGLE, typed("Iptc4xmpExt:rCtype", "http://example.org/types/Face"))).name == "Anna"


def test_a_face_that_is_ignored_in_picasa_is_nobody() -> None:
    ignored = FORMS["Microsoft's"].replace("Anna", "f" * 16)
    assert [name for _, name in regions_of(ignored).faces] == [""]


def test_what_is_no_face_or_has_no_area_is_left_out() -> None:
    inner = "".join(
        f'<rdf:li mwg-rs:Name="x" mwg-rs:Type="{kind}"><mwg-rs:Area {area}/></rdf:li>'
        for kind, area in (
            ("Pet", AREA),
            ("BarCode", AREA),
            ("Focus", AREA),
            ("Face", 'stArea:x="0.5" stArea:y="0.5"'),  # a point
            ("Face", 'stArea:x="0.5" stArea:y="0.5" stArea:w="0" stArea:h="0.1"'),
            ("Face", 'stArea:x="nan" stArea:y="0.5" stArea:w="0.1" stArea:h="0.1"'),
            ("Face", 'stArea:x="0.5" stArea:y="0.5" stArea:w="inf" stArea:h="0.1"'),
            ("Face", 'stArea:x="2" stArea:y="0.5" stArea:w="0.1" stArea:h="0.1" stArea:unit="normalized"'),
            ("Face", 'stArea:x="a" stArea:y="b" stArea:w="c" stArea:h="d"'),
        )
    )
    assert regions_of(items(inner)).faces == ()
    texts = ("", "1,2", "a,b,c,d", "0,0,0,0", "1e999,0,1,1")
    mp = "".join(f'<rdf:li MPReg:PersonDisplayName="x" MPReg:Rectangle="{text}"/>' for text in texts)
    info = f"<MPRI:Regions><rdf:Bag>{mp}</rdf:Bag></MPRI:Regions>"
    assert regions_of(f'<MP:RegionInfo rdf:parseType="Resource">{info}</MP:RegionInfo>').faces == ()


def test_a_circle_is_a_box() -> None:
    inner = '<rdf:li mwg-rs:Name="Anna"><mwg-rs:Area stArea:x="0.5" stArea:y="0.5" stArea:d="0.2"/></rdf:li>'
    assert one(items(inner)).box == pytest.approx((0.4, 0.4, 0.2, 0.2))


@pytest.mark.parametrize(
    ("rotation", "box"),
    [
        (0.0, BOX),
        (0.3, BOX),  # a tilted head
        (math.pi, BOX),
        (math.pi / 2, (0.475, 0.15, 0.05, 0.4)),  # 80 pixels by 20, then 20 by 80
        (-math.pi / 2, (0.475, 0.15, 0.05, 0.4)),
    ],
)
def test_a_turned_region_covers_what_it_covers(rotation: float, box: Box) -> None:
    inner = f'<rdf:li mwg-rs:Name="Anna" mwg-rs:Rotation="{rotation}"><mwg-rs:Area {AREA}/></rdf:li>'
    assert one(items(inner)).box == pytest.approx(box)


def test_there_are_never_too_many_regions_and_names_are_of_one_line() -> None:
    many = mwg(*((BOX, "Anna\n  B") for _ in range(reading.MOST_REGIONS + 10)))
    found = regions_of(many).faces
    assert len(found) == reading.MOST_REGIONS
    assert {name for _, name in found} == {"Anna B"}
    assert regions_of(mwg((BOX, "x" * 1000))).faces[0].name == ""


@pytest.mark.parametrize("name", ["\u0639\u0644\u06cc\u200c\u0631\u0636\u0627", "\U0001f469\u200d\U0001f467", "\ue000"])
def test_what_joins_the_letters_of_a_name_or_keeps_them_apart_belongs_to_it(name: str) -> None:
    assert regions_of(mwg((BOX, name))).faces[0].name == name


def test_a_name_with_control_characters_is_none() -> None:
    assert regions_of(mwg((BOX, "a\u0090b"))).faces[0].name == ""


def test_deeply_nested_structures_end() -> None:
    deep = (
        "<mwg-rs:Regions>" + "<rdf:Description><own:a>" * 60 + "</own:a></rdf:Description>" * 60 + "</mwg-rs:Regions>"
    )
    assert regions_of(deep).faces == ()


def test_what_was_read_is_the_same_after_it_was_stored() -> None:
    found = read(
        packet(
            FORMS["a sequence"]
            + FORMS["Microsoft's"]
            + FORMS["IPTC's"]
            + bag("dc:subject", "x")
            + bag("lr:hierarchicalSubject")
        )
    )
    stored = type(found).from_json(found.to_json())
    assert stored == found
    assert (stored.subject, stored.hierarchical, stored.tags_list) == (("x",), (), None)
