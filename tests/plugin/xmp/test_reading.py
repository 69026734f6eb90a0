"""What other programs wrote is read: in photos of every format and in sidecars; and whose word counts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from blobs import draw
from drawn import encoded, exif_bytes, need, stored
from rollcall import corrections
from rollcall.records import Box
from rollcall.xmp import embedded
from rollcall.xmp.geometry import to_stored
from sidecars import bag, exiftool, mwg, packet, read

#: Where the squares of `blobs.draw` are in a picture of 200 by 120 pixels.
FIRST, SECOND = Box(0.05, 50 / 120, 0.15, 0.25), Box(0.24, 50 / 120, 0.15, 0.25)
SIZE = (200, 120)


def sidecar(library: Any, properties: str, name: str = "a.png.xmp", later: float = 0.0) -> Path:
    """Write a sidecar; its time of change is `later` seconds after now."""
    path = library.folder / name
    path.write_bytes(packet(properties))
    if later:
        moment = path.stat().st_mtime_ns + int(later * 1e9)
        os.utime(path, ns=(moment, moment))
    return path


# ---- Photos of every format


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "HEIF", "JXL", "AVIF"])
def test_keywords_and_regions_are_read_in_photos_of_every_format(tmp_path: Path, format_name: str) -> None:
    if format_name != "GIF":
        need(format_name)
    suffix = {"JPEG": "jpg", "TIFF": "tif", "HEIF": "heic"}.get(format_name, format_name.lower())
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(encoded(np.zeros((96, 160, 3), np.uint8), format_name))
    (tmp_path / "x.xmp").write_bytes(packet(bag("dc:subject", "Größe") + mwg((FIRST, "Anna"), size=(160, 96))))
    exiftool("-overwrite_original", "-m", "-tagsfromfile", tmp_path / "x.xmp", "-xmp:all", path)
    found = embedded.of_file(path, 30)
    assert found.subject == ("Größe",)
    assert [name for _, name in found.regions.faces] == ["Anna"]
    assert found.regions.faces[0].box.iou(FIRST) > 0.99


def test_a_packet_of_two_segments_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(np.zeros((96, 160, 3), np.uint8), "JPEG"))
    many = [f"keyword {number} {'x' * 40}" for number in range(1900)]
    (tmp_path / "x.xmp").write_bytes(packet(bag("dc:subject", *many) + mwg((FIRST, "Anna"))))
    exiftool("-overwrite_original", "-m", "-tagsfromfile", tmp_path / "x.xmp", "-xmp:all", path)
    assert path.read_bytes().count(b"http://ns.adobe.com/xmp/extension/\0") >= 1
    found = embedded.of_file(path, 30)
    assert found.subject == tuple(many)
    assert [name for _, name in found.regions.faces] == ["Anna"]


@pytest.mark.parametrize("character_set", ["UTF8", "Latin"])
def test_keywords_of_iptc_count_where_xmp_has_none(tmp_path: Path, character_set: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(np.zeros((96, 160, 3), np.uint8), "JPEG"))
    options = ["-codedcharacterset=UTF8"] if character_set == "UTF8" else []
    exiftool("-overwrite_original", *options, "-iptc:keywords=Größe", "-iptc:keywords=Møn", path)
    assert embedded.of_file(path, 30).subject == ("Größe", "Møn")
    exiftool("-overwrite_original", "-xmp:subject=Beach", path)
    assert embedded.of_file(path, 30).subject == ("Beach",)


def test_a_damaged_packet_says_nothing(library: Any) -> None:
    path = library.folder / "a.jpg"
    Image.new("RGB", (64, 64)).save(path, xmp=packet(bag("dc:subject", "Beach"))[:-30])
    library.index()
    assert library.tags("a.jpg") == {}
    assert library.rows("SELECT state FROM v1_photos") == [("indexed",)]


# ---- Regions and faces


def test_a_region_names_the_face_that_it_covers_and_one_that_covers_none_becomes_a_face(library: Any) -> None:
    draw(library.folder / "a.png", (5, 0), (30, 0))
    head = Box(FIRST.x - 0.02, FIRST.y - 0.05, FIRST.width + 0.04, FIRST.height + 0.08)
    alone = Box(0.8, 0.1, 0.1, 0.1)
    sidecar(library, mwg((head, "Anna"), (alone, "Bo"), size=SIZE))
    library.index()
    assert library.faces() == [("Anna", "host", "auto"), (None, None, "auto"), ("Bo", "host", "host")]
    assert library.log() == [("xmp", "person"), ("xmp", "person_name")] * 2
    # Found again, doubled never.
    library.plugin.index(library.folder, force=True)
    library.plugin.read_sidecars()
    assert library.faces() == [("Anna", "host", "auto"), (None, None, "auto"), ("Bo", "host", "host")]
    assert len(library.log()) == 4


def test_a_face_that_only_another_program_gave_goes_with_its_region(library: Any) -> None:
    draw(library.folder / "a.png", (5, 0))
    sidecar(library, mwg((Box(0.8, 0.1, 0.1, 0.1), ""), size=SIZE))
    library.index()
    assert [source for *_, source in library.faces()] == ["auto", "host"]
    assert library.plugin.sidecar_status().host_faces == 1
    sidecar(library, mwg(size=SIZE))
    library.index()
    assert [source for *_, source in library.faces()] == ["auto"]


def test_a_face_that_was_erased_does_not_come_back_by_a_region(library: Any) -> None:
    draw(library.folder / "a.png", (5, 0))
    sidecar(library, mwg((Box(0.8, 0.1, 0.1, 0.1), "Bo"), size=SIZE))
    library.index()
    (face,) = (row[0] for row in library.rows("SELECT face_id FROM v1_faces WHERE source = 'host'"))
    library.plugin.forget(faces=[face])
    library.plugin.index(library.folder, force=True)
    library.plugin.read_sidecars()
    assert [source for *_, source in library.faces()] == ["auto"]


def test_a_face_is_named_once_though_photo_and_sidecar_say_it(library: Any) -> None:
    draw(library.folder / "x.png", (5, 0))
    with Image.open(library.folder / "x.png") as image:
        image.save(library.folder / "a.png", xmp=None)
    (library.folder / "x.png").unlink()
    properties = mwg((FIRST, "Anna"), size=SIZE)
    (library.folder / "in.xmp").write_bytes(packet(properties))
    exiftool("-overwrite_original", "-tagsfromfile", library.folder / "in.xmp", "-xmp:all", library.folder / "a.png")
    (library.folder / "in.xmp").unlink()
    sidecar(library, properties)
    library.index()
    assert library.faces() == [("Anna", "host", "auto")]


@pytest.mark.parametrize(("relative_to", "orientations"), [("stored", range(1, 9)), ("upright", range(5, 9))])
def test_regions_are_read_in_every_orientation(library: Any, relative_to: str, orientations: range) -> None:
    """Relative to the upright picture they are where the sides say so, which they do for pictures on their side."""
    upright = np.full((120, 200, 3), 30, np.uint8)
    upright[50:80, 10:40], upright[10:40, 150:180] = (255, 5, 0), (255, 30, 0)
    for orientation in orientations:
        pixels = stored(upright, orientation)
        name = f"{orientation}.png"
        Image.fromarray(pixels).save(library.folder / name, exif=exif_bytes({0x112: orientation}))
        boxes = [FIRST, Box(0.75, 10 / 120, 0.15, 0.25)]
        size = SIZE
        if relative_to == "stored":
            boxes, size = [to_stored(box, orientation) for box in boxes], (pixels.shape[1], pixels.shape[0])
        sidecar(library, mwg((boxes[0], "Anna"), (boxes[1], "Bo"), size=size), f"{name}.xmp")
    library.index()
    assert library.faces() == [("Anna", "host", "auto"), ("Bo", "host", "auto")] * len(orientations)


def test_regions_of_a_picture_that_was_cropped_since_are_not_believed(library: Any) -> None:
    draw(library.folder / "a.png", (5, 0))
    sidecar(library, mwg((FIRST, "Anna"), size=(300, 120)))
    library.index()
    assert library.faces() == [(None, None, "auto")]


def test_the_time_of_capture_is_the_sidecars_where_the_photo_has_none(library: Any) -> None:
    for name in ("a.png", "IMG_20190612_101500.png"):
        draw(library.folder / name, seed=len(name))
        sidecar(library, "<photoshop:DateCreated>2015-03-04T05:06:07+02:00</photoshop:DateCreated>", f"{name}.xmp")
    Image.new("RGB", (64, 64)).save(library.folder / "c.jpg", exif=exif_bytes(exif={0x9003: "2001:02:03 04:05:06"}))
    sidecar(library, "<photoshop:DateCreated>2015-03-04T05:06:07</photoshop:DateCreated>", "c.jpg.xmp")
    library.index()
    times = library.rows("SELECT taken_local, taken_utc, taken_source FROM v1_photos ORDER BY path")
    of_sidecar = ("2015-03-04T05:06:07", "2015-03-04T03:06:07Z", "xmp")
    assert times == [of_sidecar, of_sidecar, ("2001-02-03T04:05:06", None, "exif")]
    library.plugin.index(library.folder, force=True)
    assert library.rows("SELECT taken_local, taken_utc, taken_source FROM v1_photos ORDER BY path") == times


# ---- Whose word counts: the table in docs/xmp.md


def test_a_name_of_a_person_here_is_not_contradicted_by_what_was_there_before(library: Any) -> None:
    draw(library.folder / "a.png", (5, 0))
    library.index()
    (face,) = (row[0] for row in library.rows("SELECT face_id FROM v1_faces"))
    uid = corrections.new_uid()
    library.plugin.remove_from_sidecars()
    library.plugin.correct(corrections.person(face, uid), corrections.person_name(uid, ["Anna"]))
    sidecar(library, mwg((FIRST, "Bo"), size=SIZE))
    library.index()
    assert library.faces() == [("Anna", "user", "auto")]


def test_a_name_that_is_changed_elsewhere_later_counts(library: Any) -> None:
    draw(library.folder / "a.png", (5, 0))
    library.index()
    (face,) = (row[0] for row in library.rows("SELECT face_id FROM v1_faces"))
    uid = corrections.new_uid()
    library.plugin.correct(corrections.person(face, uid), corrections.person_name(uid, ["Anna"]))
    library.index()
    path = library.folder / "a.png.xmp"
    path.write_bytes(path.read_bytes().replace(b">Anna<", b">Bo<"))
    library.index()
    assert library.faces() == [("Bo", "host", "auto")]
    # And a newer word here counts against that.
    library.plugin.correct(corrections.person(face, uid))
    library.index()
    assert library.faces() == [("Anna", "user", "auto")]


def test_a_region_of_ours_that_is_removed_elsewhere_is_a_rejection_and_stays_away(library: Any) -> None:
    draw(library.folder / "a.png", (5, 0), (30, 0))
    library.index()
    first, _ = (row[0] for row in library.rows("SELECT face_id FROM v1_faces ORDER BY x"))
    uid = corrections.new_uid()
    library.plugin.correct(corrections.person(first, uid), corrections.person_name(uid, ["Anna"]))
    library.index()
    path = library.folder / "a.png.xmp"
    exiftool("-overwrite_original", "-xmp-mwg-rs:all=", "-xmp-mp:all=", path)
    library.index()
    library.index()
    assert library.faces() == [(None, None, "auto")] * 2
    assert ("xmp", "not_person") in library.log()
    assert not read(path).regions.present
    assert read(path).subject == ("Adults", "Children")
    # Named again here, it is written again.
    library.plugin.correct(corrections.person(first, uid), corrections.not_person(first, uid, False))
    library.index()
    assert [name for _, name in read(path).regions.faces] == ["Anna"]


def test_a_name_that_is_withdrawn_elsewhere_is_withdrawn_here(library: Any) -> None:
    draw(library.folder / "a.png", (5, 0))
    sidecar(library, mwg((FIRST, "Anna"), size=SIZE))
    library.index()
    assert library.faces() == [("Anna", "host", "auto")]
    sidecar(library, mwg((FIRST, ""), size=SIZE), later=1)
    library.index()
    assert library.faces() == [(None, None, "auto")]


def test_a_tag_that_is_removed_elsewhere_is_rejected_and_undone_it_returns(library: Any) -> None:
    draw(library.folder / "a.png", (5, 0), (30, 0))
    library.index()
    path = library.folder / "a.png.xmp"
    exiftool("-overwrite_original", "-subject-=Children", path)
    library.index()
    assert library.tags()["People/Children"] == ("user", "rejected")
    assert read(path).tags_list == ("People/Adults",)
    library.plugin.undo()
    library.index()
    assert library.tags()["People/Children"] == ("auto", "applied")
    assert set(read(path).tags_list or ()) == {"People/Adults", "People/Children"}


def test_a_tag_that_was_rejected_here_stays_rejected_until_it_is_added_elsewhere_later(library: Any) -> None:
    draw(library.folder / "a.png", (5, 0))
    sidecar(library, bag("dc:subject", "Beach"))
    library.index()
    library.plugin.correct(corrections.tag(library.photo_id(), "Beach", False))
    library.plugin.read_sidecars()
    assert library.tags()["Beach"] == ("user", "rejected")
    assert "Beach" in (read(library.folder / "a.png.xmp").subject or ()), "it is another program's"
    exiftool("-overwrite_original", "-subject-=Beach", library.folder / "a.png.xmp")
    library.index()
    assert library.tags()["Beach"] == ("user", "rejected")
    exiftool("-overwrite_original", "-subject+=Beach", library.folder / "a.png.xmp")
    library.index()
    assert library.tags()["Beach"] == ("user", "applied")


def test_a_tag_that_was_accepted_here_after_the_file_was_changed_stays(library: Any) -> None:
    draw(library.folder / "a.png", (5, 0))
    library.index()
    path = library.folder / "a.png.xmp"
    exiftool("-overwrite_original", "-subject-=Children", path)
    before = path.stat().st_mtime_ns - 10**10
    os.utime(path, ns=(before, before))
    library.plugin.correct(corrections.tag(library.photo_id(), "People/Children", True))
    library.index()
    assert library.tags()["People/Children"] == ("user", "applied")
    assert "Children" in (read(path).subject or ())


def test_a_host_tag_that_rollcall_would_set_too_is_rejected_when_it_is_removed(library: Any) -> None:
    draw(library.folder / "a.png", (5, 0))
    sidecar(library, bag("digiKam:TagsList", "People/Children") + bag("dc:subject", "Children"))
    library.index()
    assert library.tags()["People/Children"] == ("host", "applied")
    sidecar(library, bag("dc:subject", "x"), later=1)
    library.index()
    assert library.tags()["People/Children"] == ("user", "rejected")


def test_the_sidecars_list_counts_at_first_and_later_changes_of_either(library: Any) -> None:
    path = library.folder / "a.png"
    draw(path)
    exiftool("-overwrite_original", "-xmp:subject=Beach", "-xmp:subject=Old", path)
    sidecar(library, bag("dc:subject", "Beach"))
    library.index()
    assert library.applied() == {"Beach"}
    exiftool("-overwrite_original", "-xmp:subject+=Sea", path)
    library.index()
    assert library.applied() == {"Beach", "Sea"}
    exiftool("-overwrite_original", "-xmp:subject-=Sea", path)
    library.index()
    assert library.applied() == {"Beach"}
    exiftool("-overwrite_original", "-xmp:subject-=Beach", path)
    library.index()
    assert library.applied() == {"Beach"}, "the sidecar still says so"


def test_a_sidecar_that_is_gone_says_nothing_any_more_and_rejects_nothing(library: Any) -> None:
    draw(library.folder / "a.png", (5, 0))
    path = sidecar(library, bag("dc:subject", "Beach") + mwg((FIRST, "Anna"), size=SIZE))
    library.index()
    path.unlink()
    library.index()
    assert library.tags() == {"People/Anna": ("auto", "applied"), "People/Children": ("auto", "applied")}
    assert library.faces() == [("Anna", "host", "auto")], "a name stays confirmed"
    assert set(read(path).subject) == {"Anna", "Children"}


def test_reading_can_be_switched_off(make_library: Callable[..., Any]) -> None:
    library = make_library(read=False)
    draw(library.folder / "a.png", (5, 0))
    sidecar(library, bag("dc:subject", "Beach") + mwg((FIRST, "Anna"), size=SIZE))
    library.index()
    assert library.tags() == {"People/Children": ("auto", "applied")}
    assert library.faces() == [(None, None, "auto")]


def test_a_library_that_was_indexed_before_is_read_on_request(make_library: Callable[..., Any]) -> None:
    library = make_library(read=False)
    path = library.folder / "a.png"
    draw(path, (5, 0))
    exiftool("-overwrite_original", "-xmp:subject=Beach", path)
    library.index()
    library.plugin.stop()
    library = make_library()
    library.index()
    assert "Beach" not in library.tags()
    report = library.plugin.read_sidecars([library.folder])
    assert report.read == 1
    assert library.tags()["Beach"] == ("host", "applied")
    assert library.plugin.sidecar_status().embedded == 1
