"""The everyday words of the search language, and whom they mean."""

from __future__ import annotations

from typing import Final, NamedTuple

from rollcall.ages import AGE_GROUPS, OLDEST


class Who(NamedTuple):
    """A kind of person: ages in completed years, both ends included, and a gender or None for any."""

    low: int = 0
    high: int = OLDEST
    gender: str | None = None

    def within(self, other: Who) -> bool:
        """Say whether everyone of this kind is of the other kind too."""
        ages = other.low <= self.low and self.high <= other.high
        return ages and other.gender in (None, self.gender)

    @property
    def anyone(self) -> bool:
        """Whether it means every face."""
        return self == Who()

    @property
    def group(self) -> str | None:
        """The name of the stored group that is exactly this kind, if there is one."""
        return STORED.get(self)


def _group(name: str, gender: str | None = None) -> Who:
    return Who(AGE_GROUPS[name].low, AGE_GROUPS[name].high, gender)


STORED: Final = {
    **{_group(name): name for name in AGE_GROUPS},
    Who(gender="female"): "female",
    Who(gender="male"): "male",
    _group("adults", "female"): "women",
    _group("adults", "male"): "men",
    _group("children", "female"): "girls",
    _group("children", "male"): "boys",
}

#: Each line: a kind of person and the words for it.
WORDS: Final[tuple[tuple[Who, str], ...]] = (
    (
        Who(),
        "people person persons faces face anyone anybody someone somebody everyone everybody humans human",
    ),
    (_group("babies"), "babies baby infants infant newborns newborn"),
    (_group("toddlers"), "toddlers toddler"),
    (_group("children"), "children child kids kid minors youngsters"),
    (_group("teenagers"), "teenagers teenager teens teen adolescents adolescent"),
    (_group("adults"), "adults adult grown-ups grown-up grownups grownup parents parent"),
    (_group("seniors"), "seniors senior elderly pensioners pensioner grandparents grandparent"),
    (_group("adults", "female"), "women woman ladies lady mothers mother moms mom mums mum"),
    (_group("adults", "male"), "men man gentlemen gentleman fathers father dads dad guys guy"),
    (_group("children", "female"), "girls girl daughters daughter"),
    (_group("children", "male"), "boys boy sons son"),
    (_group("seniors", "female"), "grandmothers grandmother grandmas grandma grannies granny"),
    (_group("seniors", "male"), "grandfathers grandfather grandpas grandpa"),
    (Who(gender="female"), "female females"),
    (Who(gender="male"), "male males"),
)
NOUNS: Final = {word: who for who, words in WORDS for word in words.split()}

COUNTS: Final = {
    "a": 1,
    "an": 1,
    "one": 1,
    "some": 1,
    "any": 1,
    "two": 2,
    "both": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "a couple": 2,
    "several": 3,
    "many": 5,
}
#: From so many faces on a photo shows a group, in words and tags alike.
GROUP_SIZE: Final = 5
