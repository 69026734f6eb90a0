"""From text to a tree: the grammar is in grammar.lark, the words in `vocabulary`."""

from __future__ import annotations

import calendar
import difflib
import re
from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken, VisitError

from rollcall.ages import AGE_GROUPS, GROUP_PHOTO_FACES, OLDEST
from rollcall.errors import InvalidQueryError
from rollcall.search import terms
from rollcall.search.terms import Term
from rollcall.search.vocabulary import (
    ADJECTIVES,
    COUNTS,
    EVERYONE,
    INSTEAD,
    MONTHS,
    NOUNS,
    NUMBERS,
    PersonFilter,
    described_as,
    limited,
)

#: More faces than any photo has, and the most that can be asked for.
MOST_FACES: Final = 10**6
MOST: Final = 1000
_TENS: Final = ["twenties", "thirties", "forties", "fifties", "sixties", "seventies", "eighties", "nineties"]

#: What a person can write before a colon, and what it takes.
FIELDS: Final = {
    "age": "a number of years, a range or a group: 7, 5-9, >60, child",
    "gender": "female or male",
    "faces": "a number or a range: 2, >=3, 1-4",
    "taken": "a year, month or day, or a range of them: 2019, 2019-06, 2019-06..2019-08",
    "path": "part of the path, with * and ?: holiday/*",
    "tag": "a tag, in quotes if it has blanks",
    "score": "a number from 0 to 1 or a range: >0.9",
    "reviewed": "yes or no",
    "similar": "a face by its number: face:123",
}
_NAMES: Final = {
    "OR": "or",
    "AND": "and",
    "WITH": "with",
    "NOT": "not",
    "NEITHER": "neither",
    "NOR": "nor",
    "ONLY": "only",
    "OF": "of",
    "COUNT": "a number word",
    "OVER": "over",
    "UNDER": "under",
    "EXACTLY": "exactly",
    "AGED": "aged",
    "BETWEEN": "between",
    "TO": "to",
    "INT": "a number",
    "FROM": "from",
    "UP_TO": "up to",
    "WORD": "a word such as children",
    "FIELD": "a field such as age:",
    "YEAR": "a year",
    "MONTH": "a month",
    "LPAR": "(",
    "RPAR": ")",
    "COMMA": ",",
    "MINUS": "-",
    "VALUE": "a value",
    "QUOTED": "quoted text",
    "GROUP": "group photos",
    "PORTRAIT": "portraits",
    "LEAD": "photos of",
    "$END": "the end",
}
#: Ways of saying things that would only make a list of what is expected long.
_UNNAMED: Final = frozenset(
    [
        "INT_OR_MORE",
        "INT_OR_LESS",
        "RANGE",
        "YEARS",
        "YEARS_OLD",
        "DECADE",
        "RECENT",
        "TAKEN",
        "IN",
        "BEFORE",
        "AFTER",
        "SINCE",
        "UNTIL",
        "ALONE",
        "COUPLE",
        "FAMILY",
        "NOBODY",
        "REVIEWED",
        "TAGGED",
    ]
)


def parse(text: str) -> Term:
    """Return the tree of a query.

    Raises
    ------
    InvalidQueryError
        If it cannot be understood: says where, what was expected, and which known word is near.
    """
    try:
        tree = _parser().parse(text)
    except UnexpectedToken as error:
        raise _unexpected(text, error) from error
    except UnexpectedEOF as error:
        raise InvalidQueryError(text, len(text), "the query ends too early") from error
    except UnexpectedCharacters as error:
        at = error.pos_in_stream or 0
        raise InvalidQueryError(text, at, f"{text[at]!r} means nothing here", _expected(error.allowed)) from error
    try:
        result = _Build(text).transform(tree)
    except VisitError as error:
        if isinstance(error.orig_exc, InvalidQueryError):
            raise error.orig_exc from error
        raise
    assert isinstance(result, Term)
    return result


@cache
def _parser() -> Lark:
    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer="contextual", propagate_positions=True, g_regex_flags=re.IGNORECASE)


def _expected(names: Any) -> list[str]:
    return sorted({_NAMES.get(name, name.lower()) for name in names or () if name not in _UNNAMED})


def _unexpected(text: str, error: UnexpectedToken) -> InvalidQueryError:
    token = error.token
    if token.type == "$END":
        return InvalidQueryError(text, len(text.rstrip()), "the query ends too early", _expected(error.expected))
    word = str(token)
    suggestion = ""
    if re.fullmatch(r"[\w-]+", word):
        suggestion = _near(word, [*NOUNS, *COUNTS])
        suggestion = "" if suggestion == word.lower() else suggestion
    return InvalidQueryError(
        text, token.start_pos or 0, f"{word!r} was not expected", _expected(error.expected), suggestion
    )


