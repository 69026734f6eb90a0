"""What is particular about PhotoPrism: uncertainties, its own markers, what a person removed there."""

from __future__ import annotations

import pytest

from bridged import name_face, photoprism
from fake_photoprism import FakePhotoPrism
from rollcall import Plugin, corrections
from rollcall.bridges.photoprism import slug_of


@pytest.fixture
def server() -> FakePhotoPrism:
    return photoprism()


def photo(server: FakePhotoPrism, name: str) -> str:
    return next(uid for uid, one in server.photos.items() if one["Files"][0]["Name"] == name)


def test_a_label_has_the_uncertainty_of_its_tag_which_follows_it(library: Plugin, server: FakePhotoPrism) -> None:
    from sqlalchemy import update

    from rollcall.storage.tables import TagRow

    def probability(of: float) -> None:
        with library.database.write() as session:
            session.execute(update(TagRow).where(TagRow.name == "People/Children").values(probability=of))

    probability(0.93)
    library.bridge("photoprism", transport=server)
    assert {one[2] for one in server.state()["photo labels"] if one[1] == "children"} == {7}
    assert {one[2] for one in server.state()["photo labels"] if one[1] == "sea"} == {0}, "a person set it"
    probability(0.75)
    library.bridge("photoprism", transport=server)
    assert {one[2] for one in server.state()["photo labels"] if one[1] == "children"} == {25}
    assert not server.refused


def test_a_label_that_a_person_removed_there_stays_away(library: Plugin, server: FakePhotoPrism) -> None:
    server.add_label(photo(server, "a.png"), "Sea", 100, "image")
    before = server.state()
    library.bridge("photoprism", transport=server)
    assert ("a.png", "sea", 100) in server.state()["photo labels"]
    library.bridge("photoprism", undo=True, transport=server)
    assert server.state() == before


def test_a_marker_without_a_name_gets_it_and_loses_it_again(library: Plugin, server: FakePhotoPrism) -> None:
    marker = server.add_marker(photo(server, "a.png"), (0.04, 0.4, 0.18, 0.3))
    before = server.state()
    library.bridge("photoprism", transport=server)
    assert server.markers[marker]["Name"] == "Anna"
    assert sum(one["FileUID"] == server.file_of(photo(server, "a.png")) for one in server.markers.values()) == 1
    library.bridge("photoprism", undo=True, transport=server)
    assert server.state() == before


@pytest.mark.parametrize(
    ("name", "invalid", "reason"),
    [
        ("Ben", False, "the face has another name on the server, which stays"),
        ("", True, "a person there removed this face, which stays so"),
    ],
)
def test_what_a_person_there_decided_stays(
    library: Plugin, server: FakePhotoPrism, name: str, invalid: bool, reason: str
) -> None:
    marker = server.add_marker(photo(server, "a.png"), (0.05, 0.41, 0.15, 0.25), name)
    server.markers[marker]["Invalid"] = invalid
    report = library.bridge("photoprism", transport=server)
    assert report.reasons == {reason: 1}
    assert server.markers[marker]["Name"] == name


def test_a_name_that_is_too_long_there_is_told_and_changes_nothing(library: Plugin, server: FakePhotoPrism) -> None:
    from sqlalchemy import update

    from rollcall.storage.tables import PersonNameRow

    library.bridge("photoprism", transport=server)
    before = server.state()
    with library.database.write() as session:
        session.execute(update(PersonNameRow).where(PersonNameRow.name == "Anna").values(name="A" * 161))
    report = library.bridge("photoprism", transport=server)
    assert set(report.reasons) == {"the server takes names of up to 160 characters"}
    assert (server.state(), server.refused) == (before, [])


@pytest.mark.parametrize(
    ("name", "slug"), [("Märchen, ä", "marchen-a"), ("Trips & Sea", "trips-sea"), ("日本", "日本")]
)
def test_a_label_is_known_by_its_slug(name: str, slug: str) -> None:
    assert slug_of(name) == slug


def test_a_face_that_gets_another_name_leaves_the_person_of_the_old_name(
    library: Plugin, server: FakePhotoPrism
) -> None:
    library.bridge("photoprism", transport=server)
    name_face(library, 3, "Ben")
    library.bridge("photoprism", transport=server)
    assert sorted(one["Name"] for one in server.markers.values()) == ["Anna", "Ben", "Zoë"]
    assert not server.refused


def test_another_name_given_there_stays_when_it_changes_here_and_when_all_is_taken_back(
    library: Plugin, server: FakePhotoPrism
) -> None:
    library.bridge("photoprism", transport=server)
    ours = {
        one["Name"]: one for one in server.markers.values() if one["FileUID"] != server.file_of(photo(server, "a.png"))
    }
    ours["Anna"]["Name"], ours["Zoë"]["Invalid"] = "Cleo", True
    name_face(library, 3, "Ben")
    name_face(library, 4, "Ben")
    report = library.bridge("photoprism", transport=server)
    assert ours["Anna"]["Name"] == "Cleo" and ours["Zoë"]["Invalid"]
    assert len(report.left_out) == 2
    report = library.bridge("photoprism", undo=True, transport=server)
    assert [one["Name"] for one in server.markers.values() if not one["Invalid"]] == ["Cleo"]
    assert report.reasons == {"the face was given another name on the server, so it stays": 1}


def test_a_photo_that_is_removed_there_ends_no_run(library: Plugin, server: FakePhotoPrism) -> None:
    library.bridge("photoprism", transport=server)
    server.remove_photo(photo(server, "trip/b.png"))
    name_face(library, 3, "Ben")
    library.correct(corrections.tag(2, "New", accepted=True))
    report = library.bridge("photoprism", transport=server)
    assert {kind for kind, _, _ in report.left_out} == {"photo label", "marker"}
    library.bridge("photoprism", undo=True, transport=server)
    assert not server.labels and not server.refused


def test_labels_are_known_by_their_names_where_the_server_makes_other_slugs(
    library: Plugin, server: FakePhotoPrism
) -> None:
    before = server.state()
    library.correct(corrections.tag(1, "Cats & Dogs", accepted=True))
    library.correct(corrections.tag(1, "Anna's_cake", accepted=True))
    server.described = True
    report = library.bridge("photoprism", transport=server)
    assert {"cats-and-dogs", "annas_cake"} <= server.labels.keys() and not report.left_out
    library.bridge("photoprism", undo=True, transport=server)
    assert server.state() == before and not server.refused


def test_photos_of_several_files_are_all_listed(
    library: Plugin, server: FakePhotoPrism, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rollcall.bridges import photoprism as module

    monkeypatch.setattr(module, "_PAGE", 2)
    for one in server.photos.values():
        one["Files"].append({**one["Files"][0], "UID": server.new_uid("f"), "Name": "raw/x.dng"})
    report = library.bridge("photoprism", transport=server)
    assert not report.left_out and not server.refused


def test_characters_that_names_lose_there_are_left_out_here(library: Plugin, server: FakePhotoPrism) -> None:
    name_face(library, 4, 'Zoë  "Z" <3', uid="uid-z")
    library.bridge("photoprism", transport=server)
    assert "Zoë Z 3" in {one["Name"] for one in server.markers.values()}


def test_a_label_that_the_server_does_not_take_ends_no_run(library: Plugin, server: FakePhotoPrism) -> None:
    library.correct(corrections.tag(1, "***", accepted=True))
    report = library.bridge("photoprism", transport=server)
    assert [(kind, name) for kind, name, _ in report.left_out] == [("photo label", "1:***")]
    assert "Invalid name" in report.left_out[0][2]
    assert report.made["marker"] and not server.refused
