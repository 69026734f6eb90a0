"""Queries that people type, against what they mean, written out plainly in Python over the public views.

Every age and gender is corrected here, and so certain: each photo is meant, or it is not.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import permutations
from typing import NamedTuple

import pytest
from sqlalchemy import text

from blobs import BlobAnalyzer, draw
from rollcall import corrections, search
from rollcall.errors import InvalidQueryError
from rollcall.host import Plugin
from rollcall.storage.tables import PhotoRow


class Person(NamedTuple):
    age: int
    gender: str


class Shown(NamedTuple):
    path: str
    taken: str
    reviewed: bool
    people: list[Person]
    tags: set[str]


class Group(NamedTuple):
    """People by age and gender; called with a photo it gives their number: KIDS(photo)."""

    low: int = 0
    high: int = 200
    gender: str = ""

    def __contains__(self, person: object) -> bool:
        assert isinstance(person, Person)
        return self.low <= person.age <= self.high and self.gender in ("", person.gender)

    def __call__(self, photo: Shown) -> int:
        return sum(person in self for person in photo.people)


KIDS, TEENS, ADULTS, OLD, BABIES = Group(0, 12), Group(13, 19), Group(20), Group(60), Group(0, 2)
WOMEN, MEN = Group(20, gender="female"), Group(20, gender="male")
GIRLS, BOYS = Group(0, 12, "female"), Group(0, 12, "male")


def different(photo: Shown, *groups: Group) -> bool:
    """Return whether for every group there is a person of its own."""
    return any(
        all(one in group for one, group in zip(some, groups, strict=True))
        for some in permutations(photo.people, len(groups))
    )


def only(photo: Shown, group: Group) -> bool:
    return bool(photo.people) and group(photo) == len(photo.people)


Meaning = Callable[[Shown], bool]
MEANINGS: dict[str, Meaning] = {
    "photos of children": lambda p: KIDS(p) > 0,
    "Kids": lambda p: KIDS(p) > 0,
    "show me pictures of my kids": lambda p: KIDS(p) > 0,
    "all photos of babies": lambda p: BABIES(p) > 0,
    "two children": lambda p: KIDS(p) >= 2,
    "exactly two children": lambda p: KIDS(p) == 2,
    "only one child": lambda p: KIDS(p) == 1,
    "at least three people": lambda p: len(p.people) >= 3,
    "three or more people": lambda p: len(p.people) >= 3,
    "3+ kids": lambda p: KIDS(p) >= 3,
    "more than two adults": lambda p: ADULTS(p) > 2,
    "fewer than three people": lambda p: len(p.people) < 3,
    "at most one child": lambda p: KIDS(p) <= 1,
    "2-4 people": lambda p: 2 <= len(p.people) <= 4,
    "two to three kids": lambda p: 2 <= KIDS(p) <= 3,
    "a couple of women": lambda p: WOMEN(p) >= 2,
    "a few men": lambda p: MEN(p) >= 3,
    "kids under 5": lambda p: Group(0, 4)(p) > 0,
    "kids under five": lambda p: Group(0, 4)(p) > 0,
    "children younger than 16": lambda p: Group(0, 15)(p) > 0,
    "kids over 5": lambda p: Group(6, 12)(p) > 0,
    "people over 60": lambda p: Group(61)(p) > 0,
    "women over 60": lambda p: Group(61, gender="female")(p) > 0,
    "women 60 or older": lambda p: Group(60, gender="female")(p) > 0,
    "men aged 30-40": lambda p: Group(30, 40, "male")(p) > 0,
    "women in their thirties": lambda p: Group(30, 39, "female")(p) > 0,
    "children between 5 and 9": lambda p: Group(5, 9)(p) > 0,
    "girls from 5 to 9": lambda p: Group(5, 9, "female")(p) > 0,
    "5-year-olds": lambda p: Group(5, 5)(p) > 0,
    "a two year old boy": lambda p: Group(2, 2, "male")(p) > 0,
    "under 18": lambda p: Group(0, 17)(p) > 0,
    "minors": lambda p: Group(0, 17)(p) > 0,
    "teenage girls": lambda p: Group(13, 19, "female")(p) > 0,
    "baby girl": lambda p: Group(0, 2, "female")(p) > 0,
    "old men": lambda p: Group(60, gender="male")(p) > 0,
    "young women": lambda p: Group(20, 29, "female")(p) > 0,
    "elderly people": lambda p: OLD(p) > 0,
    "everyone under 30": lambda p: only(p, Group(0, 29)),
    "a woman and a baby": lambda p: different(p, WOMEN, BABIES),
    "a man with two girls": lambda p: different(p, MEN, GIRLS, GIRLS),
    "boys and girls": lambda p: different(p, BOYS, GIRLS),
    "grandparents with kids": lambda p: different(p, OLD, KIDS),
    "grandma and grandson": lambda p: different(p, Group(60, gender="female"), BOYS),
    "a child and a girl": lambda p: different(p, KIDS, GIRLS),
    "someone over 30 and a woman": lambda p: different(p, Group(31), WOMEN),
    "a senior, a woman and an adult": lambda p: different(p, OLD, WOMEN, ADULTS),
    "someone over 40 and a woman and someone under 30": lambda p: different(p, Group(41), WOMEN, Group(0, 29)),
    "families": lambda p: different(p, ADULTS, KIDS),
    "a couple": lambda p: len(p.people) == 2 and only(p, ADULTS),
    "babies or toddlers": lambda p: Group(0, 3)(p) > 0,
    "a child or a teenager": lambda p: Group(0, 19)(p) > 0,
    "no children": lambda p: KIDS(p) == 0,
    "photos without people": lambda p: not p.people,
    "nobody": lambda p: not p.people,
    "neither kids nor teens": lambda p: KIDS(p) == TEENS(p) == 0,
    "kids but no adults": lambda p: KIDS(p) > 0 == ADULTS(p),
    "just adults": lambda p: only(p, ADULTS),
    "women only": lambda p: only(p, WOMEN),
    "only kids under 5": lambda p: only(p, Group(0, 4)),
    "a woman alone": lambda p: len(p.people) == 1 and WOMEN(p) == 1,
    "portraits of children": lambda p: len(p.people) == 1 and KIDS(p) == 1,
    "group photos": lambda p: len(p.people) >= 5,
    "a group of people": lambda p: len(p.people) >= 5,
    "people over 60 in 2019": lambda p: Group(61)(p) > 0 and p.taken[:4] == "2019",
    "kids in June 2018": lambda p: KIDS(p) > 0 and p.taken[:7] == "2018-06",
    "women in the summer of 2019": lambda p: WOMEN(p) > 0 and "2019-06" <= p.taken[:7] <= "2019-08",
    "kids 2019": lambda p: KIDS(p) > 0 and p.taken[:4] == "2019",
    "photos from 2018 to 2019": lambda p: p.taken[:4] in ("2018", "2019"),
    "taken before 2019": lambda p: p.taken < "2019",
    "men since 2020": lambda p: MEN(p) > 0 and p.taken >= "2020",
    "tagged birthday": lambda p: "Family/Birthday" in p.tags,
    'kids -tag:"birthday"': lambda p: KIDS(p) > 0 and "Family/Birthday" not in p.tags,
    "age:5-9 gender:female": lambda p: Group(5, 9, "female")(p) > 0,
    "path:one/* faces:>=2": lambda p: p.path.startswith("one/") and len(p.people) >= 2,
    "(kids or teens) and not faces:>3": lambda p: (KIDS(p) > 0 or TEENS(p) > 0) and len(p.people) <= 3,
    "gender:male age:>=70 | faces:0": lambda p: Group(70, gender="male")(p) > 0 or not p.people,
    "unreviewed": lambda p: not p.reviewed,
}


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plugin]:
    folder = tmp_path_factory.mktemp("album")
    rng = random.Random(5)
    for number in range(90):
        # Photos without faces have nothing to correct: they stay unreviewed.
        people = [(rng.choice([1, 4, 7, 15, 30, 70]), rng.choice([0, 255])) for _ in range(number % 6)]
        draw(folder / "photos" / ("one" if number % 2 else "two") / f"{number}.png", *people, seed=number)
    plugin = Plugin({"database.url": f"sqlite:///{folder / 'album.db'}"}, analyzer=BlobAnalyzer())
    plugin.start()
    plugin.index([folder / "photos"])
    with plugin.database.write() as session:
        for photo in session.query(PhotoRow):
            photo.taken_local = f"20{17 + photo.id % 5}-{1 + photo.id % 12:02}-05T10:00:00"
    for photo_id in range(1, 91):
        for face in plugin.photo(photo_id).faces:
            age = rng.choice(
                [0, 1, 2, 3, 4, 5, 7, 9, 10, 12, 13, 15, 17, 19, 20, 25, 29, 31, 39, 45, 59, 60, 61, 70, 88]
            )
            plugin.correct(
                corrections.age(face.face_id, age), corrections.gender(face.face_id, rng.choice(["female", "male"]))
            )
        if photo_id % 4 == 0:
            plugin.correct(corrections.tag(photo_id, "Family/Birthday", True))
    yield plugin
    plugin.stop()


def shown(plugin: Plugin) -> dict[int, Shown]:
    with plugin.database.read() as session:
        photos = {
            row[0]: Shown(row[1], row[2], bool(row[3]), [], set())
            for row in session.execute(text("SELECT photo_id, path, taken_local, reviewed FROM v1_photos"))
        }
        for photo_id, age, gender in session.execute(text("SELECT photo_id, age, gender FROM v1_faces")):
            photos[photo_id].people.append(Person(age, gender))
        for photo_id, tag in session.execute(text("SELECT photo_id, tag FROM v1_tags WHERE state = 'applied'")):
            photos[photo_id].tags.add(tag)
    return photos


@pytest.mark.parametrize("words", MEANINGS)
def test_what_is_found_is_what_is_meant(album: Plugin, words: str) -> None:
    photos = shown(album)
    wanted = {photo_id for photo_id, photo in photos.items() if MEANINGS[words](photo)}
    assert {hit.photo_id for hit in album.search(words)} == wanted
    assert 0 < len(wanted) < len(photos), "a query that finds nothing, or everything, proves nothing"


@pytest.mark.parametrize(
    ("words", "at", "message"),
    [
        ("old kids", 0, "there are no 'old' kids"),
        ("kids in april", 8, "needs a year"),
        ("kids in 2019-13", 8, "there is no such day"),
        ("two young", 4, "did you mean 'two young people'"),
        ("photos from 2020 to 2018", 12, "ends before it begins"),
        ("people aged 9 to 5", 12, "nobody is of that age"),
        ("only kids adults", 0, "only one kind of people"),
        ('tagged ""', 7, "a tag has a name"),
    ],
)
def test_what_is_not_understood_is_explained_with_its_position(words: str, at: int, message: str) -> None:
    with pytest.raises(InvalidQueryError) as caught:
        search.parse(words)
    assert message in str(caught.value)
    assert caught.value.position == at
