"""The everyday words of the search language and what they mean: data only, read by `rollcall.search.grammar`."""

from __future__ import annotations

from typing import Final

from rollcall.ages import AGE_GROUPS, GROUP_PHOTO_FACES, OLDEST
from rollcall.search.person_filter import PersonFilter, people_of
from rollcall.sentences import Sentence


def _ages(group: str) -> tuple[int, int]:
    return AGE_GROUPS[group].low, AGE_GROUPS[group].high


#: Each line: people, and the words for them.
WORDS: Final[tuple[tuple[PersonFilter, str], ...]] = (
    (
        PersonFilter(),
        "people person persons faces face anyone anybody someone somebody everyone everybody humans human friends"
        " friend folks folk cousins cousin guests guest",
    ),
    (people_of("babies"), "babies baby infants infant newborns newborn"),
    (people_of("toddlers"), "toddlers toddler tots tot"),
    (
        people_of("children"),
        "children child kids kid youngsters youngster grandchildren grandchild grandkids grandkid siblings sibling"
        " kiddos kiddo stepchildren stepchild stepkids stepkid godchildren godchild",
    ),
    (PersonFilter(3, 5), "preschoolers preschooler"),
    (PersonFilter(6, 12), "schoolchildren schoolchild schoolkids schoolkid"),
    (PersonFilter(6, 12, "female"), "schoolgirls schoolgirl"),
    (PersonFilter(6, 12, "male"), "schoolboys schoolboy"),
    (PersonFilter(9, 12), "tweens tween preteens preteen pre-teens pre-teen"),
    (PersonFilter(20, 29), "twentysomethings twentysomething twenty-somethings twenty-something"),
    (PersonFilter(30, 39), "thirtysomethings thirtysomething thirty-somethings thirty-something"),
    (PersonFilter(40, 49), "fortysomethings fortysomething forty-somethings forty-something"),
    (PersonFilter(0, 17), "minors minor"),
    (people_of("teenagers"), "teenagers teenager teens teen adolescents adolescent youths youth"),
    (
        people_of("adults"),
        "adults adult grown-ups grown-up grownups grownup parents parent spouse spouses partner partners stepparents"
        " stepparent godparents godparent",
    ),
    (people_of("seniors"), "seniors senior elderly pensioners pensioner retirees retiree grandparents grandparent"),
    (
        people_of("adults", "female"),
        "women woman ladies lady mothers mother moms mom mums mum mommy mummy wife wives aunt aunts auntie"
        " bride brides bridesmaid bridesmaids girlfriend girlfriends stepmother stepmothers stepmom stepmum godmother"
        " godmothers mama mamas mam gals gal",
    ),
    (
        people_of("adults", "male"),
        "men man gentlemen gentleman fathers father dads dad daddy guys guy husband husbands uncle uncles groom grooms"
        " groomsmen boyfriend boyfriends stepfather stepfathers stepdad godfather godfathers papa papas gents"
        " gent dudes"
        " dude blokes bloke",
    ),
    (
        people_of("children", "female"),
        "girls girl daughters daughter granddaughters granddaughter stepdaughter stepdaughters goddaughter",
    ),
    (people_of("children", "male"), "boys boy sons son grandsons grandson stepson stepsons godson"),
    (people_of("seniors", "female"), "grandmothers grandmother grandmas grandma grannies granny nana nan gran"),
    (
        people_of("seniors", "male"),
        "grandfathers grandfather grandpas grandpa granddad granddads grandad grandads gramps",
    ),
    (PersonFilter(gender="female"), "female females sister sisters sis niece nieces lasses lass"),
    (PersonFilter(gender="male"), "male males brother brothers bro bros nephew nephews lads lad"),
)
NOUNS: Final = {word: person for person, words in WORDS for word in words.split()}
#: Words for several people; the others that are nouns mean one of them.
PLURALS: Final = frozenset(
    word
    for word in NOUNS
    if word.endswith(("people", "men", "children", "folk", "elderly", "groomsmen"))
    or (word.endswith("s") and word not in ("sis", "gramps"))
)
#: With an age behind them these mean that everyone in the photo is of that age.
EVERYONE: Final = ("everyone", "everybody")

