"""Searching for people by name: probabilities against every combination, SQL against memory, ages against dates."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from datetime import date
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import delete

from blobs import BlobAnalyzer, draw
from meaning import holds
from rollcall import ages, search
from rollcall.indexing.indexer import Indexer
from rollcall.search import column_search
from rollcall.search.candidates import CandidateFace, CandidatePhoto, load_photos
from rollcall.search.engine import read
from rollcall.search.grammar import interpret
from rollcall.search.identity import Birth, births_in
from rollcall.search.person_filter import PersonFilter
from rollcall.search.roster import Roster, roster_of
from rollcall.settings import Settings
from rollcall.storage.database import Database, open_database
from rollcall.storage.tables import FacePersonRow, PersonNameRow, PersonRow, PhotoRow

YEARS = (1, 4, 8, 25, 62)
TAKEN = "2015-05-01T10:00:00"
#: Anna is 5 on that day, Ben between 3 and 4, and of Kim nothing is known.
ROSTER = Roster(
    {1: ["Anna"], 2: ["Ben"], 3: ["Kim"]},
    birth={1: Birth.given("2010-03-04"), 2: Birth.given("2011")}.get,
)
NAMED = {1, 2, 3, 9}
QUERIES = (
    "Anna",
    "Anna and Ben",
    "Anna without Ben",
    "Anna or Kim",
    "Anna with a child",
    "Anna with a woman and a baby",
    "Anna alone",
    "only Anna and Ben",
    "Anna at 5",
    "Anna at 6 and a child",
    "Ben at 3",
    "Anna and Ben at 4",
    "Kim at 8 with Anna at 5",
    "Kim as a baby without Anna",
    "Anna and Kim but no adults",
    "two unknown people",
    "unknown women with Anna",
    "nobody I know",
    "exactly two children and Anna",
    "people I know under 5",
    "neither Anna nor a child",
    "Anna and not Ben at 3",
    "Anna at 5 or two children",
    "two children and not Anna at 5",
    "Anna at 5, exactly two children",
)


class Person(NamedTuple):
    age: int | None
    gender: str
    number: int | None


def outcomes(face: CandidateFace, births: Mapping[int, Birth]) -> Iterator[tuple[Person, float]]:
    genders = {"": 1.0} if face.p_female is None else {"female": face.p_female, "male": 1.0 - face.p_female}
    own: dict[int | None, float] = {None: 1.0}
    if face.distribution is not None:
        own = {year: face.distribution[year] for year in YEARS if face.distribution[year]}
    identities: list[tuple[int | None, float]] = [(None, 1.0)]
    if face.person is not None:
        identities = [(face.person, face.p_person), (None, 1.0 - face.p_person)]
    for number, share in identities:
        birth = births.get(number or 0)
        years = own
        if birth is not None and face.taken is not None:
            day = date.fromisoformat(face.taken[:10])
            years = {year: birth.share(year, year, day) for year in range(20)}
        for (age, some), (gender, part) in itertools.product(years.items(), genders.items()):
            if share * some * part > 0:
                yield Person(age, gender, number), share * some * part


def passes(person: Person, wanted: PersonFilter) -> bool:
    if not wanted.any_age and (person.age is None or not wanted.low <= person.age <= wanted.high):
        return False
    if wanted.gender not in (None, person.gender):
        return False
    match wanted.identity:
        case None:
            return True
        case identity if identity.kind == "people":
            return person.number in identity.people
        case identity:
            return (person.number in NAMED) == (identity.kind == "known")


@st.composite
def candidate_faces(draw: st.DrawFn) -> CandidateFace:
    p_female = draw(st.one_of(st.none(), st.floats(0, 1)))
    distribution = None
    if draw(st.integers(0, 5)):
        weights = draw(st.lists(st.integers(0, 5), min_size=len(YEARS), max_size=len(YEARS)).filter(any))
        distribution = [0.0] * ages.AGES
        for year, weight in zip(YEARS, weights, strict=True):
            distribution[year] = weight / sum(weights)
    # 9 has a name that nobody asks for, and 7 is a group without one.
    number = draw(st.sampled_from([None, 1, 2, 3, 7, 9]))
    probability = 0.0 if number is None else draw(st.sampled_from([0.0, 0.3, 0.9, 1.0]))
    taken = draw(st.sampled_from([TAKEN, None]))
    return CandidateFace(1, 0.9, p_female, distribution, None, {}, number, probability, number in NAMED, taken)


@pytest.mark.parametrize("query", QUERIES)
@given(faces=st.lists(candidate_faces(), max_size=3))
@hypothesis_settings(max_examples=25, deadline=None)
def test_the_probability_is_that_of_all_combinations_of_who_and_how_old_they_are(
    query: str, faces: list[CandidateFace]
) -> None:
    term = interpret(query, roster=ROSTER).term
    # Births matter to queries that ask for somebody's age.
    births = births_in(person.identity for one in term.walk() for person in one.people())
    expected = sum(
        math.prod(probability for _, probability in some)
        for some in itertools.product(*(list(outcomes(face, births)) for face in faces))
        if holds(term, [person for person, _ in some], passes)
    )
    found = term.match(CandidatePhoto(1, "a.png", TAKEN, tuple(faces), frozenset(), False))
    assert found == pytest.approx(expected, abs=1e-6)


# ---- A library with people


PHOTOS = 24


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Photos with up to five faces; Anna, Ben and Kim are named, the fourth of the people is a group without a name."""
    folder = tmp_path_factory.mktemp("people")
    people = [(5, 255), (13, 90), (1, 30), (44, 128), (70, 200), (2, 255), (19, 0), (12, 255), (60, 10)]
    for number in range(PHOTOS):
        draw(folder / "photos" / f"{number}.png", *people[number % 9 :][: number % 6], seed=number)
    database = open_database(str(folder / "people.db"))
    Indexer(database, BlobAnalyzer(), Settings()).run([folder / "photos"])
    with database.write() as session:
        # What grouping found of squares is in the way.
        session.execute(delete(FacePersonRow))
        session.execute(delete(PersonRow))
        for number, names in ((1, ["Anna"]), (2, ["Ben"]), (3, ["Kim"]), (4, [])):
            session.add(
                PersonRow(
                    id=number,
                    uid=f"person{number}",
                    birth_date={1: "2010-03-04"}.get(number),
                    birth_estimate={2: 2012.0}.get(number),
                    birth_deviation={2: 0.8}.get(number),
                    created_at="",
                )
            )
            session.flush()
            for position, name in enumerate(names):
                session.add(PersonNameRow(person_id=number, position=position, name=name, folded=name.lower()))
        for face_id, number, probability in faces_of_people(session):
            state = "automatic" if number == 4 else "confirmed" if probability == 1.0 else "proposed"
            session.add(
                FacePersonRow(face_id=face_id, person_id=number, state=state, probability=probability, source="auto")
            )
        for photo_id in range(1, PHOTOS + 1):
            row = session.get_one(PhotoRow, photo_id)
            row.taken_local = None if photo_id % 7 == 0 else f"20{10 + photo_id % 12}-05-01T10:00:00"
    yield database
    database.close()


