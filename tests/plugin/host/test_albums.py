"""Albums: saved searches and chosen photos, which survive renamed people, undo, exports and a database made anew."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
from sqlalchemy import text

from blobs import BlobAnalyzer, draw
from peopled import SharpAnalyzer, add_people, draw_people
from rollcall import errors, events
from rollcall.host import Plugin


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Plugin]]:
    """Return a function that starts a plugin on a database of some name."""
    plugins: list[Plugin] = []

    def make(name: str = "albums", analyzer: BlobAnalyzer | None = None) -> Plugin:
        plugin = Plugin({"database.url": f"sqlite:///{tmp_path / name}.db"}, analyzer=analyzer or BlobAnalyzer())
        plugin.start()
        plugins.append(plugin)
        return plugin

    yield make
    for plugin in plugins:
        plugin.stop()


@pytest.fixture
def plugin(opened: Callable[..., Plugin], library: Path) -> Plugin:
    draw(library / "child.png", (5, 0))
    draw(library / "two.png", (6, 0), (40, 255), seed=1)
    draw(library / "adult.png", (45, 255), seed=2)
    plugin = opened()
    plugin.index(library)
    return plugin


def named(plugin: Plugin, album_id: int) -> list[str]:
    return sorted(hit.path.name for hit in plugin.album_photos(album_id))


def photo(plugin: Plugin, name: str) -> int:
    return next(hit.photo_id for hit in plugin.search("") if hit.path.name == name)


def test_a_saved_search_is_an_album_that_grows_with_the_library(plugin: Plugin, library: Path) -> None:
    album = plugin.save_album("Kids", "photos of children")
    assert named(plugin, album.album_id) == ["child.png", "two.png"]
    assert plugin.album_count(album.album_id) == 2
    draw(library / "new.png", (4, 255), seed=9)
    plugin.index(library)
    assert named(plugin, album.album_id) == ["child.png", "new.png", "two.png"]
    assert [hit.path.name for hit in plugin.search("adults", album=album.album_id)] == ["two.png"]


def test_photos_are_added_to_a_search_and_taken_out_of_it_by_hand(plugin: Plugin) -> None:
    album = plugin.save_album("Kids", "photos of children", photos=[photo(plugin, "adult.png")])
    changed = plugin.add_to_album(album.album_id, photo(plugin, "two.png"), inside=False)
    assert (changed.added, changed.left_out) == (1, 1)
    assert named(plugin, album.album_id) == ["adult.png", "child.png"]
    plugin.undo()
    assert named(plugin, album.album_id) == ["adult.png", "child.png", "two.png"]


def test_an_album_of_chosen_photos_alone_needs_no_query_and_reviews_nothing(plugin: Plugin) -> None:
    album = plugin.save_album("Chosen", photos=[photo(plugin, "adult.png")])
    assert (album.query, named(plugin, album.album_id)) == (None, ["adult.png"])
    assert plugin.count("reviewed:yes") == 0
    assert named(plugin, plugin.save_album("Empty").album_id) == []


def test_an_album_is_renamed_shared_and_removed_and_each_is_undone(plugin: Plugin) -> None:
    heard: list[events.Event] = []
    plugin.subscribe(heard.append)
    album = plugin.save_album("Kids", "children", photos=[photo(plugin, "adult.png")])
    assert plugin.rename_album(album.album_id, " Our  kids ").name == "Our kids"
    assert plugin.share_album(album.album_id).shared
    plugin.remove_album(album.album_id)
    assert plugin.albums() == []
    with pytest.raises(errors.NotFoundError, match="album"):
        plugin.search("", album=album.album_id)
    plugin.undo()
    (back,) = plugin.albums()
    assert (back.name, back.shared, back.added) == ("Our kids", True, 1)
    plugin.undo(), plugin.undo(), plugin.undo()
    assert plugin.albums() == []
    assert events.AlbumsChanged() in heard


def test_what_is_no_album_is_refused_and_nothing_is_stored(plugin: Plugin) -> None:
    with pytest.raises(errors.InvalidQueryError):
        plugin.save_album("Broken", "taken:yesterdayish")
    with pytest.raises(errors.InvalidCorrectionError, match="name"):
        plugin.save_album("  ", "children")
    with pytest.raises(errors.NotFoundError):
        plugin.save_album("None", photos=[999])
    assert plugin.albums() == []
    assert plugin.corrections() == []


def test_an_album_goes_with_the_log_into_a_database_made_anew(
    plugin: Plugin, opened: Callable[..., Plugin], library: Path
) -> None:
    album = plugin.save_album("Kids", "children", photos=[photo(plugin, "adult.png")])
    plugin.add_to_album(album.album_id, photo(plugin, "two.png"), inside=False)
    plugin.share_album(album.album_id)
    lines = list(plugin.export_corrections())
    other = opened("anew")
    assert other.import_corrections(lines).waiting == 2, "the photos are not there yet"
    (waits,) = other.albums()
    assert (waits.name, waits.uid, waits.shared, waits.added) == ("Kids", album.uid, True, 0)
    # Another name in the same folder: the photo is found by what it shows.
    (library / "adult.png").rename(library / "grown-up.png")
    other.index(library)
    assert named(other, other.albums()[0].album_id) == ["child.png", "grown-up.png"]
    assert other.import_corrections(lines).added == 0


def test_chosen_photos_are_kept_while_their_folder_is_away(plugin: Plugin, library: Path) -> None:
    album = plugin.save_album("Chosen", photos=[photo(plugin, "adult.png")])
    plugin.remove_folder(library)
    assert named(plugin, album.album_id) == []
    plugin.index(library)
    assert named(plugin, album.album_id) == ["adult.png"]


def test_an_erased_photo_leaves_no_trace_in_albums(plugin: Plugin) -> None:
    number = photo(plugin, "adult.png")
    plugin.save_album("Chosen", photos=[number])
    plugin.forget(photos=[number])
    assert [line.kind for line in plugin.corrections()] == ["album_name"]


def test_the_originals_of_an_album_are_written_as_a_zip(plugin: Plugin, library: Path, tmp_path: Path) -> None:
    album = plugin.save_album("Kids", "children")
    (library / "two.png").unlink()
    out = tmp_path / "kids.zip"
    assert plugin.export_album(album.album_id, out) == 1
    with ZipFile(out) as archive:
        assert archive.namelist() == ["child.png"]
        assert archive.read("child.png") == (library / "child.png").read_bytes()
    with pytest.raises(errors.RollcallError, match="choose another name"):
        plugin.export_album(album.album_id, out)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """Return a database with people, to be copied."""
    folder = tmp_path_factory.mktemp("people")
    draw_people(folder / "photos")
    with Plugin({"database.url": f"sqlite:///{folder / 'people.db'}"}, analyzer=SharpAnalyzer()) as plugin:
        plugin.index(folder / "photos")
        add_people(plugin)
        plugin.backup(folder / "copy.db")
        return folder / "copy.db", {name: number for number, name in plugin.person_names()}


@pytest.fixture
def peopled(
    opened: Callable[..., Plugin], prepared: tuple[Path, dict[str, int]], tmp_path: Path
) -> tuple[Plugin, dict[str, int]]:
    shutil.copy(prepared[0], tmp_path / "people.db")
    return opened("people"), prepared[1]


@pytest.mark.parametrize(
    ("query", "after"),
    [
        ("Anna", "Josefine"),
        ("Anna and Ben at 40", "Josefine and Ben at 40"),
        ('person:"Anna" taken:2014', "Josefine taken:2014"),
        ("Annas", "Josefines"),
        ("Ben or children", "Ben or children"),
    ],
)
def test_a_query_means_the_same_people_when_they_are_renamed(
    peopled: tuple[Plugin, dict[str, int]], query: str, after: str
) -> None:
    plugin, people = peopled
    album = plugin.save_album("Somebody", query)
    before = named(plugin, album.album_id)
    plugin.name_person(people["Anna"], "Josefine")
    assert plugin.album(album.album_id).query == after
    assert named(plugin, album.album_id) == before
    plugin.undo()
    assert plugin.album(album.album_id).query == query


def test_a_query_means_the_same_person_when_somebody_else_gets_the_name(
    peopled: tuple[Plugin, dict[str, int]],
) -> None:
    plugin, people = peopled
    album = plugin.save_album("Anna", "Anna")
    before = named(plugin, album.album_id)
    plugin.name_person(people["Anna"], "May")
    plugin.name_person(people["Ben"], "Anna")
    assert named(plugin, album.album_id) == before
    plugin.name_person(people["Anna"])
    assert plugin.album(album.album_id).query == f"person:{people['Anna']}"
    assert named(plugin, album.album_id) == before


def test_a_query_follows_people_who_are_merged(peopled: tuple[Plugin, dict[str, int]]) -> None:
    plugin, people = peopled
    album = plugin.save_album("Anna", "Anna")
    plugin.merge_people(people["Ben"], people["Anna"])
    plugin.name_person(people["Ben"], "Clara")
    assert plugin.album(album.album_id).query == "Clara"


def test_erasing_a_person_takes_their_name_out_of_the_log_of_albums(peopled: tuple[Plugin, dict[str, int]]) -> None:
    plugin, people = peopled
    plugin.save_album("Somebody", "Anna", photos=[plugin.search("Ben")[0].photo_id])
    plugin.forget(people=[people["Anna"]])
    (album,) = plugin.albums()
    assert album.query is None
    with plugin.database.read() as session:
        assert "Anna" not in str(session.execute(text("SELECT value FROM corrections")).all())