#: Words before a noun, and the ages that they leave of its people; None: the noun's own.
ADJECTIVES: Final[dict[str, tuple[int, int] | None]] = {
    "female": None,
    "male": None,
    # Nobody of them, or each, has a name.
    "unknown": None,
    "known": None,
    "newborn": _ages("babies"),
    "baby": _ages("babies"),
    "infant": _ages("babies"),
    "toddler": _ages("toddlers"),
    "teenage": _ages("teenagers"),
    "teen": _ages("teenagers"),
    "adolescent": _ages("teenagers"),
    "preschool": (3, 5),
    "school-age": (6, 12),
    "preteen": (9, 12),
    "twentysomething": (20, 29),
    "twenty-something": (20, 29),
    "thirtysomething": (30, 39),
    "thirty-something": (30, 39),
    "fortysomething": (40, 49),
    "forty-something": (40, 49),
    "adult": _ages("adults"),
    "grown-up": _ages("adults"),
    "middle-aged": (40, AGE_GROUPS["seniors"].low - 1),
    "old": _ages("seniors"),
    "elderly": _ages("seniors"),
    "senior": _ages("seniors"),
    # Before children: `YOUNG_CHILDREN`.
    "young": (AGE_GROUPS["teenagers"].low, 29),
    "little": (0, 5),
    "small": (0, 5),
}
#: The ages of young, little or small children.
YOUNG_CHILDREN: Final = (0, 5)
#: How far the ages of a noun stretch where a number is given: a child under 16 is no contradiction.
STRETCHED_AGES: Final = {
    _ages("babies"): (0, 4),
    _ages("toddlers"): (0, 5),
    _ages("children"): (0, 17),
    _ages("teenagers"): (10, 20),
    _ages("adults"): (18, OLDEST),
    _ages("seniors"): (50, OLDEST),
}

#: Numbers in words.
NUMBERS: Final = {
    **{
        word: number
        for number, word in enumerate(
            [
                "one",
                "two",
                "three",
                "four",
                "five",
                "six",
                "seven",
                "eight",
                "nine",
                "ten",
                "eleven",
                "twelve",
                "thirteen",
                "fourteen",
                "fifteen",
                "sixteen",
                "seventeen",
                "eighteen",
                "nineteen",
            ],
            1,
        )
    },
    **{
        word: 10 * number
        for number, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2)
    },
}
#: Decades of ages in words.
DECADES: Final = {
    word: 10 * number
    for number, word in enumerate(
        ["twenties", "thirties", "forties", "fifties", "sixties", "seventies", "eighties", "nineties"], 2
    )
}
#: How many people such words ask for at least.
COUNTS: Final = {
    "crowd-of": 10,
    "dozen": 12,
    "group-of": GROUP_PHOTO_FACES,
    "lots-of": 5,
    "many": 5,
    "several": 3,
    "few": 3,
    "couple-of": 2,
    "both": 2,
    "a": 1,
    "an": 1,
    "some": 1,
    "any": 1,
}
#: Words for kinds of photos and what they are read as; the second part is noted.
INSTEAD: Final[dict[str, tuple[str, str]]] = {
    "portraits": ("portraits", ""),
    "portrait": ("portraits", ""),
    "headshots": ("portraits", ""),
    "headshot": ("portraits", ""),
    "selfies": ("portraits", Sentence("selfies are read as portraits: exactly one face")),
    "selfie": ("portraits", Sentence("selfies are read as portraits: exactly one face")),
    "group-photo": ("group", ""),
    "large-group": ("crowd", Sentence("a large group is read as ten faces or more")),
    "crowd": ("crowd", Sentence("a crowd is read as ten faces or more")),
    "crowds": ("crowd", Sentence("a crowd is read as ten faces or more")),
    "twins": ("two children", Sentence("twins are read as two children: faces are not compared")),
    "triplets": ("three children", Sentence("triplets are read as three children: faces are not compared")),
    "videos": ("videos", ""),
    "video": ("videos", ""),
    "empty": ("nobody", Sentence("read as photos without people")),
    "landscapes": ("nobody", Sentence("read as photos without people")),
    "landscape": ("nobody", Sentence("read as photos without people")),
    "scenery": ("nobody", Sentence("read as photos without people")),
}
#: Words before "photos" that ask for an order, which is chosen beside the search.
ORDERS: Final = ("newest", "latest", "oldest", "earliest", "best", "random", "first")
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
#: Feasts: the month and day on which they begin, and how many days they last.
FEASTS: Final[dict[str, tuple[int, int, int]]] = {
    "christmas": (12, 24, 3),
    "christmas-eve": (12, 24, 1),
    "christmas-day": (12, 25, 1),
    "valentine": (2, 14, 1),
    "new-year": (12, 31, 2),
    "halloween": (10, 31, 1),
}
