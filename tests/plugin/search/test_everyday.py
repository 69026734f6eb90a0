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
    # Nobody, only, no
    "nobody over 30": lambda p: Group(31)(p) == 0,
    "no one under 18": lambda p: Group(0, 17)(p) == 0,
    "nobody in their thirties": lambda p: Group(30, 39)(p) == 0,
    "only women and children": lambda p: bool(p.people) and all(x in WOMEN or x in KIDS for x in p.people),
    "women and children only": lambda p: bool(p.people) and all(x in WOMEN or x in KIDS for x in p.people),
    "nobody but women": lambda p: only(p, WOMEN),
    "only a man and a woman": lambda p: len(p.people) == 2 and different(p, MEN, WOMEN),
    "everyone over 18": lambda p: only(p, Group(19)),
    "all under 40": lambda p: only(p, Group(0, 39)),
    "no boys or girls": lambda p: BOYS(p) == GIRLS(p) == 0,
    "photos without children or babies": lambda p: KIDS(p) == 0,
    "kids without women and men": lambda p: KIDS(p) > 0 and WOMEN(p) == MEN(p) == 0,
    "no boys, girls or seniors": lambda p: BOYS(p) == GIRLS(p) == OLD(p) == 0,
    "everyone but children": lambda p: bool(p.people) and KIDS(p) == 0,
    "boys not girls": lambda p: BOYS(p) > 0 == GIRLS(p),
    "photos that don't show children": lambda p: KIDS(p) == 0,
    "a woman and a child alone": lambda p: len(p.people) == 2 and different(p, WOMEN, KIDS),
    "every person is male": lambda p: bool(p.people) and all(person.gender == "male" for person in p.people),
    "all are women": lambda p: only(p, WOMEN),
    "everyone is either a child or a senior": lambda p: bool(p.people) and all(x in KIDS or x in OLD for x in p.people),
    "everyone under 10 or over 60": lambda p: bool(p.people) and all(x.age < 10 or x.age > 60 for x in p.people),
    "a woman and nobody else": lambda p: len(p.people) == 1 and WOMEN(p) == 1,
    "kids by themselves": lambda p: only(p, KIDS),
    "two people only": lambda p: len(p.people) == 2,
    "not a single man": lambda p: MEN(p) == 0,
    "0 kids": lambda p: KIDS(p) == 0,
    "zero people": lambda p: not p.people,
    "all except babies": lambda p: BABIES(p) == 0,
    "women; no men": lambda p: WOMEN(p) > 0 == MEN(p),
    "babies, teens or seniors": lambda p: BABIES(p) + TEENS(p) + OLD(p) > 0,
    # Ages
    "girls of 7": lambda p: Group(7, 7, "female")(p) > 0,
    "children aged 5, 6 or 7": lambda p: Group(5, 7)(p) > 0,
    "people around 30": lambda p: Group(28, 32)(p) > 0,
    "mid forties women": lambda p: Group(44, 46, "female")(p) > 0,
    "kids between 2018 and 2019 and under 5": lambda p: Group(0, 4)(p) > 0 and p.taken[:4] in ("2018", "2019"),
    "age:>5 age:<10": lambda p: Group(6, 9)(p) > 0,
    "kids 5 years old": lambda p: Group(5, 5)(p) > 0,
    "kids who are 5": lambda p: Group(5, 5)(p) > 0,
    "children over 5 and under 10": lambda p: Group(6, 9)(p) > 0,
    "men over sixty": lambda p: Group(61, gender="male")(p) > 0,
    "5-9 year olds": lambda p: Group(5, 9)(p) > 0,
    "women in 30s": lambda p: Group(30, 39, "female")(p) > 0,
    "people in their forties": lambda p: Group(40, 49)(p) > 0,
    "middle aged men": lambda p: Group(40, 59, "male")(p) > 0,
    "6 month old baby": lambda p: Group(0, 0)(p) > 0,
    "five-year-old girls or boys": lambda p: Group(5, 5)(p) > 0,
    "men and women over 60": lambda p: different(p, Group(61, gender="male"), Group(61, gender="female")),
    "old men or women": lambda p: OLD(p) > 0,
    "18 and under": lambda p: Group(0, 18)(p) > 0,
    "women from 20 to 30": lambda p: Group(20, 30, "female")(p) > 0,
    "girls aged 4 or 5": lambda p: Group(4, 5, "female")(p) > 0,
    "two girls under 10": lambda p: Group(0, 9, "female")(p) >= 2,
    "toddler boys": lambda p: Group(1, 3, "male")(p) > 0,
    # Numbers of people
    "2 or 3 kids": lambda p: KIDS(p) in (2, 3),
    "4-6 people": lambda p: 4 <= len(p.people) <= 6,
    "between 2 and 4 adults": lambda p: 2 <= ADULTS(p) <= 4,
    "exactly 2 women exactly 1 man": lambda p: WOMEN(p) == 2 and MEN(p) == 1,
    "no more than two people": lambda p: len(p.people) <= 2,
    "half a dozen people or portraits": lambda p: len(p.people) >= 6 or len(p.people) == 1,
    "both boys and girls": lambda p: different(p, BOYS, GIRLS),
    "at least two kids and at most one adult": lambda p: KIDS(p) >= 2 and ADULTS(p) <= 1,
    "a single person": lambda p: len(p.people) == 1,
    "max 2 kids": lambda p: KIDS(p) <= 2,
    "2 kids max": lambda p: KIDS(p) <= 2,
    "two kids at least": lambda p: KIDS(p) >= 2,
    "all three kids": lambda p: KIDS(p) >= 3,
    "faces > 3": lambda p: len(p.people) > 3,
    "any two kids": lambda p: KIDS(p) >= 2,
    "18-25 women": lambda p: Group(18, 25, "female")(p) > 0,
    "women only photos": lambda p: only(p, WOMEN),
    "without men but with women": lambda p: MEN(p) == 0 < WOMEN(p),
    "group of 3": lambda p: len(p.people) == 3,
    # Families and kin
    "family of four": lambda p: len(p.people) == 4 and ADULTS(p) > 0 < KIDS(p),
    "big family": lambda p: len(p.people) >= 5 and ADULTS(p) > 0 < KIDS(p),
    "young family": lambda p: Group(20, 39)(p) > 0 < Group(0, 5)(p),
    "a couple with a baby": lambda p: different(p, ADULTS, ADULTS, BABIES),
    "elderly couple or portraits": lambda p: (len(p.people) == 2 and only(p, OLD)) or len(p.people) == 1,
    "grandma and grandkids": lambda p: different(p, Group(60, gender="female"), KIDS),
    "my stepson with gramps": lambda p: different(p, BOYS, Group(60, gender="male")),
    "school kids": lambda p: Group(6, 12)(p) > 0,
    "thirty-something women": lambda p: Group(30, 39, "female")(p) > 0,
    "boy baby": lambda p: Group(0, 2, "male")(p) > 0,
    "with her grandmother": lambda p: Group(60, gender="female")(p) > 0,
    "his son": lambda p: BOYS(p) > 0,
    "my mom and dad": lambda p: different(p, WOMEN, MEN),
    "children's photos": lambda p: KIDS(p) > 0,
    "kids' pictures!": lambda p: KIDS(p) > 0,
    # Frames, spelling
    "give me kids": lambda p: KIDS(p) > 0,
    "I want to see women": lambda p: WOMEN(p) > 0,
    "photos where there are kids": lambda p: KIDS(p) > 0,
    "women in the picture": lambda p: WOMEN(p) > 0,
    "either kids or teens": lambda p: KIDS(p) > 0 or TEENS(p) > 0,
    "selfies": lambda p: len(p.people) == 1,
    "empty photos": lambda p: not p.people,
    "twins": lambda p: KIDS(p) >= 2,
    "chidlren": lambda p: KIDS(p) > 0,
    "wemon and toodlers": lambda p: different(p, WOMEN, Group(1, 3)),
    # Time
    "kids from 2018 to 2020": lambda p: KIDS(p) > 0 and "2018" <= p.taken[:4] <= "2020",
    "children from 2019": lambda p: KIDS(p) > 0 and p.taken[:4] == "2019",
    "children between 2018 and 2020": lambda p: KIDS(p) > 0 and "2018" <= p.taken[:4] <= "2020",
    "kids in 2019 and 2020": lambda p: KIDS(p) > 0 and p.taken[:4] in ("2019", "2020"),
    "kids or women in 2019": lambda p: (KIDS(p) > 0 or WOMEN(p) > 0) and p.taken[:4] == "2019",
    "in summer": lambda p: "06" <= p.taken[5:7] <= "08",
    "kids in winter": lambda p: KIDS(p) > 0 and p.taken[5:7] in ("12", "01", "02"),
    "from june to august 2019": lambda p: "2019-06" <= p.taken[:7] <= "2019-08",
    "June 5, 2018": lambda p: p.taken[:10] == "2018-06-05",
    "5 June 2018 or 2017-02-05": lambda p: p.taken[:10] in ("2018-06-05", "2017-02-05"),
    "05.06.2018 or 2019/03/05": lambda p: p.taken[:10] in ("2018-06-05", "2019-03-05"),
    "kids and teens before 2019": lambda p: different(p, KIDS, TEENS) and p.taken < "2019",
    "kids born in 2010": lambda p: any(
        int(p.taken[:4]) - 2011 <= x.age <= int(p.taken[:4]) - 2010 and x in KIDS for x in p.people
    ),
    "women born before 1960": lambda p: any(x.age >= int(p.taken[:4]) - 1960 and x in WOMEN for x in p.people),
    # Names
    "untagged": lambda p: not p.tags,
    'kids tagged "birthday"': lambda p: KIDS(p) > 0 and "Family/Birthday" in p.tags,
    "kids not tagged birthday": lambda p: KIDS(p) > 0 and "Family/Birthday" not in p.tags,
    'kids "ONE/"': lambda p: KIDS(p) > 0 and p.path.startswith("one/"),
    "birthday": lambda p: "Family/Birthday" in p.tags,
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
