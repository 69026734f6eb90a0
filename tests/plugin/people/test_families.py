"""A drawn family over twenty years: who is who from baby to adult, with and without birth dates.

Faces change as people grow, brother and sister are similar, a cousin looks like the sister years before she is born,
and the network errs by years on every age.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pytest

from blobs import BlobAnalyzer, draw
from people_blobs import rows
from rollcall.ages import AGE_GROUPS
from rollcall.host import Plugin
from rollcall.records import Face, Picture

#: When they were born, by the blue of their squares.
ANNA, BEN, MOTHER, GRANDMOTHER, COUSIN = 20, 60, 100, 140, 180
BORN: Final = {
    ANNA: date(2008, 5, 10),
    BEN: date(2010, 9, 20),
    MOTHER: date(1979, 3, 2),
    GRANDMOTHER: date(1951, 11, 30),
    COUSIN: date(1996, 7, 1),
}
#: Of whom somebody has the features of another, and how much of them.
LIKE: Final = {BEN: (ANNA, 0.45), COUSIN: (ANNA, 0.85)}
STRANGERS: Final = range(200, 250)
YEARS: Final = range(2000, 2023)
PHOTOS_A_YEAR: Final = 4
#: Faces, with their ages, of photos by year and number: Anna and her mirror, and those of a camera with a wrong clock.
TROUBLE: Final = {
    (2016, 2): [(ANNA, 8), (ANNA, 8), (MOTHER, 37)],
    (2003, 1): [(ANNA, 1), (MOTHER, 30)],
    (2004, 0): [(ANNA, 2), (BEN, 0)],
    (2004, 3): [(ANNA, 1), (MOTHER, 29)],
    (2007, 1): [(ANNA, 2), (BEN, 0)],
}
#: The standard deviation of the network's error of an age: years, and a share of the age.
ERROR: Final = (0.8, 0.1)
NAMES: Final = {ANNA: "Anna", BEN: "Ben", MOTHER: "Mother"}
FACES: Final = "SELECT face_id, full_path, x FROM v1_faces JOIN v1_photos USING (photo_id)"


class Shown(NamedTuple):
    """What a photo shows."""

    day: date
    people: tuple[int, ...]  # from left to right


def age_on(day: date, person: int) -> int:
    """Return the completed years of somebody of the family."""
    born = BORN[person]
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def unit(*seed: int) -> np.ndarray:
    vector = np.random.default_rng([*seed]).normal(size=128)
    return np.asarray(vector / np.linalg.norm(vector))


def features(person: int, age: int) -> np.ndarray:
    """Return the mean embedding of somebody at an age: what is their own, and what goes as they grow up."""
    grown = min(age / 18, 1.0)
    own = unit(1, person) + 0.7 * (grown * unit(2, person) + (1 - grown) * unit(3, person))
    other, share = LIKE.get(person, (person, 0.0))
    return own if not share else np.asarray(share * features(other, age) + np.sqrt(1 - share**2) * own)


class FamilyAnalyzer(BlobAnalyzer):
    """Finds the squares of `blobs`, whose ages it estimates with errors."""

    @staticmethod
    def _face(picture: Picture, place: tuple[int, int, int, int], age: int, blue: int) -> Face:
        chance = np.random.default_rng([*picture.path.name.encode(), place[0]])
        deviation = ERROR[0] + ERROR[1] * age
        years = np.arange(101)
        about = np.exp(-0.5 * ((years - max(age + chance.normal(0, deviation), 0.0)) / deviation) ** 2)
        noise = chance.normal(size=128)
        embedding = features(blue, age) + 0.7 * noise / np.linalg.norm(noise)
        return replace(
            BlobAnalyzer._face(picture, place, age, blue),
            sharpness=200.0,
            age_distribution=(about / about.sum()).astype(np.float32),
            embedding=(embedding / np.linalg.norm(embedding)).astype(np.float32),
        )


def draw_family(folder: Path) -> dict[str, Shown]:
    """Draw photos of those who are born by then, and of strangers who are seen once."""
    chance = np.random.default_rng(5)
    strangers = iter(STRANGERS)
    found: dict[str, Shown] = {}
    for year in YEARS:
        for number in range(PHOTOS_A_YEAR):
            day = date(year, 1 + 3 * number, int(chance.integers(1, 28)))
            born = [person for person in BORN if BORN[person] < day]
            if BORN[COUSIN].year + 9 < year:
                born.remove(COUSIN)  # who moved away
            count = min(int(chance.choice([1, 2, 2, 3])), len(born))
            people = [int(one) for one in chance.choice(born, count, replace=False)]
            if chance.random() < 0.3:
                people.append(next(strangers))
            faces = [(one, age_on(day, one) if one in BORN else int(chance.integers(20, 60))) for one in people]
            faces = TROUBLE.get((year, number), faces)
            name = f"IMG_{day:%Y%m%d}_12{number:02}00.png"
            draw(folder / name, *((age, one) for one, age in faces), seed=year * 10 + number)
            found[name] = Shown(day, tuple(one for one, _ in faces))
    return found


class Family(NamedTuple):
    """A library of the family in which Anna, Ben and their mother have names."""

    plugin: Plugin
    photos: dict[str, Shown]
    faces: dict[int, tuple[str, int]]  # photo and whom it truly shows, by the number of the face
    numbers: dict[int, int]  # of people

    def taken_for(self, number: int) -> list[tuple[str, int]]:
        """Return photo, and whom it truly shows, of each face that is taken for somebody."""
        return [self.faces[one.face_id] for one in self.plugin.person_faces(number)]

    def found(self, query: str, least: float = 0.5) -> dict[str, float]:
        """Return the probabilities of the photos that a search finds, by name."""
        hits = self.plugin.search(query, min_probability=least, limit=len(self.photos))
        return {hit.path.name: hit.probability for hit in hits}

    def trouble(self) -> set[str]:
        """Return the troublesome photos."""
        return {name for name, one in self.photos.items() if (one.day.year, (one.day.month - 1) // 3) in TROUBLE}

    def with_(self, person: int) -> dict[str, int]:
        """Return how old somebody is on the photos that show them, and that are theirs as far as is known."""
        theirs = {photo for photo, _ in self.taken_for(self.numbers[person])}
        return {
            name: age_on(one.day, person)
            for name, one in self.photos.items()
            if person in one.people and name in theirs
        }


def opened(database: Path, photos: dict[str, Shown], numbers: dict[int, int]) -> Family:
    plugin = Plugin({"database.url": str(database)}, analyzer=FamilyAnalyzer())
    plugin.start()
    return Family(plugin, photos, {}, numbers)


def name_them(family: Family, person: int, name: str) -> None:
    """Name the largest group of somebody, and confirm every third face of theirs that is no trouble."""
    shares = {
        one.person_id: [them for _, them in family.taken_for(one.person_id)].count(person)
        for one in family.plugin.people(named=False)
    }
    number = family.plugin.name_person(max(shares, key=lambda one: (shares[one], -one)), name).person_id
    theirs = sorted((photo, face) for face, (photo, them) in family.faces.items() if them == person)
    family.plugin.confirm_faces(number, [face for photo, face in theirs if photo not in family.trouble()][::3])
    family.numbers[person] = number


@pytest.fixture(scope="module")
def undated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Family]:
    """The family without birth dates."""
    folder = tmp_path_factory.mktemp("family")
    family = opened(folder / "undated.db", draw_family(folder / "photos"), {})
    family.plugin.index(folder / "photos")
    for number, path, x in rows(family.plugin, FACES):
        name = Path(str(path)).name
        family.faces[int(str(number))] = name, family.photos[name].people[round((float(str(x)) * 200 - 10) / 38)]
    for person, name in NAMES.items():
        name_them(family, person, name)
    family.plugin.group_people()
    yield family
    family.plugin.stop()


@pytest.fixture(scope="module")
def dated(undated: Family, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Family]:
    """The same family with the birth dates of the children."""
    copy = tmp_path_factory.mktemp("dated") / "dated.db"
    file = rows(undated.plugin, "SELECT file FROM pragma_database_list WHERE name = 'main'")[0][0]
    with closing(sqlite3.connect(str(file))) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    family = opened(copy, undated.photos, undated.numbers)._replace(faces=undated.faces)
    for person in (ANNA, BEN):
        family.plugin.set_birth_date(family.numbers[person], BORN[person].isoformat())
    family.plugin.group_people()
    yield family
    family.plugin.stop()


@pytest.fixture(params=["undated", "dated"])
def family(request: pytest.FixtureRequest) -> Family:
    """The family without birth dates, and with them."""
    found: Family = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("child", [ANNA, BEN])
def test_nobody_is_on_photos_from_more_than_three_years_before_their_birth(family: Family, child: int) -> None:
    found = family.plugin.person_faces(family.numbers[child])
    proposed = {family.faces[one.face_id][0] for one in found if one.state != "confirmed"}
    assert len(proposed) >= 10
    first = BORN[child].replace(year=BORN[child].year - 3)
    assert {name for name in proposed if family.photos[name].day < first} == set()


@pytest.mark.parametrize("child", [ANNA, BEN])
def test_with_a_birth_date_nobody_is_on_photos_from_before_it(dated: Family, child: int) -> None:
    found = dated.plugin.person_faces(dated.numbers[child])
    proposed = {dated.faces[one.face_id][0] for one in found if one.state != "confirmed"}
    assert {name for name in proposed if dated.photos[name].day < BORN[child]} == set()


def test_no_photo_shows_anybody_twice(family: Family) -> None:
    for one in family.plugin.people():
        photos = [name for name, _ in family.taken_for(one.person_id)]
        assert len(photos) == len({*photos})


def test_brother_sister_and_the_cousin_of_other_years_are_told_apart(family: Family) -> None:
    for child in (ANNA, BEN):
        theirs = family.taken_for(family.numbers[child])
        assert {them for _, them in theirs} == {child}
        photos = {name for name, one in family.photos.items() if child in one.people and one.day >= BORN[child]}
        assert len({name for name, _ in theirs} & photos) >= 0.9 * len(photos)


def test_an_estimated_birth_is_the_true_one_within_its_uncertainty(undated: Family) -> None:
    for child in NAMES:
        one = undated.plugin.person(undated.numbers[child])
        assert one.birth_estimate is not None and one.birth_deviation is not None
        born = BORN[child].year + BORN[child].timetuple().tm_yday / 365
        assert abs(one.birth_estimate - born) <= 2 * one.birth_deviation


@pytest.mark.parametrize(
    ("query", "child", "ages"),
    [
        ("Anna at 5", ANNA, range(5, 6)),
        ("Ben at 5", BEN, range(5, 6)),
        ("Anna at 8", ANNA, range(8, 9)),
        ("Anna as a baby", ANNA, range(3)),
        ("Ben as a baby", BEN, range(3)),
    ],
)
class TestAges:
    """Searches for somebody at an age."""

    def test_with_a_birth_date_exactly_the_photos_of_that_age_are_found(
        self, dated: Family, query: str, child: int, ages: range
    ) -> None:
        wanted = {name for name, age in dated.with_(child).items() if age in ages}
        assert wanted and {*dated.found(query)} == wanted

    def test_without_one_those_of_nearly_that_age_come_first(
        self, undated: Family, query: str, child: int, ages: range
    ) -> None:
        old = undated.with_(child)
        one = undated.plugin.person(undated.numbers[child])
        found = undated.found(query, least=0.05)
        # An age within two deviations of the estimate, and within a year that is not over.
        reach = 2 * (one.birth_deviation or 0.0) + 1
        assert all(ages[0] - reach <= old[name] <= ages[-1] + reach for name in found)
        assert {name for name, age in old.items() if age in ages} <= {*found}
        assert ages[0] - 1 <= old[max(found, key=lambda name: (found[name], name))] <= ages[-1] + 1


def test_photos_of_somebody_before_a_year_are_those_dated_before_it(family: Family) -> None:
    theirs = {name for name, _ in family.taken_for(family.numbers[ANNA])}
    wanted = {name for name in theirs if family.photos[name].day.year < 2015}
    assert len(wanted) > 5 and {*family.found("Anna before 2015")} == wanted


def test_somebody_with_a_child_is_found_with_the_brother_and_not_with_adults(family: Family) -> None:
    anna, ben = family.with_(ANNA), family.with_(BEN)
    with_ben = {name for name in anna if ben.get(name, 99) <= AGE_GROUPS["children"].high}
    with_adults = {name for name in anna if set(others(family.photos[name])) <= {MOTHER, GRANDMOTHER, *STRANGERS}}
    found = {*family.found("Anna with a child")}
    assert with_ben and with_adults
    assert with_ben <= found
    assert not with_adults & found


def others(photo: Shown) -> list[int]:
    """Return who a photo shows beside Anna; her mirror is somebody else."""
    people = list(photo.people)
    people.remove(ANNA)
    return people
