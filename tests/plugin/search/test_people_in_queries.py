"""People by name in queries: how names, relatives and ages of people are understood."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.errors import InvalidQueryError
from rollcall.search import interpret
from rollcall.search.identity import KNOWN, UNKNOWN, Birth
from rollcall.search.person_filter import PersonFilter
from rollcall.search.roster import Roster
from rollcall.search.terms import And, DistinctPeople, FaceCount, Not, Only, Or, People, Taken, Term, TextMatch
from rollcall.search.vocabulary import NOUNS

TODAY = date(2026, 11, 26)
BIRTHS = {1: Birth.given("2010-03-04"), 2: Birth.estimated(2012.4, 1.1)}
FAMILY = Roster(
    {1: ["Anna", "Nänni"], 2: ["Ben"], 3: ["Jürgen Müller", "Papa"], 4: ["Mia"], 5: ["Jean-Luc O'Neil"]},
    me=3,
    parents={2: frozenset({3}), 4: frozenset({3})},
    partners={3: frozenset({1}), 1: frozenset({3})},
    birth=BIRTHS.get,
    gender={1: "female", 2: "male", 4: "female"}.get,
)


def of(*numbers: int, low: int = 0, high: int = 100) -> PersonFilter:
    identity = FAMILY.identity(numbers)
    return PersonFilter(low, high, identity=identity.without_births() if (low, high) == (0, 100) else identity)


ANNA, BEN, PAPA, MIA = (People(of(number)) for number in (1, 2, 3, 4))
CHILD = People(NOUNS["children"])
WOMAN = NOUNS["women"]


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("Anna", ANNA),
        ("photos of anna", ANNA),
        ("Anna and Ben", DistinctPeople((ANNA, BEN))),
        ("Anna without Ben", And((ANNA, Not(BEN)))),
        ("Anna -Ben", And((ANNA, Not(BEN)))),
        ("neither Anna nor Ben", And((Not(ANNA), Not(BEN)))),
        ("Anna or Ben", Or((ANNA, BEN))),
        ("Anna with a child", DistinctPeople((ANNA, CHILD))),
        ("Anna alone", And((FaceCount(1, 1), ANNA))),
        ("only Anna", And((FaceCount(1, 1), ANNA))),
        ("only Anna and Ben", And((FaceCount(2, 2), DistinctPeople((ANNA, BEN))))),
        ("Anna before 2015", And((ANNA, Taken("0000-01-01", "2015-01-01")))),
        ("Anna at 5", People(of(1, low=5, high=5))),
        ("Anna at age 5", People(of(1, low=5, high=5))),
        ("Anna aged 5", People(of(1, low=5, high=5))),
        ("Anna when she was 5", People(of(1, low=5, high=5))),
        ("5-year-old Anna", People(of(1, low=5, high=5))),
        ("Anna at 3 to 5", People(of(1, low=3, high=5))),
        ("Anna between 3 and 8", People(of(1, low=3, high=8))),
        ("Anna as a baby", People(of(1, low=0, high=2))),
        ("Anna as a small child", People(of(1, low=0, high=5))),
        ("baby Anna", People(of(1, low=0, high=2))),
        ("Anna at the beach", And((ANNA, TextMatch("beach")))),
        ("Anna's birthday", And((ANNA, TextMatch("birthday")))),
        ("unknown people", People(PersonFilter(identity=UNKNOWN))),
        ("strangers", People(PersonFilter(identity=UNKNOWN))),
        ("two unknown women", People(WOMAN._replace(identity=UNKNOWN), 2)),
        ("people I know", People(PersonFilter(identity=KNOWN))),
        ("nobody I know", Only(PersonFilter(identity=UNKNOWN))),
        ('person:"Jürgen Müller"', PAPA),
        ("person:2 and person:anna", DistinctPeople((BEN, ANNA))),
        ('person:"Ben" at 5', People(of(2, low=5, high=5))),
        ("me", PAPA),
        ("Anna and me", DistinctPeople((ANNA, PAPA))),
        ("show me Anna", ANNA),
        ("my daughter", MIA),
        ("my kids", People(of(2, 4))),
        ("my two kids", People(of(2, 4), 2)),
        ("my wife with my sons", DistinctPeople((ANNA, BEN))),
        ("Ben's sister", MIA),
        ("Ben's father", PAPA),
        # Somebody with two names is one person, and so one face.
        ("Anna and Nänni", ANNA),
    ],
)
def test_people_are_found_by_their_names(text: str, tree: Term) -> None:
    assert interpret(text, roster=FAMILY, today=TODAY).term == tree


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("ANNA", 1),
        ("nänni", 1),
        ("nanni", 1),
        ("na\u0308nni", 1),
        ("jurgen muller", 3),
        ("Juergen Mueller", 3),
        ("jürgen", 3),
        ("müller", 3),
        ("jean luc", 5),
        ("Jean-Luc O'Neil", 5),
        ("jean luc o’neil", 5),
    ],
)
def test_case_accents_hyphens_and_written_out_umlauts_are_no_matter(text: str, number: int) -> None:
    assert interpret(text, roster=FAMILY).term == People(of(number))


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("Anna und Ben", "Anna and Ben"),
        ("Anna ohne Ben", "Anna without Ben"),
        ("nur Anna und Ben", "only Anna and Ben"),
        ("Anna mit einem Kind", "Anna with a child"),
        ("Anna mit 5", "Anna at 5"),
        ("Anna mit fünf Jahren", "Anna at 5"),
        ("Anna als Baby", "Anna as a baby"),
        ("Anna vor 2015", "Anna before 2015"),
        ("meine Tochter", "my daughter"),
        ("meine Frau und ich", "my wife"),
        ("Bens Schwester", "Ben's sister"),
        ("niemand den ich kenne", "nobody I know"),
        ("unbekannte Leute", "unknown people"),
        ("Anna et Ben", "Anna and Ben"),
        ("photos d'Anna", "Anna"),
        ("Anna sans Ben", "Anna without Ben"),
        ("Anna à 5 ans", "Anna at 5"),
        ("ma fille", "my daughter"),
        ("Anna y Ben", "Anna and Ben"),
        ("Anna sin Ben", "Anna without Ben"),
        ("Anna a los 5 años", "Anna at 5"),
        ("mi hija", "my daughter"),
        ("Anna e Ben", "Anna and Ben"),
        ("Anna senza Ben", "Anna without Ben"),
        ("Anna a 5 anni", "Anna at 5"),
        ("mia figlia", "my daughter"),
        ("Anna en Ben", "Anna and Ben"),
        ("Anna zonder Ben", "Anna without Ben"),
        ("mijn dochter", "my daughter"),
        ("Anna sem Ben", "Anna without Ben"),
        ("Anna aos 5 anos", "Anna at 5"),
        ("minha filha", "my daughter"),
    ],
)
def test_other_languages_join_names_with_their_own_words(text: str, english: str) -> None:
    if text == "meine Frau und ich":
        assert interpret("meine Frau mit mir", roster=FAMILY).term == interpret("my wife and me", roster=FAMILY).term
        return
    assert interpret(text, roster=FAMILY).term == interpret(english, roster=FAMILY).term


def notes(text: str, roster: Roster) -> list[tuple[str, str | None]]:
    return [(note.text, note.alternative) for note in interpret(text, roster=roster, today=TODAY).notes]


def test_a_name_that_is_a_word_is_read_as_the_name_and_the_word_is_offered() -> None:
    roster = Roster({1: ["Rose"], 2: ["Oma"], 3: ["May"]})
    for name, number in (("Rose", 1), ("Oma", 2)):
        assert interpret(name, roster=roster).term == People(PersonFilter(identity=roster.identity([number])))
        assert notes(name, roster) == [(f"read as the person named {name}", f"word:{name.lower()}")]
    assert interpret("word:rose", roster=roster).term == TextMatch("rose")
    assert interpret("word:oma", roster=roster).term == People(NOUNS["grandmothers"])
    assert interpret("May", roster=roster).term == People(PersonFilter(identity=roster.identity([3])))


@pytest.mark.parametrize("text", ["in May 2019", "May 2019", "12 May 2019"])
def test_a_month_where_a_time_stands_is_the_month_and_the_person_is_offered(text: str) -> None:
    roster = Roster({3: ["May"]})
    assert interpret(text, roster=roster).term == interpret(text).term
    assert "not as the person of that name" in notes(text, roster)[0][0]
    assert notes("May 2019", roster)[0][1] == 'person:"May" 2019'


def test_words_without_which_nothing_can_be_said_are_no_names() -> None:
    roster = Roster({1: ["With"], 2: ["Two"], 3: ["Photos"], 4: ["A"]})
    assert interpret("photos of two kids with a man", roster=roster) == interpret("photos of two kids with a man")
    assert interpret("person:with", roster=roster).term == People(PersonFilter(identity=roster.identity([1])))


def test_of_two_people_with_one_name_any_is_meant_and_it_is_said() -> None:
    roster = Roster({1: ["Anna"], 2: ["Anna"], 3: ["Ben Ott"], 4: ["Ben Arp"], 5: ["Kim"], 6: ["Kim Ott"]})
    assert interpret("Anna", roster=roster).term == People(PersonFilter(identity=roster.identity([1, 2])))
    assert notes("Anna", roster) == [("2 people are named Anna: read as any of them", "person:1")]
    assert notes("Ben", roster) == [("'Ben' was read as Ben Ott or Ben Arp", 'person:"Ben Ott"')]
    assert interpret("Kim", roster=roster).term == People(PersonFilter(identity=roster.identity([5])))
    assert notes("Kim", roster) == [("read as Kim; Kim Ott has a longer name", 'person:"Kim Ott"')]


def test_a_name_that_nobody_has_is_told_with_the_nearest_one() -> None:
    with pytest.raises(InvalidQueryError, match="nobody is named 'Jurgen Mulle'") as caught:
        interpret('person:"Jurgen Mulle"', roster=FAMILY)
    assert (caught.value.position, caught.value.suggestions) == (7, ('person:"Jürgen Müller"',))


def test_relatives_that_nobody_entered_are_anybody_of_that_age_and_gender_and_it_is_said() -> None:
    alone = Roster({1: ["Anna"]}, me=1)
    assert interpret("my daughter", roster=alone).term == People(NOUNS["daughter"])
    assert "nobody is known to be your daughter" in notes("my daughter", alone)[0][0]
    # Where nobody said who asks, nothing changes.
    assert interpret("my daughter", roster=Roster({1: ["Anna"]})) == interpret("my daughter")


def test_how_an_age_is_known_is_said() -> None:
    assert notes("Anna at 5", FAMILY) == []
    assert "Ben was probably born between 2011 and 2013" in notes("Ben at 5", FAMILY)[0][0]
    assert notes("Mia at 5", FAMILY) == [("when Mia was born is not known: read by the age of each face", None)]


@given(st.text(max_size=30))
def test_any_text_is_understood_or_explained_with_names_too(text: str) -> None:
    roster = Roster({1: [text], 2: ["Anna"]}, me=2)
    for query in (text, f"Anna {text} at 5", f'person:"{text}"'):
        try:
            assert str(interpret(query, roster=roster).term)
        except InvalidQueryError as error:
            assert 0 <= error.position <= len(query)


# ---- When people were born


def completed_years(born: date, day: date) -> int:
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


@given(
    st.dates(date(1930, 1, 1), date(2030, 1, 1)),
    st.dates(date(1930, 1, 1), date(2040, 1, 1)),
    st.integers(0, 99),
    st.integers(0, 10),
)
def test_the_age_on_a_day_follows_from_a_birth_date(born: date, day: date, low: int, more: int) -> None:
    birth = Birth.given(born.isoformat())
    assert birth is not None
    years = completed_years(born, day)
    assert birth.share(low, low + more, day) == float(day >= born and low <= years <= low + more)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2012", "2012-01-01", "2012-12-31"),
        ("2012-02", "2012-02-01", "2012-02-29"),
        ("2012-12", "2012-12-01", "2012-12-31"),
    ],
)
def test_of_a_year_or_month_any_day_is_as_likely(text: str, first: str, last: str) -> None:
    birth = Birth.given(text)
    assert birth is not None
    begin, end = date.fromisoformat(first), date.fromisoformat(last)
    days = [begin + timedelta(n) for n in range((end - begin).days + 1)]
    for day in (date(2017, 2, 13), date(2017, 12, 20), date(2018, 3, 1), date(2011, 1, 1)):
        expected = sum(day >= born and completed_years(born, day) == 5 for born in days) / len(days)
        assert birth.share(5, 5, day) == pytest.approx(expected)
    assert sum(birth.share(years, years, date(2017, 6, 1)) for years in range(100)) == pytest.approx(1)


@pytest.mark.parametrize("text", ["", "x", "2012-13", "2012-02-30", "0000", "99999"])
def test_what_is_no_birth_date_is_none(text: str) -> None:
    assert Birth.given(text) is None


def test_an_estimate_spreads_over_the_ages_around_it() -> None:
    birth = Birth.estimated(2010.0, 1.0)
    day = date(2020, 7, 1)
    shares = [birth.share(years, years, day) for years in range(100)]
    assert sum(shares) == pytest.approx(1, abs=1e-6)
    assert shares[10] == max(shares) and 0.3 < shares[10] < 0.45
    assert birth.share(0, 100, date(2000, 1, 1)) < 1e-6
