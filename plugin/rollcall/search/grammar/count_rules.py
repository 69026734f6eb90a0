"""Numbers of people: two, at least three, 2 or 3, exactly 2, a few."""

from __future__ import annotations

from typing import Final, NamedTuple

from rollcall.search.grammar.cursor import Cursor
from rollcall.search.grammar.numbers import Number, is_number, number
from rollcall.search.grammar.tokens import Kind
from rollcall.search.requirements import MOST_FACES
from rollcall.search.vocabulary import COUNTS
from rollcall.sentences import Quoted, Sentence

#: The most people that can be asked for by a number.
MOST_PEOPLE: Final = 1000
_COMPARATORS: Final = (
    "over", "more-than", ">", "at-least", ">=", "from", "under", "fewer-than", "<", "up-to", "<=", "exactly",
)  # fmt: skip
#: These are comparisons before a number only; elsewhere they may be names.
_SHORT: Final = ("max", "min")


class Count(NamedTuple):
    """How many people: at least `low`, and at most `high`; None is a number without an upper end, as in "two"."""

    low: int
    high: int | None
    position: int
    article: bool = False  # "a" and "some" ask for no more than the noun alone
    group: bool = False  # "a group of five", which needs no noun


def count(cursor: Cursor) -> Count | None:
    """Return the number of people that is next; None if there is none.

    Raises
    ------
    InvalidQueryError
        If so many people cannot be counted.
    """
    mark = cursor.mark()
    found = _word(cursor) or _compared(cursor) or _numbers(cursor)
    if found is None:
        cursor.go_back(mark)
        return None
    cursor.accept("of")
    cursor.accept("different")
    return found


def check(cursor: Cursor, found: Count) -> None:
    """Raise InvalidQueryError if so many people cannot be counted."""
    values = [found.low] if found.high in (None, MOST_FACES) else [found.low, found.high or 0]
    if max(values) > MOST_PEOPLE or (found.low == 0 and found.high is None):
        raise cursor.error(
            found.position,
            Sentence("so many people cannot be counted"),
            [Sentence("1 to %(most_people)s", most_people=MOST_PEOPLE)],
        )
    if found.high is not None and found.high < found.low:
        raise cursor.error(found.position, Sentence("the range of numbers ends before it begins"))


def _word(cursor: Cursor) -> Count | None:
    token = cursor.peek()
    if token.kind is not Kind.WORD or token.text not in COUNTS:
        return None
    cursor.take()
    if token.text in ("a", "an", "any") and cursor.next_is(*COUNTS):
        return _word(cursor)
    if token.text == "any" and is_number(cursor.peek()):
        return _numbers(cursor)
    if token.text in ("group-of", "crowd-of"):
        size = number(cursor)
        if size is not None:
            return Count(size.value, None, token.start, group=True)
    return Count(COUNTS[token.text], None, token.start, COUNTS[token.text] == 1)


def _compared(cursor: Cursor) -> Count | None:
    mark = cursor.mark()
    comparator = cursor.accept(*_COMPARATORS, *(_SHORT if is_number(cursor.peek(1)) else ()))
    found = None if comparator is None else number(cursor)
    if comparator is None or found is None or (found.is_year and comparator.text == "from"):
        cursor.go_back(mark)
        return None
    word = comparator.text
    if word in ("over", "more-than", ">"):
        low, high = found.value + 1, MOST_FACES
    elif word in ("at-least", ">=", "from", "min"):
        low, high = found.value, MOST_FACES
        if word == "from" and cursor.accept("to", "-"):
            last = number(cursor)
            high = MOST_FACES if last is None else last.value
    elif word == "exactly":
        if comparator.raw.lower() == "single":
            cursor.note(Sentence("'single' is read as exactly one"))
        low, high = found.value, found.value
    else:
        low, high = 0, found.value - (word in ("under", "fewer-than", "<"))
    return Count(low, high, found.start)


def bound_behind(cursor: Cursor, found: Count) -> Count:
    """Return a number of people with what limits it behind its noun: two kids max, two kids at least, two or more."""
    if found.high is not None or found.article:
        return found
    mark = cursor.mark()
    word = cursor.accept("max", "min", "up-to", "at-least", "exactly")
    if word is not None and not is_number(cursor.peek()) and not cursor.next_is("a", "an"):
        low, high = {"max": (0, found.low), "up-to": (0, found.low), "exactly": (found.low, found.low)}.get(
            word.text, (found.low, MOST_FACES)
        )
        return found._replace(low=low, high=high)
    cursor.go_back(mark)
    if cursor.accept("or") and cursor.accept("more") and not is_number(cursor.peek()):
        return found._replace(high=MOST_FACES)
    cursor.go_back(mark)
    return found


def _numbers(cursor: Cursor) -> Count | None:
    between = cursor.accept("between")
    first = number(cursor)
    if first is None or first.is_year:
        return None
    if cursor.peek().start == first.end and cursor.accept("+"):
        return Count(first.value, MOST_FACES, first.start)
    bound = _bound(cursor, first)
    if bound is not None:
        return bound
    mark = cursor.mark()
    separator = cursor.accept("and") if between else cursor.accept("or", "-", "to", "..")
    last = None if separator is None else number(cursor)
    if separator is None or last is None:
        cursor.go_back(mark)
        return None if between else Count(first.value, None, first.start)
    if separator.text != "or":
        return Count(first.value, last.value, first.start)
    low, high = sorted((first.value, last.value))
    if high - low > 1:
        both = cursor.query[first.start : last.end]
        instead = [cursor.replaced(first.start, last.end, f"{low}-{high}")]
        raise cursor.error(
            first.start,
            Sentence("%(both)s is no range of numbers", both=Quoted(both)),
            [Sentence("a range such as 2-4")],
            instead,
        )
    return Count(low, high, first.start)


def _bound(cursor: Cursor, first: Number) -> Count | None:
    mark = cursor.mark()
    if cursor.accept("or", "and"):
        if cursor.accept("more", "over", "above", "up") and not is_number(cursor.peek()):
            return Count(first.value, MOST_FACES, first.start)
        cursor.go_back(mark)
        cursor.take()
        if cursor.accept("fewer", "less", "under", "below") and not is_number(cursor.peek()):
            return Count(0, first.value, first.start)
    cursor.go_back(mark)
    return None
