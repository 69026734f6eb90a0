"""Read face regions in the forms that programs write: MWG, Microsoft's people tags, ACDSee's, IPTC's."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from rollcall.records import SAME_FACE_IOU, Box
from rollcall.xmp import namespaces as ns
from rollcall.xmp.geometry import Size, clipped
from rollcall.xmp.packets import Element
from rollcall.xmp.rdf import Value

#: More regions than this are no people on a photograph.
MOST_REGIONS: Final = 500
_LONGEST_NAME: Final = 200
_RECTANGLE: Final = re.compile(r"\s*" + r"\s*[,;\s]\s*".join([r"([-+0-9.eE]{1,30})"] * 4) + r"\s*")
#: What Picasa and Windows Live Photo Gallery write in place of the name of a face that a person ignores.
_IGNORED: Final = "f" * 16


class Region(NamedTuple):
    """A face that a program marked: where in the stored picture, and the name of who it is, or ""."""

    box: Box
    name: str = ""


class Found(NamedTuple):
    """A region with the element of its item in a list, for those that change the packet."""

    region: Region
    item: Element


class _Form(NamedTuple):
    """The names that a form of regions uses; MWG's and ACDSee's differ in them only."""

    regions: str
    applied: str
    list: str
    areas: tuple[str, ...]
    name: str
    type: str
    rotation: str
    area: str  # namespace of x, y, w, h
    size: str  # namespace of w, h


_MWG: Final = _Form(
    ns.MWG,
    f"{{{ns.MWG_REGIONS}}}AppliedToDimensions",
    f"{{{ns.MWG_REGIONS}}}RegionList",
    (f"{{{ns.MWG_REGIONS}}}Area",),
    f"{{{ns.MWG_REGIONS}}}Name",
    f"{{{ns.MWG_REGIONS}}}Type",
    f"{{{ns.MWG_REGIONS}}}Rotation",
    ns.AREA,
    ns.DIMENSIONS,
)
_ACDSEE: Final = _Form(
    ns.ACDSEE,
    f"{{{ns.ACDSEE_REGIONS}}}AppliedToDimensions",
    f"{{{ns.ACDSEE_REGIONS}}}RegionList",
    # What the person sees, else what the program found.
    (f"{{{ns.ACDSEE_REGIONS}}}DLYArea", f"{{{ns.ACDSEE_REGIONS}}}ALGArea"),
    f"{{{ns.ACDSEE_REGIONS}}}Name",
    f"{{{ns.ACDSEE_REGIONS}}}Type",
    f"{{{ns.ACDSEE_REGIONS}}}Rotation",
    ns.ACDSEE_AREA,
    ns.ACDSEE_DIMENSIONS,
)


_IPTC_BOUNDARY: Final = f"{{{ns.IPTC_EXTENSION}}}RegionBoundary"
_IPTC_NAME: Final = f"{{{ns.IPTC_EXTENSION}}}Name"
_IPTC_PERSON: Final = f"{{{ns.IPTC_EXTENSION}}}PersonInImage"
_IPTC_TYPE: Final = f"{{{ns.IPTC_EXTENSION}}}rCtype"
_IPTC_ROLE: Final = f"{{{ns.IPTC_EXTENSION}}}rRole"
_IDENTIFIER: Final = f"{{{ns.XMP}}}Identifier"


class Regions(NamedTuple):
    """The faces that programs marked in a picture, by the form that they are in; None where a form is not there."""

    mwg: tuple[Region, ...] | None = None
    mp: tuple[Region, ...] | None = None
    acdsee: tuple[Region, ...] | None = None
    applied: Size | None = None  # the sides of the picture that they were made for, in pixels
    iptc: tuple[Region, ...] | None = None

    @property
    def present(self) -> bool:
        """Whether there is a property of regions at all, even an empty one."""
        return any(form is not None for form in (self.mwg, self.mp, self.acdsee, self.iptc))

    @property
    def faces(self) -> tuple[Region, ...]:
        """The regions of all forms; one face that is given in several forms is one region."""
        result: list[Region] = []
        for more in (self.mwg, self.mp, self.acdsee, self.iptc):
            _add(result, more or ())
        return tuple(result[:MOST_REGIONS])


def read(properties: Mapping[str, Value]) -> Regions:
    """Return the regions of all forms."""
    applied = None
    for form in (_MWG, _ACDSEE):
        value = properties.get(form.regions)
        if value is not None:
            applied = applied or _size(value.field(form.applied), form)
    return Regions(
        _listed(mwg_items(properties)) if ns.MWG in properties else None,
        _listed(mp_items(properties)) if ns.MP_INFO in properties else None,
        _listed(mwg_items(properties, _ACDSEE)) if ns.ACDSEE in properties else None,
        applied,
        _listed(iptc_items(properties)) if ns.IPTC in properties else None,
    )


def _listed(found: Iterator[Found]) -> tuple[Region, ...]:
    return tuple(one.region for one in found)


def _add(faces: list[Region], more: tuple[Region, ...]) -> None:
    """Add regions of a further form; one that covers a region that is there gives it its name, if that has none.

    One elsewhere of somebody who has a region already is the same face: some programs do not turn Microsoft's regions
    as the stored picture is, or changed one form alone.
    """
    known = len(faces)
    places = [next((i for i in range(known) if faces[i].box.iou(one.box) >= SAME_FACE_IOU), None) for one in more]
    left = Counter(one.name for i, one in enumerate(faces) if one.name and i not in places)
    for region, same in zip(more, places, strict=True):
        if same is not None:
            if not faces[same].name:
                faces[same] = faces[same]._replace(name=region.name)
        elif left[region.name]:
            left[region.name] -= 1
        else:
            faces.append(region)


def mwg_items(properties: Mapping[str, Value], form: _Form = _MWG) -> Iterator[Found]:
    """Yield the face regions in a list of MWG's form."""
    value = properties.get(form.regions)
    if value is None:
        return
    applied = _size(value.field(form.applied), form)
    regions = value.field(form.list)
    for item in (regions.items if regions else ())[:MOST_REGIONS]:
        kind = item.text_of(form.type).lower()
        box = next((box for name in form.areas if (box := _area(item.field(name), form.area, applied))), None)
        if kind in ("", "face") and box is not None:
            box = clipped(_turned(box, item.number_of(form.rotation), applied))
            if box is not None:
                yield Found(Region(box, _name(item.text_of(form.name))), item.element)


