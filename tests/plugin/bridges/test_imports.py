"""Names from digiKam's database, Google Takeout and osxphotos: whose faces they become, and what stays."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from bridged import name_face
from digikam_file import DigiKamFile
from rollcall import Plugin, corrections
from rollcall.bridges.imports.digikam import DigiKam
from rollcall.bridges.imports.names import NamedRegion, PhotoNames, PhotoPlace
from rollcall.bridges.imports.osxphotos import OsxPhotos
from rollcall.bridges.imports.takeout import Takeout
from rollcall.errors import BridgeError, SettingsError
from rollcall.media.orientation import upright
from rollcall.records import Box
from rollcall.xmp.geometry import to_upright


@pytest.fixture
def digikam(tmp_path: Path, photos: Path) -> Iterator[DigiKamFile]:
    """The library as digiKam sees it: a.png has Anna's face and one that is ignored, c.png a name without a face."""
    made = DigiKamFile(tmp_path / "digikam4.db")
    made.add_album(1, f"volumeid:?path={photos}", "/", "/")
    made.add_album(2, "volumeid:?uuid=1234-abcd", photos.as_posix(), "/trip")
    made.add_image(1, 1, "a.png")
    made.add_image(2, 2, "b.png")
    made.add_image(3, 2, "c.png")
    made.add_person(10, "Anna")
    made.add_person(11, "Zoë")
    made.add_face(1, 10, (8, 46, 36, 38))
    made.add_face(1, 3, (48, 50, 30, 30))
    made.add_face(2, 10, (120, 20, 40, 40))
    made.put("ImageTags", 3, 11)
    yield made
    made.connection.close()


def names(plugin: Plugin) -> dict[int, tuple[str | None, str | None]]:
    with plugin.database.read() as session:
        rows = session.execute(text("SELECT face_id, person, person_state FROM v1_faces ORDER BY face_id"))
        return {face: (name, state) for face, name, state in rows}


def tags(plugin: Plugin, photo_id: int) -> set[str]:
    with plugin.database.read() as session:
        return set(
            session.execute(
                text("SELECT tag FROM v1_tags WHERE photo_id = :one AND state = 'applied'"), {"one": photo_id}
            ).scalars()
        )


def test_names_of_digikam_become_names_of_faces(plugin: Plugin, digikam: DigiKamFile) -> None:
    before = digikam.file.read_bytes()
    report = plugin.import_names("digikam", digikam.file)
    found = names(plugin)
    assert found[1] == ("Anna", "confirmed")
    assert 2 not in found, "it is ignored there"
    assert found[5] == ("Anna", "confirmed"), "the detector missed it"
    assert found[4] == ("Zoë", "proposed"), "a name without a box is proposed for the only face"
    assert (report.photos, report.named, report.drawn, report.ignored, report.proposed) == (3, 2, 1, 1, 1)
    assert report.people == 2 and not report.left_out
    assert {entry.made_by for entry in plugin.corrections() if entry.kind == "person"} == {"digikam"}
    assert digikam.file.read_bytes() == before


def test_a_second_import_adds_nothing_even_if_a_person_decided_otherwise(plugin: Plugin, digikam: DigiKamFile) -> None:
    plugin.import_names("digikam", digikam.file)
    lines = len(plugin.corrections())
    plugin.correct(corrections.person(1, "uid-other"), corrections.person_name("uid-other", ["Ben"]))
    report = plugin.import_names("digikam", digikam.file)
    assert len(plugin.corrections()) == lines + 2
    assert report.named == report.proposed == report.ignored == 0
    assert names(plugin)[1] == ("Ben", "confirmed")


def test_only_what_is_new_there_is_added(plugin: Plugin, digikam: DigiKamFile) -> None:
    plugin.import_names("digikam", digikam.file)
    digikam.add_face(3, 11, (10, 50, 30, 30))
    report = plugin.import_names("digikam", digikam.file)
    assert names(plugin)[4] == ("Zoë", "confirmed")
    assert (report.named, report.people) == (1, 0)


