"""What is particular about Nextcloud: tags of other letters, and what its user may not do."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridged import nextcloud
from fake_nextcloud import FakeNextcloud
from rollcall import Plugin, corrections


@pytest.fixture
def server() -> FakeNextcloud:
    return nextcloud()


def test_a_tag_of_the_same_name_in_other_letters_is_used_and_stays(library: Plugin, server: FakeNextcloud) -> None:
    server.add_tag("trips/SEA")
    before = server.state()
    report = library.bridge("nextcloud", transport=server)
    assert "Trips/Sea" not in server.tags.values() and report.already_there["tag"] == 1
    library.bridge("nextcloud", undo=True, transport=server)
    assert server.state() == before and not server.refused


def test_what_the_user_may_not_do_is_told_and_ends_no_run(library: Plugin, server: FakeNextcloud) -> None:
    sea = server.add_tag("Trips/Sea")
    server.restricted.add(sea)
    server.unseen.add("people/anna")
    report = library.bridge("nextcloud", transport=server)
    assert report.reasons["the server does not let this user give the tag to the photo"] == 2
    assert report.reasons["the server has a tag of this name that this user does not see"] == 1
    assert not server.refused and report.made["file tag"]


def test_tags_and_photos_that_are_gone_there_end_no_run(library: Plugin, server: FakeNextcloud) -> None:
    library.bridge("nextcloud", transport=server)
    sea = next(number for number, name in server.tags.items() if name == "Trips/Sea")
    del server.tags[sea]
    server.relations = {pair for pair in server.relations if pair[1] != sea}
    file = server.files.pop("/library/a.png")
    server.relations = {pair for pair in server.relations if pair[0] != file}
    library.correct(corrections.tag(3, "Trips/Sea", accepted=True))
    library.correct(corrections.tag(1, "New", accepted=True))
    report = library.bridge("nextcloud", transport=server)
    assert {reason for _, _, reason in report.left_out} == {
        "the tag, or the photo, was removed on the server",
        "the server has no such photo",
        "the server has none of its photos",
    }
    library.bridge("nextcloud", undo=True, transport=server)
    assert not server.tags and not server.relations and not server.refused


def test_a_name_that_the_server_would_cut_off_is_left_out_and_told(library: Plugin, server: FakeNextcloud) -> None:
    long = "Länder/" + "Baden-Württemberg/" * 3 + "Bad Säckingen"
    library.correct(corrections.tag(1, long, accepted=True))
    library.correct(corrections.tag(1, "ä" * 32, accepted=True))
    for dry_run in (True, False):
        report = library.bridge("nextcloud", dry_run=dry_run, transport=server)
        assert ("tag", long) in {(kind, name) for kind, name, _ in report.left_out}
        assert report.reasons["the server takes names of tags of up to 64 bytes"] == 1
    assert "ä" * 32 in server.tags.values() and not server.refused


def test_a_folder_that_another_server_calls_otherwise_is_found_and_asked_for_once(
    library: Plugin, server: FakeNextcloud, photos: Path
) -> None:
    both = (f"{photos}=/usr/src/app/external", f"{photos}=/library")
    settings = library.settings.model_copy(
        update={"bridges": library.settings.bridges.model_copy(update={"paths": both})}
    )
    with Plugin(settings=settings, analyzer=library.analyzer) as plugin:
        report = plugin.bridge("nextcloud", transport=server)
    assert not report.left_out and not server.refused
    asked = [path for method, path in server.requests if method == "PROPFIND" and "external" in path]
    assert len(asked) == len(set(asked)) == 2
