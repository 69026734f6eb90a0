"""Other programs read what is written where it belongs, and what they had written stays as it was.

ROLLCALL_XMP_PHOTOS gives it more photos than the few of an ordinary run.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from drawn import exif_bytes, stored
from rollcall.records import Box
from rollcall.xmp.geometry import to_stored
from sidecars import as_exiftool_reads, bag, mwg, need, packet, same_meaning

PHOTOS = int(os.environ.get("ROLLCALL_XMP_PHOTOS", "") or 16)
#: Where the squares are, in the upright picture, and where another program marked somebody.
FACES = (Box(0.05, 50 / 120, 0.15, 0.25), Box(0.75, 10 / 120, 0.15, 0.25))
THEIRS = Box(0.4, 0.7, 0.1, 0.2)


def acdsee(box: Box, name: str) -> str:
    area = f'acdsee-stArea:x="{box.x + box.width / 2}" acdsee-stArea:y="{box.y + box.height / 2}"'
    area += f' acdsee-stArea:w="{box.width}" acdsee-stArea:h="{box.height}"'
    return (
        f'<acdsee-rs:Regions rdf:parseType="Resource"><acdsee-rs:RegionList><rdf:Bag><rdf:li><rdf:Description'
        f' acdsee-rs:Type="Face" acdsee-rs:Name="{name}"><acdsee-rs:DLYArea {area}/></rdf:Description></rdf:li>'
        "</rdf:Bag></acdsee-rs:RegionList></acdsee-rs:Regions>"
    )


def microsoft(box: Box, name: str) -> str:
    rectangle = ", ".join(f"{value:.6f}" for value in box)
    return (
        "<MP:RegionInfo><rdf:Description><MPRI:Regions><rdf:Bag><rdf:li><rdf:Description"
        f' MPReg:Rectangle="{rectangle}" MPReg:PersonDisplayName="{name}"/></rdf:li></rdf:Bag></MPRI:Regions>'
        "</rdf:Description></MP:RegionInfo>"
    )


def properties(program: int, box: Box, size: tuple[int, int]) -> str:
    """Return what one of five programs writes: lists, a region, and things of its own."""
    own = "<!-- theirs --><own:history rdf:parseType='Resource'><own:step>1</own:step></own:history>"
    rating = "<xmp:Rating>4</xmp:Rating>"
    return (
        own + bag("dc:subject", "Beach") + bag("lr:hierarchicalSubject", "Places|Beach") + mwg((box, "Bo"), size=size),
        rating + bag("digiKam:TagsList", "Beach", kind="Seq") + bag("dc:subject", "Beach") + mwg((box, "Bo"), size=size)
        + microsoft(box, "Bo"),
        mwg((box, "Bo"), size=size, unit="").replace('stArea:unit=""', "") + rating,
        own + microsoft(box, "Bo"),
        bag("dc:subject", "Beach") + acdsee(box, "Bo") + own,
    )[program]  # fmt: skip


def make(folder: Path, count: int) -> dict[str, bytes]:
    """Make photos in all orientations with sidecars of all programs; return the sidecars."""
    upright = np.full((120, 200, 3), 30, np.uint8)
    upright[50:80, 10:40], upright[10:40, 150:180] = (255, 5, 0), (255, 30, 0)
    sidecars = {}
    for number in range(count):
        orientation, program = number % 8 + 1, number // 8 % 5
        pixels = stored(upright, orientation)
        pixels[0, number % 100] = (number % 200, 1, 2)
        name = f"{number}.png"
        Image.fromarray(pixels).save(folder / name, exif=exif_bytes({0x112: orientation}))
        text = properties(program, to_stored(THEIRS, orientation), (pixels.shape[1], pixels.shape[0]))
        sidecars[name] = packet(text)
        (folder / f"{name}.xmp").write_bytes(sidecars[name])
    return sidecars


def box_of(area: dict[str, Any]) -> Box:
    width, height = float(area["W"]), float(area["H"])
    return Box(float(area["X"]) - width / 2, float(area["Y"]) - height / 2, width, height)


def test_exiftool_reads_every_region_in_its_place_and_what_others_wrote_comes_back(library: Any) -> None:
    need("exiftool")
    before = make(library.folder, PHOTOS)
    library.index()
    assert library.rows("SELECT count(*) FROM v1_faces WHERE source = 'host'") == [(PHOTOS,)]
    assert library.rows("SELECT count(*) FROM v1_faces WHERE person = 'Bo' AND person_source = 'host'") == [(PHOTOS,)]
    names = list(before)
    for name, found in zip(names, as_exiftool_reads(*(library.folder / f"{one}.xmp" for one in names)), strict=True):
        orientation = int(name.partition(".")[0]) % 8 + 1
        expected = [to_stored(box, orientation) for box in FACES]
        regions = [box_of(one["Area"]) for one in found["RegionInfo"]["RegionList"] if one.get("Name") != "Bo"]
        assert len(regions) == 2
        for box in expected:
            assert max(box.iou(one) for one in regions) >= 0.95, name
        rectangles = [one["Rectangle"] for one in found["RegionInfoMP"]["Regions"] if "PersonDisplayName" not in one]
        microsoft_boxes = [Box(*(float(part) for part in text.split(", "))) for text in rectangles]
        for box in expected:
            assert max(box.iou(one) for one in microsoft_boxes) >= 0.95, name
        assert {"People/Children", "People/Adults"} <= set(found["TagsList"])
        assert {"People|Children", "People|Adults"} <= set(found["HierarchicalSubject"])
    library.plugin.remove_from_sidecars()
    for name, data in before.items():
        assert same_meaning((library.folder / f"{name}.xmp").read_bytes(), data), name


@pytest.mark.parametrize("orientation", [1, 6])
def test_exiv2_reads_what_is_written(library: Any, orientation: int) -> None:
    exiv2 = need("exiv2")
    upright = np.full((120, 200, 3), 30, np.uint8)
    upright[50:80, 10:40] = (255, 5, 0)
    Image.fromarray(stored(upright, orientation)).save(library.folder / "a.png", exif=exif_bytes({0x112: orientation}))
    library.index()
    done = subprocess.run([exiv2, "-px", str(library.folder / "a.png.xmp")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = dict(re.findall(r"^(Xmp\.\S+) +\S+ +\d+  (.*)$", done.stdout, re.MULTILINE))
    assert found["Xmp.dc.subject"] == "Children"
    assert found["Xmp.digiKam.TagsList"] == "People/Children"
    area = "Xmp.mwg-rs.Regions/mwg-rs:RegionList[1]/mwg-rs:Area/stArea:"
    box = box_of({name.upper(): found[area + name] for name in "xywh"})
    assert box.iou(to_stored(FACES[0], orientation)) > 0.95