def test_taking_back_an_import_leaves_the_library_as_it_was(plugin: Plugin, digikam: DigiKamFile) -> None:
    before = names(plugin), tags(plugin, 1)
    plugin.import_names("digikam", digikam.file)
    report = plugin.import_names("digikam", digikam.file, undo=True)
    assert report.taken_back > 0
    after = names(plugin)
    assert {face: name for face, (name, _) in after.items()} == {face: name for face, (name, _) in before[0].items()}
    assert tags(plugin, 1) == before[1]
    assert plugin.import_names("digikam", digikam.file, undo=True).taken_back == 0


def test_what_a_person_decided_after_an_import_stays_when_it_is_taken_back(
    plugin: Plugin, digikam: DigiKamFile
) -> None:
    plugin.import_names("digikam", digikam.file)
    plugin.correct(corrections.person_name("uid-ben", ["Ben"]), corrections.person(1, "uid-ben"))
    plugin.import_names("digikam", digikam.file, undo=True)
    assert names(plugin)[1] == ("Ben", "confirmed")


def test_a_dry_run_of_an_import_writes_nothing(plugin: Plugin, digikam: DigiKamFile) -> None:
    before = names(plugin)
    dry = plugin.import_names("digikam", digikam.file, dry_run=True)
    assert names(plugin) == before and not [one for one in plugin.corrections() if one.made_by == "digikam"]
    assert plugin.import_names("digikam", digikam.file) == dry


def test_a_name_that_a_person_gave_here_stays(plugin: Plugin, digikam: DigiKamFile) -> None:
    plugin.correct(corrections.person_name("uid-ben", ["Ben"]), corrections.person(1, "uid-ben"))
    plugin.correct(corrections.person_name("uid-eva", ["Eva"]), corrections.person(2, "uid-eva"))
    report = plugin.import_names("digikam", digikam.file)
    assert names(plugin)[1] == ("Ben", "confirmed") and names(plugin)[2] == ("Eva", "confirmed")
    assert set(report.left_out) == {
        "a face has another name here, which stays",
        "a face that is ignored there has a name here, which stays",
    }


def test_a_person_of_the_same_name_is_the_same_person(plugin: Plugin, digikam: DigiKamFile) -> None:
    plugin.correct(corrections.person_name("uid-anna", ["ANNA"]), corrections.person(3, "uid-anna"))
    plugin.import_names("digikam", digikam.file)
    assert names(plugin)[1] == ("ANNA", "confirmed")


def test_a_name_that_two_people_have_here_is_left_out(plugin: Plugin, digikam: DigiKamFile) -> None:
    for uid, face in (("one", 3), ("two", 4)):
        plugin.correct(corrections.person_name(uid, ["Anna"]), corrections.person(face, uid))
    report = plugin.import_names("digikam", digikam.file)
    assert names(plugin)[1] == (None, None)
    assert report.left_out["several people here have this name; merge them, or give them different names"] == 2


def place(file: Path, size: tuple[int, int] = (200, 120), orientation: int = 1) -> PhotoPlace:
    return PhotoPlace(1, file, *size, orientation)


def test_photos_in_digikams_trash_and_system_tags_are_left_out(tmp_path: Path) -> None:
    made = DigiKamFile(tmp_path / "digikam4.db")
    made.add_album(1, "networkshareid:?mountpath=/mnt/share", "/photos", "/2020")
    made.add_person(10, "Anna")
    for number, status in ((1, 1), (2, 3)):
        made.add_image(number, 1, f"{number}.jpg", status=status)
        made.add_face(number, 10, (20, 12, 20, 12))
    made.add_face(1, 2, (100, 12, 20, 12))
    made.add_face(1, 10, (0, 0, 0, 0))
    made.put("ImageTagProperties", 1, 10, "tagRegion", "no rectangle")
    made.add_face(1, 10, (60, 60, 20, 12), kind="ignoredFace")
    reader = DigiKam(made.file)
    found = reader.names_of(place(Path("/mnt/share/photos/2020/1.jpg")))
    assert found == PhotoNames(
        (NamedRegion(Box(0.1, 0.1, 0.1, 0.1), "Anna"), NamedRegion(Box(0.3, 0.5, 0.1, 0.1), None))
    )
    assert not reader.names_of(place(Path("/mnt/share/photos/2020/2.jpg")))
    assert not reader.names_of(place(Path("/elsewhere/1.jpg")))


