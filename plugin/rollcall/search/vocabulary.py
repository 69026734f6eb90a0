"""The everyday words of the search language, and whom they mean."""

from __future__ import annotations

from typing import Final, NamedTuple

from rollcall.ages import AGE_GROUPS, GROUP_PHOTO_FACES, OLDEST


class PersonFilter(NamedTuple):
    """A kind of person: ages in completed years, both ends included, and a gender or None for any."""

    low: int = 0
    high: int = OLDEST
    gender: str | None = None

    def within(self, other: PersonFilter) -> bool:
        """Say whether everyone of this kind is of the other kind too."""
        ages = other.low <= self.low and self.high <= other.high
        return ages and other.gender in (None, self.gender)

    def both(self, other: PersonFilter) -> PersonFilter | None:
        """Return the kind of people that are of this kind and of the other; None if there are none."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        if low > high or (self.gender and other.gender and self.gender != other.gender):
            return None
        return PersonFilter(low, high, self.gender or other.gender)

    @property
    def anyone(self) -> bool:
        """Whether it means every face."""
        return self == PersonFilter()

    @property
    def group(self) -> str | None:
        """The name of the stored group that is exactly this kind, if there is one."""
        return STORED.get(self)


def _group(name: str, gender: str | None = None) -> PersonFilter:
    return PersonFilter(AGE_GROUPS[name].low, AGE_GROUPS[name].high, gender)


STORED: Final = {
    **{_group(name): name for name in AGE_GROUPS},
    PersonFilter(gender="female"): "female",
    PersonFilter(gender="male"): "male",
    _group("adults", "female"): "women",
    _group("adults", "male"): "men",
    _group("children", "female"): "girls",
    _group("children", "male"): "boys",
}

#: Each line: a kind of person and the words for it.
WORDS: Final[tuple[tuple[PersonFilter, str], ...]] = (
    (
        PersonFilter(),
        "people person persons faces face anyone anybody someone somebody everyone everybody humans human friends",
    ),
    (_group("babies"), "babies baby infants infant newborns newborn"),
    (_group("toddlers"), "toddlers toddler"),
    (_group("children"), "children child kids kid youngsters grandchildren grandchild"),
    (PersonFilter(0, 17), "minors minor"),
    (_group("teenagers"), "teenagers teenager teens teen adolescents adolescent"),
    (_group("adults"), "adults adult grown-ups grown-up grownups grownup parents parent"),
    (_group("seniors"), "seniors senior elderly pensioners pensioner grandparents grandparent"),
    (
        _group("adults", "female"),
        "women woman ladies lady mothers mother moms mom mums mum wife wives aunt aunts",
    ),
    (
        _group("adults", "male"),
        "men man gentlemen gentleman fathers father dads dad guys guy husband husbands uncle uncles",
    ),
    (_group("children", "female"), "girls girl daughters daughter granddaughters granddaughter"),
    (_group("children", "male"), "boys boy sons son grandsons grandson"),
    (_group("seniors", "female"), "grandmothers grandmother grandmas grandma grannies granny"),
    (_group("seniors", "male"), "grandfathers grandfather grandpas grandpa"),
    (PersonFilter(gender="female"), "female females sister sisters"),
    (PersonFilter(gender="male"), "male males brother brothers"),
)
NOUNS: Final = {word: person for person, words in WORDS for word in words.split()}
#: Of these, whoever is meant is everyone in the photo, once an age is given.
EVERYONE: Final = ("everyone", "everybody")

#: Words before a noun, and which ages they leave of those meant by it; None: what the noun says.
ADJECTIVES: Final[dict[str, tuple[int, int] | None]] = {
    "female": None,
    "male": None,
    "newborn": (0, 2),
    "baby": (0, 2),
    "infant": (0, 2),
    "toddler": (1, 3),
    "teenage": (13, 19),
    "teen": (13, 19),
    "adolescent": (13, 19),
    "adult": (20, OLDEST),
    "grown-up": (20, OLDEST),
    "middle-aged": (40, 59),
    "old": (60, OLDEST),
    "elderly": (60, OLDEST),
    "senior": (60, OLDEST),
    # Of children the youngest, of others those below 30.
    "young": (13, 29),
    "little": (0, 5),
    "small": (0, 5),
}
_YOUNGEST: Final = (0, 5)

#: How far the ages of a noun stretch where a number is given: a child under 16 is no contradiction.
_STRETCH: Final = {
    (0, 2): (0, 4),
    (1, 3): (0, 5),
    (0, 12): (0, 17),
    (13, 19): (10, 20),
    (20, OLDEST): (18, OLDEST),
    (60, OLDEST): (50, OLDEST),
}


def described_as(person: PersonFilter, word: str) -> PersonFilter | None:
    """Return person is left of a kind when an adjective is put before it; None if nobody can be."""
    if word in ("female", "male"):
        return person._replace(gender=word) if person.gender in (None, word) else None
    ages = ADJECTIVES[word]
    assert ages is not None
    of_children = person.high <= AGE_GROUPS["children"].high
    if word in ("young", "little", "small") and of_children:
        ages = _YOUNGEST
    elif word == "young":
        ages = (max(ages[0], person.low), min(ages[1], person.high))
    elif word in ("little", "small", "old", "elderly", "senior") and (of_children or word in ("little", "small")):
        return None
    return person._replace(low=ages[0], high=ages[1]) if ages[0] <= ages[1] else None


def limited(person: PersonFilter, low: int | None, high: int | None) -> PersonFilter | None:
    """Return person is left of a kind when its ages are limited by numbers; None if nobody is.

    An end that is not given stays as the word has it, unless nobody would be left.
    """
    widest = _STRETCH.get((person.low, person.high), (person.low, person.high))
    first = person.low if low is None else max(low, widest[0])
    last = person.high if high is None else min(high, widest[1])
    if first > last:
        first, last = (widest[0] if low is None else first), (widest[1] if high is None else last)
    return person._replace(low=first, high=last) if first <= last else None


#: Numbers in words.
NUMBERS: Final = {
    word: number
    for number, word in enumerate(
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"], 1
    )
}
#: How many are meant at least, by the first word that fits.
COUNTS: Final = {
    "crowd": 10,
    "crowds": 10,
    "group": GROUP_PHOTO_FACES,
    "groups": GROUP_PHOTO_FACES,
    "lot": 5,
    "lots": 5,
    "loads": 5,
    "many": 5,
    "several": 3,
    "few": 3,
    "couple": 2,
    "both": 2,
    "a": 1,
    "an": 1,
    "some": 1,
    "any": 1,
}
#: What somebody may look for person uses a word that this search does not know.
INSTEAD: Final = {
    "selfie": "portraits",
    "selfies": "portraits",
    "crowd": "group photos",
    "crowds": "group photos",
    "youth": "teenagers",
    "folks": "people",
    "empty": "no people",
    "landscape": "no people",
    "landscapes": "no people",
    "untagged": "-tag:",
    "twins": "two children",
}
#: The months, and the seasons of the northern half of the earth; of a winter, the one that began in that year.
MONTHS: Final[dict[str, tuple[int, int]]] = {
    **{
        name[:length]: (month, 1)
        for month, name in enumerate(
            [
                "january",
                "february",
                "march",
                "april",
                "may",
                "june",
                "july",
                "august",
                "september",
                "october",
                "november",
                "december",
            ],
            1,
        )
        for length in (len(name), 3)
    },
    "sept": (9, 1),
    "spring": (3, 3),
    "summer": (6, 3),
    "autumn": (9, 3),
    "fall": (9, 3),
    "winter": (12, 3),
}