def mp_items(properties: Mapping[str, Value]) -> Iterator[Found]:
    """Yield the people tags of Microsoft's form that have a place."""
    value = properties.get(ns.MP_INFO)
    regions = value.field(f"{{{ns.MP_REGION_INFO}}}Regions") if value else None
    for item in (regions.items if regions else ())[:MOST_REGIONS]:
        match = _RECTANGLE.fullmatch(item.text_of(f"{{{ns.MP_REGION}}}Rectangle"))
        try:
            box = Box(*(float(number) for number in match.groups())) if match else None
        except ValueError:
            continue
        if box is not None and all(map(math.isfinite, box)) and min(box.width, box.height) > 0:
            inside = clipped(box)
            if inside is not None:
                yield Found(Region(inside, _name(item.text_of(f"{{{ns.MP_REGION}}}PersonDisplayName"))), item.element)


def iptc_items(properties: Mapping[str, Value]) -> Iterator[Found]:
    """Yield the named faces among the image regions of the IPTC Photo Metadata Standard (2019.1 and later).

    Its regions are of anything: crops, products, whole people. One that has a role, or a type other than a face, is no
    face, and one without a name could be of anything.
    """
    value = properties.get(ns.IPTC)
    # One region alone may be written without a list.
    items = value.items if value is not None and value.is_list else (value,) if value is not None else ()
    sides = _sides(properties)
    for item in items[:MOST_REGIONS]:
        people = item.field(_IPTC_PERSON)
        one_person = people is not None and len(people.items) <= 1
        name = _name((item.text_of(_IPTC_PERSON) if one_person else "") or item.text_of(_IPTC_NAME))
        box = _boundary(item.field(_IPTC_BOUNDARY), sides)
        inside = clipped(box) if box is not None else None
        if name and inside is not None and _may_be_face(item):
            yield Found(Region(inside, name), item.element)


def _may_be_face(item: Value) -> bool:
    """Return whether an image region has no role, and no type or that of a face."""
    kinds = item.field(_IPTC_TYPE)
    if item.field(_IPTC_ROLE) is not None:
        return False
    if kinds is None:
        return True
    labels = [
        word.rpartition("/")[2].strip().lower()
        for kind in (kinds.items if kinds.is_list else (kinds,))
        for word in (kind.text_of(_IPTC_NAME), kind.text_of(_IDENTIFIER))
    ]
    return "face" in labels