def test_rectangles_of_digikam_are_of_the_upright_picture(tmp_path: Path) -> None:
    made = DigiKamFile(tmp_path / "digikam4.db")
    made.add_album(1, "volumeid:?path=/photos", "/", "/")
    made.add_person(10, "Anna")
    made.add_image(1, 1, "turned.jpg", size=(120, 200))  # as stored
    made.add_image(2, 1, "resized.jpg", size=(60, 100))
    for image in (1, 2):
        made.add_face(image, 10, (20, 12, 20, 12))
    reader = DigiKam(made.file)
    (region,) = reader.names_of(place(Path("/photos/turned.jpg"), (200, 120), 6)).regions
    assert region.box == Box(0.1, 0.1, 0.1, 0.1)
    (region,) = reader.names_of(place(Path("/photos/resized.jpg"), (200, 120), 6)).regions
    assert region.box == Box(0.2, 0.2, 0.2, 0.2)


@pytest.mark.parametrize("content", [None, b"", b"no database" * 1000, "other"])
def test_a_file_that_is_no_database_of_digikam_is_refused_in_a_sentence(tmp_path: Path, content: Any) -> None:
    file = tmp_path / "digikam4.db"
    if content == "other":
        sqlite3.connect(file).execute("CREATE TABLE other (id)")
    elif content is not None:
        file.write_bytes(content)
    with pytest.raises(BridgeError, match=r"digikam4\.db"):
        DigiKam(file)


# ---- Google Takeout and osxphotos


@pytest.fixture
def export(tmp_path: Path, photos: Path) -> Iterator[Path]:
    """The library's folder; JSON files beside its photos are removed at the end."""
    yield photos
    for file in photos.rglob("*.json"):
        file.unlink()


def takeout_file(picture: Path, *people: Any, name: str = "{}.json") -> None:
    content = {"title": picture.name, "photoTakenTime": {"timestamp": "1500000000"}, "people": list(people)}
    picture.with_name(name.format(picture.name)).write_text(json.dumps(content))


def test_names_of_takeout_are_proposed_or_kept_as_tags(plugin: Plugin, export: Path) -> None:
    takeout_file(export / "a.png", {"name": "Anna"}, {"name": "Ben"}, {"name": " "}, {"other": 1}, "text")
    takeout_file(export / "trip" / "c.png", {"name": "Zoë"}, name="{}.supplemental-metadata.json")
    report = plugin.import_names("takeout", export)
    assert {"People/Anna", "People/Ben"} <= tags(plugin, 1), "two names, two faces: whose is whose is not known"
    assert names(plugin)[1] == (None, None)
    photo = next(one for one in (2, 3) if "People/Seniors" in tags(plugin, one))
    assert names(plugin)[4] == ("Zoë", "proposed") and "People/Zoë" not in tags(plugin, photo)
    assert (report.tagged, report.proposed, report.named) == (2, 1, 0)
    plugin.import_names("takeout", export, undo=True)
    assert not {"People/Anna", "People/Ben"} & tags(plugin, 1)
    assert names(plugin)[4][0] is None


def test_a_name_that_is_confirmed_on_the_photo_is_not_said_again(plugin: Plugin, export: Path) -> None:
    plugin.correct(corrections.person_name("uid-anna", ["Anna"]), corrections.person(1, "uid-anna"))
    takeout_file(export / "a.png", {"name": "anna"})
    report = plugin.import_names("takeout", export)
    assert (report.already_there, report.tagged, report.proposed) == (1, 0, 0)


def test_a_tag_of_a_name_that_a_person_rejected_is_left_out(plugin: Plugin, export: Path) -> None:
    plugin.correct(corrections.tag(1, "People/Anna", accepted=False))
    takeout_file(export / "a.png", {"name": "Anna"}, {"name": "Ben"})
    report = plugin.import_names("takeout", export)
    assert "People/Anna" not in tags(plugin, 1)
    assert report.left_out == {"a person rejected the tag of the name for this photo": 1}


def osxphotos_file(picture: Path, fields: dict[str, Any], name: str = "{}.json") -> None:
    content = [{"SourceFile": picture.name, **fields}]
    picture.with_name(name.format(picture.name)).write_text(json.dumps(content))


