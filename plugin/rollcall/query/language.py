"""From text to a tree: the grammar is in grammar.lark, the words in `vocabulary`."""

from __future__ import annotations

import calendar
import difflib
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken, VisitError

from rollcall.ages import AGE_GROUPS, OLDEST
from rollcall.errors import QueryError
from rollcall.query import terms
from rollcall.query.terms import Term
from rollcall.query.vocabulary import COUNTS, GROUP_SIZE, NOUNS, Who

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
    "ONLY": "only",
    "OF": "of",
    "COUNT": "a number word",
    "OVER": "over",
    "UNDER": "under",
    "AGED": "aged",
    "BETWEEN": "between",
    "TO": "to",
    "INT": "a number",
    "FROM_AGE": "from",
    "UP_TO": "up to",
    "WORD": "a word such as children",
    "FIELD": "a field such as age:",
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


def parse(text: str) -> Term:
    """Return the tree of a query.

    Raises
    ------
    QueryError
        If it cannot be understood: says where, what was expected, and which known word is near.
    """
    try:
        tree = _parser().parse(text)
    except UnexpectedToken as error:
        raise _unexpected(text, error) from error
    except UnexpectedEOF as error:
        raise QueryError(text, len(text), "the query ends too early") from error
    except UnexpectedCharacters as error:
        at = error.pos_in_stream or 0
        raise QueryError(text, at, f"{text[at]!r} means nothing here", _expected(error.allowed)) from error
    try:
        result = _Build(text).transform(tree)
    except VisitError as error:
        if isinstance(error.orig_exc, QueryError):
            raise error.orig_exc from error
        raise
    assert isinstance(result, Term)
    return result


@cache
def _parser() -> Lark:
    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer="contextual", propagate_positions=True, g_regex_flags=re.IGNORECASE)


def _expected(names: Any) -> list[str]:
    return sorted({_NAMES.get(name, name.lower()) for name in names or ()})


def _unexpected(text: str, error: UnexpectedToken) -> QueryError:
    token = error.token
    if token.type == "$END":
        return QueryError(text, len(text.rstrip()), "the query ends too early", _expected(error.expected))
    word = str(token)
    suggestion = ""
    if re.fullmatch(r"[\w-]+", word):
        suggestion = _near(word, [*NOUNS, *COUNTS])
    return QueryError(text, token.start_pos or 0, f"{word!r} was not expected", _expected(error.expected), suggestion)


def _near(word: str, words: list[str]) -> str:
    return next(iter(difflib.get_close_matches(word.lower(), words, n=1, cutoff=0.6)), "")


