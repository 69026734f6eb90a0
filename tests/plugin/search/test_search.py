"""The search language: what is understood, what is refused and how, and that SQL and memory agree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from blobs import BlobAnalyzer, draw
from rollcall import search
from rollcall.errors import InvalidQueryError
from rollcall.indexing.indexer import Indexer
from rollcall.search import functions
from rollcall.search.candidates import load_photos
from rollcall.search.execution import similar_photos
from rollcall.search.person_filter import PersonFilter
from rollcall.search.roster import Roster
from rollcall.search.terms import And, DistinctPeople, FaceCount, Not, Only, Or, PathLike, People, Taken
from rollcall.search.vocabulary import NOUNS
from rollcall.settings import Settings
from rollcall.storage.database import Database, open_database
from rollcall.storage.tables import TagRow, VerdictRow

CHILD = PersonFilter(0, 12)
WOMAN = PersonFilter(20, 100, "female")
BABY = PersonFilter(0, 2)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("photos of children", People(CHILD)),
        ("KIDS", People(CHILD)),
        ("two children", People(CHILD, 2)),
        ("3 kids", People(CHILD, 3)),
        ("a couple of kids", People(CHILD, 2)),
        ("a woman and a baby", DistinctPeople((People(WOMAN), People(BABY)))),
        ("show me pictures of a woman with a baby", DistinctPeople((People(WOMAN), People(BABY)))),
        ("only adults", Only(PersonFilter(20, 100))),
        ("women over 60", People(PersonFilter(61, 100, "female"))),
        ("women from 60", People(PersonFilter(60, 100, "female"))),
        ("people under 5", People(PersonFilter(0, 4))),
        ("girls between 3 and 8", People(PersonFilter(3, 8, "female"))),
        ("people aged 20-30", People(PersonFilter(20, 30))),
        ("no people", Not(People(PersonFilter()))),
        ("group photos", FaceCount(5, 10**6)),
        ("portraits", FaceCount(1, 1)),
        ("age:5-9", People(PersonFilter(5, 9), phrase=False)),
        ("age:>60", People(PersonFilter(61, 100), phrase=False)),
        ("age:child", People(CHILD, phrase=False)),
        ("gender:female", People(PersonFilter(gender="female"), phrase=False)),
        ("age:20-30 gender:male", People(PersonFilter(20, 30, "male"), phrase=False)),
        ("faces:2", FaceCount(2, 2)),
        ("faces:>=3", FaceCount(3, 10**6)),
        ("taken:2019", Taken("2019-01-01", "2020-01-01")),
        ("taken:2019-06..2019-08", Taken("2019-06-01", "2019-09-01")),
        ("taken:2019-12-31", Taken("2019-12-31", "2020-01-01")),
        ("path:holiday/*", PathLike("holiday/*")),
        ("men or women", Or((People(PersonFilter(20, 100, "male")), People(WOMAN)))),
        ("kids and not faces:2", And((People(CHILD), Not(FaceCount(2, 2))))),
        ("kids without men", And((People(CHILD), Not(People(PersonFilter(20, 100, "male")))))),
        (
            "(kids or men) -faces:2",
            And((Or((People(CHILD), People(PersonFilter(20, 100, "male")))), Not(FaceCount(2, 2)))),
        ),
    ],
)
def test_a_query_is_understood(text: str, tree: object) -> None:
    assert search.parse(text) == tree


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("two dogs", 4, "only people can be counted"),
        ("kids and", 8, "ends too early"),
        ("(kids", 5, "did you mean '(kids)'"),
        ("kids)", 4, "was not expected"),
        ("age:foo", 4, "a number of years"),
        ("agee:5", 0, "did you mean 'age:5'"),
        ("taken:2019-13", 6, "a year, month or day"),
        ("children over 20", 14, "never of that age"),
        ("age:9-5", 4, "not '9-5'"),
        ("kids # men", 5, "means nothing here"),
        ('kids "at the', 5, "a quote is not closed"),
        ('tag: "Trip', 5, "a quote is not closed"),
        ("score:2", 6, "a number from 0 to 1"),
        ("kids in january", 8, "needs a year"),
        ("5000 kids", 0, "cannot be counted"),
    ],
)
def test_what_is_not_understood_is_explained(text: str, position: int, message: str) -> None:
    with pytest.raises(InvalidQueryError, match=re.escape(message)) as caught:
        search.parse(text)
    assert caught.value.position == position


@given(st.text(max_size=40))
def test_any_text_is_understood_or_explained(text: str) -> None:
    try:
        search.parse(text)
    except InvalidQueryError as error:
        assert 0 <= error.position <= len(text)
        assert text == error.query


_SALAD = st.sampled_from(
    [
        "kids",
        "women",
        "a",
        "man",
        "two",
        "5",
        "5-9",
        "2019",
        "2018-2020",
        "in",
        "from",
        "between",
        "and",
        "or",
        "not",
        "no",
        "only",
        "with",
        "of",
        "at",
        "least",
        "more",
        "than",
        "under",
        "old",
        "young",
        "baby",
        "teenage",
        "year-old",
        "5-year-old",
        "group",
        "portraits",
        "couple",
        "family",
        "nobody",
        "alone",
        "tagged",
        "reviewed",
        "neither",
        "nor",
        "exactly",
        "aged",
        "age:",
        "age:5",
        "faces:",
        "faces:>2",
        "taken:2019",
        "tag:x",
        "-tag:x",
        "(",
        ")",
        "-",
        ",",
        "|",
        "&",
        "june",
        "last",
        "year",
        "their",
        "thirties",
        "up",
        "to",
        "older",
        "than",
        "everyone",
        "photos",
        "my",
        "the",
        "similar:face:3",
        "60+",
        '"',
        ";",
        "ü",
    ]
)


@given(st.lists(_SALAD, max_size=7).map(" ".join))
@hypothesis_settings(max_examples=400, deadline=None)
def test_words_in_any_order_are_understood_or_explained(text: str) -> None:
    try:
        term = search.parse(text)
    except InvalidQueryError as error:
        assert 0 <= error.position <= len(text)
        assert str(error)
    else:
        assert search.explain(text).sql and str(term)


# ---- Generated queries, and a library to search

_NOUNS = st.sampled_from(sorted(NOUNS))
_YEARS = st.integers(0, 99)
_LEAVES = st.one_of(
    _NOUNS,
    st.builds(lambda n, noun: f"{n} {noun}", st.integers(1, 4), _NOUNS),
    st.builds(lambda noun: f"only {noun}", _NOUNS),
    st.builds(lambda a, b: f"people aged {min(a, b)} to {max(a, b)}", _YEARS, _YEARS),
    st.builds(lambda n, a: f"{n} females over {a}", st.integers(1, 3), _YEARS),
    st.builds(lambda a, b: f"age:{min(a, b)}-{max(a, b)}", _YEARS, _YEARS),
    st.builds(lambda a, g: f"age:>={a} gender:{g}", _YEARS, st.sampled_from(["female", "male"])),
    st.builds(lambda n: f"faces:{n}", st.integers(0, 4)),
    st.builds(lambda n: f"faces:>={n}", st.integers(0, 4)),
    st.sampled_from(
        ["portraits", "group photos", "no people", "tag:children", 'tag:"odd_tag"', "path:*.png", "path:A", "path:1_"]
    ),
    st.builds(lambda n, noun: f"exactly {n} {noun}", st.integers(1, 3), _NOUNS),
    st.builds(lambda n, noun: f"at most {n} {noun}", st.integers(0, 3), _NOUNS),
    st.builds(lambda n, noun: f"{n} or more {noun}", st.integers(1, 3), _NOUNS),
    st.builds(lambda a, b, noun: f"{noun} under {a} and someone over {b}", _YEARS, _YEARS, _NOUNS),
    st.builds(lambda a, noun: f"a woman, someone over {a}, {noun}", _YEARS, _NOUNS),
    st.sampled_from(
        ["a couple", "family", "teenage girls", "young men", "a woman alone", "kids in 2015", "before 2016"]
    ),
    st.sampled_from(
        [
            "people born in 2000",
            "women born before 1990",
            "only women and children",
            "only a man and a woman",
            "exactly 2 women exactly 1 man",
            "2 or 3 kids",
            "no boys or girls",
            "kids but no adults",
            "in summer",
            "may 2015",
            "untagged",
            '"ODD"',
            "family of four",
            "everyone but children",
            "nobody over 30",
        ]
    ),
    st.sampled_from(["score:>0.5", "score:<0.5", "reviewed:no", "reviewed:yes", "taken:2019", "similar:face:1"]),
)
QUERIES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda a, b: f"({a}) and ({b})", inner, inner),
        st.builds(lambda a, b: f"({a}) or ({b})", inner, inner),
        st.builds(lambda a, b: f"{a}, {b}", _LEAVES, _LEAVES),
        st.builds(lambda a: f"not ({a})", inner),
    ),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder = tmp_path_factory.mktemp("indexed")
    people = [(5, 255), (13, 90), (1, 30), (44, 128), (70, 200), (2, 255), (19, 0), (12, 255), (60, 10)]
    for number in range(24):
        draw(folder / "photos" / f"{'aB'[number % 2]}{number}.png", *people[number % 9 :][: number % 6], seed=number)
    database = open_database(str(folder / "indexed.db"))
    Indexer(database, BlobAnalyzer(), Settings()).run([folder / "photos"])
    with database.write() as session:
        session.add(VerdictRow(face_id=3, age_low=11, age_high=14, gender="male", gender_given=True))
        session.add(VerdictRow(face_id=5, gender="other", gender_given=True))
        session.add(VerdictRow(face_id=7, dismissed=True))
        session.add(
            TagRow(photo_id=4, name="x/odd_tag", source="user", probability=None, state="applied", created_at="")
        )
    from rollcall.settings import TagSettings
    from rollcall.storage.tables import PhotoRow
    from rollcall.tags import projection

    with database.write() as session:
        for photo_id in range(1, 25):
            projection.recompute(session, photo_id, TagSettings())
            session.get_one(PhotoRow, photo_id).reviewed = photo_id % 5 == 0
            session.get_one(PhotoRow, photo_id).taken_local = f"20{10 + photo_id % 12}-05-01T10:00:00"
    yield database
    database.close()


@given(text=QUERIES)
@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_sql_and_memory_agree(indexed: Database, text: str) -> None:
    try:
        term = search.parse(text)
    except InvalidQueryError as error:
        assert "of that age" in str(error)
        return
    by_sql = {hit.photo_id: hit.probability for hit in search.search(indexed, text, min_probability=0)}
    with indexed.read() as session:
        similar = similar_photos(indexed, session, term)
        in_memory = {photo.photo_id: term.match(photo) for photo in load_photos(session, range(1, 25), similar)}
    # The stored groups come from 32-bit distributions, which are stored with 16 bits.
    assert by_sql == pytest.approx(in_memory, abs=2e-3)
    assert all(0 <= probability <= 1 + 1e-9 for probability in by_sql.values())


@given(text=QUERIES, least=st.floats(0.01, 1))
@hypothesis_settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_exactly_the_less_probable_are_left_out(indexed: Database, text: str, least: float) -> None:
    try:
        everything = search.search(indexed, text, min_probability=0, faces=False)
    except InvalidQueryError:
        return
    cut = search.search(indexed, text, min_probability=least, faces=False)
    assert [hit.photo_id for hit in cut] == [hit.photo_id for hit in everything if hit.probability >= least]
    assert search.count(indexed, text, min_probability=least) == len(cut)
    assert [hit.probability for hit in cut] == sorted((hit.probability for hit in cut), reverse=True)


@given(text=QUERIES, least=st.floats(0.01, 0.9), limit=st.integers(1, 30), offset=st.integers(0, 5))
@example(text="(1 females over 0) and (3 females over 0)", least=0.0117, limit=1, offset=0)
@example(text="(adolescent) and ((adolescent) or (similar:face:1))", least=0.5, limit=1, offset=0)
@hypothesis_settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_first_hits_are_those_of_a_full_evaluation(
    indexed: Database, text: str, least: float, limit: int, offset: int
) -> None:
    try:
        everything = search.search(indexed, text, min_probability=0, faces=False)
    except InvalidQueryError:
        return
    wanted = [hit for hit in everything if hit.probability >= least][offset : offset + limit]
    found = search.search(indexed, text, min_probability=least, limit=limit, offset=offset, faces=False)
    # Products are taken in another order there: their last bit may differ, and with it the order of equals.
    assert [hit.probability for hit in found] == pytest.approx([hit.probability for hit in wanted], abs=1e-12)
    likely = {hit.photo_id: hit.probability for hit in everything}
    assert all(likely[hit.photo_id] == pytest.approx(hit.probability, abs=1e-12) for hit in found)
    assert len({hit.photo_id for hit in found}) == len(found)


def test_a_database_without_functions_answers_the_same(indexed: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["kids", "two women", "a woman and a baby", "age:10-20", "only adults or no people", "tag:children"]
    by_sql = [[(hit.photo_id, round(hit.probability, 3)) for hit in search.search(indexed, text)] for text in texts]
    monkeypatch.setattr(functions, "supported", lambda session: False)
    in_memory = [[(hit.photo_id, round(hit.probability, 3)) for hit in search.search(indexed, text)] for text in texts]
    assert [sorted(hits) for hits in in_memory] == [sorted(hits) for hits in by_sql]


def test_two_children_need_two_faces(indexed: Database) -> None:
    two = {hit.photo_id for hit in search.search(indexed, "two children", min_probability=0.5)}
    with indexed.read() as session:
        for photo in load_photos(session, range(1, 25)):
            children = sum(face.probability(CHILD) for face in photo.faces)
            assert (photo.photo_id in two) == (children > 1.5)


def test_limit_and_offset_page_through(indexed: Database) -> None:
    everything = [hit.photo_id for hit in search.search(indexed, "people")]
    pages = [search.search(indexed, "people", limit=5, offset=start) for start in range(0, len(everything), 5)]
    assert [hit.photo_id for page in pages for hit in page] == everything


def test_children_are_one_indexed_query(indexed: Database) -> None:
    from sqlalchemy import text

    explanation = search.explain("photos of children")
    with indexed.read() as session:
        plan = session.execute(text(f"EXPLAIN QUERY PLAN {explanation.sql}"), dict(explanation.parameters)).all()
    assert any("ix_photo_groups_ranked" in row[-1] for row in plan)
    assert not any(row[-1].startswith("SCAN") for row in plan)


def test_every_query_of_the_documentation_is_understood() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "search.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]+`) \| [^|]+ \|$", page.split("## Probabilities")[0], re.MULTILINE)
    texts = [text for row in rows for text in re.findall(r"`([^`]+)`", row)]
    assert len(texts) > 45
    people = Roster({1: ["Anna B", "Anna"], 2: ["Ben"], 3: ["Kim"]}, me=3)
    for text in texts:
        search.parse(text, roster=people)
