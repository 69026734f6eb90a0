"""What is particular about PhotoPrism: uncertainties, its own markers, what a person removed there."""

from __future__ import annotations

import pytest

from bridged import photoprism
from fake_photoprism import FakePhotoPrism
from rollcall import Plugin
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