def _near(word: str, words: list[str]) -> str:
    return next(iter(difflib.get_close_matches(word.lower(), words, n=1, cutoff=0.7)), "")


class Bound(NamedTuple):
    """A range of ages or of numbers; None: no end. `at` is where it stands in the query."""

    low: int | None
    high: int | None
    at: int


@v_args(inline=True)
class _Build(Transformer[Token, Any]):
    """Builds the tree bottom up; every method is a rule of the grammar."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def start(self, *parts: Any) -> Term:
        found = [part for part in parts if isinstance(part, Term)]
        return _whole(found[0]) if found else terms.Everything()

    def either(self, *parts: Any) -> Term:
        found = [_whole(part) for part in parts if isinstance(part, Term)]
        return found[0] if len(found) == 1 else terms.Or(tuple(found))

    def all(self, *parts: Any) -> Term:
        found = [one for part in parts if isinstance(part, Term) for one in _spread(part)]
        found = _company(_one_person(found))
        return found[0] if len(found) == 1 else terms.And(tuple(found))

    def negation(self, *parts: Any) -> Term:
        return terms.Not(_whole(parts[-1]))

    def neither(self, *parts: Any) -> Term:
        return terms.And(tuple(terms.Not(_whole(part)) for part in parts if isinstance(part, Term)))

    def group_photos(self, *_: Token) -> Term:
        return terms.FaceCount(GROUP_PHOTO_FACES, MOST_FACES)

    def portraits(self, *_: Token) -> Term:
        return terms.FaceCount(1, 1)

    def couple(self, _: Token) -> Term:
        return terms.And((terms.FaceCount(2, 2), terms.Only(NOUNS["adults"])))

    def family(self, _: Token) -> Term:
        return terms.DistinctPeople((terms.People(NOUNS["adults"]), terms.People(NOUNS["children"])))

    def nobody(self, _: Token) -> Term:
        return terms.Not(terms.People(PersonFilter()))

    def looked_at(self, word: Token) -> Term:
        return terms.Reviewed(word.lower() == "reviewed")

    def tagged(self, _: Token, name: Token) -> Term:
        text = name[1:-1] if name.type == "QUOTED" else str(name)
        if not text:
            raise InvalidQueryError(self.text, name.start_pos or 0, "a tag has a name", ["a tag"])
        return terms.Tagged(text)

    # ---- People

    def people(self, *parts: Any) -> Term:
        count, words, bounds = 1, [], []
        for part in parts:
            if isinstance(part, Bound):
                bounds.append(part)
            elif part.type == "COUNT":
                count = next(number for word, number in COUNTS.items() if word in part.lower().split())
            elif part.type == "INT":
                count = self._count(part)
            elif part.type != "OF":
                words.append(part)
        return self._counted(count, None, words, bounds)

    def bounded(self, count: Bound, *parts: Any) -> Term:
        words, bounds = (
            [one for one in parts if isinstance(one, Token)],
            [one for one in parts if isinstance(one, Bound)],
        )
        low, high = count.low, count.high
        if max(low or 0, high or 0) > MOST:
            raise InvalidQueryError(self.text, count.at, f"so many {words[0]} cannot be counted", [f"1 to {MOST}"])
        return self._counted(low or 0, MOST_FACES if high is None else high, words, bounds)

    def of_age(self, bound: Bound) -> Term:
        return terms.People(self._limited(PersonFilter(), "people", [bound]))

    def only(self, _: Token, *parts: Any) -> Term:
        return self.only_such(self.people(*parts))

    def only_such(self, people: Term, *_: Token) -> Term:
        kinds = [part.person for part in _spread(people) if isinstance(part, terms.People)]
        if len(kinds) != 1 or not isinstance(people, terms.People):
            raise InvalidQueryError(self.text, 0, "only one kind of people can be asked for alone", ["only children"])
        if people.count > 1:
            return terms.And((terms.Only(people.person), terms.FaceCount(people.count, MOST_FACES)))
        return terms.Only(people.person)

    def exactly(self, _: Token, number: Token, *parts: Any) -> Term:
        words = [one for one in parts if isinstance(one, Token) and one.type != "OF"]
        count = self._count(number)
        return self._counted(count, count, words, [one for one in parts if isinstance(one, Bound)])

    def alone(self, people: Term, _: Token) -> Term:
        return terms.And((terms.FaceCount(1, 1), people))

    def _count(self, token: Token) -> int:
        count = NUMBERS.get(token.lower()) or int(token)
        if not 1 <= count <= MOST:
            raise InvalidQueryError(
                self.text, token.start_pos or 0, f"{token} people cannot be counted", [f"1 to {MOST}"]
            )
        return count

    def _counted(self, low: int, high: int | None, words: list[Token], bounds: list[Bound]) -> Term:
        """Return the people that some words mean, the first of them by a number: at least `low`, at most `high`."""
        kinds = self._kinds(words)
        name, person = kinds[-1]
        kinds[-1] = (name, self._limited(person, name, bounds))
        first = kinds[0][1]
        result: list[Term] = []
        if high is None:
            everyone = bounds and name.lower() in EVERYONE and len(kinds) == 1
            result.append(terms.Only(first) if everyone else terms.People(first, low))
        elif first.anyone:
            result.append(terms.FaceCount(low, high))
        elif high >= MOST_FACES and low > 0:
            result.append(terms.People(first, low))
        else:
            result.append(terms.Number(first, low, high))
        result += [terms.People(other) for _, other in kinds[1:]]
        return result[0] if len(result) == 1 else terms.Several(tuple(result))

    def _kinds(self, words: list[Token]) -> list[tuple[str, PersonFilter]]:
        """Return the kinds of people that words side by side mean; adjectives belong to the noun that follows."""
        result: list[tuple[str, PersonFilter]] = []
        waiting: list[Token] = []
        for index, word in enumerate(words):
            following = words[index + 1] if index + 1 < len(words) else None
            if following is not None and (word.type == "YEARS_OLD" or word.lower() in ADJECTIVES):
                waiting.append(word)
                continue
            name, person = self._noun(word)
            for one in reversed(waiting):
                left = self._years_old(one, person) if one.type == "YEARS_OLD" else described_as(person, one.lower())
                if left is None:
                    raise InvalidQueryError(
                        self.text, one.start_pos or 0, f"there are no {str(one)!r} {name}", ["words that fit together"]
                    )
                person = left
            waiting = []
            result.append((name, person))
        return result

    def _noun(self, word: Token) -> tuple[str, PersonFilter]:
        if word.type == "YEARS_OLD":
            years = self._number(word)
            return str(word), PersonFilter(min(years, OLDEST), min(years, OLDEST))
        person = NOUNS.get(word.lower())
        if person is not None:
            return str(word), person
        field = f"{word.lower()}:" if word.lower() in FIELDS else ""
        near = field or INSTEAD.get(word.lower()) or _near(word, [*NOUNS, *ADJECTIVES])
        if word.lower() in ADJECTIVES:
            near = f"{word.lower()} people"
        raise InvalidQueryError(
            self.text,
            word.start_pos or 0,
            f"{str(word)!r} is no word that this search knows",
            [f"{field} with a value"] if field else ["people such as children, women, seniors"],
            near,
        )

    def _years_old(self, token: Token, person: PersonFilter) -> PersonFilter | None:
        years = self._number(token)
        return limited(person, years, years)

    def _limited(self, person: PersonFilter, name: str, bounds: list[Bound]) -> PersonFilter:
        for bound in bounds:
            low = None if bound.low is None else min(bound.low, OLDEST + 1)
            high = None if bound.high is None else min(bound.high, OLDEST)
            if (low or 0) > OLDEST or (high is not None and high < (low or 0)):
                raise InvalidQueryError(self.text, bound.at, "nobody is of that age", [f"ages from 0 to {OLDEST}"])
            left = limited(person, low, high)
            if left is None:
                raise InvalidQueryError(self.text, bound.at, f"{name!r} are never of that age", ["an age that fits"])
            person = left
        return person

    @staticmethod
    def _number(token: Token) -> int:
        """Return the number that a token begins with."""
        match = re.match(r"\d+|[a-z]+", token.lower())
        assert match is not None
        return NUMBERS.get(match[0]) or int(match[0])

    # ---- From, to: of ages behind a word, of numbers before one

    def over(self, *parts: Token) -> Bound:
        return Bound(self._number(parts[-1]) + 1, None, parts[-1].start_pos or 0)

    def from_(self, *parts: Token) -> Bound:
        return Bound(self._number(parts[-1]), None, parts[-1].start_pos or 0)

    def under(self, *parts: Token) -> Bound:
        return Bound(None, self._number(parts[-1]) - 1, parts[-1].start_pos or 0)

    def up_to(self, *parts: Token) -> Bound:
        return Bound(None, self._number(parts[-1]), parts[-1].start_pos or 0)

    def aged(self, *parts: Token) -> Bound:
        number = self._number(parts[-1])
        return Bound(number, number, parts[-1].start_pos or 0)

    def ranged(self, *parts: Token) -> Bound:
        low, high = re.split(r"\s*(?:-|–|\bto\b)\s*", parts[-1].lower(), maxsplit=1)
        return Bound(NUMBERS.get(low) or int(low), NUMBERS.get(high) or int(high), parts[-1].start_pos or 0)

    def between(self, *parts: Token) -> Bound:
        low, high = [part for part in parts if part.type == "INT"]
        return Bound(self._number(low), self._number(high), low.start_pos or 0)

    def decade(self, token: Token) -> Bound:
        text = token.lower()
        word = text.split()[-1]
        low = 13 if word == "teens" else int(word[:2]) if word[0].isdigit() else 10 * (2 + _TENS.index(word))
        if word == "teens":
            return Bound(13, 19, token.start_pos or 0)
        first, last = (0, 3) if "early" in text else (4, 6) if "mid" in text else (7, 9) if "late" in text else (0, 9)
        return Bound(low + first, low + last, token.start_pos or 0)

    # ---- When

    def period(self, *parts: Token) -> tuple[str, str]:
        year = parts[-1]
        first, after = _day(str(year), after=False), _day(str(year), after=True)
        if parts[0].type == "MONTH" and len(year) == 4:
            month, length = MONTHS[parts[0].lower()]
            end = int(year) * 12 + month - 1 + length
            first, after = f"{year}-{month:02}-01", f"{end // 12:04}-{end % 12 + 1:02}-01"
        if first is None or after is None or (parts[0].type == "MONTH" and len(year) != 4):
            raise InvalidQueryError(
                self.text, year.start_pos or 0, "there is no such day", ["2019", "2019-06", "June 2019"]
            )
        return first, after

    def during(self, *parts: Any) -> Term:
        periods = [part for part in parts if isinstance(part, tuple)]
        if periods[0][0] >= periods[-1][1]:
            raise InvalidQueryError(self.text, 0, "the first day is behind the last", ["2018 to 2020"])
        return terms.Taken(periods[0][0], periods[-1][1])

    def years(self, *parts: Token) -> Term:
        first, last = re.findall(r"\d{4}", parts[-1])
        return self.during((f"{first}-01-01", ""), ("", f"{int(last) + 1:04}-01-01"))

    def before(self, *parts: Any) -> Term:
        return terms.Taken("0000-01-01", parts[-1][0])

    def after(self, *parts: Any) -> Term:
        return terms.Taken(parts[-1][1], "9999-12-31")

    def since(self, *parts: Any) -> Term:
        return terms.Taken(parts[-1][0], "9999-12-31")

    def until(self, *parts: Any) -> Term:
        return terms.Taken("0000-01-01", parts[-1][1])

    def recent(self, *parts: Token) -> Term:
        which, length = parts[-1].lower().split()
        today = datetime.now().astimezone().date()
        months = today.year * 12 + (today.month - 1 if length == "month" else 0)
        step = 1 if length == "month" else 12
        months -= step if which == "last" else 0
        first, after = (f"{m // 12:04}-{m % 12 + 1:02}-01" for m in (months, months + step))
        return terms.Taken(first, after)

    # ---- Fields

    def value(self, token: Token) -> Token:
        return token

    def field(self, name: Token, value: Token) -> Term:
        key = name[:-1].lower()
        if key not in FIELDS:
            raise InvalidQueryError(
                self.text,
                name.start_pos or 0,
                f"{key!r} is no field",
                [f"{known}:" for known in FIELDS],
                f"{near}:" if (near := _near(key, list(FIELDS))) else "",
            )
        text = value[1:-1] if value.type == "QUOTED" else str(value)
        make: Callable[[str], Term | None] = getattr(self, f"_{key}")
        result = make(text)
        if result is None:
            raise InvalidQueryError(self.text, value.start_pos or 0, f"{key}: does not take {text!r}", [FIELDS[key]])
        return result

    def _age(self, text: str) -> Term | None:
        span = _span(text, OLDEST, int)
        if span is None:
            person = NOUNS.get(text.lower())
            group = person.group if person is not None else None
            if group not in AGE_GROUPS or person is None:
                return None
            return terms.People(person, phrase=False)
        low, high = int(span[0]), int(span[1])
        return terms.People(PersonFilter(low, high), phrase=False) if low <= high else None

    def _gender(self, text: str) -> Term | None:
        gender = {
            "female": "female",
            "f": "female",
            "woman": "female",
            "male": "male",
            "m": "male",
            "man": "male",
        }.get(text.lower())
        return terms.People(PersonFilter(gender=gender), phrase=False) if gender else None

    def _faces(self, text: str) -> Term | None:
        span = _span(text, 10**6, int)
        return terms.FaceCount(int(span[0]), int(span[1])) if span else None

    def _score(self, text: str) -> Term | None:
        span = _span(text, 1.0, float)
        return terms.Score(*span) if span else None

    def _taken(self, text: str) -> Term | None:
        first, dots, last = text.partition("..")
        begin = _day(first, after=False) if first or not dots else "0000-01-01"
        end = _day(last if dots else first, after=True) if last or not dots else "9999-12-31"
        return terms.Taken(begin, end) if begin and end and begin < end else None

    def _path(self, text: str) -> Term | None:
        return terms.PathLike(text) if text else None

    def _tag(self, text: str) -> Term | None:
        return terms.Tagged(text) if text else None

    def _reviewed(self, text: str) -> Term | None:
        known = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
        wanted = known.get(text.lower())
        return None if wanted is None else terms.Reviewed(wanted)

    def _similar(self, text: str) -> Term | None:
        match = re.fullmatch(r"(?:face:)?(\d{1,15})", text.lower())
        return terms.Similar(int(match[1])) if match else None


def _span(text: str, highest: float, kind: type[int] | type[float]) -> tuple[float, float] | None:
    """Return the range that "7", "5-9", "5..9", ">60", ">=3", "<10" or "<=9" means; None if it is none of them."""
    number = r"(\d{1,9})" if kind is int else r"(\d{1,9}(?:\.\d+)?|\.\d+)"
    step: float = 1 if kind is int else 1e-9
    if match := re.fullmatch(f"{number}(?:-|\\.\\.){number}", text):
        low, high = float(match[1]), float(match[2])
        return (low, min(high, highest)) if low <= min(high, highest) else None
    if match := re.fullmatch(f"(>=|<=|>|<|=)?{number}", text):
        value = float(match[2])
        low, high = {
            ">": (value + step, highest),
            ">=": (value, highest),
            "<": (0.0, value - step),
            "<=": (0.0, value),
        }.get(match[1] or "=", (value, value))
        # An age above the oldest is the oldest's: the last year stands for all that follow.
        if kind is int and highest == OLDEST:
            low, high = min(low, highest), min(high, highest)
        return (low, min(high, highest)) if 0 <= low <= high else None
    return None


def _day(text: str, after: bool) -> str | None:
    """Return the first day of a year, month or day, or with `after` the first day behind it."""
    match = re.fullmatch(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?", text)
    if not match:
        return None
    year, month, day = int(match[1]), int(match[2] or 1), int(match[3] or 1)
    if not (1 <= month <= 12 and 1 <= year <= 9998 and 1 <= day <= calendar.monthrange(year, month)[1]):
        return None
    if after:
        if match[3]:
            day += 1
            if day > calendar.monthrange(year, month)[1]:
                month, day = month + 1, 1
        elif match[2]:
            month += 1
        else:
            year += 1
        if month > 12:
            year, month = year + 1, 1
    return f"{year:04}-{month:02}-{day:02}"


def _one_person(parts: list[Term]) -> list[Term]:
    """Let `age:` and `gender:` that stand side by side speak of one and the same face."""
    result: list[Term] = []
    for part in parts:
        last = result[-1] if result else None
        if (
            isinstance(part, terms.People)
            and isinstance(last, terms.People)
            and not part.phrase
            and not last.phrase
            and (last.person.gender is None) != (part.person.gender is None)
            and (last.person.low, last.person.high) != (part.person.low, part.person.high)
        ):
            gender = last.person.gender or part.person.gender
            years = part.person if part.person.gender is None else last.person
            result[-1] = terms.People(years._replace(gender=gender), phrase=False)
        else:
            result.append(part)
    return result


def _spread(part: Term) -> tuple[Term, ...]:
    """Return what was said side by side with nothing between."""
    return part.parts if isinstance(part, terms.Several) else (part,)


def _whole(part: Term) -> Term:
    """Return what was said side by side as one term."""
    found = _company(list(_spread(part)))
    return found[0] if len(found) == 1 else terms.And(tuple(found))


def _company(parts: list[Term]) -> list[Term]:
    """Join the people that were said in words: each is another face."""
    people = [part for part in parts if isinstance(part, terms.People) and part.phrase]
    if len(people) < 2:
        return parts
    return [terms.DistinctPeople(tuple(people)), *(part for part in parts if part not in people)]