def _sides(properties: Mapping[str, Value]) -> Size | None:
    """Return the sides of the stored picture where properties of the packet give them, in pixels."""
    picture = Value(None, fields=properties)
    for names in ns.SIDES:
        width, height = map(picture.number_of, names)
        if width is not None and height is not None and 0 < width < 1e7 and 0 < height < 1e7:
            return Size(width, height)
    return None


def _boundary(value: Value | None, sides: Size | None) -> Box | None:
    """Return the boundary of an image region as a box: a rectangle, or what is around a circle or a polygon."""
    if value is None:
        return None
    shape = _part(value, "rbShape").lower()
    if shape == "polygon":
        corners = value.field(f"{{{ns.IPTC_EXTENSION}}}rbVertices")
        points = [_numbers(corner, "rbX", "rbY") for corner in (corners.items if corners else ())]
        known = [point for point in points if point is not None]
        if len(known) < 3 or len(known) < len(points):
            return None
        xs, ys = zip(*known, strict=True)
        left, top, width, height = min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
    elif shape == "circle":
        circle = _numbers(value, "rbX", "rbY", "rbRx")
        if circle is None:
            return None
        x, y, across = circle
        # The radius is a fraction of the width.
        pixels = _part(value, "rbUnit").lower() == "pixel"
        down = across if pixels or sides is None else across * sides.width / sides.height
        left, top, width, height = x - across, y - down, 2 * across, 2 * down
    else:
        rectangle = _numbers(value, "rbX", "rbY", "rbW", "rbH")
        if rectangle is None:
            return None
        left, top, width, height = rectangle
    if _part(value, "rbUnit").lower() == "pixel":
        if sides is None:
            return None
        left, width, top, height = left / sides.width, width / sides.width, top / sides.height, height / sides.height
    return Box(left, top, width, height) if width > 0 and height > 0 else None


def _part(value: Value, name: str) -> str:
    return value.text_of(f"{{{ns.IPTC_EXTENSION}}}{name}").strip()


def _numbers(value: Value, *names: str) -> tuple[float, ...] | None:
    """Return fields as numbers; None unless all of them are finite ones."""
    found = [value.number_of(f"{{{ns.IPTC_EXTENSION}}}{name}") for name in names]
    known = tuple(one for one in found if one is not None and math.isfinite(one))
    return known if len(known) == len(names) else None


def _name(text: str) -> str:
    name = " ".join(text.split())
    if name.lower() == _IGNORED:
        return ""
    # What joins letters or keeps them apart, as names in Persian and Hindi need it, belongs to the name.
    return name if len(name) <= _LONGEST_NAME and not any(unicodedata.category(c) == "Cc" for c in name) else ""


def _size(value: Value | None, form: _Form) -> Size | None:
    """Return `AppliedToDimensions`."""
    if value is None:
        return None
    width, height = value.number_of(f"{{{form.size}}}w"), value.number_of(f"{{{form.size}}}h")
    usable = width is not None and height is not None and 0 < width < 1e7 and 0 < height < 1e7
    return Size(width, height) if usable and width and height else None


def _area(value: Value | None, namespace: str, applied: Size | None) -> Box | None:
    """Return an area, given by its centre, as a box; None for points and what is no area."""
    if value is None:
        return None
    x, y, width, height = (value.number_of(f"{{{namespace}}}{name}") for name in "xywh")
    if width is None and height is None:
        width = height = value.number_of(f"{{{namespace}}}d")
    if x is None or y is None or width is None or height is None or not all(map(math.isfinite, (x, y, width, height))):
        return None
    unit = value.text_of(f"{{{namespace}}}unit").lower()
    # Without a unit, numbers above 1 cannot be fractions.
    if unit.startswith("pixel") or (not unit and max(x, y, width, height) > 1.5):
        if applied is None:
            return None
        x, width, y, height = x / applied.width, width / applied.width, y / applied.height, height / applied.height
    return Box(x - width / 2, y - height / 2, width, height) if width > 0 and height > 0 else None


def _turned(box: Box, rotation: float | None, applied: Size | None) -> Box:
    """Return a box that is turned around its centre, in radians: quarter turns exchange its sides.

    Smaller turns, as those of heads, leave it: the box around a turned box would be no better.
    """
    if rotation is None or not math.isfinite(rotation) or round(rotation / (math.pi / 2)) % 2 == 0:
        return box
    aspect = applied.width / applied.height if applied else 1.0
    width, height = box.height / aspect, box.width * aspect
    x, y = box.x + box.width / 2, box.y + box.height / 2
    return Box(x - width / 2, y - height / 2, width, height)