def faces_of_people(session: object) -> Iterator[tuple[int, int | None, float]]:
    """Yield faces with who they are, each person at most once a photo; some belong to nobody, and some have no row."""
    rows = session.connection().exec_driver_sql("SELECT id, photo_id FROM faces ORDER BY id")  # type: ignore[attr-defined]
    for photo_id, found in itertools.groupby(rows.all(), key=lambda row: row[1]):
        for place, (face_id, _) in enumerate(found):
            number = (1, 2, 3, 4, None)[(place + photo_id) % 5]
            if photo_id % 6:
                yield face_id, number, (1.0, 0.9, 0.6, 0.35)[(photo_id + face_id) % 4]


@pytest.mark.parametrize("query", [*QUERIES, "unknown women born in 1990", "two known people born from 2000 to 2014"])
def test_sql_memory_and_the_ranked_search_agree(library: Database, query: str) -> None:
    by_sql = {hit.photo_id: hit.probability for hit in search.search(library, query, min_probability=0)}
    with library.read() as session:
        term = interpret(query, roster=roster_of(session)).term
        in_memory = {photo.photo_id: term.match(photo) for photo in load_photos(session, range(1, PHOTOS + 1))}
    assert by_sql == pytest.approx(in_memory, abs=2e-3)
    ranked = [(hit.photo_id, hit.probability) for hit in search.search(library, query, limit=4)]
    sure = sorted(((-p, number) for number, p in by_sql.items() if p >= search.MIN_PROBABILITY))
    assert [number for number, _ in ranked] == [number for _, number in sure[:4]]
    assert search.count(library, query) == len(sure)
    newest = {hit.photo_id: hit.probability for hit in search.search(library, query, order="date")}
    assert newest == pytest.approx({number: -p for p, number in sure})


