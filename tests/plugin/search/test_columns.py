"""Searches in columns: the same answers as SQL over the views, whatever changed since the columns were made."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import delete, insert, select

from rollcall import ages, corrections, search
from rollcall.corrections import log
from rollcall.errors import StoreError
from rollcall.indexing.check import check
from rollcall.privacy import deletion
from rollcall.search import column_search, details, engine, execution
from rollcall.search.columns import columns_of, library
from rollcall.search.execution import Page
from rollcall.settings import Settings, TagSettings
from rollcall.storage import backups, revisions
from rollcall.storage.database import Database, open_database
from rollcall.storage.estimates import pack
from rollcall.storage.tables import EventRow, FaceRow, PhotoRow, PredictionRow, RootRow, TagRow, VerdictRow
from rollcall.tags import projection, store

QUERIES = [
    "people aged 20 to 30",
    "women over 60",
    "girls between 3 and 8",
    "age:5-9",
    "5-year-olds",
    "age:20-30 gender:male",
    "two people aged 0 to 15",
    "3 females over 20",
    "age:>=30 gender:female",
    "someone over 99",
    "a woman and a baby",
    "a man with two girls",
    "someone over 30 and a woman",
    "families",
    "young family",
    "family of four",
    "exactly two children",
    "exactly 2 women exactly 1 man",
    "at most 1 people aged 5 to 40",
    "2 or 3 kids",
    "only adults",
    "only women and children",
    "only a man and a woman",
    "everyone under 30",
    "everyone but children",
    "kids but no adults",
    "neither kids nor teens",
    "no boys or girls",
    "nobody over 30",
    "no people",
    "born in 1990",
    "women born before 1990",
    "two people born from 1950 to 2015",
    "kids or women in 2019",
    "(children or seniors) and not faces:>3",
    "kids in summer",
    "men since 2015",
    "taken:2017-03..2018-02",
    "faces:2",
    "portraits",
    "age:10-40 path:beach",
    "kids at the beach",
    "path:*/img_1*",
    '"STRASSE"',
    "men tagged birthday",
    "untagged",
    "-tag:birthday age:0-50",
    "women reviewed:yes",
    "age:0-40 score:<0.6",
]
PLACES = ("beach", "Straße", "Cafe\u0301", "city")


def fill(database: Database, photos: int, rng: random.Random) -> None:
    """Add photos with faces of every kind: without estimates, corrected, dismissed, hidden."""
    with database.write() as session:
        if session.get(RootRow, 1) is None:
            session.add(RootRow(id=1, path="/library", added_at=""))
            session.flush()
        for number in range(photos):
            add_photo(database, session, rng, f"{rng.choice(PLACES)}/IMG_{rng.randrange(10**6)}_{number}.jpg")


def add_photo(database: Database, session, rng: random.Random, path: str) -> int:
    taken = None
    if rng.random() < 0.9:
        taken = (
            f"20{rng.randrange(10, 21)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 28):02}T12:00:0{rng.randrange(9)}"
        )
    state = rng.choice(["indexed"] * 8 + ["pending", "missing"])
    row = PhotoRow(root_id=1, path=path, size=1, mtime_ns=1, state=state, taken_local=taken)
    session.add(row)
    session.flush()
    for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 3, 4, 6])):
        add_face(session, row.id, rng)
    row.reviewed = rng.random() < 0.2
    if rng.random() < 0.2:
        session.add(
            TagRow(
                photo_id=row.id, name="Events/Birthday", source="user", probability=None, state="applied", created_at=""
            )
        )
    projection.recompute(session, row.id, TagSettings())
    return row.id


def add_face(session, photo_id: int, rng: random.Random) -> None:
    face = FaceRow(
        photo_id=photo_id, x=0.1, y=0.1, width=0.1, height=0.1, landmarks=[[0.1, 0.1]] * 5, score=rng.random(),
        sharpness=1.0, detected=True, present=rng.random() < 0.95,
    )  # fmt: skip
    session.add(face)
    session.flush()
    if rng.random() < 0.95:
        session.add(PredictionRow(face_id=face.id, model_version="test", **estimates(rng)))
    if rng.random() < 0.3:
        session.add(VerdictRow(face_id=face.id, **verdict(rng)))


def estimates(rng: random.Random) -> dict[str, object]:
    """Return the columns of a prediction; many are certain, so that many photos are equally probable."""
    distribution = np.zeros(ages.AGES)
    if rng.random() < 0.3:
        distribution[rng.randrange(ages.AGES)] = 1.0
    else:
        distribution = np.exp(-0.5 * ((np.arange(ages.AGES) - rng.uniform(0, 90)) / rng.uniform(1, 12)) ** 2)
    stored = np.asarray(distribution / distribution.sum(), "<f2").astype(np.float64)
    known = rng.random() < 0.9
    return {
        "age_distribution": pack(stored) if known else None,
        "age": float(ages.estimate(stored)) if known else None,
        "p_female": rng.choice([None, 0.0, 1.0, rng.random(), rng.random()]),
        **{
            f"p_{name}": float(ages.mass(stored, group.low, group.high)) if known else None
            for name, group in ages.AGE_GROUPS.items()
        },
    }


def verdict(rng: random.Random) -> dict[str, object]:
    low = rng.randrange(0, 120)
    age = rng.random() < 0.6
    return {
        "age_low": low if age else None,
        "age_high": low + rng.randrange(0, 10) if age else None,
        "gender": rng.choice(["female", "male", "other", None]),
        "gender_given": rng.random() < 0.5,
        "dismissed": rng.random() < 0.2,
    }


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = open_database(str(tmp_path_factory.mktemp("columns") / "library.db"))
    fill(database, 400, random.Random(20))
    yield database
    database.close()


@pytest.fixture
def changing(tmp_path: Path) -> Iterator[Database]:
    database = open_database(str(tmp_path / "library.db"))
    fill(database, 60, random.Random(21))
    yield database
    database.close()


def by_sql(database: Database, query: str, least: float) -> list[tuple[int, float]]:
    """Return the answer of SQL alone: with a probability of 0 no columns are read."""
    hits = search.search(database, query, min_probability=0, faces=False)
    return [(hit.photo_id, hit.probability) for hit in hits if hit.probability >= least]


def in_columns(database: Database, query: str, least: float, limit: int | None = None) -> list[tuple[int, float]]:
    with database.read() as session:
        assert column_search.search(database, session, search.parse(query), least) is not None, query
    hits = search.search(database, query, min_probability=least, limit=limit, faces=False)
    return [(hit.photo_id, hit.probability) for hit in hits]


def assert_same(database: Database, queries: Sequence[str] = QUERIES[::4]) -> None:
    for query in queries:
        assert in_columns(database, query, 0.05) == by_sql(database, query, 0.05), query


@pytest.fixture(scope="module")
def answers(filled: Database) -> dict[str, list[tuple[int, float]]]:
    """What SQL alone answers to each query."""
    return {query: by_sql(filled, query, 0) for query in QUERIES}


Answers = dict[str, list[tuple[int, float]]]


@pytest.mark.parametrize("query", QUERIES)
def test_columns_give_the_very_numbers_of_sql(filled: Database, answers: Answers, query: str) -> None:
    for least in (1e-6, 0.05, 0.5):
        wanted = [one for one in answers[query] if one[1] >= least]
        assert in_columns(filled, query, least) == wanted
        for limit in (1, 7, 40, 390):
            assert in_columns(filled, query, least, limit) == wanted[:limit]
        assert search.count(filled, query, min_probability=least) == len(wanted)


@pytest.mark.parametrize("query", QUERIES)
def test_few_photos_at_a_time_change_no_answer(
    filled: Database, answers: Answers, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(column_search, "_FIRST", 3)
    monkeypatch.setattr(column_search, "_FACTOR", 2)
    monkeypatch.setattr(column_search, "_LOOKED_UP", 2)
    monkeypatch.setattr(column_search, "_MOST_IN_VAIN", 4)
    wanted = [one for one in answers[query] if one[1] >= 0.05]
    for limit in (1, 5, 60):
        assert in_columns(filled, query, 0.05, limit) == wanted[:limit]


@pytest.mark.parametrize("query", QUERIES)
def test_the_newest_first_are_those_of_sql(filled: Database, query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = search.search(filled, query, order="date", limit=30, offset=3, faces=False)
    monkeypatch.setattr(column_search, "_FAR", 0)
    far = search.search(filled, query, order="date", limit=30, offset=3, faces=False)
    monkeypatch.setattr(execution, "_in_columns", lambda *_: None)
    wanted = search.search(filled, query, order="date", limit=30, offset=3, faces=False)
    assert [(hit.photo_id, hit.probability) for hit in found] == [(hit.photo_id, hit.probability) for hit in wanted]
    assert far == found


@pytest.mark.parametrize("query", [*QUERIES[::8], "photos of children", ""])
def test_one_photo_is_a_match_as_it_is_among_all(filled: Database, query: str) -> None:
    meant = {one.photo_id for one in engine.ranked(filled, query, min_probability=0.3)}
    for photo_id in (*range(1, 60), 10**9):
        assert engine.is_match(filled, query, photo_id, min_probability=0.3) == (photo_id in meant)


@pytest.mark.parametrize("query", [*QUERIES[::4], "photos of children"])
def test_a_page_behind_a_photo_is_that_of_its_place(
    filled: Database, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(column_search, "_FIRST", 3)
    monkeypatch.setattr(column_search, "CHUNK", 3)
    for order in ("probability", "date"):
        wanted = engine.ranked(filled, query, order=order)
        found = engine.ranked(filled, query, order=order, limit=7)
        while (
            more := engine.ranked(filled, query, order=order, limit=7, offset=10**6, behind=found[-1]) if found else []
        ):
            found += more
        assert found == wanted


@pytest.mark.parametrize("order", ["probability", "date"])
def test_numbers_alone_are_those_of_a_search(filled: Database, order: search.Order) -> None:
    for query in (*QUERIES[::20], "photos of children", ""):
        for given in ({"limit": 30, "offset": 3}, {"min_probability": 0.5}):
            hits = search.search(filled, query, order=order, faces=False, **given)
            assert engine.ranked(filled, query, order=order, **given) == [
                (one.photo_id, one.probability) for one in hits
            ]


def test_a_tile_has_the_photo_without_what_it_does_not_show(filled: Database) -> None:
    with filled.read() as session:
        photo_ids = [hit.photo_id for hit in search.search(filled, "age:0-90", limit=20, faces=False)]
        brief, whole = details.photos(session, photo_ids, brief=True), details.photos(session, photo_ids)
    assert brief != whole
    assert brief == [
        replace(photo, tags=(), faces=tuple(replace(face, landmarks=(), age_distribution=None) for face in photo.faces))
        for photo in whole
    ]


def test_what_another_process_changes_is_seen_at_once(changing: Database) -> None:
    other = open_database(changing.url.removeprefix("sqlite:///"))
    rng = random.Random(22)
    some = [
        "age:20-30",
        "a woman and a baby",
        "nobody over 30",
        "kids at the beach",
        "taken:2012",
        "tag:birthday age:0-90",
    ]
    assert_same(changing, some)
    for round_number in range(12):
        with other.write() as session:
            photo_ids = session.scalars(select(PhotoRow.id)).all()
            one = rng.choice(photo_ids)
            faces = session.scalars(select(FaceRow.id).where(FaceRow.photo_id == one)).all()
            match round_number % 6:
                case 0:
                    if faces:
                        log.record(session, [corrections.age(faces[0], 25), corrections.gender(faces[0], "female")],
                                   "me", TagSettings())  # fmt: skip
                case 1:
                    deletion.delete_photos(session, [one], tombstone=False)
                case 2:
                    store.add_host_tag(session, one, "Events/Birthday")
                case 3:
                    add_photo(other, session, rng, f"beach/new {round_number}.jpg")
                case 4:
                    session.get_one(PhotoRow, one).path = f"beach/moved {round_number}.jpg"
                case 5:
                    if faces:
                        log.record(session, [corrections.not_a_face(faces[0])], "me", TagSettings())
        assert_same(changing, some)
        assert search.count(changing, "age:20-90") == len(by_sql(changing, "age:20-90", search.MIN_PROBABILITY))
    other.close()


def test_after_many_changes_the_columns_are_made_again(changing: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "SPAN", 16)
    monkeypatch.setattr(library, "SMALLEST", 0)
    monkeypatch.setattr(library, "MOST_CHANGED", 5)
    monkeypatch.setattr(library, "NEWEST", 3)
    assert_same(changing)
    monkeypatch.setattr(library, "read_range", None)
    with changing.write() as session:
        for photo_id in range(3, 40, 3):
            row = session.get_one(PhotoRow, photo_id)
            row.taken_local = "2015-06-01T10:00:00"
            session.execute(delete(FaceRow).where(FaceRow.photo_id == photo_id))
            add_face(session, photo_id, random.Random(photo_id))
            projection.recompute(session, photo_id, TagSettings())
    assert_same(changing)
    with changing.read() as session:
        library.columns_of(changing).tidy(session)
    assert_same(changing)
    again = open_database(changing.url.removeprefix("sqlite:///"))
    # Another process finds all in the files.
    monkeypatch.setattr(library, "read_photos", lambda session, ids: pytest.fail(str(ids)) if ids else NOTHING)
    assert_same(again)
    again.close()


def test_changes_that_were_put_aside_are_seen_until_and_after_the_columns_are_tidied(
    changing: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "SPAN", 16)
    monkeypatch.setattr(library, "MOST_CHANGED", 12)
    monkeypatch.setattr(library, "NEWEST", 3)
    some = ["age:20-30", "a woman and a baby", "nobody over 30", "taken:2012", "photos of children"]
    columns, rng = library.columns_of(changing), random.Random(23)
    assert_same(changing, some)
    made = []
    again = columns._again
    monkeypatch.setattr(columns, "_again", lambda *given: made.append(given[0]) or again(*given))
    for round_number in range(24):
        with changing.write() as session:
            for photo_id in rng.sample(range(1, 61), 1 + round_number % 5):
                session.get_one(PhotoRow, photo_id).taken_local = f"201{rng.randrange(5)}-06-01T10:00:00"
                session.execute(delete(FaceRow).where(FaceRow.photo_id == photo_id))
                add_face(session, photo_id, rng)
                projection.recompute(session, photo_id, TagSettings())
            if round_number % 7 == 3:
                add_photo(changing, session, rng, f"beach/late {round_number}.jpg")
        assert_same(changing, some)
        assert made == [], "a search never makes them again"
        if round_number % 6 == 5:
            with changing.read() as session:
                columns.tidy(session)
            assert made, "much had changed"
            made.clear()
            assert_same(changing, some)
            with changing.read() as session:
                assert columns.wrong(session)[0] == 0


def test_very_many_changes_are_not_put_aside_for_ever(changing: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "SPAN", 16)
    monkeypatch.setattr(library, "NEWEST", 3)
    monkeypatch.setattr(library, "MOST_PUT_ASIDE", 9)
    assert_same(changing, ["age:20-30"])
    for photo_id in range(1, 40):
        with changing.write() as session:
            projection.recompute(session, photo_id, TagSettings())
        assert_same(changing, ["age:20-30"])
        changes = library.columns_of(changing)._changes
        assert changes is not None and sum(len(one.photo_ids) for one in changes.aside) <= 9


NOTHING = library.as_rows(library.arranged(library.joined([library.as_rows(column_search.EMPTY, np.zeros(0, bool))])),
                          np.zeros(0, bool))  # fmt: skip


def test_making_the_columns_goes_on_where_it_was_interrupted(
    changing: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "SPAN", 16)
    monkeypatch.setattr(library, "SMALLEST", 0)
    read, said = [], []
    read_range = library.read_range

    def until_the_third(session, first: int, last: int):
        read.append(first)
        if len(read) == 3:
            raise StoreError("x", "interrupted")
        return read_range(session, first, last)

    monkeypatch.setattr(library, "read_range", until_the_third)
    with pytest.raises(StoreError):
        search.search(changing, "age:20-30", limit=5)
    again = open_database(changing.url.removeprefix("sqlite:///"))
    columns_of(again).progress = lambda missing, parts: said.append((missing, parts))
    assert_same(again, ["age:20-30"])
    assert read == [0, 16, 32, 32, 48]
    assert said == [(2, 4)]
    again.close()


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_file_is_made_again(
    changing: Database, damage: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "SMALLEST", 0)
    assert_same(changing, ["age:20-30"])
    (file,) = columns_of(changing).files()
    content = file.read_bytes()
    file.unlink()  # what is mapped must not change
    file.write_bytes(content[:-1] if damage is None else damage)
    assert_same(changing, ["age:20-30"])
    assert len(columns_of(changing).files()[0].read_bytes()) == len(content)


def test_a_session_that_began_before_the_columns_sees_its_own_state(
    changing: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "MOST_CHANGED", 0)
    term = search.parse("age:20-30")
    with changing.read() as session:
        before = execution.by_probability(changing, session, term, Page(0))
        with changing.write() as writing:
            for photo_id in range(1, 30):
                writing.execute(delete(FaceRow).where(FaceRow.photo_id == photo_id))
                projection.recompute(writing, photo_id, TagSettings())
        assert_same(changing, ["age:20-30"])
        wanted = [match for match in before if match.probability >= 0.05]
        assert execution.by_probability(changing, session, term, Page(0.05, 100)) == wanted


def test_a_restored_backup_gets_columns_of_its_own(changing: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "SMALLEST", 0)
    file = changing.file
    assert file is not None
    with changing.write() as session:
        log.record(session, [corrections.age(2, 1)], "me", TagSettings())
    changing.backup(file.with_name("copy"))
    for age in (25, 26):
        with changing.write() as session:
            log.record(session, [corrections.age(1, age)], "me", TagSettings())
    assert_same(changing, ["age:20-30"])
    changing.close()
    backups.restore(file, file.with_name("copy"))
    restored = open_database(str(file))
    assert_same(restored, ["age:20-30"])
    # It goes on from there to as many events as the former one had.
    for age in (60, 61):
        with restored.write() as session:
            log.record(session, [corrections.age(1, age)], "me", TagSettings())
    restored.close()
    restored = open_database(str(file))
    assert_same(restored, ["age:20-30"])
    restored.close()


def test_a_check_finds_columns_that_are_not_those_of_the_database(
    changing: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "SMALLEST", 0)
    assert_same(changing, ["age:20-30"])
    assert check(changing, Settings()).columns == ""
    with changing.write() as session:
        session.execute(delete(FaceRow).where(FaceRow.photo_id == 2))  # by a program that marks nothing as changed
    assert check(changing, Settings()).columns == "1 of their 1 parts are not those of the database"
    check(changing, Settings(), repair=True)
    assert check(changing, Settings()).columns == ""


def test_a_number_of_changes_is_never_used_again(changing: Database) -> None:
    with changing.write() as session:
        taken = revisions.take(session)
        session.get_one(PhotoRow, 5).path = "elsewhere.jpg"
        session.flush()
        assert session.get_one(PhotoRow, 5).revision == revisions.take(session) == taken
    with changing.write() as session:
        session.execute(delete(PhotoRow).where(PhotoRow.id == 5))
        assert revisions.take(session) == taken + 1
    with changing.write() as session:
        assert revisions.take(session) == taken + 2


def test_events_that_were_pruned_leave_answers_right(changing: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "SMALLEST", 0)
    with changing.write() as session:
        log.record(session, [corrections.age(1, 25)], "me", TagSettings())
    assert_same(changing, ["age:20-30"])
    with changing.write() as session:
        session.execute(delete(EventRow))
        session.execute(insert(EventRow).values(id=999, happened_at="now", kind="corrected", photo_id=1))
        session.execute(delete(FaceRow).where(FaceRow.photo_id == 1))
    again = open_database(changing.url.removeprefix("sqlite:///"))
    assert_same(again, ["age:20-30"])
    again.close()