def test_regions_of_osxphotos_become_names_of_faces(plugin: Plugin, export: Path) -> None:
    osxphotos_file(
        export / "a.png",
        {
            "XMP:PersonInImage": ["Anna", "Ben", "_UNKNOWN_"],
            "XMP:RegionName": ["Anna", "_UNKNOWN_"],
            "XMP:RegionType": ["Face", "Face"],
            "XMP:RegionAreaX": [0.125, 0.3],
            "XMP:RegionAreaY": ["0.54", "0.54"],
            "XMP:RegionAreaW": [0.16, 0.15],
            "XMP:RegionAreaH": [0.27, 0.25],
        },
    )
    report = plugin.import_names("osxphotos", export)
    assert names(plugin)[1] == ("Anna", "confirmed") and names(plugin)[2][0] is None
    assert "People/Ben" in tags(plugin, 1)
    assert (report.named, report.tagged) == (1, 1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_regions_of_the_stored_picture_are_turned_upright(tmp_path: Path, orientation: int) -> None:
    import numpy as np

    stored = np.zeros((100, 200, 3), np.uint8)
    stored[10:30, 40:100] = 255
    ys, xs = np.nonzero(upright(stored, orientation)[..., 0])
    height, width = upright(stored, orientation).shape[:2]
    found = to_upright(Box(40 / 200, 10 / 100, 60 / 200, 20 / 100), orientation)
    expected = (xs.min() / width, ys.min() / height, (np.ptp(xs) + 1) / width, (np.ptp(ys) + 1) / height)
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    "fields",
    [
        {
            "RegionName": ["Anna", "Ben"],
            "RegionAreaX": [0.1],
            "RegionAreaY": [0.1],
            "RegionAreaW": [1],
            "RegionAreaH": [1],
        },
        {"RegionName": "Anna", "RegionAreaX": "x", "RegionAreaY": 0.1, "RegionAreaW": 0.1, "RegionAreaH": 0.1},
        {"RegionName": "Anna", "RegionAreaX": "nan", "RegionAreaY": 0.1, "RegionAreaW": 0.1, "RegionAreaH": 0.1},
        {"RegionName": "Rex", "RegionType": "Pet", **{f"RegionArea{one}": 0.1 for one in "XYWH"}},
        {"RegionName": "Anna", **{f"RegionArea{one}": 0 for one in "XYWH"}},
    ],
)
def test_regions_that_are_not_clear_are_left_out(export: Path, fields: dict[str, Any]) -> None:
    osxphotos_file(export / "a.png", fields, name="a.json")
    assert OsxPhotos(export).names_of(place(export / "a.png")) == PhotoNames()


@pytest.mark.parametrize("text", ["", "{", "[]", "[1, 2]", '{"people": 3, "photoTakenTime": 1}', "[" * 5000, '"text"'])
def test_whatever_a_json_file_holds_no_import_ends(plugin: Plugin, export: Path, text: str) -> None:
    (export / "a.png.json").write_text(text)
    for name in ("takeout", "osxphotos"):
        assert plugin.import_names(name, export).photos == 0


def test_photos_outside_of_the_folder_are_left_alone(plugin: Plugin, export: Path) -> None:
    takeout_file(export / "a.png", {"name": "Anna"})
    assert plugin.import_names("takeout", export / "trip").photos == 0
    for reader in (Takeout, OsxPhotos):
        with pytest.raises(BridgeError, match="there is no such folder"):
            reader(export / "missing")
    with pytest.raises(SettingsError, match="choose digikam, takeout, osxphotos"):
        plugin.import_names("picasa", export)


def test_sidecars_and_the_interface_of_immich_are_not_used_at_once(
    library: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bridged import immich
    from rollcall.errors import ConflictError
    from rollcall.host import bridging

    server = immich()
    library.bridge("immich", transport=server)
    monkeypatch.setattr(bridging, "_writes_sidecars", lambda settings: True)
    with pytest.raises(ConflictError, match="switch one of the two off"):
        library.bridge("immich", transport=server)
    library.bridge("immich", undo=True, transport=server)
    assert server.state() == immich().state()


def test_name_face_of_these_tests_is_what_the_log_makes(plugin: Plugin) -> None:
    name_face(plugin, 1, "Anna")
    plugin.correct(corrections.person_name("uid-Ben", ["Ben"]), corrections.person(3, "uid-Ben"))
    assert names(plugin)[1] == ("Anna", "confirmed") and names(plugin)[3] == ("Ben", "confirmed")