def test_a_confirmed_person_is_certain_and_a_proposed_one_as_probable_as_stored(library: Database) -> None:
    hits = {hit.photo_id: hit for hit in search.search(library, "Anna", min_probability=0.01)}
    with library.read() as session:
        rows = session.connection().exec_driver_sql(
            "SELECT f.photo_id, w.probability FROM face_people w JOIN faces f ON f.id = w.face_id WHERE w.person_id = 1"
        )
        assert {number: hit.probability for number, hit in hits.items()} == pytest.approx(dict(rows.all()))
    assert {hit.probability for hit in hits.values()} >= {1.0, 0.6}


def test_with_a_birth_date_the_photos_of_an_age_are_those_of_that_year(library: Database) -> None:
    found = {hit.photo_id for hit in search.search(library, "Anna at 5", min_probability=0.01)}
    with library.read() as session:
        rows = session.connection().exec_driver_sql(
            "SELECT f.photo_id, p.taken_local FROM face_people w JOIN faces f ON f.id = w.face_id"
            " JOIN photos p ON p.id = f.photo_id WHERE w.person_id = 1"
        )
        taken = dict(rows.all())
    dated = {number for number, time in taken.items() if time is not None}
    # She was born on 4 March 2010, and all photos are of a 1 May.
    assert found & dated == {number for number in dated if taken[number].startswith("2015")} != set()


def test_with_an_estimated_birth_an_age_is_as_probable_as_the_estimate_says(library: Database) -> None:
    everything = {hit.photo_id: hit.probability for hit in search.search(library, "Ben", min_probability=0)}
    at_three = {hit.photo_id: hit.probability for hit in search.search(library, "Ben at 3", min_probability=0)}
    with library.read() as session:
        taken = {photo.photo_id: photo.taken_local for photo in load_photos(session, range(1, PHOTOS + 1))}
    birth = Birth.estimated(2012.0, 0.8)
    dated = [number for number, time in taken.items() if time is not None and everything[number] > 0]
    for number in dated:
        day = date.fromisoformat((taken[number] or "")[:10])
        assert at_three[number] == pytest.approx(everything[number] * birth.share(3, 3, day), abs=1e-6)
    assert max(at_three[number] for number in dated) > 0.15
    assert "probably born" in read(library, "Ben at 3").notes[0].text


def test_hits_say_which_face_is_the_person(library: Database) -> None:
    hit = search.search(library, "Anna", limit=1)[0]
    with library.read() as session:
        anna = session.connection().exec_driver_sql("SELECT face_id FROM face_people WHERE person_id = 1")
        faces = {row[0] for row in anna}
    assert [face.face_id for face in hit.faces if face.probability == 1.0] == [
        face.face_id for face in hit.faces if face.face_id in faces
    ]


@pytest.mark.parametrize(
    ("query", "there"),
    [
        *((query, False) for query in QUERIES),
        ("unknown women born in 1990", False),
        ("children", True),
        ("a woman and a baby", True),
    ],
)
def test_the_columns_answer_only_what_asks_for_no_identity(library: Database, query: str, there: bool) -> None:
    with library.read() as session:
        term = interpret(query, roster=roster_of(session)).term
        assert (column_search.search(library, session, term, 0.05) is not None) == there


def test_a_query_of_people_reads_no_more_than_their_photos(library: Database) -> None:
    sql = search.explain("Anna with a child", database=library).sql
    assert "face_people" in sql