@v_args(inline=True)
class _Build(Transformer[Token, Any]):
    """Builds the tree bottom up; every method is a rule of the grammar."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def start(self, *parts: Any) -> Term:
        found = [part for part in parts if isinstance(part, Term)]
        return found[0] if found else terms.Everything()

    def either(self, *parts: Any) -> Term:
        found = [part for part in parts if isinstance(part, Term)]
        return found[0] if len(found) == 1 else terms.Or(tuple(found))

    def all(self, *parts: Any) -> Term:
        found = [part for part in parts if isinstance(part, Term)]
        found = _company(_one_person(found))
        return found[0] if len(found) == 1 else terms.And(tuple(found))

    def negation(self, *parts: Any) -> Term:
        return terms.Not(parts[-1])

    def only(self, _: Token, who: Who) -> Term:
        return terms.Only(who)

    def group_photos(self, _: Token) -> Term:
        return terms.FaceCount(GROUP_SIZE, 10**6)

    def portraits(self, _: Token) -> Term:
        return terms.FaceCount(1, 1)

    def counted(self, *parts: Any) -> Term:
        count = parts[0] if len(parts) == 2 else 1
        return terms.People(parts[-1], count)

    def count(self, token: Token, *_: Token) -> int:
        count = int(token) if token.isdigit() else COUNTS[token.lower()]
        if not 1 <= count <= 1000:
            raise QueryError(self.text, token.start_pos or 0, f"{token} people cannot be counted", ["1 to 1000"])
        return count

    def kind(self, noun: Token, *limits: tuple[int, int, Token]) -> Who:
        who = NOUNS.get(noun.lower())
        if who is None:
            near = _near(noun, list(NOUNS))
            field = next((name for name in FIELDS if name == noun.lower()), "")
            raise QueryError(
                self.text,
                noun.start_pos or 0,
                f"{str(noun)!r} is no word that this search knows",
                [f"{field}: with a value"] if field else ["people such as children, women, seniors"],
                near if not field else f"{field}:",
            )
        for low, high, token in limits:
            # "women over 60": a number overrides what the word says of ages where the two fit together.
            if max(low, who.low) > min(high, who.high):
                raise QueryError(
                    self.text,
                    token.start_pos or 0,
                    f"{str(noun)!r} are never of that age",
                    ["an age that fits"],
                )
            who = who._replace(low=max(low, who.low), high=min(high, who.high))
        return who

    def over(self, word: Token, years: Token) -> tuple[int, int, Token]:
        return self._years(int(years) + 1, OLDEST, years)

    def from_age(self, word: Token, years: Token) -> tuple[int, int, Token]:
        return self._years(int(years), OLDEST, years)

    def under(self, word: Token, years: Token) -> tuple[int, int, Token]:
        return self._years(0, int(years) - 1, years)

    def up_to(self, word: Token, years: Token) -> tuple[int, int, Token]:
        return self._years(0, int(years), years)

    def aged(self, word: Token, *parts: Token) -> tuple[int, int, Token]:
        years = [part for part in parts if part.type == "INT"]
        return self._years(int(years[0]), int(years[-1]), years[0])

    def between(self, word: Token, *parts: Token) -> tuple[int, int, Token]:
        years = [part for part in parts if part.type == "INT"]
        return self._years(int(years[0]), int(years[-1]), years[0])

    def _years(self, low: int, high: int, token: Token) -> tuple[int, int, Token]:
        if low > high or low > OLDEST:
            raise QueryError(self.text, token.start_pos or 0, "nobody is of that age", [f"ages from 0 to {OLDEST}"])
        return low, min(high, OLDEST), token

    def value(self, token: Token) -> Token:
        return token

    def field(self, name: Token, value: Token) -> Term:
        key = name[:-1].lower()
        if key not in FIELDS:
            raise QueryError(
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
            raise QueryError(self.text, value.start_pos or 0, f"{key}: does not take {text!r}", [FIELDS[key]])
        return result

    def _age(self, text: str) -> Term | None:
        span = _span(text, OLDEST, int)
        if span is None:
            who = NOUNS.get(text.lower())
            group = who.group if who is not None else None
            if group not in AGE_GROUPS or who is None:
                return None
            return terms.People(who, phrase=False)
        low, high = int(span[0]), int(span[1])
        return terms.People(Who(low, high), phrase=False) if low <= high else None

    def _gender(self, text: str) -> Term | None:
        gender = {
            "female": "female",
            "f": "female",
            "woman": "female",
            "male": "male",
            "m": "male",
            "man": "male",
        }.get(text.lower())
        return terms.People(Who(gender=gender), phrase=False) if gender else None

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
            and (last.who.gender is None) != (part.who.gender is None)
            and (last.who.low, last.who.high) != (part.who.low, part.who.high)
        ):
            gender = last.who.gender or part.who.gender
            years = part.who if part.who.gender is None else last.who
            result[-1] = terms.People(years._replace(gender=gender), phrase=False)
        else:
            result.append(part)
    return result


def _company(parts: list[Term]) -> list[Term]:
    """Join the people that were said in words: each is another face."""
    people = [part for part in parts if isinstance(part, terms.People) and part.phrase]
    if len(people) < 2:
        return parts
    return [terms.Company(tuple(people)), *(part for part in parts if part not in people)]
