"""Phrases that can be misread: each means what people mean by it, and the answer names the reading that was taken."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from rollcall.errors import InvalidQueryError
from rollcall.search import interpret
from rollcall.search.person_filter import PersonFilter
from rollcall.search.terms import (
    And,
    DistinctPeople,
    FaceCount,
    HasTag,
    Not,
    Only,
    OnlyAnyOf,
    Or,
    People,
    PeopleCount,
    Tagged,
    Taken,
    TakenYearly,
    Term,
    TextMatch,
)
from rollcall.search.vocabulary import NOUNS

TODAY = date(2026, 11, 26)
CHILD, BABY, BOY, GIRL = (NOUNS[word] for word in ("child", "baby", "boy", "girl"))
WOMAN, MAN, ADULT, SENIOR = (NOUNS[word] for word in ("woman", "man", "adult", "senior"))
ANYONE = PersonFilter()


def without(*people: PersonFilter) -> tuple[Term, ...]:
    return tuple(Not(People(person)) for person in people)


def year(number: int, until: int | None = None) -> Taken:
    return Taken(f"{number}-01-01", f"{(until or number) + 1}-01-01")


#: Phrases, their meaning, and a part of the note that names the reading; None where there is only one.
READINGS: list[tuple[str, Term, str | None]] = [
    # Nobody
    ("nobody over 30", Not(People(PersonFilter(31))), "do not show any people from 31 on"),
    ("no one over 30", Not(People(PersonFilter(31))), "do not show any"),
    ("no-one older than 30", Not(People(PersonFilter(31))), "do not show any"),
    ("nobody under 18", Not(People(PersonFilter(0, 17))), "do not show any people from 0 to 17"),
    ("nobody in their thirties", Not(People(PersonFilter(30, 39))), "do not show any"),
    ("nobody", Not(People(ANYONE)), None),
    ("nobody in 2019", And((Not(People(ANYONE)), year(2019))), None),
    ("nobody but women", Only(WOMAN), None),
    # One person, not two
    ("kids 5 years old", People(PersonFilter(5, 5)), None),
    ("a kid 5 years old", People(PersonFilter(5, 5)), None),
    ("children over 5 and under 10", People(PersonFilter(6, 9)), None),
    ("women over 30 but under 40", People(PersonFilter(31, 39, "female")), None),
    ("people older than 20 and younger than 30", People(PersonFilter(21, 29)), None),
    # Only
    ("only women and children", OnlyAnyOf((WOMAN, CHILD)), "everyone is one of women or children"),
    ("only women or children", OnlyAnyOf((WOMAN, CHILD)), "everyone is one of"),
    ("women and children only", OnlyAnyOf((WOMAN, CHILD)), None),
    ("just boys and girls", OnlyAnyOf((BOY, GIRL)), "everyone is one of"),
    (
        "only a man and a woman",
        And((FaceCount(2, 2), DistinctPeople((People(MAN), People(WOMAN))))),
        "everyone is one of",
    ),
    ("only adults and no kids", And((Only(ADULT), Not(People(CHILD)))), None),
    ("only two kids", PeopleCount(CHILD, 2, 2), "others may be there too"),
    ("everybody is a woman", Only(WOMAN), None),
    ("all under 30", Only(PersonFilter(0, 29)), None),
    ("all women", People(WOMAN), "every photo with such people"),
    # What "no" reaches
    ("no boys or girls", And(without(BOY, GIRL)), "neither boys nor girls"),
    ("photos without children or babies", And(without(CHILD, BABY)), "neither children nor babies"),
    ("without kids and babies", And(without(CHILD, BABY)), "neither"),
    ("no boys, girls or babies", And(without(BOY, GIRL, BABY)), "neither boys nor girls nor babies"),
    ("no kids and two women", And((Not(People(CHILD)), People(WOMAN, 2))), None),
    ("no kids or faces:2", Or((Not(People(CHILD)), FaceCount(2, 2))), None),
    ("everyone but children", And((People(ANYONE), Not(People(CHILD)))), None),
    # Years against ages
    ("kids from 2018 to 2020", And((People(CHILD), year(2018, 2020))), None),
    ("children from 2019", And((People(CHILD), year(2019))), None),
    ("children between 2018 and 2020", And((People(CHILD), year(2018, 2020))), None),
    ("kids in 2019 and 2020", And((People(CHILD), Or((year(2019), year(2020))))), "any of these times"),
    ("kids from 5 to 9", People(PersonFilter(5, 9)), None),
    ("women since 2015", And((People(WOMAN), Taken("2015-01-01", "9999-12-31"))), None),
    (
        "women in 2019 and men in 2020",
        And((DistinctPeople((People(WOMAN), People(MAN))), year(2019), year(2020))),
        "both times",
    ),
    ("late 90s", year(1997, 1999), None),
    ("photos from the early 2000s", year(2000, 2003), None),
    ("women in their late 60s", People(PersonFilter(67, 69, "female")), None),
    ("kids in the late 90s", And((People(CHILD), year(1997, 1999))), None),
    ("june-august 2019", Taken("2019-06-01", "2019-09-01"), None),
    ("6/2019", Taken("2019-06-01", "2019-07-01"), None),
    ("summer of '69", Taken("1969-06-01", "1969-09-01"), None),
    ("winter 2015/2016", Taken("2015-12-01", "2016-03-01"), None),
    ("winter 2015-16", Taken("2015-12-01", "2016-03-01"), None),
    (
        "summer 2015 and 2016",
        Or((Taken("2015-06-01", "2015-09-01"), Taken("2016-06-01", "2016-09-01"))),
        "any of these times",
    ),
    ("20150501", Taken("2015-05-01", "2015-05-02"), None),
    ("christmas eve 2019", Taken("2019-12-24", "2019-12-25"), None),
    ("last weekend", Taken("2026-11-21", "2026-11-23"), None),
    ("5 years ago today", Taken("2021-11-26", "2021-11-27"), None),
    ("between christmas and new year", TakenYearly("12-24", "01-01"), "of any year"),
    # What may be somebody else
    ("no women with kids", And((Not(People(WOMAN)), People(CHILD))), "(no women)"),
    ("two boys or girls", Or((People(BOY, 2), People(GIRL))), "(two boys) or girls"),
    ("women and over 60", DistinctPeople((People(WOMAN), People(PersonFilter(61)))), "somebody else"),
    ("newest photos of kids", People(CHILD), "is an order"),
    # What holds for several
    ("kids or women in 2019", And((Or((People(CHILD), People(WOMAN))), year(2019))), "holds for all"),
    ("men or women over 60", Or((People(MAN._replace(low=61)), People(WOMAN._replace(low=61)))), "hold for all"),
    ("old men and women", DistinctPeople((People(MAN._replace(low=60)), People(WOMAN._replace(low=60)))), "hold for"),
    ("a woman and a child under 5", DistinctPeople((People(WOMAN), People(PersonFilter(0, 4)))), None),
    (
        "a man with a woman or a girl",
        Or((DistinctPeople((People(MAN), People(WOMAN))), People(GIRL))),
        "(a man with a woman) or a girl",
    ),
    ("a couple with a baby", DistinctPeople((People(ADULT, 2), People(BABY))), None),
    # Words that are none of this search
    ("kids at the beach", And((People(CHILD), TextMatch("beach"))), "'beach' is no word"),
    ('"two women"', TextMatch("two women"), None),
    ("chidlren and toodlers", DistinctPeople((People(CHILD), People(NOUNS["toddlers"]))), "was read as 'children'"),
    ("wemon", People(WOMAN), "'wemon' was read as 'women'"),
    ("untagged", Not(HasTag()), None),
    ("not tagged birthday", Not(Tagged("birthday")), None),
    ("in summer", TakenYearly("06-01", "08-31"), "summer of any year"),
]


@pytest.mark.parametrize(("phrase", "term", "note"), READINGS)
def test_a_phrase_means_what_people_mean_by_it(phrase: str, term: Term, note: str | None) -> None:
    found = interpret(phrase, today=TODAY)
    assert found.term == term
    if note is None:
        assert not found.notes
    else:
        assert any(note in one.text for one in found.notes), found.notes


@pytest.mark.parametrize("phrase", [phrase for phrase, _, _ in READINGS])
def test_the_other_reading_is_a_query_that_means_something_else(phrase: str) -> None:
    found = interpret(phrase, today=TODAY)
    for note in found.notes:
        if note.alternative is not None:
            assert interpret(note.alternative, today=TODAY).term != found.term


@pytest.mark.parametrize(
    ("phrase", "suggestion"),
    [
        ("score:2", "score:>0.9"),
        ("kids in january", "kids in january 2026"),
        ("kids in december", "kids in december 2025"),
        ("at least 3", "at least 3 people"),
        ("women 60", "women aged 60"),
        ("two dogs", '"dogs"'),
        ("5 photos of kids", "photos of kids"),
        ("2 or 5 kids", "2-5 kids"),
        ("people over 60 and under 20", "people over 60 and people under 20"),
        ("only kids adults", "only kids and adults"),
        ("(kids", "(kids)"),
        ("kids and", "kids"),
        ("agee:5", "age:5"),
        ("gender:x", "gender:female"),
        ("not not", ""),
        ("people aged 140", "people"),
        ("me and my wife", "and my wife"),
    ],
)
def test_what_may_be_meant_otherwise_is_refused_with_queries_to_choose_from(phrase: str, suggestion: str) -> None:
    with pytest.raises(InvalidQueryError) as caught:
        interpret(phrase, today=TODAY)
    assert caught.value.suggestion == suggestion
    assert len(caught.value.suggestions) <= 3
    assert str(caught.value).count("\n") == 0 and len(str(caught.value)) < 300


_TEXT = (
    "kids women a man two 5 5-9 2019 2018-2020 in from between and or not no only with of at least more than under old"
    " young baby teenage year-old group portraits couple family nobody alone tagged reviewed neither nor exactly aged"
    " age: age:5 faces: faces:>2 taken:2019 tag:x -tag:x ( ) - , | june last year their thirties up to older everyone"
    " photos my similar:face:3 60+ beach wemon summer ago month all both either but except born this 30s 's \" ; ü"
)
_WORDS = st.sampled_from(_TEXT.split())


@given(st.lists(_WORDS, max_size=8).map(" ".join))
@example("kids or women beach in 2019")
@example("two wemon")
@hypothesis_settings(max_examples=200, deadline=None)
def test_every_suggestion_and_every_other_reading_is_understood(text: str) -> None:
    try:
        offered = [note.alternative for note in interpret(text, today=TODAY).notes]
    except InvalidQueryError as error:
        assert len(error.suggestions) <= 3
        offered = list(error.suggestions)
    for query in offered:
        if query is not None:
            interpret(query, today=TODAY)
