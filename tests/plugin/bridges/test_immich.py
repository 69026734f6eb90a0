"""What is particular about Immich: its own faces and people, tags that others use, uploaded files."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from bridged import immich, name_face
from fake_immich import FakeImmich
from rollcall import Plugin, corrections
from strict_server import Killed


@pytest.fixture
def server() -> FakeImmich:
    return immich()


def asset(server: FakeImmich, name: str) -> str:
    return next(key for key, one in server.assets.items() if one["originalPath"].endswith(name))


def test_tags_have_levels_and_faces_have_the_pixels_of_their_boxes(library: Plugin, server: FakeImmich) -> None:
    library.bridge("immich", transport=server)
    values = {tag["value"] for tag in server.tags.values()}
    assert {"Trips", "Trips/Sea", "People", "People/Children"} <= values
    (face,) = (one for one in server.faces.values() if one["asset"] == asset(server, "a.png"))
    assert (face["box"], face["size"]) == ((10, 50, 30, 30), (200, 120))
    assert server.people[face["person"]] == {"id": face["person"], "name": "Anna", "birthDate": "2015-03-01"}


def test_a_person_and_a_tag_of_the_server_are_used_and_stay(library: Plugin, server: FakeImmich) -> None:
    anna = server.add_person("anna")
    server.add_tag("Trips/Sea", asset(server, "a.png"))
    before = server.state()
    report = library.bridge("immich", transport=server)
    assert server.people[anna]["birthDate"] == "2015-03-01"
    assert {face["person"] for face in server.faces.values()} >= {anna}
    assert report.already_there["tag"] == 2 and report.already_there["photo tag"] == 1
    library.bridge("immich", undo=True, transport=server)
    assert server.state() == before


def test_a_birth_date_of_the_server_is_not_replaced(library: Plugin, server: FakeImmich) -> None:
    anna = server.add_person("Anna", "2014-12-24")
    library.bridge("immich", transport=server)
    assert server.people[anna]["birthDate"] == "2014-12-24"


@pytest.mark.parametrize("named", [False, True])
def test_a_face_of_the_server_without_a_name_gets_it_and_is_given_back(
    library: Plugin, server: FakeImmich, named: bool
) -> None:
    group = server.add_person() if named else None
    face = server.add_face(asset(server, "a.png"), (8, 48, 36, 38), group)
    before = server.state()
    library.bridge("immich", transport=server)
    assert server.people[server.faces[face]["person"]]["name"] == "Anna"
    assert sum(one["asset"] == asset(server, "a.png") for one in server.faces.values()) == 1, "no second face there"
    library.bridge("immich", undo=True, transport=server)
    assert server.faces[face]["person"] == group
    assert server.state() == before


def test_another_name_on_the_server_stays_and_is_reported(library: Plugin, server: FakeImmich) -> None:
    ben = server.add_person("Ben")
    face = server.add_face(asset(server, "a.png"), (10, 50, 30, 30), ben)
    report = library.bridge("immich", transport=server)
    assert server.faces[face]["person"] == ben
    assert report.reasons == {"the face has another name on the server, which stays": 1}
    library.bridge("immich", undo=True, transport=server)
    assert server.faces[face]["person"] == ben


def test_two_people_of_one_name_are_left_to_the_person(library: Plugin, server: FakeImmich) -> None:
    server.add_person("Anna"), server.add_person("Anna")
    report = library.bridge("immich", transport=server)
    assert report.reasons["the server has 2 people of this name; merge them there"] == 1
    assert report.reasons["the person that it needs is not there"] == 2


def test_what_a_person_removed_there_is_not_sent_again(library: Plugin, server: FakeImmich) -> None:
    library.bridge("immich", transport=server)
    server.tagged.clear()
    server.faces.clear()
    library.bridge("immich", transport=server)
    assert not server.tagged and not server.faces
    library.bridge("immich", undo=True, transport=server)
    assert not server.refused and not server.people


def test_a_tag_and_a_person_that_others_use_by_now_stay(library: Plugin, server: FakeImmich) -> None:
    library.bridge("immich", transport=server)
    server.add_tag("Trips/Sea", asset(server, "c.png"))
    zoe = next(key for key, one in server.people.items() if one["name"] == "Zoë")
    server.add_face(asset(server, "b.png"), (100, 10, 30, 30), zoe)
    report = library.bridge("immich", undo=True, transport=server)
    assert [tag["value"] for tag in server.tags.values()] == ["Trips", "Trips/Sea"]
    assert list(server.people) == [zoe]
    assert len(report.left_out) == 3


def test_a_new_name_renames_the_person_that_the_bridge_made(library: Plugin, server: FakeImmich) -> None:
    from sqlalchemy import update

    from rollcall.storage.tables import PersonNameRow, PersonRow

    library.bridge("immich", transport=server)
    with library.database.write() as session:
        session.execute(update(PersonNameRow).where(PersonNameRow.name == "Zoë").values(name="Zoe"))
        session.execute(update(PersonRow).where(PersonRow.uid == "uid-Zoë").values(birth_date="1950-01"))
    before = len(server.changes)
    library.bridge("immich", transport=server)
    assert sorted(one["name"] for one in server.people.values()) == ["Anna", "Zoe"]
    assert len(server.changes) == before + 1


def test_a_face_that_gets_another_name_or_box_is_changed(library: Plugin, server: FakeImmich) -> None:
    from sqlalchemy import update

    from rollcall.storage.tables import FaceRow

    library.bridge("immich", transport=server)
    name_face(library, 4, "Anna")
    with library.database.write() as session:
        session.execute(update(FaceRow).where(FaceRow.id == 1).values(x=0.5))
    library.bridge("immich", transport=server)
    assert {one["person"] for one in server.faces.values()} == {
        next(key for key, one in server.people.items() if one["name"] == "Anna")
    }
    assert sorted(one["box"] for one in server.faces.values()) == [
        (10, 50, 30, 30),
        (10, 50, 30, 30),
        (100, 50, 30, 30),
    ]
    assert [one["name"] for one in server.people.values()] == ["Anna"], "a person without faces is taken back"


def test_an_uploaded_file_is_found_by_its_content(library: Plugin, photos: Path) -> None:
    server = FakeImmich()
    for name in ("a.png", "trip/b.png"):
        digest = hashlib.sha1((photos / name).read_bytes()).digest()
        server.add_asset(f"upload/{name[-5]}/x1.png", base64.b64encode(digest).decode(), name.rpartition("/")[2])
    report = library.bridge("immich", transport=server)
    assert len({asset for _, asset in server.tagged}) == 2
    assert set(report.reasons) == {"the server has no such photo", "the server has none of its photos"}


def test_only_confirmed_names_of_people_who_are_not_hidden_are_sent(plugin: Plugin, server: FakeImmich) -> None:
    from sqlalchemy import update

    from rollcall.storage.tables import FacePersonRow, PersonRow

    for face, name in ((1, "Anna"), (2, "Ben"), (3, "Cleo")):
        name_face(plugin, face, name)
    with plugin.database.write() as session:
        session.execute(update(FacePersonRow).where(FacePersonRow.face_id == 2).values(state="proposed"))
        session.execute(update(PersonRow).where(PersonRow.uid == "uid-Cleo").values(hidden=True))
    plugin.bridge("immich", transport=server)
    assert [one["name"] for one in server.people.values()] == ["Anna"]


def person(server: FakeImmich, name: str) -> str:
    return next(key for key, one in server.people.items() if one["name"] == name)


def rename(plugin: Plugin, old: str, new: str, birth_date: str | None = None) -> None:
    from sqlalchemy import update

    from rollcall.storage.tables import PersonNameRow, PersonRow

    with plugin.database.write() as session:
        session.execute(update(PersonNameRow).where(PersonNameRow.name == old).values(name=new))
        session.execute(
            update(PersonRow)
            .where(PersonRow.uid == f"uid-{old}")
            .values(
                birth_date=birth_date,
            )
        )


def test_a_person_who_was_renamed_there_keeps_that_name_and_the_faces(library: Plugin, server: FakeImmich) -> None:
    library.bridge("immich", transport=server)
    anna = person(server, "Anna")
    server.people[anna].update(name="Anna Maria", birthDate="2014-12-24")
    rename(library, "Anna", "Annie", "2016-01-01")
    report = library.bridge("immich", transport=server)
    assert server.people[anna]["name"] == "Anna Maria" and server.people[anna]["birthDate"] == "2014-12-24"
    assert report.reasons == {"the person has another name on the server, which stays": 1}
    library.bridge("immich", undo=True, transport=server)
    assert list(server.people) == [anna]
    assert [face["person"] for face in server.faces.values()] == [anna, anna]
    assert not server.refused and not server.tags


def test_a_person_who_was_merged_there_stays_so_and_gets_further_faces(library: Plugin, server: FakeImmich) -> None:
    library.bridge("immich", transport=server)
    other = server.add_person("Anna")
    server.merge(person(server, "Anna"), other)
    name_face(library, 2, "Anna")
    report = library.bridge("immich", transport=server)
    assert report.made["face"] == 1
    assert [face["person"] for face in server.faces.values()].count(other) == 3
    library.bridge("immich", undo=True, transport=server)
    assert list(server.people) == [other], "and the faces that the person there took over"
    assert [face["person"] for face in server.faces.values()] == [other, other]


def test_what_is_gone_on_the_server_ends_no_run(library: Plugin, server: FakeImmich) -> None:
    library.bridge("immich", transport=server)
    server.remove_asset(asset(server, "trip/b.png"))
    server.merge(person(server, "Anna"), person(server, "Zoë"))
    sea = next(key for key, one in server.tags.items() if one["value"] == "Trips/Sea")
    del server.tags[sea]
    server.tagged = {pair for pair in server.tagged if pair[0] != sea}
    for photo in (2, 3):
        library.correct(corrections.tag(photo, "Trips/Sea", accepted=True))
    rename(library, "Anna", "Annie")
    name_face(library, 3, "Zoë")
    name_face(library, 2, "Annie", uid="uid-Anna")
    report = library.bridge("immich", transport=server)
    assert {kind for kind, _, _ in report.left_out} == {"photo tag", "person", "face"}
    library.bridge("immich", undo=True, transport=server)
    assert not server.refused and not server.tags


def test_archived_photos_are_found_and_keep_tags_of_others(library: Plugin, server: FakeImmich) -> None:
    server.assets[asset(server, "a.png")]["visibility"] = "archive"
    server.assets[asset(server, "c.png")]["isTrashed"] = True
    library.bridge("immich", transport=server)
    assert {name for name, key in server.state()["tagged"] if key == asset(server, "a.png")} >= {"Trips/Sea"}
    server.add_tag("Trips/Sea", asset(server, "c.png"))
    library.bridge("immich", undo=True, transport=server)
    assert [tag["value"] for tag in server.tags.values()] == ["Trips", "Trips/Sea"]


@pytest.mark.parametrize("moment", ["kill after", "lost"])
def test_giving_a_face_back_leaves_nobody_behind(library: Plugin, server: FakeImmich, moment: str) -> None:
    server.add_face(asset(server, "a.png"), (8, 48, 36, 38), None)
    before = server.state()
    library.bridge("immich", transport=server)
    moments = iter([moment])
    server.trouble = lambda number, method, path: next(moments, None) if method == "POST" else None
    try:
        library.bridge("immich", undo=True, transport=server)
    except Killed:
        server.new.clear()  # as if listed
        library.bridge("immich", undo=True, transport=server)
    assert server.state() == before and not server.refused


def test_a_tag_stays_while_another_copy_of_the_photo_has_it(library: Plugin) -> None:
    server = FakeImmich()
    both = server.add_asset("/library/a.png")
    server.assets["copy"] = {**server.assets[both], "originalPath": "/library/trip/b.png"}
    library.bridge("immich", transport=server)
    library.correct(corrections.tag(1, "Trips/Sea", accepted=False))
    library.bridge("immich", transport=server)
    assert ("Trips/Sea", both) in server.state()["tagged"]
    library.bridge("immich", undo=True, transport=server)
    assert not server.tagged and not server.tags and not server.refused
