"""Fields: what can stand before a colon, and what each takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from rollcall.ages import AGE_GROUPS, OLDEST
from rollcall.search import terms
from rollcall.search.grammar.calendar_days import days_of
from rollcall.search.grammar.cursor import Cursor
from rollcall.search.grammar.numbers import nearest
from rollcall.search.grammar.tokens import Kind
from rollcall.search.person_filter import PersonFilter
from rollcall.search.requirements import MOST_FACES
from rollcall.search.terms import Term
from rollcall.search.terms.photo import FIRST_DAY, LAST_DAY
from rollcall.search.vocabulary import NOUNS
from rollcall.sentences import Quoted, Sentence

#: What each field takes.
_TAKES: Final = {
    "age": Sentence("a number of years, a range or a group"),
    "gender": Sentence("female or male"),
    "faces": Sentence("a number or a range"),
    "taken": Sentence("a year, month or day, or a range of them"),
    "path": Sentence("part of the path, with * and ?"),
    "tag": Sentence("a tag, in quotes if it has blanks"),
    "score": Sentence("a number from 0 to 1 or a range"),
    "reviewed": Sentence("yes or no"),
    "type": Sentence("video or photo"),
    "similar": Sentence("a face by its number"),
    "person": Sentence("somebody by a name, in quotes if it has blanks, or by number"),
    "word": Sentence("a word in its own meaning, where it is a name as well"),
}
_EXAMPLES: Final = {
    "age": ("7", "5-9", ">60", "child"),
    "gender": ("female", "male"),
    "faces": ("2", ">=3", "1-4"),
    "taken": ("2019", "2019-06", "2019-06..2019-08"),
    "path": ("holiday/*",),
    "tag": ("children",),
    "score": (">0.9",),
    "reviewed": ("yes", "no"),
    "type": ("video", "photo"),
    "similar": ("face:123",),
    "person": ('"Anna B"', "12"),
    "word": ("rose",),
}
#: Fields whose values need no example beside what they take.
_CLEAR: Final = ("gender", "tag", "reviewed", "type")
#: The fields, and what each takes in words.
FIELDS: Final = {
    name: str(takes) if name in _CLEAR else f"{takes}: {', '.join(_EXAMPLES[name])}" for name, takes in _TAKES.items()
}
_GENDERS: Final = {
    **dict.fromkeys(("female", "f", "woman"), "female"),
    **dict.fromkeys(("male", "m", "man"), "male"),
}
_TYPES: Final = {
    **dict.fromkeys(("video", "videos"), "video"),
    **dict.fromkeys(("photo", "photos", "picture", "pictures"), "photo"),
}
#: How much of a value an error repeats.
_SHOWN: Final = 40
_YES_OR_NO: Final = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


def field(cursor: Cursor) -> Term | None:
    """Return the term of a field and its value; None if no field is next.

    Raises
    ------
    InvalidQueryError
        If there is no such field, or it does not take the value.
    """
    if cursor.peek().kind is not Kind.FIELD:
        return None
    token = cursor.take()
    if token.text not in FIELDS:
        near = nearest(token.text, list(FIELDS))
        value = cursor.peek()
        instead = [cursor.replaced(token, value, f"{near}:{value.raw}")] if near and value.kind is Kind.VALUE else []
        raise cursor.error(
            token,
            Sentence("%(word)s is no field", word=Quoted(token.text)),
            [f"{near}:" if near else Sentence("a field")],
            instead,
        )
    value = cursor.peek()
    if value.kind is not Kind.VALUE:
        instead = [cursor.replaced(token, token.end + 1, example) for example in _examples(token.text)]
        raise cursor.error(
            token.end + 1, Sentence("%(word)s: has no value", word=token.text), [Sentence("a value")], instead
        )
    cursor.take()
    term = _READERS[token.text](value.text, token.start)
    if term is None:
        instead = [cursor.replaced(token, value, example) for example in _examples(token.text)]
        takes = _TAKES[token.text]
        raise cursor.error(
            value,
            Sentence(
                "%(word)s: takes %(takes)s, not %(shown)s",
                word=token.text,
                takes=takes,
                shown=Quoted(_shown(value.text)),
            ),
            [takes],
            instead,
        )
    return term


def _examples(name: str) -> list[str]:
    """Return uses of a field."""
    return [f"{name}:{example}" for example in _EXAMPLES[name]]


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _age(text: str, _: int) -> Term | None:
    span = _span(text, OLDEST, int)
    if span is not None:
        return terms.People(PersonFilter(int(span[0]), int(span[1])), phrase=False) if span[0] <= span[1] else None
    person = NOUNS.get(text.lower())
    if person is None or person.group not in AGE_GROUPS:
        return None
    return terms.People(person, phrase=False)


def _gender(text: str, _: int) -> Term | None:
    gender = _GENDERS.get(text.lower())
    return terms.People(PersonFilter(gender=gender), phrase=False) if gender else None


def _faces(text: str, _: int) -> Term | None:
    span = _span(text, MOST_FACES, int)
    return terms.FaceCount(int(span[0]), int(span[1])) if span else None


def _score(text: str, _: int) -> Term | None:
    span = _span(text, 1.0, float)
    return terms.Score(*span) if span else None


def _taken(text: str, _: int) -> Term | None:
    first, dots, last = text.partition("..")
    begin = days_of(first) if first or not dots else (FIRST_DAY, "")
    end = days_of(last if dots else first) if last or not dots else ("", LAST_DAY)
    return terms.Taken(begin[0], end[1]) if begin and end and begin[0] < end[1] else None


def _path(text: str, _: int) -> Term | None:
    return terms.PathLike(text) if text else None


def _tag(text: str, _: int) -> Term | None:
    return terms.Tagged(text) if text else None


def _reviewed(text: str, _: int) -> Term | None:
    wanted = _YES_OR_NO.get(text.lower())
    return None if wanted is None else terms.Reviewed(wanted)


def _type(text: str, _: int) -> Term | None:
    wanted = _TYPES.get(text.lower())
    return None if wanted is None else terms.OfType(wanted == "video")


def _similar(text: str, position: int) -> Term | None:
    # Numbers of up to 15 digits fit a database's 64 bits.
    match = re.fullmatch(r"(?:face:)?(\d{1,15})", text.lower())
    return terms.Similar(int(match[1]), position) if match else None


#: By field: a function of the value's text and the field's position in the query; None: the field does not take it.
_READERS: Final[dict[str, Callable[[str, int], Term | None]]] = {
    "age": _age,
    "gender": _gender,
    "faces": _faces,
    "taken": _taken,
    "path": _path,
    "tag": _tag,
    "score": _score,
    "reviewed": _reviewed,
    "type": _type,
    "similar": _similar,
    # These are read before: see `naming`.
    "person": lambda _text, _position: None,
    "word": lambda _text, _position: None,
}


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
        high = min(high, highest)
        return (low, high) if 0 <= low <= high else None
    return None
